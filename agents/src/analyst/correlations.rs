//! How one metric of the brands moves together, pair by pair, and which brands belong together.

use std::collections::{BTreeMap, BTreeSet};

use analytics::{
    cancel::Cancel,
    correlation::{
        CorrelationError, SeriesBlock,
        study::{self, Link, StudyParams, study},
    },
};
use chrono::NaiveDate;
use domain::{
    id::{BrandId, MetricId},
    metric::{Granularity, MetricDefinition},
    provenance::Provenance,
};
use serde::Serialize;
use serde_json::json;

use super::provenance;
use crate::observe::Snapshot;

/// Fewest periods that are compared: enough for trend, season, autocorrelation and lags, and twenty to tell something by.
const LEAST_PERIODS: usize = 40;
/// Largest share of periods without a value; fewer are filled by straight lines.
const MOST_ABSENT: f64 = 0.05;
/// Most brands that are compared: every pair has its own stability.
const MOST_BRANDS: usize = 100;
/// Mean silhouette below which there are no groups to speak of (Rousseeuw 1987).
const CLEAR_GROUPS: f64 = 0.25;

/// How a metric of the brands moves together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlations {
    /// The metric.
    pub metric: MetricId,
    /// First period that was compared; `None` when nothing could be.
    pub from: Option<NaiveDate>,
    /// Last period.
    pub to: Option<NaiveDate>,
    /// Period length.
    pub granularity: Granularity,
    /// Whether logarithms were compared.
    pub logarithms: bool,
    /// Whether the averages of the other brands stood beside each test of what runs ahead, so that a market that all share does
    /// not look like a link. It takes five brands.
    pub market_controlled: bool,
    /// Every pair, the surest first.
    pub pairs: Vec<CorrelationPair>,
    /// Brands that belong together; empty where no groups are clear.
    pub groups: Vec<Vec<BrandId>>,
    /// How clear the groups are, −1 to 1; below 0.25 there are none to speak of.
    pub silhouette: Option<f64>,
    /// Brands that were not compared.
    pub left_out: Vec<NotCompared>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Two brands compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CorrelationPair {
    /// The brand that moves first, or at the same time.
    pub leader: BrandId,
    /// The other.
    pub follower: BrandId,
    /// Periods between them, where they are correlated most.
    pub lag: u32,
    /// The correlation there; `None` where it cannot be told.
    pub correlation: Option<f64>,
    /// Correlation in the same period, shrunk towards none as far as it is uncertain.
    pub shrunk: Option<f64>,
    /// Correlation in the same period given all other brands.
    pub partial: Option<f64>,
    /// Two-sided p-value, corrected for the lags that were looked at.
    pub p_value: f64,
    /// Benjamini–Hochberg q-value over every pair that can be told; 1 for the others.
    pub q_value: f64,
    /// Share of histories drawn in blocks in which the correlation was there again.
    pub stability: Option<f64>,
    /// Whether the leader's past helps to tell the follower.
    pub ahead: Option<RunsAhead>,
    /// Whether the follower's past helps to tell the leader.
    pub behind: Option<RunsAhead>,
    /// The conclusion.
    pub verdict: CorrelationVerdict,
}

/// The test of Granger of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RunsAhead {
    /// Sum of the coefficients of the past; of logarithms: percent per percent.
    pub total: f64,
    /// Lag with the largest coefficient.
    pub lag: u32,
    /// p-value.
    pub p_value: f64,
    /// Benjamini–Hochberg q-value over every ordered pair.
    pub q_value: f64,
}

/// What is said of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrelationVerdict {
    /// They move in the same direction.
    Together,
    /// They move in opposite directions.
    Apart,
    /// No link could be told from chance.
    NoEvidence,
    /// The data cannot tell: one of the two hardly moves on its own.
    NotIdentifiable,
}

/// A brand that was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NotCompared {
    /// The brand.
    pub brand: BrandId,
    /// Why.
    pub reason: NotComparedReason,
}

/// Why a brand was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotComparedReason {
    /// Too few periods, or less than half of what the others have.
    Short,
    /// Its newest values are missing.
    Late,
    /// Too many periods without a value.
    Gaps,
    /// Others are larger, and only so many can be compared.
    TooMany,
}

/// Compares a metric of all brands.
///
/// # Errors
/// When the caller asked to stop.
pub(crate) fn correlations(
    snapshot: &Snapshot,
    metric: &MetricDefinition,
    seed: u64,
    cancel: &(dyn Cancel + Sync),
) -> Result<Correlations, CorrelationError> {
    let params = StudyParams::new(metric.granularity.per_year() as f64, seed);
    let mut left_out = Vec::new();
    let compared = series(snapshot, metric, &mut left_out);
    let mut out = Correlations {
        metric: metric.id,
        from: None,
        to: None,
        granularity: metric.granularity,
        logarithms: false,
        market_controlled: false,
        pairs: Vec::new(),
        groups: Vec::new(),
        silhouette: None,
        left_out,
        provenance: provenance(
            snapshot,
            "correlation.study",
            json!({
                "lags": params.lags,
                "trend": params.trend,
                "harmonics": params.harmonics,
                "autoregression": params.order,
                "least_variation": params.least_variation,
                "false_discovery_rate": params.false_discovery_rate,
                "replications": params.replications,
            }),
            seed,
        ),
    };
    if compared.values.len() < 2 {
        return Ok(out);
    }
    let brands: Vec<BrandId> = compared.values.iter().map(|(brand, _)| *brand).collect();
    let rows: Vec<&[f64]> = compared.values.iter().map(|(_, v)| v.as_slice()).collect();
    // One thread: the pool gave one permit.
    let made = study(&SeriesBlock::from_series(&rows)?, &params, 1, cancel)?;
    out.from = Some(compared.from);
    out.to = Some(compared.to);
    out.logarithms = made.logarithms;
    out.market_controlled = made.averages;
    out.pairs = made.pairs.iter().map(|pair| shown(pair, &brands)).collect();
    if let Some(groups) = made.groups {
        let mut by_group: BTreeMap<usize, Vec<BrandId>> = BTreeMap::new();
        for (brand, group) in brands.iter().zip(&groups.of) {
            if let Some(group) = group {
                by_group.entry(*group).or_default().push(*brand);
            }
        }
        if groups.silhouette >= CLEAR_GROUPS {
            out.groups = by_group.into_values().collect();
        }
        out.silhouette = Some(groups.silhouette);
    }
    Ok(out)
}

fn shown(pair: &study::Pair, brands: &[BrandId]) -> CorrelationPair {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let ahead = |a: study::Ahead| RunsAhead {
        total: a.total,
        lag: count(a.lag),
        p_value: a.p_value,
        q_value: a.q_value,
    };
    CorrelationPair {
        leader: brands[pair.leader],
        follower: brands[pair.follower],
        lag: count(pair.lag),
        correlation: pair.correlation,
        shrunk: pair.shrunk,
        partial: pair.partial,
        p_value: pair.p_value,
        q_value: pair.q_value,
        stability: pair.stability,
        ahead: pair.ahead.map(ahead),
        behind: pair.behind.map(ahead),
        verdict: match pair.link {
            Link::Together => CorrelationVerdict::Together,
            Link::Apart => CorrelationVerdict::Apart,
            Link::NoEvidence => CorrelationVerdict::NoEvidence,
            Link::NotIdentifiable => CorrelationVerdict::NotIdentifiable,
        },
    }
}

/// Series over the same periods, without gaps.
struct Compared {
    from: NaiveDate,
    to: NaiveDate,
    values: Vec<(BrandId, Vec<f64>)>,
}

fn series(
    snapshot: &Snapshot,
    metric: &MetricDefinition,
    left_out: &mut Vec<NotCompared>,
) -> Compared {
    let known = snapshot.series(metric.id);
    let last = |values: &BTreeMap<NaiveDate, f64>| values.keys().next_back().copied();
    let to = known.values().filter_map(last).max().unwrap_or_default();
    let mut values: Vec<(BrandId, Vec<f64>)> = Vec::new();
    for (brand, points) in known {
        let Some((&first, _)) = points.first_key_value() else {
            continue;
        };
        let dense: Vec<f64> = (0..)
            .map(|n| metric.granularity.add(first, n))
            .take_while(|period| *period <= to)
            .map(|period| points.get(&period).copied().unwrap_or(f64::NAN))
            .collect();
        let absent = dense.iter().filter(|v| v.is_nan()).count() as f64;
        let reason = if last(&points) != Some(to) {
            NotComparedReason::Late
        } else if dense.len() < LEAST_PERIODS {
            NotComparedReason::Short
        } else if absent > MOST_ABSENT * dense.len() as f64 {
            NotComparedReason::Gaps
        } else {
            values.push((brand, filled(dense)));
            continue;
        };
        left_out.push(NotCompared { brand, reason });
    }
    let longest = values.iter().map(|(_, v)| v.len()).max().unwrap_or(0);
    let mut leave = |brand: BrandId, reason, keep: bool| {
        if !keep {
            left_out.push(NotCompared { brand, reason });
        }
        keep
    };
    values.retain(|(brand, v)| leave(*brand, NotComparedReason::Short, 2 * v.len() >= longest));
    if values.len() > MOST_BRANDS {
        let size = |v: &[f64]| v.iter().map(|x| x.abs()).sum::<f64>() / v.len() as f64;
        let mut sizes: Vec<(f64, BrandId)> = values.iter().map(|(b, v)| (size(v), *b)).collect();
        // Of brands of one size those that come first: which ones is arbitrary, that they are always the same is not.
        sizes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let largest: BTreeSet<BrandId> = sizes[..MOST_BRANDS].iter().map(|(_, b)| *b).collect();
        values.retain(|(b, _)| leave(*b, NotComparedReason::TooMany, largest.contains(b)));
    }
    let periods = values.iter().map(|(_, v)| v.len()).min().unwrap_or(0);
    for (_, v) in &mut values {
        v.drain(..v.len() - periods);
    }
    let back = (0..periods).len().saturating_sub(1);
    Compared {
        from: earlier(metric.granularity, to, back),
        to,
        values,
    }
}

/// The period `n` before the one that starts at `start`.
fn earlier(granularity: Granularity, start: NaiveDate, n: usize) -> NaiveDate {
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    let back = match granularity {
        Granularity::Day => start.checked_sub_days(chrono::Days::new(u64::from(n))),
        Granularity::Week => start.checked_sub_days(chrono::Days::new(7 * u64::from(n))),
        Granularity::Month => start.checked_sub_months(chrono::Months::new(n)),
        Granularity::Quarter => start.checked_sub_months(chrono::Months::new(3 * n)),
    };
    back.unwrap_or(start)
}

/// Puts straight lines where values are absent between two that are known; the ends are known.
pub(super) fn filled(mut values: Vec<f64>) -> Vec<f64> {
    let mut known = 0;
    for t in 1..values.len() {
        if values[t].is_finite() {
            let width = (t - known) as f64;
            for gap in known + 1..t {
                let share = (gap - known) as f64 / width;
                values[gap] = values[known] * (1.0 - share) + values[t] * share;
            }
            known = t;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use analytics::cancel::never;
    use chrono::Days;
    use domain::{id::ProjectId, series::MetricTable};

    use super::*;
    use crate::view::tests_support::{a_view, brand, metric};

    /// Birch moves with Alder a week later; Cedar sells the same every week; Rival's newest values are missing.
    fn snapshot() -> Snapshot {
        let mut table = MetricTable::default();
        let monday = NaiveDate::from_ymd_opt(2023, 1, 2).expect("a date");
        let unrest = |week: u64| ((week * week * 7919 + week * 104_729) % 101) as f64;
        for week in 0..90u64 {
            let follows = if week > 0 { unrest(week - 1) } else { 50.0 };
            let own = ((week * week * 31 + week * 17) % 11) as f64;
            for (name, value) in [
                ("Alder", 400.0 + unrest(week)),
                ("Birch", 500.0 + follows + own),
                ("Cedar", 300.0),
                ("Rival", 200.0 + unrest(week + 40)),
            ] {
                if name != "Rival" || week < 88 {
                    let project = ProjectId::derive(&["o", "north"]);
                    let period = monday + Days::new(7 * week);
                    table.push(project, brand(name), metric("units_sold"), period, value);
                }
            }
        }
        Snapshot {
            view: a_view(),
            table: Arc::new(table),
            changes: Arc::default(),
            weeks: 90,
        }
    }

    #[test]
    fn a_pair_comes_with_its_lag_and_what_cannot_be_told_is_named() {
        let snapshot = snapshot();
        let made = correlations(&snapshot, &snapshot.view.metrics[0], 7, &never).expect("sound");
        let first = &made.pairs[0];
        assert_eq!(
            (first.leader, first.follower, first.lag),
            (brand("Alder"), brand("Birch"), 1)
        );
        assert_eq!(first.verdict, CorrelationVerdict::Together);
        assert!(
            first.ahead.expect("tested").q_value < 0.01 && first.stability.expect("drawn") > 0.9
        );
        let still: Vec<_> = made
            .pairs
            .iter()
            .filter(|p| p.verdict == CorrelationVerdict::NotIdentifiable)
            .collect();
        assert_eq!(still.len(), 2, "Cedar with either");
        assert_eq!(
            made.left_out,
            [NotCompared {
                brand: brand("Rival"),
                reason: NotComparedReason::Late
            }]
        );
        assert!(!made.market_controlled, "two brands are no market");
        assert_eq!(made.provenance.slice.digest, "d1");
    }

    #[test]
    fn of_many_brands_of_one_size_only_so_many_are_compared() {
        let mut snapshot = snapshot();
        let metric = snapshot.view.metrics[0].clone();
        let mut table = MetricTable::default();
        let monday = NaiveDate::from_ymd_opt(2023, 1, 2).expect("a date");
        let mut brands: Vec<BrandId> = (0..MOST_BRANDS + 20)
            .map(|n| brand(&format!("b{n}")))
            .collect();
        for id in &brands {
            for week in 0..60 {
                let (project, period) = (
                    ProjectId::derive(&["o", "north"]),
                    monday + Days::new(7 * week),
                );
                table.push(project, *id, metric.id, period, 5.0);
            }
        }
        snapshot.table = Arc::new(table);
        let mut left_out = Vec::new();
        let compared = series(&snapshot, &metric, &mut left_out);
        brands.sort();
        let kept: Vec<BrandId> = compared.values.iter().map(|(brand, _)| *brand).collect();
        assert_eq!(kept, brands[..MOST_BRANDS]);
        assert_eq!(left_out.len(), 20);
        assert!(
            left_out
                .iter()
                .all(|one| one.reason == NotComparedReason::TooMany)
        );
    }

    #[test]
    fn without_two_series_nothing_is_claimed() {
        let snapshot = snapshot();
        let reviews = &snapshot.view.metrics[2];
        let made = correlations(&snapshot, reviews, 7, &never).expect("sound");
        assert_eq!((made.pairs.len(), made.from), (0, None));
    }
}
