//! Prior distributions, and the maps from the unbounded line on which sampling runs to their supports.

use serde::{Deserialize, Serialize};

/// A prior distribution of one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "snake_case")]
pub enum Prior {
    /// Normal with mean and standard deviation.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
    },
    /// Double exponential with location and scale.
    Laplace {
        /// Location.
        mean: f64,
        /// Scale.
        scale: f64,
    },
    /// The upper half of a normal with mean zero.
    HalfNormal {
        /// Standard deviation of the whole normal.
        sd: f64,
    },
    /// Exponential.
    Exponential {
        /// Rate, the inverse of the mean.
        rate: f64,
    },
    /// The logarithm is normal.
    LogNormal {
        /// Mean of the logarithm.
        mean: f64,
        /// Standard deviation of the logarithm.
        sd: f64,
    },
    /// Gamma.
    Gamma {
        /// Shape.
        shape: f64,
        /// Rate.
        rate: f64,
    },
    /// Beta on `(0, 1)`.
    Beta {
        /// First shape.
        alpha: f64,
        /// Second shape.
        beta: f64,
    },
    /// Uniform on an interval.
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Normal cut to an interval.
    TruncatedNormal {
        /// Mean of the whole normal.
        mean: f64,
        /// Standard deviation of the whole normal.
        sd: f64,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Known: no parameter at all.
    Fixed {
        /// The value.
        value: f64,
    },
}

/// Where a parameter may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Support {
    /// Anywhere.
    Real,
    /// Above zero.
    Positive,
    /// Between two ends.
    Interval(f64, f64),
    /// At one value.
    Point(f64),
}

/// A parameter at a point of the unbounded line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    /// The parameter itself.
    pub(super) value: f64,
    /// Its derivative by the unbounded coordinate.
    pub(super) slope: f64,
    /// Log density of the unbounded coordinate, up to a constant.
    pub(super) density: f64,
    /// Derivative of that log density.
    pub(super) density_slope: f64,
}

impl Prior {
    pub(super) fn support(self) -> Support {
        match self {
            Self::Normal { .. } | Self::Laplace { .. } => Support::Real,
            Self::HalfNormal { .. }
            | Self::Exponential { .. }
            | Self::LogNormal { .. }
            | Self::Gamma { .. } => Support::Positive,
            Self::Beta { .. } => Support::Interval(0.0, 1.0),
            Self::Uniform { low, high } | Self::TruncatedNormal { low, high, .. } => {
                Support::Interval(low, high)
            }
            Self::Fixed { value } => Support::Point(value),
        }
    }

    /// What is wrong with the numbers, if anything.
    pub(super) fn defect(self) -> Option<&'static str> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let sound = match self {
            Self::Normal { mean, sd } | Self::LogNormal { mean, sd } => {
                mean.is_finite() && positive(sd)
            }
            Self::Laplace { mean, scale } => mean.is_finite() && positive(scale),
            Self::HalfNormal { sd } => positive(sd),
            Self::Exponential { rate } => positive(rate),
            Self::Gamma { shape, rate } => positive(shape) && positive(rate),
            Self::Beta { alpha, beta } => positive(alpha) && positive(beta),
            Self::Uniform { low, high } => low.is_finite() && high.is_finite() && low < high,
            Self::TruncatedNormal {
                mean,
                sd,
                low,
                high,
            } => {
                mean.is_finite()
                    && positive(sd)
                    && low.is_finite()
                    && high.is_finite()
                    && low < high
            }
            Self::Fixed { value } => value.is_finite(),
        };
        (!sound).then_some("its numbers are not finite, not positive or not in order")
    }

    /// Log density at a value of the support, up to a constant, and its derivative.
    #[inline(always)]
    pub(super) fn log_density(self, v: f64) -> (f64, f64) {
        match self {
            Self::Normal { mean, sd } | Self::TruncatedNormal { mean, sd, .. } => {
                let z = (v - mean) / sd;
                (-0.5 * z * z, -z / sd)
            }
            Self::Laplace { mean, scale } => {
                let d = v - mean;
                (-d.abs() / scale, -d.signum() / scale)
            }
            Self::HalfNormal { sd } => {
                let z = v / sd;
                (-0.5 * z * z, -z / sd)
            }
            Self::Exponential { rate } => (-rate * v, -rate),
            Self::LogNormal { mean, sd } => {
                let log = v.ln();
                let z = (log - mean) / sd;
                (-0.5 * z * z - log, -(z / sd + 1.0) / v)
            }
            Self::Gamma { shape, rate } => {
                ((shape - 1.0) * v.ln() - rate * v, (shape - 1.0) / v - rate)
            }
            Self::Beta { alpha, beta } => (
                (alpha - 1.0) * v.ln() + (beta - 1.0) * (-v).ln_1p(),
                (alpha - 1.0) / v - (beta - 1.0) / (1.0 - v),
            ),
            Self::Uniform { .. } | Self::Fixed { .. } => (0.0, 0.0),
        }
    }

    /// The parameter at coordinate `u` of the unbounded line: the identity, `eᵘ`, or the logistic map to an interval.
    #[inline(always)]
    pub(super) fn at(self, u: f64) -> Point {
        match self.support() {
            Support::Real => {
                let (density, density_slope) = self.log_density(u);
                Point {
                    value: u,
                    slope: 1.0,
                    density,
                    density_slope,
                }
            }
            Support::Positive => {
                let value = u.exp();
                let (density, slope) = self.log_density(value);
                Point {
                    value,
                    slope: value,
                    density: density + u,
                    density_slope: slope * value + 1.0,
                }
            }
            Support::Interval(low, high) => {
                // Written so that neither end is reached exactly, where log densities may be infinite.
                let e = (-u.abs()).exp();
                let near = e / (1.0 + e);
                let share = if u > 0.0 { 1.0 - near } else { near };
                let range = high - low;
                let value = low + range * share;
                let slope = (range * near * (1.0 - near)).max(f64::MIN_POSITIVE);
                if share <= 0.0 || share >= 1.0 {
                    // Flat ground beyond the last representable value: the density there is zero for all purposes.
                    return Point {
                        value,
                        slope,
                        density: f64::NEG_INFINITY,
                        density_slope: 0.0,
                    };
                }
                let (density, density_slope) = self.log_density(value);
                Point {
                    value,
                    slope,
                    density: density + slope.ln(),
                    density_slope: density_slope * slope + 1.0 - 2.0 * share,
                }
            }
            Support::Point(value) => Point {
                value,
                slope: 0.0,
                density: 0.0,
                density_slope: 0.0,
            },
        }
    }

    /// The coordinate on the unbounded line of a value inside the support; values at or beyond an end are moved inside.
    pub(super) fn coordinate(self, v: f64) -> f64 {
        match self.support() {
            Support::Real => v,
            Support::Positive => v.max(1e-12).ln(),
            Support::Interval(low, high) => {
                let share = ((v - low) / (high - low)).clamp(1e-6, 1.0 - 1e-6);
                (share / (1.0 - share)).ln()
            }
            Support::Point(_) => 0.0,
        }
    }

    /// A value in the middle: what a search starts from.
    pub(super) fn centre(self) -> f64 {
        match self {
            Self::Normal { mean, .. } | Self::Laplace { mean, .. } => mean,
            Self::HalfNormal { sd } => 0.8 * sd,
            Self::Exponential { rate } => 1.0 / rate,
            Self::LogNormal { mean, .. } => mean.exp(),
            Self::Gamma { shape, rate } => shape / rate,
            Self::Beta { alpha, beta } => alpha / (alpha + beta),
            Self::Uniform { low, high } => 0.5 * (low + high),
            Self::TruncatedNormal {
                mean, low, high, ..
            } => mean.clamp(low + 0.05 * (high - low), high - 0.05 * (high - low)),
            Self::Fixed { value } => value,
        }
    }

    /// Curvature of a normal that stands in for the prior of a linear coefficient in least squares: `1/variance`.
    pub(super) fn precision(self) -> f64 {
        match self {
            Self::Normal { sd, .. }
            | Self::HalfNormal { sd }
            | Self::TruncatedNormal { sd, .. } => 1.0 / (sd * sd),
            Self::Laplace { scale, .. } => 0.5 / (scale * scale),
            Self::Exponential { rate } => rate * rate,
            Self::Gamma { shape, rate } => rate * rate / shape,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn all() -> Vec<Prior> {
        vec![
            Prior::Normal { mean: 0.5, sd: 2.0 },
            Prior::Laplace {
                mean: 0.1,
                scale: 1.5,
            },
            Prior::HalfNormal { sd: 2.0 },
            Prior::Exponential { rate: 0.7 },
            Prior::LogNormal { mean: 0.2, sd: 0.9 },
            Prior::Gamma {
                shape: 3.0,
                rate: 1.0,
            },
            Prior::Beta {
                alpha: 1.0,
                beta: 3.0,
            },
            Prior::Uniform {
                low: -1.0,
                high: 2.0,
            },
            Prior::TruncatedNormal {
                mean: 0.8,
                sd: 0.8,
                low: 0.1,
                high: 10.0,
            },
        ]
    }

    #[test]
    fn slopes_are_those_of_differences() {
        for prior in all() {
            for u in [-2.3, -0.4, 0.7, 1.9] {
                let (up, at, down) = (prior.at(u + 1e-6), prior.at(u), prior.at(u - 1e-6));
                let numeric = (up.density - down.density) / 2e-6;
                assert!((numeric - at.density_slope).abs() < 1e-6, "{prior:?} {u}");
                let numeric = (up.value - down.value) / 2e-6;
                assert!((numeric - at.slope).abs() < 1e-6, "{prior:?} {u}");
                assert!((prior.coordinate(at.value) - u).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn the_density_of_the_coordinate_integrates_like_that_of_the_value() {
        // The mean of a Beta(1, 3) is 1/4 and that of a Gamma(3, 1) is 3, also on the unbounded line.
        for (prior, mean) in [
            (
                Prior::Beta {
                    alpha: 1.0,
                    beta: 3.0,
                },
                0.25,
            ),
            (
                Prior::Gamma {
                    shape: 3.0,
                    rate: 1.0,
                },
                3.0,
            ),
            (
                Prior::HalfNormal { sd: 2.0 },
                2.0 * (2.0 / std::f64::consts::PI).sqrt(),
            ),
        ] {
            let (mut mass, mut moment) = (0.0, 0.0);
            for i in -40_000..40_000 {
                let p = prior.at(f64::from(i) * 1e-3);
                mass += p.density.exp();
                moment += p.density.exp() * p.value;
            }
            assert!((moment / mass - mean).abs() < 1e-6, "{prior:?}");
        }
    }

    #[test]
    fn numbers_out_of_order_are_named() {
        assert!(Prior::Normal { mean: 0.0, sd: 0.0 }.defect().is_some());
        assert!(
            Prior::Uniform {
                low: 1.0,
                high: 1.0
            }
            .defect()
            .is_some()
        );
        assert!(all().iter().all(|p| p.defect().is_none()));
    }
}
