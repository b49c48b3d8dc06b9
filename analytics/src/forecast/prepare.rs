//! What every series goes through first: missing values, the end of the data, and the floor at zero.

use crate::quality::cleaning::fill_linear;

/// Why the values cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// There is no finite value.
    #[error("the series has no known value")]
    Empty,
    /// A value is finite but so large that sums of squares of values like it are not numbers any more.
    #[error("a value is beyond ±1e100, which is too large to be forecast; use larger units")]
    TooLarge,
}

/// Largest size of a value. Squares of values and products of variances stay far from the largest number there is.
const LARGEST: f64 = 1e100;

/// A gapless series.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) values: Vec<f64>,
    /// Missing values after the last known one.
    pub(super) stale: usize,
    /// Inner values that were filled.
    pub(super) filled: usize,
    /// No forecast may fall below this: zero for series that never did.
    pub(super) floor: Option<f64>,
}

/// Trims missing values at both ends and fills inner ones by straight lines.
pub(super) fn prepare(values: &[f64]) -> Result<Prepared, PrepareError> {
    let first = values
        .iter()
        .position(|v| v.is_finite())
        .ok_or(PrepareError::Empty)?;
    let last = values
        .iter()
        .rposition(|v| v.is_finite())
        .ok_or(PrepareError::Empty)?;
    let mut kept = values[first..=last].to_vec();
    let too_large = |v: &f64| v.is_finite() && v.abs() > LARGEST;
    if kept.iter().any(too_large) {
        return Err(PrepareError::TooLarge);
    }
    let filled = fill_linear(&mut kept);
    let floor = kept.iter().all(|v| *v >= 0.0).then_some(0.0);
    Ok(Prepared {
        stale: values.len() - 1 - last,
        values: kept,
        filled,
        floor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_gaps_become_straight_lines_and_the_ends_are_trimmed() {
        let prepared = prepare(&[f64::NAN, 2.0, f64::NAN, f64::NAN, 8.0, f64::INFINITY])
            .expect("known values");
        assert_eq!(prepared.values, vec![2.0, 4.0, 6.0, 8.0]);
        assert_eq!((prepared.filled, prepared.stale), (2, 1));
    }

    #[test]
    fn a_series_without_a_known_value_is_refused() {
        assert_eq!(
            prepare(&[f64::NAN, f64::NAN]).unwrap_err(),
            PrepareError::Empty
        );
        assert_eq!(prepare(&[]).unwrap_err(), PrepareError::Empty);
    }

    #[test]
    fn a_value_whose_square_is_hardly_a_number_is_refused_and_infinity_is_a_gap() {
        for size in [1.1e100, 1e308] {
            assert_eq!(
                prepare(&[1.0, -size, 2.0]).unwrap_err(),
                PrepareError::TooLarge
            );
        }
        assert!(prepare(&[1e100, 2.0]).is_ok());
        let gap = prepare(&[1.0, f64::INFINITY, 3.0]).expect("known values");
        assert_eq!(gap.values, vec![1.0, 2.0, 3.0]);
    }

    #[test]
    fn only_series_that_never_were_negative_get_a_floor() {
        assert_eq!(prepare(&[0.0, 1.0]).expect("known").floor, Some(0.0));
        assert_eq!(prepare(&[-1.0, 1.0]).expect("known").floor, None);
    }
}
