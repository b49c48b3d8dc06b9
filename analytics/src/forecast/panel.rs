//! Many series at once: every one with its own backtest and champion, all together teaching how wide the intervals must be.
//!
//! The series are shared among threads one by one, and each result goes to its own place, so the outcome does not depend on how
//! many threads there are.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize};

use super::{Draft, Forecast, ForecastError, Model, Options, Prior};
use crate::cancel::{Cancel, Cancelled};

/// Some series and what to do with them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Identifier and values (NaN = missing) of each series, oldest value first.
    pub series: &'a [(String, Vec<f64>)],
    /// Horizon, season, backtest and recipe, the same for all.
    pub options: Options,
    /// A model to use for all series instead of each one's champion.
    pub model: Option<Model>,
    /// Threads to work with, at least 1.
    pub threads: usize,
}

/// One step of one series' forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Identifier of the series.
    pub unique_id: String,
    /// Steps after the last value, from 1.
    pub step: usize,
    /// Expected value.
    pub yhat: f64,
    /// Lower end of the 80 % interval.
    pub lo80: f64,
    /// Upper end of the 80 % interval.
    pub hi80: f64,
    /// Lower end of the 95 % interval.
    pub lo95: f64,
    /// Upper end of the 95 % interval.
    pub hi95: f64,
}

/// Why there are no forecasts.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PanelError {
    /// A series cannot be forecast.
    #[error("series {series:?}: {error}")]
    Series {
        /// Its identifier.
        series: String,
        /// Why.
        error: ForecastError,
    },
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Forecasts every series, in the order given. A series that cannot be forecast (no known value) has its error in its place.
///
/// The intervals are calibrated on the whole panel: the backtests of all series teach, step by step, how far the models' own
/// widths have to be stretched, and each series' own backtest moves that for itself.
///
/// # Errors
/// [`Cancelled`] when the caller asked to stop.
pub fn forecasts(
    request: &Request<'_>,
    cancel: &(dyn Cancel + Sync),
) -> Result<Vec<Result<Forecast, ForecastError>>, Cancelled> {
    watched_forecasts(request, &|| (), cancel)
}

/// Like [`forecasts`], calling `done` after every series, from whichever thread worked on it.
///
/// # Errors
/// As [`forecasts`].
pub fn watched_forecasts(
    request: &Request<'_>,
    done: &(dyn Fn() + Sync),
    cancel: &(dyn Cancel + Sync),
) -> Result<Vec<Result<Forecast, ForecastError>>, Cancelled> {
    let options = request.options;
    let drafts = each(request.series, request.threads, cancel, |(_, values)| {
        let draft = Draft::new(values, &options, request.model, cancel);
        done();
        draft
    })?;
    let tested: Vec<&[Vec<f64>]> = drafts
        .iter()
        .filter_map(|draft| draft.as_ref().ok())
        .map(|draft| draft.ratios.as_slice())
        .collect();
    let prior = Prior::of_panel(&tested, options.apart(), cancel)?;
    let finished = drafts.into_iter().map(|draft| {
        cancel.check()?;
        Ok(draft.and_then(|draft| draft.finish(&prior)))
    });
    finished.collect()
}

/// Forecasts every series as rows ready to be printed, series by series in the order given.
///
/// # Errors
/// [`PanelError::Series`] for the first series that cannot be forecast, [`PanelError::Cancelled`].
pub fn run(request: &Request<'_>, cancel: &(dyn Cancel + Sync)) -> Result<Vec<Row>, PanelError> {
    let mut rows = Vec::with_capacity(request.series.len() * request.options.horizon);
    let made = forecasts(request, cancel)?;
    for ((id, _), forecast) in request.series.iter().zip(made) {
        let forecast = forecast.map_err(|error| PanelError::Series {
            series: id.clone(),
            error,
        })?;
        rows.extend((1..).zip(forecast.steps).map(|(step, s)| Row {
            unique_id: id.clone(),
            step,
            yhat: s.mean,
            lo80: s.low80,
            hi80: s.high80,
            lo95: s.low95,
            hi95: s.high95,
        }));
    }
    Ok(rows)
}

/// Applies `work` to every item on up to `threads` threads; the results are in the order of the items.
fn each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    cancel: &(dyn Cancel + Sync),
    work: impl Fn(&T) -> R + Sync,
) -> Result<Vec<R>, Cancelled> {
    /// Items a thread takes at once: few enough to end together, many enough not to queue for the lock.
    const SHARE: usize = 16;
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let slots: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let labour = || {
        loop {
            let from = next.fetch_add(SHARE, Ordering::Relaxed);
            if from >= items.len() {
                return;
            }
            let mut done = Vec::with_capacity(SHARE);
            for item in &items[from..items.len().min(from + SHARE)] {
                if stopped.load(Ordering::Relaxed) || cancel.is_cancelled() {
                    stopped.store(true, Ordering::Relaxed);
                    return;
                }
                done.push(work(item));
            }
            let mut slots = slots
                .lock()
                .expect("no thread panics while it holds the lock");
            for (slot, result) in slots[from..].iter_mut().zip(done) {
                *slot = Some(result);
            }
        }
    };
    let threads = threads.clamp(1, items.len().div_ceil(SHARE).max(1));
    if threads == 1 {
        labour();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(labour);
            }
        });
    }
    if stopped.into_inner() {
        return Err(Cancelled);
    }
    let slots = slots.into_inner().expect("all threads ended well");
    Ok(slots.into_iter().flatten().collect())
}
