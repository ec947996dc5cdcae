//! The same through a tree of serde_json: slow, plain, and what the one pass is held against.

use serde_json::{Map, Value};

use crate::otlp::{
    Signal,
    json::schema::{
        LOGS, METRICS, Schema, TRACES,
        Type::{self, Base64, Bool, Double, Enum, Fixed64, Id, Message, Text, Varint},
    },
};

/// `Ok(None)`: JSON, but no request.
pub(super) fn to_protobuf(signal: Signal, body: &[u8]) -> serde_json::Result<Option<Vec<u8>>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let Value::Object(object) = serde_json::from_slice(body)? else {
        return Ok(None);
    };
    let schema = match signal {
        Signal::Traces => TRACES,
        Signal::Logs => LOGS,
        Signal::Metrics => METRICS,
    };
    let is_request = object.is_empty() || object.keys().any(|key| is(key, schema[0].0));
    Ok(is_request.then(|| message(schema, &object)))
}

fn is(key: &str, name: &str) -> bool {
    let fold = |text: &str| text.replace('_', "").to_ascii_lowercase();
    key == name || (key.contains('_') && fold(key) == fold(name))
}

fn message(schema: Schema, object: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in object {
        let Some((_, number, kind)) = schema.iter().find(|(name, ..)| is(key, name)) else {
            continue;
        };
        match value {
            Value::Array(items) => items
                .iter()
                .for_each(|item| field(&mut out, *number, *kind, item)),
            item => field(&mut out, *number, *kind, item),
        }
    }
    out
}

fn field(out: &mut Vec<u8>, number: u32, kind: Type, value: &Value) {
    let text = value.as_str();
    match kind {
        _ if value.is_null() => {}
        Text => match value {
            Value::String(text) => bytes(out, number, text.as_bytes()),
            Value::Number(n) => bytes(out, number, n.to_string().as_bytes()),
            Value::Bool(b) => bytes(out, number, b.to_string().as_bytes()),
            _ => {}
        },
        Id(len) => {
            if let Some(id) = text.and_then(|text| id(text.trim(), len)) {
                bytes(out, number, &id);
            }
        }
        Base64 => {
            if let Some(read) = text.and_then(base64) {
                bytes(out, number, &read);
            }
        }
        Varint => number_field(out, number, integer(value)),
        Bool => {
            let flag = match value {
                Value::Bool(flag) => Some(*flag),
                Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
                _ => None,
            };
            let flag = flag.or_else(|| Some(integer(value).filter(|_| !value.is_object())? != 0));
            number_field(out, number, flag.map(i64::from));
        }
        Enum(names) => {
            let named = text.and_then(|name| names.iter().position(|n| *n == name));
            let n = named.map(|n| n as i64).or_else(|| integer(value));
            number_field(out, number, n);
        }
        Fixed64 => fixed_field(out, number, integer(value).map(i64::to_le_bytes)),
        Double => {
            let n = match value {
                Value::Number(n) => n.as_f64(),
                Value::String(text) => match text.trim() {
                    "NaN" => Some(f64::NAN),
                    "Infinity" => Some(f64::INFINITY),
                    "-Infinity" => Some(f64::NEG_INFINITY),
                    text => text.parse().ok(),
                },
                _ => None,
            };
            fixed_field(out, number, n.map(f64::to_le_bytes));
        }
        Message(schema) => {
            if let Value::Object(object) = value {
                bytes(out, number, &message(schema(), object));
            }
        }
    }
}

fn number_field(out: &mut Vec<u8>, number: u32, n: Option<i64>) {
    if let Some(n) = n {
        prost::encoding::encode_key(number, prost::encoding::WireType::Varint, out);
        prost::encoding::encode_varint(n as u64, out);
    }
}

fn fixed_field(out: &mut Vec<u8>, number: u32, bytes: Option<[u8; 8]>) {
    if let Some(bytes) = bytes {
        prost::encoding::encode_key(number, prost::encoding::WireType::SixtyFourBit, out);
        out.extend_from_slice(&bytes);
    }
}

fn bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn integer(value: &Value) -> Option<i64> {
    let whole = |f: f64| if f < 0.0 { f as i64 } else { f as u64 as i64 };
    match value {
        Value::Number(n) => {
            let exact = n.as_i64().or_else(|| n.as_u64().map(|n| n as i64));
            exact.or_else(|| n.as_f64().filter(|f| f.fract() == 0.0).map(whole))
        }
        Value::String(text) => {
            let text = text.trim();
            let unsigned = || text.parse::<u64>().ok().map(|n| n as i64);
            let float = || text.parse().ok().filter(|f: &f64| f.fract() == 0.0);
            let exact = text.parse().ok().or_else(unsigned);
            exact.or_else(|| float().map(whole))
        }
        Value::Object(halves) => {
            let half = |name| halves.get(name).and_then(Value::as_i64);
            Some((half("high")? << 32) | (half("low")? & 0xffff_ffff))
        }
        _ => None,
    }
}

fn id(text: &str, len: usize) -> Option<Vec<u8>> {
    if text.len() == len * 2 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let digits = text.as_bytes().chunks(2).map(str::from_utf8);
        let byte = |pair: Result<_, _>| u8::from_str_radix(pair.unwrap(), 16).unwrap();
        return Some(digits.map(byte).collect());
    }
    base64(text).filter(|bytes| bytes.len() == len)
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = text
        .trim_end_matches('=')
        .replace('-', "+")
        .replace('_', "/");
    let mut bits = String::new();
    for byte in text.bytes() {
        let six = ALPHABET.iter().position(|letter| *letter == byte)?;
        bits.push_str(&format!("{six:06b}"));
    }
    let eights = bits.as_bytes().chunks_exact(8).map(str::from_utf8);
    let byte = |bits: Result<_, _>| u8::from_str_radix(bits.unwrap(), 2).unwrap();
    Some(eights.map(byte).collect())
}
