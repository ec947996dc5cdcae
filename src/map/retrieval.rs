//! Fields to `Retrieval`: a vector search or a rerank.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use smol_str::SmolStr;

use super::{
    classify::Kind,
    events::Score,
    fields::{self, Field},
    limits, literal,
    messages::Family,
    normal,
    read::Reading,
    scan::{Scalar, Scan},
    subject::Subject,
};
use crate::{
    otlp::Value,
    record::{Counted, Retrieval, ScoreKind},
};

/// The record of a search.
pub fn record(subject: &Subject<'_, '_>) -> Retrieval {
    let reading = subject.reading;
    let is_rerank = subject.kind == Some(Kind::Rerank);
    let top_k = reading
        .count(Field::TopK)
        .or_else(|| reading.count(Field::SamplingTopK));
    let listed = listed(reading);
    // An emitter that writes one event for the first hit only looks like one with a single hit.
    let told = match subject.events.hits.len() {
        0 => None,
        1 if top_k.is_some_and(|k| k > 1) => None,
        n => i64::try_from(n).ok(),
    };
    let hits = reading
        .count(Field::HitCount)
        .or_else(|| i64::try_from(listed.as_ref()?.len()).ok())
        .or(told);
    let scored: &[Score] = match &listed {
        Some(list) if list.iter().any(|hit| *hit != Score::Unscored) => list,
        _ => &subject.events.hits,
    };
    let (kind, scores) = scores(scored);
    let (kind, best) = best(reading, kind, &scores);
    let rerank_model = reading.name(Field::RerankModel).or_else(|| {
        is_rerank
            .then(|| reading.name(Field::RequestModel))
            .flatten()
    });
    let context = subject.context();
    Retrieval {
        header: subject.header.clone(),
        query: query(reading)
            .filter(|_| subject.keep_content)
            .map(|text| limits::cut(text, limits::CONTENT_BYTES)),
        db_system: reading
            .text(Field::DbSystem)
            .map(|system| normal::db_system(&system)),
        collection_name: reading
            .name(Field::Collection)
            .or_else(|| context.collection_name.as_deref().map(SmolStr::from)),
        top_k,
        hits,
        best_score: best,
        score_kind: kind,
        scores: (!scores.is_empty()).then_some(scores),
        rerank_enabled: (is_rerank || rerank_model.is_some()).then_some(true),
        rerank_model,
        status: subject.ending.status,
        error_type: subject.ending.error_type.clone(),
        context,
        counted: Counted::default(),
    }
}

/// The query's text; of a whole input that is JSON, the member that is named like one.
fn query(reading: &Reading<'_, '_>) -> Option<String> {
    if let Some(query) = reading.text(Field::Query) {
        return Some(query.into_owned());
    }
    let input = reading
        .got(Field::Input)
        .and_then(|got| fields::scalar(got.value));
    match input.as_deref() {
        Some(text) if text.trim_start().starts_with('{') => asked(&literal::read(text)?),
        Some(text) => Some(text.to_owned()),
        None => reading
            .text(Field::DbStatement)
            .map(|text| text.into_owned()),
    }
}

/// The query among the arguments of a function: the one that is named like one, or the first.
fn asked(json: &Json) -> Option<String> {
    const NAMES: [&str; 9] = [
        "query",
        "question",
        "q",
        "text",
        "input",
        "str_or_query_bundle",
        "query_str",
        "kwargs",
        "args",
    ];
    match json {
        Json::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Json::Array(list) => list.iter().find_map(asked),
        Json::Object(object) => NAMES.iter().find_map(|name| asked(object.get(*name)?)),
        _ => None,
    }
}

/// The hits of a JSON list of flat objects whose scores have one of the usual names; `None` lets
/// the slower way look.
fn scored(value: Value<'_>) -> Option<Vec<Score>> {
    let Value::Str(bytes) = value else {
        return None;
    };
    let mut json = Scan::new(bytes)?;
    let mut hits = Vec::with_capacity(8);
    json.eat(b'[')?;
    json.list(|json| {
        hits.push(flat(json)?);
        Some(())
    })?;
    json.is_done().then_some(hits)
}

/// A hit without lists or objects in it, and with no number said twice.
fn flat(json: &mut Scan<'_>) -> Option<Score> {
    let (mut score, mut distance) = (None, None);
    let mut before = b'{';
    while json.eat(b'}').is_none() {
        json.eat(before)?;
        before = b',';
        let key = json.string()?;
        json.eat(b':')?;
        let value = json.scalar()?;
        let slot = match &*key {
            "score" | "similarity" | "relevance_score" => &mut score,
            "distance" => &mut distance,
            _ => continue,
        };
        let Scalar::Number(number) = value else {
            return None;
        };
        if !number.is_finite() || slot.replace(number).is_some() {
            return None;
        }
    }
    // An object begins.
    (before == b',').then_some(match (score, distance) {
        (Some(score), _) => Score::Similarity(score),
        (None, Some(distance)) => Score::Distance(distance),
        (None, None) => Score::Unscored,
    })
}

/// The hits that stand in attributes; `None` if no list is there.
fn listed(reading: &Reading<'_, '_>) -> Option<Vec<Score>> {
    let mut indexed = BTreeMap::<u32, Score>::new();
    for member in reading.family(Family::Document) {
        let hit = indexed.entry(member.index).or_insert(Score::Unscored);
        let last = member.path.rsplit('.').next().unwrap_or_default();
        match (last, fields::number(member.value)) {
            ("score", Some(score)) => *hit = Score::Similarity(score),
            ("distance", Some(distance)) => *hit = Score::Distance(distance),
            _ => {}
        }
    }
    if !indexed.is_empty() {
        return Some(indexed.into_values().collect());
    }
    let got = reading
        .got(Field::Documents)
        .or_else(|| reading.got(Field::Output))?;
    if let Some(list) = scored(got.value) {
        return Some(list);
    }
    let json = fields::json(got.value)?;
    let list = match &json {
        Json::Array(list) => list,
        Json::Object(object) => ["documents", "results", "matches", "hits"]
            .iter()
            .find_map(|key| object.get(*key)?.as_array())?,
        _ => return None,
    };
    Some(list.iter().map(hit).collect())
}

fn hit(json: &Json) -> Score {
    let number = |key: &str| {
        let own = json.get(key).and_then(Json::as_f64);
        own.or_else(|| json.get("metadata")?.get(key)?.as_f64())
            .filter(|n| n.is_finite())
    };
    let scored = number("score")
        .or_else(|| number("similarity"))
        .or_else(|| number("relevance_score"));
    match (scored, number("distance")) {
        (Some(score), _) => Score::Similarity(score),
        (None, Some(distance)) => Score::Distance(distance),
        (None, None) => Score::Unscored,
    }
}

/// The scores of the first hit's kind, in their order.
fn scores(hits: &[Score]) -> (Option<ScoreKind>, Vec<f64>) {
    let mut kind = None;
    let mut scores = Vec::with_capacity(hits.len().min(limits::SCORES));
    for hit in hits.iter().take(limits::SCORES) {
        let (this, score) = match hit {
            Score::Similarity(score) => (ScoreKind::Similarity, *score),
            Score::Distance(score) => (ScoreKind::Distance, *score),
            Score::Unscored => continue,
        };
        if *kind.get_or_insert(this) == this {
            scores.push(score);
        }
    }
    (kind, scores)
}

/// The best score: as said, else the largest similarity or the smallest distance.
fn best(
    reading: &Reading<'_, '_>,
    kind: Option<ScoreKind>,
    scores: &[f64],
) -> (Option<ScoreKind>, Option<f64>) {
    if let Some(score) = reading.number(Field::TopScore) {
        return (Some(ScoreKind::Similarity), Some(score));
    }
    if let Some(distance) = reading.number(Field::TopDistance) {
        return (Some(ScoreKind::Distance), Some(distance));
    }
    let best = match kind {
        Some(ScoreKind::Similarity) => scores.iter().copied().reduce(f64::max),
        Some(ScoreKind::Distance) => scores.iter().copied().reduce(f64::min),
        None => None,
    };
    (kind, best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_way_reads_as_the_slow_one() {
        let slow = |text: &str| -> Vec<Score> {
            let json: Json = serde_json::from_str(text).unwrap();
            json.as_array().unwrap().iter().map(hit).collect()
        };
        let quick = |text: &str| scored(Value::Str(text.as_bytes()));
        for text in [
            r#"[{"id":"a","score":0.94,"source":"x"},{"id":"b","score":-1e-3}]"#,
            r#" [ { "distance" : 0.25 , "id" : 7 } , {"text":"no \"score\"","ok":true} ] "#,
            r#"[{"similarity":1},{"relevance_score":2.5},{"distance":1,"score":3}]"#,
        ] {
            assert_eq!(quick(text), Some(slow(text)), "{text}");
        }
        for text in [
            r#"[{"score":1,"similarity":2}]"#,
            r#"[{"score":1,"metadata":{"score":2}}]"#,
            r#"[{"score":"1"}]"#,
            r#"[{"score":null}]"#,
            r#"[{"score":1},]"#,
            r#"[{"score":1,}]"#,
            r#"[{,"score":1}]"#,
            r#"[{"score":1}"#,
            r#"[{}]"#,
            r#"["a"]"#,
            r#"[}]"#,
            r#"[]"#,
            r#"{"documents":[]}"#,
        ] {
            assert_eq!(quick(text), None, "{text}");
        }
    }
}
