//! Gauss–Legendre quadrature on [0, 1].

/// Abscissas and weights of the rule with `points` points, which integrates polynomials up to degree 2·points − 1 exactly.
///
/// Newton's method on the three-term recurrence of the Legendre polynomials (Press and others, *Numerical Recipes*, §4.6).
pub(super) fn gauss_legendre(points: usize) -> Vec<(f64, f64)> {
    let n = points as f64;
    (0..points)
        .map(|i| {
            let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..100 {
                let (mut p, mut before) = (1.0, 0.0);
                for k in 1..=points {
                    let k = k as f64;
                    (p, before) = (((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k, p);
                }
                slope = n * (x * p - before) / (x * x - 1.0);
                let step = p / slope;
                x -= step;
                if step.abs() < 1e-16 {
                    break;
                }
            }
            (0.5 * (1.0 - x), 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::gauss_legendre;

    #[test]
    fn integrates_polynomials_of_its_degree() {
        for points in 1..=32 {
            let rule = gauss_legendre(points);
            for degree in 0..2 * points {
                let sum: f64 = rule.iter().map(|(t, w)| w * t.powi(degree as i32)).sum();
                let exact = 1.0 / (degree as f64 + 1.0);
                assert!(
                    (sum - exact).abs() < 4e-15,
                    "{points} points, t^{degree}: {sum} {exact}"
                );
            }
        }
    }
}
