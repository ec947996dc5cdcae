//! One pass writes what the tree gives, byte for byte, and takes and refuses the same texts.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::select,
};
use prost::Message as _;
use serde_json::{Map, Value, json};

use super::reference;
use crate::otlp::{
    Signal,
    json::{
        Error,
        schema::{LOGS, METRICS, Schema, TRACES, Type},
        to_protobuf,
    },
};

/// Deeper messages are empty.
const DEPTH: u32 = 9;

fn any_signal() -> impl Strategy<Value = Signal> {
    select(&Signal::ALL)
}

fn schema(signal: Signal) -> Schema {
    match signal {
        Signal::Traces => TRACES,
        Signal::Logs => LOGS,
        Signal::Metrics => METRICS,
    }
}

/// A request with its list and whatever else.
fn request(signal: Signal) -> impl Strategy<Value = Value> {
    let (name, _, kind) = schema(signal)[0];
    let list = vec(of(kind, DEPTH), 0..3);
    (list, btree_map("[a-z]{1,3}", anything(), 0..2)).prop_map(move |(list, others)| {
        let mut request: Map<_, _> = others.into_iter().collect();
        request.insert(name.to_owned(), json!(list));
        Value::Object(request)
    })
}

fn message(schema: Schema, depth: u32) -> BoxedStrategy<Value> {
    if depth == 0 {
        return Just(json!({})).boxed();
    }
    let member = select(schema).prop_flat_map(move |(name, _, kind)| {
        let one = of(kind, depth - 1);
        let value = prop_oneof![
            4 => one.clone(),
            2 => vec(one, 0..4).prop_map(Value::Array),
            1 => anything(),
        ];
        (spelled(name), value)
    });
    let unknown = ("[a-zA-Z_]{1,6}", anything());
    vec(prop_oneof![8 => member, 1 => unknown], 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
        .boxed()
}

/// lowerCamelCase, snake_case, or neither quite.
fn spelled(name: &'static str) -> impl Strategy<Value = String> {
    let snake: String = name
        .chars()
        .flat_map(|c| {
            let underscore = c.is_ascii_uppercase().then_some('_');
            underscore.into_iter().chain([c.to_ascii_lowercase()])
        })
        .collect();
    let odd = [
        snake.to_uppercase(),
        format!("_{name}"),
        name.to_lowercase(),
    ];
    prop_oneof![
        6 => Just(name.to_owned()),
        3 => Just(snake),
        1 => select(odd.to_vec()),
    ]
}

/// A value for a field, in any spelling that is understood and in some that are not.
fn of(kind: Type, depth: u32) -> BoxedStrategy<Value> {
    let whole = || {
        prop_oneof![
            any::<i64>().prop_map(|n| json!(n)),
            any::<u64>().prop_map(|n| json!(n)),
            any::<i64>().prop_map(|n| json!(n.to_string())),
            any::<u64>().prop_map(|n| json!(format!(" {n} "))),
            any::<i16>().prop_map(|n| json!(f64::from(n))),
            (any::<i32>(), any::<i32>()).prop_map(|(low, high)| json!({"low": low, "high": high})),
            (any::<i8>()).prop_map(|low| json!({"low": low, "hi": 1})),
        ]
    };
    match kind {
        Type::Text => prop_oneof![
            4 => text().prop_map(Value::from),
            1 => any::<i32>().prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
        ]
        .boxed(),
        Type::Id(len) => prop_oneof![
            vec(any::<u8>(), len).prop_map(|id| json!(hex(&id))),
            vec(any::<u8>(), len).prop_map(|id| json!(hex(&id).to_uppercase())),
            select(&["AQIDBAUGBwg=", "AQIDBAUGBwgJCgsMDQ4PEA", "", "zz", "/-_+"][..])
                .prop_map(Value::from),
        ]
        .boxed(),
        Type::Base64 => "[A-Za-z0-9+/_-]{0,9}={0,2}".prop_map(Value::from).boxed(),
        Type::Varint | Type::Fixed64 => whole().boxed(),
        Type::Enum(names) => prop_oneof![select(names).prop_map(Value::from), whole()].boxed(),
        Type::Double => prop_oneof![
            any::<i32>().prop_map(|n| json!(f64::from(n) / 16.0)),
            any::<i32>().prop_map(|n| json!((f64::from(n) / 16.0).to_string())),
            any::<i64>().prop_map(Value::from),
            select(&["NaN", "Infinity", "-Infinity", " 1e3", "inf", "1.", "."][..])
                .prop_map(Value::from),
        ]
        .boxed(),
        Type::Bool => prop_oneof![
            any::<bool>().prop_map(Value::from),
            select(&["true", "FALSE", " True ", "yes"][..]).prop_map(Value::from),
            (0..3).prop_map(Value::from),
        ]
        .boxed(),
        Type::Message(schema) => message(schema(), depth),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => any::<String>(),
        // Long enough for a length of two bytes, and one of three.
        2 => "[a-z\"\\\\\n]{100,200}",
        1 => (16_300..16_500_usize).prop_map(|len| "é\t".repeat(len / 3)),
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            btree_map("[a-zA-Z_]{0,6}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// JSON text with spaces between all and characters as escapes, as `dice` fall.
fn written(value: &Value, dice: &mut impl Iterator<Item = u8>, out: &mut String) {
    let space = [" ", "\n\t", "\r\n", "", "", "", ""];
    let mut roll = || usize::from(dice.next().unwrap_or(0));
    out.push_str(space[roll() % space.len()]);
    let mut string = |text: &str, out: &mut String| {
        out.push('"');
        for c in text.chars() {
            if roll() % 3 == 0 || c < ' ' || c == '"' || c == '\\' {
                let units = c.encode_utf16(&mut [0; 2]).to_vec();
                units
                    .iter()
                    .for_each(|unit| out.push_str(&format!("\\u{unit:04X}")));
            } else {
                out.push(c);
            }
        }
        out.push('"');
    };
    match value {
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                written(item, dice, out);
            }
            out.push_str(space[usize::from(dice.next().unwrap_or(0)) % space.len()]);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { " ," } else { " " });
                out.push_str(&json!(key).to_string());
                out.push_str(" :");
                written(member, dice, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Both on one text. Where the tree refuses what the one pass understands, nothing is compared.
fn same(signal: Signal, body: &[u8]) -> Result<(), TestCaseError> {
    let ours = to_protobuf(signal, body, usize::MAX);
    let shown = String::from_utf8_lossy(body);
    match reference::to_protobuf(signal, body) {
        Ok(Some(bytes)) => prop_assert_eq!(ours, Ok(bytes), "{}", shown),
        Ok(None) => prop_assert!(matches!(ours, Err(Error::NoRequest(_))), "{}", shown),
        Err(error) => {
            let error = error.to_string();
            let is_understood = ["surrogate", "end of hex escape", "number out of range"]
                .iter()
                .any(|more| error.contains(more));
            if !is_understood {
                let is_refused = matches!(ours, Err(Error::Syntax { .. }));
                prop_assert!(is_refused, "{error}: {shown}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::property_tests(128))]

    #[test]
    fn a_request_gives_the_same_bytes(
        (signal, request) in any_signal().prop_flat_map(|s| (Just(s), request(s))),
        dice in vec(any::<u8>(), 0..500),
    ) {
        same(signal, request.to_string().as_bytes())?;
        let mut text = String::from("\u{FEFF}");
        written(&request, &mut dice.into_iter().cycle(), &mut text);
        same(signal, text.as_bytes())?;
    }

    #[test]
    fn a_damaged_request_is_taken_or_refused_alike(
        request in request(Signal::Traces),
        damage in vec((any::<prop::sample::Index>(), any::<Option<u8>>()), 1..3),
    ) {
        let mut text = request.to_string().into_bytes();
        for (at, byte) in damage {
            let at = at.index(text.len());
            match byte {
                Some(byte) => text[at] = byte,
                None => text.truncate(at + 1),
            }
        }
        let theirs = reference::to_protobuf(Signal::Traces, &text);
        // Keys may have moved, or stand twice now: then only the verdict is the same.
        if !matches!(theirs, Ok(Some(_))) {
            same(Signal::Traces, &text)?;
        } else {
            prop_assert!(to_protobuf(Signal::Traces, &text, usize::MAX).is_ok());
        }
    }

    #[test]
    fn words_in_any_order_are_taken_or_refused_alike(
        words in vec(select(&[
            "{", "}", "[", "]", ",", ":", "\"resourceSpans\"", "\"a\"", "\"", "\\", "\\u00e9", "\\ud83d",
            "null", "true", "false", "nul", "0", "-", "12", ".5", "e3", "E+", "-0", " ", "\n", "\u{1}", "é",
        ][..]), 0..12),
    ) {
        let text = words.concat();
        same(Signal::Traces, text.as_bytes())?;
        same(Signal::Traces, format!("{{\"resourceSpans\":{text}}}").as_bytes())?;
        same(Signal::Traces, format!("{{\"a\":\"{text}\"}}").as_bytes())?;
    }
}

fn traces(body: &[u8]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(body).unwrap()
}

fn logs(body: &[u8]) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest::decode(body).unwrap()
}

#[test]
fn the_captures_give_the_same_messages() {
    let folder = std::path::Path::new("tests/captures");
    let mut bodies = 0;
    for scenario in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(scenario.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let number = name.trim_start_matches("logs-").trim_end_matches(".json");
            if number.parse::<u32>().is_err() {
                continue;
            }
            let signal = match name.starts_with("logs-") {
                true => Signal::Logs,
                false => Signal::Traces,
            };
            let body = std::fs::read(&path).unwrap();
            let tree = reference::to_protobuf(signal, &body).unwrap().unwrap();
            let ours = to_protobuf(signal, &body, usize::MAX).unwrap();
            // The tree has its keys in order of the alphabet.
            assert_eq!(ours.len(), tree.len());
            match signal {
                Signal::Logs => assert_eq!(logs(&ours), logs(&tree)),
                _ => assert_eq!(traces(&ours), traces(&tree)),
            }
            bodies += 1;
        }
    }
    assert!(bodies > 3, "{bodies}");
}
