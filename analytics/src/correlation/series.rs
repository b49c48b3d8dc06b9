//! Equally long series, one after the other.

use super::CorrelationError;

/// Equally long series of one granularity in one block of memory.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesBlock {
    length: usize,
    values: Vec<f64>,
}

impl SeriesBlock {
    /// Takes `values`, series after series, each of `length` periods.
    ///
    /// # Errors
    /// [`CorrelationError::Unequal`] when the last series is shorter than the others, [`CorrelationError::TooShort`] when a
    /// series would be empty.
    pub fn new(length: usize, values: Vec<f64>) -> Result<Self, CorrelationError> {
        if length == 0 {
            return Err(CorrelationError::TooShort {
                what: "a series",
                least: 1,
                got: 0,
            });
        }
        match values.len() % length {
            0 => Ok(Self { length, values }),
            got => Err(CorrelationError::Unequal {
                expected: length,
                got,
            }),
        }
    }

    /// Copies separate series.
    ///
    /// # Errors
    /// [`CorrelationError::Unequal`] when they are not equally long, [`CorrelationError::TooFewSeries`] when there is none,
    /// [`CorrelationError::TooShort`] when they are empty.
    pub fn from_series<S: AsRef<[f64]>>(series: &[S]) -> Result<Self, CorrelationError> {
        let Some(first) = series.first() else {
            return Err(CorrelationError::TooFewSeries {
                what: "a block",
                least: 1,
                got: 0,
            });
        };
        let expected = first.as_ref().len();
        let mut values = Vec::with_capacity(expected * series.len());
        for one in series {
            let got = one.as_ref().len();
            if got != expected {
                return Err(CorrelationError::Unequal { expected, got });
            }
            values.extend_from_slice(one.as_ref());
        }
        Self::new(expected, values)
    }

    /// Number of series.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / self.length
    }

    /// Number of periods.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Series `i`.
    #[must_use]
    pub fn series(&self, i: usize) -> &[f64] {
        &self.values[i * self.length..(i + 1) * self.length]
    }

    /// All series, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.length)
    }

    /// All values, series after series.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The first series that has absent values or does not vary.
    #[must_use]
    pub fn unusable(&self) -> Option<usize> {
        self.iter().position(|series| centred(series).is_none())
    }

    /// The series freed from their mean and stretched to norm 1; a series that has absent values or does not vary becomes
    /// zeros and is named in the second result.
    pub(super) fn standardised(&self) -> (Self, Vec<usize>) {
        let mut values = Vec::with_capacity(self.values.len());
        let mut unusable = Vec::new();
        for (i, series) in self.iter().enumerate() {
            if let Some((mut deviations, norm)) = centred(series) {
                deviations.iter_mut().for_each(|v| *v /= norm);
                values.append(&mut deviations);
            } else {
                unusable.push(i);
                values.resize(values.len() + self.length, 0.0);
            }
        }
        let length = self.length;
        (Self { length, values }, unusable)
    }
}

/// Deviations from the mean and their norm; nothing where a value is absent or all are equal up to rounding.
pub(super) fn centred(series: &[f64]) -> Option<(Vec<f64>, f64)> {
    let n = series.len() as f64;
    let rough = series.iter().sum::<f64>() / n;
    let mut deviations: Vec<f64> = series.iter().map(|v| v - rough).collect();
    // The mean of large numbers is rounded; the mean of what is left is small and exact.
    let rest = deviations.iter().sum::<f64>() / n;
    deviations.iter_mut().for_each(|v| *v -= rest);
    let norm = deviations.iter().map(|v| v * v).sum::<f64>().sqrt();
    let size = series.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    (norm.is_finite() && norm > 8.0 * f64::EPSILON * size * n.sqrt()).then_some((deviations, norm))
}
