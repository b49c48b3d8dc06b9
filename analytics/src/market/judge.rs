//! Compares what a scan found with what is planted.

use serde::{Deserialize, Serialize};

use super::{PlanRules, Truth, World};
use crate::budget::{Allocation, ProfitEffect};
use crate::finder::{Finding, FindingKind, Findings, Subject};

/// How one planted fact fared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Name of the fact.
    pub fact: String,
    /// What it is about, in words.
    pub subject: String,
    /// Whether it was found: right subject, right sign, within the false-discovery rate.
    pub found: bool,
    /// The estimate, when found.
    pub estimate: Option<f64>,
    /// The 95 % interval, when found.
    pub interval95: Option<(f64, f64)>,
    /// The true size, in the estimate's unit.
    pub truth: f64,
    /// t statistic of the oracle regression.
    pub oracle_t: f64,
}

impl Judged {
    /// Whether the interval of a found fact holds the truth.
    #[must_use]
    pub fn covered(&self) -> Option<bool> {
        self.interval95
            .map(|(low, high)| low <= self.truth && self.truth <= high)
    }
}

/// Judges a scan against the truth; empty for a null world.
#[must_use]
pub fn judge(findings: &Findings, truth: &Truth) -> Vec<Judged> {
    let mut out = Vec::new();
    let mut enter =
        |fact: &str, subject: String, size: f64, oracle_t: f64, is: &dyn Fn(&Finding) -> bool| {
            let hit = findings.found.iter().find(|f| is(f));
            out.push(Judged {
                fact: fact.to_owned(),
                subject,
                found: hit.is_some(),
                estimate: hit.map(|f| f.effect.value),
                interval95: hit.map(|f| f.effect.interval95),
                truth: size,
                oracle_t,
            });
        };
    for (fact, kind, pair) in [
        (
            "cannibalising pair",
            FindingKind::Cannibalisation,
            &truth.cannibal,
        ),
        ("halo pair", FindingKind::Halo, &truth.halo),
    ] {
        if let Some(t) = pair {
            enter(
                fact,
                format!("{} on {}", t.driver, t.affected),
                t.effect,
                t.oracle_t,
                &|f| {
                    f.kind == kind
                        && matches!(&f.subject, Subject::Pair { driver, affected }
                        if *driver == t.driver && *affected == t.affected)
                },
            );
        }
    }
    for (fact, kind, line) in [
        (
            "saturated channel",
            FindingKind::Saturated,
            &truth.saturated,
        ),
        ("starved channel", FindingKind::Starved, &truth.starved),
    ] {
        if let Some(t) = line {
            enter(
                fact,
                format!("{} {}", t.brand, t.channel),
                t.marginal_return,
                t.oracle_t,
                &|f| {
                    f.kind == kind
                        && matches!(&f.subject, Subject::Line { brand, channel }
                        if *brand == t.brand && *channel == t.channel)
                },
            );
        }
    }
    if let Some(t) = &truth.campaign {
        enter(
            "competitor's campaign",
            format!("{} from week {}", t.rival, t.start),
            t.log_lift,
            t.oracle_t,
            &|f| {
                matches!(&f.subject, Subject::Rival { rival, start, .. }
                if *rival == t.rival && start.abs_diff(t.start) <= 2 && f.effect.value > 0.0)
            },
        );
    }
    if let Some(t) = &truth.indicator {
        let subject = format!("{} {} by {} weeks", t.brand, t.metric, t.lag);
        enter("leading indicator", subject, t.effect, t.oracle_t, &|f| {
            matches!(&f.subject, Subject::Lead { brand, metric, lag }
                if *brand == t.brand && *metric == t.metric && lag.abs_diff(t.lag) <= 1)
                && f.effect.value * t.effect > 0.0
        });
    }
    out
}

/// How a plan fared: promised, realised as the estimator sees it afterwards, and in truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanJudged {
    /// Whether the planner would propose the plan; a plan that is not proposed gains nothing.
    pub proposed: bool,
    /// What the planner promised.
    pub promised: ProfitEffect,
    /// What the estimator attributes to the plan after it ran; `None` when it was not proposed.
    pub realised: Option<ProfitEffect>,
    /// True gain of profit over the horizon and its tail, noise-free; zero when it was not proposed.
    pub truth: f64,
    /// True gain of the perfect plan under the same total, bounds and rules.
    pub perfect: f64,
}

/// Judges a plan against the truth, and against the perfect plan under the same total and bounds.
#[must_use]
pub fn judge_plan(world: &World, plan: &Allocation) -> PlanJudged {
    let rules = PlanRules {
        weeks: plan.weeks,
        baseline: plan.lines.iter().map(|l| l.current).collect(),
        lower: plan.lines.iter().map(|l| l.lower).collect(),
        upper: plan.lines.iter().map(|l| l.upper).collect(),
    };
    let truth = if plan.worth_proposing {
        world.plan_gain(&rules, &plan.spend())
    } else {
        0.0
    };
    PlanJudged {
        proposed: plan.worth_proposing,
        promised: plan.effect,
        realised: None,
        truth,
        perfect: world.perfect_plan(&rules).bound,
    }
}
