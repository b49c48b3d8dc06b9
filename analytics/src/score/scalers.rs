//! Frozen scalers: scores that can be compared over time, because what they are measured by stays put.
//!
//! A score moves for two reasons, the brand's values and the peers'. With scalers frozen at one moment only the first is left.
//! They carry a version of their content, which is stored with every score made by them.

use domain::metric::Direction;
use serde::{Deserialize, Serialize};

pub use super::normalise::Scaler;
use super::{Absent, BrandScore, Method, MetricColumn, Options, normalise, scored};

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
    pub metrics: Vec<(Direction, Scaler)>,
}

/// Why frozen scalers cannot score.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScalerError {
    /// The metrics are not those that were frozen.
    #[error("{frozen} metrics were frozen, and there are {got}")]
    OtherMetrics {
        /// Number of metrics frozen.
        frozen: usize,
        /// Number given.
        got: usize,
    },
    /// A metric turned round since.
    #[error("metric {metric} had the other direction when it was frozen")]
    OtherDirection {
        /// Its position.
        metric: usize,
    },
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
    #[must_use]
    pub fn freeze(metrics: &[MetricColumn], options: &Options) -> Self {
        let metrics: Vec<(Direction, Scaler)> = metrics
            .iter()
            .map(|m| (m.direction, normalise::scaler(&m.values, m.direction)))
            .collect();
        let mut scalers = Self {
            version: String::new(),
            method: options.method,
            absent: options.absent,
            metrics,
        };
        scalers.version = scalers.content();
        scalers
    }

    /// Scores brands by the frozen scalers. A value better than the best one frozen gets 100 points, as that one did; a metric
    /// that could not be scored then is not scored now.
    ///
    /// # Errors
    /// [`ScalerError`] when the metrics are others or the scalers were changed.
    pub fn score(&self, metrics: &[MetricColumn]) -> Result<Vec<BrandScore>, ScalerError> {
        if metrics.len() != self.metrics.len() {
            return Err(ScalerError::OtherMetrics {
                frozen: self.metrics.len(),
                got: metrics.len(),
            });
        }
        let turned = metrics
            .iter()
            .zip(&self.metrics)
            .position(|(m, f)| m.direction != f.0);
        if let Some(metric) = turned {
            return Err(ScalerError::OtherDirection { metric });
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
            .map(|(m, (_, scaler))| normalise::frozen(m, scaler, self.method, self.absent))
            .collect();
        Ok(scored(metrics, &points))
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
        for (direction, s) in &self.metrics {
            take(&[u8::from(*direction == Direction::Direct)]);
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
    use super::super::score;
    use super::*;
    use domain::metric::Section;

    fn columns() -> Vec<MetricColumn> {
        let column = |direction, values: &[f64]| MetricColumn {
            direction,
            section: Section::Marketplace,
            weight: 2.0,
            values: values.to_vec(),
        };
        vec![
            column(Direction::Direct, &[10.0, 5.0, 8.0, f64::NAN]),
            column(Direction::Indirect, &[3.0, 1.0, 2.0, 4.0]),
            column(Direction::Direct, &[f64::NAN; 4]),
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
                let frozen = Scalers::freeze(&columns(), &options);
                let ours = frozen.score(&columns()).expect("the same metrics");
                assert_eq!(ours, score(&columns(), &options), "{method:?} {absent:?}");
            }
        }
    }

    #[test]
    fn a_peers_rise_moves_no_frozen_score() {
        let frozen = Scalers::freeze(&columns(), &Options::default());
        let mut later = columns();
        later[0].values[0] = 100.0;
        let before = frozen.score(&columns()).expect("the same metrics");
        let after = frozen.score(&later).expect("the same metrics");
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
        let frozen = Scalers::freeze(&columns(), &options);
        assert_eq!(
            frozen.version,
            Scalers::freeze(&columns(), &options).version
        );
        let mut other = columns();
        other[0].values[1] = 5.000_001;
        assert_ne!(frozen.version, Scalers::freeze(&other, &options).version);
        let stored = serde_json::to_string(&frozen).expect("plain data");
        let mut back: Scalers = serde_json::from_str(&stored).expect("what was stored");
        assert_eq!(back, frozen);
        back.metrics[0].1.benchmark = Some(1.0);
        assert!(matches!(
            back.score(&columns()),
            Err(ScalerError::Changed { .. })
        ));
        assert!(matches!(
            frozen.score(&columns()[..2]),
            Err(ScalerError::OtherMetrics { frozen: 3, got: 2 })
        ));
        let mut turned = columns();
        turned[1].direction = Direction::Direct;
        assert_eq!(
            frozen.score(&turned),
            Err(ScalerError::OtherDirection { metric: 1 })
        );
    }

    #[test]
    fn nothing_frozen_scores_nothing() {
        let frozen = Scalers::freeze(&[], &Options::default());
        assert_eq!(frozen.score(&[]), Ok(Vec::new()));
    }
}
