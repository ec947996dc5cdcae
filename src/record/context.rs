//! Who and where: the context columns, which a span has itself or from an ancestor.

use std::sync::Arc;

/// A context value; the spans below its own share it.
type Text = Option<Arc<str>>;

macro_rules! context {
    ($($field:ident),+ $(,)?) => {
        /// Context of a span. Every field is a column of `llm_calls` of the same name.
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        #[expect(missing_docs, reason = "each field is the column of the same name")]
        pub struct Context {
            $(pub $field: Text),+
        }

        impl Context {
            /// The columns, in their order.
            pub const COLUMNS: [&'static str; 14] = [$(stringify!($field)),+];

            /// The fields in column order, with their column names.
            pub fn fields(&self) -> [(&'static str, &Text); 14] {
                [$((stringify!($field), &self.$field)),+]
            }

            /// The slot of a column; `None` if no context column has that name.
            pub fn slot(&mut self, column: &str) -> Option<&mut Text> {
                match column {
                    $(stringify!($field) => Some(&mut self.$field),)+
                    _ => None,
                }
            }

            /// True if nothing is known.
            pub fn is_empty(&self) -> bool {
                true $(& self.$field.is_none())+
            }

            /// True if `other` knows what is unknown here.
            fn lacks(&self, other: &Context) -> bool {
                false $(| (self.$field.is_none() & other.$field.is_some()))+
            }

            /// Takes what is unknown here from `other`.
            fn fill(&mut self, other: &Context) {
                $(if self.$field.is_none() {
                    self.$field.clone_from(&other.$field);
                })+
            }
        }
    };
}

context!(
    user_id,
    user_hash,
    session_id,
    task_id,
    company_id,
    review_id,
    meeting_id,
    agenda_id,
    request_id,
    collection_name,
    experiment,
    variant,
    environment,
    recording_id,
);

impl Context {
    /// `own`, and what is unknown there from `other`; one of the two where it has all of it.
    pub fn filled(own: &Arc<Context>, other: &Arc<Context>) -> Arc<Context> {
        if Arc::ptr_eq(own, other) || !own.lacks(other) {
            return Arc::clone(own);
        }
        if own.is_empty() {
            return Arc::clone(other);
        }
        let mut filled = Context::clone(own);
        filled.fill(other);
        Arc::new(filled)
    }
}
