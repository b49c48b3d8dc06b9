//! The two forecasts every other one has to beat: the last value, and the value one cycle ago.

use super::Fit;

/// Repeats the last value; its error variance grows linearly with the horizon.
pub(super) fn naive(values: &[f64], horizon: usize) -> Fit {
    let last = values[values.len() - 1];
    Fit {
        mean: vec![last; horizon],
        residuals: values.windows(2).map(|w| w[1] - w[0]).collect(),
        spread: (1..=horizon).map(|h| (h as f64).sqrt()).collect(),
        parameters: Vec::new(),
    }
}

/// Repeats the last whole cycle; its error variance grows by one unit per cycle.
pub(super) fn seasonal_naive(values: &[f64], period: usize, horizon: usize) -> Fit {
    let start = values.len() - period;
    Fit {
        mean: (0..horizon).map(|h| values[start + h % period]).collect(),
        residuals: values[period..]
            .iter()
            .zip(values)
            .map(|(now, before)| now - before)
            .collect(),
        spread: (0..horizon)
            .map(|h| ((h / period + 1) as f64).sqrt())
            .collect(),
        parameters: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naive_repeats_the_last_value_and_widens_with_the_root_of_the_step() {
        let fit = naive(&[1.0, 2.0, 5.0], 4);
        assert_eq!(fit.mean, vec![5.0; 4]);
        assert_eq!(fit.residuals, vec![1.0, 3.0]);
        assert_eq!(fit.spread[3], 2.0);
    }

    #[test]
    fn seasonal_naive_repeats_the_last_cycle() {
        let fit = seasonal_naive(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 5);
        assert_eq!(fit.mean, vec![4.0, 5.0, 6.0, 4.0, 5.0]);
        assert_eq!(fit.residuals, vec![3.0, 3.0, 3.0]);
        assert_eq!(fit.spread[4], 2f64.sqrt());
    }
}
