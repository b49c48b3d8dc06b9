//! From a table and a request to the numbers a model is made of.

use std::{collections::BTreeMap, io::Read};

use chrono::{Datelike, NaiveDate};

use super::{
    LARGEST, MixError,
    density::{self, Design, Effect, Lift},
    prior::{Prior, Support},
    request::{self, Request, Scaling, Trend},
    transform::Adstock,
};

/// Columns of numbers and of texts, all of the same length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    columns: BTreeMap<String, Vec<f64>>,
    texts: BTreeMap<String, Vec<String>>,
    rows: usize,
}

impl Table {
    /// An empty table of so many rows.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// Adds a column of numbers; NaN is a value that is not known.
    ///
    /// # Panics
    /// Where the length is not that of the table.
    #[must_use]
    pub fn with(mut self, name: &str, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), self.rows, "column {name}");
        self.columns.insert(name.to_owned(), values);
        self
    }

    /// Adds a column of texts: dates as `YYYY-MM-DD`, names of groups.
    ///
    /// # Panics
    /// Where the length is not that of the table.
    #[must_use]
    pub fn with_text(mut self, name: &str, values: Vec<String>) -> Self {
        assert_eq!(values.len(), self.rows, "column {name}");
        self.texts.insert(name.to_owned(), values);
        self
    }

    /// Reads a CSV file with a header. Every column is kept as text; where all cells are numbers, empty or `NA`, also as numbers.
    ///
    /// # Errors
    /// [`MixError::Table`] where it is not CSV.
    pub fn from_csv(reader: impl Read) -> Result<Self, MixError> {
        let mut csv = csv::Reader::from_reader(reader);
        let names: Vec<String> = csv
            .headers()
            .map_err(|e| MixError::Table(e.to_string()))?
            .iter()
            .map(|s| s.trim().to_owned())
            .collect();
        let mut cells: Vec<Vec<String>> = vec![Vec::new(); names.len()];
        for record in csv.records() {
            let record = record.map_err(|e| MixError::Table(e.to_string()))?;
            for (column, cell) in cells.iter_mut().zip(&record) {
                column.push(cell.trim().to_owned());
            }
        }
        let mut table = Self::new(cells.first().map_or(0, Vec::len));
        for (name, column) in names.into_iter().zip(cells) {
            let numbers: Option<Vec<f64>> = column
                .iter()
                .map(|cell| match cell.as_str() {
                    "" | "NA" | "na" | "NaN" | "nan" => Some(f64::NAN),
                    other => other.parse().ok(),
                })
                .collect();
            if let Some(numbers) = numbers {
                table.columns.insert(name.clone(), numbers);
            }
            table.texts.insert(name, column);
        }
        Ok(table)
    }

    /// The rows that `keep` says yes to, in their order.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.rows).filter(|i| keep(*i)).collect();
        let numbers = |v: &Vec<f64>| kept.iter().map(|i| v[*i]).collect();
        let texts = |v: &Vec<String>| kept.iter().map(|i| v[*i].clone()).collect();
        Self {
            columns: self
                .columns
                .iter()
                .map(|(k, v)| (k.clone(), numbers(v)))
                .collect(),
            texts: self
                .texts
                .iter()
                .map(|(k, v)| (k.clone(), texts(v)))
                .collect(),
            rows: kept.len(),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A column of numbers.
    ///
    /// # Errors
    /// [`MixError::Column`] where there is none of that name.
    pub fn numbers(&self, name: &str) -> Result<&[f64], MixError> {
        self.columns
            .get(name)
            .map(Vec::as_slice)
            .ok_or_else(|| MixError::Column(name.to_owned()))
    }

    /// A column of texts.
    ///
    /// # Errors
    /// [`MixError::Column`] where there is none of that name.
    pub fn text(&self, name: &str) -> Result<&[String], MixError> {
        self.texts
            .get(name)
            .map(Vec::as_slice)
            .ok_or_else(|| MixError::Column(name.to_owned()))
    }
}

/// A design and what leads back from it to the units of the data.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) design: Design,
    /// Names of the groups.
    pub(super) groups: Vec<String>,
    /// First days of the periods, where there are dates.
    pub(super) dates: Vec<NaiveDate>,
    /// Outcome by row in its units, NaN where it is not known.
    pub(super) outcome: Vec<f64>,
    /// What one unit of the design's outcome is in units of the outcome, by group.
    pub(super) unit: Vec<f64>,
    /// What zero of the design's outcome is, by group.
    pub(super) zero: Vec<f64>,
    /// Money per unit of the outcome, by row.
    pub(super) value: Vec<f64>,
    /// Spend by channel and row; empty where it is not known.
    pub(super) spend: Vec<Vec<f64>>,
    /// Rows in the order of the design: index into the table.
    pub(super) order: Vec<usize>,
}

impl Prepared {
    /// Reads a table; the outcome of the last `hidden` periods is kept from the design and its scales.
    pub(super) fn new(table: &Table, request: &Request, hidden: usize) -> Result<Self, MixError> {
        check_priors(request)?;
        if request.channels.is_empty() {
            return Err(MixError::NoChannel);
        }
        let rows = table.rows();
        let (groups, order) = order(table, request)?;
        let periods = if groups.is_empty() {
            0
        } else {
            rows / groups.len()
        };
        let take = |values: &[f64]| -> Vec<f64> { order.iter().map(|i| values[*i]).collect() };
        let outcome = take(table.numbers(&request.outcome)?);
        let dates = match &request.date {
            None => Vec::new(),
            Some(name) => {
                let cells = table.text(name)?;
                order[..periods]
                    .iter()
                    .map(|i| {
                        cells[*i]
                            .get(..10)
                            .and_then(|day| day.parse::<NaiveDate>().ok())
                            .ok_or_else(|| MixError::Date(cells[*i].clone()))
                    })
                    .collect::<Result<Vec<_>, _>>()?
            }
        };
        check_spacing(&dates)?;
        let visible = periods.saturating_sub(hidden);
        let mut known = vec![0.0; rows];
        for g in 0..groups.len() {
            for t in 0..visible {
                let i = g * periods + t;
                known[i] = f64::from(u8::from(outcome[i].is_finite()));
            }
        }
        let observations = known.iter().sum::<f64>();
        // Below this there is nothing to tell apart: every channel alone has three unknowns, every column one, and the noise
        // needs a few rows of its own.
        let needed =
            (3 * request.channels.len() + 4).saturating_add(unknowns(request, groups.len()));
        if observations < needed as f64 {
            return Err(MixError::TooShort {
                rows: observations as usize,
                needed,
            });
        }
        let size = sizes(table, request, &groups, periods, &order, &outcome, &known)?;
        // Outcome on the scale of the design.
        let relative: Vec<f64> = (0..rows).map(|i| outcome[i] / size[i / periods]).collect();
        let seen: Vec<f64> = (0..rows)
            .filter(|i| known[*i] > 0.0)
            .map(|i| relative[i])
            .collect();
        let (zero, unit) = match request.scaling {
            Scaling::Maximum => (0.0, seen.iter().fold(0.0f64, |m, v| m.max(v.abs()))),
            Scaling::Standard => {
                let (mean, sd) = moments(&seen);
                (mean, sd)
            }
        };
        let spread = moments(&seen).1;
        if !(unit > 0.0 && unit.is_finite() && spread > 1e-12 * unit) {
            return Err(MixError::ConstantOutcome);
        }
        let scaled = (0..rows)
            .map(|i| {
                if known[i] > 0.0 {
                    (relative[i] - zero) / unit
                } else {
                    0.0
                }
            })
            .collect();
        let value = match &request.value {
            Some(name) => finite(name, take(table.numbers(name)?))?,
            None => vec![1.0; rows],
        };
        check_size(request, groups.len(), rows)?;
        let mut columns = baseline(request, &groups, periods, visible, &dates)?;
        for control in &request.controls {
            let mut values = finite(&control.column, take(table.numbers(&control.column)?))?;
            if request.scaling == Scaling::Standard {
                let (mean, sd) = moments(&values);
                if sd > 0.0 {
                    values.iter_mut().for_each(|v| *v = (*v - mean) / sd);
                }
            }
            columns.push(density::Column {
                name: format!("gamma_control[{}]", control.column),
                prior: control.prior.unwrap_or(request.priors.control),
                values,
                shared: false,
                spread: differing(request.priors.spread, groups.len()).filter(|_| control.varies),
            });
        }
        let mean_size = size.iter().sum::<f64>() / size.len() as f64;
        let (mut channels, mut spends) = (Vec::new(), Vec::new());
        for channel in &request.channels {
            let spend = match &channel.spend {
                Some(name) => not_negative(name, take(table.numbers(name)?))?,
                None => Vec::new(),
            };
            let name = channel
                .exposure
                .as_ref()
                .or(channel.spend.as_ref())
                .ok_or_else(|| MixError::NoExposure(channel.name.clone()))?;
            let mut exposure = not_negative(name, take(table.numbers(name)?))?;
            for (i, x) in exposure.iter_mut().enumerate() {
                *x /= size[i / periods];
            }
            let unit_of_exposure = match request.scaling {
                Scaling::Maximum => exposure.iter().fold(0.0f64, |m, v| m.max(*v)),
                Scaling::Standard => median_positive(&exposure),
            };
            if unit_of_exposure <= 0.0 {
                return Err(MixError::Unused(channel.name.clone()));
            }
            exposure.iter_mut().for_each(|x| *x /= unit_of_exposure);
            if !channel.lift_tests.is_empty() && !channel.normalise {
                return Err(MixError::LiftNeedsNormalised(channel.name.clone()));
            }
            let lifts = channel
                .lift_tests
                .iter()
                .map(|test| {
                    let sound = test.from >= 0.0
                        && test.to > test.from
                        && test.to.is_finite()
                        && test.lift.is_finite()
                        && test.error > 0.0
                        && test.error.is_finite();
                    sound
                        .then_some(Lift {
                            from: test.from / mean_size / unit_of_exposure,
                            to: test.to / mean_size / unit_of_exposure,
                            effect: test.lift / mean_size / unit,
                            error: test.error / mean_size / unit,
                        })
                        .ok_or_else(|| MixError::LiftTest(channel.name.clone()))
                })
                .collect::<Result<Vec<_>, _>>()?;
            let (effect, weight) = match channel.roi {
                None => (
                    Effect::Coefficient(channel.coefficient),
                    vec![1.0 / rows as f64; rows],
                ),
                Some(prior) => {
                    let total: f64 = spend.iter().sum();
                    if total <= 0.0 {
                        return Err(MixError::RoiWithoutSpend(channel.name.clone()));
                    }
                    if prior.support() != Support::Positive {
                        return Err(MixError::Prior {
                            parameter: format!("roi[{}]", channel.name),
                            defect: "a return's prior must lie above zero",
                        });
                    }
                    let weight = (0..rows)
                        .map(|i| unit * size[i / periods] * value[i])
                        .collect();
                    (Effect::Return(prior, total), weight)
                }
            };
            let priors = |given: &[Prior], default: Vec<Prior>, parameters: &[&str]| {
                if given.is_empty() {
                    Ok(default)
                } else if given.len() == parameters.len() {
                    Ok(given.to_vec())
                } else {
                    Err(MixError::PriorCount {
                        channel: channel.name.clone(),
                        needed: parameters.len(),
                    })
                }
            };
            channels.push(density::Channel {
                name: channel.name.clone(),
                exposure,
                adstock: channel.adstock,
                lags: if channel.adstock == Adstock::None {
                    1
                } else {
                    channel.lags.clamp(1, periods)
                },
                normalise: channel.normalise,
                saturation: channel.saturation,
                adstock_priors: priors(
                    &channel.adstock_priors,
                    request::adstock_priors(channel.adstock),
                    channel.adstock.parameters(),
                )?,
                saturation_priors: priors(
                    &channel.saturation_priors,
                    request::saturation_priors(channel.saturation),
                    channel.saturation.parameters(),
                )?,
                effect,
                spread: differing(channel.spread, groups.len()),
                weight,
                lifts,
            });
            spends.push(spend);
        }
        let design = Design {
            groups: groups.len(),
            periods,
            outcome: scaled,
            known,
            columns,
            channels,
            noise: request.priors.noise,
        };
        Ok(Self {
            unit: size.iter().map(|s| s * unit).collect(),
            zero: size.iter().map(|s| s * zero).collect(),
            design,
            groups,
            dates,
            outcome,
            value,
            spend: spends,
            order,
        })
    }
}

/// Names of the groups and the rows of the table, group after group, in order of time.
fn order(table: &Table, request: &Request) -> Result<(Vec<String>, Vec<usize>), MixError> {
    let rows = table.rows();
    if rows == 0 {
        return Err(MixError::TooShort { rows, needed: 1 });
    }
    let mut order: Vec<usize> = (0..rows).collect();
    let Some(column) = &request.group else {
        if let Some(date) = &request.date {
            let days = table.text(date)?;
            order.sort_by(|a, b| days[*a].cmp(&days[*b]));
            if let Some(w) = order.windows(2).find(|w| days[w[0]] == days[w[1]]) {
                return Err(MixError::RepeatedPeriod(days[w[0]].clone()));
            }
        }
        return Ok((vec![String::new()], order));
    };
    let names = table.text(column)?;
    let days = request.date.as_ref().map(|d| table.text(d)).transpose()?;
    order.sort_by(|a, b| {
        names[*a]
            .cmp(&names[*b])
            .then_with(|| days.map_or(std::cmp::Ordering::Equal, |days| days[*a].cmp(&days[*b])))
    });
    let mut groups: Vec<String> = Vec::new();
    for i in &order {
        if groups.last() != Some(&names[*i]) {
            groups.push(names[*i].clone());
        }
    }
    let periods = rows / groups.len();
    let aligned = periods * groups.len() == rows
        && order.chunks(periods).all(|chunk| {
            chunk.iter().all(|i| names[*i] == names[chunk[0]])
                && days.is_none_or(|days| {
                    chunk
                        .iter()
                        .zip(&order[..periods])
                        .all(|(i, first)| days[*i] == days[*first])
                })
        });
    if !aligned {
        return Err(MixError::Unbalanced);
    }
    if let Some(days) = days
        && let Some(w) = order[..periods]
            .windows(2)
            .find(|w| days[w[0]] == days[w[1]])
    {
        return Err(MixError::RepeatedPeriod(days[w[0]].clone()));
    }
    Ok((groups, order))
}

/// Refuses periods that are not one step apart, in months or in days. The step is that of most of them.
fn check_spacing(dates: &[NaiveDate]) -> Result<(), MixError> {
    let Some(first) = dates.first() else {
        return Ok(());
    };
    let ends_month = |d: &NaiveDate| d.succ_opt().is_some_and(|next| next.day() == 1);
    let monthly = dates.iter().all(|d| d.day() == first.day()) || dates.iter().all(ends_month);
    let place = |d: &NaiveDate| {
        if monthly {
            12 * i64::from(d.year()) + i64::from(d.month())
        } else {
            i64::from(d.num_days_from_ce())
        }
    };
    let steps: Vec<i64> = dates
        .windows(2)
        .map(|w| place(&w[1]) - place(&w[0]))
        .collect();
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    let usual = sorted.get(sorted.len() / 2);
    match steps.iter().position(|step| Some(step) != usual) {
        Some(at) => Err(MixError::UnevenPeriods {
            from: dates[at],
            to: dates[at + 1],
        }),
        None => Ok(()),
    }
}

fn sizes(
    table: &Table,
    request: &Request,
    groups: &[String],
    periods: usize,
    order: &[usize],
    outcome: &[f64],
    known: &[f64],
) -> Result<Vec<f64>, MixError> {
    if let Some(name) = &request.size {
        let column = table.numbers(name)?;
        return (0..groups.len())
            .map(|g| {
                let size = column[order[g * periods]];
                (size > 0.0 && size.is_finite())
                    .then_some(size)
                    .ok_or_else(|| MixError::Size(groups[g].clone()))
            })
            .collect();
    }
    if groups.len() == 1 {
        return Ok(vec![1.0]);
    }
    (0..groups.len())
        .map(|g| {
            let seen: Vec<f64> = (g * periods..(g + 1) * periods)
                .filter(|i| known[*i] > 0.0)
                .map(|i| outcome[i])
                .collect();
            let mean = moments(&seen).0;
            (mean > 0.0)
                .then_some(mean)
                .ok_or_else(|| MixError::Size(groups[g].clone()))
        })
        .collect()
}

/// The prior of a standard deviation between groups, where there is any difference: with one group there is none, and a standard
/// deviation fixed at zero (or so small that its square is) means that all groups share the coefficient.
fn differing(spread: Prior, groups: usize) -> Option<Prior> {
    let none = matches!(spread, Prior::Fixed { value } if value < 1e-100);
    (groups > 1 && !none).then_some(spread)
}

/// Columns of the baseline and the controls that have a coefficient of every group's own.
fn differing_columns(request: &Request, groups: usize) -> usize {
    differing(request.priors.spread, groups).map_or(0, |_| {
        1 + request.controls.iter().filter(|c| c.varies).count()
    })
}

/// Coefficients of the baseline and the controls.
fn unknowns(request: &Request, groups: usize) -> usize {
    let trend = match request.trend {
        Trend::Constant => 1,
        Trend::Linear => 2,
        Trend::Knots(count) => count,
    };
    let season = request.season.map_or(0, |s| s.harmonics.saturating_mul(2));
    // The first group's deviation is the others' mirror image.
    let of_groups = (groups - 1).saturating_mul(differing_columns(request, groups));
    [season, request.controls.len(), of_groups]
        .into_iter()
        .fold(trend, usize::saturating_add)
}

/// Refuses more columns of single groups than memory holds, see [`LARGEST`].
fn check_size(request: &Request, groups: usize, rows: usize) -> Result<(), MixError> {
    let in_baseline = differing_columns(request, groups);
    let channels = request.channels.iter();
    let of_channels = channels
        .filter(|c| differing(c.spread, groups).is_some())
        .count();
    let columns = in_baseline + of_channels;
    let held = groups.saturating_mul(rows).saturating_mul(in_baseline);
    let own = groups.saturating_mul(columns);
    if held > LARGEST || own.saturating_mul(own) > LARGEST {
        return Err(MixError::TooManyGroups {
            groups,
            rows,
            columns,
        });
    }
    Ok(())
}

/// Constant or knots, linear trend and season. Knots lie where outcomes are seen.
fn baseline(
    request: &Request,
    groups: &[String],
    periods: usize,
    visible: usize,
    dates: &[NaiveDate],
) -> Result<Vec<density::Column>, MixError> {
    let repeat = |values: Vec<f64>| values.repeat(groups.len());
    let spread = differing(request.priors.spread, groups.len());
    let mut columns = Vec::new();
    match request.trend {
        Trend::Constant | Trend::Linear => columns.push(density::Column {
            name: "intercept".to_owned(),
            prior: request.priors.intercept,
            values: repeat(vec![1.0; periods]),
            shared: true,
            spread,
        }),
        Trend::Knots(count) => {
            if count == 0 || count > visible {
                return Err(MixError::Knots(count));
            }
            for (k, values) in hats(periods, visible, count).into_iter().enumerate() {
                columns.push(density::Column {
                    name: format!("knot[{}]", k + 1),
                    prior: request.priors.knot,
                    values: repeat(values),
                    shared: true,
                    spread: None,
                });
            }
            if spread.is_some() {
                columns.push(density::Column {
                    name: "intercept".to_owned(),
                    prior: Prior::Fixed { value: 0.0 },
                    values: repeat(vec![1.0; periods]),
                    shared: true,
                    spread,
                });
            }
        }
    }
    if request.trend == Trend::Linear {
        columns.push(density::Column {
            name: "slope".to_owned(),
            prior: request.priors.slope,
            values: repeat(
                (0..periods)
                    .map(|t| t as f64 / (periods as f64 - 1.0).max(1.0))
                    .collect(),
            ),
            shared: true,
            spread: None,
        });
    }
    if let Some(season) = request.season {
        if dates.is_empty() {
            return Err(MixError::SeasonNeedsDates);
        }
        type Wave = fn(f64) -> f64;
        for (name, wave) in [("sin", f64::sin as Wave), ("cos", f64::cos as Wave)] {
            for k in 1..=season.harmonics {
                let values = dates
                    .iter()
                    .map(|day| {
                        wave(
                            2.0 * std::f64::consts::PI * k as f64 * f64::from(day.ordinal())
                                / 365.25,
                        )
                    })
                    .collect();
                columns.push(density::Column {
                    name: format!("gamma_fourier[{name}_{k}]"),
                    prior: request.priors.season,
                    values: repeat(values),
                    shared: true,
                    spread: None,
                });
            }
        }
    }
    Ok(columns)
}

/// Hat functions on knots at whole periods, equally spaced over the first `visible`; the last knot's value goes on from there:
/// a knot among periods that nobody has seen would be told by its prior alone.
fn hats(periods: usize, visible: usize, count: usize) -> Vec<Vec<f64>> {
    if count == 1 {
        return vec![vec![1.0; periods]];
    }
    let knots: Vec<f64> = (0..count)
        .map(|k| ((visible - 1) as f64 * k as f64 / (count - 1) as f64).floor())
        .collect();
    (0..count)
        .map(|k| {
            (0..periods)
                .map(|t| {
                    let t = t as f64;
                    let side = |other: f64| {
                        let width = (knots[k] - other).abs();
                        (1.0 - (t - knots[k]).abs() / width).max(0.0)
                    };
                    if t == knots[k] {
                        1.0
                    } else if t < knots[k] {
                        if k == 0 { 0.0 } else { side(knots[k - 1]) }
                    } else if k + 1 == count {
                        1.0
                    } else {
                        side(knots[k + 1])
                    }
                })
                .collect()
        })
        .collect()
}

fn check_priors(request: &Request) -> Result<(), MixError> {
    let mut all: Vec<(String, Prior)> = vec![
        ("intercept".to_owned(), request.priors.intercept),
        ("slope".to_owned(), request.priors.slope),
        ("knot".to_owned(), request.priors.knot),
        ("control".to_owned(), request.priors.control),
        ("season".to_owned(), request.priors.season),
        ("noise".to_owned(), request.priors.noise),
        ("spread".to_owned(), request.priors.spread),
    ];
    for control in &request.controls {
        all.extend(control.prior.map(|p| (control.column.clone(), p)));
    }
    for channel in &request.channels {
        let of = |what: &str| format!("{what}[{}]", channel.name);
        all.push((of("coefficient"), channel.coefficient));
        all.push((of("spread"), channel.spread));
        all.extend(channel.roi.map(|p| (of("roi"), p)));
        all.extend(shapes(channel).map(|shape| (of(&shape.0), shape.1)));
    }
    for (parameter, prior) in all {
        if let Some(defect) = prior.defect() {
            return Err(MixError::Prior { parameter, defect });
        }
    }
    let above = |p: Prior| match p.support() {
        Support::Positive => true,
        Support::Interval(low, _) | Support::Point(low) => low >= 0.0,
        Support::Real => false,
    };
    let refuse = |parameter: String, defect| Err(MixError::Prior { parameter, defect });
    let noise = request.priors.noise;
    if !above(noise) || noise.support() == Support::Point(0.0) {
        return refuse(
            "noise".to_owned(),
            "a standard deviation's prior must lie above zero",
        );
    }
    let spreads = request.channels.iter();
    let spreads = spreads.map(|c| (format!("spread[{}]", c.name), c.spread));
    for (parameter, prior) in
        std::iter::once(("spread".to_owned(), request.priors.spread)).chain(spreads)
    {
        if !above(prior) {
            return refuse(
                parameter,
                "a standard deviation's prior must not reach below zero",
            );
        }
    }
    for channel in &request.channels {
        for (name, prior) in shapes(channel) {
            let parameter = format!("{name}[{}]", channel.name);
            let (is_share, may_be_zero) = match name.as_str() {
                "adstock_alpha" => (true, channel.adstock == Adstock::Geometric),
                // The lag of the peak may lie anywhere.
                "adstock_theta" => continue,
                _ => (false, false),
            };
            let end = match prior.support() {
                Support::Interval(_, high) | Support::Point(high) => high,
                Support::Positive | Support::Real => f64::INFINITY,
            };
            if is_share && !(above(prior) && end <= 1.0) {
                return refuse(
                    parameter,
                    "a share that is carried over lies between zero and one",
                );
            }
            if !above(prior) || (!may_be_zero && prior.support() == Support::Point(0.0)) {
                return refuse(parameter, "this parameter of the curve must lie above zero");
            }
        }
    }
    Ok(())
}

/// Names and priors of the parameters of a channel's curves that the request gives; lists of the wrong length are refused
/// elsewhere.
fn shapes(channel: &request::Channel) -> impl Iterator<Item = (String, Prior)> {
    let of = |family: &'static str, names: &'static [&'static str], priors: &[Prior]| {
        let named = names.iter().zip(priors.to_vec());
        named.map(move |(name, prior)| (format!("{family}_{name}"), prior))
    };
    of(
        "adstock",
        channel.adstock.parameters(),
        &channel.adstock_priors,
    )
    .chain(of(
        "saturation",
        channel.saturation.parameters(),
        &channel.saturation_priors,
    ))
}

fn finite(name: &str, values: Vec<f64>) -> Result<Vec<f64>, MixError> {
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(MixError::Missing(name.to_owned()))
    }
}

fn not_negative(name: &str, values: Vec<f64>) -> Result<Vec<f64>, MixError> {
    let values = finite(name, values)?;
    if values.iter().all(|v| *v >= 0.0) {
        Ok(values)
    } else {
        Err(MixError::Negative(name.to_owned()))
    }
}

/// Mean and standard deviation (by n).
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

fn median_positive(values: &[f64]) -> f64 {
    let mut positive: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
    positive.sort_by(f64::total_cmp);
    let n = positive.len();
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => positive[n / 2],
        _ => 0.5 * (positive[n / 2 - 1] + positive[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(texts: &[&str]) -> Vec<NaiveDate> {
        let date = |text: &&str| text.parse().expect("a date");
        texts.iter().map(date).collect()
    }

    #[test]
    fn weeks_months_and_their_ends_are_evenly_spaced() {
        for even in [
            dates(&[]),
            dates(&["2026-01-05"]),
            dates(&["2026-01-05", "2026-01-12", "2026-01-19"]),
            dates(&["2026-01-01", "2026-02-01", "2026-03-01"]),
            dates(&["2026-01-31", "2026-02-28", "2026-03-31"]),
            dates(&["2024-12-31", "2025-12-31", "2026-12-31"]),
        ] {
            assert_eq!(check_spacing(&even), Ok(()), "{even:?}");
        }
    }

    #[test]
    fn a_gap_is_named_by_the_periods_around_it() {
        let weeks = dates(&[
            "2026-01-05",
            "2026-01-12",
            "2026-01-26",
            "2026-02-02",
            "2026-02-09",
        ]);
        let months = dates(&[
            "2026-01-01",
            "2026-02-01",
            "2026-03-01",
            "2026-05-01",
            "2026-06-01",
        ]);
        for (uneven, at) in [(weeks, 1), (months, 2)] {
            let (from, to) = (uneven[at], uneven[at + 1]);
            assert_eq!(
                check_spacing(&uneven),
                Err(MixError::UnevenPeriods { from, to })
            );
        }
    }
}
