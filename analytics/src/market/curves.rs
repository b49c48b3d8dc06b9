//! Carry-over and saturation families from which the simulator draws.
//!
//! The default fit of [`crate::response`] uses geometric carry-over and Michaelis–Menten saturation. Half of the worlds
//! use the other families, so that acceptance figures include the error of a wrong functional form.

/// Weeks that carry-over reaches back, the current week included.
pub const REACH: usize = 13;

/// How spend of one week spreads over the following weeks. Weights always sum to one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Carry {
    /// `retention^lag`.
    Geometric {
        /// Share kept from week to week, 0..1.
        retention: f64,
    },
    /// `retention^((lag − peak)²)`: the effect peaks some time after the spend.
    Delayed {
        /// Decay around the peak, 0..1.
        retention: f64,
        /// Lag of the strongest effect in weeks.
        peak: f64,
    },
    /// Survival function of a Weibull distribution over the lag.
    Weibull {
        /// Scale in weeks.
        scale: f64,
        /// Shape; above one the effect holds first and then drops.
        shape: f64,
    },
}

impl Carry {
    /// Weights for lags `0..REACH`.
    #[must_use]
    pub fn weights(self) -> [f64; REACH] {
        let mut w = [0.0; REACH];
        for (lag, slot) in w.iter_mut().enumerate() {
            let l = lag as f64;
            *slot = match self {
                Self::Geometric { retention } => retention.powi(lag as i32),
                Self::Delayed { retention, peak } => retention.powf((l - peak) * (l - peak)),
                Self::Weibull { scale, shape } => (-(l / scale).powf(shape)).exp(),
            };
        }
        let sum: f64 = w.iter().sum();
        w.iter_mut().for_each(|v| *v /= sum);
        w
    }
}

/// Diminishing returns of the carried spend `a` (same unit as spend).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Saturation {
    /// `a / (half + a)`.
    MichaelisMenten {
        /// Carried spend at half of the maximum.
        half: f64,
    },
    /// `a^slope / (half^slope + a^slope)`: S-shaped for slopes above one.
    Hill {
        /// Carried spend at half of the maximum.
        half: f64,
        /// Slope exponent.
        slope: f64,
    },
    /// `1 − exp(−a / scale)`.
    Exponential {
        /// Carried spend at 63 % of the maximum.
        scale: f64,
    },
    /// `tanh(a / scale)`.
    Tanh {
        /// Carried spend at 76 % of the maximum.
        scale: f64,
    },
    /// `(a / unit)^exponent`: never flat, always concave.
    Power {
        /// Exponent below one.
        exponent: f64,
        /// Carried spend at which the value is one.
        unit: f64,
    },
}

impl Saturation {
    /// Value of the curve, zero at zero.
    #[must_use]
    pub fn value(self, a: f64) -> f64 {
        let a = a.max(0.0);
        match self {
            Self::MichaelisMenten { half } => a / (half + a),
            Self::Hill { half, slope } => {
                let r = (a / half).powf(slope);
                r / (1.0 + r)
            }
            Self::Exponential { scale } => 1.0 - (-a / scale).exp(),
            Self::Tanh { scale } => (a / scale).tanh(),
            Self::Power { exponent, unit } => (a / unit).powf(exponent),
        }
    }
}
