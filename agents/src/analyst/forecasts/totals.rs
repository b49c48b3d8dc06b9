//! Forecasts that add up: brand in project → brand → project → portfolio.
//!
//! Every part and every sum is forecast by itself; then all of them are moved as little as possible, each in proportion to how
//! uncertain it is, until the parts make the sums. A brand takes part when the end of all its parts is known; the others keep the
//! forecast that was made for them alone and are named with the reason.

use std::collections::{BTreeMap, BTreeSet};

use analytics::cancel::Cancel;
use analytics::forecast::{
    self, Options, Step,
    reconcile::{Hierarchy, Method, ReconcileError, reconcile_cancellable},
    refresh::Tracker,
};
use chrono::NaiveDate;
use domain::{
    forecast::{Forecast, ForecastPoint},
    id::{BrandId, ProjectId},
    metric::Granularity,
    unit::Interval,
};

use super::Series;
use crate::{
    forecasting::query::{ForecastTotal, LeftOut, LeftOutReason},
    observe::Snapshot,
};

/// Fewest periods that models are fitted on before their errors are taken.
const LEAST_TRAIN: usize = 20;
/// Fewest one-step errors of every part that say how uncertain it is.
const LEAST_ERRORS: usize = 8;
/// Most errors that are taken: what was long ago says little about today.
const MOST_ERRORS: usize = 40;
/// Most sums for which the way that moves all forecasts is solved; with more, the sums are those of the parts as they are.
const MOST_SUMS: usize = 1_500;
/// Binary digits that forecasts keep below the largest of them: few enough that every sum is exact, more than any reader needs.
const DIGITS: i32 = 40;

/// A brand in a project, whose values end with the data.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    brand: BrandId,
    project: ProjectId,
    /// Aligned with the last period; the first is known.
    values: Vec<f64>,
}

/// A part or a sum that is forecast.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Parts in it, by index; ascending.
    members: Vec<usize>,
    /// The brand whose parts these are, all of them and no others.
    brand: Option<BrandId>,
    /// Its values up to the last period; absent ones as NaN.
    values: Vec<f64>,
}

/// A node's forecast by itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Base {
    steps: Vec<Step>,
    /// One-step errors over the last periods, the same for all nodes.
    errors: Vec<f64>,
}

/// What is forecast so that it adds up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) origin: NaiveDate,
    granularity: Granularity,
    parts: Vec<Part>,
    /// The parts, then every sum over more than one of them that no other node has.
    pub(super) nodes: Vec<Node>,
    /// Errors that every node can give.
    errors: usize,
    pub(super) left_out: Vec<LeftOut>,
}

/// Forecasts that add up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Agreed {
    pub(super) totals: Vec<ForecastTotal>,
    pub(super) method: &'static str,
    /// One-step errors that weighed each forecast.
    pub(super) errors: usize,
}

/// Finds the parts of the brands that are forecast. `None` when their metric does not add up or no brand can take part.
pub(super) fn layout(snapshot: &Snapshot, series: &[Series]) -> Option<Layout> {
    let metric = &series.first()?.metric;
    if !metric.adds_up() {
        return None;
    }
    let granularity = metric.granularity;
    let table = &snapshot.table;
    let brands: BTreeMap<BrandId, &Series> = series.iter().map(|s| (s.brand, s)).collect();
    let mut known: BTreeMap<(BrandId, ProjectId), BTreeMap<NaiveDate, f64>> = BTreeMap::new();
    for row in 0..table.len() {
        if table.metric[row] == metric.id && brands.contains_key(&table.brand[row]) {
            known
                .entry((table.brand[row], table.project[row]))
                .or_default()
                .insert(table.period[row], table.value[row]);
        }
    }
    let last = |values: &BTreeMap<NaiveDate, f64>| values.keys().next_back().copied();
    let origin = known.values().filter_map(last).max()?;
    let mut parts = Vec::new();
    let mut left_out: BTreeMap<BrandId, LeftOut> = BTreeMap::new();
    let year = u32::try_from(granularity.per_year()).unwrap_or(u32::MAX);
    for ((brand, project), values) in &known {
        let (first, end) = (*values.keys().next()?, last(values)?);
        if granularity.add(end, year) <= origin {
            // It ended a year ago or more: nothing of it is to come, and the brand goes on without it.
            continue;
        }
        let dense: Vec<f64> = periods(granularity, first, origin)
            .map(|period| values.get(&period).copied().unwrap_or(f64::NAN))
            .collect();
        let reason = if end < origin {
            LeftOutReason::Late
        } else if dense.len() < LEAST_TRAIN + LEAST_ERRORS {
            LeftOutReason::Short
        } else {
            parts.push(Part {
                brand: *brand,
                project: *project,
                values: dense,
            });
            continue;
        };
        left_out.entry(*brand).or_insert(LeftOut {
            brand: *brand,
            project: *project,
            until: end,
            reason,
        });
    }
    parts.retain(|part| !left_out.contains_key(&part.brand));
    let shortest = parts.iter().map(|part| part.values.len()).min()?;
    let nodes = nodes(&parts);
    Some(Layout {
        origin,
        granularity,
        errors: (shortest - LEAST_TRAIN).min(MOST_ERRORS),
        left_out: left_out.into_values().collect(),
        parts,
        nodes,
    })
}

fn periods(
    granularity: Granularity,
    first: NaiveDate,
    last: NaiveDate,
) -> impl Iterator<Item = NaiveDate> {
    (0..)
        .map(move |n| granularity.add(first, n))
        .take_while(move |period| *period <= last)
}

/// The parts, then the sums by brand, by project and over all.
fn nodes(parts: &[Part]) -> Vec<Node> {
    let brands: BTreeMap<Vec<usize>, BrandId> = groups(parts, |part| part.brand)
        .into_iter()
        .map(|(brand, members)| (members, brand))
        .collect();
    let mut sums: BTreeSet<Vec<usize>> = brands.keys().cloned().collect();
    sums.extend(groups(parts, |part| part.project).into_values());
    sums.insert((0..parts.len()).collect());
    let single = (0..parts.len()).map(|place| vec![place]);
    let several = sums.into_iter().filter(|members| members.len() > 1);
    single
        .chain(several)
        .map(|members| Node {
            values: sum(parts, &members),
            brand: brands.get(&members).copied(),
            members,
        })
        .collect()
}

fn groups<K: Ord>(parts: &[Part], key: impl Fn(&Part) -> K) -> BTreeMap<K, Vec<usize>> {
    let mut out: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (place, part) in parts.iter().enumerate() {
        out.entry(key(part)).or_default().push(place);
    }
    out
}

/// The sum of some parts. A part adds nothing before it begins; where one is unknown later, so is the sum.
fn sum(parts: &[Part], members: &[usize]) -> Vec<f64> {
    let length = members
        .iter()
        .map(|place| parts[*place].values.len())
        .max()
        .unwrap_or(0);
    let mut out = vec![0.0; length];
    for place in members {
        let values = &parts[*place].values;
        for (total, value) in out[length - values.len()..].iter_mut().zip(values) {
            *total += value;
        }
    }
    out
}

impl Layout {
    /// Forecasts one node by itself, unless `made` did it already for the same values. `None` when no value of it is known.
    pub(super) fn base(
        &self,
        node: &Node,
        options: &Options,
        made: &BTreeMap<BrandId, (Series, Vec<ForecastPoint>)>,
        stop: &dyn Cancel,
    ) -> Option<Base> {
        let known = node.brand.and_then(|brand| made.get(&brand));
        let steps = match known.filter(|(series, _)| same(&series.values, &node.values)) {
            Some((_, points)) => points.iter().map(step).collect(),
            None => {
                forecast::forecast_cancellable(&node.values, options, None, stop)
                    .ok()?
                    .steps
            }
        };
        let (past, recent) = node.values.split_at(node.values.len() - self.errors);
        let one = Options {
            horizon: 1,
            folds: 0,
            ..*options
        };
        let mut tracker = Tracker::fit_cancellable(past, &one, stop).ok()?;
        let mut errors = Vec::with_capacity(recent.len());
        for value in recent {
            let expected = tracker.forecast(1).first()?.mean;
            // A value that is missing contradicts nothing.
            errors.push(if value.is_finite() {
                value - expected
            } else {
                0.0
            });
            tracker.update(&[*value]);
        }
        Some(Base { steps, errors })
    }

    /// Makes the nodes' forecasts agree.
    pub(super) fn agree(
        &self,
        bases: &[Base],
        stop: &dyn Cancel,
    ) -> Result<Agreed, ReconcileError> {
        let leaves = self.parts.len();
        let sums = self.nodes[leaves..].iter().map(|n| n.members.clone());
        let hierarchy = Hierarchy::new(leaves, sums.collect())?;
        let means: Vec<Vec<f64>> = bases
            .iter()
            .map(|base| base.steps.iter().map(|s| s.mean).collect())
            .collect();
        let errors: Vec<Vec<f64>> = bases.iter().map(|base| base.errors.clone()).collect();
        let known = || self.parts.iter().flat_map(|part| &part.values);
        let positive = known().all(|value| value.is_nan() || *value >= 0.0);
        let (method, name) = if self.nodes.len() - leaves <= MOST_SUMS {
            (Method::Variance, "variance")
        } else {
            (Method::BottomUp, "bottom_up")
        };
        let agree = |rows: &[Vec<f64>], positive: bool| {
            reconcile_cancellable(&hierarchy, rows, &errors, method, positive, stop)
        };
        let mut values = agree(&means, positive)?.values;
        exactly(&mut values, leaves, &self.nodes);
        // The sums hold for what happened, so errors are reconciled like forecasts: their spread afterwards is the spread
        // of the reconciled forecasts, with everything that the nodes' errors have in common.
        let after = agree(&errors, false)?.values;
        let width: Vec<f64> = errors
            .iter()
            .zip(&after)
            .map(|(b, a)| ratio(b, a))
            .collect();
        let floor = if positive { 0.0 } else { f64::NEG_INFINITY };
        let points = |node: usize| -> Vec<ForecastPoint> {
            let steps = (1..).zip(&bases[node].steps).zip(&values[node]);
            steps
                .map(|((ahead, step), mean)| {
                    let end = |base: f64| (mean + (base - step.mean) * width[node]).max(floor);
                    ForecastPoint {
                        period: self.granularity.add(self.origin, ahead),
                        mean: *mean,
                        interval80: Interval {
                            low: end(step.low80),
                            high: end(step.high80),
                        },
                        interval95: Interval {
                            low: end(step.low95),
                            high: end(step.high95),
                        },
                    }
                })
                .collect()
        };
        let place: BTreeMap<&[usize], usize> = (0..)
            .zip(&self.nodes)
            .map(|(i, n)| (n.members.as_slice(), i))
            .collect();
        let total =
            |brand: Option<BrandId>, project: Option<ProjectId>, members: &[usize]| ForecastTotal {
                brand,
                project,
                parts: u32::try_from(members.len()).unwrap_or(u32::MAX),
                points: points(place[members]),
            };
        let all: Vec<usize> = (0..leaves).collect();
        let mut totals = vec![total(None, None, &all)];
        for (project, members) in groups(&self.parts, |part| part.project) {
            totals.push(total(None, Some(project), &members));
        }
        for (brand, members) in groups(&self.parts, |part| part.brand) {
            totals.push(total(Some(brand), None, &members));
        }
        for (place, part) in self.parts.iter().enumerate() {
            totals.push(total(Some(part.brand), Some(part.project), &[place]));
        }
        Ok(Agreed {
            totals,
            method: name,
            errors: self.errors,
        })
    }
}

fn same(a: &[f64], b: &[f64]) -> bool {
    let alike = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
    a.len() == b.len() && a.iter().zip(b).all(alike)
}

fn step(point: &ForecastPoint) -> Step {
    Step {
        mean: point.mean,
        low80: point.interval80.low,
        high80: point.interval80.high,
        low95: point.interval95.low,
        high95: point.interval95.high,
    }
}

/// Cuts the parts' forecasts to a grid of binary fractions on which no sum is rounded, and takes the sums again: in whatever
/// order a reader adds the parts up, the result is the published total to the last digit.
fn exactly(values: &mut [Vec<f64>], leaves: usize, nodes: &[Node]) {
    let (parts, sums) = values.split_at_mut(leaves);
    let steps = parts.first().map_or(0, Vec::len);
    let size = |h: usize| parts.iter().map(|row| row[h].abs()).sum::<f64>();
    let largest = (0..steps).map(size).fold(0.0, f64::max);
    if largest > 0.0 {
        let grid = ((largest.log2().floor() as i32 - DIGITS).max(f64::MIN_EXP) as f64).exp2();
        for value in parts.iter_mut().flatten() {
            *value = (*value / grid).round() * grid;
        }
    }
    for (row, node) in sums.iter_mut().zip(&nodes[leaves..]) {
        for (h, total) in row.iter_mut().enumerate() {
            *total = node.members.iter().map(|leaf| parts[*leaf][h]).sum();
        }
    }
}

/// Spread of the errors after over the spread before; 1 where there was none.
fn ratio(before: &[f64], after: &[f64]) -> f64 {
    let square = |row: &[f64]| row.iter().map(|e| e * e).sum::<f64>();
    let spread = square(before);
    if spread > 0.0 {
        (square(after) / spread).sqrt()
    } else {
        1.0
    }
}

/// Gives the brands that take part the forecasts that add up.
pub(super) fn apply(agreed: &Agreed, forecasts: &mut [Forecast]) {
    let totals: BTreeMap<BrandId, &ForecastTotal> = agreed
        .totals
        .iter()
        .filter(|total| total.project.is_none())
        .filter_map(|total| Some((total.brand?, total)))
        .collect();
    for forecast in forecasts {
        if let Some(total) = totals.get(&forecast.brand) {
            forecast.points.clone_from(&total.points);
            forecast.provenance.parameters["reconciled"] = serde_json::json!({
                "method": agreed.method,
                "errors": agreed.errors,
                "parts": total.parts,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use analytics::cancel::never;
    use chrono::Days;
    use domain::series::MetricTable;

    use super::*;
    use crate::analyst::quality::Quality;
    use crate::view::tests_support::{a_view, brand, metric};

    fn project(name: &str) -> ProjectId {
        ProjectId::derive(&["o", name])
    }

    fn monday(week: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2023, 1, 2).expect("a date") + Days::new(7 * week)
    }

    /// Weekly sales of Alder and Birch in two projects over `weeks` weeks, without the weeks that `is_missing` names.
    fn snapshot(weeks: u64, is_missing: impl Fn(&str, &str, u64) -> bool) -> Snapshot {
        let mut table = MetricTable::default();
        for (b, name) in ["Alder", "Birch"].into_iter().enumerate() {
            for (p, place) in ["north", "south"].into_iter().enumerate() {
                for week in (0..weeks).filter(|week| !is_missing(name, place, *week)) {
                    let t = week as f64;
                    let level = 100.0 * (1 + b + 2 * p) as f64;
                    let wave = 9.7 * (t * (0.9 + 0.3 * b as f64 + 0.5 * p as f64)).sin();
                    table.push(
                        project(place),
                        brand(name),
                        metric("units_sold"),
                        monday(week),
                        level + 0.31 * t + wave,
                    );
                }
            }
        }
        Snapshot {
            view: a_view(),
            table: Arc::new(table),
            changes: Arc::default(),
            weeks,
        }
    }

    fn agreed(snapshot: &Snapshot) -> (Layout, Agreed) {
        let layout = layout(
            snapshot,
            &super::super::series(snapshot, &Quality::default()),
        )
        .expect("parts");
        let options = super::super::options(&snapshot.view.metrics[0], 6);
        let bases: Vec<Base> = layout
            .nodes
            .iter()
            .map(|node| {
                layout
                    .base(node, &options, &BTreeMap::new(), &never)
                    .expect("known values")
            })
            .collect();
        let agreed = layout.agree(&bases, &never).expect("sound");
        (layout, agreed)
    }

    fn means(of: &Agreed, brand: Option<BrandId>, project: Option<ProjectId>) -> Vec<f64> {
        let total = of
            .totals
            .iter()
            .find(|t| (t.brand, t.project) == (brand, project));
        let points = &total.expect("published").points;
        points.iter().map(|p| p.mean).collect()
    }

    fn added(rows: &[Vec<f64>]) -> Vec<f64> {
        (0..rows[0].len())
            .map(|h| rows.iter().map(|row| row[h]).sum())
            .collect()
    }

    #[test]
    fn parts_make_every_total_to_the_last_digit_in_whatever_order_they_are_added() {
        let (_, made) = agreed(&snapshot(70, |_, _, _| false));
        let (alder, birch) = (Some(brand("Alder")), Some(brand("Birch")));
        let (north, south) = (Some(project("north")), Some(project("south")));
        let portfolio = means(&made, None, None);
        assert_eq!(
            added(&[means(&made, alder, None), means(&made, birch, None)]),
            portfolio
        );
        assert_eq!(
            added(&[means(&made, None, south), means(&made, None, north)]),
            portfolio
        );
        for b in [alder, birch] {
            let parts = [means(&made, b, south), means(&made, b, north)];
            assert_eq!(added(&parts), means(&made, b, None));
        }
        for p in [north, south] {
            let parts = [means(&made, birch, p), means(&made, alder, p)];
            assert_eq!(added(&parts), means(&made, None, p));
        }
        assert_eq!(made.totals.len(), 1 + 2 + 2 + 4);
    }

    #[test]
    fn every_interval_holds_its_mean_and_the_portfolio_is_surer_than_its_brands_together() {
        let (_, made) = agreed(&snapshot(70, |_, _, _| false));
        for point in made.totals.iter().flat_map(|t| &t.points) {
            assert!(
                point.interval95.low <= point.interval80.low && point.interval80.low <= point.mean,
                "{point:?}"
            );
            assert!(
                point.interval95.high >= point.interval80.high
                    && point.interval80.high >= point.mean,
                "{point:?}"
            );
        }
        let width = |brand: Option<BrandId>| {
            let total = made
                .totals
                .iter()
                .find(|t| (t.brand, t.project) == (brand, None))
                .expect("published");
            total.points[0].interval80.high - total.points[0].interval80.low
        };
        assert!(width(None) < width(Some(brand("Alder"))) + width(Some(brand("Birch"))));
    }

    #[test]
    fn the_spread_afterwards_is_that_of_the_reconciled_errors() {
        let layout = layout(
            &snapshot(70, |_, _, _| false),
            &super::super::series(&snapshot(70, |_, _, _| false), &Quality::default()),
        )
        .expect("parts");
        // Every node errs by what its parts err by: nothing is to be gained, and no interval may shrink.
        let step = |mean: f64| Step {
            mean,
            low80: mean - 1.0,
            high80: mean + 1.0,
            low95: mean - 2.0,
            high95: mean + 2.0,
        };
        let part = |place: usize, t: usize| ((t * (place + 2)) as f64).sin();
        let bases: Vec<Base> = layout
            .nodes
            .iter()
            .map(|node| Base {
                steps: vec![step(100.0 * node.members.len() as f64)],
                errors: (0..40)
                    .map(|t| node.members.iter().map(|place| part(*place, t)).sum())
                    .collect(),
            })
            .collect();
        for total in layout.agree(&bases, &never).expect("sound").totals {
            let width = total.points[0].interval80.high - total.points[0].interval80.low;
            assert!((width - 2.0).abs() < 1e-9, "{total:?}");
        }
    }

    #[test]
    fn a_brand_with_a_late_or_short_part_is_named_and_in_no_total() {
        let (late, made) = agreed(&snapshot(70, |b, p, week| {
            b == "Birch" && p == "south" && week > 66
        }));
        assert_eq!(late.left_out.len(), 1);
        assert_eq!(
            (late.left_out[0].brand, late.left_out[0].reason),
            (brand("Birch"), LeftOutReason::Late)
        );
        assert_eq!(late.left_out[0].until, monday(66));
        assert!(made.totals.iter().all(|t| t.brand != Some(brand("Birch"))));
        assert_eq!(
            means(&made, Some(brand("Alder")), None),
            means(&made, None, None)
        );
        let (short, _) = agreed(&snapshot(70, |b, p, week| {
            b == "Birch" && p == "north" && week < 45
        }));
        assert_eq!(
            (short.left_out[0].brand, short.left_out[0].reason),
            (brand("Birch"), LeftOutReason::Short)
        );
    }

    #[test]
    fn a_part_that_ended_a_year_ago_is_no_reason_to_wait() {
        let (layout, made) = agreed(&snapshot(130, |b, p, week| {
            b == "Birch" && p == "south" && week > 70
        }));
        assert!(layout.left_out.is_empty());
        assert!(
            made.totals
                .iter()
                .all(|t| (t.brand, t.project) != (Some(brand("Birch")), Some(project("south"))))
        );
        assert_eq!(
            means(&made, Some(brand("Birch")), None),
            means(&made, Some(brand("Birch")), Some(project("north")))
        );
    }

    #[test]
    fn what_does_not_add_up_is_not_added() {
        let mut snapshot = snapshot(70, |_, _, _| false);
        snapshot.view.metrics[0].unit = domain::metric::MetricUnit::Ratio;
        assert_eq!(
            layout(
                &snapshot,
                &super::super::series(&snapshot, &Quality::default())
            ),
            None
        );
    }
}
