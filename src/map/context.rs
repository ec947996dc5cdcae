//! Which attribute feeds which context column: the keys of this project and the plain ones that
//! apps choose. The libraries' own keys stand in their dialects; users add theirs in the settings.
//!
//! A value is kept to 256 bytes; a longer one is cut and ends in a hash of the whole.

use std::sync::Arc;

use crate::record::Context;

/// Attribute to column, in the order of preference within a column.
pub const KEYS: &[(&str, &str)] = &[
    ("app.user_id", "user_id"),
    ("app.user.id", "user_id"),
    ("user_id", "user_id"),
    ("app.user_hash", "user_hash"),
    ("user_hash", "user_hash"),
    ("app.session_id", "session_id"),
    ("app.session.id", "session_id"),
    ("app.task_id", "task_id"),
    ("app.task.id", "task_id"),
    ("task.id", "task_id"),
    ("task_id", "task_id"),
    ("app.company_id", "company_id"),
    ("app.company.id", "company_id"),
    ("company.id", "company_id"),
    ("company_id", "company_id"),
    ("app.review_id", "review_id"),
    ("app.review.id", "review_id"),
    ("review.id", "review_id"),
    ("review_id", "review_id"),
    ("app.meeting_id", "meeting_id"),
    ("app.meeting.id", "meeting_id"),
    ("meeting.id", "meeting_id"),
    ("meeting_id", "meeting_id"),
    ("app.agenda_id", "agenda_id"),
    ("app.agenda.id", "agenda_id"),
    ("agenda.id", "agenda_id"),
    ("agenda_id", "agenda_id"),
    ("app.request_id", "request_id"),
    ("app.request.id", "request_id"),
    ("request.id", "request_id"),
    ("request_id", "request_id"),
    ("http.request.id", "request_id"),
    ("app.collection_name", "collection_name"),
    ("collection.name", "collection_name"),
    ("collection_name", "collection_name"),
    ("app.experiment", "experiment"),
    ("experiment.name", "experiment"),
    ("experiment.id", "experiment"),
    ("experiment", "experiment"),
    ("app.variant", "variant"),
    ("experiment.variant", "variant"),
    ("variant", "variant"),
    ("app.recording_id", "recording_id"),
    ("stt.recording.id", "recording_id"),
    ("recording.id", "recording_id"),
    ("recording_id", "recording_id"),
];

/// Stands for a column: the attribute is a JSON object whose members are context.
pub const MEMBERS: &str = "*";

/// The column that a member of such an object fills: our own names for it, and the usual ones.
pub fn of_member(name: &str) -> Option<u8> {
    const USUAL: &[(&str, &str)] = &[
        ("userId", "user_id"),
        ("user", "user_id"),
        ("session_id", "session_id"),
        ("sessionId", "session_id"),
        ("group_id", "session_id"),
        ("thread_id", "session_id"),
        ("threadId", "session_id"),
        ("conversation_id", "session_id"),
    ];
    let mut all = KEYS.iter().chain(USUAL);
    all.find(|(key, _)| *key == name)
        .and_then(|(_, column_name)| column(column_name))
}

/// The number of a column; `None` if no context column has that name.
pub fn column(name: &str) -> Option<u8> {
    let place = Context::COLUMNS.iter().position(|column| *column == name)?;
    u8::try_from(place).ok()
}

/// The slot of a column.
pub fn slot(context: &mut Context, column: u8) -> Option<&mut Option<Arc<str>>> {
    context.slot(Context::COLUMNS.get(usize::from(column))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_number_and_every_key_a_column() {
        let mut context = Context::default();
        for (name, _) in Context::default().fields() {
            let number = column(name).unwrap();
            *slot(&mut context, number).unwrap() = Some(name.into());
        }
        for (name, value) in context.fields() {
            assert_eq!(value.as_deref(), Some(name));
        }
        for (key, name) in KEYS {
            assert!(column(name).is_some(), "{key}");
        }
    }
}
