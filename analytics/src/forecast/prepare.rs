//! What every series goes through first: missing values, the end of the data, and the floor at zero.

use crate::quality::cleaning::fill_linear;

/// Why the values cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// There is no finite value.
    #[error("the series has no known value")]
    Empty,
}

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
    fn only_series_that_never_were_negative_get_a_floor() {
        assert_eq!(prepare(&[0.0, 1.0]).expect("known").floor, Some(0.0));
        assert_eq!(prepare(&[-1.0, 1.0]).expect("known").floor, None);
    }
}
