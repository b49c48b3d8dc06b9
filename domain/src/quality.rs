//! Whether a series of values can be trusted, and what an organisation says about that beforehand: rules by which a metric's
//! series are cleaned, and limits they are checked against.

use serde::{Deserialize, Serialize};

use crate::id::{BrandId, MetricId, ProjectId};

/// What to do with a series. Agents obey it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Use it.
    Pass,
    /// Use it, and tell the reader.
    Review,
    /// Do not act on it.
    Fail,
}

/// One thing found in a series, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualityFinding {
    /// The verdict that it alone leads to.
    pub verdict: Verdict,
    /// The rest of a sentence that begins with the series, with figures and periods.
    pub text: String,
}

/// The quality of one brand's metric in one project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesQuality {
    /// Project.
    pub project: ProjectId,
    /// Brand.
    pub brand: BrandId,
    /// Metric.
    pub metric: MetricId,
    /// The worst of the findings' verdicts.
    pub verdict: Verdict,
    /// Why; empty for a clean series.
    pub findings: Vec<QualityFinding>,
}

/// What becomes of absent values between known ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapRule {
    /// They stay absent.
    #[default]
    None,
    /// A straight line between the neighbours.
    Linear,
    /// A straight line between the neighbours freed from their season, with the season of the place put back.
    Seasonal,
    /// Zero: the source leaves out what did not happen.
    Zero,
}

/// What becomes of values far from what trend and season let one expect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutlierRule {
    /// They stay.
    #[default]
    None,
    /// They are brought back to the limit.
    Cap,
    /// They are replaced by what was expected.
    Expected,
}

/// Rules by which a series is cleaned before it is used, applied in the order in which they stand here. The stored values stay
/// as they are, and every value that a rule touches is told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cleaning {
    /// A series that ends in at least this many equal non-zero values loses all of them but the first: the feed has stuck. 0
    /// leaves it.
    pub stuck_tail: u32,
    /// Outliers.
    pub outliers: OutlierRule,
    /// Robust standard deviations from which a value is an outlier.
    pub outlier_limit: f64,
    /// Gaps.
    pub gaps: GapRule,
    /// Longest gap that is filled, in periods; a longer one stays absent, unless absent means zero.
    pub longest_gap: u32,
}

impl Default for Cleaning {
    /// Leaves everything as it is.
    fn default() -> Self {
        Self {
            stuck_tail: 0,
            outliers: OutlierRule::None,
            outlier_limit: 6.0,
            gaps: GapRule::None,
            longest_gap: 4,
        }
    }
}

/// Fewest robust standard deviations that make an outlier: nearer ones are ordinary weeks.
const LEAST_OUTLIER_LIMIT: f64 = 3.0;
/// Shortest run of equal values that can be called stuck.
const LEAST_STUCK: u32 = 3;

impl Cleaning {
    /// Whether the rules leave every series as it is.
    pub fn is_idle(&self) -> bool {
        self.stuck_tail == 0 && self.outliers == OutlierRule::None && self.gaps == GapRule::None
    }

    /// Whether nothing was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with the rules: the field, what is wrong with it, and what to do. Money that was spent takes no rules.
    pub fn problems(&self, is_spend: bool) -> Vec<RuleProblem> {
        let mut found = Vec::new();
        if is_spend && !self.is_idle() {
            found.push(RuleProblem {
                field: "cleaning",
                message: "would change what was spent",
                advice: "take it out: money is as it was booked; correct the file, or use values.absent for weeks left out",
            });
        }
        if !(self.outlier_limit.is_finite() && self.outlier_limit >= LEAST_OUTLIER_LIMIT) {
            found.push(RuleProblem {
                field: "cleaning.outlier_limit",
                message: "is below 3 or not a number",
                advice: "give the robust standard deviations from which a value is an outlier, 3 or more; 6 is usual",
            });
        }
        if (1..LEAST_STUCK).contains(&self.stuck_tail) {
            found.push(RuleProblem {
                field: "cleaning.stuck_tail",
                message: "is less than 3",
                advice: "two equal values are chance: give 3 or more, 6 is usual, or 0 to leave the ends alone",
            });
        }
        found
    }
}

/// Limits of the quality check that an organisation sets for a metric; what is absent is as usual for the metric's role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityLimits {
    /// Fewest known values; below it a series must not be acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_history: Option<u32>,
    /// Share of absent values inside a series above which it is reviewed; at three times that it must not be acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_absent: Option<f64>,
    /// Periods since the last known value above which it is reviewed; at four times that it must not be acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// Robust standard deviations from which a value is an outlier; 0 switches the check off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier: Option<f64>,
    /// Share of outliers above which it is reviewed; at five times that it must not be acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_outliers: Option<f64>,
    /// Equal non-zero values in a row that look stuck; 0 switches the check off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stuck: Option<u32>,
    /// Standard deviations of the noise from which a change of level is told; 0 switches the check off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level_shift: Option<f64>,
}

impl QualityLimits {
    /// Whether nothing was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with the limits: the field, what is wrong with it, and what to do.
    pub fn problems(&self) -> Vec<RuleProblem> {
        let mut found = Vec::new();
        let shares = [
            ("quality.max_absent", self.max_absent),
            ("quality.max_outliers", self.max_outliers),
        ];
        for (field, share) in shares {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                found.push(RuleProblem {
                    field,
                    message: "is not a share",
                    advice: "give a number from 0 to 1, such as 0.05 for five per cent",
                });
            }
        }
        let distances = [
            ("quality.outlier", self.outlier),
            ("quality.level_shift", self.level_shift),
        ];
        for (field, distance) in distances {
            if distance.is_some_and(|distance| !(distance.is_finite() && distance >= 0.0)) {
                found.push(RuleProblem {
                    field,
                    message: "is negative or not a number",
                    advice: "give standard deviations, or 0 to switch the check off",
                });
            }
        }
        if self
            .stuck
            .is_some_and(|stuck| (1..LEAST_STUCK).contains(&stuck))
        {
            found.push(RuleProblem {
                field: "quality.stuck",
                message: "is less than 3",
                advice: "two equal values are chance: give 3 or more, 6 is usual, or 0 to switch the check off",
            });
        }
        found
    }
}

/// Something wrong with a metric's rules or limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// The field, such as `cleaning.stuck_tail`.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: &'static str,
    /// What to do.
    pub advice: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(problems: &[RuleProblem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn rules_that_say_nothing_leave_everything_and_are_sound_for_spend_too() {
        let none = Cleaning::default();
        assert!(none.is_idle() && none.is_default());
        assert_eq!(none.problems(true), []);
        assert_eq!(QualityLimits::default().problems(), []);
    }

    #[test]
    fn money_that_was_spent_is_not_cleaned() {
        let rules = Cleaning {
            gaps: GapRule::Zero,
            ..Cleaning::default()
        };
        assert_eq!(fields(&rules.problems(true)), ["cleaning"]);
        assert_eq!(rules.problems(false), []);
    }

    #[test]
    fn a_rule_that_would_touch_ordinary_weeks_is_refused() {
        let rules = Cleaning {
            outlier_limit: 1.0,
            stuck_tail: 2,
            ..Cleaning::default()
        };
        assert_eq!(
            fields(&rules.problems(false)),
            ["cleaning.outlier_limit", "cleaning.stuck_tail"]
        );
    }

    #[test]
    fn limits_outside_their_range_are_named_and_zero_switches_a_check_off() {
        let wrong = QualityLimits {
            max_absent: Some(20.0),
            max_outliers: Some(f64::NAN),
            outlier: Some(-1.0),
            level_shift: Some(f64::INFINITY),
            stuck: Some(1),
            ..QualityLimits::default()
        };
        assert_eq!(
            fields(&wrong.problems()),
            [
                "quality.max_absent",
                "quality.max_outliers",
                "quality.outlier",
                "quality.level_shift",
                "quality.stuck"
            ]
        );
        let off = QualityLimits {
            outlier: Some(0.0),
            level_shift: Some(0.0),
            stuck: Some(0),
            max_absent: Some(0.2),
            ..QualityLimits::default()
        };
        assert_eq!(off.problems(), []);
    }

    #[test]
    fn what_is_misspelt_is_refused_and_what_was_not_said_is_not_stored() {
        assert!(serde_json::from_str::<Cleaning>(r#"{"gap":"linear"}"#).is_err());
        assert!(serde_json::from_str::<QualityLimits>(r#"{"max_abscent":0.1}"#).is_err());
        let some = QualityLimits {
            max_age: Some(8),
            ..QualityLimits::default()
        };
        assert_eq!(
            serde_json::to_string(&some).expect("json"),
            r#"{"max_age":8}"#
        );
    }
}
