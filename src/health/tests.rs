//! What is told of stages, and how checks add up.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use prometheus::Registry;

use super::{Check, Report, Status, stages::Stages};
use crate::{record, sink::prometheus::Prometheus};

fn call(failed: bool, ended: chrono::DateTime<Utc>) -> record::Record {
    let end = ended.timestamp_nanos_opt().unwrap();
    record::Record::LlmCall(Box::new(record::LlmCall {
        header: record::Header {
            started_at: end - 1_000_000_000,
            completed_at: Some(end),
            service_name: Some(Arc::from("bot")),
            ..record::Header::default()
        },
        status: match failed {
            true => record::Status::Error,
            false => record::Status::Success,
        },
        error_class: failed.then_some(record::ErrorClass::ProviderApi),
        ..record::LlmCall::default()
    }))
}

#[test]
fn a_stage_is_as_well_as_its_last_ten_minutes() {
    let registry = Registry::new();
    let mut sink = Prometheus::new(&Default::default(), &registry).unwrap();
    let (start, clock) = (Instant::now(), Utc::now());
    let mut stages = Stages::new(registry, start);
    let mut minute = 0_u32;
    let mut provider = |good: usize, bad: usize, minutes: u32| {
        minute += minutes;
        let now = clock + Duration::from_secs(60) * minute;
        let calls = (0..good + bad).map(|n| call(n >= good, now));
        sink.observe(&calls.collect::<Vec<_>>());
        let found = stages.look(start + Duration::from_secs(60) * minute, now);
        let (_, check) = found
            .into_iter()
            .find(|(name, _)| *name == "llm_provider")
            .unwrap();
        (check.status, check.error_rate)
    };
    assert_eq!(provider(0, 0, 1), (Status::Unknown, None));
    assert_eq!(provider(97, 3, 1), (Status::Healthy, Some(0.03)));
    assert_eq!(provider(93, 7, 20), (Status::Degraded, Some(0.07)));
    assert_eq!(provider(80, 20, 20), (Status::Unhealthy, Some(0.2)));
    assert_eq!(provider(100, 0, 20), (Status::Healthy, Some(0.0)));
    assert_eq!(
        provider(0, 0, 20),
        (Status::Unknown, None),
        "nothing is known of it now"
    );
    assert_eq!(
        provider(0, 1, 20),
        (Status::Unhealthy, Some(1.0)),
        "none succeeded lately"
    );
}

#[test]
fn the_worst_of_what_is_known_is_the_whole() {
    let now = Utc::now();
    let of = |statuses: &[Status]| {
        let checks = statuses.iter().enumerate();
        let checks = checks.map(|(n, status)| (n.to_string(), Check::new(*status, "")));
        Report::new(checks.collect::<BTreeMap<_, _>>(), now).status
    };
    assert_eq!(of(&[Status::Healthy, Status::Unknown]), Status::Healthy);
    assert_eq!(of(&[Status::Unknown]), Status::Healthy);
    assert_eq!(of(&[Status::Degraded, Status::Healthy]), Status::Degraded);
    assert_eq!(
        of(&[Status::Degraded, Status::Unhealthy]),
        Status::Unhealthy
    );
    let before = now - chrono::Duration::seconds(90);
    let check = Check::new(Status::Healthy, "").succeeded_at(Some(before));
    let report = Report::new([("a".to_owned(), check)].into(), now);
    let age = report.checks["a"].last_success_age_seconds.unwrap();
    assert!((age - 90.0).abs() < 0.01, "{age}");
}
