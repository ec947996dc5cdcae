//! JSON text, read in place: RFC 8259, from the first byte to the last, without a tree.

use std::borrow::Cow;

/// Objects and arrays inside one another, at most; serde_json stops there, too. What is read here is
/// read recursively, and OTLP needs a tenth of it.
const MAX_DEPTH: u32 = 127;

const CUT_OFF: &str = "it ends too early";

/// Something is wrong at the reader's position: [`Reader::what`]. It carries nothing, since every
/// token is returned beside it.
#[derive(Debug)]
pub(super) struct Broken;

/// A value that was read, or the begin of one with members.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    Text(Text<'a>),
    /// Its members are for [`Reader::key`].
    Object,
    /// Its members are for [`Reader::item`].
    Array,
}

/// A string as written between its quotes; its escapes are sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    raw: &'a str,
    is_escaped: bool,
}

/// A position in the text.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            what: "",
        }
    }

    /// What is wrong.
    pub(super) fn what(&self) -> &'static str {
        self.what
    }

    /// Nothing more is read.
    #[cold]
    pub(super) fn fail(&mut self, what: &'static str) -> Broken {
        self.what = what;
        Broken
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next value. Members of an object or array must be read (or skipped) next.
    #[inline(always)]
    pub(super) fn value(&mut self) -> Result<Token<'a>, Broken> {
        let token = match self.next_byte() {
            Some(b'"') => {
                self.at += 1;
                return self.text().map(Token::Text);
            }
            Some(b'-' | b'0'..=b'9') => return self.number().map(Token::Number),
            Some(b'{') => Token::Object,
            Some(b'[') => Token::Array,
            Some(b'n') => return self.word("null", Token::Null),
            Some(b't') => return self.word("true", Token::Bool(true)),
            Some(b'f') => return self.word("false", Token::Bool(false)),
            Some(_) => return Err(self.fail("expected a value")),
            None => return Err(self.fail(CUT_OFF)),
        };
        if self.depth == MAX_DEPTH {
            return Err(self.fail("objects and arrays are nested too deeply"));
        }
        self.at += 1;
        self.depth += 1;
        Ok(token)
    }

    /// The key of an object's next member, whose value is next; `None` at the object's end.
    #[inline(always)]
    pub(super) fn key(&mut self, is_first: &mut bool) -> Result<Option<Text<'a>>, Broken> {
        if !self.more(b'}', is_first)? {
            return Ok(None);
        }
        self.byte(b'"', "expected a key in quotes")?;
        let key = self.text()?;
        self.byte(b':', "expected a colon after a key")?;
        Ok(Some(key))
    }

    /// True if an array's next member follows, false at the array's end.
    #[inline]
    pub(super) fn item(&mut self, is_first: &mut bool) -> Result<bool, Broken> {
        self.more(b']', is_first)
    }

    /// Passes over the members of `token`.
    pub(super) fn skip(&mut self, token: Token<'a>) -> Result<(), Broken> {
        let is_object = match token {
            Token::Object => true,
            Token::Array => false,
            _ => return Ok(()),
        };
        let mut is_first = true;
        loop {
            let has_more = match is_object {
                true => self.key(&mut is_first)?.is_some(),
                false => self.item(&mut is_first)?,
            };
            if !has_more {
                return Ok(());
            }
            let value = self.value()?;
            self.skip(value)?;
        }
    }

    /// Nothing but space may follow.
    pub(super) fn end(&mut self) -> Result<(), Broken> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.fail("something follows the request")),
        }
    }

    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    #[inline]
    fn slice(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// The next byte that is no space, not taken yet.
    #[inline(always)]
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            match self.bytes().get(self.at) {
                Some(&byte) if byte > b' ' => return Some(byte),
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline(always)]
    fn byte(&mut self, wanted: u8, otherwise: &'static str) -> Result<(), Broken> {
        match self.next_byte() {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.fail(otherwise)),
            None => Err(self.fail(CUT_OFF)),
        }
    }

    #[inline(always)]
    fn more(&mut self, close: u8, is_first: &mut bool) -> Result<bool, Broken> {
        let is_first = std::mem::replace(is_first, false);
        match self.next_byte() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if is_first => Ok(true),
            Some(_) if close == b'}' => Err(self.fail("expected a comma or the end of the object")),
            Some(_) => Err(self.fail("expected a comma or the end of the array")),
            None => Err(self.fail(CUT_OFF)),
        }
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, Broken> {
        if !self.bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fail("expected a value"));
        }
        self.at += word.len();
        Ok(token)
    }

    /// What follows an opening quote, and the closing one.
    #[inline(always)]
    fn text(&mut self) -> Result<Text<'a>, Broken> {
        let from = self.at;
        let mut is_escaped = false;
        loop {
            self.at += plain(&self.bytes()[self.at..]);
            match self.bytes().get(self.at) {
                Some(b'"') => {
                    let raw = self.slice(from);
                    self.at += 1;
                    return Ok(Text { raw, is_escaped });
                }
                Some(b'\\') => {
                    is_escaped = true;
                    self.at += match self.bytes().get(self.at + 1..) {
                        Some([b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..]) => 2,
                        Some([b'u', hex @ ..]) if hex4(hex).is_some() => 6,
                        _ => return Err(self.fail("an escape that JSON does not know")),
                    };
                }
                Some(_) => return Err(self.fail("a control character that is not escaped")),
                None => return Err(self.fail("a string is not closed")),
            }
        }
    }

    fn number(&mut self) -> Result<&'a str, Broken> {
        let from = self.at;
        self.one_of(b"-");
        if !self.one_of(b"0") {
            self.digits()?;
        }
        if self.one_of(b".") {
            self.digits()?;
        }
        if self.one_of(b"eE") {
            self.one_of(b"+-");
            self.digits()?;
        }
        Ok(self.slice(from))
    }

    fn one_of(&mut self, bytes: &[u8]) -> bool {
        let found = self
            .bytes()
            .get(self.at)
            .is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> Result<(), Broken> {
        let digits = self.bytes()[self.at..].iter();
        let count = digits.take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match count {
            0 => Err(self.fail("expected a digit")),
            _ => Ok(()),
        }
    }
}

/// How many bytes of a string need no look: up to a quote, a backslash or a control character.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Sets the high bit of bytes below `n`, and maybe of some after the first such.
    let below = |word: u64, n: u8| word.wrapping_sub(ONES * u64::from(n)) & !word;
    let mut at = 0;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*eight);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = (quote | backslash | below(word, b' ')) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes[at..].iter();
    at + rest
        .take_while(|byte| !matches!(byte, b'"' | b'\\' | ..b' '))
        .count()
}

/// Four hex digits at the begin.
fn hex4(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.first_chunk::<4>()?;
    digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}

impl<'a> Text<'a> {
    /// The text; a copy only if it has escapes.
    #[inline]
    pub(super) fn read(self) -> Cow<'a, str> {
        if !self.is_escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut out = Vec::with_capacity(self.raw.len());
        self.write(&mut out);
        match String::from_utf8(out) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(""),
        }
    }

    /// The text, if nothing in it is escaped.
    #[inline]
    pub(super) fn plain(self) -> Option<&'a str> {
        (!self.is_escaped).then_some(self.raw)
    }

    /// [`Self::write`] writes no more than this.
    pub(super) fn most_bytes(self) -> usize {
        self.raw.len()
    }

    /// Appends the text. Half of a surrogate pair becomes U+FFFD, as invalid UTF-8 does in protobuf:
    /// JavaScript cuts text between the halves, and the rest of the request is worth having.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let mut rest = self.raw.as_bytes();
        if !self.is_escaped {
            return out.extend_from_slice(rest);
        }
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            let (byte, after) = rest.split_first().unwrap_or((&b'\\', &[]));
            rest = after;
            out.push(match byte {
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    rest = unicode(rest, out);
                    continue;
                }
                other => *other,
            });
        }
        out.extend_from_slice(rest);
    }
}

/// Appends the character whose digits (and maybe a second escape) are at the begin of `rest`; what
/// follows it.
fn unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let first = hex4(rest).unwrap_or(0xFFFD);
    let mut rest = rest.get(4..).unwrap_or_default();
    let mut code = first;
    if let (0xD800..=0xDBFF, [b'\\', b'u', hex @ ..]) = (first, rest)
        && let Some(second @ 0xDC00..=0xDFFF) = hex4(hex)
    {
        code = 0x1_0000 + ((first - 0xD800) << 10 | (second - 0xDC00));
        rest = &hex[4..];
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}
