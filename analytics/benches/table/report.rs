//! The rows, printed as they come and kept in `target/bench.json`, and as a page in `target/bench.md`.

use std::{fmt::Write, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::reference::repository;

/// Where a reference figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// Run beside ours, in this run.
    Measured,
    /// Taken from a file of earlier measurements.
    Stored,
    /// There is no reference to run: the bar itself is the reference.
    Bar,
}

/// One figure of ours, what it is compared with, and what it has to reach.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Topic, such as `forecast`.
    pub(crate) topic: String,
    /// What was measured.
    pub(crate) name: String,
    /// Our figure; `None` when it could not be measured here.
    pub(crate) ours: Option<f64>,
    /// The reference's figure in the same unit.
    pub(crate) reference: Option<f64>,
    /// Ours divided by the reference's.
    pub(crate) ratio: Option<f64>,
    /// What ours has to reach, in words: `≤ 0.802`, `0.94 … 0.97`.
    pub(crate) bar: String,
    /// Whether it does. False when it was not measured.
    pub(crate) ok: bool,
    /// Where the reference comes from.
    pub(crate) source: Source,
    /// What a reader has to know: conditions, what was left out, why it was not measured.
    pub(crate) note: String,
    /// The command that makes this row.
    pub(crate) command: String,
    /// The commit it was measured at; `+` when the tree had changes.
    pub(crate) commit: String,
}

/// What a figure has to reach.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "every topic takes the bars it needs")]
pub(crate) enum Bar {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Between these two.
    Within(f64, f64),
    /// The ratio of ours to the reference may be no more than this.
    RatioAtMost(f64),
    /// The reference divided by ours (how many times faster we are) may be no less than this.
    TimesFaster(f64),
    /// The ratio of ours to the reference may be no less than this, both measured in this run: a stored reference is shown, and the
    /// bar is not reached.
    LiveRatioAtLeast(f64),
    /// Printed for the reader; nothing has to be reached.
    Shown,
}

impl Bar {
    /// Whether `ours` reaches it. What is not a finite number never does, nor does anything beside a reference that is not one.
    fn is_met(self, ours: f64, reference: Reference) -> bool {
        if !ours.is_finite() || reference.is_some_and(|(value, _)| !value.is_finite()) {
            return false;
        }
        match (self, reference) {
            (Self::AtMost(most), _) => ours <= most,
            (Self::AtLeast(least), _) => ours >= least,
            (Self::Within(low, high), _) => (low..=high).contains(&ours),
            (Self::RatioAtMost(most), Some((reference, _))) => ours <= most * reference,
            (Self::TimesFaster(least), Some((reference, _))) => reference >= least * ours,
            (Self::LiveRatioAtLeast(least), Some((reference, Source::Measured))) => {
                ours >= least * reference
            }
            (Self::RatioAtMost(_) | Self::TimesFaster(_) | Self::LiveRatioAtLeast(_), _) => false,
            (Self::Shown, _) => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::Within(low, high) => format!("{low} … {high}"),
            Self::RatioAtMost(most) => format!("≤ {most} × reference"),
            Self::TimesFaster(least) => format!("≥ {least} × faster"),
            Self::LiveRatioAtLeast(least) => format!("≥ {least} × reference"),
            Self::Shown => "–".to_owned(),
        }
    }
}

/// No bar accepts what is not a number, ours or the reference's, and none that needs a reference does without; asked before anything
/// is measured.
///
/// # Panics
/// When one does.
pub(crate) fn check() {
    let measured = |value| Some((value, Source::Measured));
    for bar in [
        Bar::AtMost(1.0),
        Bar::AtLeast(1.0),
        Bar::Within(1.0, 1.0),
        Bar::RatioAtMost(1.0),
        Bar::TimesFaster(1.0),
        Bar::LiveRatioAtLeast(1.0),
        Bar::Shown,
    ] {
        assert!(bar.is_met(1.0, measured(1.0)), "{bar:?}");
        for unknown in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!bar.is_met(unknown, measured(1.0)), "{bar:?} {unknown}");
            assert!(!bar.is_met(1.0, measured(unknown)), "{bar:?} {unknown}");
            assert!(!bar.is_met(unknown, None), "{bar:?} {unknown}");
        }
    }
    for bar in [
        Bar::RatioAtMost(1.0),
        Bar::TimesFaster(1.0),
        Bar::LiveRatioAtLeast(1.0),
    ] {
        assert!(!bar.is_met(1.0, None), "{bar:?}");
    }
    assert!(!Bar::LiveRatioAtLeast(1.0).is_met(1.0, Some((1.0, Source::Stored))));
}

/// A reference figure and where it comes from.
pub(crate) type Reference = Option<(f64, Source)>;

/// The table of this run.
pub(crate) struct Table {
    topic: String,
    rows: Vec<Row>,
    measured: Vec<String>,
    commit: String,
}

impl Table {
    pub(crate) fn open() -> Self {
        println!(
            "{:<72}{:>14}{:>14}{:>9}  {:<20}{:<5}source",
            "what", "ours", "reference", "ratio", "bar", "ok"
        );
        Self {
            topic: String::new(),
            rows: Vec::new(),
            measured: Vec::new(),
            commit: commit(),
        }
    }

    pub(crate) fn begin(&mut self, topic: &str) {
        println!("── {topic}");
        self.topic = topic.to_owned();
        self.measured.push(topic.to_owned());
    }

    /// Adds a figure.
    pub(crate) fn row(
        &mut self,
        name: &str,
        ours: f64,
        reference: Reference,
        bar: Bar,
        note: &str,
    ) {
        let value = reference.map(|(value, _)| value);
        self.push(Row {
            topic: self.topic.clone(),
            name: name.to_owned(),
            ours: Some(ours),
            reference: value,
            ratio: value.map(|value| ours / value),
            bar: bar.text(),
            ok: bar.is_met(ours, reference),
            source: reference.map_or(Source::Bar, |(_, source)| source),
            note: note.to_owned(),
            command: self.command(),
            commit: self.commit.clone(),
        });
    }

    /// Adds a figure that could not be measured here. It is never ok.
    pub(crate) fn not_measured(&mut self, name: &str, bar: Bar, why: &str) {
        self.push(Row {
            topic: self.topic.clone(),
            name: name.to_owned(),
            ours: None,
            reference: None,
            ratio: None,
            bar: bar.text(),
            ok: false,
            source: Source::Bar,
            note: format!("not measured: {why}"),
            command: self.command(),
            commit: self.commit.clone(),
        });
    }

    fn command(&self) -> String {
        format!("cargo bench -p analytics --bench table -- {}", self.topic)
    }

    fn push(&mut self, row: Row) {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), figure);
        let source = match row.source {
            Source::Measured => "measured",
            Source::Stored => "stored",
            Source::Bar => "–",
        };
        println!(
            "{:<72}{:>14}{:>14}{:>9}  {:<20}{:<5}{source}{}",
            row.name,
            number(row.ours),
            number(row.reference),
            row.ratio
                .map_or_else(|| "–".to_owned(), |r| format!("{r:.3}")),
            row.bar,
            if row.ok { "yes" } else { "NO" },
            if row.note.is_empty() {
                String::new()
            } else {
                format!("  ({})", row.note)
            }
        );
        self.rows.push(row);
    }

    /// Writes `target/bench.json` and `target/bench.md`; rows of topics that did not run now stay as they were.
    pub(crate) fn close(self) {
        #[derive(Default, Serialize, Deserialize)]
        struct File {
            rows: Vec<Row>,
        }
        let path = path();
        let mut file: File = std::fs::read_to_string(&path)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        file.rows.retain(|row| !self.measured.contains(&row.topic));
        let missed = self.rows.iter().filter(|row| !row.ok).count();
        let count = self.rows.len();
        file.rows.extend(self.rows);
        // In the order of the topics' names, whichever ran last.
        file.rows.sort_by(|a, b| a.topic.cmp(&b.topic));
        let text = serde_json::to_string_pretty(&file).expect("rows are plain data");
        if let Err(error) = std::fs::create_dir_all(path.parent().expect("it has a folder"))
            .and_then(|()| std::fs::write(&path, text + "\n"))
            .and_then(|()| std::fs::write(path.with_extension("md"), page(&file.rows)))
        {
            eprintln!("{} was not written: {error}", path.display());
        }
        println!(
            "{count} rows, {missed} not ok; all rows are in {}",
            path.display()
        );
    }
}

/// All rows as a page, a table per topic.
fn page(rows: &[Row]) -> String {
    let mut page = String::from(
        "# Measured\n\n\
         What `make bench` printed on a machine with two cores: our figure, the reference's, what ours has to reach and whether it does.\n\
         *Measured*: the reference ran beside ours in the same run. *Stored*: it was measured earlier on the same kind of machine. Data sets\n\
         that may not be shipped are read from `$DIGI_BENCH_DATA`; without them their rows are not measured, and never met.\n",
    );
    for topic in rows.chunk_by(|a, b| a.topic == b.topic) {
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "\n## {}\n\n`{}` at commit {}\n\n| what | ours | reference | bar | met |\n|---|---:|---:|---|---|\n",
            topic[0].topic, topic[0].command, topic[0].commit,
        );
        for row in topic {
            let source = match row.source {
                Source::Measured => " measured",
                Source::Stored => " stored",
                Source::Bar => "",
            };
            let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), figure);
            let _ = writeln!(
                page,
                "| {} | {} | {}{} | {} | {} |",
                row.name.replace('|', "\\|"),
                number(row.ours),
                number(row.reference),
                row.reference.map_or("", |_| source),
                row.bar,
                if row.ok { "yes" } else { "**no**" },
            );
        }
    }
    page
}

fn path() -> PathBuf {
    repository("target/bench.json")
}

/// Six significant digits.
fn figure(value: f64) -> String {
    if value != 0.0 && (value.abs() < 1e-3 || value.abs() >= 1e7) {
        return format!("{value:.3e}");
    }
    let digits = (5 - value.abs().max(1e-3).log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.digits$}")
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        std::process::Command::new("git")
            .current_dir(repository(""))
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|s| !s.is_empty());
    format!("{head}{}", if changed { "+" } else { "" })
}
