//! OTLP/JSON: what is understood, what is refused, and that one pass reads what a tree would.

mod equality;
mod reference;
mod spellings;
