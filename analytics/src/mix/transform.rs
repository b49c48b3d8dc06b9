//! Carry-over (adstock) and saturation of media, with derivatives.
//!
//! Systems name and parameterise the same families differently; each variant says whose convention it is. The families agree
//! with printed examples of Meridian, PyMC-Marketing and Robyn (R) to the last digit given.

use serde::{Deserialize, Serialize};

use super::kernel;

/// How the effect of an exposure is spread over the periods after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adstock {
    /// No carry-over; no parameter.
    None,
    /// Weight `αˡ` of lag `l`; α in `[0, 1)`, the share that remains after one period.
    Geometric,
    /// Weight `α^((l − θ)²)`: the peak comes θ periods later (Jin and others 2017).
    Delayed,
    /// Weight `(1 − l/L)^(1/α − 1)` with `L` lags counted from zero: Meridian's window.
    Binomial,
    /// Weight `(1 − l/(L + 1))^(1/α − 1)`: PyMC-Marketing's window, one wider than Meridian's.
    BinomialWide,
    /// Weibull density at lags `1 … L` with shape `k` and scale `λ`, stretched to run from 0 to 1 (Robyn, PyMC-Marketing).
    WeibullPdf,
    /// Products of the Weibull survival function at lags `1 … L − 1`, from 1 (Robyn, PyMC-Marketing).
    WeibullCdf,
}

impl Adstock {
    /// Names of the parameters in the order in which functions here take them.
    #[must_use]
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Geometric | Self::Binomial | Self::BinomialWide => &["alpha"],
            Self::Delayed => &["alpha", "theta"],
            Self::WeibullPdf | Self::WeibullCdf => &["k", "lam"],
        }
    }

    /// Weights of lags `0 … lags − 1`, not normalised.
    ///
    /// Parameters as in [`Adstock::parameters`]; missing ones are an error of the caller and read as NaN.
    #[must_use]
    pub fn weights(self, parameters: &[f64], lags: usize) -> Vec<f64> {
        let mut weights = vec![0.0; lags];
        let mut slopes = [vec![0.0; lags], vec![0.0; lags]];
        let [first, second] = &mut slopes;
        self.weights_into(pair(parameters), &mut weights, first, second);
        weights
    }

    /// Weights, and their derivatives by the first and the second parameter.
    #[inline(always)]
    pub(super) fn weights_into(
        self,
        p: [f64; 2],
        weights: &mut [f64],
        first: &mut [f64],
        second: &mut [f64],
    ) {
        let lags = weights.len();
        match self {
            Self::None => {
                weights.fill(0.0);
                weights[0] = 1.0;
                first.fill(0.0);
                second.fill(0.0);
            }
            Self::Geometric => {
                // The derivative runs one power behind, so that α = 0 needs no division.
                let (mut power, mut behind) = (1.0, 0.0);
                for l in 0..lags {
                    weights[l] = power;
                    first[l] = l as f64 * behind;
                    behind = power;
                    power *= p[0];
                }
            }
            Self::Delayed => {
                let log = p[0].ln();
                for l in 0..lags {
                    let distance = l as f64 - p[1];
                    let square = distance * distance;
                    let w = if square == 0.0 {
                        1.0
                    } else {
                        (square * log).exp()
                    };
                    weights[l] = w;
                    first[l] = if p[0] > 0.0 { square * w / p[0] } else { 0.0 };
                    second[l] = if w > 0.0 {
                        -2.0 * distance * log * w
                    } else {
                        0.0
                    };
                }
            }
            Self::Binomial | Self::BinomialWide => {
                let window = lags as f64 + f64::from(u8::from(self == Self::BinomialWide));
                for l in 0..lags {
                    // α = 0 is the limit without carry-over.
                    let log = (1.0 - l as f64 / window).ln();
                    let w = if l == 0 {
                        1.0
                    } else {
                        (log * (1.0 / p[0] - 1.0)).exp()
                    };
                    weights[l] = w;
                    first[l] = if w > 0.0 && l > 0 {
                        -w * log / (p[0] * p[0])
                    } else {
                        0.0
                    };
                }
            }
            Self::WeibullPdf => {
                let [k, scale] = p;
                for l in 0..lags {
                    let ratio = (l + 1) as f64 / scale;
                    let log = ratio.ln();
                    let power = ratio.powf(k);
                    let w = k / scale * ratio.powf(k - 1.0) * (-power).exp();
                    weights[l] = w;
                    first[l] = w * (1.0 / k + log - power * log);
                    second[l] = w * (k * power - k) / scale;
                }
                stretch(weights, first, second);
            }
            Self::WeibullCdf => {
                let [k, scale] = p;
                let (mut exponent, mut by_k, mut by_scale) = (0.0, 0.0, 0.0);
                for l in 0..lags {
                    if l > 0 {
                        let ratio = l as f64 / scale;
                        let power = ratio.powf(k);
                        exponent += power;
                        by_k += power * ratio.ln();
                        by_scale -= k * power / scale;
                    }
                    let w = (-exponent).exp();
                    weights[l] = w;
                    first[l] = -w * by_k;
                    second[l] = -w * by_scale;
                }
            }
        }
    }
}

/// Stretches weights to run from 0 to 1, with their derivatives.
#[inline(always)]
fn stretch(weights: &mut [f64], first: &mut [f64], second: &mut [f64]) {
    let (mut low, mut high) = (0, 0);
    for l in 0..weights.len() {
        if weights[l] < weights[low] {
            low = l;
        }
        if weights[l] > weights[high] {
            high = l;
        }
    }
    let (floor, range) = (weights[low], weights[high] - weights[low]);
    if range <= 0.0 || !range.is_finite() {
        // One lag, or a density so narrow that it vanishes at every lag: everything comes at once.
        weights.fill(0.0);
        weights[0] = 1.0;
        first.fill(0.0);
        second.fill(0.0);
        return;
    }
    for slopes in [first, second] {
        let (at_low, at_high) = (slopes[low], slopes[high]);
        for (w, d) in weights.iter().zip(slopes.iter_mut()) {
            let value = (w - floor) / range;
            *d = ((*d - at_low) - value * (at_high - at_low)) / range;
        }
    }
    for w in weights {
        *w = (*w - floor) / range;
    }
}

/// The scale in periods that Robyn makes of its scale parameter in `[0, 1]` for a series of `n` periods:
/// `round(quantile(1:n, scale))`, with R's rounding to even.
#[must_use]
pub fn robyn_scale(n: usize, fraction: f64) -> f64 {
    (1.0 + fraction * (n as f64 - 1.0)).round_ties_even()
}

/// Exposure with carry-over: `aₜ = Σₗ wₗ xₜ₋ₗ`, nothing before the first period.
#[must_use]
pub fn carry(x: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    carry_into(x, weights, &mut out);
    out
}

/// Weights that sum to one; all zero stays all zero.
#[must_use]
pub fn normalised(weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    if total > 0.0 {
        weights.iter().map(|w| w / total).collect()
    } else {
        weights.to_vec()
    }
}

#[inline(always)]
pub(super) fn carry_into(x: &[f64], weights: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    let n = x.len();
    for (l, w) in weights.iter().enumerate().take(n) {
        kernel::add_scaled(&mut out[l..], *w, &x[..n - l]);
    }
}

/// How the effect of an exposure flattens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Saturation {
    /// The exposure itself; no parameter.
    None,
    /// `(1 − e^(−λx))/(1 + e^(−λx))`.
    Logistic,
    /// `xˢ/(κˢ + xˢ)`: half of the maximum at κ; S-shaped for a slope above one.
    Hill,
    /// `x/(λ + x)`, that is Hill with slope one.
    MichaelisMenten,
    /// `tanh(x/κ)`. PyMC-Marketing's `b·tanh(x/(b·c))` is this with κ = b·c and coefficient b.
    Tanh,
    /// `xᵖ`; never flat, p in `(0, 1]`.
    Root,
}

impl Saturation {
    /// Names of the parameters in the order in which functions here take them.
    #[must_use]
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Logistic | Self::MichaelisMenten => &["lam"],
            Self::Hill => &["slope", "kappa"],
            Self::Tanh => &["kappa"],
            Self::Root => &["alpha"],
        }
    }

    /// The value at an exposure `x ≥ 0`; zero at zero but for Hill with slope zero, which is ½ everywhere.
    #[must_use]
    pub fn at(self, x: f64, parameters: &[f64]) -> f64 {
        let mut out = [0.0];
        self.apply_into(pair(parameters), &[x], &mut out);
        out[0]
    }

    /// The value at one exposure and its derivatives by the parameters.
    pub(super) fn at_with_slopes(self, x: f64, p: [f64; 2]) -> (f64, [f64; 2]) {
        let (mut s, mut h, mut scratch) = ([0.0], [1.0], [0.0]);
        self.apply_into(p, &[x], &mut s);
        let slopes = self.pull_back(p, &[x], &s, &mut h, &mut scratch);
        (s[0], slopes)
    }

    #[inline(always)]
    pub(super) fn apply_into(self, p: [f64; 2], a: &[f64], out: &mut [f64]) {
        match self {
            Self::None => out.copy_from_slice(a),
            Self::Logistic => {
                for (s, a) in out.iter_mut().zip(a) {
                    *s = kernel::logistic(p[0] * a);
                }
            }
            Self::Hill if p[0] == 1.0 => {
                for (s, a) in out.iter_mut().zip(a) {
                    *s = a / (p[1] + a);
                }
            }
            Self::Hill => {
                let log = kernel::ln(p[1]);
                for (s, a) in out.iter_mut().zip(a) {
                    *s = 1.0 / (1.0 + kernel::exp(p[0] * (log - kernel::ln(*a))));
                }
            }
            Self::MichaelisMenten => {
                for (s, a) in out.iter_mut().zip(a) {
                    *s = a / (p[0] + a);
                }
            }
            Self::Tanh => {
                let k = 2.0 / p[0];
                for (s, a) in out.iter_mut().zip(a) {
                    *s = kernel::logistic(k * a);
                }
            }
            Self::Root => {
                for (s, a) in out.iter_mut().zip(a) {
                    *s = if *a > 0.0 {
                        kernel::exp(p[0] * kernel::ln(*a))
                    } else {
                        0.0
                    };
                }
            }
        }
    }

    /// Turns `h = ∂L/∂s` into `∂L/∂a` in place and returns `∂L/∂p`, given `a` and `s` of [`Saturation::apply_into`].
    ///
    /// `scratch` has the same length.
    #[inline(always)]
    pub(super) fn pull_back(
        self,
        p: [f64; 2],
        a: &[f64],
        s: &[f64],
        h: &mut [f64],
        scratch: &mut [f64],
    ) -> [f64; 2] {
        match self {
            Self::None => [0.0; 2],
            Self::Logistic => {
                for ((h, s), c) in h.iter_mut().zip(s).zip(scratch.iter_mut()) {
                    let core = 0.5 * (1.0 - s * s) * *h;
                    *c = core;
                    *h = p[0] * core;
                }
                [kernel::dot(scratch, a), 0.0]
            }
            Self::Hill => {
                let inverse = 1.0 / p[1];
                let log = kernel::ln(p[1]);
                for ((h, s), c) in h.iter_mut().zip(s).zip(scratch.iter_mut()) {
                    *c = s * (1.0 - s) * *h;
                    *h = *c;
                }
                let by_kappa = -p[0] * inverse * kernel::sum(scratch);
                for (c, a) in scratch.iter_mut().zip(a) {
                    *c *= kernel::ln(*a) - log;
                }
                let by_slope = kernel::sum(scratch);
                for (h, a) in h.iter_mut().zip(a) {
                    *h = if *a > 0.0 { p[0] * *h / a } else { 0.0 };
                }
                [by_slope, by_kappa]
            }
            Self::MichaelisMenten => {
                let inverse = 1.0 / p[0];
                for ((h, s), c) in h.iter_mut().zip(s).zip(scratch.iter_mut()) {
                    let core = (1.0 - s) * inverse * *h;
                    *c = -s * core;
                    *h = (1.0 - s) * core;
                }
                [kernel::sum(scratch), 0.0]
            }
            Self::Tanh => {
                let inverse = 1.0 / p[0];
                for ((h, s), c) in h.iter_mut().zip(s).zip(scratch.iter_mut()) {
                    let core = (1.0 - s * s) * inverse * *h;
                    *c = core;
                    *h = core;
                }
                [-inverse * kernel::dot(scratch, a), 0.0]
            }
            Self::Root => {
                for (((h, s), c), a) in h.iter_mut().zip(s).zip(scratch.iter_mut()).zip(a) {
                    let core = s * *h;
                    *c = core * kernel::ln(*a);
                    *h = if *a > 0.0 { p[0] * core / a } else { 0.0 };
                }
                [kernel::sum(scratch), 0.0]
            }
        }
    }
}

/// The first two of a list, NaN for those that are not there.
pub(super) fn pair(parameters: &[f64]) -> [f64; 2] {
    let at = |i: usize| parameters.get(i).copied().unwrap_or(f64::NAN);
    [at(0), at(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Agreement to half a unit of the last digit that the source prints.
    fn assert_printed(ours: &[f64], printed: &[f64], half_unit: f64) {
        assert_eq!(ours.len(), printed.len());
        for (a, b) in ours.iter().zip(printed) {
            assert!((a - b).abs() <= half_unit * 1.0001, "{ours:?} {printed:?}");
        }
    }

    #[test]
    fn robyn_geometric_is_not_normalised() {
        let weights = Adstock::Geometric.weights(&[0.5], 5);
        assert_printed(
            &carry(&[100.0; 5], &weights),
            &[100.0, 150.0, 175.0, 187.5, 193.75],
            1e-12,
        );
    }

    #[test]
    fn robyn_weibull_follows_the_r_code() {
        let scale = robyn_scale(5, 0.5);
        assert_eq!(scale, 3.0);
        let cdf = Adstock::WeibullCdf.weights(&[0.5, scale], 5);
        assert_printed(
            &cdf,
            &[1.0, 0.5613839138, 0.2481189898, 0.0912778753, 0.0287663957],
            5e-11,
        );
        assert_printed(
            &carry(&[100.0; 5], &cdf),
            &[
                100.0,
                156.1383913799,
                180.9502903645,
                190.0780778973,
                192.954717469,
            ],
            5e-10,
        );
        let pdf = Adstock::WeibullPdf.weights(&[0.5, scale], 5);
        assert_printed(
            &pdf,
            &[1.0, 0.4323496873, 0.2039519277, 0.0789082113, 0.0],
            5e-11,
        );
        assert_printed(
            &carry(&[100.0; 5], &pdf),
            &[
                100.0,
                143.2349687321,
                163.6301615043,
                171.5209826362,
                171.5209826362,
            ],
            5e-11 * 100.0,
        );
    }

    #[test]
    fn robyn_hill() {
        let x = [100.0, 150.0, 170.0, 190.0, 200.0];
        let ours: Vec<f64> = x
            .iter()
            .map(|x| Saturation::Hill.at(*x, &[3.0, 0.5 * 200.0]))
            .collect();
        assert_printed(
            &ours,
            &[0.5, 0.7714285714, 0.8308811094, 0.8727573483, 0.8888888889],
            5e-11,
        );
    }

    #[test]
    fn meridian_window_and_normalisation() {
        // adstock_hill_test.py: five lags of three channels with α .1, .5, .9; media of the last period's window.
        let of = |family: Adstock, alpha: f64| family.weights(&[alpha], 5);
        let reversed = |w: Vec<f64>| w.into_iter().rev().collect::<Vec<_>>();
        assert_printed(
            &reversed(of(Adstock::Binomial, 0.25)),
            &[0.008, 0.064, 0.216, 0.512, 1.0],
            5e-13,
        );
        assert_printed(
            &reversed(of(Adstock::Binomial, 0.5)),
            &[0.2, 0.4, 0.6, 0.8, 1.0],
            5e-13,
        );
        assert_printed(
            &reversed(of(Adstock::Binomial, 2.0 / 3.0)),
            &[0.4472135955, 0.632455532, 0.7745966692, 0.894427191, 1.0],
            5e-11,
        );
        for family in [Adstock::Geometric, Adstock::Binomial] {
            // No lag and α = 0 leave media as they are; α = 1 is the moving mean.
            assert_eq!(family.weights(&[0.7], 1), [1.0]);
            assert_eq!(family.weights(&[0.0], 4), [1.0, 0.0, 0.0, 0.0]);
            assert_eq!(normalised(&family.weights(&[1.0], 4)), [0.25; 4]);
        }
        // All-ones media fill the window: (1 − αⁿ)/(1 − αᴸ) after n periods.
        let ones = carry(&[1.0; 5], &normalised(&of(Adstock::Geometric, 0.5)));
        for (t, a) in ones.iter().enumerate() {
            let expected = (1.0 - 0.5f64.powi(t as i32 + 1)) / (1.0 - 0.5f64.powi(5));
            assert!((a - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn pymc_weights() {
        let geometric = normalised(&Adstock::Geometric.weights(&[0.4], 8));
        assert_printed(
            &geometric,
            &[
                0.6003934739,
                0.2401573895,
                0.0960629558,
                0.0384251823,
                0.0153700729,
                0.0061480292,
                0.0024592117,
                0.0009836847,
            ],
            5e-11,
        );
        assert_printed(
            &Adstock::BinomialWide.weights(&[0.5], 8),
            &[
                1.0,
                0.8888888889,
                0.7777777778,
                0.6666666667,
                0.5555555556,
                0.4444444444,
                0.3333333333,
                0.2222222222,
            ],
            5e-11,
        );
        assert_printed(
            &Adstock::Delayed.weights(&[0.6, 2.0], 8),
            &[
                0.1296,
                0.6,
                1.0,
                0.6,
                0.1296,
                0.010077696,
                0.000282111,
                2.843e-06,
            ],
            5e-10,
        );
        assert_printed(
            &Adstock::WeibullPdf.weights(&[1.5, 2.0], 8),
            &[
                1.0,
                0.7405617307,
                0.3920558779,
                0.1672219451,
                0.0598705211,
                0.0179910357,
                0.0040540365,
                0.0,
            ],
            5e-11,
        );
        assert_printed(
            &Adstock::WeibullCdf.weights(&[1.5, 2.0], 8),
            &[
                1.0,
                0.7021885013,
                0.2583207135,
                0.0411442663,
                0.0024318626,
                4.66917e-05,
                2.586e-07,
                4e-10,
            ],
            5e-11,
        );
    }

    #[test]
    fn saturations_at_printed_points() {
        let x = [0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0];
        let of = |family: Saturation, p: &[f64], k: f64| -> Vec<f64> {
            x.iter().map(|x| k * family.at(*x, p)).collect()
        };
        assert_printed(
            &of(Saturation::Logistic, &[3.0], 1.0),
            &[
                0.0,
                0.1488850336,
                0.3583573984,
                0.6351489524,
                0.9051482536,
                0.9950547537,
                0.9999877117,
            ],
            5e-11,
        );
        assert_printed(
            &of(Saturation::Tanh, &[0.5 * 0.7], 0.5),
            &[
                0.0,
                0.1390927452,
                0.3066786302,
                0.4456867339,
                0.4967123386,
                0.49998912,
                0.4999999999,
            ],
            5e-11,
        );
        assert_printed(
            &of(Saturation::MichaelisMenten, &[0.8], 2.0),
            &[
                0.0,
                0.2222222222,
                0.4761904762,
                0.7692307692,
                1.1111111111,
                1.4285714286,
                1.6666666667,
            ],
            5e-11,
        );
        assert_printed(
            &of(Saturation::Hill, &[1.5, 0.6], 1.0),
            &[
                0.0,
                0.0637066905,
                0.2119513422,
                0.4320523874,
                0.6827066307,
                0.8588727983,
                0.9450949452,
            ],
            5e-11,
        );
        assert_printed(
            &of(Saturation::Hill, &[1.0, 0.8], 1.0),
            &[
                0.0,
                0.1111111111,
                0.2380952381,
                0.3846153846,
                0.5555555556,
                0.7142857143,
                0.8333333333,
            ],
            5e-11,
        );
        for v in [0.3, 1.0, 7.0] {
            assert!((Saturation::Hill.at(v, &[0.0, 0.8]) - 0.5).abs() < 1e-15);
            assert!((Saturation::Hill.at(v, &[1.0, 1.0]) - v / (1.0 + v)).abs() < 1e-15);
            assert!((Saturation::Root.at(v, &[0.5]) - v.sqrt()).abs() < 1e-14);
        }
    }

    #[test]
    fn derivatives_of_weights_are_those_of_differences() {
        let families = [
            (Adstock::Geometric, [0.6, 0.0]),
            (Adstock::Delayed, [0.6, 1.7]),
            (Adstock::Binomial, [0.4, 0.0]),
            (Adstock::BinomialWide, [0.4, 0.0]),
            (Adstock::WeibullPdf, [1.7, 2.3]),
            (Adstock::WeibullCdf, [1.7, 2.3]),
        ];
        for (family, p) in families {
            let lags = 7;
            let (mut w, mut d1, mut d2) = (vec![0.0; lags], vec![0.0; lags], vec![0.0; lags]);
            family.weights_into(p, &mut w, &mut d1, &mut d2);
            for (i, d) in [d1, d2].iter().enumerate().take(family.parameters().len()) {
                let step = 1e-6;
                let (mut up, mut down) = (p, p);
                up[i] += step;
                down[i] -= step;
                let (up, down) = (family.weights(&up, lags), family.weights(&down, lags));
                for l in 0..lags {
                    let numeric = (up[l] - down[l]) / (2.0 * step);
                    assert!(
                        (numeric - d[l]).abs() < 1e-7 * (1.0 + numeric.abs()),
                        "{family:?} parameter {i} lag {l}: {numeric} {}",
                        d[l]
                    );
                }
            }
        }
    }
}
