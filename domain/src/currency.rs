//! Exchange rates by date, as the user gives them. No rate is ever invented, interpolated or fetched.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Rates into one currency: what one unit of another is worth in it, by the day from which that holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// The currency that amounts are turned into, ISO 4217.
    pub into: String,
    /// By currency and day.
    #[serde(default)]
    pub of: BTreeMap<String, BTreeMap<NaiveDate, f64>>,
}

impl Rates {
    /// What one unit of `currency` is worth on a day: the rate of that day or else the last one before it, as over a weekend.
    ///
    /// # Errors
    /// `currency.rate_missing` when no rate is known for that day or any before it.
    pub fn on(&self, currency: &str, day: NaiveDate) -> Result<f64, Error> {
        if currency == self.into {
            return Ok(1.0);
        }
        let known = self
            .of
            .get(currency)
            .and_then(|by_day| by_day.range(..=day).next_back());
        known.map(|(_, rate)| *rate).ok_or_else(|| {
            Error::invalid(
                "currency.rate_missing",
                format!(
                    "there is no rate from {currency} to {} on {day} or any day before it",
                    self.into
                ),
            )
            .advise("add the rate that held on that day")
        })
    }

    /// What is wrong with the rates, each with the currency it concerns; empty when they can be used.
    pub fn problems(&self) -> Vec<(&str, &'static str)> {
        let into = (!is_code(&self.into)).then_some((self.into.as_str(), NOT_A_CODE));
        let of = self.of.iter().filter_map(|(currency, by_day)| {
            if !is_code(currency) {
                Some((currency.as_str(), NOT_A_CODE))
            } else if by_day
                .values()
                .any(|rate| !rate.is_finite() || *rate <= 0.0)
            {
                Some((currency.as_str(), "has a rate that is not above zero"))
            } else {
                None
            }
        });
        into.into_iter().chain(of).collect()
    }
}

const NOT_A_CODE: &str = "is not a code of three capital letters";

/// Whether a text has the form of an ISO 4217 code.
pub fn is_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn rates() -> Rates {
        Rates {
            into: "EUR".to_owned(),
            of: BTreeMap::from([(
                "USD".to_owned(),
                BTreeMap::from([(day("2025-03-07"), 0.92), (day("2025-03-10"), 0.93)]),
            )]),
        }
    }

    #[test]
    fn a_weekend_takes_the_last_known_rate() {
        for (on, rate) in [
            ("2025-03-07", 0.92),
            ("2025-03-09", 0.92),
            ("2025-03-10", 0.93),
        ] {
            assert_eq!(rates().on("USD", day(on)), Ok(rate));
        }
        assert_eq!(rates().on("EUR", day("1999-01-01")), Ok(1.0));
    }

    #[test]
    fn a_missing_rate_names_currency_and_date_and_no_later_rate_stands_in() {
        for (currency, on) in [("USD", "2025-03-06"), ("GBP", "2025-03-10")] {
            let error = rates().on(currency, day(on)).expect_err("no rate");
            assert_eq!(error.code, "currency.rate_missing");
            assert!(error.message.contains(currency) && error.message.contains(on));
        }
    }

    #[test]
    fn rates_that_cannot_be_meant_are_named() {
        let mut wrong = rates();
        assert_eq!(wrong.problems(), vec![]);
        wrong.into = "euro".to_owned();
        wrong
            .of
            .insert("GBP".to_owned(), BTreeMap::from([(day("2025-01-01"), 0.0)]));
        let named: Vec<&str> = wrong.problems().into_iter().map(|(what, _)| what).collect();
        assert_eq!(named, ["euro", "GBP"]);
    }
}
