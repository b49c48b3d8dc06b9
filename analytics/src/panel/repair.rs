//! Compares the projects of a brand with each other and repairs what contradicts them.

use super::PanelQuality;
use crate::inference::median;

/// Robust standard deviations beyond which a value is treated as wrong.
const TOLERANCE: f64 = 7.0;
/// Smallest relative deviation that is ever treated as wrong.
const LEAST: f64 = 0.25;

/// Marks wrong values and fills wrong or absent ones from the other projects of the same brand and metric.
///
/// Each project is put on a common level by its median. In a week, a project's level is compared with the median level
/// of all projects (for two projects nobody can say which is wrong, so only gaps are filled then).
pub(super) fn repair(parts: &mut [Vec<f64>], additive: bool, quality: &mut PanelQuality) {
    let Some(n) = parts.first().map(Vec::len) else {
        return;
    };
    quality.absent += parts
        .iter()
        .map(|p| p.iter().filter(|v| !v.is_finite()).count())
        .sum::<usize>();
    if parts.len() < 2 {
        return;
    }
    let levels: Vec<f64> = parts.iter().map(|p| median(p)).collect();
    if levels.iter().any(|l| !l.is_finite() || *l == 0.0) {
        // A metric around zero has no relative level: fill with the mean of the others when it is an average.
        if !additive {
            fill_plain(parts, n, quality);
        }
        return;
    }
    let common = |parts: &[Vec<f64>], t: usize| {
        let now: Vec<f64> = parts.iter().zip(&levels).map(|(p, l)| p[t] / l).collect();
        median(&now)
    };
    if parts.len() >= 3 {
        let mut deviations: Vec<Vec<f64>> = vec![vec![f64::NAN; n]; parts.len()];
        for t in 0..n {
            let middle = common(parts, t);
            for (p, row) in deviations.iter_mut().enumerate() {
                row[t] = parts[p][t] / levels[p] / middle - 1.0;
            }
        }
        for (p, row) in deviations.iter().enumerate() {
            let absolute: Vec<f64> = row.iter().map(|v| v.abs()).collect();
            let limit = (TOLERANCE * 1.4826 * median(&absolute)).max(LEAST);
            for t in 0..n {
                if row[t].abs() > limit {
                    parts[p][t] = f64::NAN;
                    quality.outliers += 1;
                }
            }
        }
    }
    for t in 0..n {
        let middle = common(parts, t);
        if middle.is_finite() {
            for (p, level) in levels.iter().enumerate() {
                if !parts[p][t].is_finite() {
                    parts[p][t] = middle * level;
                    quality.filled += 1;
                }
            }
        }
    }
}

fn fill_plain(parts: &mut [Vec<f64>], n: usize, quality: &mut PanelQuality) {
    for t in 0..n {
        let now: Vec<f64> = parts.iter().map(|p| p[t]).collect();
        let middle = median(&now);
        for part in parts.iter_mut().filter(|_| middle.is_finite()) {
            if !part[t].is_finite() {
                part[t] = middle;
                quality.filled += 1;
            }
        }
    }
}
