//! One spelling for providers, models, finish reasons and databases.
//! Source of the provider names: OTel's `gen_ai.provider.name`.

use smol_str::SmolStr;

use super::{fields, limits};

/// OTel's well-known providers, and two that it doesn't know yet but everybody sends.
const PROVIDERS: [&str; 19] = [
    "openai",
    "azure.ai.openai",
    "azure.ai.inference",
    "anthropic",
    "aws.bedrock",
    "cohere",
    "deepseek",
    "gcp.gemini",
    "gcp.gen_ai",
    "gcp.vertex_ai",
    "groq",
    "ibm.watsonx.ai",
    "mistral_ai",
    "moonshot_ai",
    "perplexity",
    "x_ai",
    "ollama",
    "openrouter",
    "together_ai",
];

/// Other spellings of them.
const PROVIDER_ALIASES: &[(&str, &str)] = &[
    ("az.ai.openai", "azure.ai.openai"),
    ("azure", "azure.ai.openai"),
    ("azure_openai", "azure.ai.openai"),
    ("azure-openai", "azure.ai.openai"),
    ("azureopenai", "azure.ai.openai"),
    ("az.ai.inference", "azure.ai.inference"),
    ("azure_ai", "azure.ai.inference"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("vertexai", "gcp.vertex_ai"),
    ("vertex", "gcp.vertex_ai"),
    ("google_vertexai", "gcp.vertex_ai"),
    ("gemini", "gcp.gemini"),
    ("google_genai", "gcp.gemini"),
    ("google_generativeai", "gcp.gemini"),
    ("google.generative-ai", "gcp.gemini"),
    ("google.vertex", "gcp.vertex_ai"),
    ("google", "gcp.gen_ai"),
    ("vertex.anthropic", "gcp.vertex_ai"),
    ("xai", "x_ai"),
    ("mistralai", "mistral_ai"),
    ("mistral", "mistral_ai"),
    ("aws", "aws.bedrock"),
    ("amazon", "aws.bedrock"),
    ("bedrock", "aws.bedrock"),
    ("bedrock_converse", "aws.bedrock"),
    ("amazon-bedrock", "aws.bedrock"),
    ("amazon_bedrock", "aws.bedrock"),
    ("moonshot", "moonshot_ai"),
    ("together", "together_ai"),
    ("watsonx", "ibm.watsonx.ai"),
];

/// Names of frameworks that stand where a provider should.
const FRAMEWORKS: [&str; 12] = [
    "langchain",
    "langgraph",
    "spring_ai",
    "gcp.vertex.agent",
    "strands-agents",
    "strands",
    "openai_agents",
    "llamaindex",
    "llama_index",
    "crewai",
    "haystack",
    "litellm",
];

/// Starts of model names that one maker alone uses.
const MAKERS: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4-", "openai"),
    ("text-embedding-3-", "openai"),
    ("text-embedding-ada-", "openai"),
    ("whisper-", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gcp.gen_ai"),
    ("command-", "cohere"),
    ("embed-english-", "cohere"),
    ("embed-multilingual-", "cohere"),
    ("rerank-", "cohere"),
    ("mistral-", "mistral_ai"),
    ("codestral-", "mistral_ai"),
    ("ministral-", "mistral_ai"),
    ("deepseek-", "deepseek"),
    ("grok-", "x_ai"),
    ("sonar", "perplexity"),
    ("moonshot-", "moonshot_ai"),
];

fn known_provider(name: &str) -> Option<&'static str> {
    PROVIDERS
        .iter()
        .find(|known| **known == name)
        .or_else(|| {
            PROVIDER_ALIASES
                .iter()
                .find(|(alias, _)| *alias == name)
                .map(|(_, p)| p)
        })
        .copied()
}

/// The normalised provider: a well-known name exactly, then by its other spellings, then by what
/// stands before a dot (`openai.chat`, `google.vertex.chat`), then as sent in lower case. `None` for
/// frameworks.
pub fn provider(sent: &str) -> Option<SmolStr> {
    if let Some(known) = PROVIDERS.iter().find(|known| **known == sent) {
        return Some(SmolStr::new_static(known));
    }
    let name = sent.trim().to_ascii_lowercase();
    if name.is_empty() || name == "unknown" || FRAMEWORKS.contains(&&*name) {
        return None;
    }
    let ends = name.match_indices('.').rev().map(|(dot, _)| dot);
    let known = known_provider(&name).or_else(|| {
        ends.filter_map(|end| name.get(..end))
            .find_map(known_provider)
    });
    Some(known.map_or_else(
        || limits::name(&name, limits::NAME_BYTES).into(),
        SmolStr::new_static,
    ))
}

/// The provider that a model's name tells, where no attribute does.
pub fn provider_of_model(model: &str) -> Option<&'static str> {
    let model = model.to_ascii_lowercase();
    let found = MAKERS
        .iter()
        .find(|(start, _)| model.starts_with(start))
        .map(|(_, maker)| *maker);
    // `anthropic.claude-…-v1:0`, `eu.anthropic.…`: the form of Bedrock's model ids alone.
    let is_bedrock = || {
        [
            "anthropic.",
            "amazon.",
            "meta.",
            "cohere.",
            "mistral.",
            "ai21.",
        ]
        .iter()
        .any(|vendor| {
            model.starts_with(vendor)
                || model
                    .split_once('.')
                    .is_some_and(|(region, rest)| region.len() <= 6 && rest.starts_with(vendor))
        })
    };
    found.or_else(|| is_bedrock().then_some("aws.bedrock"))
}

/// A model's name without the router's decoration: `openai/gpt-4o` of provider openai,
/// `models/gemini-2.5-pro`.
pub fn model(sent: &str, provider_name: Option<&str>) -> Option<SmolStr> {
    let name = fields::trim(sent);
    let name = name.strip_prefix("models/").unwrap_or(name);
    let slash = memchr::memchr(b'/', name.as_bytes());
    let name = match slash.and_then(|at| Some((name.get(..at)?, name.get(at + 1..)?))) {
        Some((vendor, rest)) if !rest.is_empty() => {
            let vendor = provider(vendor);
            let own = provider_name.is_none_or(|known| vendor.as_deref() == Some(known));
            if own && vendor.is_some_and(|v| PROVIDERS.contains(&&*v)) {
                rest
            } else {
                name
            }
        }
        _ => name,
    };
    let is_name = !name.is_empty() && !name.eq_ignore_ascii_case("unknown") && name != "None";
    is_name.then(|| limits::name(name, limits::NAME_BYTES).into())
}

/// stop, length, tool_call, content_filter, error, or the provider's own word in lower case.
pub fn finish_reason(sent: &str) -> Option<SmolStr> {
    if sent == "stop" {
        return Some(SmolStr::new_static("stop"));
    }
    let word = sent
        .trim()
        .trim_matches('"')
        .to_ascii_lowercase()
        .replace('-', "_");
    // Enums as their languages print them: `FinishReason.STOP`.
    let word = word.rsplit('.').next().unwrap_or_default();
    let normal = match word {
        "" | "none" | "null" => return None,
        "stop" | "end_turn" | "stop_sequence" | "completed" | "complete" | "eos" => "stop",
        "tool_call" | "tool_calls" | "tool_use" | "function_call" | "toolcalls" => "tool_call",
        "length" | "max_tokens" | "max_output_tokens" | "model_length" => "length",
        "content_filter"
        | "safety"
        | "refusal"
        | "recitation"
        | "blocklist"
        | "prohibited_content"
        | "spii"
        | "guardrail_intervened" => "content_filter",
        other => return Some(limits::name(other, limits::NAME_BYTES).into()),
    };
    Some(SmolStr::new_static(normal))
}

/// Stores that hold vectors and nothing else: any query on them is a retrieval.
const VECTOR_STORES: [&str; 17] = [
    "chroma",
    "qdrant",
    "pinecone",
    "milvus",
    "weaviate",
    "lancedb",
    "marqo",
    "vespa",
    "faiss",
    "turbopuffer",
    "pgvector",
    "vald",
    "deeplake",
    "vectara",
    "zilliz",
    "azure_ai_search",
    "upstash_vector",
];

/// A database's name in lower case, one spelling for each vector store.
pub fn db_system(sent: &str) -> SmolStr {
    let name = sent.trim().to_ascii_lowercase();
    let name = match &*name {
        "chromadb" => "chroma",
        "milvusdb" => "milvus",
        other => other,
    };
    limits::name(name, limits::NAME_BYTES).into()
}

/// True for stores that hold vectors and nothing else, however the name is spelled. Every span of
/// every database passes here, so it allocates nothing.
pub fn is_vector_store(sent: &str) -> bool {
    let name = fields::trim(sent);
    let others = ["chromadb", "milvusdb"];
    let mut names = VECTOR_STORES.iter().chain(&others);
    names.any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_have_one_spelling() {
        for (sent, want) in [
            ("OpenAI", Some("openai")),
            ("az.ai.inference", Some("azure.ai.inference")),
            ("openai.chat", Some("openai")),
            ("gcp.gemini", Some("gcp.gemini")),
            ("gemini", Some("gcp.gemini")),
            (" Ollama ", Some("ollama")),
            ("my-gateway", Some("my-gateway")),
            ("LangChain", None),
            ("", None),
        ] {
            assert_eq!(provider(sent).as_deref(), want, "{sent}");
        }
        assert_eq!(provider_of_model("gpt-4o"), Some("openai"));
        assert_eq!(
            provider_of_model("eu.anthropic.claude-x-v1:0"),
            Some("aws.bedrock")
        );
        assert_eq!(provider_of_model("my-model"), None);
    }

    #[test]
    fn models_lose_the_routers_decoration_only() {
        let of = |m: &str, p: Option<&str>| model(m, p).unwrap_or_default();
        assert_eq!(of("openai/gpt-4o", Some("openai")), "gpt-4o");
        assert_eq!(of("openai/gpt-4o", None), "gpt-4o");
        assert_eq!(of("openai/gpt-4o", Some("openrouter")), "openai/gpt-4o");
        assert_eq!(of("mycorp/gpt", None), "mycorp/gpt");
        assert_eq!(of("models/gemini-2.5-pro", None), "gemini-2.5-pro");
        assert_eq!(
            of("anthropic.claude-3:0", Some("aws.bedrock")),
            "anthropic.claude-3:0"
        );
        assert_eq!(model("unknown", None), None);
    }

    #[test]
    fn finish_reasons_have_one_spelling() {
        for (sent, want) in [
            ("tool-calls", "tool_call"),
            ("FinishReason.STOP", "stop"),
            ("MAX_TOKENS", "length"),
            ("pause_turn", "pause_turn"),
        ] {
            assert_eq!(finish_reason(sent).as_deref(), Some(want));
        }
        assert_eq!(finish_reason(" "), None);
    }
}
