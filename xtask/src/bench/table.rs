//! Figures beside what they should be. Numbers are whole: a unit is chosen small enough, and a ratio is
//! kept in thousandths.
use std::fmt::Write;

use serde::Serialize;

/// Which side of its target a figure should be on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    AtLeast(u64),
    AtMost(u64),
    /// Printed to be looked at; nothing is promised.
    Nothing,
}

impl Wanted {
    fn met(self, value: u64) -> Option<bool> {
        match self {
            Wanted::AtLeast(target) => Some(value >= target),
            Wanted::AtMost(target) => Some(value <= target),
            Wanted::Nothing => None,
        }
    }

    fn text(self, unit: Unit) -> String {
        match self {
            Wanted::AtLeast(target) => format!("≥ {}", unit.text(target)),
            Wanted::AtMost(target) => format!("≤ {}", unit.text(target)),
            Wanted::Nothing => "–".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    /// Values are thousandths of one.
    Ratio,
    PerSecond,
    /// Values are nanoseconds, shown as microseconds.
    Microseconds,
    /// Values are microseconds, shown as milliseconds.
    Milliseconds,
    /// Values are KiB, shown as MiB.
    Mebibytes,
    /// Values are bytes, shown as megabytes of 10^6.
    Megabytes,
    Count,
}

impl Unit {
    fn text(self, value: u64) -> String {
        let thousandths = |value: u64| format!("{}.{:02}", value / 1000, value % 1000 / 10);
        match self {
            Unit::Ratio => thousandths(value),
            Unit::PerSecond => format!("{value} /s"),
            Unit::Microseconds => format!("{} µs", thousandths(value)),
            Unit::Milliseconds => format!("{} ms", thousandths(value)),
            Unit::Mebibytes => format!("{}.{} MiB", value / 1024, value % 1024 * 10 / 1024),
            Unit::Megabytes => format!("{} MB", thousandths(value / 1000)),
            Unit::Count => value.to_string(),
        }
    }

    /// What one step of a value means, for programs that read the figures.
    fn step(self) -> &'static str {
        match self {
            Unit::Ratio => "1/1000",
            Unit::PerSecond => "1/s",
            Unit::Microseconds => "ns",
            Unit::Milliseconds => "us",
            Unit::Mebibytes => "KiB",
            Unit::Megabytes => "byte",
            Unit::Count => "1",
        }
    }
}

#[derive(Debug)]
struct Row {
    what: String,
    value: u64,
    unit: Unit,
    target: Wanted,
    goal: Wanted,
}

#[derive(Debug, Default)]
pub(super) struct Table(Vec<Row>);

/// A row for programs: `value` counts `step`s; `met` and `goalMet` are null where nothing is promised.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonRow<'a> {
    what: &'a str,
    value: u64,
    step: &'static str,
    shown: String,
    target: String,
    met: Option<bool>,
    goal: String,
    goal_met: Option<bool>,
}

impl Table {
    pub(super) fn promised(&mut self, what: &str, value: u64, unit: Unit, target: Wanted, goal: Wanted) {
        self.0.push(Row { what: what.to_owned(), value, unit, target, goal });
    }

    pub(super) fn shown(&mut self, what: &str, value: u64, unit: Unit) {
        self.promised(what, value, unit, Wanted::Nothing, Wanted::Nothing);
    }

    /// A Markdown table, so that it can stand in the documents as it is.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![["what", "figure", "target", "", "goal", ""].map(str::to_owned)];
        for row in &self.0 {
            let verdict = |wanted: Wanted| match wanted.met(row.value) {
                Some(true) => "met",
                Some(false) => "NOT MET",
                None => "",
            };
            lines.push([
                row.what.clone(),
                row.unit.text(row.value),
                row.target.text(row.unit),
                verdict(row.target).to_owned(),
                row.goal.text(row.unit),
                verdict(row.goal).to_owned(),
            ]);
        }
        let width = |column: usize| lines.iter().map(|it| it[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        let mut text = String::new();
        for (number, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            // Writing to a string cannot fail.
            writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | ")).ok();
            if number == 0 {
                let rules = widths.iter().map(|width| "-".repeat(*width));
                writeln!(text, "|-{}-|", rules.collect::<Vec<_>>().join("-|-")).ok();
            }
        }
        text
    }

    pub(super) fn json(&self) -> String {
        let rows: Vec<JsonRow<'_>> = self
            .0
            .iter()
            .map(|row| JsonRow {
                what: &row.what,
                value: row.value,
                step: row.unit.step(),
                shown: row.unit.text(row.value),
                target: row.target.text(row.unit),
                met: row.target.met(row.value),
                goal: row.goal.text(row.unit),
                goal_met: row.goal.met(row.value),
            })
            .collect();
        serde_json::to_string_pretty(&rows).map_or_else(|err| format!("{{\"error\":\"{err}\"}}\n"), |it| it + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_judged_and_shown() {
        let mut table = Table::default();
        table.promised("ratio", 869, Unit::Ratio, Wanted::AtLeast(700), Wanted::AtLeast(870));
        table.promised("start", 26_004, Unit::Milliseconds, Wanted::AtMost(25_000), Wanted::AtMost(10_000));
        table.shown("rate", 12_345, Unit::PerSecond);
        let text = table.text();
        let line =
            |name: &str| text.lines().find(|it| it.contains(name)).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(line("ratio").join(" "), "| ratio | 0.86 | ≥ 0.70 | met | ≥ 0.87 | NOT MET |");
        assert_eq!(line("start").join(" "), "| start | 26.00 ms | ≤ 25.00 ms | NOT MET | ≤ 10.00 ms | NOT MET |");
        assert_eq!(line("rate").join(" "), "| rate | 12345 /s | – | | – | |");
        let json: serde_json::Value = serde_json::from_str(&table.json()).unwrap();
        assert_eq!(json[0]["met"], true);
        assert_eq!(json[0]["goalMet"], false);
        assert_eq!(json[2]["met"], serde_json::Value::Null);
    }

    #[test]
    fn units_keep_their_scale() {
        assert_eq!(Unit::Mebibytes.text(40 * 1024 + 512), "40.5 MiB");
        assert_eq!(Unit::Megabytes.text(29_990_000), "29.99 MB");
        assert_eq!(Unit::Microseconds.text(21_340), "21.34 µs");
    }
}
