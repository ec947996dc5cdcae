//! Fills in variables and macros the way Grafana does, so that a question can be asked without it.
//!
//! First the browser puts in variables (`$name`, `${name}`, `${name:format}`); a custom "All" goes
//! in as it is, whatever the format. Then the Postgres datasource expands `$__name(…)`: its
//! arguments end at the first closing parenthesis, and a name it does not know is an error.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

/// A variable's value.
#[derive(Debug, Clone)]
pub enum Choice {
    /// "All", with the text that stands for it.
    All(String),
    /// Chosen values of a variable that may have several.
    Some(Vec<String>),
}

/// What people have chosen, and the time range.
#[derive(Debug, Clone)]
pub struct View {
    pub choices: BTreeMap<String, Choice>,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

/// The interval of the time series, as a board of an hour on a wide screen has it.
const INTERVAL: (&str, u64) = ("1m", 60);
/// Four scrapes of 15 s.
const RATE_INTERVAL: &str = "1m";

impl View {
    /// PromQL as it is sent.
    pub fn promql(&self, query: &str) -> Result<String, String> {
        self.variables(query, |name| match name {
            "__interval" => Some(INTERVAL.0.to_owned()),
            "__rate_interval" => Some(RATE_INTERVAL.to_owned()),
            "__range" => Some(format!("{}s", (self.to - self.from).num_seconds())),
            _ => match self.choices.get(name)? {
                Choice::All(text) => Some(text.clone()),
                // The Prometheus datasource's own format: a pattern of escaped values.
                Choice::Some(values) => Some(match values.as_slice() {
                    [one] => escape_pattern(one),
                    all => {
                        let all: Vec<String> = all.iter().map(|v| escape_pattern(v)).collect();
                        format!("({})", all.join("|"))
                    }
                }),
            },
        })
    }

    /// SQL as it is sent.
    pub fn sql(&self, query: &str) -> Result<String, String> {
        let query = self.variables(query, |name| match name {
            "__interval" => Some(INTERVAL.0.to_owned()),
            _ => match self.choices.get(name)? {
                Choice::All(text) => Some(text.clone()),
                Choice::Some(values) => {
                    let quoted = |value: &String| format!("'{}'", value.replace('\'', "''"));
                    Some(values.iter().map(quoted).collect::<Vec<_>>().join(","))
                }
            },
        })?;
        self.macros(&query)
    }

    /// Replaces variables that `value` knows. Others stay as they are: macros, or a mistake that
    /// the server will complain of.
    fn variables(
        &self,
        query: &str,
        value: impl Fn(&str) -> Option<String>,
    ) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = query;
        while let Some(at) = rest.find('$') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let (name, format, after) = match rest.strip_prefix('{') {
                Some(braced) => {
                    let end = braced
                        .find('}')
                        .ok_or_else(|| format!("no end of ${{ in {query}"))?;
                    let (name, format) = braced[..end]
                        .split_once(':')
                        .unwrap_or((&braced[..end], ""));
                    (name, format, &braced[end + 1..])
                }
                None => {
                    let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
                    (&rest[..end], "", &rest[end..])
                }
            };
            match value(name) {
                Some(value) => {
                    if !["", "sqlstring"].contains(&format) {
                        return Err(format!("a format that is not known here: {format}"));
                    }
                    text.push_str(&value);
                    rest = after;
                }
                None if rest.starts_with('{') => return Err(format!("no variable {name}")),
                None => {
                    text.push('$');
                    text.push_str(name);
                    rest = after;
                }
            }
        }
        Ok(text + rest)
    }

    /// Expands the Postgres datasource's macros.
    fn macros(&self, query: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = query;
        while let Some(at) = rest.find('$') {
            text.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let name = &after[..after.find(|c: char| !is_word(c)).unwrap_or(after.len())];
            let call = after[name.len()..].strip_prefix('(');
            let Some((arguments, next)) = call.and_then(|call| call.split_once(')')) else {
                text.push('$');
                rest = after;
                continue;
            };
            let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
            // An old habit of Grafana: the plain group before a comma names itself.
            let name = match name {
                "__timeGroup" if next.starts_with(',') => "__timeGroupAlias",
                name => name,
            };
            text.push_str(&self.expand(name, &arguments)?);
            rest = next;
        }
        Ok(text + rest)
    }

    fn expand(&self, name: &str, arguments: &[&str]) -> Result<String, String> {
        let time =
            |at: DateTime<Utc>| format!("'{}'", at.to_rfc3339_opts(SecondsFormat::Nanos, true));
        match (name, arguments) {
            ("__timeFilter", [column]) if !column.is_empty() => Ok(format!(
                "{column} BETWEEN {} AND {}",
                time(self.from),
                time(self.to)
            )),
            ("__timeFrom", [""]) => Ok(time(self.from)),
            ("__timeTo", [""]) => Ok(time(self.to)),
            ("__timeGroup", [column, interval]) => {
                let seconds = seconds(interval.trim_matches('\''))?;
                Ok(format!(
                    "floor(extract(epoch from {column})/{seconds})*{seconds}"
                ))
            }
            ("__timeGroupAlias", arguments) => {
                Ok(self.expand("__timeGroup", arguments)? + " AS \"time\"")
            }
            _ => Err(format!("unknown macro ${name}({})", arguments.join(","))),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn seconds(interval: &str) -> Result<u64, String> {
    let wrong = || format!("no interval: {interval}");
    let (number, unit) = interval.split_at(interval.len().saturating_sub(1));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match unit {
        "s" => Ok(number),
        "m" => Ok(number * 60),
        "h" => Ok(number * 3600),
        "d" => Ok(number * 86_400),
        _ => Err(wrong()),
    }
}

/// A value inside a pattern inside a PromQL string.
fn escape_pattern(value: &str) -> String {
    let mut text = String::new();
    for c in value.chars() {
        if c == '\\' {
            text.push_str("\\\\\\\\");
        } else if "$^*{}[]'+?.()|".contains(c) {
            text.push_str("\\\\");
            text.push(c);
        } else {
            text.push(c);
        }
    }
    text
}

#[test]
fn macros_and_variables_become_what_grafana_makes_of_them() {
    let from: DateTime<Utc> = "2018-04-12T18:00:00Z".parse().unwrap();
    let view = |service: Choice| View {
        choices: [("service".to_owned(), service)].into(),
        from,
        to: from + chrono::Duration::minutes(5),
    };
    let all = view(Choice::All("'|.*|'".into()));
    let sql = |query: &str| all.sql(query);
    assert_eq!(
        sql("WHERE $__timeFilter(time_column)").unwrap(),
        "WHERE time_column BETWEEN '2018-04-12T18:00:00.000000000Z' \
         AND '2018-04-12T18:05:00.000000000Z'"
    );
    let group = "floor(extract(epoch from t)/300)*300";
    assert_eq!(
        sql("SELECT $__timeGroup(t , '5m')").unwrap(),
        format!("SELECT {group}")
    );
    assert_eq!(
        sql("SELECT $__timeGroup(t,'5m'), value").unwrap(),
        format!("SELECT {group} AS \"time\", value")
    );
    assert_eq!(
        sql("SELECT $__timeGroupAlias(t,$__interval)").unwrap(),
        "SELECT floor(extract(epoch from t)/60)*60 AS \"time\""
    );
    assert!(sql("SELECT $__timeBucket(t)").is_err());
    assert!(sql("SELECT ${nobody}").is_err());

    let filter = "service IN (${service:sqlstring})";
    assert_eq!(sql(filter).unwrap(), "service IN ('|.*|')");
    let two = view(Choice::Some(vec!["a.b".into(), "it's".into()]));
    assert_eq!(two.sql(filter).unwrap(), "service IN ('a.b','it''s')");
    let selector = "x{service=~\"$service\"}[$__rate_interval]";
    assert_eq!(all.promql(selector).unwrap(), "x{service=~\"'|.*|'\"}[1m]");
    assert_eq!(
        two.promql(selector).unwrap(),
        "x{service=~\"(a\\\\.b|it\\\\'s)\"}[1m]"
    );
}
