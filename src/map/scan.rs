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
pub struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    /// All of it; `None` if it is no text.
    pub fn new(json: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(json).ok().map(Self)
    }

    /// What is still to be read.
    pub fn rest(&self) -> &'a str {
        self.0
    }

    /// True if nothing but white space is.
    pub fn is_done(&self) -> bool {
        self.start() == self.0.len()
    }

    /// Passes over white space, then over a character of JSON's own.
    #[inline]
    pub fn eat(&mut self, sign: u8) -> Option<()> {
        let at = self.start();
        (self.0.as_bytes().get(at) == Some(&sign)).then_some(())?;
        self.0 = self.0.get(at + 1..)?;
        Some(())
    }

    /// How much white space comes first.
    #[inline]
    fn start(&self) -> usize {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let bytes = self.0.as_bytes();
        match bytes.first() {
            Some(first) if is_space(first) => {
                bytes.iter().take_while(|byte| is_space(byte)).count()
            }
            _ => 0,
        }
    }

    /// What stands before a key, then the key.
    pub fn key(&mut self, before: u8, name: &str) -> Option<()> {
        self.eat(before)?;
        self.eat(b'"')?;
        self.0 = self.0.strip_prefix(name)?.strip_prefix('"')?;
        self.eat(b':')
    }

    /// Items up to the end of a list that has at least one.
    pub fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            item(self)?;
            match self.eat(b']') {
                Some(()) => return Some(()),
                None => self.eat(b',')?,
            }
        }
    }

    /// A string.
    pub fn string(&mut self) -> Option<Cow<'a, str>> {
        let all = self.0.get(self.start()..)?;
        let inner = all.strip_prefix('"')?;
        let end = plain(inner.as_bytes());
        if inner.as_bytes().get(end) == Some(&b'"') {
            self.0 = inner.get(end + 1..)?;
            return inner.get(..end).map(Cow::Borrowed);
        }
        // Escapes are serde's to read, and text that is not JSON's to refuse.
        let mut strings = serde_json::Deserializer::from_str(all).into_iter::<String>();
        let text = strings.next()?.ok()?;
        self.0 = all.get(strings.byte_offset()..)?;
        Some(Cow::Owned(text))
    }

    /// A value that is neither a list nor an object.
    pub fn scalar(&mut self) -> Option<Scalar> {
        let (start, rest) = (self.start(), self.0);
        let mut word = |word: &str| {
            self.0 = rest.get(start..)?.strip_prefix(word)?;
            Some(())
        };
        match rest.as_bytes().get(start)? {
            b'"' => self.string().map(|_| Scalar::Other),
            b't' => word("true").map(|()| Scalar::Other),
            b'f' => word("false").map(|()| Scalar::Other),
            b'n' => word("null").map(|()| Scalar::Null),
            _ => {
                self.0 = rest.get(start..)?;
                self.number().map(Scalar::Number)
            }
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
        let all = self.0.as_bytes();
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
        let (number, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        number.parse().ok()
    }
}

/// How many bytes come before the first quote, backslash or control character; all of them if
/// there is none.
#[inline]
fn plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    // The top bit of each byte that is smaller than `low`, which is at most 128; what stands after
    // the first such byte may be wrong ("Bit Twiddling Hacks", S. E. Anderson).
    let below = |word: u64, low: u8| word.wrapping_sub(ONES * u64::from(low)) & !word & TOPS;
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = below(word, b' ') | quote | backslash;
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | ..b' ');
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Option<f64> {
        let mut json = Scan::new(text.as_bytes())?;
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

    proptest! {
        #![proptest_config(crate::property_tests(1000))]

        #[test]
        fn strings_are_those_of_json(text in "[a\"\\\\\u{1}\u{1f} ~\u{7f}\u{80}é한]{0,40}", plain in any::<bool>()) {
            let text = if plain { text.replace(['"', '\\', '\u{1}', '\u{1f}'], "") } else { text };
            let json = format!(" \"{text}\", 1");
            let mut scan = Scan::new(json.as_bytes()).unwrap();
            let mut slow = serde_json::Deserializer::from_str(&json).into_iter::<String>();
            let slow_text = slow.next().unwrap().ok();
            prop_assert_eq!(scan.string().map(Cow::into_owned), slow_text.clone());
            if slow_text.is_some() {
                prop_assert_eq!(scan.rest(), &json[slow.byte_offset()..]);
            }
            let end = text.find(['"', '\\', '\u{1}', '\u{1f}']).unwrap_or(text.len());
            prop_assert_eq!(super::plain(text.as_bytes()), end);
        }
    }

    #[test]
    fn scalars_are_told_apart() {
        let mut json = Scan::new(br#" "a\"b" true false null 1.5e1 [1]"#).unwrap();
        for scalar in [Scalar::Other; 3] {
            assert_eq!(json.scalar(), Some(scalar));
        }
        assert_eq!(json.scalar(), Some(Scalar::Null));
        assert_eq!(json.scalar(), Some(Scalar::Number(15.0)));
        assert_eq!(json.scalar(), None);
    }
}
