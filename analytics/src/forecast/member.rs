//! One model on the values up to one origin: fitted, projected, and carried on when new values come.

use serde::{Deserialize, Serialize};

use super::arima::{self, Order, Search};
use super::ces;
use super::ets::{self, Pool, TrendForm};
use super::mstl::{self, Mstl};
use super::season::Season;
use super::{Model, Options, Projection, Steps, naive, theta};
use crate::cancel::Cancel;

/// The past of one origin, looked at once for all models.
pub(super) struct Origin<'a> {
    values: &'a [f64],
    period: usize,
    /// All seasons for the model that can have several.
    periods: Vec<usize>,
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

/// What the fits at an earlier origin of the same series leave to the next one: a place to start the search from, and orders and
/// forms that need not be chosen anew at every origin. It holds nothing that a later origin would not know.
pub(super) struct Memory<'a> {
    cancel: &'a dyn Cancel,
    ets: Vec<ets::Fitted>,
    /// Orders, and whether there is a constant.
    arima: Option<(Order, bool)>,
    ces: Option<ces::Form>,
}

impl<'a> Memory<'a> {
    pub(super) fn new(cancel: &'a dyn Cancel) -> Self {
        Self {
            cancel,
            ets: Vec::new(),
            arima: None,
            ces: None,
        }
    }

    /// Lets orders and forms be chosen again.
    pub(super) fn choose_again(&mut self) {
        (self.arima, self.ces) = (None, None);
    }
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
    Arima(Box<arima::Fitted>),
    Ces(Box<ces::Fitted>),
    /// With the number of values taken in since the seasons were found.
    Mstl(Box<mstl::Fitted<ces::Fitted>>, usize),
}

impl<'a> Origin<'a> {
    pub(super) fn new(values: &'a [f64], options: &Options, floor: Option<f64>) -> Self {
        let period = options.period;
        let further = options.further.into_iter().filter(|p| *p > 1);
        let season = Season::detect(values, period);
        let flat = season.remove(values);
        let (low, high) = range(values);
        Self {
            values,
            period,
            periods: std::iter::once(period).chain(further).collect(),
            season,
            flat,
            bounds: Bounds { low, high, floor },
        }
    }

    /// Fits some models. A model that cannot be fitted here repeats the last value, and [`Member::stands_in_for`] says so. Once cancelled
    /// nothing is fitted any more; the caller throws the result away.
    pub(super) fn fit(&self, models: &[Model], memory: &mut Memory<'_>) -> Vec<Member> {
        let wants_all = models.contains(&Model::Ets);
        if wants_all || models.contains(&Model::DampedEts) {
            let pool = if wants_all { Pool::All } else { Pool::Damped };
            memory.ets = if self.classical() {
                ets::fit_all(self.values, self.period, pool, &memory.ets, memory.cancel)
            } else {
                ets::fit_all(&self.flat, 1, pool, &memory.ets, memory.cancel)
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
        memory: &mut Memory<'_>,
    ) -> Vec<Projection> {
        let members = self.fit(models, memory);
        members
            .iter()
            .map(|member| member.project(horizon))
            .collect()
    }

    /// Whether every period of the season is short enough to have a state of its own.
    fn classical(&self) -> bool {
        self.period <= ets::LONGEST_SEASON
    }

    fn member(&self, model: Model, memory: &mut Memory<'_>) -> Member {
        let naive = |period: usize| Fitted::Naive(naive::Fitted::new(self.values, period));
        let mut adjusted = false;
        let cancel = memory.cancel;
        let fitted = match model {
            _ if cancel.is_cancelled() => None,
            Model::Naive | Model::Ensemble => Some(naive(1)),
            Model::SeasonalNaive => Some(naive(self.period)),
            Model::Theta | Model::DynamicTheta => {
                adjusted = true;
                Some(self.theta(model, cancel))
            }
            Model::Ets | Model::DampedEts => {
                adjusted = !self.classical();
                let best = memory
                    .ets
                    .iter()
                    .filter(|f| model == Model::Ets || f.form.trend == TrendForm::Damped)
                    .min_by(|a, b| a.criterion.total_cmp(&b.criterion));
                best.map(|best| Fitted::Ets(Box::new(best.clone())))
            }
            Model::Arima => self.arima(memory),
            Model::Ces => self.ces(memory),
            Model::Mstl => {
                let trend =
                    |values: &[f64]| ces::fit_cancellable(values, 1, ces::Form::None, cancel);
                let stop = || cancel.is_cancelled();
                mstl::fit(self.values, &Mstl::new(&self.periods), trend, &stop)
                    .ok()
                    .map(|fitted| Fitted::Mstl(Box::new(fitted), 0))
            }
        };
        let (fitted, adjusted) = match fitted {
            Some(fitted) => (fitted, adjusted),
            None => (Fitted::Naive(naive::Fitted::new(self.values, 1)), false),
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

    /// Theta works on logarithms where the values allow it, dynamic Theta always on the values themselves: on the training parts
    /// of the M3 collections each on its own scale was better than both on either.
    fn theta(&self, model: Model, cancel: &dyn Cancel) -> Fitted {
        match logarithms(&self.flat).filter(|_| model == Model::Theta) {
            Some(logs) => {
                let (low, high) = range(&logs);
                Fitted::LogTheta(theta::standard(&logs, cancel), low, high)
            }
            None if model == Model::Theta => Fitted::Theta(theta::standard(&self.flat, cancel)),
            None => Fitted::Theta(theta::dynamic(&self.flat, cancel)),
        }
    }

    /// A year of weeks has too many lags for seasonal terms that a few years could estimate.
    fn arima(&self, memory: &mut Memory<'_>) -> Option<Fitted> {
        let cancel = memory.cancel;
        let known = memory.arima.and_then(|(order, constant)| {
            arima::fit_cancellable(self.values, order, constant, &[], cancel).ok()
        });
        let fitted = known.or_else(|| {
            let period = if self.classical() { self.period } else { 1 };
            arima::auto(self.values, &[], &Search::new(period), cancel).ok()
        })?;
        memory.arima = Some((fitted.order, fitted.constant.is_some()));
        Some(Fitted::Arima(Box::new(fitted)))
    }

    fn ces(&self, memory: &mut Memory<'_>) -> Option<Fitted> {
        let cancel = memory.cancel;
        let period = if self.classical() { self.period } else { 1 };
        let known = memory
            .ces
            .and_then(|form| ces::fit_cancellable(self.values, period, form, cancel).ok());
        let fitted = known.or_else(|| ces::auto_cancellable(self.values, period, cancel).ok())?;
        memory.ces = Some(fitted.form);
        Some(Fitted::Ces(Box::new(fitted)))
    }
}

impl Member {
    /// Whether this repeats the last value because `model` could not be fitted.
    pub(super) fn stands_in_for(&self, model: Model) -> bool {
        matches!(self.fitted, Fitted::Naive(_))
            && !matches!(model, Model::Naive | Model::SeasonalNaive)
    }

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
            Fitted::Arima(fitted) => fitted.update(flat),
            Fitted::Ces(fitted) => fitted.update(flat),
            Fitted::Mstl(fitted, since) => {
                let seasons = fitted.decomposition.restore(Steps {
                    mean: vec![0.0; *since + 1],
                    sigma: vec![0.0; *since + 1],
                });
                fitted.trend.update(flat - seasons.mean[*since]);
                *since += 1;
            }
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
            Fitted::Arima(fitted) => apart(fitted.forecast(horizon)),
            Fitted::Ces(fitted) => apart(fitted.forecast(horizon)),
            Fitted::Mstl(fitted, since) => {
                // The seasons go on from where they were found, the trend from the last value.
                let mut trend = fitted.trend.forecast(horizon);
                let blank = |part: &[f64]| -> Vec<f64> {
                    let none = std::iter::repeat_n(0.0, *since);
                    none.chain(part.iter().copied()).collect()
                };
                trend = Steps {
                    mean: blank(&trend.mean),
                    sigma: blank(&trend.sigma),
                };
                let (mut mean, mut sigma) = apart(fitted.decomposition.restore(trend));
                (mean.split_off(*since), sigma.split_off(*since))
            }
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
            Fitted::Arima(fitted) => (Vec::new(), Some(fitted.order.name())),
            Fitted::Ces(fitted) => (Vec::new(), Some(fitted.form.name().to_owned())),
            Fitted::Mstl(..) => (Vec::new(), None),
        };
        Projection {
            mean,
            deviation,
            parameters,
            form,
        }
    }
}

fn apart(steps: Steps) -> (Vec<f64>, Vec<f64>) {
    (steps.mean, steps.sigma)
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
