//! The brand score: the product's own rule, and two sound alternatives.
//!
//! The product's rule compares each metric with a benchmark, the 75th percentile of the brands (25th where lower is
//! better): 90 points for meeting it, fewer in proportion below it, 100 for the best brand. The score is the weighted mean.
//! The alternatives stretch a metric over its range, or place it in the normal distribution by median and median absolute
//! deviation.
//!
//! Three defects of the original are options here and off by default: absent values counted as zero
//! ([`Absent::Zero`]), points floored to tens, and brands that move their own benchmark. The best value is taken per metric
//! (the original took it over the whole table).
//!
//! [`scalers`] freezes what values are measured by, [`change`](mod@change) takes a change of a score apart, [`robustness`] says how much of a
//! ranking is the weights' doing.

pub mod change;
mod frame;
mod normalise;
pub mod robustness;
pub mod scalers;

use domain::{
    metric::{Direction, Section},
    score::{Band, SectionScore},
};
use serde::{Deserialize, Serialize};

use crate::cancel::{Cancel, Cancelled};

pub use frame::{MetricSpec, ScoreFrameError, score_frame};

/// How a value becomes points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The product's rule: 90 · value ÷ benchmark, 100 for the best.
    #[default]
    Product,
    /// The product's rule with points floored to tens, as the original shows them.
    ProductFloored,
    /// 0 for the worst brand, 100 for the best, in proportion between.
    MinMax,
    /// 100 · Φ((value − median) ÷ (1.4826 · median absolute deviation)).
    RobustZ,
}

impl Method {
    /// The stable name, as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "score.product",
            Self::ProductFloored => "score.product_floored",
            Self::MinMax => "score.min_max",
            Self::RobustZ => "score.robust_z",
        }
    }
}

/// What a brand's absent value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// It is not scored; the score's coverage is smaller.
    #[default]
    Excluded,
    /// It is worth 0 points, as in the original.
    Zero,
}

/// How to score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// How a value becomes points.
    pub method: Method,
    /// What an absent value means.
    pub absent: Absent,
    /// Whether a brand's own value is left out of the benchmark it is measured by.
    pub leave_one_out: bool,
}

/// One metric over all brands.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricColumn {
    /// Its key: frozen scalers know it by this, and errors name it.
    pub key: String,
    /// Whether more is better.
    pub direction: Direction,
    /// Section of the score.
    pub section: Section,
    /// Weight, finite and at least 0; 0 leaves it out.
    pub weight: f64,
    /// One value per brand; NaN and infinities = absent.
    pub values: Vec<f64>,
}

/// One metric's part in a brand's score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The brand's value.
    pub value: Option<f64>,
    /// What it was measured by.
    pub benchmark: Option<f64>,
    /// Points, 0 to 100; none where the value is absent or the metric cannot be scored.
    pub normalised: Option<f64>,
    /// Exact Shapley contribution to the difference between the brand's score and `base`.
    pub contribution: Option<f64>,
}

/// A brand's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrandScore {
    /// 0 to 100; none when nothing could be scored.
    pub value: Option<f64>,
    /// Its band.
    pub band: Option<Band>,
    /// Share of weight that was scored, 0 to 1.
    pub coverage: f64,
    /// The score of a brand with the mean points in every metric this brand has: `base` + Σ contributions = `value`.
    pub base: Option<f64>,
    /// By section, in the sections' order, those that have a metric.
    pub sections: Vec<SectionScore>,
    /// By metric, in the order given.
    pub lines: Vec<Line>,
}

/// Why brands cannot be scored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A weight is negative, infinite or no number.
    #[error("the weight of metric {metric:?} is not a number from 0; correct its definition")]
    Weight {
        /// The metric's key.
        metric: String,
    },
    /// A metric's points are infinite or no number: what it is measured by is out of any range.
    #[error(
        "the points of metric {metric:?} are no numbers; correct its values or what they are measured by"
    )]
    Points {
        /// The metric's key.
        metric: String,
    },
}

/// Scores every brand. All columns must have the same number of values, one per brand.
///
/// # Errors
/// [`ScoreError`].
pub fn score(
    metrics: &[MetricColumn],
    options: &Options,
    cancel: &dyn Cancel,
) -> Result<Vec<BrandScore>, ScoreError> {
    let points = metrics
        .iter()
        .map(|m| normalise::column(m, options, cancel))
        .collect::<Result<Vec<_>, _>>()?;
    scored(metrics, &points, cancel)
}

/// Scores every brand from its points.
fn scored(
    metrics: &[MetricColumn],
    points: &[Vec<normalise::Points>],
    cancel: &dyn Cancel,
) -> Result<Vec<BrandScore>, ScoreError> {
    for (metric, column) in metrics.iter().zip(points) {
        if !(metric.weight.is_finite() && metric.weight >= 0.0) {
            return Err(ScoreError::Weight {
                metric: metric.key.clone(),
            });
        }
        let are_numbers = column
            .iter()
            .all(|p| p.normalised.is_none_or(f64::is_finite));
        if !are_numbers {
            return Err(ScoreError::Points {
                metric: metric.key.clone(),
            });
        }
    }
    let unit = unit_of_weights(metrics.iter().map(|m| m.weight));
    let weights: Vec<f64> = metrics.iter().map(|m| m.weight * unit).collect();
    let brands = metrics.first().map_or(0, |m| m.values.len());
    let means: Vec<Option<f64>> = points
        .iter()
        .map(|column| {
            let known: Vec<f64> = column.iter().filter_map(|p| p.normalised).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
        .collect();
    (0..brands)
        .map(|brand| {
            cancel.check()?;
            Ok(brand_score(metrics, &weights, points, &means, brand))
        })
        .collect()
}

/// The power of two that brings the largest weight near 1. Scores and shares are ratios of sums of weights, so it changes none of
/// them and rounds nothing; the sums of the largest weights stay finite.
fn unit_of_weights(weights: impl IntoIterator<Item = f64>) -> f64 {
    let largest = weights.into_iter().fold(0.0, f64::max);
    2f64.powi((-largest.log2()).clamp(-1000.0, 1000.0) as i32)
}

fn brand_score(
    metrics: &[MetricColumn],
    weights: &[f64],
    points: &[Vec<normalise::Points>],
    means: &[Option<f64>],
    brand: usize,
) -> BrandScore {
    let weighted = |section: Option<Section>| {
        let (mut sum, mut known) = (0.0, 0.0);
        for ((metric, weight), column) in metrics.iter().zip(weights).zip(points) {
            if *weight > 0.0
                && section.is_none_or(|s| s == metric.section)
                && let Some(normalised) = column[brand].normalised
            {
                sum += weight * normalised;
                known += weight;
            }
        }
        (sum, known)
    };
    let (sum, known) = weighted(None);
    let total: f64 = weights.iter().sum();
    let value = (known > 0.0).then(|| sum / known);
    let contributions: Vec<Option<f64>> = weights
        .iter()
        .zip(points)
        .zip(means)
        .map(|((weight, column), mean)| {
            let (normalised, mean) = (column[brand].normalised?, (*mean)?);
            (known > 0.0).then(|| weight * (normalised - mean) / known)
        })
        .collect();
    let mut sections: Vec<Section> = metrics.iter().map(|m| m.section).collect();
    sections.sort();
    sections.dedup();
    BrandScore {
        value,
        band: value.map(Band::of),
        coverage: if total > 0.0 { known / total } else { 0.0 },
        base: value.map(|v| v - contributions.iter().flatten().sum::<f64>()),
        sections: sections
            .into_iter()
            .map(|section| {
                let (sum, weights) = weighted(Some(section));
                SectionScore {
                    section,
                    value: (weights > 0.0).then(|| sum / weights),
                }
            })
            .collect(),
        lines: points
            .iter()
            .zip(contributions)
            .map(|(column, contribution)| {
                let normalise::Points {
                    value,
                    benchmark,
                    normalised,
                } = column[brand];
                Line {
                    value,
                    benchmark,
                    normalised,
                    contribution,
                }
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::never;
    use serde_json::Value;

    fn score(metrics: &[MetricColumn], options: &Options) -> Vec<BrandScore> {
        super::score(metrics, options, &never).expect("weights and points are numbers")
    }

    const BRANDS: [&str; 4] = ["A", "B", "C", "D"];

    fn fixture() -> (Value, Vec<(String, MetricColumn)>) {
        let text = include_str!("../testdata/score_rule.json");
        let fixture = serde_json::from_str::<Value>(text).expect("json")["score_rule"].clone();
        let direct: Vec<&str> = fixture["direct"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let metrics = fixture["weights"]
            .as_object()
            .expect("a map")
            .iter()
            .map(|(key, weight)| {
                let values = BRANDS
                    .iter()
                    .map(|b| fixture["values"][b][key].as_f64().expect("a number"))
                    .collect();
                let direction = if direct.contains(&key.as_str()) {
                    Direction::Direct
                } else {
                    Direction::Indirect
                };
                let weight = weight.as_f64().expect("a number");
                (
                    key.clone(),
                    MetricColumn {
                        key: key.clone(),
                        direction,
                        section: Section::Marketplace,
                        weight,
                        values,
                    },
                )
            });
        let metrics = metrics.collect();
        (fixture, metrics)
    }

    fn columns(metrics: &[(String, MetricColumn)]) -> Vec<MetricColumn> {
        metrics.iter().map(|(_, m)| m.clone()).collect()
    }

    fn column(direction: Direction, values: &[f64]) -> MetricColumn {
        MetricColumn {
            key: "m".into(),
            direction,
            section: Section::Marketplace,
            weight: 10.0,
            values: values.to_vec(),
        }
    }

    fn points(direction: Direction, values: &[f64], options: &Options) -> Vec<Option<f64>> {
        score(&[column(direction, values)], options)
            .iter()
            .map(|b| b.lines[0].normalised)
            .collect()
    }

    #[test]
    fn the_product_rule_gives_the_published_scores() {
        let (fixture, metrics) = fixture();
        let scores = score(&columns(&metrics), &Options::default());
        for (brand, name) in BRANDS.iter().enumerate() {
            let expected = fixture["score_unfloored"][name].as_f64().expect("a number");
            assert!(
                (scores[brand].value.expect("scored") - expected).abs() < 1e-5,
                "{name}"
            );
            for (line, (key, _)) in scores[brand].lines.iter().zip(&metrics) {
                let expected = fixture["normalised"][name][key].as_f64().expect("a number");
                assert!(
                    (line.normalised.expect("scored") - expected).abs() < 1e-5,
                    "{name} {key}"
                );
                let expected = fixture["benchmarks"][key].as_f64().expect("a number");
                assert!(
                    (line.benchmark.expect("scored") - expected).abs() < 1e-9,
                    "{name} {key}"
                );
            }
        }
    }

    #[test]
    fn flooring_to_tens_gives_the_scores_of_the_original() {
        let (fixture, metrics) = fixture();
        let options = Options {
            method: Method::ProductFloored,
            ..Options::default()
        };
        for (brand, score) in BRANDS.iter().zip(score(&columns(&metrics), &options)) {
            let expected = fixture["score_floored_to_tens"][brand]
                .as_f64()
                .expect("a number");
            assert_eq!(score.value, Some(expected), "{brand}");
        }
    }

    #[test]
    fn contributions_are_the_exact_shapley_values() {
        let text = include_str!("../testdata/score_shapley.json");
        let fixture = serde_json::from_str::<Value>(text).expect("json")["weighted_score"].clone();
        let list = |key: &str| -> Vec<f64> {
            fixture[key]
                .as_array()
                .expect("a list")
                .iter()
                .map(|v| v.as_f64().expect("a number"))
                .collect()
        };
        let (weights, brand, mean) = (list("weights"), list("normalised"), list("background_mean"));
        let metrics: Vec<MetricColumn> = weights
            .iter()
            .map(|w| MetricColumn {
                weight: *w,
                ..column(Direction::Direct, &[1.0, 1.0])
            })
            .collect();
        // The other brand's points are such that the mean of both is the background's.
        let points: Vec<Vec<normalise::Points>> = brand
            .iter()
            .zip(&mean)
            .map(|(own, mean)| {
                let of = |n| normalise::Points {
                    value: Some(1.0),
                    benchmark: Some(1.0),
                    normalised: Some(n),
                };
                vec![of(*own), of(2.0 * mean - own)]
            })
            .collect();
        let means: Vec<Option<f64>> = mean.iter().copied().map(Some).collect();
        let score = brand_score(&metrics, &weights, &points, &means, 0);
        for (line, expected) in score.lines.iter().zip(list("phi_closed_form")) {
            assert!((line.contribution.expect("scored") - expected).abs() < 1e-9);
        }
        assert!(
            (score.value.expect("scored") - fixture["score"].as_f64().expect("a number")).abs()
                < 1e-9
        );
        assert!(
            (score.base.expect("scored") - fixture["base"].as_f64().expect("a number")).abs()
                < 1e-9
        );
    }

    #[test]
    fn contributions_add_up_to_the_difference_from_the_base() {
        let (_, metrics) = fixture();
        for method in [
            Method::Product,
            Method::ProductFloored,
            Method::MinMax,
            Method::RobustZ,
        ] {
            for brand in score(
                &columns(&metrics),
                &Options {
                    method,
                    ..Options::default()
                },
            ) {
                let sum: f64 = brand.lines.iter().filter_map(|l| l.contribution).sum();
                assert!(
                    (brand.base.expect("base") + sum - brand.value.expect("value")).abs() < 1e-9
                );
                assert!((0.0..=100.0).contains(&brand.value.expect("value")));
            }
        }
    }

    #[test]
    fn brands_that_tie_at_the_best_all_get_a_hundred() {
        let options = Options::default();
        assert_eq!(
            points(Direction::Direct, &[5.0, 5.0, 1.0], &options)[..2],
            [Some(100.0), Some(100.0)]
        );
        assert_eq!(
            points(Direction::Indirect, &[2.0, 2.0, 8.0], &options)[..2],
            [Some(100.0), Some(100.0)]
        );
        assert_eq!(
            points(Direction::Direct, &[3.0; 4], &options),
            vec![Some(100.0); 4]
        );
    }

    #[test]
    fn a_benchmark_that_is_not_positive_cannot_score() {
        assert_eq!(
            points(Direction::Direct, &[-1.0, -2.0, 0.0], &Options::default()),
            vec![None; 3]
        );
        let brand = &score(
            &[column(Direction::Direct, &[0.0, 0.0])],
            &Options::default(),
        )[0];
        assert_eq!((brand.value, brand.band, brand.coverage), (None, None, 0.0));
    }

    #[test]
    fn points_are_clamped_between_zero_and_a_hundred() {
        let got = points(
            Direction::Direct,
            &[-50.0, 10.0, 10.0, 12.0],
            &Options::default(),
        );
        assert_eq!(got[0], Some(0.0));
        assert!(got.iter().flatten().all(|p| (0.0..=100.0).contains(p)));
    }

    #[test]
    fn an_absent_value_lowers_coverage_and_not_the_score() {
        let metrics = [
            column(Direction::Direct, &[10.0, 5.0]),
            column(Direction::Direct, &[f64::NAN, 5.0]),
        ];
        let scores = score(&metrics, &Options::default());
        assert_eq!((scores[0].value, scores[0].coverage), (Some(100.0), 0.5));
        let zero = score(
            &metrics,
            &Options {
                absent: Absent::Zero,
                ..Options::default()
            },
        );
        assert_eq!((zero[0].value, zero[0].coverage), (Some(50.0), 1.0));
    }

    #[test]
    fn leaving_a_brand_out_of_its_own_benchmark_changes_the_benchmark() {
        let metrics = [column(Direction::Direct, &[10.0, 2.0, 3.0, 4.0])];
        let with = score(&metrics, &Options::default());
        let without = score(
            &metrics,
            &Options {
                leave_one_out: true,
                ..Options::default()
            },
        );
        assert_eq!(with[0].lines[0].benchmark, Some(5.5));
        assert_eq!(without[0].lines[0].benchmark, Some(3.5));
        assert_eq!(
            score(
                &[column(Direction::Direct, &[1.0])],
                &Options {
                    leave_one_out: true,
                    ..Options::default()
                }
            )[0]
            .value,
            None
        );
    }

    #[test]
    fn a_weight_of_zero_leaves_a_metric_out() {
        let mut idle = column(Direction::Direct, &[1.0, 100.0]);
        idle.weight = 0.0;
        let scores = score(
            &[column(Direction::Direct, &[10.0, 5.0]), idle],
            &Options::default(),
        );
        assert_eq!(scores[0].value, Some(100.0));
        assert_eq!(scores[0].coverage, 1.0);
    }

    #[test]
    fn the_alternatives_order_brands_and_refuse_a_metric_without_spread() {
        for method in [Method::MinMax, Method::RobustZ] {
            let options = Options {
                method,
                ..Options::default()
            };
            let up = points(Direction::Direct, &[1.0, 2.0, 9.0], &options);
            assert!(up[0] < up[1] && up[1] < up[2], "{up:?}");
            let down = points(Direction::Indirect, &[1.0, 2.0, 9.0], &options);
            assert!(down[0] > down[1] && down[1] > down[2], "{down:?}");
            assert_eq!(
                points(Direction::Direct, &[4.0; 3], &options),
                vec![None; 3]
            );
        }
    }

    #[test]
    fn sections_are_scored_apart() {
        let mut social = column(Direction::Direct, &[1.0, 4.0]);
        social.section = Section::Socialwatch;
        let scores = score(
            &[column(Direction::Direct, &[10.0, 5.0]), social],
            &Options::default(),
        );
        let sections: Vec<Section> = scores[0].sections.iter().map(|s| s.section).collect();
        assert_eq!(sections, [Section::Marketplace, Section::Socialwatch]);
        assert_eq!(scores[0].sections[0].value, Some(100.0));
        assert!(scores[0].sections[1].value < Some(50.0));
    }

    #[test]
    fn scores_do_not_depend_on_the_unit_of_the_weights() {
        let (_, metrics) = fixture();
        let plain = score(&columns(&metrics), &Options::default());
        // The largest power of two by which the weights can still be written: their sum no longer can.
        for factor in [2f64.powi(1018), 2f64.powi(-1000)] {
            let mut scaled = columns(&metrics);
            scaled.iter_mut().for_each(|m| m.weight *= factor);
            assert_eq!(score(&scaled, &Options::default()), plain, "{factor}");
        }
    }

    #[test]
    fn of_values_as_large_as_numbers_go_the_best_is_the_best() {
        let values = [1e308, -1e308, 0.0];
        let options = Options {
            method: Method::MinMax,
            ..Options::default()
        };
        assert_eq!(
            points(Direction::Direct, &values, &options),
            [Some(100.0), Some(0.0), Some(50.0)]
        );
        assert_eq!(
            points(Direction::Direct, &values, &Options::default()),
            [Some(100.0), Some(0.0), Some(0.0)]
        );
        let half = points(Direction::Direct, &[1.7e308, 0.85e308], &Options::default());
        // The benchmark is seven eighths of the best value.
        assert!((half[1].expect("scored") - 90.0 * 0.5 / 0.875).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_number_is_refused_by_the_name_of_its_metric() {
        for weight in [f64::NAN, f64::INFINITY, -1.0] {
            let refused = super::score(
                &[MetricColumn {
                    weight,
                    ..column(Direction::Direct, &[1.0, 2.0])
                }],
                &Options::default(),
                &never,
            );
            assert_eq!(refused, Err(ScoreError::Weight { metric: "m".into() }));
        }
        let points = vec![normalise::Points {
            value: Some(1.0),
            benchmark: Some(1.0),
            normalised: Some(f64::NAN),
        }];
        assert_eq!(
            scored(&[column(Direction::Direct, &[1.0])], &[points], &never),
            Err(ScoreError::Points { metric: "m".into() })
        );
    }

    #[test]
    fn scoring_many_brands_asks_often_whether_to_stop() {
        let values: Vec<f64> = (0..10_000u32)
            .map(|b| f64::from(b * 7_919 % 10_007))
            .collect();
        let metrics = [column(Direction::Direct, &values)];
        for leave_one_out in [false, true] {
            let options = Options {
                leave_one_out,
                ..Options::default()
            };
            // Stopped in the middle of the brands.
            let asked = std::cell::Cell::new(0);
            let cancel = || {
                asked.set(asked.get() + 1);
                asked.get() > 5_000
            };
            assert_eq!(
                super::score(&metrics, &options, &cancel),
                Err(ScoreError::Cancelled(Cancelled))
            );
        }
    }
}
