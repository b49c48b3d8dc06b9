//! Lag polynomials: the way from free numbers to stationary ones, products with a season, and roots.
//!
//! An autoregression `x_t = c_1 x_{t-1} + … + c_p x_{t-p} + ε_t` is stationary exactly when its partial autocorrelations lie
//! between −1 and 1, and the two are linked by the recursion of Durbin and Levinson (Barndorff-Nielsen and Schou 1973; Jones 1980;
//! Monahan 1984). The same map, with the sign turned, gives invertible moving averages.

/// Largest partial autocorrelation, so that no estimate lies on the border.
pub(super) const LARGEST: f64 = 0.9999;

/// The coefficients of the stationary autoregression whose partial autocorrelations are `tanh` of the free numbers.
pub(super) fn stationary(free: &[f64], coefficients: &mut [f64]) {
    for (k, u) in free.iter().enumerate() {
        let partial = LARGEST * u.tanh();
        // c_j ← c_j − κ c_{k−j}, pairwise from both ends.
        for j in 0..k / 2 {
            let (a, b) = (coefficients[j], coefficients[k - 1 - j]);
            coefficients[j] = a - partial * b;
            coefficients[k - 1 - j] = b - partial * a;
        }
        if k % 2 == 1 {
            coefficients[k / 2] *= 1.0 - partial;
        }
        coefficients[k] = partial;
    }
}

/// The partial autocorrelations of an autoregression; `None` when it is not stationary.
pub(super) fn partials(coefficients: &[f64]) -> Option<Vec<f64>> {
    let mut work = coefficients.to_vec();
    let mut partials = vec![0.0; work.len()];
    for k in (0..work.len()).rev() {
        let partial = work[k];
        if partial.is_nan() || partial.abs() >= 1.0 {
            return None;
        }
        partials[k] = partial;
        let scale = 1.0 / (1.0 - partial * partial);
        for j in 0..k / 2 {
            let (a, b) = (work[j], work[k - 1 - j]);
            work[j] = (a + partial * b) * scale;
            work[k - 1 - j] = (b + partial * a) * scale;
        }
        if k % 2 == 1 {
            work[k / 2] /= 1.0 - partial;
        }
    }
    Some(partials)
}

/// Whether every root of `1 − c_1 z − … − c_p z^p` is farther from zero than `radius`.
///
/// Scaling `c_j` by `radius^j` divides the roots by the radius, so this is a question about stationarity.
pub(super) fn roots_beyond(coefficients: &[f64], radius: f64) -> bool {
    let mut power = 1.0;
    let scaled: Vec<f64> = coefficients
        .iter()
        .map(|c| {
            power *= radius;
            c * power
        })
        .collect();
    partials(&scaled).is_some()
}

/// Coefficients of the product of `1 − a_1 B − …` and `1 − b_1 B^m − …`, in the same signs.
pub(super) fn product(a: &[f64], b: &[f64], period: usize, out: &mut [f64]) {
    out.fill(0.0);
    out[..a.len()].copy_from_slice(a);
    for (k, b) in b.iter().enumerate() {
        let shift = (k + 1) * period;
        out[shift - 1] += b;
        for (j, a) in a.iter().enumerate() {
            out[shift + j] -= a * b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_numbers_come_back_through_the_coefficients() {
        let numbers = [0.4, -1.2, 0.3, 0.9, -0.2];
        for p in 1..=5 {
            let mut c = vec![0.0; p];
            stationary(&numbers[..p], &mut c);
            let back = partials(&c).expect("stationary");
            for (a, b) in numbers.iter().zip(&back) {
                assert!(
                    (LARGEST * a.tanh() - b).abs() < 1e-12,
                    "{numbers:?} {back:?}"
                );
            }
        }
    }

    #[test]
    fn an_autoregression_of_order_two_has_the_textbook_partials() {
        // κ_1 = c_1 / (1 − c_2), κ_2 = c_2.
        let partials = partials(&[0.5, 0.3]).expect("stationary");
        assert!((partials[0] - 0.5 / 0.7).abs() < 1e-15 && partials[1] == 0.3);
        assert!(super::partials(&[0.8, 0.3]).is_none());
    }

    #[test]
    fn roots_are_located() {
        // 1 − 0.8 z has its root at 1.25.
        assert!(roots_beyond(&[0.8], 1.24) && !roots_beyond(&[0.8], 1.26));
        // (1 − 0.5 z)(1 − 0.9 z): the nearer root at 1.111.
        assert!(roots_beyond(&[1.4, -0.45], 1.11) && !roots_beyond(&[1.4, -0.45], 1.12));
        assert!(roots_beyond(&[], 5.0));
    }

    #[test]
    fn a_seasonal_product_is_expanded() {
        // (1 − 0.5 B)(1 − 0.3 B^4) = 1 − 0.5 B − 0.3 B^4 + 0.15 B^5.
        let mut out = [9.0; 5];
        product(&[0.5], &[0.3], 4, &mut out);
        assert_eq!(out, [0.5, 0.0, 0.0, 0.3, -0.15]);
    }
}
