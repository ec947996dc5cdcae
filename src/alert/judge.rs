//! Who is told what, and when: once as it begins, again as it gets worse or goes on for long, and
//! once as it is over.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    rules::{RULES, Rule, Severity},
    view::View,
};

/// A value must be good for this long before the alert is over.
const OVER_AFTER: Duration = Duration::from_secs(300);
/// Told again while it goes on: as a warning, as critical.
const AGAIN_AFTER: [Duration; 2] = [
    Duration::from_secs(24 * 3600),
    Duration::from_secs(4 * 3600),
];

/// One alert, of one group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The alert's name.
    pub alert: &'static str,
    /// The pipeline, service, … it is about; "" for none.
    pub group: String,
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// What it is about.
    pub key: Key,
    /// `None`: it is over.
    pub severity: Option<Severity>,
    /// One sentence.
    pub summary: String,
    /// The value and the level, in words.
    pub detail: String,
}

#[derive(Debug)]
struct Course {
    /// Since when the value has been bad: as a warning, as critical.
    bad_since: [Option<Instant>; 2],
    last_bad: Instant,
    /// What was told, and when.
    told: Option<(Severity, Instant)>,
    summary: String,
}

/// What goes on, and what was told of it.
#[derive(Debug, Default)]
pub struct Judge {
    courses: BTreeMap<Key, Course>,
}

impl Judge {
    /// Looks at everything and says what should be told now. Tell [`Judge::told`] what was.
    pub(super) fn look(&mut self, view: &View<'_>) -> Vec<Notice> {
        let mut bad = BTreeMap::new();
        for rule in RULES {
            for severity in rule.severities {
                for (group, value) in (rule.value)(view, *severity) {
                    if rule.worse.holds(value, view, *severity) {
                        let key = Key {
                            alert: rule.name,
                            group,
                        };
                        bad.insert((key, *severity), (rule, value));
                    }
                }
            }
        }
        for (key, course) in &mut self.courses {
            for severity in [Severity::Warning, Severity::Critical] {
                if !bad.contains_key(&(key.clone(), severity)) {
                    course.bad_since[severity as usize] = None;
                }
            }
        }
        let mut due = BTreeMap::new();
        for ((key, severity), (rule, value)) in bad {
            if let Some(notice) = self.is_bad(&key, severity, rule, value, view) {
                // Critical comes after warning and takes its place.
                due.insert(key, notice);
            }
        }
        let over = self.courses.iter().filter(|(_, course)| {
            course.told.is_some() && view.now.duration_since(course.last_bad) >= OVER_AFTER
        });
        let over = over.map(|(key, course)| Notice {
            key: key.clone(),
            severity: None,
            summary: course.summary.clone(),
            detail: "Over for 5 minutes, or there is too little to tell.".to_owned(),
        });
        let notices = due.into_values().chain(over).collect();
        self.courses.retain(|_, course| {
            course.told.is_some() || course.bad_since.iter().any(Option::is_some)
        });
        notices
    }

    fn is_bad(
        &mut self,
        key: &Key,
        severity: Severity,
        rule: &Rule,
        value: f64,
        view: &View<'_>,
    ) -> Option<Notice> {
        let now = view.now;
        let course = self.courses.entry(key.clone()).or_insert(Course {
            bad_since: [None; 2],
            last_bad: now,
            told: None,
            summary: String::new(),
        });
        course.last_bad = now;
        let since = *course.bad_since[severity as usize].get_or_insert(now);
        let is_held = now.duration_since(since) >= rule.hold[severity as usize];
        let is_news = match course.told {
            None => true,
            Some((told, at)) => {
                severity > told
                    || severity == told && now.duration_since(at) >= AGAIN_AFTER[severity as usize]
            }
        };
        let shown = rule.unit.show(value);
        let summary = rule.summary.replace("{value}", &shown);
        let summary = summary.replace("{group}", &key.group);
        course.summary.clone_from(&summary);
        let level = rule.worse.words(view, severity, rule.unit);
        let level = level.map(|words| format!("{} is {words}.", severity.as_str()));
        (is_held && is_news).then(|| Notice {
            key: key.clone(),
            severity: Some(severity),
            summary,
            detail: level.unwrap_or_default(),
        })
    }

    /// A notice was delivered. What was not is due again at the next look.
    pub fn told(&mut self, notice: &Notice, now: Instant) {
        match notice.severity {
            Some(severity) => {
                if let Some(course) = self.courses.get_mut(&notice.key) {
                    course.told = Some((severity, now));
                }
            }
            None => drop(self.courses.remove(&notice.key)),
        }
    }

    /// How many alerts were told and are not over.
    pub fn firing(&self) -> usize {
        self.courses.values().filter(|c| c.told.is_some()).count()
    }
}
