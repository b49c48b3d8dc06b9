//! One model on the values up to one origin.

use super::ets::{self, Pool, TrendForm};
use super::season::Season;
use super::{Fit, Model, Projection, interval, naive, theta};

/// The past of one origin, looked at once for all models.
pub(super) struct Origin<'a> {
    values: &'a [f64],
    period: usize,
    horizon: usize,
    floor: Option<f64>,
    season: Season,
    /// The values without their season.
    flat: Vec<f64>,
    /// What no point forecast may leave: the range seen so far, and as much again on either side.
    range: (f64, f64),
}

/// What the fits at an earlier origin of the same series leave to the next one: a place to start the search from. It holds nothing
/// that a later origin would not know.
#[derive(Default)]
pub(super) struct Memory {
    ets: Vec<ets::Fitted>,
}

impl<'a> Origin<'a> {
    pub(super) fn new(
        values: &'a [f64],
        period: usize,
        horizon: usize,
        floor: Option<f64>,
    ) -> Self {
        let season = Season::detect(values, period);
        let flat = season.remove(values);
        let (low, high) = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        Self {
            values,
            period,
            horizon,
            floor,
            season,
            flat,
            range: (2.0 * low - high, 2.0 * high - low),
        }
    }

    /// Fits some models. A model that cannot be fitted here repeats the last value.
    pub(super) fn project(&self, models: &[Model], memory: &mut Memory) -> Vec<Projection> {
        let wants_all = models.contains(&Model::Ets);
        if wants_all || models.contains(&Model::DampedEts) {
            let pool = if wants_all { Pool::All } else { Pool::Damped };
            memory.ets = if self.classical() {
                ets::fit_all(self.values, self.period, pool, &memory.ets)
            } else {
                ets::fit_all(&self.flat, 1, pool, &memory.ets)
            };
        }
        models
            .iter()
            .map(|model| {
                let mut projection = self.fit(*model, memory);
                for point in &mut projection.mean {
                    *point = point.clamp(self.range.0, self.range.1);
                    if let Some(floor) = self.floor {
                        *point = point.max(floor);
                    }
                }
                projection
            })
            .collect()
    }

    /// Whether every period of the season is short enough to have a state of its own.
    fn classical(&self) -> bool {
        self.period <= ets::LONGEST_SEASON
    }

    fn fit(&self, model: Model, memory: &Memory) -> Projection {
        match model {
            Model::Naive | Model::Ensemble => plain(naive::naive(self.values, self.horizon)),
            Model::SeasonalNaive => plain(naive::seasonal_naive(
                self.values,
                self.period,
                self.horizon,
            )),
            Model::Theta | Model::DynamicTheta => self.theta(model),
            Model::Ets | Model::DampedEts => {
                let best = memory
                    .ets
                    .iter()
                    .filter(|f| model == Model::Ets || f.form.trend == TrendForm::Damped)
                    .min_by(|a, b| a.criterion.total_cmp(&b.criterion));
                best.map_or_else(
                    || plain(naive::naive(self.values, self.horizon)),
                    |fitted| self.smoothed(fitted),
                )
            }
        }
    }

    fn smoothed(&self, fitted: &ets::Fitted) -> Projection {
        let (mean, deviation) = fitted.forecast(self.horizon);
        let mut projection = Projection {
            mean,
            deviation,
            parameters: fitted.parameters(),
            form: Some(fitted.form.name()),
        };
        if !self.classical() {
            self.restore(&mut projection);
        }
        projection
    }

    /// Puts the season back on a projection of the flat values.
    fn restore(&self, projection: &mut Projection) {
        let n = self.values.len();
        for (h, mean) in projection.mean.iter_mut().enumerate() {
            *mean = self.season.restore(*mean, n + h);
        }
        for (h, deviation) in projection.deviation.iter_mut().enumerate() {
            *deviation *= self.season.stretch(n + h).abs();
        }
    }

    /// Theta works on logarithms where the values allow it, dynamic Theta always on the values themselves: on the training parts
    /// of the M3 collections each on its own scale was better than both on either.
    fn theta(&self, model: Model) -> Projection {
        let logs = (model == Model::Theta)
            .then(|| logarithms(&self.flat))
            .flatten();
        let scaled = logs.as_deref().unwrap_or(&self.flat);
        let fit = match model {
            Model::Theta => theta::standard(scaled, self.horizon),
            _ => theta::dynamic(scaled, self.horizon),
        };
        let mut projection = plain(fit);
        if logs.is_some() {
            let (low, high) = scaled
                .iter()
                .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
            let steps = projection.mean.iter_mut().zip(&mut projection.deviation);
            for (mean, deviation) in steps {
                // A trend in logarithms explodes: it may at most repeat the whole range ever seen.
                *mean = mean.clamp(2.0 * low - high, 2.0 * high - low).exp();
                *deviation *= *mean;
            }
        }
        self.restore(&mut projection);
        projection
    }
}

fn plain(fit: Fit) -> Projection {
    let sigma = interval::sigma(&fit.residuals);
    Projection {
        deviation: fit.spread.iter().map(|s| s * sigma).collect(),
        mean: fit.mean,
        parameters: fit.parameters,
        form: None,
    }
}

/// Logarithms of values that are all positive, the smallest not tiny beside the mean; near zero a logarithm makes an outlier of
/// every quiet week.
fn logarithms(values: &[f64]) -> Option<Vec<f64>> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values
        .iter()
        .all(|v| *v > 0.05 * mean)
        .then(|| values.iter().map(|v| v.ln()).collect())
}
