//! The models that the apps call, with names as their providers write them.

/// A chat model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) provider: &'static str,
    pub(super) name: &'static str,
    /// Name in the answer.
    pub(super) answers_as: &'static str,
    pub(super) server: &'static str,
    /// How its answer ids begin.
    pub(super) id_prefix: &'static str,
    /// Median, to the first token.
    pub(super) first_token_ms: f64,
    pub(super) tokens_per_second: f64,
    /// Thinks before it answers, and reports the tokens.
    pub(super) reasons: bool,
    pub(super) cache: Cache,
    /// No public price list has it.
    pub(super) unpriced: bool,
}

/// What a provider says of its prompt cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cache {
    None,
    /// Reads only; writing is free and silent.
    Reads,
    /// Reads and writes, both charged.
    ReadsAndWrites,
}

pub(super) const GPT_4_1_MINI: Model = Model {
    provider: "openai",
    name: "gpt-4.1-mini",
    answers_as: "gpt-4.1-mini-2025-04-14",
    server: "api.openai.com",
    id_prefix: "chatcmpl-",
    first_token_ms: 420.0,
    tokens_per_second: 95.0,
    reasons: false,
    cache: Cache::Reads,
    unpriced: false,
};

pub(super) const GPT_5_MINI: Model = Model {
    name: "gpt-5-mini",
    answers_as: "gpt-5-mini-2025-08-07",
    first_token_ms: 1600.0,
    tokens_per_second: 80.0,
    reasons: true,
    ..GPT_4_1_MINI
};

pub(super) const CLAUDE_SONNET: Model = Model {
    provider: "anthropic",
    name: "claude-sonnet-4-5",
    answers_as: "claude-sonnet-4-5-20250929",
    server: "api.anthropic.com",
    id_prefix: "msg_",
    first_token_ms: 780.0,
    tokens_per_second: 62.0,
    reasons: false,
    cache: Cache::ReadsAndWrites,
    unpriced: false,
};

pub(super) const CLAUDE_HAIKU: Model = Model {
    name: "claude-haiku-4-5",
    answers_as: "claude-haiku-4-5-20251001",
    first_token_ms: 430.0,
    tokens_per_second: 120.0,
    ..CLAUDE_SONNET
};

pub(super) const GEMINI_FLASH: Model = Model {
    provider: "gcp.gemini",
    name: "gemini-2.5-flash",
    answers_as: "gemini-2.5-flash",
    server: "generativelanguage.googleapis.com",
    id_prefix: "gmn-",
    first_token_ms: 510.0,
    tokens_per_second: 150.0,
    reasons: true,
    cache: Cache::Reads,
    unpriced: false,
};

pub(super) const AZURE_GPT_4_1: Model = Model {
    provider: "azure.ai.openai",
    name: "gpt-4.1",
    answers_as: "gpt-4.1-2025-04-14",
    server: "contoso-sweden.openai.azure.com",
    first_token_ms: 640.0,
    tokens_per_second: 70.0,
    ..GPT_4_1_MINI
};

/// A house model: nobody publishes its price.
pub(super) const ACME_7B: Model = Model {
    provider: "acme",
    name: "acme-7b-internal",
    answers_as: "acme-7b-internal",
    server: "llm.acme.internal",
    id_prefix: "acme-",
    first_token_ms: 180.0,
    tokens_per_second: 45.0,
    reasons: false,
    cache: Cache::None,
    unpriced: true,
};

/// An embedding model.
#[derive(Debug)]
pub(super) struct Embedder {
    pub(super) provider: &'static str,
    pub(super) name: &'static str,
    pub(super) server: &'static str,
    pub(super) dimensions: i64,
}

pub(super) const OPENAI_SMALL: Embedder = Embedder {
    provider: "openai",
    name: "text-embedding-3-small",
    server: "api.openai.com",
    dimensions: 1536,
};

pub(super) const GEMINI_EMBEDDING: Embedder = Embedder {
    provider: "gcp.gemini",
    name: "gemini-embedding-001",
    server: "generativelanguage.googleapis.com",
    dimensions: 3072,
};

/// A speech model.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) provider: &'static str,
    pub(super) name: &'static str,
    pub(super) server: &'static str,
}

pub(super) const WHISPER: Listener = Listener {
    provider: "openai",
    name: "whisper-1",
    server: "api.openai.com",
};

pub(super) const GROQ_WHISPER: Listener = Listener {
    provider: "groq",
    name: "whisper-large-v3-turbo",
    server: "api.groq.com",
};
