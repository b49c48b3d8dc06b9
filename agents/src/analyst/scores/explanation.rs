//! Why a score is what it is: what changed it, how much of its rank is the weights' doing, and what would swap two brands.

use analytics::{
    cancel::Cancel,
    score::{
        MetricColumn, Options,
        change::{ChangeError, change},
        robustness::{DrawParams, NoSwap, ranks, smallest_swap},
        score,
    },
};
use chrono::{Days, NaiveDate};
use domain::{
    id::{BrandId, MetricId, ProjectId},
    metric::MetricDefinition,
    provenance::Provenance,
};
use serde::Serialize;
use serde_json::json;

use super::{
    super::{provenance, quality::Quality, runs},
    LEVEL_WEEKS, columns_at,
};
use crate::{Error, observe::Snapshot};

/// Which score is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    pub(crate) brand: BrandId,
    /// `None` for the whole portfolio.
    pub(crate) project: Option<ProjectId>,
    /// Scores back, four weeks each, that the change is taken from; at least 1.
    pub(crate) back: u32,
    /// The brand to swap with; `None` takes the next one ahead, or behind where the brand leads.
    pub(crate) against: Option<BrandId>,
}

/// Why a score is what it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreExplanation {
    /// The brand.
    pub brand: BrandId,
    /// Project; `None` for the whole portfolio.
    pub project: Option<ProjectId>,
    /// Period of the score.
    pub period: NaiveDate,
    /// Period of the score before.
    pub since: NaiveDate,
    /// The score; `None` when nothing was scorable.
    pub score: Option<f64>,
    /// The score before.
    pub before: Option<f64>,
    /// Every metric's exact part in the change, in points, the largest first; they add up to it.
    pub changes: Vec<MetricChange>,
    /// Why the change is not taken apart, where it is not.
    pub unexplained: Option<UnexplainedChange>,
    /// 1 is the best brand by the given weights; equal scores share a rank.
    pub rank: Option<u32>,
    /// Share of drawn weightings by rank: the first is how often the brand was best.
    pub rank_shares: Vec<f64>,
    /// Best rank that at least one drawn weighting in forty reaches.
    pub best_rank: Option<u32>,
    /// Worst rank that at least one drawn weighting in forty reaches.
    pub worst_rank: Option<u32>,
    /// What it takes to draw level with another brand.
    pub swap: Option<ScoreSwap>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// One metric's part in the change of a score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MetricChange {
    /// The metric.
    pub metric: MetricId,
    /// Points of the score; exact Shapley value.
    pub points: f64,
}

/// Why a change is not taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnexplainedChange {
    /// There is no score now or before.
    NotScored,
    /// More than twenty metrics changed their weight, appeared or vanished.
    TooMany,
}

/// What it takes for two brands to change places.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreSwap {
    /// The other brand.
    pub against: BrandId,
    /// The smallest moves of weight after which the one behind is level, in the order in which they count.
    pub shifts: Vec<WeightShift>,
    /// Weight moved in all, as a share of all weight; `None` where no move does it.
    pub share: Option<f64>,
    /// Why no move of weight does it.
    pub impossible: Option<SwapImpossible>,
}

/// A move of weight from one metric to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WeightShift {
    /// Metric that loses weight.
    pub from: MetricId,
    /// Metric that gains it.
    pub to: MetricId,
    /// How much, in the weights' unit.
    pub weight: f64,
}

/// Why no move of weight swaps two brands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SwapImpossible {
    /// One of them has no score.
    NotScored,
    /// They are scored on different metrics.
    OtherMetrics,
    /// The one ahead is ahead, or level, on every metric with weight.
    Dominated,
    /// They are level already.
    Level,
}

/// Explains a brand's newest score.
///
/// # Errors
/// `score.unknown` when the brand, or the one to swap with, has no score; when the caller asked to stop.
pub(crate) fn explain(
    snapshot: &Snapshot,
    quality: &Quality,
    question: &Question,
    seed: u64,
    cancel: &dyn Cancel,
) -> Result<ScoreExplanation, Error> {
    let period = snapshot.view.data_until.ok_or_else(unknown)?;
    let since = period - Days::new(7 * LEVEL_WEEKS * u64::from(question.back));
    let metrics: Vec<&MetricDefinition> = snapshot
        .view
        .metrics
        .iter()
        .filter(|m| m.weight > 0.0)
        .collect();
    let series = runs::series(&snapshot.table);
    let at = |period| {
        columns_at(
            snapshot,
            quality,
            &series,
            &metrics,
            question.project,
            period,
        )
    };
    let (brands, columns) = at(period);
    let find = |id: BrandId| brands.iter().position(|b| b.id == id);
    let place = find(question.brand).ok_or_else(unknown)?;
    let options = Options::default();
    let scored = |columns: &[MetricColumn]| {
        score(columns, &options, cancel).map_err(|error| Error::Analysis(error.to_string()))
    };
    let scores = scored(&columns)?;
    let (old_brands, old_columns) = at(since);
    let old_scores = scored(&old_columns)?;
    let old = old_brands.iter().position(|b| b.id == question.brand);
    let explained = old.map_or(Err(ChangeError::NotScored), |old| {
        let before = (old_columns.as_slice(), &old_scores[old]);
        change(before, (&columns, &scores[place]), cancel)
    });
    if let Err(ChangeError::Cancelled(stopped)) = explained {
        return Err(Error::Analysis(stopped.to_string()));
    }
    let draws = DrawParams {
        seed,
        ..DrawParams::default()
    };
    let mut standing = ranks(&columns, &scores, &draws, cancel)
        .map_err(|stopped| Error::Analysis(stopped.to_string()))?;
    let standing = standing.swap_remove(place);
    let other = match question.against {
        Some(id) => Some(find(id).ok_or_else(unknown)?),
        None => neighbour(&scores.iter().map(|s| s.value).collect::<Vec<_>>(), place),
    };
    let swap = other.map(|other| {
        let found = smallest_swap(&columns, &scores, other, place);
        let shifts = found.iter().flat_map(|swap| &swap.shifts);
        ScoreSwap {
            against: brands[other].id,
            shifts: shifts
                .map(|shift| WeightShift {
                    from: metrics[shift.from].id,
                    to: metrics[shift.to].id,
                    weight: shift.weight,
                })
                .collect(),
            share: found.as_ref().ok().map(|swap| swap.share),
            impossible: found.err().map(|why| match why {
                NoSwap::NotScored => SwapImpossible::NotScored,
                NoSwap::OtherMetrics => SwapImpossible::OtherMetrics,
                NoSwap::Dominated => SwapImpossible::Dominated,
                NoSwap::Level => SwapImpossible::Level,
            }),
        }
    });
    let parts = explained.iter().flat_map(|made| &made.contributions);
    let mut changes: Vec<MetricChange> = metrics
        .iter()
        .zip(parts)
        .filter(|(_, points)| **points != 0.0)
        .map(|(metric, points)| MetricChange {
            metric: metric.id,
            points: *points,
        })
        .collect();
    changes.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()));
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(ScoreExplanation {
        brand: question.brand,
        project: question.project,
        period,
        since,
        score: scores[place].value,
        before: old.and_then(|old| old_scores[old].value),
        changes,
        unexplained: explained.err().map(|why| match why {
            ChangeError::TooMany { .. } => UnexplainedChange::TooMany,
            // The metrics of both are the same by construction, and a stop has been passed on.
            ChangeError::NotScored
            | ChangeError::OtherMetrics { .. }
            | ChangeError::Cancelled(_) => UnexplainedChange::NotScored,
        }),
        rank: standing.rank.map(count),
        rank_shares: (1..=brands.len()).map(|r| standing.share(r)).collect(),
        best_rank: standing.best.map(count),
        worst_rank: standing.worst.map(count),
        swap,
        provenance: provenance(
            snapshot,
            "score.explanation",
            json!({
                "rule": options.method.name(),
                "weeks": LEVEL_WEEKS,
                "since": since,
                "project": question.project,
                "draws": draws.draws,
                "concentration": draws.concentration,
            }),
            seed,
        ),
    })
}

fn unknown() -> Error {
    let error = domain::Error::not_found(
        "score.unknown",
        "there is no score for this brand in this project",
    );
    error
        .advise("list the scores and take a brand and project from there")
        .into()
}

/// The next brand ahead, or behind the best one.
fn neighbour(scores: &[Option<f64>], place: usize) -> Option<usize> {
    let own = scores[place]?;
    let others = || {
        (0..scores.len())
            .filter(|i| *i != place)
            .filter_map(|i| Some((i, scores[i]?)))
    };
    let ahead = others()
        .filter(|(_, s)| *s >= own)
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let behind = others()
        .filter(|(_, s)| *s < own)
        .max_by(|a, b| a.1.total_cmp(&b.1));
    ahead.or(behind).map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use analytics::cancel::never;
    use domain::{Classify, series::MetricTable};

    use super::*;
    use crate::view::tests_support::{a_view, brand, day, metric};

    /// Alder leads in units, Birch in reviews; Alder's reviews rise in the last four weeks.
    fn snapshot() -> Snapshot {
        let mut table = MetricTable::default();
        let monday = day() - Days::new(6 + 7 * 11);
        // Ordered by brand, metric and period, as the storage returns them.
        for (name, units, reviews) in [
            ("Alder", 100.0, 2.0),
            ("Birch", 80.0, 4.0),
            ("Cedar", 40.0, 1.0),
        ] {
            for (key, value) in [("units_sold", units), ("reviews", reviews)] {
                for week in 0..12u64 {
                    let rise = if name == "Alder" && key == "reviews" && week >= 8 {
                        1.0
                    } else {
                        0.0
                    };
                    let project = ProjectId::derive(&["o", "north"]);
                    table.push(
                        project,
                        brand(name),
                        metric(key),
                        monday + Days::new(7 * week),
                        value + rise,
                    );
                }
            }
        }
        Snapshot {
            view: a_view(),
            table: Arc::new(table),
            changes: Arc::default(),
            weeks: 12,
        }
    }

    fn sound() -> Quality {
        Quality::new(Vec::new())
    }

    fn ask(name: &str) -> Question {
        Question {
            brand: brand(name),
            project: None,
            back: 1,
            against: None,
        }
    }

    #[test]
    fn the_parts_of_the_change_add_up_and_name_the_metric_that_rose() {
        let made = explain(&snapshot(), &sound(), &ask("Alder"), 7, &never).expect("scored");
        let change = made.score.expect("scored") - made.before.expect("scored");
        let parts: f64 = made.changes.iter().map(|c| c.points).sum();
        assert!((parts - change).abs() < 1e-9 && change > 1.0, "{made:#?}");
        assert_eq!(made.changes[0].metric, metric("reviews"));
        assert_eq!(made.unexplained, None);
    }

    #[test]
    fn ranks_are_shares_of_draws_and_the_swap_says_which_weight_moves() {
        let made = explain(&snapshot(), &sound(), &ask("Birch"), 7, &never).expect("scored");
        assert!((made.rank_shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let swap = made.swap.expect("two others");
        assert_eq!((swap.against, swap.impossible), (brand("Alder"), None));
        assert!(swap.share.expect("possible") > 0.0 && !swap.shifts.is_empty());
        let last = explain(&snapshot(), &sound(), &ask("Cedar"), 7, &never).expect("scored");
        assert_eq!(last.rank, Some(3));
        assert_eq!(
            last.swap.expect("others").impossible,
            Some(SwapImpossible::Dominated)
        );
    }

    #[test]
    fn a_brand_without_a_score_is_refused_with_a_code() {
        let refused =
            explain(&snapshot(), &sound(), &ask("Rival"), 7, &never).expect_err("no values");
        assert_eq!(refused.code(), "score.unknown");
        let unknown = Question {
            against: Some(brand("Rival")),
            ..ask("Alder")
        };
        assert_eq!(
            explain(&snapshot(), &sound(), &unknown, 7, &never)
                .expect_err("no values")
                .code(),
            "score.unknown"
        );
        let long_ago = Question {
            back: 12,
            ..ask("Alder")
        };
        let made = explain(&snapshot(), &sound(), &long_ago, 7, &never).expect("scored now");
        assert_eq!(
            (made.before, made.unexplained),
            (None, Some(UnexplainedChange::NotScored))
        );
    }
}
