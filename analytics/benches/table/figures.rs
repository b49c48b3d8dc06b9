//! Figures made of many: the worst, the least, the median.
//!
//! `f64::max` and `f64::min` drop a NaN, so that a result that is missing would look like a good one. Here one NaN makes the whole
//! figure NaN, as does a list with nothing in it, and no bar accepts NaN.

/// The largest; NaN where one is NaN or there is none.
pub(crate) fn worst(figures: impl IntoIterator<Item = f64>) -> f64 {
    extreme(figures, f64::max)
}

/// The smallest; NaN where one is NaN or there is none.
pub(crate) fn least(figures: impl IntoIterator<Item = f64>) -> f64 {
    extreme(figures, f64::min)
}

fn extreme(figures: impl IntoIterator<Item = f64>, of_two: fn(f64, f64) -> f64) -> f64 {
    figures
        .into_iter()
        .reduce(|a, b| {
            if a.is_nan() || b.is_nan() {
                f64::NAN
            } else {
                of_two(a, b)
            }
        })
        .unwrap_or(f64::NAN)
}

/// The largest with the name it belongs to; a NaN is the largest, and so is nothing at all.
pub(crate) fn worst_named(figures: impl IntoIterator<Item = (f64, String)>) -> (f64, String) {
    figures
        .into_iter()
        .reduce(|a, b| if a.0.is_nan() || a.0 >= b.0 { a } else { b })
        .unwrap_or((f64::NAN, "nothing was compared".to_owned()))
}

/// The middle one, the upper of two; NaN where one is NaN or there is none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    if sorted.is_empty() || sorted.iter().any(|figure| figure.is_nan()) {
        return f64::NAN;
    }
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The two lists side by side.
///
/// # Panics
/// When one is longer: what was left out would not be compared.
pub(crate) fn pairs<'a, A, B>(
    first: &'a [A],
    second: &'a [B],
) -> impl Iterator<Item = (&'a A, &'a B)> {
    assert_eq!(
        first.len(),
        second.len(),
        "lists that are compared have one length"
    );
    first.iter().zip(second)
}

/// The distance relative to the larger of 1 and the expected value.
pub(crate) fn apart(ours: f64, expected: f64) -> f64 {
    (ours - expected).abs() / expected.abs().max(1.0)
}

/// What the functions above promise, asked before anything is measured: a benchmark has no tests of its own.
///
/// # Panics
/// When they do not hold.
pub(crate) fn check() {
    let nan = f64::NAN;
    for list in [[nan, 1.0], [1.0, nan]] {
        assert!(worst(list).is_nan() && least(list).is_nan() && median(list).is_nan());
        let named = list.map(|figure| (figure, figure.to_string()));
        assert_eq!(worst_named(named).1, "NaN");
    }
    assert!(worst([]).is_nan() && least([]).is_nan() && median([]).is_nan());
    assert!(worst_named([]).0.is_nan());
    assert!(apart(nan, 1.0).is_nan() && apart(1.0, nan).is_nan());
    assert_eq!((worst([1.0, 3.0, 2.0]), least([2.0, 1.0, 3.0])), (3.0, 1.0));
    assert_eq!(median([9.0, 1.0, 3.0]), 3.0);
}
