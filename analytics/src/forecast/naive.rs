//! The two forecasts every other one has to beat: the last value, and the value one cycle ago.

use serde::{Deserialize, Serialize};

use super::interval;

/// The last cycle of a series, repeated for ever. A cycle of one value is the naive forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Fitted {
    /// The last values, the oldest first.
    cycle: Vec<f64>,
    /// Root mean square of the changes from one cycle to the next.
    sigma: f64,
}

impl Fitted {
    /// The last value for `period` 1, else the values one cycle ago; the series must be that long.
    pub(super) fn new(values: &[f64], period: usize) -> Self {
        let changes: Vec<f64> = values[period..]
            .iter()
            .zip(values)
            .map(|(now, before)| now - before)
            .collect();
        Self {
            cycle: values[values.len() - period..].to_vec(),
            sigma: interval::sigma(&changes),
        }
    }

    /// Takes in a new value.
    pub(super) fn take(&mut self, value: f64) {
        self.cycle.rotate_left(1);
        if let Some(last) = self.cycle.last_mut() {
            *last = value;
        }
    }

    /// Means and standard deviations of the next values; the variance grows by one unit per cycle.
    pub(super) fn forecast(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let period = self.cycle.len();
        let mean = (0..horizon).map(|h| self.cycle[h % period]);
        let deviation = (0..horizon).map(|h| self.sigma * ((h / period + 1) as f64).sqrt());
        (mean.collect(), deviation.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naive_repeats_the_last_value_and_widens_with_the_root_of_the_step() {
        let (mean, deviation) = Fitted::new(&[1.0, 2.0, 5.0], 1).forecast(4);
        assert_eq!(mean, vec![5.0; 4]);
        assert!((deviation[0] - 5f64.sqrt()).abs() < 1e-12);
        assert_eq!(deviation[3], 2.0 * deviation[0]);
    }

    #[test]
    fn seasonal_naive_repeats_the_last_cycle() {
        let mut fit = Fitted::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3);
        let (mean, deviation) = fit.forecast(5);
        assert_eq!(mean, vec![4.0, 5.0, 6.0, 4.0, 5.0]);
        assert_eq!(deviation[4], 3.0 * 2f64.sqrt());
        fit.take(9.0);
        assert_eq!(fit.forecast(3).0, vec![5.0, 6.0, 9.0]);
    }

    #[test]
    fn a_single_value_has_no_width() {
        assert_eq!(Fitted::new(&[3.0], 1).forecast(2).1, vec![0.0; 2]);
    }
}
