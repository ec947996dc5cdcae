//! JSON read in place, where it has the shape that nearly everybody gives it. Anything else gives
//! `None`, and the whole to a parser that takes all of JSON.

use std::borrow::Cow;

use crate::otlp::value::utf8;

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

/// JSON that is being read. What is not as expected gives `None`, and the whole to the slower way.
pub struct Scan<'a> {
    text: &'a str,
    /// What was read.
    at: usize,
}

impl<'a> Scan<'a> {
    /// All of it; `None` if it is no text.
    pub fn new(json: &'a [u8]) -> Option<Self> {
        utf8(json).map(|text| Self { text, at: 0 })
    }

    /// What is still to be read.
    pub fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// True if nothing but white space is.
    pub fn is_done(&mut self) -> bool {
        self.first().is_none()
    }

    /// The next character that is no white space.
    #[inline]
    fn first(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Passes over white space, then over a character of JSON's own.
    #[inline]
    pub fn eat(&mut self, sign: u8) -> Option<()> {
        (self.first()? == sign).then(|| self.at += 1)
    }

    /// What stands before a key, then the key.
    pub fn key(&mut self, before: u8, name: &str) -> Option<()> {
        self.eat(before)?;
        self.eat(b'"')?;
        let after = self.rest().strip_prefix(name.as_bytes())?;
        after.starts_with(b"\"").then_some(())?;
        self.at += name.len() + 1;
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
        (self.first()? == b'"').then_some(())?;
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let end = start + plain(bytes.get(start..)?);
        if bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return self.text.get(start..end).map(Cow::Borrowed);
        }
        self.escaped()
    }

    /// A string with escapes, which are serde's to read, as text that is not JSON's is to refuse.
    #[inline(never)]
    fn escaped(&mut self) -> Option<Cow<'a, str>> {
        let all = self.text.get(self.at..)?;
        let mut strings = serde_json::Deserializer::from_str(all).into_iter::<String>();
        let text = strings.next()?.ok()?;
        self.at += strings.byte_offset();
        Some(Cow::Owned(text))
    }

    /// A value that is neither a list nor an object.
    pub fn scalar(&mut self) -> Option<Scalar> {
        match self.first()? {
            b'"' => self.string().map(|_| Scalar::Other),
            b't' => self.word(b"true", Scalar::Other),
            b'f' => self.word(b"false", Scalar::Other),
            b'n' => self.word(b"null", Scalar::Null),
            _ => self.number().map(Scalar::Number),
        }
    }

    fn word(&mut self, word: &[u8], scalar: Scalar) -> Option<Scalar> {
        self.rest().starts_with(word).then_some(())?;
        self.at += word.len();
        Some(scalar)
    }

    /// A number as RFC 8259 spells it.
    fn number(&mut self) -> Option<f64> {
        let digits = |bytes: &[u8]| {
            bytes
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        let all = self.rest();
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
        let number = self.text.get(self.at..self.at + end)?;
        self.at += end;
        number.parse().ok()
    }
}

/// How many bytes come before the first quote, backslash or control character; all of them if
/// there is none.
#[inline]
fn plain(text: &[u8]) -> usize {
    // Keys and ids end within these.
    let (short, long) = text.split_at(text.len().min(16));
    let found = first_odd(short);
    match found < short.len() {
        true => found,
        false => short.len() + long_plain(long),
    }
}

#[inline(never)]
fn long_plain(text: &[u8]) -> usize {
    let is_odd = |byte: &u8| (*byte == b'"') | (*byte == b'\\') | (*byte < b' ');
    // Nothing is decided within a block: the compiler looks at many bytes at once.
    let is_plain = |block: &&[u8; 32]| !block.iter().fold(false, |any, byte| any | is_odd(byte));
    let blocks = text.as_chunks().0.iter().take_while(is_plain).count();
    blocks * 32 + first_odd(text.get(blocks * 32..).unwrap_or_default())
}

/// The same, a word at a time.
#[inline]
fn first_odd(text: &[u8]) -> usize {
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
                prop_assert_eq!(scan.rest(), &json.as_bytes()[slow.byte_offset()..]);
            }
            let end = text.find(['"', '\\', '\u{1}', '\u{1f}']).unwrap_or(text.len());
            prop_assert_eq!(super::plain(text.as_bytes()), end);
        }
    }

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_is() {
        for length in 0..120 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(plain(&bytes), length);
            for at in 0..length {
                for odd in [b'"', b'\\', 0, 0x1f] {
                    bytes[at] = odd;
                    assert_eq!(plain(&bytes), at, "{odd} of {length}");
                }
                bytes[at] = 0xed;
                assert_eq!(plain(&bytes), length);
            }
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
