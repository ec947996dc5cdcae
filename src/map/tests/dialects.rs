//! Every line of every dialect's table does what it says, and the tables don't contradict.

use std::sync::Arc;

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::common::v1::any_value;

use super::payload::{array, double, flag, int, span, text, traces};
use crate::{
    map::{
        context,
        dialect::{DIALECTS, Dialect},
        fields::{Field, Shape},
        lookup::Lookup,
        read::Scratch,
    },
    otlp,
};

/// A value that fits the field.
fn fitting(field: Field) -> any_value::Value {
    match field.shape() {
        Shape::Text | Shape::Content => text("word"),
        Shape::Count => int(3),
        Shape::Number => double(0.5),
        Shape::Flag => flag(true),
        Shape::List => array(vec![text("one")]),
    }
}

fn with_reading<T>(
    lookup: &Lookup,
    pairs: Vec<(&str, any_value::Value)>,
    then: impl Fn(&crate::map::read::Reading<'_, '_>, Option<Arc<crate::record::Context>>) -> T,
) -> T {
    let body = traces("app", vec![span("s", pairs)]);
    let mut found = None;
    otlp::spans(&body, |_, view| {
        let mut scratch = Scratch::default();
        lookup.walk(view.unwrap().attributes(), &mut scratch);
        let context = scratch.context();
        found = Some(then(&scratch.settle("app", None), context));
    })
    .unwrap();
    found.unwrap()
}

fn check_table(dialect: &Dialect) {
    let lookup = Lookup::new(std::iter::empty());
    for (key, field) in dialect.keys {
        with_reading(&lookup, vec![(key, fitting(*field))], |reading, _| {
            if *field == Field::Kind {
                assert_eq!(reading.kinds().count(), 1, "{key}");
            } else {
                let got = reading
                    .got(*field)
                    .unwrap_or_else(|| panic!("{key} fills nothing"));
                assert_eq!(got.key, *key);
            }
        });
    }
    for (key, column) in dialect.context {
        if *column == context::MEMBERS {
            let members = text(r#"{"user_id": "ann", "other": 3}"#);
            with_reading(&lookup, vec![(key, members)], |_, context| {
                assert_eq!(context.unwrap().user_id.as_deref(), Some("ann"), "{key}");
            });
            continue;
        }
        with_reading(&lookup, vec![(key, text("who"))], |_, found| {
            let mut found = found.unwrap_or_else(|| panic!("{key} gives no context"));
            let found = Arc::make_mut(&mut found);
            assert_eq!(found.slot(column).unwrap().as_deref(), Some("who"), "{key}");
        });
    }
    for (prefix, family) in dialect.families {
        let key = format!("{prefix}.2.message.content");
        with_reading(&lookup, vec![(&key, text("hi"))], |reading, _| {
            let member = reading.members.first().unwrap_or_else(|| panic!("{key}"));
            assert_eq!((member.family, member.index), (*family, 2), "{key}");
            assert_eq!(member.path, "message.content");
        });
    }
    for (name, event) in dialect.events {
        assert_eq!(lookup.event(name.as_bytes()), Some(*event), "{name}");
    }
    for sign in dialect.signs {
        with_reading(&lookup, vec![(sign, text("chat"))], |reading, _| {
            assert_eq!(reading.dialect.name, dialect.name, "{sign}");
        });
    }
    for scope in dialect.scopes {
        let place = usize::from(lookup.scope_dialect(&format!("{scope}x")).unwrap());
        assert_eq!(DIALECTS[place].name, dialect.name, "{scope}");
    }
    for (word, kind) in dialect.kinds {
        assert_eq!(*word, word.to_ascii_lowercase());
        let same = dialect
            .kinds
            .iter()
            .filter(|(other, _)| other == word)
            .count();
        assert_eq!(same, 1, "{word} is {kind:?} and something else");
    }
}

#[test]
fn the_otel_table_does_what_it_says() {
    check_table(DIALECTS.iter().find(|d| d.name == "otel").unwrap());
}

#[test]
fn the_openinference_table_does_what_it_says() {
    check_table(DIALECTS.iter().find(|d| d.name == "openinference").unwrap());
}

#[test]
fn the_traceloop_table_does_what_it_says() {
    check_table(DIALECTS.iter().find(|d| d.name == "traceloop").unwrap());
}

#[test]
fn the_plain_table_does_what_it_says() {
    check_table(DIALECTS.iter().find(|d| d.name == "plain").unwrap());
}

#[test]
fn tables_name_each_thing_once() {
    let mut names = BTreeSet::new();
    for dialect in DIALECTS {
        assert!(names.insert(dialect.name));
        let mut keys = BTreeSet::new();
        for (key, field) in dialect.keys {
            assert!(
                keys.insert((*key, field.index())),
                "{key} twice in {}",
                dialect.name
            );
        }
        // The store writes them into JSON as they are.
        let all = dialect.keys.iter().chain(dialect.own);
        for (key, _) in all {
            assert!(
                key.bytes()
                    .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'),
                "{key}"
            );
        }
        for (key, column) in dialect.context {
            let is_known = context::column(column).is_some() || *column == context::MEMBERS;
            assert!(is_known, "{key}");
        }
    }
}

#[test]
fn the_first_usable_attribute_of_the_order_wins() {
    let lookup = Lookup::new(std::iter::empty());
    let pairs = vec![
        ("gen_ai.usage.prompt_tokens", int(11)),
        ("gen_ai.usage.input_tokens", double(f64::NAN)),
    ];
    with_reading(&lookup, pairs, |reading, _| {
        assert_eq!(
            reading.count(Field::InputTokens),
            Some(11),
            "NaN is no number"
        );
    });
    let pairs = vec![
        ("llm.token_count.prompt", int(1)),
        ("gen_ai.usage.input_tokens", int(2)),
    ];
    with_reading(&lookup, pairs.clone(), |reading, _| {
        assert_eq!(
            reading.count(Field::InputTokens),
            Some(2),
            "the span's own dialect: otel"
        );
    });
    let oi = pairs
        .into_iter()
        .chain([("openinference.span.kind", text("LLM"))])
        .collect();
    with_reading(&lookup, oi, |reading, _| {
        assert_eq!(
            reading.count(Field::InputTokens),
            Some(1),
            "now it is openinference"
        );
    });
}

#[test]
fn an_unknown_attribute_is_kept_for_metadata() {
    let lookup = Lookup::new([("x.who", "user_id")].into_iter());
    with_reading(
        &lookup,
        vec![("x.who", text("ada")), ("x.other", int(1))],
        |reading, found| {
            assert_eq!(found.unwrap().user_id.as_deref(), Some("ada"));
            assert_eq!(reading.rest.len(), 1);
        },
    );
}
