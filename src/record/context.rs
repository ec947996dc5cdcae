//! Who and where: the context columns, which a span has itself or from an ancestor.

use std::sync::Arc;

/// A context value; the spans below its own share it.
type Text = Option<Arc<str>>;

/// Context of a span. Every field is a column of `llm_calls` of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each field is the column of the same name")]
pub struct Context {
    pub user_id: Text,
    pub user_hash: Text,
    pub session_id: Text,
    pub task_id: Text,
    pub company_id: Text,
    pub review_id: Text,
    pub meeting_id: Text,
    pub agenda_id: Text,
    pub request_id: Text,
    pub collection_name: Text,
    pub experiment: Text,
    pub variant: Text,
    pub environment: Text,
    pub recording_id: Text,
}

impl Context {
    /// The fields in column order, with their column names.
    pub fn fields(&self) -> [(&'static str, &Text); 14] {
        [
            ("user_id", &self.user_id),
            ("user_hash", &self.user_hash),
            ("session_id", &self.session_id),
            ("task_id", &self.task_id),
            ("company_id", &self.company_id),
            ("review_id", &self.review_id),
            ("meeting_id", &self.meeting_id),
            ("agenda_id", &self.agenda_id),
            ("request_id", &self.request_id),
            ("collection_name", &self.collection_name),
            ("experiment", &self.experiment),
            ("variant", &self.variant),
            ("environment", &self.environment),
            ("recording_id", &self.recording_id),
        ]
    }

    /// The same, to be changed.
    fn slots(&mut self) -> [(&'static str, &mut Text); 14] {
        [
            ("user_id", &mut self.user_id),
            ("user_hash", &mut self.user_hash),
            ("session_id", &mut self.session_id),
            ("task_id", &mut self.task_id),
            ("company_id", &mut self.company_id),
            ("review_id", &mut self.review_id),
            ("meeting_id", &mut self.meeting_id),
            ("agenda_id", &mut self.agenda_id),
            ("request_id", &mut self.request_id),
            ("collection_name", &mut self.collection_name),
            ("experiment", &mut self.experiment),
            ("variant", &mut self.variant),
            ("environment", &mut self.environment),
            ("recording_id", &mut self.recording_id),
        ]
    }

    /// The slot of a column; `None` if no context column has that name.
    pub fn slot(&mut self, column: &str) -> Option<&mut Text> {
        let mut slots = self.slots().into_iter();
        slots
            .find(|(name, _)| *name == column)
            .map(|(_, slot)| slot)
    }

    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.fields().iter().all(|(_, value)| value.is_none())
    }

    /// True if `other` knows what is unknown here.
    fn lacks(&self, other: &Context) -> bool {
        let pairs = self.fields().into_iter().zip(other.fields());
        pairs
            .into_iter()
            .any(|((_, own), (_, theirs))| own.is_none() && theirs.is_some())
    }

    /// `own`, and what is unknown there from `other`; one of the two where it has all of it.
    pub fn filled(own: &Arc<Context>, other: &Arc<Context>) -> Arc<Context> {
        if Arc::ptr_eq(own, other) || !own.lacks(other) {
            return Arc::clone(own);
        }
        if own.is_empty() {
            return Arc::clone(other);
        }
        let mut filled = Context::clone(own);
        for ((_, slot), (_, value)) in filled.slots().into_iter().zip(other.fields()) {
            if slot.is_none() {
                slot.clone_from(value);
            }
        }
        Arc::new(filled)
    }
}
