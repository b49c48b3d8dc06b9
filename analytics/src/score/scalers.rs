//! Frozen scalers: scores that can be compared over time, because what they are measured by stays put.
//!
//! A score moves for two reasons, the brand's values and the peers'. With scalers frozen at one moment only the first is left.
//! They carry a version of their content, which is stored with every score made by them.

use domain::metric::Direction;
use serde::{Deserialize, Serialize};

pub use super::normalise::Scaler;
use super::{Absent, BrandScore, Method, MetricColumn, Options, ScoreError, normalise, scored};
use crate::cancel::Cancel;

/// What one metric's values were measured by when they were frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenMetric {
    /// The metric's key.
    pub key: String,
    /// Whether more was better.
    pub direction: Direction,
    /// What its values are measured by.
    pub scaler: Scaler,
}

/// The scalers of all metrics of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scalers {
    /// Sixteen hexadecimal digits that change when anything here does (FNV-1a over the content; it is a name, not a seal).
    pub version: String,
    /// How a value becomes points.
    pub method: Method,
    /// What an absent value means.
    pub absent: Absent,
    /// By metric, in the order they were frozen.
    pub metrics: Vec<FrozenMetric>,
}

/// Why scalers cannot be frozen, or frozen ones cannot score.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScalerError {
    /// There are more or fewer metrics than were frozen.
    #[error("{frozen} metrics were frozen, and there are {got}")]
    OtherCount {
        /// Number of metrics frozen.
        frozen: usize,
        /// Number given.
        got: usize,
    },
    /// A metric is another than the one that was frozen in its place.
    #[error("metric {place} was {frozen:?} when it was frozen, and is {got:?}")]
    OtherMetric {
        /// Its place, counted from 1.
        place: usize,
        /// Key of the metric frozen.
        frozen: String,
        /// Key of the metric given.
        got: String,
    },
    /// A metric turned round since.
    #[error("metric {metric:?} had the other direction when it was frozen")]
    OtherDirection {
        /// Its key.
        metric: String,
    },
    /// A metric's values lie further apart than numbers reach, so that their spread cannot be written down.
    #[error(
        "the values of metric {metric:?} lie too far apart to be frozen; correct them or give them in a larger unit"
    )]
    TooFarApart {
        /// Its key.
        metric: String,
    },
    /// The brands cannot be scored.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The content does not have the version it claims.
    #[error("the scalers were changed: they claim version {claimed} and have {actual}")]
    Changed {
        /// The version they claim.
        claimed: String,
        /// The version of what they hold.
        actual: String,
    },
}

impl Scalers {
    /// Freezes what these metrics' values are measured by now. A brand's own value stays in the benchmark, whatever
    /// `options.leave_one_out` says: frozen, there is one benchmark for all.
    ///
    /// # Errors
    /// [`ScalerError::TooFarApart`]; [`ScoreError::Cancelled`] when the caller asked to stop.
    pub fn freeze(
        metrics: &[MetricColumn],
        options: &Options,
        cancel: &dyn Cancel,
    ) -> Result<Self, ScalerError> {
        let metrics = metrics
            .iter()
            .map(|m| {
                cancel.check().map_err(ScoreError::from)?;
                let scaler = normalise::scaler(&m.values, m.direction);
                if scaler.scale.is_some_and(f64::is_infinite) {
                    return Err(ScalerError::TooFarApart {
                        metric: m.key.clone(),
                    });
                }
                Ok(FrozenMetric {
                    key: m.key.clone(),
                    direction: m.direction,
                    scaler,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut scalers = Self {
            version: String::new(),
            method: options.method,
            absent: options.absent,
            metrics,
        };
        scalers.version = scalers.content();
        Ok(scalers)
    }

    /// Scores brands by the frozen scalers; the metrics must be those that were frozen, in the same order. A value better than the best
    /// one frozen gets 100 points, as that one did; a metric that could not be scored then is not scored now.
    ///
    /// # Errors
    /// [`ScalerError`] when the metrics are others, the scalers were changed or the brands cannot be scored.
    pub fn score(
        &self,
        metrics: &[MetricColumn],
        cancel: &dyn Cancel,
    ) -> Result<Vec<BrandScore>, ScalerError> {
        if metrics.len() != self.metrics.len() {
            return Err(ScalerError::OtherCount {
                frozen: self.metrics.len(),
                got: metrics.len(),
            });
        }
        for (at, (metric, frozen)) in metrics.iter().zip(&self.metrics).enumerate() {
            if metric.key != frozen.key {
                return Err(ScalerError::OtherMetric {
                    place: at + 1,
                    frozen: frozen.key.clone(),
                    got: metric.key.clone(),
                });
            }
            if metric.direction != frozen.direction {
                return Err(ScalerError::OtherDirection {
                    metric: metric.key.clone(),
                });
            }
        }
        let actual = self.content();
        if actual != self.version {
            return Err(ScalerError::Changed {
                claimed: self.version.clone(),
                actual,
            });
        }
        let points: Vec<Vec<normalise::Points>> = metrics
            .iter()
            .zip(&self.metrics)
            .map(|(m, frozen)| normalise::frozen(m, &frozen.scaler, self.method, self.absent))
            .collect();
        Ok(scored(metrics, &points, cancel)?)
    }

    /// The version of what is held.
    fn content(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut take = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        take(self.method.name().as_bytes());
        take(&[u8::from(self.absent == Absent::Zero)]);
        for metric in &self.metrics {
            // The length keeps two keys from running into each other.
            take(&(metric.key.len() as u64).to_le_bytes());
            take(metric.key.as_bytes());
            take(&[u8::from(metric.direction == Direction::Direct)]);
            let s = &metric.scaler;
            for value in [s.benchmark, s.best, s.low, s.high, s.median, s.scale] {
                take(&[u8::from(value.is_some())]);
                take(&value.unwrap_or(0.0).to_bits().to_le_bytes());
            }
        }
        format!("{hash:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::{Cancelled, never};
    use domain::metric::Section;

    fn score(metrics: &[MetricColumn], options: &Options) -> Vec<BrandScore> {
        super::super::score(metrics, options, &never).expect("plain numbers")
    }

    fn freeze(metrics: &[MetricColumn], options: &Options) -> Scalers {
        Scalers::freeze(metrics, options, &never).expect("plain numbers")
    }

    fn columns() -> Vec<MetricColumn> {
        let column = |key: &str, direction, values: &[f64]| MetricColumn {
            key: key.into(),
            direction,
            section: Section::Marketplace,
            weight: 2.0,
            values: values.to_vec(),
        };
        vec![
            column("sales", Direction::Direct, &[10.0, 5.0, 8.0, f64::NAN]),
            column("rank", Direction::Indirect, &[3.0, 1.0, 2.0, 4.0]),
            column("reviews", Direction::Direct, &[f64::NAN; 4]),
        ]
    }

    #[test]
    fn on_the_values_they_were_frozen_at_they_give_the_same_scores() {
        for method in [
            Method::Product,
            Method::ProductFloored,
            Method::MinMax,
            Method::RobustZ,
        ] {
            for absent in [Absent::Excluded, Absent::Zero] {
                let options = Options {
                    method,
                    absent,
                    leave_one_out: false,
                };
                let frozen = freeze(&columns(), &options);
                let ours = frozen.score(&columns(), &never).expect("the same metrics");
                assert_eq!(ours, score(&columns(), &options), "{method:?} {absent:?}");
            }
        }
    }

    #[test]
    fn a_peers_rise_moves_no_frozen_score() {
        let frozen = freeze(&columns(), &Options::default());
        let mut later = columns();
        later[0].values[0] = 100.0;
        let before = frozen.score(&columns(), &never).expect("the same metrics");
        let after = frozen.score(&later, &never).expect("the same metrics");
        assert_eq!(
            after[1..].iter().map(|b| b.value).collect::<Vec<_>>(),
            before[1..].iter().map(|b| b.value).collect::<Vec<_>>()
        );
        assert_eq!(after[0].lines[0].normalised, Some(100.0));
        assert!(score(&later, &Options::default())[1].value < before[1].value);
    }

    #[test]
    fn the_version_follows_the_content_and_a_change_is_noticed() {
        let options = Options::default();
        let frozen = freeze(&columns(), &options);
        assert_eq!(frozen.version, freeze(&columns(), &options).version);
        let mut other = columns();
        other[0].values[1] = 5.000_001;
        assert_ne!(frozen.version, freeze(&other, &options).version);
        let stored = serde_json::to_string(&frozen).expect("plain data");
        let mut back: Scalers = serde_json::from_str(&stored).expect("what was stored");
        assert_eq!(back, frozen);
        back.metrics[0].scaler.benchmark = Some(1.0);
        assert!(matches!(
            back.score(&columns(), &never),
            Err(ScalerError::Changed { .. })
        ));
        assert!(matches!(
            frozen.score(&columns()[..2], &never),
            Err(ScalerError::OtherCount { frozen: 3, got: 2 })
        ));
        let mut turned = columns();
        turned[1].direction = Direction::Direct;
        assert_eq!(
            frozen.score(&turned, &never),
            Err(ScalerError::OtherDirection {
                metric: "rank".into()
            })
        );
    }

    #[test]
    fn metrics_in_another_order_are_refused_by_their_keys() {
        let (mut sales, mut rating) = (columns()[0].clone(), columns()[0].clone());
        rating.key = "rating".into();
        rating.values = vec![4.5, 4.0, 3.0, 5.0];
        let frozen = freeze(&[sales.clone(), rating.clone()], &Options::default());
        assert_eq!(
            frozen.score(&[rating.clone(), sales.clone()], &never),
            Err(ScalerError::OtherMetric {
                place: 1,
                frozen: "sales".into(),
                got: "rating".into()
            })
        );
        // The keys are part of what the version names.
        let mut renamed = frozen.clone();
        std::mem::swap(&mut sales.key, &mut rating.key);
        renamed.metrics[0].key = "rating".into();
        renamed.metrics[1].key = "sales".into();
        assert!(matches!(
            renamed.score(&[sales, rating], &never),
            Err(ScalerError::Changed { .. })
        ));
    }

    #[test]
    fn values_whose_spread_cannot_be_written_are_not_frozen_and_a_stop_is_heard() {
        let mut far = columns();
        far[0].values = vec![1.7e308, 1.6e308, -1.6e308, -1.7e308];
        assert_eq!(
            Scalers::freeze(&far, &Options::default(), &never),
            Err(ScalerError::TooFarApart {
                metric: "sales".into()
            })
        );
        let stopped = ScalerError::Score(ScoreError::Cancelled(Cancelled));
        assert_eq!(
            Scalers::freeze(&columns(), &Options::default(), &|| true),
            Err(stopped.clone())
        );
        let frozen = freeze(&columns(), &Options::default());
        assert_eq!(frozen.score(&columns(), &|| true), Err(stopped));
    }

    #[test]
    fn nothing_frozen_scores_nothing() {
        let frozen = freeze(&[], &Options::default());
        assert_eq!(frozen.score(&[], &never), Ok(Vec::new()));
    }
}
