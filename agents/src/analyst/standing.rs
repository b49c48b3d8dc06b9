//! Where a brand stands among its rivals: how loud it is for its size, how fast it grows, what it is strong and weak in, and where
//! one unit of money closes most of its gap.

use std::collections::BTreeMap;

use analytics::{
    cancel::{Cancel, Cancelled},
    competition::{
        momentum::{self, momentum},
        swot::{self, Because, Kind, swot},
        voice::voices,
    },
    estimate::Estimate,
    gap::{
        self, Severity,
        closing::{Lever, closings},
    },
    inference::quantile,
};
use chrono::NaiveDate;
use domain::{
    competition::Reference,
    id::{BrandId, ChannelId, MetricId},
    metric::{Direction, MetricDefinition, MetricRole},
    provenance::Provenance,
    response::ResponseCurve,
    unit::Interval,
};
use serde::Serialize;
use serde_json::json;

use super::{
    drivers::on, gaps::LEVEL_WEEKS, levels::levels, panel::margins, provenance, quality::Quality,
    runs,
};
use crate::{Error, observe::Snapshot};

/// Weeks over which voice and market are shared out: a year, so that neither season nor flighting decides.
const VOICE_WEEKS: u64 = 52;
/// Periods whose growth is told.
const MOMENTUM_PERIODS: usize = 26;
/// Fewest other brands whose quartiles say something.
const LEAST_PEERS: usize = 3;
/// Largest p-value of a growth, or of a difference of growths, that counts.
const SIGNIFICANCE: f64 = 0.05;

/// Where a brand stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// The brand.
    pub brand: BrandId,
    /// Last period used.
    pub period: NaiveDate,
    /// Its voice and its market.
    pub voice: ShareOfVoice,
    /// Growth by metric, where it can be told.
    pub momentum: Vec<MetricMomentum>,
    /// Strengths, weaknesses, opportunities and threats, each with its numbers.
    pub swot: Vec<SwotEntry>,
    /// Channels by how much of the brand's gap to the benchmark in the outcome one more unit of money a week closes, best first. Empty
    /// where the brand is not behind, no response was fitted, or its margin is not known.
    pub closing: Vec<GapClosing>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Share of voice and of market over the last year.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ShareOfVoice {
    /// Share of all known spend, 0 to 1; `None` where the brand's is not known.
    pub share_of_voice: Option<f64>,
    /// Share of all known sales, 0 to 1.
    pub share_of_market: Option<f64>,
    /// Share of voice less share of market among the brands of which both are known; above zero a brand tends to grow.
    pub excess: Option<f64>,
    /// What a rule of thumb expects of it, in shares of the market a year; no estimate from these data.
    pub expected_change: Option<f64>,
    /// Brands whose spend is known.
    pub voices: u32,
    /// Brands whose sales are known.
    pub markets: u32,
}

/// How fast a metric of the brand grows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MetricMomentum {
    /// The metric.
    pub metric: MetricId,
    /// Growth per period, as a difference of logarithms: 0.01 is about 1 %.
    pub growth: f64,
    /// Its 95 % interval.
    pub growth95: Interval,
    /// Growth over the mean growth of the other brands; season and market that all share are not in it.
    pub relative: Option<f64>,
    /// Its 95 % interval.
    pub relative95: Option<Interval>,
}

/// One of the four, with the numbers it rests on. Growths are turned so that up is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SwotEntry {
    /// Which of the four.
    pub kind: SwotKind,
    /// The metric.
    pub metric: MetricId,
    /// Why.
    pub because: SwotReason,
    /// The brand's value, where that is the reason.
    pub value: Option<f64>,
    /// Quartile of the other brands that it is beyond.
    pub quartile: Option<f64>,
    /// The brand's growth per period.
    pub growth: Option<f64>,
    /// The brand that grows faster.
    pub peer: Option<BrandId>,
    /// By how much per period.
    pub difference: Option<f64>,
    /// p-value of the growth or of the difference.
    pub p_value: Option<f64>,
    /// Share of the gap that one more unit of money a week closes.
    pub closed_per_unit: Option<f64>,
}

/// The four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SwotKind {
    /// Above the upper quartile and not falling.
    Strength,
    /// Below the lower quartile, or falling.
    Weakness,
    /// Far behind, where money closes the gap.
    Opportunity,
    /// Another brand grows faster.
    Threat,
}

/// Why an entry is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SwotReason {
    /// Better than three quarters of the other brands.
    AboveUpperQuartile,
    /// Worse than three quarters of the other brands.
    BelowLowerQuartile,
    /// It gets worse.
    Falling,
    /// Money closes the gap.
    GapThatMoneyCloses,
    /// Another brand gets better faster.
    PeerGrowsFaster,
}

/// What one more unit of money a week in a channel does to the gap in the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GapClosing {
    /// The channel.
    pub channel: ChannelId,
    /// The gap to the benchmark, per week in the outcome's unit.
    pub gap: f64,
    /// Share of it that one more unit of money a week closes.
    pub closed_per_unit: f64,
    /// Its 80 % interval.
    pub closed80: Interval,
    /// Money a week that would close it if returns did not fall; they do, so it takes more. `None` where money does not close it.
    pub at_least: Option<f64>,
}

/// Looks at one brand among all.
///
/// # Errors
/// `gap.no_data` without any value; when the caller asked to stop.
pub(crate) fn standing(
    snapshot: &Snapshot,
    quality: &Quality,
    curves: &[ResponseCurve],
    brand: BrandId,
    cancel: &dyn Cancel,
) -> Result<Standing, Error> {
    let view = &snapshot.view;
    let place = view.brands.iter().position(|b| b.id == brand);
    let (Some(place), Some(until)) = (place, view.data_until) else {
        let error =
            domain::Error::not_found("gap.no_data", "there is no value to compare this brand by");
        return Err(error.advise("import data first").into());
    };
    let series = runs::series(&snapshot.table);
    let year = levels(snapshot, quality, &series, None, until, VOICE_WEEKS);
    let now = levels(snapshot, quality, &series, None, until, LEVEL_WEEKS);
    let is_compared = |m: &&MetricDefinition| {
        matches!(
            m.role,
            MetricRole::Outcome | MetricRole::Health | MetricRole::Exposure
        )
    };
    let stopped = |stopped: Cancelled| Error::Analysis(stopped.to_string());
    let closing = closing(snapshot, curves, place, &now, cancel).map_err(stopped)?;
    let best_closing = closing.first().map(|c| c.closed_per_unit);
    let mut growths = Vec::new();
    let mut standings = Vec::new();
    let compared: Vec<&MetricDefinition> = view.metrics.iter().filter(is_compared).collect();
    for (index, metric) in compared.iter().enumerate() {
        cancel
            .check()
            .map_err(|cancelled| Error::Analysis(cancelled.to_string()))?;
        let moving = moving(snapshot, metric);
        if let Some(own) = &moving[place] {
            growths.push(MetricMomentum {
                metric: metric.id,
                growth: own.growth.value,
                growth95: pair(own.growth.interval95),
                relative: own.relative.map(|r| r.value),
                relative95: own.relative.map(|r| pair(r.interval95)),
            });
        }
        let values: Vec<f64> = view
            .brands
            .iter()
            .map(|b| now.get(&(b.id, metric.id)).copied().unwrap_or(f64::NAN))
            .collect();
        let severity = severity(metric, &values, place, cancel).map_err(stopped)?;
        standings.extend(position(
            index,
            metric,
            &values,
            place,
            &moving,
            severity,
            best_closing,
        ));
    }
    let entries = swot(&standings, SIGNIFICANCE);
    Ok(Standing {
        brand,
        period: until,
        voice: voice(snapshot, place, &year),
        momentum: growths,
        swot: entries
            .iter()
            .map(|entry| shown(snapshot, &compared, entry))
            .collect(),
        closing,
        provenance: provenance(
            snapshot,
            "competition.standing",
            json!({
                "brand": brand,
                "voice_weeks": VOICE_WEEKS,
                "level_weeks": LEVEL_WEEKS,
                "momentum_periods": MOMENTUM_PERIODS,
                "significance": SIGNIFICANCE,
            }),
            0,
        ),
    })
}

fn voice(
    snapshot: &Snapshot,
    place: usize,
    year: &BTreeMap<(BrandId, MetricId), f64>,
) -> ShareOfVoice {
    let view = &snapshot.view;
    let spend: Vec<MetricId> = view
        .metrics
        .iter()
        .filter(|m| m.role == MetricRole::Spend)
        .map(|m| m.id)
        .collect();
    let outcome = view.outcome().filter(|m| m.adds_up()).map(|m| m.id);
    let pressure: Vec<f64> = view
        .brands
        .iter()
        .map(|b| {
            let known: Vec<f64> = spend
                .iter()
                .filter_map(|m| year.get(&(b.id, *m)).copied())
                .collect();
            if known.is_empty() {
                f64::NAN
            } else {
                known.iter().sum()
            }
        })
        .collect();
    let sales: Vec<f64> = view
        .brands
        .iter()
        .map(|b| {
            outcome
                .and_then(|m| year.get(&(b.id, m)).copied())
                .unwrap_or(f64::NAN)
        })
        .collect();
    let own = voices(&pressure, &sales)[place];
    let known = |values: &[f64]| {
        let n = values.iter().filter(|v| v.is_finite()).count();
        u32::try_from(n).unwrap_or(u32::MAX)
    };
    ShareOfVoice {
        share_of_voice: own.share_of_voice,
        share_of_market: own.share_of_market,
        excess: own.excess,
        expected_change: own.expected_change,
        voices: known(&pressure),
        markets: known(&sales),
    }
}

/// Growth of a metric by brand, in the view's order, over the periods that end with the metric's last.
fn moving(snapshot: &Snapshot, metric: &MetricDefinition) -> Vec<Option<momentum::Momentum>> {
    let brands = &snapshot.view.brands;
    let known = snapshot.series(metric.id);
    let ends = || known.values().filter_map(|v| v.keys().next_back());
    let starts = known.values().filter_map(|v| v.keys().next()).min();
    let (Some(&first), Some(&last)) = (starts, ends().max()) else {
        return vec![None; brands.len()];
    };
    let calendar: Vec<NaiveDate> = (0..)
        .map(|n| metric.granularity.add(first, n))
        .take_while(|period| *period <= last)
        .collect();
    let none = BTreeMap::new();
    let series: Vec<Vec<f64>> = brands
        .iter()
        .map(|b| on(&calendar, known.get(&b.id).unwrap_or(&none)))
        .collect();
    momentum(&series, MOMENTUM_PERIODS)
}

/// What the rules need to know of one metric; `None` without a value or with too few others.
fn position(
    index: usize,
    metric: &MetricDefinition,
    values: &[f64],
    place: usize,
    moving: &[Option<momentum::Momentum>],
    severity: Option<Severity>,
    best_closing: Option<f64>,
) -> Option<swot::Standing> {
    let sign = sign(metric);
    let own = values[place];
    let mut peers: Vec<f64> = (0..values.len())
        .filter(|i| *i != place && values[*i].is_finite())
        .map(|i| sign * values[i])
        .collect();
    if !own.is_finite() || peers.len() < LEAST_PEERS {
        return None;
    }
    peers.sort_by(f64::total_cmp);
    let turned = |e: Estimate| Estimate {
        value: sign * e.value,
        ..e
    };
    let growing = moving.iter().flatten().filter(|m| m.brand != place);
    let of = growing.clone().count();
    let fastest = growing
        .map(|m| swot::FastestPeer {
            peer: m.brand,
            growth: turned(m.growth),
            of,
        })
        .max_by(|a, b| a.growth.value.total_cmp(&b.growth.value));
    let is_outcome = metric.role == MetricRole::Outcome;
    Some(swot::Standing {
        metric: index,
        value: sign * own,
        low: quantile(&peers, 0.25),
        high: quantile(&peers, 0.75),
        momentum: moving[place].as_ref().map(|m| turned(m.growth)),
        fastest_peer: fastest,
        severity,
        closed_per_unit: best_closing.filter(|_| is_outcome),
    })
}

/// How far the brand is behind the benchmark; `None` where it is not, or has no value.
fn severity(
    metric: &MetricDefinition,
    values: &[f64],
    place: usize,
    cancel: &dyn Cancel,
) -> Result<Option<Severity>, Cancelled> {
    let behind = gap::gaps(values, metric.direction, metric.unit, cancel)?
        .into_iter()
        .find(|gap| gap.brand == place && gap.reference == Reference::Benchmark)
        .and_then(|gap| gap.severity);
    Ok(behind.filter(|s| *s != Severity::None))
}

fn sign(metric: &MetricDefinition) -> f64 {
    if metric.direction == Direction::Direct {
        1.0
    } else {
        -1.0
    }
}

fn shown(snapshot: &Snapshot, compared: &[&MetricDefinition], entry: &swot::Entry) -> SwotEntry {
    let metric = compared[entry.metric];
    let back = |value: f64| Some(sign(metric) * value);
    let mut out = SwotEntry {
        kind: match entry.kind {
            Kind::Strength => SwotKind::Strength,
            Kind::Weakness => SwotKind::Weakness,
            Kind::Opportunity => SwotKind::Opportunity,
            Kind::Threat => SwotKind::Threat,
        },
        metric: metric.id,
        because: SwotReason::Falling,
        value: None,
        quartile: None,
        growth: None,
        peer: None,
        difference: None,
        p_value: None,
        closed_per_unit: None,
    };
    match entry.because {
        Because::AboveUpperQuartile {
            value,
            quartile,
            growth,
        } => {
            out.because = SwotReason::AboveUpperQuartile;
            (out.value, out.quartile, out.growth) = (back(value), back(quartile), growth);
        }
        Because::BelowLowerQuartile { value, quartile } => {
            out.because = SwotReason::BelowLowerQuartile;
            (out.value, out.quartile) = (back(value), back(quartile));
        }
        Because::Falling { growth, p_value } => {
            (out.growth, out.p_value) = (Some(growth), Some(p_value));
        }
        Because::GapThatMoneyCloses {
            closed_per_unit, ..
        } => {
            out.because = SwotReason::GapThatMoneyCloses;
            out.closed_per_unit = Some(closed_per_unit);
        }
        Because::PeerGrowsFaster {
            peer,
            difference,
            p_value,
        } => {
            out.because = SwotReason::PeerGrowsFaster;
            out.peer = snapshot.view.brands.get(peer).map(|b| b.id);
            (out.difference, out.p_value) = (Some(difference), Some(p_value));
        }
    }
    out
}

/// The brand's channels by what money in them does to its gap in the outcome.
fn closing(
    snapshot: &Snapshot,
    curves: &[ResponseCurve],
    place: usize,
    now: &BTreeMap<(BrandId, MetricId), f64>,
    cancel: &dyn Cancel,
) -> Result<Vec<GapClosing>, Cancelled> {
    let view = &snapshot.view;
    let brand = view.brands[place].id;
    let Some(outcome) = view.outcome() else {
        return Ok(Vec::new());
    };
    let values: Vec<f64> = view
        .brands
        .iter()
        .map(|b| now.get(&(b.id, outcome.id)).copied().unwrap_or(f64::NAN))
        .collect();
    let behind = gap::gaps(&values, outcome.direction, outcome.unit, cancel)?
        .into_iter()
        .find(|gap| gap.brand == place && gap.reference == Reference::Benchmark && gap.gap > 0.0);
    // A curve says what a unit of money earns; the margin says how much of the outcome that is.
    let margin = margins(view, &snapshot.table)
        .get(&brand)
        .copied()
        .filter(|margin| *margin > 0.0);
    let (Some(behind), Some(margin)) = (behind, margin) else {
        return Ok(Vec::new());
    };
    let own: Vec<&ResponseCurve> = curves.iter().filter(|c| c.brand == brand).collect();
    let levers: Vec<Lever> = own
        .iter()
        .map(|curve| Lever {
            brand: place,
            metric: 0,
            channel: curve.channel.to_string(),
            gap: behind.gap,
            weight: 1.0,
            marginal: curve.marginal_return / margin,
            draws: Vec::new(),
        })
        .collect();
    let closings = closings(&levers).into_iter().map(|found| {
        let curve = own[found.lever];
        let share = |earned: f64| earned / margin / behind.gap;
        GapClosing {
            channel: curve.channel,
            gap: behind.gap,
            closed_per_unit: found.closed_per_unit,
            closed80: Interval {
                low: share(curve.marginal_return80.low),
                high: share(curve.marginal_return80.high),
            },
            at_least: found.at_least,
        }
    });
    Ok(closings.collect())
}

fn pair((low, high): (f64, f64)) -> Interval {
    Interval { low, high }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use analytics::cancel::never;
    use chrono::Days;
    use domain::{id::ProjectId, metric::MetricUnit, series::MetricTable};

    use super::*;
    use crate::view::tests_support::{a_view, brand, channel, day, metric};

    /// Four brands over a year: Alder sells most and spends least, Cedar shrinks, the rival grows; money is earned in currency.
    fn snapshot() -> Snapshot {
        let mut table = MetricTable::default();
        let monday = day() - Days::new(6 + 7 * 51);
        for (name, sales, growth, spend) in [
            ("Alder", 400.0, 0.0, 10.0),
            ("Birch", 200.0, 0.0, 30.0),
            ("Cedar", 100.0, -0.01, 20.0),
            ("Rival", 300.0, 0.01, 40.0),
        ] {
            for (key, level, slope) in [("units_sold", sales, growth), ("spend_search", spend, 0.0)]
            {
                for week in 0..52u64 {
                    let unrest = 1.0 + 0.002 * ((week * week * 31 + week * 17) % 11) as f64;
                    let value = level * (slope * week as f64).exp() * unrest;
                    table.push(
                        ProjectId::derive(&["o", "north"]),
                        brand(name),
                        metric(key),
                        monday + Days::new(7 * week),
                        value,
                    );
                }
            }
        }
        let mut view = a_view();
        view.metrics[0].unit = MetricUnit::Currency;
        Snapshot {
            view,
            table: Arc::new(table),
            changes: Arc::default(),
            weeks: 52,
        }
    }

    fn curve(of: &str, earned: f64) -> ResponseCurve {
        let interval = Interval {
            low: 0.5 * earned,
            high: 1.5 * earned,
        };
        ResponseCurve {
            brand: brand("Cedar"),
            channel: channel(of),
            carry_over: 0.3,
            half: 10.0,
            shape: 1.0,
            scale: 50.0,
            current_spend: 20.0,
            marginal_return: earned,
            marginal_return80: interval,
            marginal_return95: interval,
            q_value: 0.01,
            warnings: Vec::new(),
        }
    }

    fn sound() -> Quality {
        Quality::new(Vec::new())
    }

    #[test]
    fn a_quiet_leader_has_less_voice_than_market() {
        let made = standing(&snapshot(), &sound(), &[], brand("Alder"), &never).expect("known");
        assert!((made.voice.share_of_voice.expect("known") - 0.1).abs() < 1e-9);
        assert!(
            made.voice.excess.expect("both known") < -0.2,
            "{:?}",
            made.voice
        );
        assert_eq!((made.voice.voices, made.voice.markets), (4, 4));
        assert!(
            made.swot
                .iter()
                .any(|e| e.kind == SwotKind::Strength && e.value > e.quartile)
        );
        let threat = made
            .swot
            .iter()
            .find(|e| e.kind == SwotKind::Threat)
            .expect("the rival grows");
        assert_eq!(
            (threat.peer, threat.because),
            (Some(brand("Rival")), SwotReason::PeerGrowsFaster)
        );
        assert!(made.closing.is_empty(), "who leads has no gap");
    }

    #[test]
    fn a_shrinking_brand_is_told_its_growth_and_where_money_helps_most() {
        let made = standing(
            &snapshot(),
            &sound(),
            &[curve("video", 0.2), curve("search", 1.2)],
            brand("Cedar"),
            &never,
        )
        .expect("known");
        let [sales] = made.momentum.as_slice() else {
            panic!("{made:#?}")
        };
        assert!(
            (sales.growth + 0.01).abs() < 0.003 && sales.growth95.high < 0.0,
            "{sales:?}"
        );
        assert!(sales.relative.expect("others") < -0.005);
        let reasons: Vec<SwotReason> = made.swot.iter().map(|e| e.because).collect();
        assert!(
            reasons.contains(&SwotReason::Falling)
                && reasons.contains(&SwotReason::BelowLowerQuartile),
            "{reasons:?}"
        );
        assert!(
            reasons.contains(&SwotReason::GapThatMoneyCloses),
            "{reasons:?}"
        );
        let best = made.closing[0];
        assert_eq!((best.channel, made.closing.len()), (channel("search"), 2));
        // A margin of 0.4: 1.2 of margin are 3 of sales.
        assert!(
            (best.closed_per_unit * best.gap - 3.0).abs() < 1e-9
                && best.closed80.low < best.closed_per_unit
        );
    }

    #[test]
    fn it_stops_when_nobody_waits_for_it_any_more() {
        let stopped = standing(&snapshot(), &sound(), &[], brand("Alder"), &|| true);
        assert!(matches!(stopped, Err(Error::Analysis(_))), "{stopped:?}");
    }

    #[test]
    fn nothing_is_said_of_a_brand_without_values() {
        use domain::Classify;
        let unknown = BrandId::derive(&["nowhere"]);
        assert_eq!(
            standing(&snapshot(), &sound(), &[], unknown, &never)
                .expect_err("unknown")
                .code(),
            "gap.no_data"
        );
    }
}
