//! A saved mapping: how the columns of a file become metric values.
//!
//! People write mappings as TOML (`examples/data/*.mapping.toml`, explained in `docs/mapping.md`); they are stored as they were
//! written. [`Mapping::problems`] says everything that is wrong with one, and what to do, before the first row is read.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    brand::BrandRole,
    currency::{self, Rates},
    metric::{Direction, Granularity, MetricRole, MetricUnit, Section},
    quality::{Cleaning, QualityLimits},
};

/// How one kind of file is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Name of the mapping, unique within the organisation; also the `source` of the values.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Length of the periods that the values belong to.
    pub granularity: Granularity,
    /// A stored value whose period began more than this many weeks before the day of the import is final: a file that says
    /// otherwise no longer changes it. Absent, every value may be restated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restatement_weeks: Option<u32>,
    /// How the text is laid out.
    #[serde(default)]
    pub file: FileFormat,
    /// Where the period is found.
    pub date: DateRule,
    /// Where the brand is found.
    pub brand: NameRule,
    /// Where the project is found.
    pub project: NameRule,
    /// Whose brands these are.
    #[serde(default)]
    pub roles: RoleRule,
    /// For long files, where a row says which metric it holds; absent for wide files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongLayout>,
    /// What happens to repeated and absent values.
    #[serde(default)]
    pub values: ValueRules,
    /// Rows that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Filter>,
    /// Exchange rates, for metrics that come in another currency than the organisation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// Columns that are deliberately not used. A column that is neither used nor listed here is reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// The metrics.
    pub metric: Vec<MetricColumn>,
}

/// How the text of a file is laid out. The first line names the columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileFormat {
    /// Between two cells; one ASCII character.
    pub delimiter: char,
    /// Around cells that hold the delimiter or a line break; one ASCII character.
    pub quote: char,
    /// Decimal mark.
    pub decimal: char,
    /// Mark between groups of three digits; absent when there is none.
    pub thousands: Option<char>,
    /// Texts around numbers that are cut off, such as `€` or `%`.
    pub strip: Vec<String>,
    /// Cells that mean "no value", compared without surrounding spaces.
    pub na: Vec<String>,
}

impl Default for FileFormat {
    fn default() -> Self {
        Self {
            delimiter: ',',
            quote: '"',
            decimal: '.',
            thousands: None,
            strip: Vec::new(),
            na: vec![String::new()],
        }
    }
}

/// Where the period of a row is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateRule {
    /// The column.
    pub column: String,
    /// How it is written.
    #[serde(default)]
    pub format: DateFormat,
    /// Whether a date inside a period stands for that period. Otherwise it must be its first day.
    #[serde(default)]
    pub align: bool,
    /// IANA time zone of the source, such as `Europe/Berlin`: a moment in time belongs to the day it was there.
    #[serde(default = "utc")]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// How a date is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DateFormat {
    /// `2017-01-31`.
    #[default]
    Iso,
    /// `20170131`.
    Compact,
    /// Any other order of day, month and year.
    Pattern {
        /// In the letters of `strftime`, such as `%d/%m/%Y`.
        pattern: String,
    },
    /// A moment with its offset, `2017-01-31T23:30:00Z`, turned into a day in the source's time zone.
    Timestamp,
    /// Microseconds since 1970-01-01T00:00:00Z, turned into a day in the source's time zone.
    EpochMicros,
    /// A running number of weeks.
    WeekNumber {
        /// First day of week `first_week`.
        origin: NaiveDate,
        /// Number of the week that begins at `origin`.
        first_week: i64,
        /// Weeks with a smaller number are left out (and counted): broken first weeks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drop_below: Option<i64>,
    },
}

/// Where a name is found: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NameRule {
    /// The column that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// A text with columns in braces, such as `{manufacturer_id} ({brand})`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The same for every row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
}

impl NameRule {
    /// The columns it reads.
    pub fn columns(&self) -> Vec<&str> {
        if let Some(column) = &self.column {
            return vec![column];
        }
        // A template that cannot be read is one of the mapping's problems.
        let pieces = self.template.as_deref().map(template_pieces);
        let pieces = pieces.and_then(Result::ok).unwrap_or_default();
        let columns = pieces.into_iter().filter_map(|piece| match piece {
            TemplatePiece::Column(name) => Some(name),
            TemplatePiece::Text(_) => None,
        });
        columns.collect()
    }
}

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplatePiece<'t> {
    /// Text that stands in every name.
    Text(&'t str),
    /// The name of a column, whose cell stands there.
    Column(&'t str),
}

/// Takes a template such as `{manufacturer_id} ({brand})` apart.
///
/// # Errors
/// What is wrong with its braces: each pair holds the name of one column, and there are no other braces.
pub fn template_pieces(template: &str) -> Result<Vec<TemplatePiece<'_>>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (text, after) = rest.split_once('{').unwrap_or((rest, ""));
        if text.contains('}') {
            return Err("has a closing brace without an opening one");
        }
        if !text.is_empty() {
            pieces.push(TemplatePiece::Text(text));
        }
        if text.len() == rest.len() {
            break;
        }
        let Some((name, tail)) = after.split_once('}') else {
            return Err("has a brace that is not closed");
        };
        if name.contains('{') {
            return Err("has a brace inside braces");
        }
        if name.is_empty() {
            return Err("has braces with nothing in them");
        }
        pieces.push(TemplatePiece::Column(name));
        rest = tail;
    }
    Ok(pieces)
}

/// Whose brands these are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleRule {
    /// Role of brands that nothing else is said about.
    pub default: BrandRole,
    /// Column that tells the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Role by the text of that column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, BrandRole>,
}

impl Default for RoleRule {
    fn default() -> Self {
        Self {
            default: BrandRole::Primary,
            column: None,
            values: BTreeMap::new(),
        }
    }
}

/// The two columns of a long file: one value per row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongLayout {
    /// Column with the metric's name; it must equal the `column` of one of the mapping's metrics.
    pub metric_column: String,
    /// Column with the value.
    pub value_column: String,
    /// Whether rows with other metrics are left out (and counted) instead of refused.
    #[serde(default)]
    pub drop_unknown: bool,
}

/// What happens when a key (project, brand, metric, period) occurs more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// The second is refused. Remembers every key of the file.
    #[default]
    Reject,
    /// The last one counts.
    Last,
    /// They are added. Remembers every key and its sum.
    Sum,
    /// What adds up is added, everything else (prices, shares, ratings, ranks) averaged over the rows: for files with shorter
    /// periods than the mapping's. Remembers every key.
    Combine,
}

/// What a period without a row means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// Nothing is known.
    #[default]
    Missing,
    /// Nothing happened: every series gets zeros between the first and the last period of the file.
    Zero,
    /// Nothing happened while it was there: zeros between the series' own first and last period.
    ZeroInside,
}

/// Rules for repeated and absent values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValueRules {
    /// Repeated keys.
    pub duplicates: Duplicates,
    /// Absent periods.
    pub absent: Absent,
}

/// A condition on a column; rows that fail it are left out and counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The column.
    pub column: String,
    /// Only these texts pass, when any are given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// These texts do not pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
}

/// A column (wide) or a name in the metric column (long), and the metric it becomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricColumn {
    /// The column, or the name in a long file.
    pub column: String,
    /// Key of the metric.
    pub key: String,
    /// The name people read; the key when absent.
    #[serde(default)]
    pub name: String,
    /// Section of the score.
    pub section: Section,
    /// What it is to the analytics.
    pub role: MetricRole,
    /// Unit, after scaling.
    pub unit: MetricUnit,
    /// Whether more is better.
    #[serde(default = "direct")]
    pub direction: Direction,
    /// Weight in the score; 0 leaves it out.
    #[serde(default)]
    pub weight: f64,
    /// Key of the channel, for spend and exposure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Where it is measured.
    #[serde(default)]
    pub platform: String,
    /// The number in the file is divided by this: 1000000 for micros, 100 for cents.
    #[serde(default = "one")]
    pub divide_by: f64,
    /// What the number in the file counts, before `divide_by`.
    #[serde(default, skip_serializing_if = "Scale::is_one")]
    pub scale: Scale,
    /// ISO 4217 code of the amounts in the file; turned into the currency of `rates` by the rate of the period's first day.
    /// Absent, they are in the organisation's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Smallest believable value, after scaling and in the file's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest believable value, after scaling and in the file's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Numbers for texts, such as `event1 = 1.0`; other texts must be numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<String, f64>,
    /// Value of a cell that means "no value"; absent leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub na_value: Option<f64>,
    /// How its series are cleaned before they are used. Like name and weight it is taken when the metric is first defined.
    #[serde(default, skip_serializing_if = "Cleaning::is_default")]
    pub cleaning: Cleaning,
    /// Limits of the quality check that differ from the usual ones of its role; taken when the metric is first defined.
    #[serde(default, skip_serializing_if = "QualityLimits::is_default")]
    pub quality: QualityLimits,
}

/// What a number in a file counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Ones.
    #[default]
    One,
    /// Thousands.
    Thousand,
    /// Millions.
    Million,
    /// Hundredths: 12.5 is a share of 0.125.
    Percent,
    /// Wholes: 0.125 is 12.5 per cent.
    Share,
}

impl Scale {
    fn is_one(&self) -> bool {
        *self == Self::One
    }

    /// The value in `unit` of a number that counts this. Percent and share only mean something for the units of the same
    /// name; anything else stays as it is ([`Mapping::problems`] refuses it).
    pub fn value(self, number: f64, unit: MetricUnit) -> f64 {
        match (self, unit) {
            (Self::Thousand, _) => number * 1_000.0,
            (Self::Million, _) => number * 1_000_000.0,
            (Self::Percent, MetricUnit::Ratio) => number / 100.0,
            (Self::Share, MetricUnit::Percent) => number * 100.0,
            _ => number,
        }
    }
}

fn direct() -> Direction {
    Direction::Direct
}

fn one() -> f64 {
    1.0
}

impl MetricColumn {
    /// The name people read.
    pub fn label(&self) -> &str {
        if self.name.is_empty() {
            &self.key
        } else {
            &self.name
        }
    }
}

/// Something wrong with a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingProblem {
    /// Where, as a path such as `metric[2].key`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl std::fmt::Display for MappingProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.message, self.advice)
    }
}

impl Mapping {
    /// Every column the mapping reads, without repetition.
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut columns = BTreeSet::from([self.date.column.as_str()]);
        columns.extend(self.brand.columns());
        columns.extend(self.project.columns());
        columns.extend(self.roles.column.as_deref());
        columns.extend(self.filter.iter().map(|f| f.column.as_str()));
        match &self.long {
            Some(long) => columns.extend([long.metric_column.as_str(), long.value_column.as_str()]),
            None => columns.extend(self.metric.iter().map(|m| m.column.as_str())),
        }
        columns
    }

    /// Everything that is wrong with the mapping itself; empty when it can be used.
    pub fn problems(&self) -> Vec<MappingProblem> {
        let mut found = Vec::new();
        let mut say = |field: String, message: &str, advice: &str| {
            found.push(MappingProblem {
                field,
                message: message.to_owned(),
                advice: advice.to_owned(),
            });
        };
        if self.name.trim().is_empty() {
            say(
                "name".into(),
                "is empty",
                "give the mapping a name; it is also the source of its values",
            );
        }
        let FileFormat {
            delimiter,
            quote,
            decimal,
            thousands,
            ..
        } = self.file;
        for (field, mark) in [("file.delimiter", delimiter), ("file.quote", quote)] {
            if !mark.is_ascii() {
                say(
                    field.into(),
                    "is not an ASCII character",
                    "use one such as ',' or ';' or \"\\t\"",
                );
            }
        }
        if delimiter == quote {
            say(
                "file.quote".into(),
                "is the delimiter too",
                "choose two different characters",
            );
        }
        if decimal.is_ascii_digit() || decimal == '-' {
            say(
                "file.decimal".into(),
                "is a digit or a sign",
                "use '.' or ','",
            );
        }
        if thousands == Some(decimal) {
            say(
                "file.thousands".into(),
                "is the decimal mark too",
                "choose two different characters, or leave thousands out",
            );
        }
        if let DateFormat::Pattern { pattern } = &self.date.format {
            let day = ["%d", "%e", "%j", "%D", "%F"]
                .iter()
                .any(|p| pattern.contains(p));
            if !day {
                say(
                    "date.format.pattern".into(),
                    "has no day in it",
                    "write the order of day, month and year, such as \"%d/%m/%Y\"",
                );
            }
        }
        if let DateFormat::WeekNumber { origin, .. } = &self.date.format
            && self.granularity == Granularity::Week
            && Granularity::Week.start_of(*origin) != *origin
        {
            say(
                "date.format.origin".into(),
                "is not a Monday",
                "weeks start on Monday: give the Monday of week first_week",
            );
        }
        for (field, rule) in [("brand", &self.brand), ("project", &self.project)] {
            let given = [
                rule.column.is_some(),
                rule.template.is_some(),
                rule.constant.is_some(),
            ]
            .iter()
            .filter(|g| **g)
            .count();
            if given != 1 {
                say(
                    field.into(),
                    "does not say where the name is found",
                    "give exactly one of column, template or constant",
                );
            }
            let wrong = rule.template.as_deref().and_then(|template| {
                let is_column = |piece: &TemplatePiece| matches!(piece, TemplatePiece::Column(_));
                match template_pieces(template) {
                    Err(wrong) => Some(wrong),
                    Ok(pieces) => (!pieces.iter().any(is_column)).then_some("names no column"),
                }
            });
            if let Some(wrong) = wrong {
                say(
                    format!("{field}.template"),
                    wrong,
                    "put each column name in a pair of braces, as in \"{maker} {line}\", or use constant",
                );
            }
        }
        if !self.roles.values.is_empty() && self.roles.column.is_none() {
            say(
                "roles.values".into(),
                "has no column to look at",
                "give roles.column",
            );
        }
        if self.metric.is_empty() {
            say(
                "metric".into(),
                "is empty",
                "add a [[metric]] for every column that holds values",
            );
        }
        let mut keys = BTreeSet::new();
        for (i, metric) in self.metric.iter().enumerate() {
            let at = |part: &str| format!("metric[{i}].{part}");
            if metric.key.is_empty()
                || !metric
                    .key
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            {
                say(
                    at("key"),
                    "is not a plain key",
                    "use lower-case letters, digits and underscores",
                );
            }
            if !keys.insert(metric.key.as_str()) {
                say(
                    at("key"),
                    "occurs twice",
                    "every metric has a key of its own",
                );
            }
            if !(metric.weight.is_finite() && metric.weight >= 0.0) {
                say(
                    at("weight"),
                    "is negative or not a number",
                    "use 0 to leave the metric out of the score",
                );
            }
            if !metric.divide_by.is_finite() || metric.divide_by == 0.0 {
                say(
                    at("divide_by"),
                    "is zero or not a number",
                    "use 1 for no scaling, 1000000 for micros",
                );
            }
            if matches!(metric.scale, Scale::Percent | Scale::Share)
                && !matches!(metric.unit, MetricUnit::Percent | MetricUnit::Ratio)
            {
                say(
                    at("scale"),
                    "is a share of something, which the unit is not",
                    "use it with unit = \"ratio\" or \"percent\"",
                );
            }
            if let Some(code) = &metric.currency {
                if !currency::is_code(code) {
                    say(
                        at("currency"),
                        "is not a currency",
                        "use the ISO 4217 code of three capital letters, such as USD",
                    );
                }
                if metric.unit != MetricUnit::Currency {
                    say(
                        at("currency"),
                        "is given for something that is no money",
                        "take it out, or use unit = \"currency\"",
                    );
                }
                let is_known = |rates: &Rates| rates.into == *code || rates.of.contains_key(code);
                if !self.rates.as_ref().is_some_and(is_known) {
                    say(
                        at("currency"),
                        "has no rates",
                        "add the rates by date under [rates.of], and rates.into",
                    );
                }
            }
            if let (Some(min), Some(max)) = (metric.min, metric.max)
                && min > max
            {
                say(at("min"), "is above max", "swap them");
            }
            if metric.role == MetricRole::Spend && metric.channel.is_none() {
                say(
                    at("channel"),
                    "is missing",
                    "name the channel that the money goes to",
                );
            }
            let cleaning = metric.cleaning.problems(metric.role == MetricRole::Spend);
            for problem in cleaning.into_iter().chain(metric.quality.problems()) {
                say(at(problem.field), problem.message, problem.advice);
            }
        }
        for (what, message) in self.rates.iter().flat_map(Rates::problems) {
            say(
                "rates".into(),
                &format!("{what:?} {message}"),
                "give codes such as EUR and positive rates by date",
            );
        }
        for (i, filter) in self.filter.iter().enumerate() {
            if filter.keep.is_empty() == filter.drop.is_empty() {
                say(
                    format!("filter[{i}]"),
                    "has both keep and drop, or neither",
                    "give one of them",
                );
            }
        }
        let used = self.columns();
        for column in &self.ignore {
            if used.contains(column.as_str()) {
                say(
                    "ignore".into(),
                    &format!("lists {column:?}, which is used"),
                    "take it out of ignore",
                );
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Mapping {
        serde_json::from_value(serde_json::json!({
            "name": "shop", "granularity": "week",
            "date": { "column": "week" },
            "brand": { "column": "brand" }, "project": { "constant": "Shop" },
            "metric": [{ "column": "sales", "key": "sales", "section": "marketplace", "role": "outcome", "unit": "currency" }]
        }))
        .expect("a mapping")
    }

    #[test]
    fn a_short_mapping_has_sensible_defaults() {
        let mapping = sound();
        assert_eq!(mapping.problems(), Vec::new());
        assert_eq!((mapping.file.delimiter, mapping.file.decimal), (',', '.'));
        assert_eq!(mapping.metric[0].divide_by, 1.0);
        assert_eq!(mapping.values.duplicates, Duplicates::Reject);
        assert_eq!(
            mapping.columns(),
            BTreeSet::from(["brand", "sales", "week"])
        );
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_place() {
        let mut mapping = sound();
        mapping.file.thousands = Some('.');
        mapping.brand.constant = Some("both".into());
        mapping.metric[0].divide_by = 0.0;
        mapping.metric.push(mapping.metric[0].clone());
        mapping.ignore.push("sales".into());
        let fields: Vec<String> = mapping.problems().into_iter().map(|p| p.field).collect();
        assert_eq!(
            fields,
            [
                "file.thousands",
                "brand",
                "metric[0].divide_by",
                "metric[1].key",
                "metric[1].divide_by",
                "ignore"
            ]
        );
    }

    #[test]
    fn a_week_origin_must_be_a_monday() {
        let mut mapping = sound();
        let sunday = NaiveDate::from_ymd_opt(2017, 1, 1).expect("a date");
        mapping.date.format = DateFormat::WeekNumber {
            origin: sunday,
            first_week: 1,
            drop_below: None,
        };
        assert_eq!(mapping.problems()[0].field, "date.format.origin");
    }

    #[test]
    fn an_amount_in_another_currency_needs_rates_and_must_be_money() {
        let mut mapping = sound();
        mapping.metric[0].currency = Some("USD".into());
        let problems = mapping.problems();
        assert_eq!(
            (problems.len(), problems[0].message.as_str()),
            (1, "has no rates")
        );
        mapping.rates = Some(
            serde_json::from_value(
                serde_json::json!({ "into": "EUR", "of": { "USD": { "2025-01-01": 0.92 } } }),
            )
            .expect("rates"),
        );
        assert_eq!(mapping.problems(), Vec::new());
        mapping.metric[0].unit = MetricUnit::Count;
        assert_eq!(mapping.problems()[0].field, "metric[0].currency");
    }

    #[test]
    fn thousands_and_shares_are_put_into_the_unit() {
        let at = |scale: Scale, unit| scale.value(12.5, unit);
        assert_eq!(at(Scale::Thousand, MetricUnit::Count), 12_500.0);
        assert_eq!(at(Scale::Million, MetricUnit::Currency), 12_500_000.0);
        assert_eq!(at(Scale::Percent, MetricUnit::Ratio), 0.125);
        assert_eq!(at(Scale::Percent, MetricUnit::Percent), 12.5);
        assert_eq!(at(Scale::Share, MetricUnit::Percent), 1_250.0);
        let mut mapping = sound();
        mapping.metric[0].scale = Scale::Percent;
        assert_eq!(mapping.problems()[0].field, "metric[0].scale");
    }

    #[test]
    fn rules_and_limits_that_cannot_be_meant_are_problems_of_their_metric() {
        let mut mapping = sound();
        mapping.metric[0].cleaning.stuck_tail = 1;
        mapping.metric[0].quality.max_absent = Some(5.0);
        let fields: Vec<String> = mapping.problems().into_iter().map(|p| p.field).collect();
        assert_eq!(
            fields,
            [
                "metric[0].cleaning.stuck_tail",
                "metric[0].quality.max_absent"
            ]
        );
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let text = serde_json::to_string(&sound())
            .expect("json")
            .replace("\"granularity\"", "\"granularitty\"");
        assert!(serde_json::from_str::<Mapping>(&text).is_err());
    }

    #[test]
    fn a_mapping_survives_a_round_trip() {
        let mapping = sound();
        let text = serde_json::to_string(&mapping).expect("json");
        assert_eq!(
            serde_json::from_str::<Mapping>(&text).expect("a mapping"),
            mapping
        );
    }

    #[test]
    fn a_template_reads_its_columns() {
        let rule = NameRule {
            template: Some("{maker} ({kind})".into()),
            ..NameRule::default()
        };
        assert_eq!(rule.columns(), ["maker", "kind"]);
    }

    #[test]
    fn a_template_is_taken_apart_into_text_and_columns() {
        use TemplatePiece::{Column, Text};
        assert_eq!(
            template_pieces("{maker} ({kind})"),
            Ok(vec![Column("maker"), Text(" ("), Column("kind"), Text(")")])
        );
        assert_eq!(template_pieces("all"), Ok(vec![Text("all")]));
        assert_eq!(template_pieces(""), Ok(Vec::new()));
    }

    #[test]
    fn a_template_with_braces_that_do_not_pair_is_a_problem_of_the_mapping() {
        for template in [
            "{maker {brand}",
            "{{maker}}",
            "{maker} {brand",
            "{maker",
            "{",
            "maker}",
            "{maker}}",
            "{}",
            "maker",
            "",
        ] {
            let mut mapping = sound();
            mapping.brand = NameRule {
                template: Some(template.into()),
                ..NameRule::default()
            };
            let fields: Vec<String> = mapping.problems().into_iter().map(|p| p.field).collect();
            assert_eq!(fields, ["brand.template"], "{template:?}");
        }
    }
}
