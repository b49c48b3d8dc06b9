//! Numbers of the command line that have to lie in a range: clap knows ranges of whole numbers only, and takes NaN for a number.

/// A share of a whole: from 0 to 1.
///
/// # Errors
/// A sentence that says what is expected.
pub(super) fn share(text: &str) -> Result<f64, String> {
    read(text, |v| (0.0..=1.0).contains(&v), "a number from 0 to 1")
}

/// A number that is not negative.
///
/// # Errors
/// A sentence that says what is expected.
pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    read(text, |v| v >= 0.0, "a number of at least 0")
}

/// A number above 0.
///
/// # Errors
/// A sentence that says what is expected.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    read(text, |v| v > 0.0, "a number above 0")
}

/// A length in periods: at least 1.
///
/// # Errors
/// A sentence that says what is expected.
pub(super) fn periods(text: &str) -> Result<f64, String> {
    read(text, |v| v >= 1.0, "a number of at least 1")
}

fn read(text: &str, fits: impl Fn(f64) -> bool, wanted: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|v| v.is_finite() && fits(*v))
        .ok_or_else(|| format!("{wanted} is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_or_lies_outside_is_refused() {
        assert_eq!(share("0.1"), Ok(0.1));
        assert_eq!(not_negative("1e-7"), Ok(1e-7));
        assert_eq!(positive("1e-7"), Ok(1e-7));
        assert_eq!(periods("52.18"), Ok(52.18));
        for text in ["7", "-0.1", "nan", "inf", "much"] {
            assert!(share(text).is_err(), "{text}");
        }
        for text in ["-1", "NaN", "inf"] {
            assert!(not_negative(text).is_err(), "{text}");
        }
        for text in ["0", "nan", "-52"] {
            assert!(positive(text).is_err(), "{text}");
            assert!(periods(text).is_err(), "{text}");
        }
    }
}
