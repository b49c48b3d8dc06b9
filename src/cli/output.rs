//! Results on standard output, as an aligned table for people or JSON for programs, and progress on standard error.

use std::{
    io::{ErrorKind, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::{Exit, Failure, Outcome};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

/// Rows with headings. Columns whose cells are all numbers are aligned to the right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self {
            headings: headings.into_iter().map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row of as many cells as there are headings.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.headings.len(), "a cell for every heading");
        self.rows.push(cells.into());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| {
            std::iter::once(&self.headings[column])
                .chain(self.rows.iter().map(|row| &row[column]))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let numeric = |column: usize| {
            !self.rows.is_empty()
                && self.rows.iter().all(|row| {
                    let bare: String = row[column]
                        .chars()
                        .filter(|c| !", %+–".contains(*c))
                        .collect();
                    bare.is_empty() || bare.parse::<f64>().is_ok()
                })
        };
        let columns: Vec<(usize, bool)> = (0..self.headings.len())
            .map(|c| (width(c), numeric(c)))
            .collect();
        for (index, row) in std::iter::once(&self.headings)
            .chain(&self.rows)
            .enumerate()
        {
            let mut line = String::new();
            for (cell, (width, right)) in row.iter().zip(&columns) {
                let padding = " ".repeat(width - cell.chars().count());
                if *right {
                    line.push_str(&padding);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&padding);
                }
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
            if index == 0 {
                let rule: Vec<String> = columns
                    .iter()
                    .map(|(width, _)| "─".repeat(*width))
                    .collect();
                writeln!(f, "{}", rule.join("  "))?;
            }
        }
        Ok(())
    }
}

/// Writes `text` and a line end to standard output. A reader that has seen enough and gone, such as `head`, is no error.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn say(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Unavailable,
            format!("cannot write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Writes `text` and a line end to standard error. Where nobody listens any more there is nobody to tell that to.
pub(crate) fn note(text: &str) {
    let _unheard = writeln!(std::io::stderr(), "{text}");
}

/// Writes a result in the wanted format.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn show(format: Format, table: &Table, document: &impl Serialize) -> Outcome {
    match format {
        Format::Table => say(table.to_string().trim_end()),
        Format::Json => {
            say(&serde_json::to_string_pretty(document).expect("results are plain data"))
        }
    }
}

/// A number with thousands separated, and `decimals` digits after the point.
pub(crate) fn figure(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = plain
        .split_once('.')
        .map_or((plain.as_str(), None), |(w, f)| (w, Some(f)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let negative = value < 0.0 && plain.chars().any(|c| ('1'..='9').contains(&c));
    format!(
        "{}{grouped}{}{}",
        if negative { "-" } else { "" },
        if fraction.is_some() { "." } else { "" },
        fraction.unwrap_or("")
    )
}

fn towards(what: &str) -> String {
    format!("{what} {{wide_bar}} {{percent}} % {{msg}} (about {{eta}} left)")
}

/// A progress bar on standard error that appears after two seconds, on a terminal only.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    shown: std::sync::atomic::AtomicBool,
    began: std::time::Instant,
}

impl Progress {
    /// A bar towards `total` units of `what`; a total of 0 counts up without an end.
    pub(crate) fn new(total: u64, what: &str) -> Self {
        let style = if total == 0 {
            format!("{{spinner}} {what}: {{msg}} {{human_pos}} ({{elapsed}})")
        } else {
            towards(what)
        };
        Self::styled(Some(total), &style)
    }

    /// A sign of life of something whose length is not known.
    pub(crate) fn waiting(what: &str) -> Self {
        Self::styled(None, &format!("{{spinner}} {what} ({{elapsed}})"))
    }

    /// Turns it into a bar towards `total` units, where that has become known.
    pub(crate) fn expect(&self, total: u64, what: &str) {
        if self.bar.length() != Some(total)
            && let Ok(style) = ProgressStyle::with_template(&towards(what))
        {
            self.bar.set_length(total);
            self.bar.set_style(style);
        }
    }

    fn styled(total: Option<u64>, style: &str) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self {
            bar,
            shown: std::sync::atomic::AtomicBool::new(false),
            began: std::time::Instant::now(),
        }
    }

    /// Moves the bar.
    pub(crate) fn to(&self, position: u64, message: &str) {
        use std::sync::atomic::Ordering::Relaxed;
        if self.began.elapsed() > Duration::from_secs(2)
            && std::io::stderr().is_terminal()
            && !self.shown.swap(true, Relaxed)
        {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
        self.bar.set_position(position);
        self.bar.set_message(message.to_owned());
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_to_the_right() {
        let mut table = Table::new(["brand", "sales"]);
        table.row(["Ä".into(), "1,000".into()]);
        table.row(["Borealis".into(), "7".into()]);
        assert_eq!(
            table.to_string(),
            "brand     sales\n────────  ─────\nÄ         1,000\nBorealis      7\n"
        );
    }

    #[test]
    fn figures_are_grouped_and_a_rounded_zero_has_no_sign() {
        assert_eq!(figure(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(figure(-1234.0, 0), "-1,234");
        assert_eq!(figure(-0.001, 1), "0.0");
        assert_eq!(figure(f64::NAN, 1), "–");
    }
}
