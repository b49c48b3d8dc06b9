//! The parameters of one world and everything that is drawn independently of the plan.

use rand::Rng;

use domain::metric::MetricRole as Role;

use super::catalogue::{CHANNEL_COUNT, LINES, METRICS, OWN, RIVALS};
use super::curves::{Carry, Saturation};
use crate::rng::{Stream, autoregression, normal, normals, stream};

/// Weeks of history a world starts with.
pub const HISTORY: usize = 156;
/// Weeks that are drawn in advance: a world can be advanced until here.
pub const HORIZON: usize = 312;
/// Weeks in a year, for the season.
pub(super) const YEAR: f64 = 365.25 / 7.0;

/// What is planted in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The six facts are present.
    Planted,
    /// No cross-effect, no campaign, no indicator, every marginal return 1.
    Null,
}

/// One budget line: an own brand's spend in one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Typical weekly spend in currency.
    pub mean: f64,
    /// Carry-over.
    pub carry: Carry,
    /// Saturation of the carried spend.
    pub saturation: Saturation,
    /// Margin earned at saturation value one, in currency per week.
    pub coefficient: f64,
    /// Marginal return the coefficient is set to over the observed path.
    pub marginal_return: f64,
}

impl Line {
    /// Multiplies the spend scale and keeps the shape of the curve relative to it.
    pub(super) fn rescale(&mut self, factor: f64) {
        self.mean *= factor;
        match &mut self.saturation {
            Saturation::MichaelisMenten { half } | Saturation::Hill { half, .. } => *half *= factor,
            Saturation::Exponential { scale } | Saturation::Tanh { scale } => *scale *= factor,
            Saturation::Power { unit, .. } => *unit *= factor,
        }
    }
}

/// One own brand.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnBrand {
    /// Margin per unit sold, in currency.
    pub margin: f64,
    /// List price, in currency.
    pub price: f64,
    /// Margin per week without media, at average conditions.
    pub base: f64,
    /// Linear and quadratic trend over the history, relative to `base`.
    pub trend: [f64; 2],
    /// Sine and cosine of the first two harmonics, relative to `base`.
    pub season: [f64; 4],
    /// Effect of the category demand index, relative to `base`.
    pub demand: f64,
    /// Own price elasticity (positive number).
    pub elasticity: f64,
    /// Lift per unit of promotion depth beyond the price effect.
    pub promotion: f64,
    /// Cross elasticity to the mean rival price.
    pub rival_price: f64,
    /// Loss per log-point of each rival's media pressure.
    pub rival_pressure: [f64; RIVALS],
    /// Standard deviation of the noise in currency of margin.
    pub noise: f64,
    /// First-order autocorrelation of the noise.
    pub persistence: f64,
    /// Level shift: week and size relative to `base`.
    pub structural_break: Option<(usize, f64)>,
    /// One-off weeks: week and size relative to `base`.
    pub shocks: Vec<(usize, f64)>,
    /// Share of the brand in each project.
    pub shares: [f64; 3],
}

/// A signed cross-brand effect: `strength` of margin for `affected` per unit of margin that the driver's media earn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cross {
    /// Own brand whose media drive the effect.
    pub driver: usize,
    /// Own brand whose sales move.
    pub affected: usize,
    /// Currency of margin per currency of the driver's media margin.
    pub strength: f64,
}

/// A rival's burst of media pressure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Campaign {
    /// Position among the rivals.
    pub rival: usize,
    /// First week.
    pub start: usize,
    /// Number of weeks.
    pub weeks: usize,
    /// Rise of the logarithm of media pressure.
    pub log_lift: f64,
}

/// A metric that runs ahead of sales.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Indicator {
    /// Own brand.
    pub brand: usize,
    /// Position in the metric catalogue.
    pub metric: usize,
    /// Weeks by which the metric runs ahead.
    pub lag: usize,
    /// Sales change relative to the brand's base per relative change of the metric.
    pub strength: f64,
}

/// The planted facts of a world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts {
    /// Negative cross-effect.
    pub cannibal: Cross,
    /// Positive cross-effect.
    pub halo: Cross,
    /// Line (brand × channel) whose marginal return is far below one.
    pub saturated: usize,
    /// Line (brand × channel) whose marginal return is far above one.
    pub starved: usize,
    /// The rival's campaign.
    pub campaign: Campaign,
    /// The leading indicator.
    pub indicator: Indicator,
}

/// Series that no plan changes, each [`HORIZON`] long.
#[derive(Debug, Clone, PartialEq)]
pub struct Exogenous {
    /// Category demand index around one.
    pub demand: Vec<f64>,
    /// Log of price paid over list price, own brands then rivals.
    pub log_price: Vec<Vec<f64>>,
    /// Promotion depth 0..1, own brands then rivals.
    pub depth: Vec<Vec<f64>>,
    /// Log media pressure of rivals around zero, before any campaign.
    pub pressure: Vec<Vec<f64>>,
    /// Relative deviation of every health metric, `[brand][metric]`; empty for metrics that are not exogenous.
    pub health: Vec<Vec<Vec<f64>>>,
    /// Unit-variance noise of sales, own brands then rivals.
    pub noise: Vec<Vec<f64>>,
    /// Weekly flighting multiplier of every line, around one.
    pub flight: Vec<Vec<f64>>,
}

/// All parameters of a world.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Whether curves come from families the default fit does not use, noise is autocorrelated and spend reacts to sales.
    pub unfamiliar: bool,
    /// Reaction of spend to last week's relative sales surprise.
    pub reaction: f64,
    /// Own brands.
    pub brands: Vec<OwnBrand>,
    /// Budget lines, `brand × CHANNEL_COUNT + channel`.
    pub lines: Vec<Line>,
    /// Planted facts, if any.
    pub facts: Option<Facts>,
    /// Everything drawn in advance.
    pub exogenous: Exogenous,
}

/// Spread of health metrics: relative standard deviation and persistence, by metric key.
pub(super) fn health_shape(key: &str) -> Option<(f64, f64, f64)> {
    // level, relative standard deviation, persistence
    Some(match key {
        "availability" => (94.0, 0.012, 0.4),
        "review_rating" => (4.3, 0.01, 0.7),
        "branded_search" => (60.0, 0.12, 0.5),
        "organic_rank" => (9.0, 0.15, 0.6),
        "site_visits" => (48_000.0, 0.14, 0.4),
        "conversion_rate" => (2.6, 0.10, 0.3),
        "page_load" => (2.4, 0.10, 0.5),
        "net_sentiment" => (35.0, 0.14, 0.5),
        "brand_mentions" => (3_200.0, 0.18, 0.4),
        "engagement_rate" => (1.9, 0.14, 0.4),
        "complaint_rate" => (6.0, 0.18, 0.3),
        _ => return None,
    })
}

/// Metrics among which a leading indicator is planted.
const LEADING: [&str; 5] = [
    "branded_search",
    "net_sentiment",
    "brand_mentions",
    "engagement_rate",
    "site_visits",
];

/// Draws a world's parameters. Strengths of planted facts are first guesses, to be sized by the oracle.
pub(super) fn draw(seed: u64, kind: Kind) -> Spec {
    let unfamiliar = seed.is_multiple_of(2);
    let tag = match kind {
        Kind::Planted => 1,
        Kind::Null => 2,
    };
    let rng = &mut stream(seed, &[tag, 0]);
    let mut order: Vec<usize> = (0..OWN).collect();
    for i in (1..OWN).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    let brands: Vec<OwnBrand> = (0..OWN)
        .map(|b| brand(rng, unfamiliar, order[6] == b || order[0] == b))
        .collect();
    let saturated = order[4] * CHANNEL_COUNT + rng.random_range(0..CHANNEL_COUNT);
    let starved = order[5] * CHANNEL_COUNT + rng.random_range(0..CHANNEL_COUNT);
    let campaign_weeks = rng.random_range(8..=14);
    let facts = Facts {
        cannibal: Cross {
            driver: order[0],
            affected: order[1],
            strength: -0.5,
        },
        halo: Cross {
            driver: order[2],
            affected: order[3],
            strength: 0.5,
        },
        saturated,
        starved,
        campaign: Campaign {
            rival: rng.random_range(0..RIVALS),
            start: rng.random_range(60..=HISTORY - 2 * campaign_weeks),
            weeks: campaign_weeks,
            log_lift: 0.5,
        },
        indicator: Indicator {
            brand: order[7],
            metric: super::catalogue::metric_index(LEADING[rng.random_range(0..LEADING.len())]),
            lag: rng.random_range(2..=7),
            strength: 0.15,
        },
    };
    let facts = (kind == Kind::Planted).then_some(facts);
    let lines = (0..LINES)
        .map(|l| {
            line(
                rng,
                unfamiliar,
                &brands[l / CHANNEL_COUNT],
                l,
                facts.as_ref(),
            )
        })
        .collect();
    Spec {
        unfamiliar,
        reaction: if unfamiliar { 0.8 } else { 0.0 },
        brands,
        lines,
        facts,
        exogenous: exogenous(seed, tag),
    }
}

fn brand(rng: &mut Stream, unfamiliar: bool, broken: bool) -> OwnBrand {
    let spend = 10_000.0 * (0.3 * normal(rng)).exp();
    let base = 26.0 * spend;
    let margin = rng.random_range(2.0..8.0);
    let mut shares = [0.0; 3];
    shares
        .iter_mut()
        .for_each(|s| *s = rng.random_range(0.7..1.3));
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|s| *s /= sum);
    let mut rival_pressure = [0.0; RIVALS];
    rival_pressure
        .iter_mut()
        .for_each(|p| *p = rng.random_range(0.01..0.05));
    let shock_count = rng.random_range(1..=2);
    OwnBrand {
        margin,
        price: margin * rng.random_range(2.2..3.2),
        base,
        trend: [rng.random_range(-0.08..0.14), rng.random_range(-0.05..0.05)],
        season: [
            0.07 * normal(rng),
            0.07 * normal(rng),
            0.025 * normal(rng),
            0.025 * normal(rng),
        ],
        demand: rng.random_range(0.4..0.9),
        elasticity: rng.random_range(1.2..2.4),
        promotion: rng.random_range(0.3..0.9),
        rival_price: rng.random_range(0.1..0.5),
        rival_pressure,
        noise: 0.8 * spend,
        persistence: if unfamiliar {
            rng.random_range(0.25..0.55)
        } else {
            0.0
        },
        structural_break: broken.then(|| {
            let size: f64 = rng.random_range(0.08..0.14);
            (
                rng.random_range(40..120),
                if rng.random::<bool>() { size } else { -size },
            )
        }),
        shocks: (0..shock_count)
            .map(|_| {
                (
                    rng.random_range(15..HISTORY - 8),
                    -rng.random_range(0.2..0.35),
                )
            })
            .collect(),
        shares,
    }
}

fn line(
    rng: &mut Stream,
    unfamiliar: bool,
    brand: &OwnBrand,
    index: usize,
    facts: Option<&Facts>,
) -> Line {
    let mean = brand.base / 26.0 * rng.random_range(0.7..1.4);
    let carry = if unfamiliar {
        match rng.random_range(0..3) {
            0 => Carry::Delayed {
                retention: rng.random_range(0.35..0.65),
                peak: rng.random_range(0.4..1.4),
            },
            1 => Carry::Weibull {
                scale: rng.random_range(1.2..2.8),
                shape: rng.random_range(0.8..1.8),
            },
            _ => Carry::Geometric {
                retention: rng.random_range(0.15..0.6),
            },
        }
    } else {
        Carry::Geometric {
            retention: rng.random_range(0.15..0.6),
        }
    };
    let saturated = facts.is_some_and(|f| f.saturated == index);
    let starved = facts.is_some_and(|f| f.starved == index);
    // Three draws whatever the line is, so that planting moves no other number.
    let (u, family) = (
        rng.random::<f64>(),
        if unfamiliar {
            rng.random_range(0..4)
        } else {
            4
        },
    );
    let ordinary = normal(rng);
    let pick = |low: f64, high: f64| low + u * (high - low);
    let saturation = match family {
        0 => Saturation::Hill {
            half: mean
                * if saturated {
                    pick(0.3, 0.4)
                } else if starved {
                    pick(1.6, 2.2)
                } else {
                    pick(0.8, 1.6)
                },
            slope: 1.3 + 0.4 * u,
        },
        1 => Saturation::Exponential {
            scale: mean
                * shape(
                    saturated,
                    starved,
                    &pick,
                    (0.35, 0.5),
                    (3.5, 5.0),
                    (1.0, 2.5),
                ),
        },
        2 => Saturation::Tanh {
            scale: mean
                * shape(
                    saturated,
                    starved,
                    &pick,
                    (0.5, 0.65),
                    (3.5, 5.0),
                    (1.2, 2.6),
                ),
        },
        3 => Saturation::Power {
            exponent: shape(
                saturated,
                starved,
                &pick,
                (0.2, 0.3),
                (0.8, 0.9),
                (0.5, 0.75),
            ),
            unit: mean,
        },
        _ => Saturation::MichaelisMenten {
            half: mean
                * shape(
                    saturated,
                    starved,
                    &pick,
                    (0.2, 0.35),
                    (3.5, 5.0),
                    (0.9, 2.5),
                ),
        },
    };
    let marginal_return = if saturated {
        pick(0.1, 0.25)
    } else if starved {
        pick(2.6, 3.3)
    } else if facts.is_some() {
        (0.18 * ordinary).exp()
    } else {
        1.0
    };
    Line {
        mean,
        carry,
        saturation,
        coefficient: mean,
        marginal_return,
    }
}

fn shape(
    saturated: bool,
    starved: bool,
    pick: &impl Fn(f64, f64) -> f64,
    low: (f64, f64),
    high: (f64, f64),
    ordinary: (f64, f64),
) -> f64 {
    let range = if saturated {
        low
    } else if starved {
        high
    } else {
        ordinary
    };
    pick(range.0, range.1)
}

fn exogenous(seed: u64, tag: u64) -> Exogenous {
    let open = |purpose: u64, index: usize| stream(seed, &[tag, purpose, index as u64]);
    let demand: Vec<f64> = autoregression(&mut open(1, 0), 0.85, HORIZON)
        .iter()
        .enumerate()
        .map(|(t, z)| 1.0 + 0.07 * z + holiday(t))
        .collect();
    let mut log_price = Vec::new();
    let mut depth = Vec::new();
    for b in 0..OWN + RIVALS {
        let (price, promotion) = prices(&mut open(2, b));
        log_price.push(price);
        depth.push(promotion);
    }
    let pressure = (0..RIVALS)
        .map(|r| {
            let rng = &mut open(3, r);
            let phase = rng.random_range(0.0..std::f64::consts::TAU);
            autoregression(rng, 0.3, HORIZON)
                .iter()
                .enumerate()
                .map(|(t, z)| {
                    0.22 * z + 0.15 * (std::f64::consts::TAU * t as f64 / YEAR + phase).sin()
                })
                .collect()
        })
        .collect();
    let health = (0..OWN + RIVALS)
        .map(|b| {
            METRICS
                .iter()
                .enumerate()
                .map(|(m, metric)| match health_shape(metric.key) {
                    Some((_, spread, persistence)) if metric.role == Role::Health => {
                        let rng = &mut open(100 + m as u64, b);
                        let (phase, season) = (
                            rng.random_range(0.0..std::f64::consts::TAU),
                            rng.random_range(0.0..0.6),
                        );
                        autoregression(rng, persistence, HORIZON)
                            .iter()
                            .enumerate()
                            .map(|(t, z)| {
                                let wave = (std::f64::consts::TAU * t as f64 / YEAR + phase).sin();
                                spread * (z.clamp(-3.0, 3.0) + season * wave)
                            })
                            .collect()
                    }
                    _ => Vec::new(),
                })
                .collect()
        })
        .collect();
    let noise = (0..OWN + RIVALS)
        .map(|b| normals(&mut open(4, b), HORIZON))
        .collect();
    let flight = (0..LINES)
        .map(|l| flights(&mut open(5, l), &demand))
        .collect();
    Exogenous {
        demand,
        log_price,
        depth,
        pressure,
        health,
        noise,
        flight,
    }
}

/// The rise of category demand before the year's end; history starts on the first Monday of November.
fn holiday(week: usize) -> f64 {
    let in_year = (week as f64) % YEAR;
    if (5.0..8.0).contains(&in_year) {
        0.12
    } else {
        0.0
    }
}

/// Regular price steps with short promotions: log price against list, and promotion depth.
fn prices(rng: &mut Stream) -> (Vec<f64>, Vec<f64>) {
    let mut log_price = Vec::with_capacity(HORIZON);
    let mut depth = Vec::with_capacity(HORIZON);
    let (mut regular, mut left, mut cut) = (0.0f64, 0usize, 0.0f64);
    for _ in 0..HORIZON {
        if rng.random::<f64>() < 0.04 {
            regular = (regular + 0.04 * normal(rng)).clamp(-0.12, 0.12);
        }
        if left == 0 && rng.random::<f64>() < 0.08 {
            left = rng.random_range(1..=3);
            cut = rng.random_range(0.08..0.25);
        }
        let now = if left > 0 { cut } else { 0.0 };
        left = left.saturating_sub(1);
        log_price.push(regular + (1.0 - now).ln() + 0.01 * normal(rng));
        depth.push(now);
    }
    (log_price, depth)
}

/// Flighting: bursts and pauses of two to six weeks, weekly unrest, and a budget that follows category demand.
fn flights(rng: &mut Stream, demand: &[f64]) -> Vec<f64> {
    let (mut left, mut level) = (0usize, 1.0f64);
    demand
        .iter()
        .map(|d| {
            if left == 0 {
                left = rng.random_range(2..=6);
                level = rng.random_range(0.5..1.5);
            }
            left -= 1;
            level * (0.35 * normal(rng) - 0.06).exp() * d.powf(0.8)
        })
        .collect()
}
