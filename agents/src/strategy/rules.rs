//! What the strategy agent concludes: targets on metrics that lead sales or lag behind rivals, and initiatives of several steps.

mod indicators;
mod initiatives;
mod targets;

use domain::{
    access::AgentKind,
    competition::{Gap, LeadingIndicator, RivalChange},
    id::{BrandId, MetricId},
    provenance::Provenance,
    response::ResponseCurve,
};

use crate::{
    parameters::Parameters,
    proposal::Verdicts,
    view::{View, WhatIf},
};

const AGENT: AgentKind = AgentKind::Strategy;
/// Weeks after which a target or initiative needs another look.
const EXPIRES_AFTER: u32 = 8;
/// Largest move of a metric that a target asks for, as a share of today's value: further away nothing was observed.
const REACH: f64 = 0.10;

/// Everything the rules look at.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    /// The portfolio.
    pub view: &'a View,
    /// Gaps to rivals.
    pub gaps: &'a [Gap],
    /// Rivals whose behaviour changed.
    pub rivals: &'a [RivalChange],
    /// Metrics that run ahead of sales.
    pub indicators: &'a [LeadingIndicator],
    /// Fitted response curves.
    pub curves: &'a [ResponseCurve],
    /// Margin of one unit of the outcome metric by brand, in currency; brands without a stated margin are absent.
    pub margin: &'a dyn Fn(BrandId) -> Option<f64>,
    /// Mean of the last weeks of a brand's metric.
    pub level: &'a dyn Fn(BrandId, MetricId) -> Option<f64>,
    /// What a change of spending does.
    pub what_if: &'a WhatIf<'a>,
    /// Thresholds.
    pub parameters: &'a Parameters,
    /// Where gaps, rivals' changes and indicators come from.
    pub provenance: &'a Provenance,
}

/// Decides.
pub(crate) fn decide(sight: &Sight<'_>) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let led = indicators::targets(sight, &mut verdicts);
    targets::close_gaps(sight, &led, &mut verdicts);
    initiatives::reallocate(sight, &mut verdicts);
    initiatives::answer_rivals(sight, &mut verdicts);
    verdicts
}

fn has_target(view: &View, brand: BrandId, metric: MetricId) -> bool {
    view.targets
        .iter()
        .any(|t| t.active && t.brand == brand && t.metric == metric)
}

fn metric_subject(view: &View, brand: BrandId, metric: MetricId) -> String {
    let key = view
        .metric(metric)
        .map_or_else(|| metric.to_string(), |m| m.key.clone());
    format!("metric:{}/{key}", view.brand_name(brand))
}

#[cfg(test)]
mod tests_support {
    //! A look at the portfolio with nothing found yet.

    use domain::{competition::Reference, id::ChannelId, unit::Interval};

    use super::*;
    use crate::view::tests_support::{a_view, brand, channel, day, estimate, metric};

    pub(super) struct Case {
        pub(super) view: View,
        pub(super) gaps: Vec<Gap>,
        pub(super) rivals: Vec<RivalChange>,
        pub(super) indicators: Vec<LeadingIndicator>,
        pub(super) curves: Vec<ResponseCurve>,
    }

    pub(super) fn case() -> Case {
        Case {
            view: a_view(),
            gaps: Vec::new(),
            rivals: Vec::new(),
            indicators: Vec::new(),
            curves: Vec::new(),
        }
    }

    impl Case {
        pub(super) fn decide(&self) -> Verdicts {
            let what_if = |_: &[(BrandId, ChannelId, f64)]| Some(estimate(40.0));
            decide(&Sight {
                view: &self.view,
                gaps: &self.gaps,
                rivals: &self.rivals,
                indicators: &self.indicators,
                curves: &self.curves,
                margin: &|_| Some(2.0),
                level: &|_, _| Some(100.0),
                what_if: &what_if,
                parameters: &Parameters::defaults(AGENT),
                provenance: &Provenance::default(),
            })
        }
    }

    pub(super) fn gap(name: &str, key: &str, reference: Reference, size: f64) -> Gap {
        Gap {
            brand: brand(name),
            metric: metric(key),
            reference,
            value: 100.0,
            reference_value: 100.0 + size,
            gap: size,
            relative: Some(size / (100.0 + size)),
            without_leader: Some(size / 2.0),
            rank: 3,
            peers: 4,
            period: day(),
        }
    }

    pub(super) fn indicator(q_value: f64) -> LeadingIndicator {
        LeadingIndicator {
            brand: brand("Alder"),
            indicator: metric("branded_search"),
            outcome: metric("units_sold"),
            lag: 4,
            estimate: 10.0,
            interval95: Interval {
                low: 7.0,
                high: 13.0,
            },
            q_value,
        }
    }

    pub(super) fn curve(
        name: &str,
        key: &str,
        marginal_return: f64,
        q_value: f64,
    ) -> ResponseCurve {
        ResponseCurve {
            brand: brand(name),
            channel: channel(key),
            carry_over: 0.3,
            half: 100.0,
            shape: 1.0,
            scale: 100.0,
            current_spend: 100.0,
            marginal_return,
            marginal_return80: Interval {
                low: 0.0,
                high: 1.0,
            },
            marginal_return95: Interval {
                low: 0.0,
                high: 1.0,
            },
            q_value,
            warnings: Vec::new(),
        }
    }
}
