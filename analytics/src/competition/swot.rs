//! Strengths, weaknesses, opportunities and threats by rule, each with the numbers it rests on.

use crate::estimate::Estimate;
use crate::gap::Severity;
use serde::{Deserialize, Serialize};

/// What is known of a brand on one metric. Numbers are in the metric's unit; growths per period, and turned so that up is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The metric.
    pub metric: usize,
    /// The brand's value, turned so that more is better (the negative where lower is better).
    pub value: f64,
    /// 25th percentile of the peers, turned alike.
    pub low: f64,
    /// 75th percentile of the peers, turned alike.
    pub high: f64,
    /// The brand's growth.
    pub momentum: Option<Estimate>,
    /// The peer that grows fastest.
    pub fastest_peer: Option<FastestPeer>,
    /// How far the brand is behind the benchmark.
    pub severity: Option<Severity>,
    /// Share of the gap that one more unit of currency closes, where it is known.
    pub closed_per_unit: Option<f64>,
}

/// The peer that grows fastest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FastestPeer {
    /// Which peer that is.
    pub peer: usize,
    /// Its growth.
    pub growth: Estimate,
    /// Number of peers among which it grows fastest, itself included.
    pub of: usize,
}

/// One of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Above the upper quartile of the peers and not falling.
    Strength,
    /// Below the lower quartile, or falling.
    Weakness,
    /// Far behind the benchmark, where money closes more of the gap than on the metric in the middle.
    Opportunity,
    /// A peer grows faster than the brand.
    Threat,
}

/// Why an entry is there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Because {
    /// Value above the upper quartile; growth where known.
    AboveUpperQuartile {
        /// The brand's value.
        value: f64,
        /// The quartile.
        quartile: f64,
        /// Growth per period.
        growth: Option<f64>,
    },
    /// Value below the lower quartile.
    BelowLowerQuartile {
        /// The brand's value.
        value: f64,
        /// The quartile.
        quartile: f64,
    },
    /// The brand falls.
    Falling {
        /// Growth per period.
        growth: f64,
        /// Its p-value.
        p_value: f64,
    },
    /// A gap that money closes.
    GapThatMoneyCloses {
        /// How far behind.
        severity: Severity,
        /// Share of the gap that one unit of currency closes.
        closed_per_unit: f64,
    },
    /// A peer grows faster.
    PeerGrowsFaster {
        /// The peer.
        peer: usize,
        /// Its growth less the brand's, per period.
        difference: f64,
        /// p-value of the difference, corrected for the peers among which this one was picked (Šidák 1967).
        p_value: f64,
    },
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which of the four.
    pub kind: Kind,
    /// The metric.
    pub metric: usize,
    /// The numbers.
    pub because: Because,
}

/// Applies the rules to a brand's standings; a change counts when its two-sided p-value is at most `significance`. Ordered by kind,
/// then as given.
#[must_use]
pub fn swot(standings: &[Standing], significance: f64) -> Vec<Entry> {
    let falls = |s: &Standing| {
        s.momentum
            .filter(|m| m.value < 0.0 && m.p_value <= significance)
    };
    let mut closing: Vec<f64> = standings
        .iter()
        .filter_map(|s| s.closed_per_unit)
        .filter(|c| c.is_finite() && *c > 0.0)
        .collect();
    closing.sort_by(f64::total_cmp);
    let middle = crate::inference::quantile(&closing, 0.5);
    let mut entries = Vec::new();
    for s in standings {
        let mut enter = |kind, because| {
            entries.push(Entry {
                kind,
                metric: s.metric,
                because,
            });
        };
        let fall = falls(s);
        if s.value > s.high && fall.is_none() {
            let growth = s.momentum.map(|m| m.value);
            enter(
                Kind::Strength,
                Because::AboveUpperQuartile {
                    value: s.value,
                    quartile: s.high,
                    growth,
                },
            );
        }
        if s.value < s.low {
            enter(
                Kind::Weakness,
                Because::BelowLowerQuartile {
                    value: s.value,
                    quartile: s.low,
                },
            );
        }
        if let Some(fall) = fall {
            enter(
                Kind::Weakness,
                Because::Falling {
                    growth: fall.value,
                    p_value: fall.p_value,
                },
            );
        }
        if let (Some(severity), Some(closed_per_unit)) = (s.severity, s.closed_per_unit)
            && severity >= Severity::Moderate
            && closed_per_unit >= middle
        {
            enter(
                Kind::Opportunity,
                Because::GapThatMoneyCloses {
                    severity,
                    closed_per_unit,
                },
            );
        }
        if let (Some(own), Some(fastest)) = (s.momentum, s.fastest_peer) {
            let theirs = fastest.growth;
            let difference = theirs.value - own.value;
            let error = theirs.std_error.hypot(own.std_error);
            let test = Estimate::new(difference, error, own.dof.min(theirs.dof), 0.0);
            let p_value = of_several(test.p_value, fastest.of);
            if difference > 0.0 && p_value <= significance {
                enter(
                    Kind::Threat,
                    Because::PeerGrowsFaster {
                        peer: fastest.peer,
                        difference,
                        p_value,
                    },
                );
            }
        }
    }
    entries.sort_by_key(|e| e.kind);
    entries
}

/// p-value of the smallest of `count` p-values.
fn of_several(p: f64, count: usize) -> f64 {
    -f64::exp_m1(count.max(1) as f64 * f64::ln_1p(-p.min(1.0 - f64::EPSILON)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{normal, stream};

    fn standing(metric: usize) -> Standing {
        Standing {
            metric,
            value: 5.0,
            low: 2.0,
            high: 8.0,
            momentum: None,
            fastest_peer: None,
            severity: Some(Severity::Minor),
            closed_per_unit: None,
        }
    }

    fn growth(value: f64) -> Estimate {
        Estimate::new(value, 0.001, 30.0, 0.0)
    }

    #[test]
    fn the_middle_of_the_field_has_nothing_to_say() {
        assert!(swot(&[standing(0)], 0.05).is_empty());
        assert!(swot(&[], 0.05).is_empty());
    }

    #[test]
    fn each_rule_fires_on_its_own_numbers() {
        let strong = Standing {
            value: 9.0,
            momentum: Some(growth(0.0001)),
            ..standing(0)
        };
        let falling = Standing {
            value: 9.0,
            momentum: Some(growth(-0.01)),
            ..standing(1)
        };
        let weak = Standing {
            value: 1.0,
            ..standing(2)
        };
        let cheap = Standing {
            severity: Some(Severity::Critical),
            closed_per_unit: Some(2e-5),
            ..standing(3)
        };
        let dear = Standing {
            severity: Some(Severity::Critical),
            closed_per_unit: Some(1e-6),
            ..standing(4)
        };
        let passed = Standing {
            momentum: Some(growth(0.001)),
            fastest_peer: Some(FastestPeer {
                peer: 7,
                growth: growth(0.02),
                of: 3,
            }),
            ..standing(5)
        };
        let found = swot(&[strong, falling, weak, cheap, dear, passed], 0.05);
        let kinds: Vec<(Kind, usize)> = found.iter().map(|e| (e.kind, e.metric)).collect();
        assert_eq!(
            kinds,
            [
                (Kind::Strength, 0),
                (Kind::Weakness, 1),
                (Kind::Weakness, 2),
                (Kind::Opportunity, 3),
                (Kind::Threat, 5)
            ]
        );
        assert!(
            matches!(found[4].because, Because::PeerGrowsFaster { peer: 7, difference, .. } if (difference - 0.019).abs() < 1e-12)
        );
    }

    #[test]
    fn absent_numbers_are_no_reason() {
        let unknown = Standing {
            value: f64::NAN,
            closed_per_unit: Some(f64::NAN),
            severity: Some(Severity::Critical),
            ..standing(0)
        };
        assert!(swot(&[unknown], 0.05).is_empty());
    }

    #[test]
    fn peers_that_all_grow_alike_are_a_threat_in_one_case_of_forty() {
        let rng = &mut stream(12, &[]);
        let worlds = 4_000;
        let mut threats = 0;
        for _ in 0..worlds {
            let mut draw = || Estimate::new(0.01 + 0.004 * normal(rng), 0.004, 200.0, 0.0);
            let own = draw();
            let peers: Vec<Estimate> = (0..20).map(|_| draw()).collect();
            let (peer, growth) = peers
                .into_iter()
                .enumerate()
                .max_by(|a, b| a.1.value.total_cmp(&b.1.value))
                .unwrap();
            let s = Standing {
                momentum: Some(own),
                fastest_peer: Some(FastestPeer {
                    peer,
                    growth,
                    of: 20,
                }),
                ..standing(0)
            };
            threats += swot(&[s], 0.05)
                .iter()
                .filter(|e| e.kind == Kind::Threat)
                .count();
        }
        // The brand's own growth is in every comparison, which makes Šidák's correction a careful one.
        let share = threats as f64 / f64::from(worlds);
        assert!((0.005..=0.03).contains(&share), "{share}");
    }
}
