//! One metric of many brands, compared pair by pair: what moves together now, what moves first, which links are direct, how
//! stable they are, and which brands belong together.
//!
//! Brands share trend, season and their own inertia, and correlate by those alone. So every series is put in logarithms where it
//! can be, freed from trend and season, and from its own autocorrelation, before it is compared. A brand that hardly moves on its
//! own after that can be compared with nothing: its pairs are named as such and are in no family of tests.

use std::f64::consts::TAU;

use super::{
    CorrelationError, GrangerParams, SeriesBlock, SharedCancel, StabilityParams, blocks, clusters,
    granger::{LEAST_BRANDS, across_brands, granger},
    lagged, partial, prewhitened, shrunk, stability,
};
use crate::{
    cancel::Cancelled,
    inference::{benjamini_hochberg, two_sided_p},
    linear::{dot, orthonormal, remove},
};

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StudyParams {
    /// Most periods by which one brand may move before another, at least 1.
    pub lags: usize,
    /// Degree of the trend that is taken out.
    pub trend: usize,
    /// Harmonics of the season that are taken out.
    pub harmonics: usize,
    /// Periods of a year.
    pub year: f64,
    /// Order of the autoregression that is taken out.
    pub order: usize,
    /// Smallest standard deviation, as a share of the series' level, that is left of a series that can be compared.
    pub least_variation: f64,
    /// Largest q-value of a link.
    pub false_discovery_rate: f64,
    /// Smallest size of a correlation that counts as there again in a drawn history.
    pub least_size: f64,
    /// Most groups of brands.
    pub most_groups: usize,
    /// Histories drawn for the stability, at least 2.
    pub replications: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl StudyParams {
    /// The usual settings for series with this many periods in a year.
    #[must_use]
    pub fn new(year: f64, seed: u64) -> Self {
        Self {
            lags: 4,
            trend: 1,
            harmonics: 2,
            year,
            order: 2,
            least_variation: 0.01,
            false_discovery_rate: 0.10,
            least_size: 0.1,
            most_groups: 8,
            replications: 200,
            seed,
        }
    }
}

/// What is said of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// They move in the same direction.
    Together,
    /// They move in opposite directions.
    Apart,
    /// No link could be told from chance at the stated false-discovery rate.
    NoEvidence,
    /// One of them hardly moves on its own.
    NotIdentifiable,
}

/// Whether one brand's past helps to tell the other's next value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ahead {
    /// Sum of the coefficients of the past, in units of the compared series (of logarithms: percent per percent).
    pub total: f64,
    /// Lag with the largest coefficient.
    pub lag: usize,
    /// p-value of the test of all lags.
    pub p_value: f64,
    /// Benjamini–Hochberg q-value over every ordered pair.
    pub q_value: f64,
}

/// Two series compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The one that moves first, or at the same time.
    pub leader: usize,
    /// The other.
    pub follower: usize,
    /// Periods between them, where they are correlated most.
    pub lag: usize,
    /// The correlation there; `None` where it cannot be told.
    pub correlation: Option<f64>,
    /// Correlation in the same period, shrunk towards none as far as it is uncertain.
    pub shrunk: Option<f64>,
    /// Correlation in the same period given all other series; `None` with too many series.
    pub partial: Option<f64>,
    /// p-value at that lag, corrected for the lags that were looked at; 1 where it cannot be told.
    pub p_value: f64,
    /// Benjamini–Hochberg q-value over every pair that can be told; 1 for the others.
    pub q_value: f64,
    /// Share of drawn histories in which the correlation at that lag was there again; `None` for a lagged pair without a link.
    pub stability: Option<f64>,
    /// Whether the leader's past helps to tell the follower.
    pub ahead: Option<Ahead>,
    /// Whether the follower's past helps to tell the leader.
    pub behind: Option<Ahead>,
    /// The conclusion.
    pub link: Link,
}

/// Brands that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// Group of every series, numbered from 0; `None` for one that hardly moves.
    pub of: Vec<Option<usize>>,
    /// Mean silhouette, −1 to 1: below 0.25 there are no groups to speak of.
    pub silhouette: f64,
}

/// What the comparison found.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Every pair, the surest first.
    pub pairs: Vec<Pair>,
    /// Groups; `None` with fewer than three series that move.
    pub groups: Option<Groups>,
    /// Standard deviation of what is left of every series, as a share of its level.
    pub variation: Vec<f64>,
    /// Whether logarithms were compared.
    pub logarithms: bool,
    /// Whether the averages of the other brands stood beside each test of what runs ahead.
    pub averages: bool,
    /// Shrinkage of the correlations, 0 to 1; `None` with fewer than two series that move.
    pub shrinkage: Option<f64>,
    /// Periods that were compared.
    pub periods: usize,
}

/// Compares every pair of the block's series.
///
/// # Errors
/// [`CorrelationError::TooFewSeries`] below two series, [`CorrelationError::TooShort`] when fewer than twenty periods would be
/// left after trend, season, autocorrelation and lags, [`CorrelationError::Unusable`] for absent values,
/// [`CorrelationError::Parameter`], [`CorrelationError::Cancelled`].
pub fn study(
    block: &SeriesBlock,
    params: &StudyParams,
    threads: usize,
    cancel: SharedCancel,
) -> Result<Study, CorrelationError> {
    let (count, length) = (block.count(), block.length());
    if count < 2 {
        return Err(CorrelationError::TooFewSeries {
            what: "a comparison",
            least: 2,
            got: count,
        });
    }
    if params.lags == 0 {
        return Err(CorrelationError::Parameter {
            parameter: "the number of lags",
            range: "at least 1",
        });
    }
    if let Some(series) = block.iter().position(|s| s.iter().any(|v| !v.is_finite())) {
        return Err(CorrelationError::Unusable { series });
    }
    let calendar = calendar(length, params);
    let taken = calendar.len() + 2 * params.order + params.lags;
    if length < taken + 20 {
        return Err(CorrelationError::TooShort {
            what: "a comparison",
            least: taken + 20,
            got: length,
        });
    }
    cancel.check()?;
    let logarithms = block.values().iter().all(|v| *v > 0.0);
    let levels: Vec<Vec<f64>> = block
        .iter()
        .map(|series| match logarithms {
            true => series.iter().map(|v| v.ln()).collect(),
            false => series.to_vec(),
        })
        .collect();
    let basis = orthonormal(&calendar);
    let freed: Vec<Vec<f64>> = levels
        .iter()
        .map(|series| {
            let mut rest = series.clone();
            remove(&mut rest, &basis);
            remove(&mut rest, &basis);
            rest
        })
        .collect();
    let variation: Vec<f64> = freed
        .iter()
        .zip(block.iter())
        .map(|(rest, series)| {
            let spread = (dot(rest, rest) / (length - basis.len()) as f64).sqrt();
            let level = (dot(series, series) / length as f64).sqrt();
            match (logarithms, level > 0.0) {
                (true, _) => spread,
                (false, true) => spread / level,
                (false, false) => 0.0,
            }
        })
        .collect();
    let moving: Vec<usize> = (0..count)
        .filter(|i| variation[*i] >= params.least_variation)
        .collect();
    let mut study = Study {
        pairs: Vec::new(),
        groups: None,
        logarithms,
        averages: moving.len() >= LEAST_BRANDS,
        shrinkage: None,
        periods: length - params.order,
        variation,
    };
    if moving.len() >= 2 {
        let of = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
            moving.iter().map(|i| rows[*i].clone()).collect()
        };
        let white = prewhitened(&SeriesBlock::from_series(&of(&freed))?, params.order)?;
        let dof = (white.length() - basis.len()) as f64 - 2.0;
        compare(&white, &moving, dof, params, threads, cancel, &mut study)?;
        let tested = SeriesBlock::from_series(&of(&levels))?;
        run_ahead(
            &tested,
            &moving,
            &calendar[1..],
            params,
            threads,
            cancel,
            &mut study,
        )?;
    }
    let moves = |i: usize| moving.binary_search(&i).is_ok();
    for leader in 0..count {
        for follower in leader + 1..count {
            if !(moves(leader) && moves(follower)) {
                study.pairs.push(Pair {
                    leader,
                    follower,
                    lag: 0,
                    correlation: None,
                    shrunk: None,
                    partial: None,
                    p_value: 1.0,
                    q_value: 1.0,
                    stability: None,
                    ahead: None,
                    behind: None,
                    link: Link::NotIdentifiable,
                });
            }
        }
    }
    Ok(study)
}

/// A constant, the trend and the season.
fn calendar(length: usize, params: &StudyParams) -> Vec<Vec<f64>> {
    let place = |t: usize| 2.0 * t as f64 / (length.max(2) - 1) as f64 - 1.0;
    let mut columns: Vec<Vec<f64>> = (0..=params.trend)
        .map(|power| (0..length).map(|t| place(t).powi(power as i32)).collect())
        .collect();
    // A season that is not seen once is part of the trend; a wave of fewer than two periods is none.
    for k in (1..=params.harmonics)
        .filter(|k| length as f64 >= params.year && params.year / *k as f64 > 2.0)
    {
        let angle = |t: usize| TAU * k as f64 * t as f64 / params.year;
        columns.push((0..length).map(|t| angle(t).sin()).collect());
        columns.push((0..length).map(|t| angle(t).cos()).collect());
    }
    columns
}

/// Correlations, q-values, stability and groups of the series that move.
fn compare(
    white: &SeriesBlock,
    moving: &[usize],
    dof: f64,
    params: &StudyParams,
    threads: usize,
    cancel: SharedCancel,
    study: &mut Study,
) -> Result<(), CorrelationError> {
    let n = moving.len();
    let by_lag = lagged(white, params.lags, threads, cancel)?;
    let narrow = shrunk(white, threads, cancel)?;
    let direct = match partial(white, threads, cancel) {
        Ok(partial) => Some(partial),
        Err(CorrelationError::Cancelled(stop)) => return Err(stop.into()),
        Err(_) => None,
    };
    let draws = StabilityParams {
        replications: params.replications,
        block_length: None,
        seed: params.seed,
    };
    let now = stability(white, &draws, threads, cancel)?;
    let looked_at = (2 * params.lags + 1) as f64;
    let mut pairs = Vec::with_capacity(n * (n - 1) / 2);
    for a in 0..n {
        cancel.check()?;
        for b in a + 1..n {
            let together = by_lag.get(0, a, b).map(|r| (a, b, 0, r));
            let first = by_lag.strongest(a, b).map(|(lag, r)| (a, b, lag, r));
            let second = by_lag.strongest(b, a).map(|(lag, r)| (b, a, lag, r));
            let strongest = [together, first, second]
                .into_iter()
                .flatten()
                .reduce(|best, next| {
                    if next.3.abs() > best.3.abs() {
                        next
                    } else {
                        best
                    }
                });
            let Some((leader, follower, lag, r)) = strongest else {
                continue;
            };
            let dof = dof - lag as f64;
            let p = if r.abs() < 1.0 {
                two_sided_p(r * (dof / (1.0 - r * r)).sqrt(), dof)
            } else {
                0.0
            };
            let stable = (lag == 0).then(|| now.share(a, b, params.least_size));
            pairs.push(Pair {
                leader: moving[leader],
                follower: moving[follower],
                lag,
                correlation: Some(r),
                shrunk: narrow.correlations.get(a, b),
                partial: direct.as_ref().and_then(|d| d.correlations.get(a, b)),
                // The best of several looks (Šidák 1967).
                p_value: -f64::exp_m1(looked_at * f64::ln_1p(-p.min(1.0 - f64::EPSILON))),
                q_value: 1.0,
                stability: stable.flatten(),
                ahead: None,
                behind: None,
                link: Link::NoEvidence,
            });
        }
    }
    let p: Vec<f64> = pairs.iter().map(|pair| pair.p_value).collect();
    for (pair, q) in pairs.iter_mut().zip(benjamini_hochberg(&p)) {
        pair.q_value = q;
        if q <= params.false_discovery_rate {
            pair.link = if pair.correlation.is_some_and(|r| r < 0.0) {
                Link::Apart
            } else {
                Link::Together
            };
        }
    }
    // Only a link is worth the histories of a shifted pair.
    let linked: Vec<&mut Pair> = pairs
        .iter_mut()
        .filter(|pair| pair.lag > 0 && pair.link != Link::NoEvidence)
        .collect();
    let place = |series: usize| moving.iter().position(|m| *m == series);
    blocks::each(linked, threads, cancel, |pair| {
        if let (Some(leader), Some(follower)) = (place(pair.leader), place(pair.follower)) {
            let end = white.length() - pair.lag;
            pair.stability = SeriesBlock::from_series(&[
                &white.series(leader)[..end],
                &white.series(follower)[pair.lag..],
            ])
            .and_then(|shifted| stability(&shifted, &draws, 1, cancel))
            .map_err(|_| Cancelled)?
            .share(0, 1, params.least_size);
        }
        Ok(())
    })?;
    pairs.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
    study.pairs = pairs;
    study.shrinkage = Some(narrow.shrinkage);
    if n >= 3 {
        let distances = super::cluster::distances(&narrow.correlations)?;
        let made = clusters(&distances, n, params.most_groups.max(2))?;
        let mut of = vec![None; study.variation.len()];
        for (place, group) in moving.iter().zip(made.groups) {
            of[*place] = Some(group);
        }
        study.groups = Some(Groups {
            of,
            silhouette: made.silhouette,
        });
    }
    Ok(())
}

/// Tests whose past helps to tell whom, where the periods suffice for it.
fn run_ahead(
    levels: &SeriesBlock,
    moving: &[usize],
    controls: &[Vec<f64>],
    params: &StudyParams,
    threads: usize,
    cancel: SharedCancel,
    study: &mut Study,
) -> Result<(), CorrelationError> {
    let how = GrangerParams {
        lags: params.lags,
        averages: study.averages,
    };
    let tests = match granger(levels, levels, controls, &how, threads, cancel) {
        Ok(tests) => tests,
        Err(CorrelationError::TooShort { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let found: std::collections::BTreeMap<(usize, usize), Ahead> = across_brands(&tests)
        .into_iter()
        .map(|(test, q_value)| {
            let ahead = Ahead {
                total: test.total,
                lag: test.lag,
                p_value: test.p_value,
                q_value,
            };
            ((moving[test.cause], moving[test.target]), ahead)
        })
        .collect();
    for pair in &mut study.pairs {
        pair.ahead = found.get(&(pair.leader, pair.follower)).copied();
        pair.behind = found.get(&(pair.follower, pair.leader)).copied();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cancel::never, rng};

    /// Six brands over 160 weeks with trend and season: 1 follows 0 two weeks later, 3 mirrors 2, 4 is alone, 5 hardly moves.
    fn world(seed: u64) -> SeriesBlock {
        let n = 160;
        let mut random = rng::stream(seed, &[]);
        let mut noise = || -> Vec<f64> { (0..n).map(|_| rng::normal(&mut random)).collect() };
        let rows: Vec<Vec<f64>> = (0..6).map(|_| noise()).collect();
        let moved = |brand: usize, t: usize| match brand {
            1 if t >= 2 => 0.7 * rows[0][t - 2] + 0.5 * rows[1][t],
            3 => -0.7 * rows[2][t] + 0.5 * rows[3][t],
            5 => 0.01 * rows[5][t],
            _ => rows[brand][t],
        };
        let series: Vec<Vec<f64>> = (0..6)
            .map(|brand| {
                (0..n)
                    .map(|t| {
                        let season = 0.3 * (TAU * t as f64 / 52.0).sin();
                        (5.0 + 0.004 * t as f64 + season + 0.1 * moved(brand, t)).exp()
                    })
                    .collect()
            })
            .collect();
        SeriesBlock::from_series(&series).expect("equal lengths")
    }

    fn pair(study: &Study, a: usize, b: usize) -> &Pair {
        let is = |p: &&Pair| (p.leader.min(p.follower), p.leader.max(p.follower)) == (a, b);
        study.pairs.iter().find(is).expect("every pair is there")
    }

    #[test]
    fn what_was_planted_is_found_with_its_lag_its_sign_and_its_stability() {
        let made = study(&world(3), &StudyParams::new(52.0, 7), 1, &never).expect("sound");
        let led = pair(&made, 0, 1);
        assert_eq!(
            (led.leader, led.follower, led.lag, led.link),
            (0, 1, 2, Link::Together),
            "{led:?}"
        );
        assert!(led.stability.expect("drawn") > 0.95, "{led:?}");
        assert!(
            led.ahead.expect("tested").q_value < 0.01 && led.behind.expect("tested").q_value > 0.05,
            "{led:?}"
        );
        let mirrored = pair(&made, 2, 3);
        assert_eq!(
            (mirrored.lag, mirrored.link),
            (0, Link::Apart),
            "{mirrored:?}"
        );
        assert!(mirrored.partial.expect("few series") < -0.5, "{mirrored:?}");
        assert_eq!(made.pairs.len(), 15);
    }

    #[test]
    fn trend_and_season_that_all_share_are_no_link() {
        let mut found = 0;
        for seed in 10..20 {
            let made = study(&world(seed), &StudyParams::new(52.0, 7), 1, &never).expect("sound");
            let unrelated = [
                (0, 2),
                (0, 3),
                (0, 4),
                (1, 2),
                (1, 3),
                (1, 4),
                (2, 4),
                (3, 4),
            ];
            let links = unrelated
                .iter()
                .filter(|(a, b)| pair(&made, *a, *b).link != Link::NoEvidence);
            found += links.count();
        }
        assert!(
            found <= 8,
            "{found} of 80 pairs that have nothing to do with each other"
        );
    }

    #[test]
    fn a_brand_that_hardly_moves_is_said_to_tell_nothing() {
        let made = study(&world(3), &StudyParams::new(52.0, 7), 1, &never).expect("sound");
        for other in 0..5 {
            let still = pair(&made, other, 5);
            assert_eq!(
                (still.link, still.correlation, still.q_value),
                (Link::NotIdentifiable, None, 1.0)
            );
        }
        assert_eq!(made.groups.expect("five move").of[5], None);
    }

    #[test]
    fn one_thread_and_two_say_the_same_and_short_or_holed_series_are_refused() {
        let params = StudyParams::new(52.0, 7);
        let one = study(&world(3), &params, 1, &never).expect("sound");
        assert_eq!(one, study(&world(3), &params, 2, &never).expect("sound"));
        let short = SeriesBlock::from_series(&[vec![1.0; 24], vec![2.0; 24]]).expect("equal");
        assert!(matches!(
            study(&short, &params, 1, &never),
            Err(CorrelationError::TooShort { .. })
        ));
        let holed = SeriesBlock::from_series(&[vec![1.0; 80], vec![f64::NAN; 80]]).expect("equal");
        assert_eq!(
            study(&holed, &params, 1, &never),
            Err(CorrelationError::Unusable { series: 1 })
        );
        let still = SeriesBlock::from_series(&[vec![1.0; 80], vec![2.0; 80]]).expect("equal");
        assert_eq!(
            study(&still, &params, 1, &never).expect("sound").pairs[0].link,
            Link::NotIdentifiable
        );
    }
}
