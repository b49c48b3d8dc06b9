//! Tail probabilities, quantiles and false-discovery control.

/// Two-sided p-value of a t statistic with `dof` degrees of freedom.
#[must_use]
pub fn two_sided_p(t: f64, dof: f64) -> f64 {
    if !t.is_finite() {
        return if t.is_nan() { 1.0 } else { 0.0 };
    }
    incomplete_beta(dof / (dof + t * t), 0.5 * dof, 0.5).clamp(0.0, 1.0)
}

/// Probability that an F statistic with these degrees of freedom exceeds `f`; 1 for a statistic that is no number.
#[must_use]
pub fn upper_tail_f(f: f64, numerator: f64, denominator: f64) -> f64 {
    if f.is_nan() {
        return 1.0;
    }
    if f.is_infinite() {
        return if f > 0.0 { 0.0 } else { 1.0 };
    }
    let share = denominator / (denominator + numerator * f.max(0.0));
    incomplete_beta(share, 0.5 * denominator, 0.5 * numerator).clamp(0.0, 1.0)
}

/// Quantile of the t distribution: the value exceeded in absolute terms with probability `1 − level`.
#[must_use]
pub fn t_width(level: f64, dof: f64) -> f64 {
    let (mut low, mut high) = (0.0, 200.0);
    for _ in 0..80 {
        let mid = 0.5 * (low + high);
        if two_sided_p(mid, dof) > 1.0 - level {
            low = mid
        } else {
            high = mid
        }
    }
    0.5 * (low + high)
}

/// Benjamini–Hochberg adjusted p-values (q-values) of one family, in the order given.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    let mut q = vec![1.0; p.len()];
    let mut smallest = 1.0f64;
    for (position, &i) in order.iter().enumerate() {
        let rank = (p.len() - position) as f64;
        smallest = smallest.min(p[i] * p.len() as f64 / rank);
        q[i] = smallest;
    }
    q
}

/// Empirical quantile with linear interpolation; `sorted` must be sorted. NaN when empty.
#[must_use]
pub fn quantile(sorted: &[f64], level: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let position = level.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

/// Median of the finite values; NaN when there is none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    quantile(&finite, 0.5)
}

/// Arithmetic mean of the finite values; NaN when there is none.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    let (sum, n) = values
        .iter()
        .filter(|v| v.is_finite())
        .fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    if n == 0 { f64::NAN } else { sum / n as f64 }
}

/// Regularised incomplete beta function by Lentz's continued fraction (Press et al., Numerical Recipes §6.4).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front =
        (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(x, a, b) / a
    } else {
        1.0 - front * continued_fraction(1.0 - x, b, a) / b
    }
}

fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-14 {
            break;
        }
    }
    h
}

/// Logarithm of the gamma function for positive arguments (Lanczos, g = 7).
fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return std::f64::consts::PI.ln()
            - (std::f64::consts::PI * x).sin().ln()
            - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = C[1..]
        .iter()
        .enumerate()
        .fold(C[0], |s, (i, c)| s + c / (x + i as f64 + 1.0));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}
