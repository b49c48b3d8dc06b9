//! Sizes the planted facts so that an oracle regression finds each at the intended strength.
//!
//! The oracle knows the true functional form: the true season, trend, break, one-off weeks, carry-over, saturation and
//! autocorrelation, but not the coefficients. An effect it cannot see is not fair to ask of anyone; an effect it sees
//! at |t| = 30 proves nothing.

use rand::Rng;

use super::catalogue::{CHANNEL_COUNT, OWN, RIVALS};
use super::path::{Path, led, pressure, simulate};
use super::spec::{Facts, HISTORY, Kind, Spec, YEAR, draw};
use super::truth::{earned, marginal_return};
use crate::linear::{Fit, gls};
use crate::rng::stream;

/// The t statistics with which the oracle sees the planted facts (marginal returns against break-even 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OracleT {
    /// The cannibalising pair.
    pub cannibal: f64,
    /// The halo pair.
    pub halo: f64,
    /// The saturated line.
    pub saturated: f64,
    /// The starved line.
    pub starved: f64,
    /// The rival's campaign.
    pub campaign: f64,
    /// The leading indicator.
    pub indicator: f64,
}

impl OracleT {
    /// All six, in the order cannibal, halo, saturated, starved, campaign, indicator.
    #[must_use]
    pub fn all(&self) -> [f64; 6] {
        [
            self.cannibal,
            self.halo,
            self.saturated,
            self.starved,
            self.campaign,
            self.indicator,
        ]
    }
}

/// Draws a world and sizes what is planted in it.
pub(super) fn plant(seed: u64, kind: Kind) -> (Spec, Path, Option<OracleT>) {
    let mut spec = draw(seed, kind);
    let rng = &mut stream(seed, &[77]);
    let targets: Vec<f64> = (0..6).map(|_| rng.random_range(7.8..8.8)).collect();
    let mut path = settle(&mut spec);
    for _ in 0..12 {
        let Some(facts) = spec.facts else { break };
        let oracle = examine(&spec, &path, &facts);
        let seen = oracle.statistics();
        let off = seen
            .iter()
            .zip(&targets)
            .any(|(t, goal)| (t.abs() - goal).abs() > 0.15);
        if !off {
            return (spec, path, Some(seen_by(&oracle)));
        }
        resize(&mut spec, &oracle, &targets);
        path = settle(&mut spec);
    }
    let seen = spec
        .facts
        .map(|facts| seen_by(&examine(&spec, &path, &facts)));
    (spec, path, seen)
}

/// Sets every coefficient so that the marginal return over the observed path is the intended one.
///
/// Spend may react to sales and sales depend on spend, so this is a short fixed-point iteration.
fn settle(spec: &mut Spec) -> Path {
    let mut path = simulate(spec, &[], HISTORY);
    let rounds = if spec.reaction == 0.0 { 1 } else { 6 };
    for _ in 0..rounds {
        for l in 0..spec.lines.len() {
            let now = marginal_return(spec, &path, l);
            spec.lines[l].coefficient *= spec.lines[l].marginal_return / now;
        }
        path = simulate(spec, &[], HISTORY);
    }
    path
}

struct Oracle {
    /// Coefficient and standard error.
    cannibal: (f64, f64),
    halo: (f64, f64),
    saturated: (f64, f64),
    starved: (f64, f64),
    campaign: (f64, f64),
    indicator: (f64, f64),
}

impl Oracle {
    fn statistics(&self) -> [f64; 6] {
        let t = |e: (f64, f64)| e.0 / e.1;
        let even = |e: (f64, f64)| (e.0 - 1.0) / e.1;
        [
            t(self.cannibal),
            t(self.halo),
            even(self.saturated),
            even(self.starved),
            t(self.campaign),
            t(self.indicator),
        ]
    }
}

fn seen_by(oracle: &Oracle) -> OracleT {
    let [cannibal, halo, saturated, starved, campaign, indicator] = oracle.statistics();
    OracleT {
        cannibal,
        halo,
        saturated,
        starved,
        campaign,
        indicator,
    }
}

fn resize(spec: &mut Spec, oracle: &Oracle, targets: &[f64]) {
    let Some(facts) = &mut spec.facts else { return };
    // Linear effects: the error does not depend on the size, so move by what is missing.
    facts.cannibal.strength += -targets[0] * oracle.cannibal.1 - oracle.cannibal.0;
    facts.halo.strength += targets[1] * oracle.halo.1 - oracle.halo.0;
    facts.campaign.log_lift += targets[4] * oracle.campaign.1 - oracle.campaign.0;
    facts.indicator.strength += targets[5] * oracle.indicator.1 - oracle.indicator.0;
    // Marginal returns are fixed; the error falls with the money at stake.
    let statistics = oracle.statistics();
    for (line, t, goal) in [
        (facts.saturated, statistics[2], targets[2]),
        (facts.starved, statistics[3], targets[3]),
    ] {
        spec.lines[line].rescale((goal / t.abs().max(1.0)).clamp(0.5, 2.0));
    }
}

fn examine(spec: &Spec, path: &Path, facts: &Facts) -> Oracle {
    let pair = |cross: super::spec::Cross| {
        let fit = oracle_fit(spec, path, cross.affected, Some(earned(path, cross.driver)));
        last(&fit)
    };
    let line = |l: usize| {
        let fit = oracle_fit(spec, path, l / CHANNEL_COUNT, None);
        let c = l % CHANNEL_COUNT;
        // Column c is the line's true media series, so its coefficient is one in truth.
        let scale = marginal_return(spec, path, l);
        (fit.coefficients[c] * scale, fit.errors[c] * scale)
    };
    let indicator = {
        let b = facts.indicator.brand;
        let column = (0..HISTORY)
            .map(|t| spec.brands[b].base * led(spec, b, t))
            .collect();
        last(&oracle_fit(spec, path, b, Some(column)))
    };
    Oracle {
        cannibal: pair(facts.cannibal),
        halo: pair(facts.halo),
        saturated: line(facts.saturated),
        starved: line(facts.starved),
        campaign: campaign_fit(spec, facts),
        indicator,
    }
}

fn last(fit: &Fit) -> (f64, f64) {
    let i = fit.coefficients.len() - 1;
    (fit.coefficients[i], fit.errors[i])
}

/// Regression of a brand's sales on its true regressors: six media columns, then controls, then `extra`.
fn oracle_fit(spec: &Spec, path: &Path, b: usize, extra: Option<Vec<f64>>) -> Fit {
    let x = &spec.exogenous;
    let brand = &spec.brands[b];
    let by_week = |f: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..HISTORY).map(f).collect() };
    let mut columns: Vec<Vec<f64>> = (0..CHANNEL_COUNT)
        .map(|c| path.media[b * CHANNEL_COUNT + c].clone())
        .collect();
    columns.push(vec![1.0; HISTORY]);
    columns.push(by_week(&|t| t as f64 / HISTORY as f64));
    columns.push(by_week(&|t| (t as f64 / HISTORY as f64).powi(2)));
    for harmonic in [1.0, 2.0] {
        let angle = |t: usize| harmonic * std::f64::consts::TAU * t as f64 / YEAR;
        columns.push(by_week(&|t| angle(t).sin()));
        columns.push(by_week(&|t| angle(t).cos()));
    }
    columns.push(by_week(&|t| x.demand[t]));
    columns.push(by_week(&|t| x.log_price[b][t]));
    columns.push(by_week(&|t| x.depth[b][t]));
    columns.push(by_week(&|t| {
        x.log_price[OWN..].iter().map(|p| p[t]).sum::<f64>() / RIVALS as f64
    }));
    for r in 0..RIVALS {
        columns.push(by_week(&|t| pressure(spec, r, t)));
    }
    if let Some((week, _)) = brand.structural_break {
        columns.push(by_week(&|t| f64::from(u8::from(t >= week))));
    }
    for (week, _) in &brand.shocks {
        columns.push(by_week(&|t| f64::from(u8::from(t == *week))));
    }
    if let Some(facts) = &spec.facts {
        // What else is true of this brand and is not the effect under test.
        for cross in [facts.cannibal, facts.halo] {
            if cross.affected == b && extra.is_none() {
                columns.push(earned(path, cross.driver));
            }
        }
        if facts.indicator.brand == b && extra.is_none() {
            columns.push(by_week(&|t| led(spec, b, t)));
        }
    }
    columns.extend(extra);
    gls(&columns, &path.sales[b], brand.persistence)
}

fn campaign_fit(spec: &Spec, facts: &Facts) -> (f64, f64) {
    let c = facts.campaign;
    let angle = |t: usize| std::f64::consts::TAU * t as f64 / YEAR;
    let columns = vec![
        vec![1.0; HISTORY],
        (0..HISTORY).map(|t| angle(t).sin()).collect(),
        (0..HISTORY).map(|t| angle(t).cos()).collect(),
        (0..HISTORY)
            .map(|t| f64::from(u8::from((c.start..c.start + c.weeks).contains(&t))))
            .collect(),
    ];
    let y: Vec<f64> = (0..HISTORY).map(|t| pressure(spec, c.rival, t)).collect();
    last(&gls(&columns, &y, 0.3))
}
