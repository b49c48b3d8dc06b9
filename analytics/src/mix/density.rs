//! The posterior density of a marketing-mix model and its gradient, written by hand.
//!
//! The outcome of group `g` in period `t`, on the scale of the design, is normal around
//!
//! ```text
//! Σⱼ γⱼ zⱼ(g,t) + Σᵥ ξᵥ uᵥ(g) zᵥ(g,t) + Σₘ βₘ e^(ηₘ wₘ(g)) · saturationₘ(adstockₘ(xₘ(g,·)))(t)
//! ```
//!
//! with coefficients γ of controls, season and trend; deviations ξu of the coefficients that differ between groups; and channel
//! effects β whose logarithms differ between groups with standard deviation η. u and w are standard normal.
//!
//! Three choices of coordinates make sampling cheap and leave the model as it is. A positive β runs as the logarithm of
//! `βₘ·Aₘ`, where `A` is the summed saturated exposure, so that a change of the curve's shape does not change how much the channel
//! sells: the long ridge between β and the shape becomes straight. And with a prior on the return, that product is the return
//! itself (Zhang and others 2023). The coefficients γ run as `γ + K·Zᵀv`, where `v` is what media sell in each row and K the
//! (ridged) inverse of ZᵀZ: what media give, the baseline no longer has to take back. And deviations between groups run as
//! `u = ξ^(w − 1)·δ` with w between the non-centred form (0) and the centred one (1), by how much each group's own rows say
//! (Papaspiliopoulos, Roberts and Sköld 2007). All three maps have a Jacobian that is constant or a known power.
//! Work per evaluation is a few passes over rows × columns, without any allocation.

use super::{
    kernel,
    prior::{Point, Prior, Support},
    transform::{self, Adstock, Saturation},
};
use crate::{
    cancel::{Cancel, Cancelled},
    linear::Cholesky,
};

/// Geometric carry-over of more lags than this runs as a recursion instead of a sum over lags.
const RECURSION: usize = 16;

/// A column with one coefficient.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) prior: Prior,
    pub(super) values: Vec<f64>,
    /// Whether all groups have the same values, as those of a season: one pass over the periods does for all.
    pub(super) shared: bool,
    /// Prior of the standard deviation of the coefficient between groups; `None` where all groups share it.
    pub(super) spread: Option<Prior>,
}

/// What the prior of a channel's effect is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    /// The coefficient β on the scale of the design.
    Coefficient(Prior),
    /// Value sold per unit of money, over all rows: β·A is return × this spend.
    Return(Prior, f64),
}

/// A channel on the scale of the design.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) exposure: Vec<f64>,
    pub(super) adstock: Adstock,
    pub(super) lags: usize,
    pub(super) normalise: bool,
    pub(super) saturation: Saturation,
    pub(super) adstock_priors: Vec<Prior>,
    pub(super) saturation_priors: Vec<Prior>,
    pub(super) effect: Effect,
    /// Prior of η; `None` where all groups share β.
    pub(super) spread: Option<Prior>,
    /// What one unit of saturated exposure in a row counts in `A`.
    pub(super) weight: Vec<f64>,
    pub(super) lifts: Vec<Lift>,
}

/// A measured lift: raising a steady exposure from one level to another moved the outcome per row by this much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lift {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) effect: f64,
    pub(super) error: f64,
}

/// Everything a density is made of; rows are group after group, each of `periods` periods.
#[derive(Debug, Clone)]
pub(super) struct Design {
    pub(super) groups: usize,
    pub(super) periods: usize,
    /// Outcome, zero where it is not known.
    pub(super) outcome: Vec<f64>,
    /// One where the outcome is known, else zero.
    pub(super) known: Vec<f64>,
    pub(super) columns: Vec<Column>,
    pub(super) channels: Vec<Channel>,
    pub(super) noise: Prior,
}

impl Design {
    /// Rows of a group, or of all.
    #[inline(always)]
    fn span(&self, group: Option<usize>) -> std::ops::Range<usize> {
        match group {
            Some(g) => g * self.periods..(g + 1) * self.periods,
            None => 0..self.rows(),
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.groups * self.periods
    }
}

/// Where a parameter stands among the coordinates.
#[derive(Debug, Clone, Copy)]
struct Slot {
    prior: Prior,
    /// `None` for a known value.
    index: Option<usize>,
}

impl Slot {
    #[inline(always)]
    fn at(self, q: &[f64]) -> Point {
        self.prior.at(self.index.map_or(0.0, |i| q[i]))
    }

    /// Adds prior and likelihood derivatives of a parameter to the gradient.
    #[inline(always)]
    fn pull(self, point: Point, by_value: f64, gradient: &mut [f64]) {
        if let Some(i) = self.index {
            gradient[i] += point.density_slope + by_value * point.slope;
        }
    }
}

/// A standard deviation between groups and the first of the standard normal deviations it stretches.
#[derive(Debug, Clone, Copy)]
struct Spread {
    sd: Slot,
    first: usize,
    /// From the non-centred form (0) to the centred one (1).
    centring: f64,
    /// What a coordinate was multiplied by when the forms were chosen: turns shifts of deviations into shifts of coordinates.
    reference: f64,
}

impl Spread {
    /// The standard deviation that the reference stands for.
    fn width(self) -> f64 {
        if self.centring < 0.99 {
            self.reference.powf(1.0 / (1.0 - self.centring)).max(1e-3)
        } else {
            1.0
        }
    }

    /// What a coordinate is multiplied by, and one over the square of its prior standard deviation.
    #[inline(always)]
    fn stretch(self, sd: f64) -> (f64, f64) {
        if self.centring == 0.0 {
            return (sd, 1.0);
        }
        let log = sd.ln();
        (
            ((1.0 - self.centring) * log).exp(),
            (-2.0 * self.centring * log).exp(),
        )
    }
}

#[derive(Debug, Clone)]
struct ChannelSlots {
    adstock: [Option<Slot>; 2],
    saturation: [Option<Slot>; 2],
    effect: Slot,
    /// Whether the effect's coordinate is the logarithm of β·A.
    by_total: bool,
    spread: Option<Spread>,
}

impl ChannelSlots {
    fn shape(&self) -> impl Iterator<Item = Slot> {
        self.adstock.into_iter().chain(self.saturation).flatten()
    }
}

/// A guess of the parameters from least squares, on the scale of the design.
#[derive(Debug, Clone)]
pub(super) struct Guess {
    pub(super) sigma: f64,
    /// By column.
    pub(super) coefficients: Vec<f64>,
    /// By column and group; empty where all groups share the coefficient.
    pub(super) deviations: Vec<Vec<f64>>,
    /// Coordinates of the free shape parameters, by channel.
    pub(super) shapes: Vec<Vec<f64>>,
    /// By channel.
    pub(super) betas: Vec<f64>,
}

/// A channel's state at a point.
#[derive(Debug, Clone)]
pub(super) struct ChannelState {
    pub(super) adstock: [f64; 2],
    pub(super) saturation: [f64; 2],
    /// β on the scale of the design.
    pub(super) beta: f64,
    /// The return, where its prior was given; else NaN.
    pub(super) roi: f64,
    /// Standard deviation of ln β between groups.
    pub(super) eta: f64,
    /// Factors of the groups on β.
    pub(super) factors: Vec<f64>,
    /// Weights of the lags, normalised where asked for.
    pub(super) weights: Vec<f64>,
    /// Saturated exposure with carry-over by row.
    pub(super) saturated: Vec<f64>,
    pub(super) carried: Vec<f64>,
    raw: Vec<f64>,
    slopes: [Vec<f64>; 2],
    adstock_points: [Point; 2],
    saturation_points: [Point; 2],
    effect_point: Point,
    spread_point: Point,
    stretch: (f64, f64),
    total: f64,
    group_totals: Vec<f64>,
}

/// The log posterior density over unbounded coordinates, with the scratch space its evaluation needs.
#[derive(Clone)]
pub(super) struct Density<'a> {
    pub(super) design: &'a Design,
    arch: pulp::Arch,
    noise: Slot,
    columns: Vec<Slot>,
    spreads: Vec<Option<Spread>>,
    channels: Vec<ChannelSlots>,
    dimension: usize,
    observations: f64,
    complete: bool,
    /// Coefficients of the columns at the last point.
    pub(super) coefficients: Vec<f64>,
    /// Standard deviations between groups, by column, at the last point.
    pub(super) deviations: Vec<f64>,
    /// What a unit deviation is multiplied by, by column, at the last point.
    stretches: Vec<f64>,
    /// Unit deviations by column and group at the last point; empty where all groups share the coefficient.
    units: Vec<Vec<f64>>,
    /// Columns, and groups of those that vary, whose coefficients move out of the way of media; and K.
    moved: Vec<(usize, Option<usize>)>,
    kernel: Vec<f64>,
    shift: Vec<f64>,
    moments: Vec<f64>,
    media: Vec<f64>,
    period: Vec<f64>,
    /// Noise at the last point.
    pub(super) sigma: f64,
    /// Channels at the last point.
    pub(super) states: Vec<ChannelState>,
    residual: Vec<f64>,
    adjoint: Vec<f64>,
    scratch: Vec<f64>,
    lag_slopes: Vec<f64>,
}

struct Evaluate<'s, 'd>(&'s mut Density<'d>, &'s [f64], &'s mut [f64]);

impl kernel::Wide for Evaluate<'_, '_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        self.0.forward(self.1);
        self.0.backward(self.1, self.2)
    }
}

struct Place<'s, 'd>(&'s mut Density<'d>, &'s [f64]);

impl kernel::Wide for Place<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.forward(self.1);
    }
}

const NOWHERE: Point = Point {
    value: f64::NAN,
    slope: 0.0,
    density: 0.0,
    density_slope: 0.0,
};

impl<'a> Density<'a> {
    /// # Errors
    /// [`Cancelled`], asked at every column.
    pub(super) fn new(design: &'a Design, cancel: &dyn Cancel) -> Result<Self, Cancelled> {
        let mut next = 0;
        let mut slot = |prior: Prior| {
            let index = (!matches!(prior.support(), Support::Point(_))).then(|| {
                next += 1;
                next - 1
            });
            Slot { prior, index }
        };
        let noise = slot(design.noise);
        let columns: Vec<Slot> = design.columns.iter().map(|c| slot(c.prior)).collect();
        let standard = Prior::Normal { mean: 0.0, sd: 1.0 };
        let spread = |prior: Option<Prior>, slot: &mut dyn FnMut(Prior) -> Slot| {
            prior.filter(|_| design.groups > 1).map(|prior| {
                let sd = slot(prior);
                let first = slot(standard).index.unwrap_or(0);
                for _ in 1..design.groups {
                    slot(standard);
                }
                Spread {
                    sd,
                    first,
                    centring: 0.0,
                    reference: prior.centre().max(1e-3),
                }
            })
        };
        let spreads = design
            .columns
            .iter()
            .map(|c| spread(c.spread, &mut slot))
            .collect();
        let channels: Vec<ChannelSlots> = design
            .channels
            .iter()
            .map(|c| {
                let mut two = |priors: &[Prior]| {
                    let mut slots = [None, None];
                    for (s, p) in slots.iter_mut().zip(priors) {
                        *s = Some(slot(*p));
                    }
                    slots
                };
                let (adstock, saturation) = (two(&c.adstock_priors), two(&c.saturation_priors));
                let (prior, by_total) = match c.effect {
                    Effect::Coefficient(prior) => (prior, prior.support() == Support::Positive),
                    Effect::Return(prior, _) => (prior, true),
                };
                let effect = slot(prior);
                ChannelSlots {
                    adstock,
                    saturation,
                    effect,
                    by_total,
                    spread: spread(c.spread, &mut slot),
                }
            })
            .collect();
        let rows = design.rows();
        let longest = design.channels.iter().map(|c| c.lags).max().unwrap_or(0);
        let states = design
            .channels
            .iter()
            .map(|c| ChannelState {
                adstock: [f64::NAN; 2],
                saturation: [f64::NAN; 2],
                beta: f64::NAN,
                roi: f64::NAN,
                eta: 0.0,
                factors: vec![1.0; design.groups],
                weights: vec![0.0; c.lags],
                saturated: vec![0.0; rows],
                carried: vec![0.0; rows],
                raw: vec![0.0; c.lags],
                slopes: [vec![0.0; c.lags], vec![0.0; c.lags]],
                adstock_points: [NOWHERE; 2],
                saturation_points: [NOWHERE; 2],
                effect_point: NOWHERE,
                spread_point: NOWHERE,
                stretch: (0.0, 1.0),
                total: f64::NAN,
                group_totals: vec![0.0; design.groups],
            })
            .collect();
        let observations: f64 = design.known.iter().sum();
        let mut moved: Vec<(usize, Option<usize>)> = (0..columns.len())
            .filter(|j| columns[*j].index.is_some() && columns[*j].prior.support() == Support::Real)
            .map(|j| (j, None))
            .collect();
        let spreads: Vec<Option<Spread>> = spreads;
        for (j, spread) in spreads.iter().enumerate() {
            if spread.is_some() {
                moved.extend((0..design.groups).map(|g| (j, Some(g))));
            }
        }
        let kernel = kernel_of(design, &moved, &spreads, cancel)?;
        Ok(Self {
            units: spreads
                .iter()
                .map(|s| vec![0.0; if s.is_some() { design.groups } else { 0 }])
                .collect(),
            shift: vec![0.0; moved.len()],
            moments: vec![0.0; moved.len()],
            media: vec![0.0; rows],
            period: vec![0.0; design.periods],
            moved,
            kernel,
            stretches: vec![0.0; columns.len()],
            design,
            arch: pulp::Arch::new(),
            noise,
            coefficients: vec![0.0; columns.len()],
            deviations: vec![0.0; columns.len()],
            columns,
            spreads,
            channels,
            dimension: next,
            observations,
            complete: observations as usize == rows,
            sigma: f64::NAN,
            states,
            residual: vec![0.0; rows],
            adjoint: vec![0.0; rows],
            scratch: vec![0.0; rows],
            lag_slopes: vec![0.0; longest],
        })
    }

    /// Number of coordinates.
    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    /// Log density up to a constant; its gradient goes to `gradient`.
    pub(super) fn evaluate(&mut self, q: &[f64], gradient: &mut [f64]) -> f64 {
        kernel::wide(self.arch, Evaluate(self, q, gradient))
    }

    /// Sets the state at a point: coefficients, channels and residuals.
    pub(super) fn place(&mut self, q: &[f64]) {
        kernel::wide(self.arch, Place(self, q));
    }

    /// Whether the coefficient of column `j` differs between groups.
    pub(super) fn spreads(&self, j: usize) -> bool {
        self.spreads[j].is_some()
    }

    /// Whether the effect of channel `m` differs between groups.
    pub(super) fn channel_spreads(&self, m: usize) -> bool {
        self.channels[m].spread.is_some()
    }

    /// Coefficient of column `j` in group `g` at the last point.
    pub(super) fn coefficient(&self, j: usize, g: usize) -> f64 {
        let unit = self.units[j].get(g).copied().unwrap_or(0.0);
        self.coefficients[j] + self.stretches[j] * unit
    }

    /// Mean of the outcome by row at the last point, known or not.
    pub(super) fn mean_into(&self, mean: &mut [f64]) {
        mean.fill(0.0);
        self.baseline_into(mean);
        let n = self.design.periods;
        for state in &self.states {
            for g in 0..self.design.groups {
                let span = g * n..(g + 1) * n;
                kernel::add_scaled(
                    &mut mean[span.clone()],
                    state.beta * state.factors[g],
                    &state.saturated[span],
                );
            }
        }
    }

    /// Adds what the columns contribute to each row.
    pub(super) fn baseline_into(&self, mean: &mut [f64]) {
        let n = self.design.periods;
        for (j, column) in self.design.columns.iter().enumerate() {
            for g in 0..self.design.groups {
                let span = g * n..(g + 1) * n;
                kernel::add_scaled(
                    &mut mean[span.clone()],
                    self.coefficient(j, g),
                    &column.values[span],
                );
            }
        }
    }

    /// Coordinates of a guess from least squares.
    pub(super) fn coordinates(&mut self, guess: &Guess) -> Vec<f64> {
        let groups = self.design.groups;
        let mut q = vec![0.0; self.dimension];
        let set = |q: &mut Vec<f64>, slot: Slot, value: f64| {
            if let Some(i) = slot.index {
                q[i] = slot.prior.coordinate(value);
            }
        };
        set(&mut q, self.noise, guess.sigma);
        for (j, slot) in self.columns.iter().enumerate() {
            set(&mut q, *slot, guess.coefficients[j]);
            if let Some(spread) = self.spreads[j] {
                let deviations = &guess.deviations[j];
                let square = deviations.iter().map(|d| d * d).sum::<f64>() / groups as f64;
                let sd = square.sqrt().max(1e-3);
                set(&mut q, spread.sd, sd);
                let stretch = spread.stretch(sd).0;
                for g in 0..groups {
                    q[spread.first + g] = deviations[g] / stretch;
                }
            }
        }
        for (slots, shape) in self.channels.iter().zip(&guess.shapes) {
            let mut shape = shape.iter();
            for slot in slots.shape() {
                if let (Some(i), Some(u)) = (slot.index, shape.next()) {
                    q[i] = *u;
                }
            }
            if let Some(spread) = slots.spread {
                set(&mut q, spread.sd, 0.3);
            }
        }
        // β·A needs the curve.
        self.place(&q);
        for m in 0..self.channels.len() {
            let slots = &self.channels[m];
            let total = self.states[m].total;
            let value = match (self.design.channels[m].effect, slots.by_total) {
                (Effect::Coefficient(_), false) => guess.betas[m],
                (Effect::Coefficient(_), true) => guess.betas[m] * total,
                (Effect::Return(_, spend), _) => guess.betas[m] * total / spend,
            };
            set(&mut q, slots.effect, value);
        }
        self.place(&q);
        self.add_shift(&mut q);
        q
    }

    /// From coefficients to coordinates, with the media of the last point.
    fn add_shift(&self, q: &mut [f64]) {
        for ((j, g), shift) in self.moved.iter().zip(&self.shift) {
            match (g, self.spreads[*j]) {
                (Some(g), Some(spread)) => q[spread.first + g] += shift / spread.reference,
                _ => {
                    if let Some(i) = self.columns[*j].index {
                        q[i] += shift;
                    }
                }
            }
        }
    }

    /// Coordinates of the standard deviations between groups, and the widths that the logarithm of each has by the number of groups.
    pub(super) fn between(&self) -> (Vec<usize>, Vec<f64>) {
        let width = |s: &Spread| {
            // With deviations known, ln ξ is known to 1/√(2 groups); with hardly any information it is as wide as its prior.
            let sharp = 1.0 / (2.0 * self.design.groups as f64).sqrt();
            0.5 + s.centring * (sharp - 0.5)
        };
        self.all_spreads()
            .filter_map(|s| s.sd.index.map(|i| (i, width(&s))))
            .unzip()
    }

    fn all_spreads(&self) -> impl Iterator<Item = Spread> {
        let columns = self.spreads.iter().copied().flatten();
        columns.chain(self.channels.iter().filter_map(|c| c.spread))
    }

    /// Moves every standard deviation between groups to the root of the mean square that its deviations have under a normal with
    /// these variances of the coordinates (a step of the EM algorithm), chooses the form of the deviations by how much of their prior
    /// variance the data leave, and K by both. The coordinates follow: deviations and coefficients stay what they were.
    ///
    /// # Errors
    /// [`Cancelled`], asked at every column of K.
    pub(super) fn update_between(
        &mut self,
        q: &mut [f64],
        variances: &[f64],
        cancel: &dyn Cancel,
    ) -> Result<(), Cancelled> {
        let groups = self.design.groups;
        self.place(q);
        // Coordinates of coefficients and deviations without the shift.
        for (i, slot) in self.columns.iter().enumerate() {
            if let Some(index) = slot.index {
                q[index] = slot.prior.coordinate(self.coefficients[i]);
            }
            if let Some(spread) = self.spreads[i] {
                q[spread.first..spread.first + groups].copy_from_slice(&self.units[i]);
            }
        }
        let columns = self.spreads.iter_mut();
        let channels = self.channels.iter_mut().map(|c| &mut c.spread);
        for spread in columns.chain(channels).flatten() {
            let span = spread.first..spread.first + groups;
            let old = spread.stretch(spread.sd.at(q).value).0;
            let left = old * old * variances[span.clone()].iter().sum::<f64>() / groups as f64;
            let found =
                old * old * q[span.clone()].iter().map(|u| u * u).sum::<f64>() / groups as f64;
            let sd = (left + found).sqrt().clamp(1e-4, 1e4);
            if let Some(i) = spread.sd.index {
                q[i] = spread.sd.prior.coordinate(sd);
            }
            let sd = spread.sd.at(q).value;
            spread.centring = (1.0 - left / (sd * sd)).clamp(0.0, 1.0);
            spread.reference = spread.stretch(sd).0;
            for u in &mut q[span] {
                *u *= old / spread.reference;
            }
        }
        self.kernel = kernel_of(self.design, &self.moved, &self.spreads, cancel)?;
        self.place(q);
        self.add_shift(q);
        Ok(())
    }

    /// Priors of the shape parameters of channel `m` that are not known.
    pub(super) fn shape_priors(&self, m: usize) -> impl Iterator<Item = Prior> {
        self.channels[m]
            .shape()
            .filter(|s| s.index.is_some())
            .map(|s| s.prior)
    }

    /// Sets the curve of channel `m` from the coordinates of its free shape parameters.
    pub(super) fn shape(&mut self, m: usize, u: &[f64]) {
        let slots = &self.channels[m];
        let state = &mut self.states[m];
        let mut next = u.iter();
        let mut point = |slot: Slot| {
            slot.prior
                .at(slot.index.and_then(|_| next.next()).copied().unwrap_or(0.0))
        };
        for i in 0..2 {
            if let Some(slot) = slots.adstock[i] {
                state.adstock_points[i] = point(slot);
                state.adstock[i] = state.adstock_points[i].value;
            }
        }
        for i in 0..2 {
            if let Some(slot) = slots.saturation[i] {
                state.saturation_points[i] = point(slot);
                state.saturation[i] = state.saturation_points[i].value;
            }
        }
        let channel = &self.design.channels[m];
        state.carry(channel, self.design.groups, self.design.periods);
        channel
            .saturation
            .apply_into(state.saturation, &state.carried, &mut state.saturated);
    }

    /// Derivatives by the coordinates of the free shape parameters of channel `m` after [`Density::shape`], given those by the
    /// saturated exposure; with those of the log priors times `weight`.
    pub(super) fn shape_slopes(
        &mut self,
        m: usize,
        adjoint: &mut [f64],
        weight: f64,
        out: &mut Vec<f64>,
    ) {
        let (slots, state) = (&self.channels[m], &self.states[m]);
        let channel = &self.design.channels[m];
        let by_saturation = channel.saturation.pull_back(
            state.saturation,
            &state.carried,
            &state.saturated,
            adjoint,
            &mut self.scratch,
        );
        let by_adstock = if slots.adstock[0].is_some() {
            state.pull_back(
                channel,
                self.design.groups,
                self.design.periods,
                adjoint,
                &mut self.lag_slopes,
            )
        } else {
            [0.0; 2]
        };
        let points = [
            (slots.adstock, state.adstock_points, by_adstock),
            (slots.saturation, state.saturation_points, by_saturation),
        ];
        for (slots, points, slopes) in points {
            for i in 0..2 {
                if slots[i].is_some_and(|s| s.index.is_some()) {
                    out.push(slopes[i] * points[i].slope + weight * points[i].density_slope);
                }
            }
        }
    }

    #[inline(always)]
    fn forward(&mut self, q: &[f64]) {
        let design = self.design;
        let (groups, n) = (design.groups, design.periods);
        self.sigma = self.noise.at(q).value;
        self.media.fill(0.0);
        for ((channel, slots), state) in design
            .channels
            .iter()
            .zip(&self.channels)
            .zip(&mut self.states)
        {
            for i in 0..2 {
                if let Some(slot) = slots.adstock[i] {
                    state.adstock_points[i] = slot.at(q);
                    state.adstock[i] = state.adstock_points[i].value;
                }
                if let Some(slot) = slots.saturation[i] {
                    state.saturation_points[i] = slot.at(q);
                    state.saturation[i] = state.saturation_points[i].value;
                }
            }
            state.spread(slots, groups, q);
            state.carry(channel, groups, n);
            channel
                .saturation
                .apply_into(state.saturation, &state.carried, &mut state.saturated);
            state.effect_point = slots.effect.at(q);
            let effect = state.effect_point.value;
            if slots.by_total {
                state.total = 0.0;
                for g in 0..groups {
                    let span = g * n..(g + 1) * n;
                    let total = kernel::dot(&channel.weight[span.clone()], &state.saturated[span]);
                    state.group_totals[g] = total;
                    state.total += state.factors[g] * total;
                }
            }
            state.beta = match (channel.effect, slots.by_total) {
                (Effect::Coefficient(_), false) => effect,
                (Effect::Coefficient(_), true) => effect / state.total,
                (Effect::Return(_, spend), _) => {
                    state.roi = effect;
                    effect * spend / state.total
                }
            };
            for g in 0..groups {
                let span = g * n..(g + 1) * n;
                kernel::add_scaled(
                    &mut self.media[span.clone()],
                    state.beta * state.factors[g],
                    &state.saturated[span],
                );
            }
        }
        if !self.complete {
            for (v, known) in self.media.iter_mut().zip(&design.known) {
                *v *= known;
            }
        }
        self.shift();
        for ((r, y), v) in self
            .residual
            .iter_mut()
            .zip(&design.outcome)
            .zip(&self.media)
        {
            *r = y - v;
        }
        for j in 0..design.columns.len() {
            self.coefficients[j] = self.columns[j].at(q).value;
            if let Some(spread) = self.spreads[j] {
                self.deviations[j] = spread.sd.at(q).value;
                self.stretches[j] = spread.stretch(self.deviations[j]).0;
            }
        }
        for ((j, g), shift) in self.moved.iter().zip(&self.shift) {
            match (g, self.spreads[*j]) {
                (Some(g), Some(spread)) => {
                    self.units[*j][*g] = q[spread.first + g] - shift / spread.reference;
                }
                _ => self.coefficients[*j] -= shift,
            }
        }
        if groups > 1 {
            self.period.fill(0.0);
            for (j, column) in design.columns.iter().enumerate() {
                if column.shared && self.spreads[j].is_none() {
                    kernel::add_scaled(
                        &mut self.period,
                        -self.coefficients[j],
                        &column.values[..n],
                    );
                }
            }
            for residual in self.residual.chunks_exact_mut(n) {
                kernel::add_scaled(residual, 1.0, &self.period);
            }
        }
        for (j, column) in design.columns.iter().enumerate() {
            let k = self.coefficients[j];
            if self.spreads[j].is_none() {
                if column.shared && groups > 1 {
                    continue;
                }
                kernel::add_scaled(&mut self.residual, -k, &column.values);
                continue;
            }
            for g in 0..groups {
                let span = g * n..(g + 1) * n;
                kernel::add_scaled(
                    &mut self.residual[span.clone()],
                    -(k + self.stretches[j] * self.units[j][g]),
                    &column.values[span],
                );
            }
        }
        if !self.complete {
            for (r, known) in self.residual.iter_mut().zip(&design.known) {
                *r *= known;
            }
        }
    }

    /// K·Zᵀv of the media `v`.
    #[inline(always)]
    fn shift(&mut self) {
        let groups = self.design.groups;
        add_up(&self.media, groups, &mut self.period);
        for (moment, (j, g)) in self.moments.iter_mut().zip(&self.moved) {
            let column = &self.design.columns[*j];
            *moment = if column.shared && groups > 1 && g.is_none() {
                kernel::dot(&column.values[..self.design.periods], &self.period)
            } else {
                let span = self.design.span(*g);
                kernel::dot(&column.values[span.clone()], &self.media[span])
            };
        }
        for (shift, row) in self
            .shift
            .iter_mut()
            .zip(self.kernel.chunks_exact(self.moved.len().max(1)))
        {
            *shift = kernel::dot(row, &self.moments);
        }
    }

    #[inline(always)]
    fn backward(&mut self, q: &[f64], gradient: &mut [f64]) -> f64 {
        let design = self.design;
        let (groups, n) = (design.groups, design.periods);
        gradient.fill(0.0);
        let squares = kernel::dot(&self.residual, &self.residual);
        let noise = self.noise.at(q);
        let precision = 1.0 / (noise.value * noise.value);
        let mut density =
            noise.density - self.observations * noise.value.ln() - 0.5 * squares * precision;
        let by_noise = (squares * precision - self.observations) / noise.value;
        self.noise.pull(noise, by_noise, gradient);
        for r in &mut self.residual {
            *r *= precision;
        }
        add_up(&self.residual, groups, &mut self.period);
        for (j, column) in design.columns.iter().enumerate() {
            let slot = self.columns[j];
            // The coordinate of a moved column is not its coefficient.
            let value = self.coefficients[j];
            let likelihood = match self.spreads[j] {
                None if column.shared && groups > 1 => {
                    kernel::dot(&self.period, &column.values[..n])
                }
                None => kernel::dot(&self.residual, &column.values),
                Some(spread) => {
                    let sd = spread.sd.at(q);
                    let w = spread.centring;
                    let (stretch, precision) = spread.stretch(sd.value);
                    let (mut all, mut along, mut squares) = (0.0, 0.0, 0.0);
                    for g in 0..groups {
                        let span = g * n..(g + 1) * n;
                        let d = kernel::dot(&self.residual[span.clone()], &column.values[span]);
                        let u = self.units[j][g];
                        all += d;
                        along += u * d;
                        squares += u * u;
                        gradient[spread.first + g] += stretch * d - u * precision;
                    }
                    density += sd.density - 0.5 * squares * precision;
                    let mut by_sd = (1.0 - w) * along * stretch / sd.value;
                    if w > 0.0 {
                        density -= w * groups as f64 * sd.value.ln();
                        by_sd += w * (squares * precision - groups as f64) / sd.value;
                    }
                    spread.sd.pull(sd, by_sd, gradient);
                    all
                }
            };
            if slot.prior.support() == Support::Real {
                let (log, slope) = slot.prior.log_density(value);
                density += log;
                if let Some(i) = slot.index {
                    gradient[i] += likelihood + slope;
                }
            } else {
                let point = slot.at(q);
                density += point.density;
                slot.pull(point, likelihood, gradient);
            }
        }
        // What reaches media through the coefficients that they move.
        self.period.fill(0.0);
        for (moment, (j, g)) in self.moments.iter_mut().zip(&self.moved) {
            *moment = match (g, self.spreads[*j]) {
                (Some(g), Some(spread)) => gradient[spread.first + g] / spread.reference,
                _ => self.columns[*j].index.map_or(0.0, |i| gradient[i]),
            };
        }
        for (row, (j, g)) in self
            .kernel
            .chunks_exact(self.moved.len().max(1))
            .zip(&self.moved)
        {
            let k = kernel::dot(row, &self.moments);
            let column = &self.design.columns[*j];
            if column.shared && groups > 1 && g.is_none() {
                kernel::add_scaled(&mut self.period, -k, &column.values[..n]);
            } else {
                let span = self.design.span(*g);
                kernel::add_scaled(&mut self.residual[span.clone()], -k, &column.values[span]);
            }
        }
        if groups > 1 {
            for residual in self.residual.chunks_exact_mut(n) {
                kernel::add_scaled(residual, 1.0, &self.period);
            }
        }
        if !self.complete {
            for (r, known) in self.residual.iter_mut().zip(&design.known) {
                *r *= known;
            }
        }
        for ((channel, slots), state) in design
            .channels
            .iter()
            .zip(&self.channels)
            .zip(&mut self.states)
        {
            // By β of each group, then by ln β over all.
            let mut by_log_beta = 0.0;
            let mut by_spread = 0.0;
            for g in 0..groups {
                let span = g * n..(g + 1) * n;
                let beta = state.beta * state.factors[g];
                let d = beta * kernel::dot(&self.residual[span.clone()], &state.saturated[span]);
                by_log_beta += d;
                if let Some(spread) = slots.spread {
                    let w = q[spread.first + g];
                    by_spread += w * d;
                    gradient[spread.first + g] += state.stretch.0 * d - w * state.stretch.1;
                }
            }
            // Lift tests speak of β and of the curve.
            let mut by_curve = [0.0; 2];
            for lift in &channel.lifts {
                let (high, low) = (
                    channel.saturation.at_with_slopes(lift.to, state.saturation),
                    channel
                        .saturation
                        .at_with_slopes(lift.from, state.saturation),
                );
                let predicted = state.beta * (high.0 - low.0);
                let z = (lift.effect - predicted) / lift.error;
                density -= 0.5 * z * z;
                let by_predicted = z / lift.error;
                by_log_beta += by_predicted * predicted;
                for (slope, (high, low)) in by_curve.iter_mut().zip(high.1.iter().zip(&low.1)) {
                    *slope += by_predicted * state.beta * (high - low);
                }
            }
            let point = state.effect_point;
            density += point.density;
            // What reaches the curve through A: all of it where β = e^u/A, with the prior of β if the prior is on β.
            let mut through_total = 0.0;
            if slots.by_total {
                match channel.effect {
                    Effect::Coefficient(prior) => {
                        let (log, slope) = prior.log_density(state.beta);
                        density += log + state.beta.ln() - point.density;
                        let all = by_log_beta + slope * state.beta + 1.0;
                        if let Some(i) = slots.effect.index {
                            gradient[i] += all;
                        }
                        through_total = all / state.total;
                    }
                    Effect::Return(..) => {
                        slots
                            .effect
                            .pull(point, by_log_beta / point.value, gradient);
                        through_total = by_log_beta / state.total;
                    }
                }
            } else if state.beta == 0.0 {
                // d/dβ without dividing by β.
                let mut d = 0.0;
                for g in 0..groups {
                    let span = g * n..(g + 1) * n;
                    d += state.factors[g]
                        * kernel::dot(&self.residual[span.clone()], &state.saturated[span]);
                }
                slots.effect.pull(point, d, gradient);
            } else {
                slots.effect.pull(point, by_log_beta / state.beta, gradient);
            }
            // By saturated exposure, row by row.
            for g in 0..groups {
                let span = g * n..(g + 1) * n;
                let beta = state.beta * state.factors[g];
                let back = through_total * state.factors[g];
                if back == 0.0 {
                    for (h, r) in self.adjoint[span.clone()]
                        .iter_mut()
                        .zip(&self.residual[span])
                    {
                        *h = beta * r;
                    }
                } else {
                    for ((h, r), w) in self.adjoint[span.clone()]
                        .iter_mut()
                        .zip(&self.residual[span.clone()])
                        .zip(&channel.weight[span])
                    {
                        *h = beta * r - back * w;
                    }
                }
            }
            if let Some(spread) = slots.spread {
                let mut squares = 0.0;
                for g in 0..groups {
                    let back = through_total * state.factors[g] * state.group_totals[g];
                    let w = q[spread.first + g];
                    by_spread -= w * back;
                    squares += w * w;
                    gradient[spread.first + g] -= state.stretch.0 * back;
                }
                let (stretch, precision) = state.stretch;
                let (c, eta) = (spread.centring, state.eta);
                density += state.spread_point.density
                    - 0.5 * squares * precision
                    - c * groups as f64 * eta.ln();
                let by_eta = (1.0 - c) * by_spread * stretch / eta
                    + c * (squares * precision - groups as f64) / eta;
                spread.sd.pull(state.spread_point, by_eta, gradient);
            }
            let by_saturation = channel.saturation.pull_back(
                state.saturation,
                &state.carried,
                &state.saturated,
                &mut self.adjoint,
                &mut self.scratch,
            );
            for i in 0..2 {
                if let Some(slot) = slots.saturation[i] {
                    let point = state.saturation_points[i];
                    density += point.density;
                    slot.pull(point, by_saturation[i] + by_curve[i], gradient);
                }
            }
            if slots.adstock[0].is_some() {
                let by_adstock =
                    state.pull_back(channel, groups, n, &self.adjoint, &mut self.lag_slopes);
                for ((slot, point), slope) in slots
                    .adstock
                    .iter()
                    .zip(&state.adstock_points)
                    .zip(by_adstock)
                {
                    if let Some(slot) = slot {
                        density += point.density;
                        slot.pull(*point, slope, gradient);
                    }
                }
            }
        }
        density
    }
}

/// Sums over groups by period; nothing to do for one group.
#[inline(always)]
fn add_up(rows: &[f64], groups: usize, period: &mut [f64]) {
    if groups > 1 {
        period.fill(0.0);
        for of_group in rows.chunks_exact(period.len()) {
            kernel::add_scaled(period, 1.0, of_group);
        }
    }
}

/// (ZᵀZ + ridge)⁻¹ of the columns `moved`, row after row.
fn kernel_of(
    design: &Design,
    moved: &[(usize, Option<usize>)],
    spreads: &[Option<Spread>],
    cancel: &dyn Cancel,
) -> Result<Vec<f64>, Cancelled> {
    let columns: Vec<Vec<f64>> = moved
        .iter()
        .map(|(j, g)| {
            let span = design.span(*g);
            let mut values = vec![0.0; design.rows()];
            for i in span {
                values[i] = design.columns[*j].values[i] * design.known[i];
            }
            values
        })
        .collect();
    // A tenth of the outcome's variance stands for the noise's; any positive number is right, a close one is fast.
    let noise = 0.1 * kernel::dot(&design.outcome, &design.outcome) / design.rows() as f64;
    let ridge: Vec<f64> = moved
        .iter()
        .map(|(j, g)| match (g, spreads[*j]) {
            (Some(_), Some(spread)) => noise / spread.width().powi(2),
            _ => noise * design.columns[*j].prior.precision(),
        })
        .collect();
    let gram = factor_of_gram(&columns, &ridge, cancel)?;
    let mut kernel = Vec::with_capacity(moved.len() * moved.len());
    let mut unit = vec![0.0; moved.len()];
    for j in 0..moved.len() {
        cancel.check()?;
        unit[j] = 1.0;
        kernel.extend(gram.solve(&unit));
        unit[j] = 0.0;
    }
    Ok(kernel)
}

/// [`Cholesky::of_gram`], which may take seconds for many groups, asking before every column.
pub(super) fn factor_of_gram(
    columns: &[Vec<f64>],
    diagonal: &[f64],
    cancel: &dyn Cancel,
) -> Result<Cholesky, Cancelled> {
    let n = columns.len();
    let mut matrix = vec![0.0; n * n];
    for i in 0..n {
        cancel.check()?;
        for j in 0..=i {
            let value = crate::linear::dot(&columns[i], &columns[j]);
            matrix[i * n + j] = value;
            matrix[j * n + i] = value;
        }
        matrix[i * n + i] += diagonal[i];
    }
    Ok(Cholesky::new(&matrix, n))
}

impl ChannelState {
    #[inline(always)]
    fn spread(&mut self, slots: &ChannelSlots, groups: usize, q: &[f64]) {
        if let Some(spread) = slots.spread {
            self.spread_point = spread.sd.at(q);
            self.eta = self.spread_point.value;
            self.stretch = spread.stretch(self.eta);
            for g in 0..groups {
                self.factors[g] = kernel::exp(self.stretch.0 * q[spread.first + g]);
            }
        }
    }

    #[inline(always)]
    fn carry(&mut self, channel: &Channel, groups: usize, n: usize) {
        let [first, second] = &mut self.slopes;
        channel
            .adstock
            .weights_into(self.adstock, &mut self.raw, first, second);
        let scale = if channel.normalise {
            1.0 / kernel::sum(&self.raw)
        } else {
            1.0
        };
        for (w, raw) in self.weights.iter_mut().zip(&self.raw) {
            *w = raw * scale;
        }
        for g in 0..groups {
            let span = g * n..(g + 1) * n;
            let (x, out) = (&channel.exposure[span.clone()], &mut self.carried[span]);
            if channel.adstock == Adstock::Geometric && channel.lags > RECURSION {
                let keep = self.adstock[0];
                let lost = keep.powi(channel.lags as i32);
                let mut state = 0.0;
                for t in 0..n {
                    state = x[t] + keep * state;
                    if t >= channel.lags {
                        state -= lost * x[t - channel.lags];
                    }
                    out[t] = state * scale;
                }
            } else if channel.adstock == Adstock::None {
                out.copy_from_slice(x);
            } else {
                transform::carry_into(x, &self.weights, out);
            }
        }
    }

    /// Derivatives by the adstock's parameters, given those by the exposure with carry-over.
    #[inline(always)]
    fn pull_back(
        &self,
        channel: &Channel,
        groups: usize,
        n: usize,
        adjoint: &[f64],
        by_weight: &mut [f64],
    ) -> [f64; 2] {
        let lags = channel.lags;
        if channel.adstock == Adstock::Geometric && lags > RECURSION {
            // The derivative of the recursion runs beside it.
            let keep = self.adstock[0];
            let (lost, lost_slope) = (
                keep.powi(lags as i32),
                lags as f64 * keep.powi(lags as i32 - 1),
            );
            let (mut value, mut slope) = (0.0, 0.0);
            for g in 0..groups {
                let span = g * n..(g + 1) * n;
                let (x, h) = (&channel.exposure[span.clone()], &adjoint[span]);
                let (mut state, mut change) = (0.0, 0.0);
                for t in 0..n {
                    change = state + keep * change;
                    state = x[t] + keep * state;
                    if t >= lags {
                        state -= lost * x[t - lags];
                        change -= lost_slope * x[t - lags];
                    }
                    value += h[t] * state;
                    slope += h[t] * change;
                }
            }
            if !channel.normalise {
                return [slope, 0.0];
            }
            let total = kernel::sum(&self.raw);
            let total_slope = kernel::sum(&self.slopes[0]);
            return [(slope - value * total_slope / total) / total, 0.0];
        }
        let by_weight = &mut by_weight[..lags];
        by_weight.fill(0.0);
        for g in 0..groups {
            let span = g * n..(g + 1) * n;
            let (x, h) = (&channel.exposure[span.clone()], &adjoint[span]);
            for (l, d) in by_weight.iter_mut().enumerate().take(n) {
                *d += kernel::dot(&h[l..], &x[..n - l]);
            }
        }
        if channel.normalise {
            let mean = kernel::dot(by_weight, &self.weights);
            let scale = 1.0 / kernel::sum(&self.raw);
            for d in by_weight.iter_mut() {
                *d = (*d - mean) * scale;
            }
        }
        [
            kernel::dot(by_weight, &self.slopes[0]),
            kernel::dot(by_weight, &self.slopes[1]),
        ]
    }
}
