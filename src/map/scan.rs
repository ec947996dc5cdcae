//! JSON read in place, where it has the shape that nearly everybody gives it. Anything else gives
//! `None`, and the whole to a parser that takes all of JSON.

use std::borrow::Cow;

/// A value that is neither a list nor an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// A number.
    Number(f64),
    /// Null.
    Null,
    /// A string, true or false.
    Other,
}

/// JSON that is still to be read. What is not as expected gives `None`, and the whole to the
/// slower way.
pub struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    /// All of it.
    pub fn new(json: &'a [u8]) -> Self {
        Self(json)
    }

    /// What is still to be read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// True if nothing but white space is.
    pub fn is_done(&self) -> bool {
        self.0.trim_ascii_start().is_empty()
    }

    /// Passes over white space, then over a word.
    pub fn eat(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.trim_ascii_start().strip_prefix(word)?;
        Some(())
    }

    /// What stands before a key, then the key.
    pub fn key(&mut self, before: &[u8], name: &[u8]) -> Option<()> {
        self.eat(before)?;
        self.eat(b"\"")?;
        self.0 = self.0.strip_prefix(name)?.strip_prefix(b"\"")?;
        self.eat(b":")
    }

    /// Items up to the end of a list that has at least one.
    pub fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            item(self)?;
            match self.eat(b"]") {
                Some(()) => return Some(()),
                None => self.eat(b",")?,
            }
        }
    }

    /// A string.
    pub fn string(&mut self) -> Option<Cow<'a, str>> {
        self.0 = self.0.trim_ascii_start();
        let (_, inner) = self.0.split_first().filter(|(first, _)| **first == b'"')?;
        let (end, has_control) = match short(inner) {
            Some(end) => (end, false),
            None => {
                let end = memchr::memchr2(b'"', b'\\', inner)?;
                // JSON has no control characters in text. Folded, not searched: many bytes at once.
                let text = inner.iter().take(end);
                (end, text.fold(false, |any, byte| any | (*byte < b' ')))
            }
        };
        let (text, rest) = inner.split_at_checked(end)?;
        if let Some(rest) = rest.strip_prefix(b"\"") {
            self.0 = rest;
            let text = std::str::from_utf8(text).ok()?;
            return (!has_control).then_some(Cow::Borrowed(text));
        }
        // Escapes are serde's to read.
        let mut strings = serde_json::Deserializer::from_slice(self.0).into_iter::<String>();
        let text = strings.next()?.ok()?;
        self.0 = self.0.get(strings.byte_offset()..)?;
        Some(Cow::Owned(text))
    }

    /// A value that is neither a list nor an object.
    pub fn scalar(&mut self) -> Option<Scalar> {
        self.0 = self.0.trim_ascii_start();
        match self.0.first()? {
            b'"' => self.string().map(|_| Scalar::Other),
            b't' => self.eat(b"true").map(|()| Scalar::Other),
            b'f' => self.eat(b"false").map(|()| Scalar::Other),
            b'n' => self.eat(b"null").map(|()| Scalar::Null),
            _ => self.number().map(Scalar::Number),
        }
    }

    /// A number as RFC 8259 spells it.
    fn number(&mut self) -> Option<f64> {
        let digits = |bytes: &[u8]| {
            bytes
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        let all = self.0;
        let mut end = usize::from(all.starts_with(b"-"));
        let whole = digits(all.get(end..)?);
        let leads_with_zero = all.get(end) == Some(&b'0') && whole > 1;
        (whole > 0 && !leads_with_zero).then_some(())?;
        end += whole;
        if all.get(end) == Some(&b'.') {
            let part = digits(all.get(end + 1..)?);
            (part > 0).then_some(())?;
            end += 1 + part;
        }
        if let Some(b'e' | b'E') = all.get(end) {
            end += 1 + usize::from(matches!(all.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(all.get(end..)?);
            (exponent > 0).then_some(())?;
            end += exponent;
        }
        let (number, rest) = all.split_at_checked(end)?;
        self.0 = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    }
}

/// Where a short string without escapes ends; `None` says nothing.
fn short(inner: &[u8]) -> Option<usize> {
    const SHORT: usize = 24;
    let mut bytes = inner.iter().take(SHORT);
    let end = bytes.position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
    (inner.get(end) == Some(&b'"')).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Option<f64> {
        let mut json = Scan::new(text.as_bytes());
        match json.scalar()? {
            Scalar::Number(number) if json.is_done() => Some(number),
            _ => None,
        }
    }

    proptest! {
        #![proptest_config(crate::property_tests(1000))]

        #[test]
        fn numbers_are_those_of_json(text in "[-+]?[0-9]{0,3}[.]?[0-9]{0,3}([eE][-+]?[0-9]{0,2})? ?") {
            let is_json = serde_json::from_str::<f64>(&text).is_ok();
            // serde_json may be off by the last bit.
            let exact: Option<f64> = text.trim_end().parse().ok();
            prop_assert_eq!(number(&text), exact.filter(|_| is_json));
        }
    }

    #[test]
    fn scalars_are_told_apart() {
        let mut json = Scan::new(br#" "a\"b" true false null 1.5e1 [1]"#);
        for scalar in [Scalar::Other; 3] {
            assert_eq!(json.scalar(), Some(scalar));
        }
        assert_eq!(json.scalar(), Some(Scalar::Null));
        assert_eq!(json.scalar(), Some(Scalar::Number(15.0)));
        assert_eq!(json.scalar(), None);
    }
}
