//! Local regression on equally spaced values (Cleveland 1979), as the decomposition of Cleveland and others (1990) uses it.

/// Degree of the local polynomials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degree {
    /// Weighted means.
    Constant,
    /// Straight lines.
    Linear,
}

/// How to smooth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Smoother {
    /// Neighbours that take part, odd.
    pub(super) window: usize,
    pub(super) degree: Degree,
    /// Every so many positions the fit is computed; between them it is a straight line.
    pub(super) jump: usize,
}

fn tricube(distance: f64) -> f64 {
    if distance >= 1.0 {
        return 0.0;
    }
    let left = 1.0 - distance * distance * distance;
    left * left * left
}

impl Smoother {
    /// Fitted values at the positions `first, first + 1, …`, one for each element of `out`; the values of `y` stand at 0, 1, ….
    /// `robustness` weighs the values besides the distance.
    pub(super) fn smooth(
        self,
        y: &[f64],
        robustness: Option<&[f64]>,
        first: isize,
        out: &mut [f64],
    ) {
        let n = y.len() as isize;
        let half = (self.window / 2) as isize;
        // Far from the ends, without robustness, the weights are symmetric, so that a line fits as a mean does, and always the same.
        let inner = robustness.is_none() && self.window as isize <= n && half > 0;
        let kernel: Vec<f64> = if inner {
            let side: Vec<f64> = (0..half).map(|j| tricube(j as f64 / half as f64)).collect();
            let total = 2.0 * side.iter().sum::<f64>() - side[0];
            (1 - half..half)
                .map(|j| side[j.unsigned_abs()] / total)
                .collect()
        } else {
            Vec::new()
        };
        let jump = self.jump.max(1);
        let last = out.len().saturating_sub(1);
        let mut done = 0;
        let mut at = 0;
        while at < out.len() {
            let x = first + at as isize;
            out[at] = if inner && x >= half && x + half < n {
                let start = (x - half + 1) as usize;
                y[start..start + kernel.len()]
                    .iter()
                    .zip(&kernel)
                    .map(|(v, w)| v * w)
                    .sum()
            } else {
                self.at(x as f64, y, robustness)
            };
            let (from, to) = (out[done], out[at]);
            for (k, between) in out[done..at].iter_mut().enumerate().skip(1) {
                *between = from + (to - from) * k as f64 / (at - done) as f64;
            }
            if at == last {
                break;
            }
            done = at;
            at = (at + jump).min(last);
        }
    }

    /// The fitted value at `x`.
    fn at(self, x: f64, y: &[f64], robustness: Option<&[f64]>) -> f64 {
        let n = y.len();
        let window = self.window.min(n);
        let half = (window - 1) as f64 / 2.0;
        let start = (x - half).round().clamp(0.0, (n - window) as f64) as usize;
        let end = start + window;
        let mut reach = (x - start as f64).abs().max((end as f64 - 1.0 - x).abs());
        if self.window > n {
            reach *= self.window as f64 / n as f64;
        }
        let weight = |i: usize| {
            let near = tricube((i as f64 - x).abs() / reach.max(f64::MIN_POSITIVE));
            near * robustness.map_or(1.0, |r| r[i])
        };
        let (mut total, mut middle, mut mean) = (0.0, 0.0, 0.0);
        for (i, value) in y.iter().enumerate().take(end).skip(start) {
            let w = weight(i);
            total += w;
            middle += w * (i as f64 - x);
            mean += w * value;
        }
        if total.is_nan() || total <= 1e-12 {
            // All neighbours are outliers, or there is but one.
            return y[start..end].iter().sum::<f64>() / window as f64;
        }
        middle /= total;
        mean /= total;
        if self.degree == Degree::Constant {
            return mean;
        }
        let (mut spread, mut slope) = (0.0, 0.0);
        for (i, value) in y.iter().enumerate().take(end).skip(start) {
            let w = weight(i);
            let from = i as f64 - x - middle;
            spread += w * from * from;
            slope += w * from * value;
        }
        if spread > 1e-9 * total * (n * n) as f64 {
            mean - middle * slope / spread
        } else {
            mean
        }
    }

    /// What the fits do to noise in `n` values: the mean weight a value has in the fit at its own place, and the variance of
    /// the fit one place beyond the last, in units of the noise's.
    pub(super) fn influence(self, n: usize) -> (f64, f64) {
        let mut unit = vec![0.0; n];
        let (mut own, mut beyond) = (0.0, 0.0);
        for i in 0..n {
            unit[i] = 1.0;
            own += self.at(i as f64, &unit, None);
            beyond += self.at(n as f64, &unit, None).powi(2);
            unit[i] = 0.0;
        }
        (own / n as f64, beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smoother(window: usize, degree: Degree) -> Smoother {
        Smoother {
            window,
            degree,
            jump: 1,
        }
    }

    #[test]
    fn a_line_is_reproduced_also_beyond_its_ends() {
        let y: Vec<f64> = (0..30).map(|t| 4.0 - 0.5 * t as f64).collect();
        for window in [5, 11, 29, 61] {
            let mut out = vec![0.0; 34];
            smoother(window, Degree::Linear).smooth(&y, None, -2, &mut out);
            for (k, v) in out.iter().enumerate() {
                assert!(
                    (v - (5.0 - 0.5 * k as f64)).abs() < 1e-9,
                    "{window} {k} {v}"
                );
            }
        }
    }

    #[test]
    fn the_short_way_inside_gives_what_the_long_way_gives() {
        let y: Vec<f64> = (0..40).map(|t| ((t * t) as f64 * 0.13).sin()).collect();
        let ones = vec![1.0; 40];
        for degree in [Degree::Constant, Degree::Linear] {
            let (mut short, mut long) = (vec![0.0; 40], vec![0.0; 40]);
            smoother(9, degree).smooth(&y, None, 0, &mut short);
            smoother(9, degree).smooth(&y, Some(&ones), 0, &mut long);
            for (a, b) in short.iter().zip(&long) {
                assert!((a - b).abs() < 1e-12, "{a} {b}");
            }
        }
    }

    #[test]
    fn jumps_are_bridged_and_outliers_can_be_ignored() {
        let y: Vec<f64> = (0..25).map(|t| 2.0 * t as f64).collect();
        let mut out = vec![0.0; 25];
        let jumping = Smoother {
            jump: 4,
            ..smoother(7, Degree::Linear)
        };
        let mut spoilt = y.clone();
        spoilt[10] = 1e6;
        let mut weights = vec![1.0; 25];
        weights[10] = 0.0;
        jumping.smooth(&spoilt, Some(&weights), 0, &mut out);
        for (a, b) in out.iter().zip(&y) {
            assert!((a - b).abs() < 1e-8, "{a} {b}");
        }
    }

    #[test]
    fn the_variance_of_a_mean_over_all_is_one_part_in_n() {
        let wide = smoother(1_000_001, Degree::Constant);
        let (own, beyond) = wide.influence(10);
        assert!((own - 0.1).abs() < 1e-6 && (beyond - 0.1).abs() < 1e-6);
    }
}
