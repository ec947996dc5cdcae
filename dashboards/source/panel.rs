//! A panel: what it asks and how it looks.

use super::goals::{Goal, goal};

/// Where a panel's numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Prometheus,
    Rows,
}

/// The unit of a number: Grafana's id, and in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit(pub &'static str, pub &'static str);

impl Unit {
    /// A level in this unit, for people.
    pub fn write(self, number: f64) -> String {
        match self.0 {
            "percentunit" => format!("{} %", (number * 1e4).round() / 1e2),
            "s" => format!("{number} s"),
            "ms" => format!("{} s", number / 1e3),
            _ if number >= 1e6 => format!("{} million", number / 1e6),
            _ => number.to_string(),
        }
    }
}

pub const COUNT: Unit = Unit("short", "count");
pub const TOKENS: Unit = Unit("short", "tokens");
pub const SHARE: Unit = Unit("percentunit", "percent");
pub const SCORE: Unit = Unit("none", "score from 0 to 1");
pub const USD: Unit = Unit("currencyUSD", "US dollars");
pub const SECONDS: Unit = Unit("s", "seconds");
pub const OF_A_SECOND: Unit = Unit("percentunit", "percent of one CPU");
pub const MILLIS: Unit = Unit("ms", "milliseconds");
pub const HOURS: Unit = Unit("h", "hours");
pub const DAYS: Unit = Unit("d", "days");
pub const BYTES: Unit = Unit("bytes", "bytes");
pub const BYTES_A_SECOND: Unit = Unit("Bps", "bytes a second");
pub const TOKENS_A_SECOND: Unit = Unit("suffix: /s", "tokens per second");
pub const A_MINUTE: Unit = Unit("suffix: /min", "per minute");
pub const A_SECOND: Unit = Unit("suffix: /s", "per second");
pub const USD_AN_HOUR: Unit = Unit("currencyUSD", "US dollars an hour");
pub const FACTOR: Unit = Unit("suffix:×", "seconds of work for a second of audio");
pub const DEVIATIONS: Unit = Unit("short", "standard deviations");
pub const AGO: Unit = Unit("dateTimeFromNow", "time ago");
pub const ON: Unit = Unit("bool_on_off", "1 is up");

/// How a panel shows its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Large numbers.
    Stat,
    /// Lines over time.
    Lines,
    /// Areas over time that add up.
    Stacked,
    /// A bar a name.
    Gauges,
    /// A bar a row, made of its columns.
    Bars,
    /// Rows.
    Table,
    /// A histogram over time.
    Heatmap,
}

/// A question.
#[derive(Debug, Clone)]
pub struct Target {
    pub source: Source,
    pub query: String,
    pub legend: String,
}

/// What is special about a column, or a series.
#[derive(Debug, Clone)]
pub enum Column {
    Unit(&'static str, Unit),
    Goal(&'static str, Unit, Goal),
    /// Opens the trace's page.
    Trace(&'static str),
}

/// A panel.
#[derive(Debug, Clone)]
pub struct Panel {
    pub title: &'static str,
    pub width: u64,
    pub height: u64,
    pub kind: Kind,
    pub says: &'static str,
    pub unit: Option<Unit>,
    pub decimals: Option<u8>,
    pub goal: Option<Goal>,
    pub targets: Vec<Target>,
    pub columns: Vec<Column>,
    pub more: Option<&'static str>,
    pub none: &'static str,
}

fn panel(kind: Kind, title: &'static str, says: &'static str, width: u64, height: u64) -> Panel {
    Panel {
        title,
        width,
        height,
        kind,
        says,
        unit: None,
        decimals: None,
        goal: None,
        targets: Vec::new(),
        columns: Vec::new(),
        more: None,
        none: "no data",
    }
}

/// Large numbers.
pub fn stat(title: &'static str, says: &'static str) -> Panel {
    panel(Kind::Stat, title, says, 3, 4)
}

/// Lines over time.
pub fn lines(title: &'static str, says: &'static str) -> Panel {
    panel(Kind::Lines, title, says, 12, 8)
}

/// Areas over time that add up.
pub fn stacked(title: &'static str, says: &'static str) -> Panel {
    panel(Kind::Stacked, title, says, 12, 8)
}

/// A bar a name.
pub fn gauges(title: &'static str, says: &'static str) -> Panel {
    panel(Kind::Gauges, title, says, 8, 8)
}

/// A bar a row, made of its columns; the first column is the name.
pub fn bars(title: &'static str, says: &'static str) -> Panel {
    panel(Kind::Bars, title, says, 16, 8)
}

/// Rows.
pub fn table(title: &'static str, says: &'static str) -> Panel {
    panel(Kind::Table, title, says, 12, 8)
}

/// A histogram over time.
pub fn heatmap(title: &'static str, says: &'static str) -> Panel {
    panel(Kind::Heatmap, title, says, 12, 8)
}

impl Panel {
    /// Width, of 24 columns.
    pub fn wide(mut self, width: u64) -> Self {
        self.width = width;
        self
    }

    /// Height, in rows.
    pub fn high(mut self, height: u64) -> Self {
        self.height = height;
        self
    }

    /// The unit of its numbers.
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Digits after the point.
    pub fn decimals(mut self, decimals: u8) -> Self {
        self.decimals = Some(decimals);
        self
    }

    /// Coloured by the levels of this name.
    pub fn goal(mut self, name: &str) -> Self {
        self.goal = Some(goal(name));
        self
    }

    /// Asks Prometheus. The legend may hold `{{label}}`.
    pub fn prom(mut self, legend: &str, query: impl Into<String>) -> Self {
        self.targets.push(Target {
            source: Source::Prometheus,
            query: query.into(),
            legend: legend.to_owned(),
        });
        self
    }

    /// Asks Postgres.
    pub fn rows(mut self, query: impl Into<String>) -> Self {
        self.targets.push(Target {
            source: Source::Rows,
            query: query.into(),
            legend: String::new(),
        });
        self
    }

    /// A column, or a series, with a unit of its own.
    pub fn column(mut self, name: &'static str, unit: Unit) -> Self {
        self.columns.push(Column::Unit(name, unit));
        self
    }

    /// A column, or a series, with a unit of its own, coloured by the levels of this name.
    pub fn column_goal(mut self, name: &'static str, unit: Unit, levels: &str) -> Self {
        let goal = match unit {
            MILLIS => goal(levels).milliseconds(),
            _ => goal(levels),
        };
        self.columns.push(Column::Goal(name, unit, goal));
        self
    }

    /// A column of trace ids, which open the trace's page.
    pub fn trace(mut self, name: &'static str) -> Self {
        self.columns.push(Column::Trace(name));
        self
    }

    /// A click leads to the board of this name.
    pub fn more(mut self, board: &'static str) -> Self {
        self.more = Some(board);
        self
    }

    /// What is shown where there is nothing.
    pub fn none(mut self, text: &'static str) -> Self {
        self.none = text;
        self
    }
}
