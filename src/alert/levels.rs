//! The levels that values are compared with: those of the shipped Prometheus rules, and what the
//! settings change of them.

use std::collections::BTreeMap;

/// The one place where levels stand.
const SHIPPED: &str = include_str!("../../config/rules/thresholds.yml");

/// Changes to levels, as in `error_ratio = { warning = 0.1 }`.
pub type Changes = BTreeMap<String, BTreeMap<String, f64>>;

/// A change names a level that there is not.
#[derive(Debug, thiserror::Error)]
#[error("[alert] levels: there is no {name}.{level}; config/rules/thresholds.yml has them all")]
pub struct Unknown {
    name: String,
    level: String,
}

/// All levels.
#[derive(Debug, Clone)]
pub struct Levels(Changes);

impl Levels {
    /// Those of `config/rules/thresholds.yml`.
    pub fn shipped() -> Self {
        let mut levels = Changes::new();
        // One rule a line, in one form; a test reads the file as the YAML that it is.
        for line in SHIPPED.lines() {
            let rule = line.trim().strip_prefix("- { record: 'threshold:");
            let Some((record, number)) = rule.and_then(|r| r.split_once("', expr: vector(")) else {
                continue;
            };
            let number = number.trim_end_matches(") }").parse();
            if let (Some((name, level)), Ok(number)) = (record.split_once(':'), number) {
                levels
                    .entry(name.to_owned())
                    .or_default()
                    .insert(level.to_owned(), number);
            }
        }
        Self(levels)
    }

    /// The shipped ones, changed.
    pub fn new(changes: &Changes) -> Result<Self, Unknown> {
        let Self(mut levels) = Self::shipped();
        for (name, changed) in changes {
            for (level, number) in changed {
                let slot = levels.get_mut(name).and_then(|l| l.get_mut(level));
                *slot.ok_or_else(|| Unknown {
                    name: name.clone(),
                    level: level.clone(),
                })? = *number;
            }
        }
        Ok(Self(levels))
    }

    /// A level. What is not there is never reached: no value compares with NaN.
    pub fn get(&self, name: &str, level: &str) -> f64 {
        let levels = self.0.get(name);
        levels
            .and_then(|levels| levels.get(level))
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// All of them.
    pub fn all(&self) -> &Changes {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_the_shipped_levels_is_passed_over() {
        let levels = Levels::new(&Changes::new()).unwrap();
        let found: usize = levels.0.values().map(BTreeMap::len).sum();
        assert_eq!(found, SHIPPED.matches("record:").count());
        assert_eq!(levels.get("error_budget_burn", "critical"), 14.4);
    }

    #[test]
    fn settings_change_what_there_is() {
        let changes = |name: &str| Changes::from([(name.into(), [("warning".into(), 0.5)].into())]);
        let levels = Levels::new(&changes("error_ratio")).unwrap();
        assert_eq!(levels.get("error_ratio", "warning"), 0.5);
        assert_eq!(levels.get("error_ratio", "critical"), 0.1);
        let wrong = Levels::new(&changes("eror_ratio")).unwrap_err().to_string();
        assert!(wrong.contains("eror_ratio.warning"), "{wrong}");
    }
}
