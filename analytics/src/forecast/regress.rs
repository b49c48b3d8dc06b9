//! Forecasts with drivers whose future is known: planned spend, prices, promotions.
//!
//! A regression whose errors follow the forecasting models: the drivers' coefficients are estimated by generalised least squares
//! beside a line and a few harmonics of the season, with autocorrelated errors; the models then forecast what the drivers
//! do not explain. Effects that do not differ from zero take no part, and drivers are used only where they lowered the
//! errors of a rolling-origin backtest in which each fold estimates them anew from its own past.

use serde::{Deserialize, Serialize};

use super::interval::{self, Prior, Width};
use super::member::{Memory, Origin};
use super::{
    Forecast, ForecastError, Model, Note, Options, Projection, ensemble, forecast_cancellable,
    named, prepare, replaced, sound,
};
use crate::cancel::{Cancel, Cancelled, never};
use crate::linear::{dot, gls, orthonormal, reml_autocorrelation, remove};

/// A driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Driver {
    /// Its name.
    pub name: String,
    /// One value for each value of the series.
    pub past: Vec<f64>,
    /// One value for each step of the forecast, as planned.
    pub future: Vec<f64>,
}

/// What one unit of a driver adds to the series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The driver.
    pub name: String,
    /// Units of the series per unit of the driver. `None` = cannot tell: in the past the driver never changed, or it only moved
    /// together with a line, the season or other drivers, so that its own part has no estimate.
    pub coefficient: Option<f64>,
    /// Standard error of the coefficient; `None` as there.
    pub error: Option<f64>,
}

/// A forecast with or without the drivers, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Driven {
    /// The forecast. With the drivers in it, form, parameters and notes are those of the models of what the drivers do not explain, and
    /// there is no backtest report: `error_with` and `error_without` are what was measured.
    pub forecast: Forecast,
    /// Whether the drivers are in it.
    pub used: bool,
    /// The drivers' effects, estimated on the whole series, whether used or not; empty when the series is too short.
    pub effects: Vec<Effect>,
    /// Mean absolute error of the backtest with the drivers; `None` when the series is too short for one.
    pub error_with: Option<f64>,
    /// The same without them.
    pub error_without: Option<f64>,
}

/// Why there is no forecast.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DriverError {
    /// As without drivers.
    #[error(transparent)]
    Forecast(#[from] ForecastError),
    /// A driver has not one past value for each of the series or not one future value for each step.
    #[error("driver {name:?} needs {past} past and {future} future values")]
    Length {
        /// The driver.
        name: String,
        /// Values of the series.
        past: usize,
        /// Steps of the forecast.
        future: usize,
    },
    /// A driver's value is missing or infinite.
    #[error("driver {name:?} has a value that is missing or infinite")]
    NotFinite {
        /// The driver.
        name: String,
    },
}

/// By how much drivers must lower the backtest's error to be used.
const MARGIN: f64 = 0.98;
/// Standard errors by which an effect must differ from zero to take part.
const SURE: f64 = 2.0;
/// Harmonics of the season beside the drivers.
const HARMONICS: usize = 3;
/// Values per estimated coefficient, at least.
const VALUES_PER_COLUMN: usize = 4;

impl From<Cancelled> for DriverError {
    fn from(stop: Cancelled) -> Self {
        Self::Forecast(stop.into())
    }
}

/// Forecasts `values` (NaN = missing) with drivers where they help.
///
/// Of drivers that moved together in the past nobody can tell which one acted. Where they go on together the first stands for all of them;
/// where their plans part none of them takes part.
///
/// # Errors
/// [`DriverError`].
pub fn forecast_driven(
    values: &[f64],
    drivers: &[Driver],
    options: &Options,
) -> Result<Driven, DriverError> {
    forecast_driven_cancellable(values, drivers, options, &never)
}

/// As [`forecast_driven`], until `cancel` says to stop. It must go on saying so.
///
/// # Errors
/// As [`forecast_driven`]; [`ForecastError::Cancelled`].
pub fn forecast_driven_cancellable(
    values: &[f64],
    drivers: &[Driver],
    options: &Options,
    cancel: &dyn Cancel,
) -> Result<Driven, DriverError> {
    for driver in drivers {
        if driver.past.len() != values.len() || driver.future.len() != options.horizon {
            return Err(DriverError::Length {
                name: driver.name.clone(),
                past: values.len(),
                future: options.horizon,
            });
        }
        let mut all = driver.past.iter().chain(&driver.future);
        if all.any(|v| !v.is_finite()) {
            return Err(DriverError::NotFinite {
                name: driver.name.clone(),
            });
        }
    }
    let plain = forecast_cancellable(values, options, None, cancel)?;
    let first = values.iter().position(|v| v.is_finite()).unwrap_or(0);
    let prepared = prepare::prepare(values).map_err(ForecastError::from)?;
    // The drivers of the known values, then those of the steps to forecast, missing values at the end among them.
    let columns: Vec<Vec<f64>> = drivers
        .iter()
        .map(|d| d.past[first..].iter().chain(&d.future).copied().collect())
        .collect();
    let series = Series {
        values: &prepared.values,
        columns: &columns,
        options,
        floor: prepared.floor,
        cancel,
    };
    let mut memory = Memory::new(cancel);
    let (errors, tested) = series.backtest(&mut memory)?;
    let effects = series
        .effects(prepared.values.len())?
        .into_iter()
        .zip(drivers)
        .map(|(estimate, driver)| Effect {
            name: driver.name.clone(),
            coefficient: estimate.is_known.then_some(estimate.coefficient),
            error: estimate.is_known.then_some(estimate.error),
        })
        .collect();
    let used = tested.used && matches!(plain.model, Model::Ensemble);
    let forecast = if used {
        let n = prepared.values.len();
        let stale = prepared.stale;
        memory.choose_again();
        let (projection, stand_ins) =
            series.project(n, options.horizon + stale, true, &mut memory)?;
        let width = Width::learn(tested.ratios.iter(), &Prior::default());
        let steps = (stale..projection.mean.len()).map(|h| {
            let (mean, deviation) = (projection.mean[h], projection.deviation[h]);
            interval::step(mean, deviation, width.at(h), prepared.floor)
        });
        // What the plain forecast says of the values holds here too, what it says of its own models does not.
        let of_values = |note: &Note| !matches!(note, Note::Replaced { .. } | Note::NaiveIsBest);
        let notes = plain.notes.into_iter().filter(of_values);
        Forecast {
            model: Model::Ensemble,
            steps: sound(steps.collect())?,
            form: projection.form,
            parameters: named(projection.parameters),
            backtest: None,
            width_factor: width.at(0).factor95,
            notes: notes.chain(stand_ins).collect(),
        }
    } else {
        plain
    };
    Ok(Driven {
        forecast,
        used,
        effects,
        error_with: errors.map(|(with, _)| with),
        error_without: errors.map(|(_, without)| without),
    })
}

struct Series<'a> {
    values: &'a [f64],
    columns: &'a [Vec<f64>],
    options: &'a Options,
    floor: Option<f64>,
    cancel: &'a dyn Cancel,
}

/// What the past says of one driver.
struct Estimate {
    coefficient: f64,
    error: f64,
    /// Whether the past can tell this effect from everything else.
    is_known: bool,
    /// Whether the forecast goes by it.
    takes_part: bool,
}

/// Share of a column's squared length that must stand apart from the others for its coefficient to be known, as in
/// [`crate::linear::Cholesky`].
const APART: f64 = 1e-10;

/// Whether a column follows from the others.
fn follows(columns: &[Vec<f64>], at: usize) -> bool {
    let others = columns.iter().enumerate().filter(|(i, _)| *i != at);
    let basis = orthonormal(&others.map(|(_, c)| c.clone()).collect::<Vec<_>>());
    let mut rest = columns[at].clone();
    remove(&mut rest, &basis);
    remove(&mut rest, &basis);
    dot(&rest, &rest) <= APART * dot(&columns[at], &columns[at])
}

#[derive(Default)]
struct Tested {
    used: bool,
    /// Standardised errors with the drivers, by fold and step.
    ratios: Vec<Vec<f64>>,
}

impl Series<'_> {
    /// A line, harmonics of the season where the first `n` values hold two of them, and the drivers, `length` values of each; how many
    /// columns come before the drivers.
    fn design(&self, n: usize, length: usize) -> (Vec<Vec<f64>>, usize) {
        let period = self.options.period;
        let mut design = vec![
            vec![1.0; length],
            (0..length)
                .map(|t| t as f64 / n as f64)
                .collect::<Vec<f64>>(),
        ];
        if period > 1 && n >= 2 * period {
            for k in 1..=HARMONICS.min(period / 2) {
                let angle = |t: usize| std::f64::consts::TAU * (k * t) as f64 / period as f64;
                design.push((0..length).map(|t| angle(t).cos()).collect());
                if 2 * k < period {
                    design.push((0..length).map(|t| angle(t).sin()).collect());
                }
            }
        }
        let own = design.len();
        design.extend(self.columns.iter().map(|c| c[..length].to_vec()));
        (design, own)
    }

    /// What the first `n` values say of each driver; nothing where they are too few.
    fn effects(&self, n: usize) -> Result<Vec<Estimate>, Cancelled> {
        self.cancel.check()?;
        let (design, own) = self.design(n, n);
        if n < VALUES_PER_COLUMN * design.len() {
            return Ok(Vec::new());
        }
        let values = &self.values[..n];
        let rho = reml_autocorrelation(&design, values);
        self.cancel.check()?;
        let fit = gls(&design, values, rho);
        let parts = fit.coefficients[own..].iter().zip(&fit.errors[own..]);
        let parts: Vec<(f64, f64)> = parts
            .map(|(c, e)| (*c, if e.is_finite() { *e } else { 0.0 }))
            .collect();
        // The regression leaves a column out, with exactly this, only where some columns follow from others.
        let is_left_out = |(c, e): &(f64, f64)| *c == 0.0 && *e == 0.0;
        let all_known = !parts.iter().any(is_left_out);
        let ahead = (!all_known).then(|| self.design(n, self.columns[0].len()).0);
        let estimates = parts.iter().enumerate().map(|(i, part)| {
            self.cancel.check()?;
            let (coefficient, error) = *part;
            let is_known = all_known || !(is_left_out(part) || follows(&design, own + i));
            let goes_on = |ahead: &Vec<Vec<f64>>| follows(ahead, own + i);
            let is_safe = is_known || ahead.as_ref().is_some_and(goes_on);
            Ok(Estimate {
                coefficient,
                error,
                is_known,
                takes_part: is_safe && coefficient.abs() > SURE * error,
            })
        });
        estimates.collect()
    }

    /// What the models say from the first `n` values, with or without the drivers, and for which of them the last value stands in. The
    /// memory is that of earlier origins, likewise with or without.
    fn project(
        &self,
        n: usize,
        horizon: usize,
        with: bool,
        memory: &mut Memory<'_>,
    ) -> Result<(Projection, Vec<Note>), Cancelled> {
        let effects = if with { self.effects(n)? } else { Vec::new() };
        let drive = |t: usize| -> f64 {
            let parts = self.columns.iter().zip(&effects);
            let sure = parts.filter(|(_, effect)| effect.takes_part);
            sure.map(|(column, effect)| effect.coefficient * column[t])
                .sum()
        };
        let rest: Vec<f64> = (0..n).map(|t| self.values[t] - drive(t)).collect();
        let floor = if with { None } else { self.floor };
        let models = self.options.recipe.members();
        let members = Origin::new(&rest, self.options, floor).fit(models, memory);
        self.cancel.check()?;
        let parts: Vec<Projection> = members.iter().map(|m| m.project(horizon)).collect();
        let mut made = ensemble::mean(&parts, &ensemble::weights(parts.len(), None));
        for (h, mean) in made.mean.iter_mut().enumerate() {
            *mean += drive(n + h);
            if let Some(floor) = self.floor {
                *mean = mean.max(floor);
            }
        }
        Ok((made, replaced(models, &members).collect()))
    }

    /// Mean absolute errors with and without the drivers, and what follows from them. `memory` is where the fits with drivers end.
    fn backtest(&self, memory: &mut Memory<'_>) -> Result<(Option<(f64, f64)>, Tested), Cancelled> {
        let (n, options) = (self.values.len(), self.options);
        let spare = n.saturating_sub(options.min_train.max(8));
        let horizon = options.horizon.min(spare);
        let stride = options.spacing();
        if horizon == 0 || options.folds == 0 || self.columns.is_empty() {
            return Ok((None, Tested::default()));
        }
        let mut memory_without = Memory::new(self.cancel);
        let folds = options.folds.min(1 + (spare - horizon) / stride);
        let (mut with, mut without, mut won) = (0.0, 0.0, 0);
        let mut ratios = Vec::with_capacity(folds);
        for origin in (0..folds).rev().map(|k| n - horizon - k * stride) {
            let actual = &self.values[origin..origin + horizon];
            let (driven, _) = self.project(origin, horizon, true, memory)?;
            let (plain, _) = self.project(origin, horizon, false, &mut memory_without)?;
            let error = |made: &Projection| -> f64 {
                let pairs = actual.iter().zip(&made.mean);
                pairs.map(|(a, p)| (a - p).abs()).sum::<f64>() / horizon as f64
            };
            let (ours, theirs) = (error(&driven), error(&plain));
            (with, without) = (with + ours, without + theirs);
            won += usize::from(ours < theirs);
            let steps = actual.iter().zip(driven.mean.iter().zip(&driven.deviation));
            ratios.push(
                steps
                    .map(|(a, (p, d))| if *d > 0.0 { (a - p) / d } else { f64::NAN })
                    .collect(),
            );
        }
        let used = with < MARGIN * without && 2 * won > folds;
        let count = folds as f64;
        Ok((
            Some((with / count, without / count)),
            Tested { used, ratios },
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::forecast::{Recipe, forecast};
    use crate::rng;

    /// Normal draws with the standard deviation of uniform ones in (-1, 1).
    fn noise(seed: u64, n: usize) -> Vec<f64> {
        let drawn = rng::normals(&mut rng::stream(seed, &[]), n);
        drawn.iter().map(|e| e / 3f64.sqrt()).collect()
    }

    fn driver(values: &[f64], n: usize) -> Driver {
        Driver {
            name: "spend".to_owned(),
            past: values[..n].to_vec(),
            future: values[n..].to_vec(),
        }
    }

    fn world(effect: f64, seed: u64) -> (Vec<f64>, Vec<f64>) {
        let (n, h) = (100, 8);
        let spend: Vec<f64> = noise(seed, n + h).iter().map(|u| 20.0 + 15.0 * u).collect();
        let mut carried = 0.0;
        let sales = noise(seed + 1, n + h)
            .iter()
            .zip(&spend)
            .enumerate()
            .map(|(t, (e, x))| {
                carried = 0.6 * carried + 4.0 * e;
                300.0 + 0.4 * t as f64 + carried + effect * x
            })
            .collect();
        (sales, spend)
    }

    #[test]
    fn a_driver_that_moves_sales_is_found_used_and_makes_the_forecast_better() {
        let (mut with, mut without) = (0.0, 0.0);
        for seed in 1..6 {
            let (sales, spend) = world(2.0, 10 * seed);
            let options = Options::new(8, 1);
            let made = forecast_driven(&sales[..100], &[driver(&spend, 100)], &options)
                .expect("sound input");
            assert!(
                made.used && made.error_with < made.error_without,
                "{made:?}"
            );
            let effect = &made.effects[0];
            let (coefficient, error) = effect.coefficient.zip(effect.error).expect("it varies");
            assert!((coefficient - 2.0).abs() < 3.0 * error.max(0.02));
            let plain = forecast(&sales[..100], &options).expect("sound input");
            for (h, actual) in sales[100..].iter().enumerate() {
                with += (actual - made.forecast.steps[h].mean).abs();
                without += (actual - plain.steps[h].mean).abs();
            }
        }
        assert!(with < 0.5 * without, "{with} against {without}");
    }

    #[test]
    fn what_a_driven_forecast_tells_is_of_its_own_models() {
        let (mut sales, spend) = world(2.0, 30);
        sales[50] = f64::NAN;
        let options = Options::new(8, 1);
        let made =
            forecast_driven(&sales[..100], &[driver(&spend, 100)], &options).expect("sound input");
        let plain = forecast(&sales[..100], &options).expect("sound input");
        assert!(made.used && plain.backtest.is_some());
        assert_eq!(made.forecast.backtest, None);
        assert_eq!(made.forecast.model, Model::Ensemble);
        // The same parameters by name, but those of what the driver leaves.
        let names = |f: &Forecast| f.parameters.iter().map(|p| p.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&made.forecast), names(&plain));
        assert_ne!(made.forecast.parameters, plain.parameters);
        assert!(
            made.forecast
                .notes
                .contains(&Note::GapsFilled { values: 1 })
        );
    }

    #[test]
    fn of_a_driver_that_never_changed_or_has_a_copy_nobody_can_tell_the_effect() {
        let (sales, spend) = world(2.0, 40);
        let still = vec![7.0; 108];
        let twice: Vec<f64> = spend.iter().map(|x| 3.0 * x + 1.0).collect();
        let line: Vec<f64> = (0..108).map(|t| 5.0 + 0.1 * f64::from(t)).collect();
        let run = |columns: &[&[f64]]| {
            let drivers: Vec<Driver> = columns.iter().map(|c| driver(c, 100)).collect();
            forecast_driven(&sales[..100], &drivers, &Options::new(8, 1)).expect("sound input")
        };
        let told = |made: &Driven| -> Vec<bool> {
            let each = made.effects.iter();
            each.map(|e| {
                assert_eq!(e.coefficient.is_some(), e.error.is_some());
                e.coefficient.is_some()
            })
            .collect()
        };
        let alone = run(&[&spend]);
        assert_eq!(told(&alone), [true]);
        let made = run(&[&still, &spend, &line]);
        assert_eq!(told(&made), [false, true, false]);
        assert!(made.used);
        let copies = run(&[&spend, &twice, &still]);
        assert_eq!(told(&copies), [false, false, false]);
        // Copies that stay copies still say together what one of them says.
        assert!(copies.used);
        for (a, b) in copies.forecast.steps.iter().zip(&alone.forecast.steps) {
            assert!((a.mean - b.mean).abs() < 1e-6 * b.mean, "{a:?} {b:?}");
        }
        // Copies whose plans part say nothing of the future.
        let mut parted = twice;
        parted[104] += 50.0;
        let made = run(&[&spend, &parted]);
        let plain = forecast(&sales[..100], &Options::new(8, 1)).expect("sound input");
        assert_eq!(told(&made), [false, false]);
        for (a, b) in made.forecast.steps.iter().zip(&plain.steps) {
            assert!((a.mean - b.mean).abs() < 0.02 * b.mean, "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_wish_to_stop_is_heard_within_a_few_questions() {
        let (sales, spend) = world(2.0, 50);
        let options = Options {
            recipe: Recipe::Auto,
            ..Options::new(8, 4)
        };
        let asked = Cell::new(0);
        let run = |patience: usize| {
            asked.set(0);
            let stop = || asked.replace(asked.get() + 1) >= patience;
            let drivers = [driver(&spend, 100)];
            forecast_driven_cancellable(&sales[..100], &drivers, &options, &stop)
        };
        run(usize::MAX).expect("nobody stops it");
        let all = asked.get();
        assert!(all > 5_000, "{all}");
        for patience in (0..all).step_by(all / 20) {
            let stopped = DriverError::Forecast(ForecastError::Cancelled(Cancelled));
            assert_eq!(run(patience), Err(stopped));
            assert!(
                asked.get() < patience + 20,
                "{} after {patience}",
                asked.get()
            );
        }
    }

    #[test]
    fn a_driver_without_effect_is_left_out_nearly_always() {
        let used = (1..=20)
            .filter(|seed| {
                let (sales, spend) = world(0.0, 100 * seed);
                let drivers = [driver(&spend, 100)];
                forecast_driven(&sales[..100], &drivers, &Options::new(8, 1))
                    .expect("sound input")
                    .used
            })
            .count();
        assert!(used <= 2, "{used} of 20");
    }

    #[test]
    fn a_stale_end_takes_the_drivers_of_its_own_periods() {
        let (mut sales, spend) = world(2.0, 77);
        sales[98] = f64::NAN;
        sales[99] = f64::NAN;
        let made = forecast_driven(&sales[..100], &[driver(&spend, 100)], &Options::new(8, 1))
            .expect("sound input");
        let off = sales[100..]
            .iter()
            .zip(&made.forecast.steps)
            .map(|(a, s)| (a - s.mean).abs())
            .sum::<f64>()
            / 8.0;
        assert!(made.used && off < 10.0, "{off}");
    }

    #[test]
    fn unsound_drivers_are_refused_and_short_series_go_without() {
        let options = Options::new(4, 1);
        let drivers = |past: usize, value: f64| {
            [Driver {
                name: "price".to_owned(),
                past: vec![value; past],
                future: vec![1.0; 4],
            }]
        };
        let run = |values: &[f64], drivers: &[Driver]| forecast_driven(values, drivers, &options);
        assert!(matches!(
            run(&[1.0; 9], &drivers(8, 1.0)),
            Err(DriverError::Length { .. })
        ));
        assert!(matches!(
            run(&[1.0; 9], &drivers(9, f64::NAN)),
            Err(DriverError::NotFinite { .. })
        ));
        let short = run(&[1.0, 2.0, 3.0], &drivers(3, 1.0)).expect("a forecast");
        assert!(!short.used && short.effects.is_empty() && short.error_with.is_none());
    }
}
