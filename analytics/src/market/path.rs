//! Runs a world forward: spend, media effects and sales, week by week.

use super::catalogue::{CHANNEL_COUNT, LINES, OWN};
use super::curves::REACH;
use super::spec::{HISTORY, Spec, YEAR};

/// What happened in a world so far. Money is currency of margin unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Spend per line and week, currency.
    pub spend: Vec<Vec<f64>>,
    /// Margin earned by each line's media on its own brand.
    pub media: Vec<Vec<f64>>,
    /// Margin of sales of each own brand, noise included.
    pub sales: Vec<Vec<f64>>,
}

/// Spend of all lines for a number of weeks after the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Length in weeks.
    pub weeks: usize,
    /// Weekly spend of every line.
    pub spend: Vec<f64>,
}

/// Own brand's margin in week `t` without media, cross-effects, indicator and noise.
pub(super) fn baseline(spec: &Spec, b: usize, t: usize) -> f64 {
    let brand = &spec.brands[b];
    let x = &spec.exogenous;
    let tau = t as f64 / HISTORY as f64;
    let angle = std::f64::consts::TAU * t as f64 / YEAR;
    let s = &brand.season;
    let season = s[0] * angle.sin()
        + s[1] * angle.cos()
        + s[2] * (2.0 * angle).sin()
        + s[3] * (2.0 * angle).cos();
    let rivals = &x.log_price[OWN..];
    let rival_price = rivals.iter().map(|p| p[t]).sum::<f64>() / rivals.len() as f64;
    let pressure: f64 = brand
        .rival_pressure
        .iter()
        .enumerate()
        .map(|(r, k)| k * pressure(spec, r, t))
        .sum();
    let mut relative = 1.0 + brand.trend[0] * tau + brand.trend[1] * tau * tau + season;
    relative += brand.demand * (x.demand[t] - 1.0);
    relative -= brand.elasticity * x.log_price[b][t];
    relative += brand.promotion * x.depth[b][t] + brand.rival_price * rival_price - pressure;
    if let Some((week, size)) = brand.structural_break
        && t >= week
    {
        relative += size;
    }
    relative += brand
        .shocks
        .iter()
        .filter(|(week, _)| *week == t)
        .map(|(_, size)| size)
        .sum::<f64>();
    brand.base * relative
}

/// Log media pressure of a rival, campaign included.
pub(super) fn pressure(spec: &Spec, rival: usize, t: usize) -> f64 {
    let mut value = spec.exogenous.pressure[rival][t];
    if let Some(facts) = &spec.facts {
        let c = facts.campaign;
        if c.rival == rival && (c.start..c.start + c.weeks).contains(&t) {
            value += c.log_lift;
        }
    }
    value
}

/// Relative effect of the leading indicator on brand `b` in week `t`.
pub(super) fn led(spec: &Spec, b: usize, t: usize) -> f64 {
    match &spec.facts {
        Some(f) if f.indicator.brand == b && t >= f.indicator.lag => {
            spec.exogenous.health[b][f.indicator.metric][t - f.indicator.lag]
        }
        _ => 0.0,
    }
}

/// Simulates `weeks` weeks; weeks after the history follow `segments`.
pub(super) fn simulate(spec: &Spec, segments: &[Segment], weeks: usize) -> Path {
    let mut spend = vec![Vec::new(); LINES];
    let mut media = vec![Vec::new(); LINES];
    let mut sales: Vec<Vec<f64>> = vec![Vec::new(); OWN];
    let weights: Vec<[f64; REACH]> = spec.lines.iter().map(|l| l.carry.weights()).collect();
    let mut noise = [0.0; OWN];
    for t in 0..weeks {
        let planned = planned(segments, t);
        for (l, line) in spec.lines.iter().enumerate() {
            let x = match planned {
                Some(plan) => plan[l],
                None => {
                    line.mean
                        * spec.exogenous.flight[l][t]
                        * reaction(spec, &sales[l / CHANNEL_COUNT])
                }
            };
            spend[l].push(x);
            media[l].push(
                line.coefficient
                    * line
                        .saturation
                        .value(carried(&weights[l], &spend[l], t, line.mean)),
            );
        }
        let earned: Vec<f64> = (0..OWN)
            .map(|b| {
                media[b * CHANNEL_COUNT..(b + 1) * CHANNEL_COUNT]
                    .iter()
                    .map(|m| m[t])
                    .sum()
            })
            .collect();
        for (b, brand) in spec.brands.iter().enumerate() {
            let innovation = spec.exogenous.noise[b][t];
            noise[b] = if t == 0 {
                innovation
            } else {
                brand.persistence * noise[b]
                    + (1.0 - brand.persistence * brand.persistence).sqrt() * innovation
            };
            let mut y = baseline(spec, b, t) + earned[b] + brand.noise * noise[b];
            if let Some(facts) = &spec.facts {
                for cross in [facts.cannibal, facts.halo] {
                    if cross.affected == b {
                        y += cross.strength * earned[cross.driver];
                    }
                }
                if facts.indicator.brand == b {
                    y += facts.indicator.strength * brand.base * led(spec, b, t);
                }
            }
            sales[b].push(y.max(0.05 * brand.base));
        }
    }
    Path {
        spend,
        media,
        sales,
    }
}

/// Carried spend of week `t`; weeks before the history had the line's typical spend.
pub(super) fn carried(weights: &[f64; REACH], spend: &[f64], t: usize, before: f64) -> f64 {
    weights
        .iter()
        .enumerate()
        .map(|(lag, w)| w * if t >= lag { spend[t - lag] } else { before })
        .sum()
}

fn planned(segments: &[Segment], t: usize) -> Option<&[f64]> {
    let mut start = HISTORY;
    segments.iter().find_map(|s| {
        let inside = (start..start + s.weeks).contains(&t);
        start += s.weeks;
        inside.then_some(s.spend.as_slice())
    })
}

/// Budget holders look at last week's sales against the eight weeks before.
fn reaction(spec: &Spec, sales: &[f64]) -> f64 {
    let t = sales.len();
    if spec.reaction == 0.0 || t < 9 {
        return 1.0;
    }
    let usual = sales[t - 9..t - 1].iter().sum::<f64>() / 8.0;
    1.0 + (spec.reaction * (sales[t - 1] / usual - 1.0)).clamp(-0.3, 0.3)
}
