//! The pure parser: the bytes of a delimited file and a [`Mapping`] in, metric values and refused rows out.
//!
//! It reads a stream, keeps one record at a time, and hands every finished item to the caller. The order of the items depends
//! on the bytes and the mapping alone, so *the number of items taken* is an offset from which an interrupted import can
//! go on: parse again and skip that many. Refused rows come out as they are met. Values come out as they are met when the
//! mapping says `duplicates = "last"` and `absent = "missing"`; otherwise what the whole file says about a key
//! must be known first, so values come out at the end, sorted by project, brand, metric and period, and memory grows with
//! the number of keys (not with the size of the file).

mod collect;
mod date;
mod guard;
mod names;
mod number;

use std::io::Read;

use chrono::NaiveDate;
use domain::{
    Error, ErrorKind,
    brand::BrandRole,
    ingest::Reject,
    mapping::{
        Absent, Duplicates, Filter, LongLayout, Mapping, MetricColumn, NameRule, TemplatePiece,
        template_pieces,
    },
    metric::Granularity,
};
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use collect::Collected;
use date::Dates;
use guard::Guard;
use names::Names;
use number::Numbers;

/// The refused text that is kept, in characters.
const RAW_CHARACTERS: usize = 200;

/// What one parse may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the file.
    pub max_bytes: u64,
    /// Data rows of the file.
    pub max_rows: u64,
    /// Bytes of one record: an opening quote that nobody closes must not swallow the file into memory.
    pub max_record_bytes: u64,
    /// Distinct keys that may be remembered while repeated or absent values are sorted out.
    pub max_keys: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 2 << 30,
            max_rows: 20_000_000,
            max_record_bytes: 1 << 20,
            max_keys: 20_000_000,
        }
    }
}

/// One value of the file, by names; ids are made by whoever knows the organisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value<'a> {
    /// Name of the project.
    pub project: &'a str,
    /// Name of the brand.
    pub brand: &'a str,
    /// Whose brand it is.
    pub role: BrandRole,
    /// Key of the metric.
    pub metric: &'a str,
    /// First day of the period.
    pub period: NaiveDate,
    /// Length of the period.
    pub granularity: Granularity,
    /// The value, finite, in the metric's unit.
    pub value: f64,
}

/// What the parser hands out.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// A value.
    Value(Value<'a>),
    /// A row or cell that was refused.
    Reject(Reject),
}

/// What was in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Data rows read.
    pub rows: u64,
    /// Values that passed every check.
    pub accepted: u64,
    /// Accepted values that were added to, or replaced, another one of the same key.
    pub merged: u64,
    /// Values left out because the mapping says so (filters, broken first weeks, unknown names).
    pub dropped: u64,
    /// Rows and cells refused, each handed out with its reason.
    pub refused: u64,
    /// Cells that mean "no value".
    pub empty: u64,
    /// Zeros added for absent periods.
    pub filled: u64,
    /// Whole rows among the dropped.
    pub dropped_rows: u64,
    /// Distinct (project, brand, period) keys; 0 when the mapping lets values pass without remembering them.
    pub keys: u64,
    /// Those keys that more than one row contributed to.
    pub merged_keys: u64,
    /// Distinct (project, brand) series; 0 as above.
    pub series: u64,
    /// Items handed out: the offset after the last one.
    pub items: u64,
    /// First period seen.
    pub first: Option<NaiveDate>,
    /// Last period seen.
    pub last: Option<NaiveDate>,
    /// Columns of the file that the mapping neither uses nor ignores.
    pub unmapped: Vec<String>,
}

/// Reads a mapping from TOML and checks it.
///
/// # Errors
/// `mapping.malformed` when the text is no mapping, `mapping.invalid` with every problem and its remedy.
pub fn read_mapping(text: &str) -> Result<Mapping, Error> {
    let mapping: Mapping = toml::from_str(text).map_err(|error| {
        Error::invalid(
            "mapping.malformed",
            format!("the mapping cannot be read: {}", error.to_string().trim()),
        )
        .advise("compare it with the examples in examples/data")
    })?;
    check_mapping(&mapping)?;
    Ok(mapping)
}

/// Checks a mapping.
///
/// # Errors
/// `mapping.invalid` with every problem and its remedy.
pub fn check_mapping(mapping: &Mapping) -> Result<(), Error> {
    let mut problems: Vec<String> = mapping.problems().iter().map(ToString::to_string).collect();
    if mapping.date.time_zone.parse::<chrono_tz::Tz>().is_err() {
        problems.push(format!(
            "date.time_zone: {:?} is not a time zone; give an IANA name such as \"Europe/Berlin\"",
            mapping.date.time_zone
        ));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(
        "mapping.invalid",
        format!(
            "the mapping has {} problem(s): {}",
            problems.len(),
            problems.join("; ")
        ),
    )
    .advise("correct the fields named and try again"))
}

/// Parses a file.
///
/// `take` gets every item in order; when it fails, the parse stops with that error. `cancel` is asked every 1,024 rows.
///
/// # Errors
/// Codes `mapping.invalid`, `ingest.no_header`, `ingest.columns_missing`, `ingest.columns_repeated`, `ingest.too_many_bytes`,
/// `ingest.too_many_rows`, `ingest.too_many_keys`, `ingest.record_too_long`, `ingest.unreadable`, `ingest.cancelled`, and whatever
/// `take` returns.
pub fn parse<R: Read>(
    input: R,
    mapping: &Mapping,
    limits: &Limits,
    cancel: &dyn Cancel,
    take: &mut dyn FnMut(Item<'_>) -> Result<(), Error>,
) -> Result<Summary, Error> {
    check_mapping(mapping)?;
    let meter = guard::Meter::new(limits);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(mapping.file.delimiter as u8)
        .quote(mapping.file.quote as u8)
        .flexible(true)
        .has_headers(false)
        .buffer_capacity(guard::BUFFER)
        .from_reader(Guard::new(input, meter.clone()));
    let mut record = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(unreadable)? {
        return Err(Error::invalid("ingest.no_header", "the file is empty")
            .advise("its first line must name the columns"));
    }
    let header: Vec<String> = record
        .iter()
        .map(|cell| String::from_utf8_lossy(cell).trim().to_owned())
        .collect();
    let plan = Plan::new(mapping, &header)?;
    let mut run = Run {
        plan,
        names: Names::default(),
        collected: Collected::new(mapping, limits),
        summary: Summary::default(),
        take,
    };
    run.summary.unmapped = header
        .iter()
        .filter(|name| !mapping.columns().contains(name.as_str()) && !mapping.ignore.contains(name))
        .cloned()
        .collect();
    loop {
        meter.next_record();
        if !reader.read_byte_record(&mut record).map_err(unreadable)? {
            break;
        }
        run.summary.rows += 1;
        if run.summary.rows > limits.max_rows {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "ingest.too_many_rows",
                format!("the file has more than {} rows", limits.max_rows),
            )
            .advise("split the file, or raise the limit"));
        }
        if run.summary.rows.is_multiple_of(1024) && cancel.is_cancelled() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "ingest.cancelled",
                "the import was cancelled",
            ));
        }
        let line = record.position().map_or(0, csv::Position::line);
        run.row(&record, line, header.len())?;
    }
    run.finish()
}

fn unreadable(error: csv::Error) -> Error {
    if let csv::ErrorKind::Io(inner) = error.kind()
        && let Some(exceeded) = inner
            .get_ref()
            .and_then(|e| e.downcast_ref::<guard::Exceeded>())
    {
        return exceeded.clone().into();
    }
    Error::invalid(
        "ingest.unreadable",
        format!("the file cannot be read on: {error}"),
    )
}

/// Where a name comes from, with columns resolved.
enum NameSource {
    Constant(String),
    Column(usize),
    Template(Vec<Piece>),
}

enum Piece {
    Text(String),
    Column(usize),
}

/// The mapping with its columns resolved to positions.
struct Plan<'m> {
    mapping: &'m Mapping,
    date: usize,
    dates: Dates<'m>,
    numbers: Numbers<'m>,
    brand: NameSource,
    project: NameSource,
    role: Option<usize>,
    filters: Vec<(usize, &'m Filter)>,
    /// Wide: the column of each metric. Empty for long files.
    metrics: Vec<usize>,
    /// Long: the metric and value columns.
    long: Option<(usize, usize, &'m LongLayout)>,
}

impl<'m> Plan<'m> {
    fn new(mapping: &'m Mapping, header: &[String]) -> Result<Self, Error> {
        let used = mapping.columns();
        let missing: Vec<&str> = used
            .iter()
            .copied()
            .filter(|c| !header.iter().any(|h| h == c))
            .collect();
        if !missing.is_empty() {
            return Err(Error::invalid(
                "ingest.columns_missing",
                format!("the file has no column {}; it has {}", missing.join(", "), header.join(", ")),
            )
            .advise("correct the names in the mapping; when there seems to be only one column, correct file.delimiter"));
        }
        let repeated: Vec<&str> = used
            .iter()
            .copied()
            .filter(|c| header.iter().filter(|h| h == c).count() > 1)
            .collect();
        if !repeated.is_empty() {
            return Err(Error::invalid(
                "ingest.columns_repeated",
                format!("the file has several columns named {}", repeated.join(", ")),
            )
            .advise("rename them in the file"));
        }
        let at = |name: &str| {
            header
                .iter()
                .position(|h| h == name)
                .expect("missing columns were refused")
        };
        let source = |rule: &NameRule| match (&rule.column, &rule.template, &rule.constant) {
            (Some(column), ..) => NameSource::Column(at(column)),
            (_, Some(template), _) => NameSource::Template(pieces(template, &at)),
            (.., constant) => NameSource::Constant(constant.clone().unwrap_or_default()),
        };
        Ok(Self {
            mapping,
            date: at(&mapping.date.column),
            dates: Dates::new(&mapping.date, mapping.granularity),
            numbers: Numbers::new(&mapping.file),
            brand: source(&mapping.brand),
            project: source(&mapping.project),
            role: mapping.roles.column.as_deref().map(at),
            filters: mapping.filter.iter().map(|f| (at(&f.column), f)).collect(),
            metrics: if mapping.long.is_some() {
                Vec::new()
            } else {
                mapping.metric.iter().map(|m| at(&m.column)).collect()
            },
            long: mapping
                .long
                .as_ref()
                .map(|l| (at(&l.metric_column), at(&l.value_column), l)),
        })
    }

    /// Values one whole row stands for.
    fn width(&self) -> u64 {
        if self.long.is_some() {
            1
        } else {
            self.metrics.len() as u64
        }
    }
}

fn pieces(template: &str, at: &impl Fn(&str) -> usize) -> Vec<Piece> {
    let pieces = template_pieces(template).expect("a mapping with such a template was refused");
    let resolved = pieces.into_iter().map(|piece| match piece {
        TemplatePiece::Text(text) => Piece::Text(text.to_owned()),
        TemplatePiece::Column(name) => Piece::Column(at(name)),
    });
    resolved.collect()
}

/// Why a row or a cell was refused.
struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// One parse under way.
struct Run<'m, 't> {
    plan: Plan<'m>,
    names: Names,
    collected: Option<Collected>,
    summary: Summary,
    take: &'t mut dyn FnMut(Item<'_>) -> Result<(), Error>,
}

/// What a row's key columns say.
struct Key {
    series: u32,
    period: NaiveDate,
}

impl Run<'_, '_> {
    fn row(&mut self, record: &csv::ByteRecord, line: u64, columns: usize) -> Result<(), Error> {
        if record.len() != columns {
            let refusal = Refusal::new(
                "row.columns",
                format!(
                    "has {} columns where the header has {columns}: look for an unquoted delimiter",
                    record.len()
                ),
            );
            return self.refuse(line, "", &whole(record), refusal);
        }
        let Ok(text) = csv::StringRecord::from_byte_record(record.clone()) else {
            let refusal = Refusal::new(
                "row.not_utf8",
                "is not UTF-8 text: save the file with that encoding",
            );
            return self.refuse(line, "", &whole(record), refusal);
        };
        for (column, filter) in &self.plan.filters {
            let cell = text[*column].trim();
            let keeps = filter.keep.is_empty() || filter.keep.iter().any(|k| k == cell);
            if !keeps || filter.drop.iter().any(|d| d == cell) {
                return self.drop_row();
            }
        }
        let period = match self.plan.dates.read(text[self.plan.date].trim()) {
            Ok(Some(period)) => period,
            Ok(None) => return self.drop_row(),
            Err(refusal) => {
                let column = self.plan.mapping.date.column.clone();
                return self.refuse(line, &column, &text[self.plan.date], refusal);
            }
        };
        let series = match self.series(&text) {
            Ok(series) => series,
            Err((column, refusal)) => return self.refuse(line, &column, &whole(record), refusal),
        };
        let key = Key { series, period };
        match self.plan.long {
            Some((metric_column, value_column, long)) => {
                let name = text[metric_column].trim();
                match self
                    .plan
                    .mapping
                    .metric
                    .iter()
                    .position(|m| m.column == name)
                {
                    Some(metric) => {
                        self.cell(&key, metric, &text[value_column], line, &long.value_column)
                    }
                    None if long.drop_unknown => self.drop_row(),
                    None => {
                        let refusal = Refusal::new(
                            "metric.unknown",
                            "is not a metric of the mapping: add it, or set long.drop_unknown = true",
                        );
                        self.refuse(line, &long.metric_column, name, refusal)
                    }
                }
            }
            None => {
                for metric in 0..self.plan.metrics.len() {
                    let column = self.plan.metrics[metric];
                    let name = self.plan.mapping.metric[metric].column.clone();
                    self.cell(&key, metric, &text[column], line, &name)?;
                }
                Ok(())
            }
        }
    }

    /// The series a row belongs to.
    fn series(&mut self, text: &csv::StringRecord) -> Result<u32, (String, Refusal)> {
        let mapping = self.plan.mapping;
        let project = name(&self.plan.project, text).map_err(|()| {
            (
                mapping.project.columns().join(", "),
                Refusal::new("project.missing", "has no project name"),
            )
        })?;
        let brand = name(&self.plan.brand, text).map_err(|()| {
            (
                mapping.brand.columns().join(", "),
                Refusal::new("brand.missing", "has no brand name"),
            )
        })?;
        let role = match self.plan.role {
            None => mapping.roles.default,
            Some(column) => *mapping
                .roles
                .values
                .get(text[column].trim())
                .unwrap_or(&mapping.roles.default),
        };
        Ok(self.names.series(&project, &brand, role))
    }

    fn cell(
        &mut self,
        key: &Key,
        metric: usize,
        raw: &str,
        line: u64,
        column: &str,
    ) -> Result<(), Error> {
        let definition = &self.plan.mapping.metric[metric];
        match self.plan.numbers.read(raw.trim(), definition) {
            Ok(None) => {
                self.summary.empty += 1;
                Ok(())
            }
            Ok(Some(value)) => match self.rate(definition, key.period) {
                Ok(rate) => self.value(key, metric, value * rate, line, column, raw),
                Err(refusal) => self.refuse(line, column, raw, refusal),
            },
            Err(refusal) => self.refuse(line, column, raw, refusal),
        }
    }

    /// What one unit of the metric's currency is worth in the organisation's on the period's first day.
    fn rate(&self, metric: &MetricColumn, period: NaiveDate) -> Result<f64, Refusal> {
        match (&metric.currency, &self.plan.mapping.rates) {
            (Some(currency), Some(rates)) => rates
                .on(currency, period)
                .map_err(|error| Refusal::new(error.code, error.to_string())),
            _ => Ok(1.0),
        }
    }

    fn value(
        &mut self,
        key: &Key,
        metric: usize,
        value: f64,
        line: u64,
        column: &str,
        raw: &str,
    ) -> Result<(), Error> {
        self.summary.first = Some(
            self.summary
                .first
                .map_or(key.period, |first| first.min(key.period)),
        );
        self.summary.last = Some(
            self.summary
                .last
                .map_or(key.period, |last| last.max(key.period)),
        );
        let Some(collected) = &mut self.collected else {
            self.summary.accepted += 1;
            return self.hand_out(key.series, metric, key.period, value);
        };
        match collected.add(key.series, metric, key.period, value)? {
            collect::Added::New => self.summary.accepted += 1,
            collect::Added::Merged => {
                self.summary.accepted += 1;
                self.summary.merged += 1;
            }
            collect::Added::Repeated => {
                let refusal = Refusal::new(
                    "value.duplicate",
                    "is the second value of its project, brand, metric and period: set values.duplicates to sum or last if that is meant",
                );
                return self.refuse(line, column, raw, refusal);
            }
        }
        Ok(())
    }

    fn hand_out(
        &mut self,
        series: u32,
        metric: usize,
        period: NaiveDate,
        value: f64,
    ) -> Result<(), Error> {
        let (project, brand, role) = self.names.of(series);
        let mapping = self.plan.mapping;
        self.summary.items += 1;
        (self.take)(Item::Value(Value {
            project,
            brand,
            role,
            metric: &mapping.metric[metric].key,
            period,
            granularity: mapping.granularity,
            value,
        }))
    }

    fn drop_row(&mut self) -> Result<(), Error> {
        self.summary.dropped_rows += 1;
        self.summary.dropped += self.plan.width();
        Ok(())
    }

    fn refuse(
        &mut self,
        line: u64,
        column: &str,
        raw: &str,
        refusal: Refusal,
    ) -> Result<(), Error> {
        self.summary.refused += 1;
        self.summary.items += 1;
        (self.take)(Item::Reject(Reject {
            line,
            column: column.to_owned(),
            code: refusal.code.to_owned(),
            message: refusal.message,
            raw: raw.chars().take(RAW_CHARACTERS).collect(),
        }))
    }

    fn finish(mut self) -> Result<Summary, Error> {
        let Some(mut collected) = self.collected.take() else {
            return Ok(self.summary);
        };
        let mapping = self.plan.mapping;
        (
            self.summary.keys,
            self.summary.merged_keys,
            self.summary.series,
        ) = collected.keys();
        self.summary.filled = collected.fill_absent(mapping)?;
        for entry in collected.sorted(&self.names) {
            self.hand_out(entry.series, entry.metric, entry.period, entry.value)?;
        }
        Ok(self.summary)
    }
}

/// A record as text, for people.
fn whole(record: &csv::ByteRecord) -> String {
    record
        .iter()
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>()
        .join(" | ")
}

/// The name a row gives; none when a column it is made of is empty.
fn name(source: &NameSource, text: &csv::StringRecord) -> Result<String, ()> {
    match source {
        NameSource::Constant(constant) => Ok(constant.clone()),
        NameSource::Column(column) => {
            let cell = text[*column].trim();
            if cell.is_empty() {
                Err(())
            } else {
                Ok(cell.to_owned())
            }
        }
        NameSource::Template(parts) => {
            let mut name = String::new();
            for part in parts {
                match part {
                    Piece::Text(text) => name.push_str(text),
                    Piece::Column(column) => {
                        let cell = text[*column].trim();
                        if cell.is_empty() {
                            return Err(());
                        }
                        name.push_str(cell);
                    }
                }
            }
            Ok(name)
        }
    }
}

/// Whether zeros may stand for a metric's absent periods: a count or an amount of money that can be nothing. An absent
/// price or rank is not zero.
fn can_be_nothing(metric: &MetricColumn) -> bool {
    use domain::metric::MetricRole::{Exposure, Outcome, Promotion, Spend};
    metric.role.adds_up(metric.unit)
        && matches!(metric.role, Outcome | Spend | Exposure | Promotion)
}

/// Whether values can be handed out as they are met.
fn streams(mapping: &Mapping) -> bool {
    mapping.values.duplicates == Duplicates::Last && mapping.values.absent == Absent::Missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_whose_braces_do_not_pair_is_refused_before_a_row_is_read() {
        let with = |template: &str| {
            format!(
                r#"
                name = "shop"
                granularity = "week"
                date = {{ column = "week" }}
                brand = {{ template = "{template}" }}
                project = {{ constant = "Shop" }}
                [[metric]]
                column = "sales"
                key = "sales"
                section = "marketplace"
                role = "outcome"
                unit = "currency"
                "#
            )
        };
        for template in ["{maker {brand}", "{maker} {brand", "{maker}}", "{{brand}}"] {
            let error = read_mapping(&with(template)).unwrap_err();
            assert_eq!(error.code, "mapping.invalid", "{template}");
            assert!(error.to_string().contains("brand.template"), "{error}");
        }
        let mapping = read_mapping(&with("{maker}: {brand}")).unwrap();
        let file = "week,maker,brand,sales\n2017-01-02,Acme,Sonne,4\n";
        let mut brands = Vec::new();
        parse(
            file.as_bytes(),
            &mapping,
            &Limits::default(),
            &crate::cancel::never,
            &mut |item| {
                if let Item::Value(value) = item {
                    brands.push(value.brand.to_owned());
                }
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(brands, ["Acme: Sonne"]);
    }
}
