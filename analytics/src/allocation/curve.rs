//! Response curves: what a cell earns from its spend.
//!
//! Every family has value, slope and bend (first and second derivative), the spend below which it is convex (its inflection),
//! and the inverse of the slope on its concave part: in closed form where there is one, by Newton steps that converge
//! from one side for Hill curves.

use serde::{Deserialize, Serialize};

/// Shape of a response curve. `β` scales the response, `k` the spend; `a` is the exponent where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// `β xᵃ / (xᵃ + kᵃ)`; S-shaped for `a > 1`.
    #[default]
    Hill,
    /// `β x / (x + k)`.
    MichaelisMenten,
    /// `β (1 − e^(−x/k)) / (1 + e^(−x/k))`.
    Logistic,
    /// `β tanh(x / k)`.
    Tanh,
    /// `β √(x / k)`.
    Root,
    /// `β (x / k)ᵃ`.
    Power,
    /// `β ln(1 + x / k)`.
    Log,
}

/// One response curve. With a negative `beta` more spend earns less.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Its shape.
    pub family: Family,
    /// Scale of the response, in units of outcome.
    pub beta: f64,
    /// Exponent of [`Family::Hill`] and [`Family::Power`].
    pub a: f64,
    /// Scale of the spend, in units of money.
    pub k: f64,
}

/// Value, slope and bend of a curve at one spend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jet {
    /// Response.
    pub value: f64,
    /// First derivative.
    pub slope: f64,
    /// Second derivative.
    pub bend: f64,
}

impl Curve {
    /// The same curve with its response multiplied.
    #[must_use]
    pub fn scaled(self, weight: f64) -> Self {
        Self {
            beta: self.beta * weight,
            ..self
        }
    }

    /// Response at spend `x ≥ 0`.
    #[must_use]
    pub fn value(&self, x: f64) -> f64 {
        let x = x.max(0.0);
        if x == 0.0 {
            return 0.0;
        }
        let u = x / self.k;
        match self.family {
            Family::Hill if self.a != 1.0 => self.beta / (1.0 + (-self.a * u.ln()).exp()),
            Family::Hill | Family::MichaelisMenten => self.beta * x / (x + self.k),
            Family::Logistic => self.beta * (0.5 * u).tanh(),
            Family::Tanh => self.beta * u.tanh(),
            Family::Root => self.beta * u.sqrt(),
            Family::Power => self.beta * u.powf(self.a),
            Family::Log => self.beta * u.ln_1p(),
        }
    }

    /// Value, slope and bend at spend `x ≥ 0`; the slope may be infinite at zero.
    #[must_use]
    pub fn jet(&self, x: f64) -> Jet {
        let (beta, k, a) = (self.beta, self.k, self.a);
        let x = x.max(0.0);
        let u = x / k;
        match self.family {
            Family::Hill if a != 1.0 => {
                if x == 0.0 {
                    return self.at_zero(beta / k);
                }
                let s = 1.0 / (1.0 + (-a * u.ln()).exp());
                let slope = beta * a / x * s * (1.0 - s);
                Jet {
                    value: beta * s,
                    slope,
                    bend: slope / x * (a * (1.0 - 2.0 * s) - 1.0),
                }
            }
            Family::Hill | Family::MichaelisMenten => {
                let d = 1.0 / (x + k);
                Jet {
                    value: beta * x * d,
                    slope: beta * k * d * d,
                    bend: -2.0 * beta * k * d * d * d,
                }
            }
            Family::Logistic => tangent(beta, 2.0 * k, x),
            Family::Tanh => tangent(beta, k, x),
            Family::Root | Family::Power => {
                let a = self.exponent();
                if x == 0.0 {
                    return self.at_zero(beta / k);
                }
                let value = beta * u.powf(a);
                Jet {
                    value,
                    slope: a * value / x,
                    bend: a * (a - 1.0) * value / (x * x),
                }
            }
            Family::Log => {
                let d = 1.0 / (x + k);
                Jet {
                    value: beta * u.ln_1p(),
                    slope: beta * d,
                    bend: -beta * d * d,
                }
            }
        }
    }

    /// Slope at spend `x ≥ 0`.
    #[must_use]
    pub fn slope(&self, x: f64) -> f64 {
        self.jet(x).slope
    }

    /// Slope at spend `x ≥ 0` as a finite number: a curve that starts infinitely steep is given, at zero, its slope at a
    /// millionth of its scale `k`.
    #[must_use]
    pub fn marginal(&self, x: f64) -> f64 {
        let slope = self.slope(x);
        if slope.is_finite() {
            slope
        } else {
            self.slope(self.start())
        }
    }

    /// The spend that stands in for zero where the slope at zero is infinite.
    pub(crate) fn start(&self) -> f64 {
        1e-6 * self.k
    }

    /// The exponent that governs small spends.
    fn exponent(&self) -> f64 {
        match self.family {
            Family::Hill | Family::Power => self.a,
            Family::Root => 0.5,
            _ => 1.0,
        }
    }

    /// Value, slope and bend at zero of a curve that behaves there like `β (x/k)ᵃ`; `first` is `β/k`.
    fn at_zero(&self, first: f64) -> Jet {
        if self.beta == 0.0 {
            return Jet {
                value: 0.0,
                slope: 0.0,
                bend: 0.0,
            };
        }
        let a = self.exponent();
        let sign = self.beta.signum();
        let (slope, bend) = if a < 1.0 {
            (sign * f64::INFINITY, -sign * f64::INFINITY)
        } else if a == 1.0 {
            (first, 0.0)
        } else if a < 2.0 {
            (0.0, sign * f64::INFINITY)
        } else if a == 2.0 {
            (0.0, 2.0 * first / self.k)
        } else {
            (0.0, 0.0)
        };
        Jet {
            value: 0.0,
            slope,
            bend,
        }
    }

    /// The spend up to which the curve (with a positive `beta`) is convex: zero for concave curves, infinite for straight and
    /// convex ones.
    #[must_use]
    pub fn inflection(&self) -> f64 {
        match self.family {
            // s = (a − 1) / 2a there.
            Family::Hill if self.a > 1.0 => {
                self.k * ((self.a - 1.0) / (self.a + 1.0)).powf(1.0 / self.a)
            }
            Family::Power if self.a >= 1.0 => f64::INFINITY,
            _ => 0.0,
        }
    }

    /// Whether slopes fall all the way.
    #[must_use]
    pub fn is_concave(&self) -> bool {
        self.beta >= 0.0 && self.inflection() == 0.0
    }

    /// The largest spend at which the slope of a curve with positive `beta` is still `price`, on its concave part; the inflection
    /// where no slope is that high, infinite for a price of zero or less.
    #[must_use]
    pub fn at_slope(&self, price: f64) -> f64 {
        let (beta, k, a) = (self.beta, self.k, self.a);
        if price <= 0.0 {
            return f64::INFINITY;
        }
        match self.family {
            Family::Hill if a != 1.0 => self.hill_at_slope(price),
            Family::Hill | Family::MichaelisMenten => ((beta * k / price).sqrt() - k).max(0.0),
            Family::Logistic => tangent_at_slope(beta, 2.0 * k, price),
            Family::Tanh => tangent_at_slope(beta, k, price),
            Family::Root | Family::Power => {
                let a = self.exponent();
                if a >= 1.0 {
                    return self.inflection();
                }
                k * (price * k / (beta * a)).powf(1.0 / (a - 1.0))
            }
            Family::Log => (beta / price - k).max(0.0),
        }
    }

    /// With v = ln(x/k), ln f′ = ln(βa/k) + (a−1)v − 2 ln(1+eᵃᵛ) is concave in v and falls beyond the inflection, so Newton
    /// steps from the right approach the root from the right.
    fn hill_at_slope(&self, price: f64) -> f64 {
        let (a, k) = (self.a, self.k);
        let level = (self.beta * a / (k * price)).ln();
        let mut v = level / (a + 1.0);
        if a < 1.0 {
            v = v.min(level / (1.0 - a));
        } else {
            // Beyond the inflection there is no root when even the steepest slope is too flat.
            let turn = ((a - 1.0) / (a + 1.0)).ln() / a;
            if level + (a - 1.0) * turn - 2.0 * (a * turn).exp().ln_1p() <= 0.0 {
                return self.inflection();
            }
            v = v.max(turn);
        }
        for _ in 0..60 {
            let e = (-(a * v).abs()).exp();
            let softplus = (a * v).max(0.0) + e.ln_1p();
            let s = if v >= 0.0 {
                1.0 / (1.0 + e)
            } else {
                e / (1.0 + e)
            };
            let g = level + (a - 1.0) * v - 2.0 * softplus;
            let step = g / ((a - 1.0) - 2.0 * a * s);
            if !step.is_finite() {
                break;
            }
            v -= step;
            if step.abs() <= 1e-15 * (1.0 + v.abs()) {
                break;
            }
        }
        k * v.exp()
    }
}

fn tangent(beta: f64, k: f64, x: f64) -> Jet {
    let t = (x / k).tanh();
    // 1 − t² loses all digits far out; the hyperbolic cosine does not.
    let c = 1.0 / (x / k).min(350.0).cosh();
    Jet {
        value: beta * t,
        slope: beta / k * c * c,
        bend: -2.0 * beta / (k * k) * t * c * c,
    }
}

fn tangent_at_slope(beta: f64, k: f64, price: f64) -> f64 {
    let ratio = beta / (k * price);
    if ratio <= 1.0 {
        return 0.0;
    }
    // cosh²(x/k) = ratio.
    k * ratio.sqrt().acosh()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Curve> {
        let of = |family, a| Curve {
            family,
            beta: 70.0,
            a,
            k: 12.0,
        };
        vec![
            of(Family::Hill, 0.6),
            of(Family::Hill, 1.0),
            of(Family::Hill, 1.4),
            of(Family::Hill, 3.0),
            of(Family::MichaelisMenten, 1.0),
            of(Family::Logistic, 1.0),
            of(Family::Tanh, 1.0),
            of(Family::Root, 1.0),
            of(Family::Power, 0.3),
            of(Family::Power, 1.0),
            of(Family::Power, 1.7),
            of(Family::Log, 1.0),
        ]
    }

    #[test]
    fn slope_and_bend_are_the_derivatives_of_the_value() {
        for curve in all() {
            for x in [0.3, 2.0, 9.0, 31.0] {
                let h = 1e-4 * x;
                let (low, mid, high) = (curve.jet(x - h), curve.jet(x), curve.jet(x + h));
                let slope = (high.value - low.value) / (2.0 * h);
                let bend = (high.slope - low.slope) / (2.0 * h);
                assert!((mid.value - curve.value(x)).abs() <= 1e-14 * mid.value);
                assert!(
                    (slope - mid.slope).abs() <= 1e-6 * mid.slope.abs() + 1e-9,
                    "{curve:?} {x}"
                );
                assert!(
                    (bend - mid.bend).abs() <= 1e-5 * mid.bend.abs() + 1e-7,
                    "{curve:?} {x}"
                );
            }
        }
    }

    #[test]
    fn a_curve_without_response_is_flat_and_a_steep_one_has_a_finite_marginal_at_zero() {
        for family in [Family::Hill, Family::Power, Family::Root] {
            let of = |beta| Curve {
                family,
                beta,
                a: 0.5,
                k: 12.0,
            };
            assert_eq!(of(0.0).jet(0.0).slope, 0.0, "{family:?}");
            assert_eq!(of(0.0).marginal(0.0), 0.0);
            assert!(of(3.0).slope(0.0).is_infinite());
            assert_eq!(of(3.0).marginal(0.0), of(3.0).slope(12e-6));
            assert_eq!(of(-3.0).marginal(0.0), -of(3.0).marginal(0.0));
            assert_eq!(of(3.0).marginal(2.0), of(3.0).slope(2.0));
        }
    }

    #[test]
    fn the_inverse_slope_finds_the_spend_on_the_concave_part() {
        for curve in all() {
            let turn = curve.inflection();
            if turn.is_infinite() {
                continue;
            }
            for x in [0.01, 1.0, 8.0, 13.0, 60.0, 400.0] {
                if x <= turn * 1.0001 || curve.slope(x) < 1e-280 {
                    continue;
                }
                let back = curve.at_slope(curve.slope(x));
                assert!(
                    (back - x).abs() <= 1e-9 * x,
                    "{curve:?}: {x} came back as {back}"
                );
            }
            assert!(curve.at_slope(1e9) <= turn + 1e-6);
            assert!(curve.at_slope(0.0).is_infinite());
        }
    }

    #[test]
    fn a_curve_bends_down_exactly_beyond_its_inflection() {
        for curve in all() {
            let turn = curve.inflection();
            for x in [0.1, 2.0, 6.0, 11.0, 40.0] {
                if curve.family == Family::Power && curve.a == 1.0 {
                    assert_eq!(curve.jet(x).bend, 0.0);
                } else {
                    assert_eq!(curve.jet(x).bend < 0.0, x > turn, "{curve:?} {x}");
                }
            }
        }
    }

    #[test]
    fn published_saturation_values_are_met() {
        // PyMC-Marketing's logistic (λ = 3), tanh (b = .5, c = .7), Michaelis–Menten (α = 2, λ = .8), Hill (s = 1.5, κ = .6).
        let cases = [
            (Family::Logistic, 1.0, 1.0, 1.0 / 3.0, 0.3583573984),
            (Family::Tanh, 0.5, 1.0, 0.35, 0.3066786302),
            (Family::MichaelisMenten, 2.0, 1.0, 0.8, 0.4761904762),
            (Family::Hill, 1.0, 1.5, 0.6, 0.2119513422),
        ];
        for (family, beta, a, k, expected) in cases {
            let curve = Curve { family, beta, a, k };
            assert!((curve.value(0.25) - expected).abs() < 5e-11, "{family:?}");
        }
    }
}
