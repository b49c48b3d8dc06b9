//! The no-U-turn sampler (Hoffman and Gelman 2014; the implementation of `nuts-rs`) on a posterior density.
//!
//! It runs in coordinates in which the posterior is near a standard normal: those of the normal around the mode. Every chain has a
//! random stream of its own, so the draws do not depend on the number of threads.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use nuts_rs::{
    Chain, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, HasDims, LogpError, Settings,
    rand::{Rng as NutsRng, SeedableRng, rngs::ChaCha8Rng},
};
use rand::RngCore;

use super::{density::Density, mode::Normal};
use crate::{
    cancel::{Cancel, Cancelled},
    rng,
};

/// How long to sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) chains: usize,
    pub(super) warmup: usize,
    pub(super) draws: usize,
    pub(super) target_accept: f64,
    pub(super) seed: u64,
    pub(super) threads: usize,
}

/// What one chain gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Draws {
    /// Coordinates of the density, draw after draw.
    pub(super) positions: Vec<f64>,
    /// Draws after warm-up whose trajectory left the region where the density can be followed.
    pub(super) divergences: usize,
    /// Evaluations of the density after warm-up.
    pub(super) evaluations: u64,
}

/// Why sampling ended without draws.
#[derive(Debug)]
pub(super) enum SamplerError {
    Cancelled,
    Failed(String),
}

impl From<Cancelled> for SamplerError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// The density in the coordinates of a normal.
struct Whitened<'a, 'd> {
    density: Density<'d>,
    normal: &'a Normal,
    arch: pulp::Arch,
    position: Vec<f64>,
    gradient: Vec<f64>,
    stop: Stop<'a>,
}

/// Asked at every evaluation: one trajectory may take a thousand of them.
#[derive(Clone, Copy)]
struct Stop<'a> {
    cancel: &'a (dyn Cancel + Sync),
    /// Whether another chain has failed.
    failed: &'a AtomicBool,
}

impl Stop<'_> {
    fn is_wanted(self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.cancel.is_cancelled()
    }
}

#[derive(Debug, thiserror::Error)]
enum NoValue {
    #[error("the density is not finite")]
    NotFinite,
    #[error("the computation was cancelled")]
    Stopped,
}

impl LogpError for NoValue {
    fn is_recoverable(&self) -> bool {
        matches!(self, Self::NotFinite)
    }
}

impl HasDims for Whitened<'_, '_> {
    fn dim_sizes(&self) -> HashMap<String, u64> {
        HashMap::from([(
            "unconstrained_parameter".to_owned(),
            self.position.len() as u64,
        )])
    }
}

impl CpuLogpFunc for Whitened<'_, '_> {
    type LogpError = NoValue;
    type FlowParameters = ();
    type ExpandedVector = Vec<f64>;

    fn dim(&self) -> usize {
        self.position.len()
    }

    fn logp(&mut self, z: &[f64], out: &mut [f64]) -> Result<f64, NoValue> {
        if self.stop.is_wanted() {
            return Err(NoValue::Stopped);
        }
        self.normal.place(self.arch, z, &mut self.position);
        let value = self.density.evaluate(&self.position, &mut self.gradient);
        self.normal.pull_back(self.arch, &self.gradient, out);
        if value.is_finite() && out.iter().all(|g| g.is_finite()) {
            Ok(value)
        } else {
            Err(NoValue::NotFinite)
        }
    }

    fn expand_vector<R: NutsRng + ?Sized>(
        &mut self,
        _: &mut R,
        z: &[f64],
    ) -> Result<Vec<f64>, CpuMathError> {
        Ok(z.to_vec())
    }
}

/// Runs the chains on at most `plan.threads` threads.
pub(super) fn sample(
    density: &Density<'_>,
    normal: &Normal,
    plan: Plan,
    cancel: &(dyn Cancel + Sync),
) -> Result<Vec<Draws>, SamplerError> {
    cancel.check()?;
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let stop = Stop {
        cancel,
        failed: &failed,
    };
    let mut results: Vec<(usize, Result<Draws, SamplerError>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.threads.clamp(1, plan.chains.max(1)))
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let chain = next.fetch_add(1, Ordering::Relaxed);
                        if chain >= plan.chains {
                            return mine;
                        }
                        let result = run(density, normal, plan, chain, stop);
                        if result.is_err() {
                            failed.store(true, Ordering::Relaxed);
                        }
                        mine.push((chain, result));
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(mine) => mine,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    results.sort_by_key(|(chain, _)| *chain);
    let results = results.into_iter().map(|(_, result)| result).collect();
    gather(results, cancel.is_cancelled())
}

/// The draws of all chains, or why there are none: that the caller asked to stop, else what made a chain fail. Chains that were
/// stopped because of another one say nothing, and how many they are depends on the number of threads.
fn gather(
    results: Vec<Result<Draws, SamplerError>>,
    cancelled: bool,
) -> Result<Vec<Draws>, SamplerError> {
    let (mut draws, mut failure) = (Vec::with_capacity(results.len()), None);
    for result in results {
        match (result, &failure) {
            (Ok(of_chain), _) => draws.push(of_chain),
            (Err(SamplerError::Cancelled), None) => failure = Some(SamplerError::Cancelled),
            (Err(failed), None | Some(SamplerError::Cancelled)) => failure = Some(failed),
            (Err(_), Some(SamplerError::Failed(_))) => {}
        }
    }
    match failure {
        None => Ok(draws),
        Some(_) if cancelled => Err(SamplerError::Cancelled),
        Some(why) => Err(why),
    }
}

fn run(
    density: &Density<'_>,
    normal: &Normal,
    plan: Plan,
    chain: usize,
    stop: Stop<'_>,
) -> Result<Draws, SamplerError> {
    let dimension = density.dimension();
    let arch = pulp::Arch::new();
    let mut stream = rng::stream(plan.seed, &[0x006d_6978, chain as u64]);
    let mut generator = ChaCha8Rng::seed_from_u64(stream.next_u64());
    let failed = |error: &dyn std::fmt::Display| {
        if stop.is_wanted() {
            SamplerError::Cancelled
        } else {
            SamplerError::Failed(error.to_string())
        }
    };
    let mut settings = DiagNutsSettings {
        num_tune: plan.warmup as u64,
        num_draws: plan.draws as u64,
        ..DiagNutsSettings::default()
    };
    settings.adapt_options.step_size_settings.target_accept = plan.target_accept;
    let math = CpuMath::new(Whitened {
        density: density.clone(),
        normal,
        arch,
        position: vec![0.0; dimension],
        gradient: vec![0.0; dimension],
        stop,
    });
    let mut sampler = settings
        .new_chain(chain as u64, math, &mut generator)
        .map_err(|e| failed(&e))?;
    // Starts are spread wider than the posterior, or R-hat would have nothing to find.
    let mut started = Err(SamplerError::Failed(String::new()));
    for attempt in 0..20 {
        let width = 2.0 / f64::from(1 << (attempt / 4));
        let start: Vec<f64> = (0..dimension)
            .map(|_| width * (rng::normal(&mut stream)).clamp(-2.0, 2.0))
            .collect();
        started = sampler.set_position(&start).map_err(|e| failed(&e));
        if started.is_ok() || stop.is_wanted() {
            break;
        }
    }
    started?;
    let mut draws = Draws {
        positions: vec![0.0; plan.draws * dimension],
        ..Draws::default()
    };
    for i in 0..plan.warmup + plan.draws {
        let (z, progress) = sampler.draw().map_err(|e| failed(&e))?;
        if i >= plan.warmup {
            let at = (i - plan.warmup) * dimension;
            normal.place(arch, &z, &mut draws.positions[at..at + dimension]);
            draws.divergences += usize::from(progress.diverging);
            draws.evaluations += progress.num_gradients;
        }
    }
    Ok(draws)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_failed_is_told_from_those_it_stopped() {
        let results = || {
            vec![
                Err(SamplerError::Cancelled),
                Ok(Draws::default()),
                Err(SamplerError::Failed("chain 2".to_owned())),
                Err(SamplerError::Cancelled),
                Err(SamplerError::Failed("chain 4".to_owned())),
            ]
        };
        let failed = gather(results(), false);
        assert!(matches!(failed, Err(SamplerError::Failed(why)) if why == "chain 2"));
        assert!(matches!(
            gather(results(), true),
            Err(SamplerError::Cancelled)
        ));
        let whole = gather(vec![Ok(Draws::default()), Ok(Draws::default())], true);
        assert_eq!(whole.expect("all chains ended").len(), 2);
    }
}
