//! From the analyses' numbers to amounts of money.

use rust_decimal::{Decimal, prelude::FromPrimitive};

/// An amount in whole cents.
pub(crate) fn cents(amount: f64) -> Decimal {
    Decimal::from_f64((amount * 100.0).round() / 100.0)
        .unwrap_or_default()
        .round_dp(2)
}
