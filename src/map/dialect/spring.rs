//! Spring AI. Source: spring-projects/spring-ai, spring-ai-commons, observation/conventions.
//!
//! | attribute | column |
//! |---|---|
//! | the conventions' own, to 1.26 | see `otel` |
//! | `spring.ai.kind` | advisor and chat_client wrap; vector_store searches, if its operation does |
//! | `db.vector.query.*` | query, top_k, threshold of a search |
//! | `gen_ai.content.prompt`, `….completion` as span events | prompt, response |
//! | `spring.ai.chat.client.conversation.id` | session_id |
//!
//! Quirks: a chat client's span calls its provider `spring_ai` and its operation `framework`.
//! Attributes that were not set say `none`.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "spring",
    signs: &["spring.ai.kind"],
    kinds: &[
        ("advisor", Kind::Container),
        ("chat_client", Kind::Container),
        ("tool_call", Kind::Tool),
    ],
    keys: &[("spring.ai.kind", Field::Kind)],
    own: &[
        ("spring.ai.chat.client.user.text", Field::Input),
        ("spring.ai.chat.client.system.text", Field::SystemPrompt),
        ("spring.ai.tool.definition.name", Field::ToolName),
        ("spring.ai.vector_store", Field::Ignored),
    ],
    context: &[
        ("spring.ai.chat.client.conversation.id", "session_id"),
        ("spring.ai.chat_client.conversation_id", "session_id"),
    ],
    ..BLANK
};
