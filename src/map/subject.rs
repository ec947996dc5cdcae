//! Subject: one span with everything that is known of it before its records are made.

use std::sync::Arc;

use super::{classify::Kind, events::Events, failure::Ending, read::Reading};
use crate::{
    otlp::SpanView,
    record::{Context, Header},
};

/// One span with everything that is known of it.
pub struct Subject<'s, 'a> {
    /// The span.
    pub span: &'s SpanView<'a>,
    /// Its name, clean.
    pub name: &'s str,
    /// Its attributes, sorted out.
    pub reading: &'s Reading<'s, 'a>,
    /// Its events.
    pub events: &'s Events<'a>,
    /// What kind of work it is.
    pub kind: Option<Kind>,
    /// How it ended.
    pub ending: &'s Ending,
    /// Ids, times, service.
    pub header: &'s Header,
    /// Its own context.
    pub own_context: Option<&'s Arc<Context>>,
    /// What its resource says of who and where: the environment.
    pub resource_context: &'s Arc<Context>,
    /// Whether prompts, answers and queries are kept.
    pub keep_content: bool,
}

impl Subject<'_, '_> {
    /// The span's own context, and the resource's environment where it has none.
    pub fn context(&self) -> Arc<Context> {
        match self.own_context {
            Some(own) => Context::filled(own, self.resource_context),
            None => Arc::clone(self.resource_context),
        }
    }
}
