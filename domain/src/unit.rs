//! Money, intervals and effects: quantities with their unit in the type.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// An amount with its ISO 4217 currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// The amount in whole currency units (not cents).
    pub amount: Decimal,
    /// ISO 4217 code, three capital letters.
    pub currency: String,
}

/// A two-sided interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether every value in the interval has the same strict sign.
    pub fn excludes_zero(self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// Whether `value` lies inside, ends included.
    pub fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// What an action is expected to change, against not acting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Expected change over the horizon, carry-over tail included.
    pub value: f64,
    /// 80 % interval of that change.
    pub interval80: Interval,
    /// Level without the action over the same horizon, for comparison; `None` where there is no such level.
    pub base: Option<f64>,
    /// Unit of all three: an ISO currency, or a metric's unit (`points`, `percent`).
    pub unit: String,
    /// Weeks the effect is summed over.
    pub horizon_weeks: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_touches_zero_does_not_exclude_it() {
        assert!(
            !Interval {
                low: 0.0,
                high: 2.0
            }
            .excludes_zero()
        );
        assert!(
            Interval {
                low: 0.1,
                high: 2.0
            }
            .excludes_zero()
        );
        assert!(
            Interval {
                low: -3.0,
                high: -0.1
            }
            .excludes_zero()
        );
    }
}
