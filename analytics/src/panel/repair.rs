//! Compares the projects of a brand with each other and repairs what contradicts them.

use super::{MetricInfo, PanelQuality, Part};
use crate::{inference::median, quality::Criteria};

/// Robust standard deviations beyond which a value is treated as wrong.
const TOLERANCE: f64 = 7.0;
/// Smallest relative deviation that is ever treated as wrong.
const LEAST: f64 = 0.25;

/// Marks wrong values and fills wrong or absent ones from the other projects of the same brand and metric, each within the
/// weeks in which the project had the metric.
///
/// Each project is put on a common level by its median. In a week, a project's level is compared with the median level
/// of all projects (for two projects nobody can say which is wrong, so only gaps are filled then). A week in which most
/// projects had nothing says nothing about the others. What people set project by project, such as spend or a price, is not
/// compared: there one project says nothing about another ([`Criteria::of`]).
pub(super) fn repair(parts: &mut [Part], metric: &MetricInfo, quality: &mut PanelQuality) {
    quality.absent += parts.iter().map(Part::absent).sum::<usize>();
    let is_compared = Criteria::of(metric.role).outlier.is_some();
    if parts.len() < 2 || !is_compared {
        return;
    }
    let n = parts[0].values.len();
    let levels: Vec<f64> = parts.iter().map(|p| median(&p.values)).collect();
    if levels.iter().any(|l| !l.is_finite() || *l == 0.0) {
        // A metric around zero has no relative level: fill with the mean of the others when it is an average.
        if !metric.additive {
            fill_plain(parts, n, quality);
        }
        return;
    }
    let common = |parts: &[Part], t: usize| {
        let now = parts.iter().zip(&levels).map(|(p, l)| p.values[t] / l);
        median(&now.collect::<Vec<f64>>())
    };
    if parts.len() >= 3 {
        let mut deviations: Vec<Vec<f64>> = vec![vec![f64::NAN; n]; parts.len()];
        for t in 0..n {
            let middle = common(parts, t);
            if middle == 0.0 {
                continue;
            }
            for (p, row) in deviations.iter_mut().enumerate() {
                row[t] = parts[p].values[t] / levels[p] / middle - 1.0;
            }
        }
        for (p, row) in deviations.iter().enumerate() {
            let absolute: Vec<f64> = row.iter().map(|v| v.abs()).collect();
            let limit = (TOLERANCE * 1.4826 * median(&absolute)).max(LEAST);
            for (value, deviation) in parts[p].values.iter_mut().zip(row) {
                if deviation.abs() > limit {
                    *value = f64::NAN;
                    quality.outliers += 1;
                }
            }
        }
    }
    for t in 0..n {
        let middle = common(parts, t);
        if middle.is_finite() {
            for (p, level) in levels.iter().enumerate() {
                if parts[p].lacks(t) {
                    parts[p].values[t] = middle * level;
                    quality.filled += 1;
                }
            }
        }
    }
}

fn fill_plain(parts: &mut [Part], n: usize, quality: &mut PanelQuality) {
    for t in 0..n {
        let now: Vec<f64> = parts.iter().map(|p| p.values[t]).collect();
        let middle = median(&now);
        for part in parts.iter_mut().filter(|_| middle.is_finite()) {
            if part.lacks(t) {
                part.values[t] = middle;
                quality.filled += 1;
            }
        }
    }
}
