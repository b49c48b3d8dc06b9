//! Forecasts with drivers whose future is known: planned spend, prices, promotions.
//!
//! A regression whose errors follow the forecasting models: the drivers' coefficients are estimated by generalised least squares
//! beside a line and a few harmonics of the season, with autocorrelated errors; the models then forecast what the drivers
//! do not explain. Effects that do not differ from zero take no part, and drivers are used only where they lowered the
//! errors of a rolling-origin backtest in which each fold estimates them anew from its own past.

use serde::{Deserialize, Serialize};

use super::interval::{self, Prior, Width};
use super::member::{Memory, Origin};
use super::{Forecast, ForecastError, Model, Options, Projection, ensemble, forecast, prepare};
use crate::cancel::never;
use crate::linear::{gls, reml_autocorrelation};

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
    /// Units of the series per unit of the driver.
    pub coefficient: f64,
    /// Standard error of the coefficient.
    pub error: f64,
}

/// A forecast with or without the drivers, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Driven {
    /// The forecast.
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

/// Forecasts `values` (NaN = missing) with drivers where they help.
///
/// # Errors
/// [`DriverError`].
pub fn forecast_driven(
    values: &[f64],
    drivers: &[Driver],
    options: &Options,
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
    let plain = forecast(values, options)?;
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
    };
    let (errors, tested) = series.backtest();
    let effects = series
        .effects(prepared.values.len())
        .into_iter()
        .zip(drivers)
        .map(|((coefficient, error), driver)| Effect {
            name: driver.name.clone(),
            coefficient,
            error,
        })
        .collect();
    let used = tested.used && matches!(plain.model, Model::Ensemble);
    let forecast = if used {
        let n = prepared.values.len();
        let stale = prepared.stale;
        let projection = series.project(n, options.horizon + stale, true);
        let prior = Prior::default();
        let width = Width::learn(&tested.ratios, None, &prior);
        let steps = (stale..projection.mean.len()).map(|h| {
            let (mean, deviation) = (projection.mean[h], projection.deviation[h]);
            interval::step(mean, deviation, width.at(h), prepared.floor)
        });
        Forecast {
            steps: steps.collect(),
            form: projection.form,
            width_factor: width.at(0).factor95,
            ..plain
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
}

#[derive(Default)]
struct Tested {
    used: bool,
    /// Standardised errors with the drivers, by fold and step.
    ratios: Vec<Vec<f64>>,
}

impl Series<'_> {
    /// Coefficients and their standard errors from the first `n` values; none where those are too few.
    fn effects(&self, n: usize) -> Vec<(f64, f64)> {
        let period = self.options.period;
        let mut design = vec![
            vec![1.0; n],
            (0..n).map(|t| t as f64 / n as f64).collect::<Vec<f64>>(),
        ];
        if period > 1 && n >= 2 * period {
            for k in 1..=HARMONICS.min(period / 2) {
                let angle = |t: usize| std::f64::consts::TAU * (k * t) as f64 / period as f64;
                design.push((0..n).map(|t| angle(t).cos()).collect());
                if 2 * k < period {
                    design.push((0..n).map(|t| angle(t).sin()).collect());
                }
            }
        }
        let own = design.len();
        design.extend(self.columns.iter().map(|c| c[..n].to_vec()));
        if n < VALUES_PER_COLUMN * design.len() {
            return Vec::new();
        }
        let values = &self.values[..n];
        let rho = reml_autocorrelation(&design, values);
        let fit = gls(&design, values, rho);
        let parts = fit.coefficients[own..].iter().zip(&fit.errors[own..]);
        parts
            .map(|(c, e)| (*c, if e.is_finite() { *e } else { 0.0 }))
            .collect()
    }

    /// What the models say from the first `n` values, with or without the drivers.
    fn project(&self, n: usize, horizon: usize, with: bool) -> Projection {
        let effects = if with { self.effects(n) } else { Vec::new() };
        let drive = |t: usize| -> f64 {
            let parts = self.columns.iter().zip(&effects);
            let sure = parts.filter(|(_, (effect, error))| effect.abs() > SURE * error);
            sure.map(|(column, (effect, _))| effect * column[t]).sum()
        };
        let rest: Vec<f64> = (0..n).map(|t| self.values[t] - drive(t)).collect();
        let floor = if with { None } else { self.floor };
        let mut memory = Memory::new(&never);
        let members = self.options.recipe.members();
        let parts = Origin::new(&rest, self.options, floor).project(members, horizon, &mut memory);
        let mut made = ensemble::mean(&parts, &ensemble::weights(parts.len(), None));
        for (h, mean) in made.mean.iter_mut().enumerate() {
            *mean += drive(n + h);
            if let Some(floor) = self.floor {
                *mean = mean.max(floor);
            }
        }
        made
    }

    /// Mean absolute errors with and without the drivers, and what follows from them.
    fn backtest(&self) -> (Option<(f64, f64)>, Tested) {
        let (n, options) = (self.values.len(), self.options);
        let Some(spare) = n.checked_sub(options.min_train.max(8)) else {
            return (None, Tested::default());
        };
        let horizon = options.horizon.min(spare);
        let stride = match options.stride {
            0 => options.horizon.div_ceil(3),
            stride => stride,
        };
        if horizon == 0 || options.folds == 0 || self.columns.is_empty() {
            return (None, Tested::default());
        }
        let folds = options.folds.min(1 + (spare - horizon) / stride);
        let (mut with, mut without, mut won) = (0.0, 0.0, 0);
        let mut ratios = Vec::with_capacity(folds);
        for origin in (0..folds).rev().map(|k| n - horizon - k * stride) {
            let actual = &self.values[origin..origin + horizon];
            let driven = self.project(origin, horizon, true);
            let plain = self.project(origin, horizon, false);
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
        (
            Some((with / count, without / count)),
            Tested { used, ratios },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uniform numbers in (-1, 1) from a linear congruential generator.
    fn noise(seed: u64, n: usize) -> Vec<f64> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                2.0 * ((state >> 11) as f64 / (1u64 << 53) as f64) - 1.0
            })
            .collect()
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
            assert!((effect.coefficient - 2.0).abs() < 3.0 * effect.error.max(0.02));
            let plain = forecast(&sales[..100], &options).expect("sound input");
            for (h, actual) in sales[100..].iter().enumerate() {
                with += (actual - made.forecast.steps[h].mean).abs();
                without += (actual - plain.steps[h].mean).abs();
            }
        }
        assert!(with < 0.5 * without, "{with} against {without}");
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
