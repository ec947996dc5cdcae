//! Provider and model to rule. In this order, each over the provider's lists in theirs:
//!
//! 0. what the user pays by contract, in the same order;
//! 1. the exact name;
//! 2. the name without region and vendor decoration (`us.anthropic.claude-…-v1:0`, `openai/gpt-…`);
//! 3. the name without a date suffix;
//! 4. the lists' own patterns, the most specific first;
//! 5. the user's aliases.
//!
//! A call without a provider is looked up in the lists of those who make models; a pattern counts
//! only if it is one provider's alone.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate};

use super::table::{List, Rule, Table};

/// Words before the first dot that say where or whose a model is.
const DECORATION: [&str; 16] = [
    "us",
    "eu",
    "apac",
    "ap",
    "jp",
    "au",
    "ca",
    "global",
    "us-gov",
    "anthropic",
    "amazon",
    "meta",
    "mistral",
    "cohere",
    "ai21",
    "deepseek",
];

impl Table {
    pub(super) fn rule(&self, provider: Option<&str>, model: &str, at_ns: i64) -> Option<&Rule> {
        let day = DateTime::from_timestamp_nanos(at_ns).date_naive();
        let name = lowercase(model.trim());
        let own = self.own.iter().filter_map(|(of, list)| {
            let is_theirs = of.as_deref().is_none_or(|of| provider == Some(of));
            is_theirs.then_some(list)
        });
        self.named(own, &name, day, false)
            .or_else(|| self.of_provider(provider.unwrap_or_default(), &name, day))
            .or_else(|| self.of_alias(&name, provider, day))
    }

    fn of_provider(&self, provider: &str, name: &str, day: NaiveDate) -> Option<&Rule> {
        let places = self.providers.get(provider)?;
        let lists = places.iter().filter_map(|place| self.lists.get(*place));
        self.named(lists, name, day, provider.is_empty())
    }

    /// What an alias stands for: `provider/model`, or a model of the same provider, or of the one
    /// that alone has it.
    pub(super) fn of_alias(
        &self,
        name: &str,
        provider: Option<&str>,
        day: NaiveDate,
    ) -> Option<&Rule> {
        let target = self.aliases.get(name)?;
        if let Some((of, model)) = target.split_once('/')
            && let Some(rule) = self.of_provider(of, model, day)
        {
            return Some(rule);
        }
        self.of_provider(provider.unwrap_or_default(), target, day)
            .or_else(|| self.of_provider("", target, day))
    }

    fn named<'a>(
        &'a self,
        lists: impl Iterator<Item = &'a List> + Clone,
        name: &str,
        day: NaiveDate,
        unambiguous: bool,
    ) -> Option<&'a Rule> {
        // Few have prices of their own.
        lists.clone().next()?;
        let exact = |name: &str| lists.clone().find_map(|list| list.exact(name, day));
        if let Some(rule) = exact(name) {
            return Some(rule);
        }
        let plain = undecorated(name);
        let names = [name, plain, undated(plain)];
        if let Some(rule) = names.iter().find_map(|name| exact(name)) {
            return Some(rule);
        }
        if unambiguous {
            let mut fitting =
                lists.filter_map(|list| names.iter().find_map(|name| list.pattern(name, day)));
            return fitting.next().filter(|_| fitting.next().is_none());
        }
        names
            .iter()
            .find_map(|name| lists.clone().find_map(|list| list.pattern(name, day)))
    }
}

impl List {
    fn exact(&self, name: &str, day: NaiveDate) -> Option<&Rule> {
        self.newest(self.exact.get(name)?.iter(), day)
    }

    fn pattern(&self, name: &str, day: NaiveDate) -> Option<&Rule> {
        let (_, first) = self
            .patterns
            .iter()
            .find(|(pattern, _)| pattern.fits(name))?;
        let id = |rule: &Rule| rule.name.split('@').next().map(str::to_owned);
        let wanted = id(self.rules.get(*first)?);
        let same = self.patterns.iter().filter(|(pattern, place)| {
            pattern.fits(name)
                && self
                    .rules
                    .get(*place)
                    .is_some_and(|rule| id(rule) == wanted)
        });
        self.newest(same.map(|(_, place)| place), day)
    }

    /// Of several dated prices, the newest that holds on the day; before all of them, the oldest.
    fn newest<'p>(&self, places: impl Iterator<Item = &'p usize>, day: NaiveDate) -> Option<&Rule> {
        let mut held: Option<&Rule> = None;
        let mut oldest: Option<&Rule> = None;
        for rule in places.filter_map(|place| self.rules.get(*place)) {
            if rule.from.is_none_or(|from| from <= day)
                && held.is_none_or(|held| rule.from >= held.from)
            {
                held = Some(rule);
            }
            if oldest.is_none_or(|oldest| rule.from < oldest.from) {
                oldest = Some(rule);
            }
        }
        held.or(oldest)
    }
}

/// Most names are lower-case already.
fn lowercase(name: &str) -> Cow<'_, str> {
    let is_lowercase = name
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lowercase {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

/// Without path, region, vendor, version and tag.
fn undecorated(name: &str) -> &str {
    let mut plain = name.rsplit('/').next().unwrap_or(name);
    while let Some((word, rest)) = plain.split_once('.')
        && DECORATION.contains(&word)
    {
        plain = rest;
    }
    plain = plain.strip_suffix(":latest").unwrap_or(plain);
    if let Some((before, version)) = plain.rsplit_once("-v")
        && version.bytes().all(|b| b.is_ascii_digit() || b == b':')
        && version.contains(':')
    {
        plain = before;
    }
    plain
}

/// Without `-2024-07-18`, `-20250929` or `@20250929` at the end.
fn undated(name: &str) -> &str {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((before, day)) = name.rsplit_once(['-', '@']) {
        if digits(day, 8) {
            return before;
        }
        if digits(day, 2)
            && let Some((before, month)) = before.rsplit_once('-')
            && digits(month, 2)
            && let Some((before, year)) = before.rsplit_once('-')
            && digits(year, 4)
        {
            return before;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_is_not_theirs() {
        for (name, plain) in [
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "claude-sonnet-4-5-20250929",
            ),
            ("openai/gpt-4o-mini", "gpt-4o-mini"),
            ("models/gemini-2.5-flash", "gemini-2.5-flash"),
            ("gpt-4.1", "gpt-4.1"),
            ("llama3.2:latest", "llama3.2"),
        ] {
            assert_eq!(undecorated(name), plain);
        }
        for (name, undated_name) in [
            ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("gpt-4-0613", "gpt-4-0613"),
        ] {
            assert_eq!(undated(name), undated_name);
        }
    }
}
