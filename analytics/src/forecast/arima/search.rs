//! The stepwise search for the order of Hyndman and Khandakar (2008).

use serde::{Deserialize, Serialize};

use super::difference::{differences, seasonal_differences};
use super::likelihood::{Likelihood, Shape, Treatment};
use super::{ArimaError, Data, Estimate, Fitted, LONGEST_PERIOD, Order, QUICK, THOROUGH, check};
use crate::cancel::Cancel;

/// What the search may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Values in one season; 1 = no season.
    pub period: usize,
    /// Most coefficients of φ and of θ.
    pub largest: usize,
    /// Most coefficients of Φ and of Θ.
    pub seasonal_largest: usize,
    /// Most coefficients of all four together.
    pub sum: usize,
    /// Differences; `None` = by tests.
    pub d: Option<usize>,
    /// Most differences the tests may ask for. One by default: two let a forecast run away along its last slope, and forecasts
    /// of the last cycle of the M3 monthly training values were 5 % worse with them (quarterly ones the same).
    pub largest_d: usize,
    /// Seasonal differences; `None` = by the strength of the season.
    pub seasonal_d: Option<usize>,
    /// Most models tried.
    pub models: usize,
    /// Models with a root of φ, Φ, θ or Θ nearer to zero than this are refused: those are on the border of instability.
    /// Between 1.001 and 1.01 forecasts of the last cycle of the M3 training values were equally good; without the rule, worse.
    pub nearest_root: f64,
}

impl Search {
    /// The usual limits for a season.
    pub fn new(period: usize) -> Self {
        Self {
            period,
            largest: 5,
            seasonal_largest: 2,
            sum: 5,
            d: None,
            largest_d: 1,
            seasonal_d: None,
            models: 94,
            nearest_root: 1.005,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    p: usize,
    q: usize,
    seasonal_p: usize,
    seasonal_q: usize,
    constant: bool,
}

/// Chooses order and constant for a series and fits the model.
///
/// Seasonal terms are tried when the series has at least two seasons and a period of no more than [`LONGEST_PERIOD`].
///
/// # Errors
/// [`ArimaError`] for values or regressors that cannot be used; four values are the fewest.
pub fn auto(
    values: &[f64],
    regressors: &[Vec<f64>],
    search: &Search,
    cancel: &dyn Cancel,
) -> Result<Fitted, ArimaError> {
    check(values, regressors)?;
    let n = values.len();
    let need = 4 + regressors.len();
    if n < need {
        return Err(ArimaError::TooShort { have: n, need });
    }
    let seasonal = (2..=LONGEST_PERIOD).contains(&search.period) && n >= 2 * search.period;
    let period = if seasonal { search.period } else { 1 };
    let detrended;
    let bare = if regressors.is_empty() {
        values
    } else {
        detrended = without(values, regressors)?;
        &detrended
    };
    let mut seasonal_d = match search.seasonal_d {
        _ if !seasonal => 0,
        Some(d) => d.min(1),
        None => seasonal_differences(bare, period),
    };
    // A seasonal difference must leave something to fit.
    if n < period * seasonal_d + need {
        seasonal_d = 0;
    }
    let left = super::difference::difference(bare, 0, seasonal_d, period);
    let d = search
        .d
        .unwrap_or_else(|| differences(&left, search.largest_d))
        .min(2);
    let base = Order {
        d,
        seasonal_d,
        period,
        ..Order::default()
    };
    let mut walk = Walk {
        with: None,
        without: Data::new(values, base, false, regressors)?,
        search,
        base,
        treatment: Treatment::Settling,
        tried: Vec::new(),
        best: None,
        earlier: Vec::new(),
    };
    if walk.without.count() * (search.seasonal_largest * period + search.largest) > LONG {
        walk.treatment = Treatment::Conditional;
    }
    if d + seasonal_d <= 1 {
        walk.with = Data::new(values, base, true, regressors).ok();
    }
    walk.run(cancel)?;
    let finalists = walk.finalists(cancel)?;
    let (candidate, estimate) = finalists.ok_or(ArimaError::Collinear)?;
    let data = walk.data(candidate.constant).unwrap_or(&walk.without);
    let order = Order {
        p: candidate.p,
        q: candidate.q,
        seasonal_p: candidate.seasonal_p,
        seasonal_q: candidate.seasonal_q,
        ..base
    };
    Ok(data.finish(values, order, &estimate))
}

/// What ordinary least squares on the regressors and a mean leaves of the values.
fn without(values: &[f64], regressors: &[Vec<f64>]) -> Result<Vec<f64>, ArimaError> {
    let data = Data::new(values, Order::plain(0, 0, 0), true, regressors)?;
    let mut likelihood = Likelihood::new(
        Order::plain(0, 0, 0).shape(),
        &data.columns,
        Treatment::Settling,
    );
    likelihood
        .evaluate(&[])
        .map(|left| left.iter().map(|e| e * data.scales[0]).collect())
        .ok_or(ArimaError::Collinear)
}

struct Walk<'a> {
    /// The columns with a constant, where one is possible.
    with: Option<Data>,
    without: Data,
    search: &'a Search,
    base: Order,
    treatment: Treatment,
    tried: Vec<Candidate>,
    best: Option<(Candidate, Estimate, f64)>,
    /// What was best before, the latest last.
    earlier: Vec<(Candidate, Estimate, f64)>,
}

/// Values times longest lag from which on the search goes by conditional sums of squares, and only the last few are
/// estimated by exact likelihood.
const LONG: usize = 12_000;

/// Best models of a search by conditional sums of squares that are compared by exact likelihood.
const FINALISTS: usize = 3;

impl Walk<'_> {
    fn data(&self, constant: bool) -> Option<&Data> {
        if constant {
            self.with.as_ref()
        } else {
            Some(&self.without)
        }
    }

    fn shape(&self, candidate: Candidate) -> Shape {
        Shape {
            p: candidate.p,
            q: candidate.q,
            seasonal_p: candidate.seasonal_p,
            seasonal_q: candidate.seasonal_q,
            period: self.base.period,
        }
    }

    fn admits(&self, c: Candidate) -> bool {
        let search = self.search;
        let seasonal = if self.base.period > 1 {
            search.seasonal_largest
        } else {
            0
        };
        c.p <= search.largest
            && c.q <= search.largest
            && c.seasonal_p <= seasonal
            && c.seasonal_q <= seasonal
            && c.p + c.q + c.seasonal_p + c.seasonal_q <= search.sum
            && (!c.constant || self.with.is_some())
    }

    /// Estimates a candidate that was not tried before; whether it is the best so far.
    fn attempt(&mut self, candidate: Candidate, cancel: &dyn Cancel) -> bool {
        if !self.admits(candidate)
            || self.tried.contains(&candidate)
            || self.tried.len() >= self.search.models
        {
            return false;
        }
        self.tried.push(candidate);
        let shape = self.shape(candidate);
        let Some(data) = self.data(candidate.constant) else {
            return false;
        };
        // Too few values for the criterion: no need to estimate.
        if data.count() <= data.parameters(shape) + 1 {
            return false;
        }
        let starts: Vec<Vec<f64>> = self
            .best
            .iter()
            .map(|(_, estimate, _)| transfer(estimate, shape))
            .collect();
        let Some(estimate) = data.estimate(shape, &starts, QUICK, self.treatment, cancel) else {
            return false;
        };
        let Some(aicc) = data.aicc(&estimate) else {
            return false;
        };
        let better = self.best.as_ref().is_none_or(|(_, _, best)| aicc < *best);
        if !better {
            return false;
        }
        if !self.is_sound(data, &estimate) {
            return false;
        }
        self.earlier.extend(self.best.take());
        self.best = Some((candidate, estimate, aicc));
        true
    }

    fn run(&mut self, cancel: &dyn Cancel) -> Result<(), ArimaError> {
        let constant = self.with.is_some();
        let seasonal = usize::from(self.base.period > 1);
        let start = |p, q, seasonal_p, seasonal_q, constant| Candidate {
            p,
            q,
            seasonal_p,
            seasonal_q,
            constant,
        };
        for candidate in [
            start(0, 0, 0, 0, constant),
            start(0, 0, 0, 0, false),
            start(1, 0, seasonal, 0, constant),
            start(0, 1, 0, seasonal, constant),
            start(2, 2, seasonal, seasonal, constant),
        ] {
            cancel.check()?;
            self.attempt(candidate, cancel);
        }
        'walk: loop {
            let Some((here, _, _)) = &self.best else {
                return Ok(());
            };
            let here = *here;
            for candidate in neighbours(here) {
                cancel.check()?;
                if self.attempt(candidate, cancel) {
                    continue 'walk;
                }
            }
            return Ok(());
        }
    }

    /// Whether there is a likelihood and no root is near the border.
    fn is_sound(&self, data: &Data, estimate: &Estimate) -> bool {
        let mut likelihood = Likelihood::new(estimate.shape, &data.columns, Treatment::Settling);
        likelihood.evaluate(&estimate.free).is_some()
            && likelihood
                .polynomials()
                .roots_beyond(self.search.nearest_root, self.base.period)
    }

    /// The best model with its exact maximum of the likelihood.
    fn finalists(
        &mut self,
        cancel: &dyn Cancel,
    ) -> Result<Option<(Candidate, Estimate)>, ArimaError> {
        let mut finalists = std::mem::take(&mut self.earlier);
        finalists.extend(self.best.take());
        finalists.reverse();
        finalists.truncate(if self.treatment == Treatment::Conditional {
            FINALISTS
        } else {
            1
        });
        let mut best: Option<(Candidate, Estimate, f64)> = None;
        for (candidate, estimate, _) in finalists {
            cancel.check()?;
            let Some(data) = self.data(candidate.constant) else {
                continue;
            };
            let start = std::slice::from_ref(&estimate.free);
            let finer = data
                .estimate(estimate.shape, start, THOROUGH, Treatment::Settling, cancel)
                .filter(|finer| self.is_sound(data, finer))
                .unwrap_or(estimate);
            let aicc = data.aicc(&finer).unwrap_or(f64::INFINITY);
            if best.as_ref().is_none_or(|(_, _, least)| aicc < *least) {
                best = Some((candidate, finer, aicc));
            }
        }
        cancel.check()?;
        Ok(best
            .map(|(candidate, estimate, _)| (candidate, estimate))
            .or_else(|| self.simplest(cancel)))
    }

    /// The model without coefficients, with a constant where that can be estimated.
    fn simplest(&self, cancel: &dyn Cancel) -> Option<(Candidate, Estimate)> {
        [true, false].into_iter().find_map(|constant| {
            let candidate = Candidate {
                p: 0,
                q: 0,
                seasonal_p: 0,
                seasonal_q: 0,
                constant,
            };
            let data = self.data(constant)?;
            let shape = self.shape(candidate);
            let estimate = data.estimate(shape, &[], QUICK, Treatment::Settling, cancel)?;
            Some((candidate, estimate))
        })
    }
}

/// One coefficient more or less in one polynomial, in both plain ones or in both seasonal ones, and the constant.
fn neighbours(c: Candidate) -> Vec<Candidate> {
    let moves: [(isize, isize, isize, isize); 16] = [
        (0, 0, -1, 0),
        (0, 0, 0, -1),
        (0, 0, 1, 0),
        (0, 0, 0, 1),
        (0, 0, -1, -1),
        (0, 0, -1, 1),
        (0, 0, 1, -1),
        (0, 0, 1, 1),
        (-1, 0, 0, 0),
        (0, -1, 0, 0),
        (1, 0, 0, 0),
        (0, 1, 0, 0),
        (-1, -1, 0, 0),
        (-1, 1, 0, 0),
        (1, -1, 0, 0),
        (1, 1, 0, 0),
    ];
    let mut found: Vec<Candidate> = moves
        .iter()
        .filter_map(|(p, q, seasonal_p, seasonal_q)| {
            Some(Candidate {
                p: c.p.checked_add_signed(*p)?,
                q: c.q.checked_add_signed(*q)?,
                seasonal_p: c.seasonal_p.checked_add_signed(*seasonal_p)?,
                seasonal_q: c.seasonal_q.checked_add_signed(*seasonal_q)?,
                constant: c.constant,
            })
        })
        .collect();
    found.push(Candidate {
        constant: !c.constant,
        ..c
    });
    found
}

/// The free numbers of an estimate as a start for another shape: partial autocorrelations that are not there are zero.
fn transfer(from: &Estimate, to: Shape) -> Vec<f64> {
    let old = from.shape;
    let mut rest = from.free.as_slice();
    let mut out = Vec::with_capacity(to.count());
    for (have, want) in [
        (old.p, to.p),
        (old.q, to.q),
        (old.seasonal_p, to.seasonal_p),
        (old.seasonal_q, to.seasonal_q),
    ] {
        let (own, others) = rest.split_at(have);
        out.extend((0..want).map(|k| own.get(k).copied().unwrap_or(0.0)));
        rest = others;
    }
    out
}
