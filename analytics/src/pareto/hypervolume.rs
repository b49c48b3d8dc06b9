//! Exact hypervolume: the measure of what a set of points dominates up to a reference point (Zitzler and Thiele 1998).

/// Hypervolume of points (objectives minimised) against a reference point. Points that do not dominate the reference count
/// nothing. Two objectives are swept, three are swept in slices; more are sliced recursively, which is for small sets only.
#[must_use]
pub fn hypervolume(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    let inside: Vec<&[f64]> = points
        .iter()
        .map(Vec::as_slice)
        .filter(|p| p.len() == reference.len() && p.iter().zip(reference).all(|(a, r)| a < r))
        .collect();
    volume(inside, reference)
}

fn volume(mut points: Vec<&[f64]>, reference: &[f64]) -> f64 {
    let m = reference.len();
    if points.is_empty() || m == 0 {
        return 0.0;
    }
    let last = m - 1;
    points.sort_by(|a, b| a[last].total_cmp(&b[last]));
    match m {
        1 => reference[0] - points[0][0],
        2 => {
            // Sorted by the second objective: each point adds a strip to the left of what came before.
            let mut edge = reference[0];
            let mut sum = 0.0;
            for point in points {
                if point[0] < edge {
                    sum += (edge - point[0]) * (reference[1] - point[1]);
                    edge = point[0];
                }
            }
            sum
        }
        3 => {
            // Slices of the third objective; the stairs of the first two grow point by point.
            let mut stairs: Vec<(f64, f64)> = Vec::new();
            let mut sum = 0.0;
            let mut area = 0.0;
            for (k, point) in points.iter().enumerate() {
                area += add_step(
                    &mut stairs,
                    (point[0], point[1]),
                    (reference[0], reference[1]),
                );
                let next = points.get(k + 1).map_or(reference[2], |p| p[2]);
                sum += area * (next - point[2]);
            }
            sum
        }
        _ => {
            let mut sum = 0.0;
            for k in 0..points.len() {
                let next = points.get(k + 1).map_or(reference[last], |p| p[last]);
                if next > points[k][last] {
                    let slice: Vec<&[f64]> = points[..=k].iter().map(|p| &p[..last]).collect();
                    sum += volume(slice, &reference[..last]) * (next - points[k][last]);
                }
            }
            sum
        }
    }
}

/// Adds a point to stairs sorted by rising first and falling second coordinate; returns the area gained.
fn add_step(stairs: &mut Vec<(f64, f64)>, point: (f64, f64), reference: (f64, f64)) -> f64 {
    let at = stairs.partition_point(|s| s.0 <= point.0);
    let ceiling = if at > 0 {
        stairs[at - 1].1
    } else {
        reference.1
    };
    if ceiling <= point.1 {
        return 0.0;
    }
    let mut gained = 0.0;
    let (mut left, mut height) = (point.0, ceiling);
    let mut end = at;
    while end < stairs.len() && stairs[end].1 >= point.1 {
        gained += (stairs[end].0 - left) * (height - point.1);
        (left, height) = stairs[end];
        end += 1;
    }
    let right = stairs.get(end).map_or(reference.0, |s| s.0);
    gained += (right - left) * (height - point.1);
    // A step at the same first coordinate is covered.
    let from = if at > 0 && stairs[at - 1].0 == point.0 {
        at - 1
    } else {
        at
    };
    stairs.splice(from..end, [point]);
    gained
}
