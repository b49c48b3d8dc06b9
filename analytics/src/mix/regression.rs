//! Ordinary least squares by Householder reflections: twice the digits of the normal equations.

use crate::{
    cancel::{Cancel, Cancelled, never},
    linear::{add_scaled, dot},
};

/// A least squares fit; columns that the ones before them explain have coefficient zero and an infinite error.
#[derive(Debug, Clone, PartialEq)]
pub struct LeastSquares {
    /// Coefficients in the order of the columns.
    pub coefficients: Vec<f64>,
    /// Standard errors.
    pub errors: Vec<f64>,
    /// Outcome minus fit.
    pub residuals: Vec<f64>,
    /// Residual standard deviation.
    pub sigma: f64,
    /// Rows minus independent columns.
    pub dof: f64,
}

impl LeastSquares {
    /// t statistic of a column; zero where it has no error of its own.
    #[must_use]
    pub fn t(&self, column: usize) -> f64 {
        let t = self.coefficients[column] / self.errors[column];
        if t.is_finite() { t } else { 0.0 }
    }
}

/// Fits `y` on `columns` (Golub 1965). Rows are periods; all columns have the length of `y`.
#[must_use]
pub fn least_squares(columns: &[Vec<f64>], y: &[f64]) -> LeastSquares {
    regress(columns, y, &never).expect("nobody asks to stop")
}

/// Like [`least_squares`], for many columns and rows.
///
/// # Errors
/// [`Cancelled`], asked at every column.
pub(super) fn regress(
    columns: &[Vec<f64>],
    y: &[f64],
    cancel: &dyn Cancel,
) -> Result<LeastSquares, Cancelled> {
    let (n, k) = (y.len(), columns.len());
    let mut q: Vec<Vec<f64>> = columns.to_vec();
    // Upper triangle, column after column, and which columns are independent.
    let mut upper = vec![vec![0.0; k]; k];
    let mut pivots: Vec<usize> = Vec::new();
    let mut target = y.to_vec();
    let norms: Vec<f64> = columns.iter().map(|c| dot(c, c).sqrt()).collect();
    for j in 0..k {
        cancel.check()?;
        let row = pivots.len();
        let (_, below) = q[j].split_at(row.min(n));
        let norm = dot(below, below).sqrt();
        for (i, _) in pivots.iter().enumerate() {
            upper[j][i] = q[j][i];
        }
        if row >= n || norm <= 1e-12 * norms[j] || norm == 0.0 {
            continue;
        }
        // Reflect the rest of the column onto its first entry.
        let mut v = below.to_vec();
        let sign = if v[0] < 0.0 { -1.0 } else { 1.0 };
        v[0] += sign * norm;
        let length = dot(&v, &v);
        upper[j][row] = -sign * norm;
        let reflect = |x: &mut [f64]| {
            let rest = &mut x[row..];
            let k = 2.0 * dot(&v, rest) / length;
            add_scaled(rest, -k, &v);
        };
        for column in q.iter_mut().skip(j + 1) {
            reflect(column);
        }
        reflect(&mut target);
        pivots.push(j);
    }
    let rank = pivots.len();
    let back = |right: &[f64]| {
        let mut x = right[..rank].to_vec();
        for i in (0..rank).rev() {
            x[i] /= upper[pivots[i]][i];
            let value = x[i];
            for (r, x) in x[..i].iter_mut().enumerate() {
                *x -= value * upper[pivots[i]][r];
            }
        }
        x
    };
    let solution = back(&target);
    let mut coefficients = vec![0.0; k];
    let mut residuals = y.to_vec();
    for (j, b) in pivots.iter().zip(&solution) {
        coefficients[*j] = *b;
        add_scaled(&mut residuals, -b, &columns[*j]);
    }
    let dof = (n - rank) as f64;
    let sigma = (dot(&residuals, &residuals) / dof.max(1.0)).sqrt();
    // Rows of R⁻¹ have the errors.
    let mut squares = vec![0.0; rank];
    let mut unit = vec![0.0; rank];
    for i in 0..rank {
        cancel.check()?;
        unit[i] = 1.0;
        for (s, x) in squares.iter_mut().zip(back(&unit)) {
            *s += x * x;
        }
        unit[i] = 0.0;
    }
    let mut errors = vec![f64::INFINITY; k];
    for (j, s) in pivots.iter().zip(squares) {
        errors[*j] = sigma * s.sqrt();
    }
    Ok(LeastSquares {
        coefficients,
        errors,
        residuals,
        sigma,
        dof,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longley 1967, from the Statistical Reference Datasets of NIST (public domain), with certified values.
    #[test]
    fn longley_to_nine_digits() {
        let y = [
            60323.0, 61122.0, 60171.0, 61187.0, 63221.0, 63639.0, 64989.0, 63761.0, 66019.0,
            67857.0, 68169.0, 66513.0, 68655.0, 69564.0, 69331.0, 70551.0,
        ];
        let columns = vec![
            vec![1.0; 16],
            vec![
                83.0, 88.5, 88.2, 89.5, 96.2, 98.1, 99.0, 100.0, 101.2, 104.6, 108.4, 110.8, 112.6,
                114.2, 115.7, 116.9,
            ],
            vec![
                234289.0, 259426.0, 258054.0, 284599.0, 328975.0, 346999.0, 365385.0, 363112.0,
                397469.0, 419180.0, 442769.0, 444546.0, 482704.0, 502601.0, 518173.0, 554894.0,
            ],
            vec![
                2356.0, 2325.0, 3682.0, 3351.0, 2099.0, 1932.0, 1870.0, 3578.0, 2904.0, 2822.0,
                2936.0, 4681.0, 3813.0, 3931.0, 4806.0, 4007.0,
            ],
            vec![
                1590.0, 1456.0, 1616.0, 1650.0, 3099.0, 3594.0, 3547.0, 3350.0, 3048.0, 2857.0,
                2798.0, 2637.0, 2552.0, 2514.0, 2572.0, 2827.0,
            ],
            vec![
                107608.0, 108632.0, 109773.0, 110929.0, 112075.0, 113270.0, 115094.0, 116219.0,
                117388.0, 118734.0, 120445.0, 121950.0, 123366.0, 125368.0, 127852.0, 130081.0,
            ],
            (1947..=1962).map(f64::from).collect(),
        ];
        let fit = least_squares(&columns, &y);
        let certified = [
            (-3482258.63459582, 890420.383607373),
            (15.0618722713733, 84.9149257747669),
            (-0.358191792925910e-01, 0.334910077722432e-01),
            (-2.02022980381683, 0.488399681651699),
            (-1.03322686717359, 0.214274163161675),
            (-0.511041056535807e-01, 0.226073200069370),
            (1829.15146461355, 455.478499142212),
        ];
        for ((b, e), (certified_b, certified_e)) in
            fit.coefficients.iter().zip(&fit.errors).zip(certified)
        {
            assert!((b / certified_b - 1.0).abs() < 5e-10, "{b} {certified_b}");
            assert!((e / certified_e - 1.0).abs() < 5e-10, "{e} {certified_e}");
        }
        assert!((fit.sigma / 304.854073561965 - 1.0).abs() < 5e-10);
        assert_eq!(fit.dof, 9.0);
    }

    #[test]
    fn dependent_columns_have_no_coefficient() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let twice = x.iter().map(|v| 2.0 * v).collect();
        let y: Vec<f64> = x.iter().map(|v| 3.0 * v + 1.0).collect();
        let fit = least_squares(&[vec![1.0; 10], x, twice, vec![0.0; 10]], &y);
        assert!((fit.coefficients[1] - 3.0).abs() < 1e-12);
        assert_eq!(fit.coefficients[2], 0.0);
        assert_eq!(fit.t(2), 0.0);
        assert_eq!(fit.t(3), 0.0);
        assert_eq!(fit.dof, 8.0);
        assert!(least_squares(&[], &[1.0, 2.0]).coefficients.is_empty());
    }
}
