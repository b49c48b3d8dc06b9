//! One model on the values up to one origin: fitted, projected, and carried on when new values come.

use serde::{Deserialize, Serialize};

use super::ets::{self, Pool, TrendForm};
use super::season::Season;
use super::{Model, Projection, naive, theta};

/// The past of one origin, looked at once for all models.
pub(super) struct Origin<'a> {
    values: &'a [f64],
    period: usize,
    bounds: Bounds,
    season: Season,
    /// The values without their season.
    flat: Vec<f64>,
}

/// What no point forecast may leave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Bounds {
    /// Smallest and largest value so far; a forecast may leave that range by its own width on either side.
    low: f64,
    high: f64,
    floor: Option<f64>,
}

impl Bounds {
    fn keep(&self, point: f64) -> f64 {
        let reach = self.high - self.low;
        let point = point.clamp(self.low - reach, self.high + reach);
        self.floor.map_or(point, |floor| point.max(floor))
    }
}

/// What the fits at an earlier origin of the same series leave to the next one: a place to start the search from. It holds nothing
/// that a later origin would not know.
#[derive(Default)]
pub(super) struct Memory {
    ets: Vec<ets::Fitted>,
}

/// A fitted model with its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    fitted: Fitted,
    /// Taken out before the model sees a value, and put back on what it says.
    season: Season,
    /// Values seen.
    seen: usize,
    bounds: Bounds,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Fitted {
    Naive(naive::Fitted),
    Theta(theta::Fitted),
    /// On logarithms, between the smallest and the largest of which a forecast may move by one range.
    LogTheta(theta::Fitted, f64, f64),
    Ets(Box<ets::Fitted>),
}

impl<'a> Origin<'a> {
    pub(super) fn new(values: &'a [f64], period: usize, floor: Option<f64>) -> Self {
        let season = Season::detect(values, period);
        let flat = season.remove(values);
        let (low, high) = range(values);
        Self {
            values,
            period,
            season,
            flat,
            bounds: Bounds { low, high, floor },
        }
    }

    /// Fits some models. A model that cannot be fitted here repeats the last value.
    pub(super) fn fit(&self, models: &[Model], memory: &mut Memory) -> Vec<Member> {
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
            .map(|model| self.member(*model, memory))
            .collect()
    }

    /// Fits some models and projects them.
    pub(super) fn project(
        &self,
        models: &[Model],
        horizon: usize,
        memory: &mut Memory,
    ) -> Vec<Projection> {
        let members = self.fit(models, memory);
        members.iter().map(|member| member.project(horizon)).collect()
    }

    /// Whether every period of the season is short enough to have a state of its own.
    fn classical(&self) -> bool {
        self.period <= ets::LONGEST_SEASON
    }

    fn member(&self, model: Model, memory: &Memory) -> Member {
        let naive = || Fitted::Naive(naive::Fitted::new(self.values, 1));
        let (fitted, adjusted) = match model {
            Model::Naive | Model::Ensemble => (naive(), false),
            Model::SeasonalNaive => (
                Fitted::Naive(naive::Fitted::new(self.values, self.period)),
                false,
            ),
            // Theta works on logarithms where the values allow it, dynamic Theta always on the values themselves: on the
            // training parts of the M3 collections each on its own scale was better than both on either.
            Model::Theta => match logarithms(&self.flat) {
                Some(logs) => {
                    let (low, high) = range(&logs);
                    (Fitted::LogTheta(theta::standard(&logs), low, high), true)
                }
                None => (Fitted::Theta(theta::standard(&self.flat)), true),
            },
            Model::DynamicTheta => (Fitted::Theta(theta::dynamic(&self.flat)), true),
            Model::Ets | Model::DampedEts => {
                let best = memory
                    .ets
                    .iter()
                    .filter(|f| model == Model::Ets || f.form.trend == TrendForm::Damped)
                    .min_by(|a, b| a.criterion.total_cmp(&b.criterion));
                match best {
                    Some(best) => (Fitted::Ets(Box::new(best.clone())), !self.classical()),
                    None => (naive(), false),
                }
            }
        };
        Member {
            fitted,
            season: if adjusted {
                self.season.clone()
            } else {
                Season::none()
            },
            seen: self.values.len(),
            bounds: self.bounds,
        }
    }
}

impl Member {
    /// Takes in a new value; parameters and season stay as they were fitted.
    pub(super) fn take(&mut self, value: f64) {
        let flat = self.season.adjust(value, self.seen);
        match &mut self.fitted {
            Fitted::Naive(fitted) => fitted.take(flat),
            Fitted::Theta(fitted) => fitted.take(flat),
            // A value that has no logarithm is as small as any that was seen.
            Fitted::LogTheta(fitted, low, high) => {
                let log = if flat > 0.0 { flat.ln() } else { *low };
                let log = log.max(2.0 * *low - *high);
                (*low, *high) = (low.min(log), high.max(log));
                fitted.take(log);
            }
            Fitted::Ets(fitted) => fitted.update(&[flat]),
        }
        self.bounds.low = self.bounds.low.min(value);
        self.bounds.high = self.bounds.high.max(value);
        if self.bounds.floor.is_some_and(|floor| value < floor) {
            self.bounds.floor = None;
        }
        self.seen += 1;
    }

    /// Points and deviations on the scale of the series.
    pub(super) fn project(&self, horizon: usize) -> Projection {
        let (mut mean, mut deviation) = match &self.fitted {
            Fitted::Naive(fitted) => fitted.forecast(horizon),
            Fitted::Theta(fitted) | Fitted::LogTheta(fitted, ..) => fitted.forecast(horizon),
            Fitted::Ets(fitted) => fitted.forecast(horizon),
        };
        for (h, (mean, deviation)) in mean.iter_mut().zip(&mut deviation).enumerate() {
            if let Fitted::LogTheta(_, low, high) = self.fitted {
                // A trend in logarithms explodes: it may at most repeat the whole range ever seen.
                *mean = mean.clamp(2.0 * low - high, 2.0 * high - low).exp();
                *deviation *= *mean;
            }
            let at = self.seen + h;
            *mean = self.bounds.keep(self.season.restore(*mean, at));
            *deviation *= self.season.stretch(at).abs();
        }
        let (parameters, form) = match &self.fitted {
            Fitted::Naive(_) => (Vec::new(), None),
            Fitted::Theta(fitted) | Fitted::LogTheta(fitted, ..) => (fitted.parameters(), None),
            Fitted::Ets(fitted) => (fitted.parameters(), Some(fitted.form.name())),
        };
        Projection {
            mean,
            deviation,
            parameters,
            form,
        }
    }
}

fn range(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)))
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
