//! A market with known truth: eight own brands and four competitors in three projects, six channels, 156 weeks.
//!
//! A [`World`] is a pure function of its kind and seed. It has adstock, saturation, season, trend, price, promotion,
//! confounded budgets, missing weeks, outliers and a structural break, and six planted facts: a cannibalising pair, a
//! halo pair, a saturated line, a starved line (brand × channel), a rival's campaign and a leading indicator. Each is
//! sized so that a regression knowing the true functional form finds it at |t| between 6 and 9. A null world has none
//! of them and every marginal return is 1.
//!
//! Worlds with an even seed draw their curves from families that the default fit does not use, have autocorrelated
//! noise, and their budgets react to sales.
//!
//! [`World::rows`] is what an importer sees; [`World::truth`] is what only the demo and the tests may read;
//! [`World::advance`] continues the same world under any plan.

pub mod catalogue;
pub mod curves;
mod facts;
pub mod judge;
mod observe;
mod path;
mod spec;
mod truth;

use serde::{Deserialize, Serialize};

use crate::panel::{BrandInfo, MetricInfo, Panel, PanelError};
use catalogue::{BRANDS, CHANNEL_COUNT, CHANNELS, LINES, METRICS, OWN};
pub use facts::OracleT;
pub use observe::{Row, first_week};
pub use path::{Path, Segment};
pub use spec::{HISTORY, HORIZON, Kind, Spec};
pub use truth::{PerfectPlan, PlanRules, TAIL};

/// Version of the simulator. Worlds are frozen: a change that moves any number raises it.
pub const WORLD_VERSION: u32 = 1;

/// A simulated market at some week.
#[derive(Debug, Clone)]
pub struct World {
    seed: u64,
    kind: Kind,
    spec: Spec,
    segments: Vec<Segment>,
    path: Path,
    oracle: Option<OracleT>,
}

/// A planted cross-effect and its true size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossTruth {
    /// Brand whose media drive the effect.
    pub driver: String,
    /// Brand whose sales move.
    pub affected: String,
    /// Extra margin of the affected brand for +10 % of the driver's media over the observed path, tail included.
    pub effect: f64,
    /// t statistic of the oracle regression.
    pub oracle_t: f64,
}

/// A planted line and its true marginal return.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineTruth {
    /// Brand.
    pub brand: String,
    /// Channel.
    pub channel: String,
    /// Margin × extra sales, tail included, per extra unit of spend.
    pub marginal_return: f64,
    /// t statistic of the oracle regression against break-even 1.
    pub oracle_t: f64,
}

/// A planted campaign and its true size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignTruth {
    /// Competitor.
    pub rival: String,
    /// First week, counted from the first week of history.
    pub start: usize,
    /// Length in weeks.
    pub weeks: usize,
    /// Rise of the logarithm of media pressure.
    pub log_lift: f64,
    /// t statistic of the oracle regression.
    pub oracle_t: f64,
}

/// A planted leading indicator and its true size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndicatorTruth {
    /// Brand.
    pub brand: String,
    /// Metric.
    pub metric: String,
    /// Weeks by which the metric runs ahead.
    pub lag: usize,
    /// Extra margin over the observed path and its tail for +10 % of the metric.
    pub effect: f64,
    /// t statistic of the oracle regression.
    pub oracle_t: f64,
}

/// Everything planted in a world. Null worlds have none of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Version of the simulator.
    pub version: u32,
    /// Seed of the world.
    pub seed: u64,
    /// Whether curves come from families that the default fit does not use.
    pub unfamiliar: bool,
    /// The cannibalising pair.
    pub cannibal: Option<CrossTruth>,
    /// The halo pair.
    pub halo: Option<CrossTruth>,
    /// The saturated line.
    pub saturated: Option<LineTruth>,
    /// The starved line.
    pub starved: Option<LineTruth>,
    /// The rival's campaign.
    pub campaign: Option<CampaignTruth>,
    /// The leading indicator.
    pub indicator: Option<IndicatorTruth>,
    /// True marginal return of every line: brand, channel, value.
    pub marginal_returns: Vec<(String, String, f64)>,
}

impl World {
    /// The world with planted facts of this seed, after its history.
    #[must_use]
    pub fn planted(seed: u64) -> Self {
        Self::new(seed, Kind::Planted)
    }

    /// The world without any effect to find of this seed, after its history.
    #[must_use]
    pub fn null(seed: u64) -> Self {
        Self::new(seed, Kind::Null)
    }

    fn new(seed: u64, kind: Kind) -> Self {
        let (spec, path, oracle) = facts::plant(seed, kind);
        Self {
            seed,
            kind,
            spec,
            segments: Vec::new(),
            path,
            oracle,
        }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Planted or null.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Number of weeks that have happened.
    #[must_use]
    pub fn weeks(&self) -> usize {
        self.path.sales[0].len()
    }

    /// t statistics of the oracle for the planted facts.
    #[must_use]
    pub fn oracle(&self) -> Option<OracleT> {
        self.oracle
    }

    /// Name of budget line `l`: brand key and channel key.
    #[must_use]
    pub fn line(l: usize) -> (&'static str, &'static str) {
        (BRANDS[l / CHANNEL_COUNT].key, CHANNELS[l % CHANNEL_COUNT].0)
    }

    /// Margin per unit sold of every own brand: key and value.
    #[must_use]
    pub fn margins(&self) -> Vec<(&'static str, f64)> {
        (0..OWN)
            .map(|b| (BRANDS[b].key, self.spec.brands[b].margin))
            .collect()
    }

    /// The observed rows of weeks `from..to` (counted from the first week), at most what has happened.
    #[must_use]
    pub fn rows(&self, from: usize, to: usize) -> Vec<Row> {
        observe::rows(
            self.seed,
            &self.spec,
            &self.path,
            from,
            to.min(self.weeks()),
        )
    }

    /// The panel that an importer of all rows so far would hand to the estimators.
    ///
    /// # Errors
    /// [`PanelError`] when the rows cannot be read back, which a test rules out.
    pub fn panel(&self) -> Result<Panel, PanelError> {
        let rows = self.rows(0, self.weeks());
        let text = |f: &dyn Fn(&Row) -> &'static str| {
            rows.iter()
                .map(|r| f(r).to_owned())
                .collect::<Vec<String>>()
        };
        let periods: Vec<_> = rows.iter().map(|r| r.period).collect();
        let table = crate::series::frame(
            text(&|r| r.project),
            text(&|r| r.brand),
            text(&|r| r.metric),
            &periods,
            rows.iter().map(|r| r.value).collect(),
        )
        .map_err(|error| PanelError::Frame {
            reason: error.to_string(),
        })?;
        let (brands, metrics) = self.description();
        Panel::from_frame(&table, brands, metrics)
    }

    /// Descriptions of the brands and metrics, as an organisation would keep them.
    #[must_use]
    pub fn description(&self) -> (Vec<BrandInfo>, Vec<MetricInfo>) {
        let brands = BRANDS
            .iter()
            .enumerate()
            .map(|(b, brand)| BrandInfo {
                key: brand.key.to_owned(),
                own: brand.own,
                margin: self.spec.brands.get(b).map_or(1.0, |own| own.margin),
            })
            .collect();
        let metrics = METRICS
            .iter()
            .map(|m| MetricInfo {
                key: m.key.to_owned(),
                role: m.role,
                channel: m.channel.map(str::to_owned),
                higher_is_better: m.higher_is_better,
                additive: m.additive,
            })
            .collect();
        (brands, metrics)
    }

    /// Weekly spend of every line without a change: the mean of the last 52 weeks.
    #[must_use]
    pub fn baseline(&self) -> Vec<f64> {
        self.path
            .spend
            .iter()
            .map(|s| truth::recent_mean(s, 52))
            .collect()
    }

    /// Continues the world for `weeks` weeks (at most up to [`HORIZON`]) with this weekly spend per line.
    ///
    /// The random path is the one every other continuation of this world has; only what spend causes differs.
    pub fn advance(&mut self, weeks: usize, spend: &[f64]) {
        let weeks = weeks.min(HORIZON - self.weeks());
        self.segments.push(Segment {
            weeks,
            spend: spend.to_vec(),
        });
        self.path = path::simulate(&self.spec, &self.segments, self.weeks() + weeks);
    }

    /// True profit of `spend` above the unchanged plan, over the horizon and its tail, noise-free, in currency.
    ///
    /// Ask before advancing: the horizon starts at the current end of the path.
    #[must_use]
    pub fn plan_gain(&self, rules: &PlanRules, spend: &[f64]) -> f64 {
        truth::plan_gain(&self.spec, &self.path, rules, spend)
    }

    /// The true optimum under the same total, bounds and rules.
    #[must_use]
    pub fn perfect_plan(&self, rules: &PlanRules) -> PerfectPlan {
        truth::perfect(&self.spec, &self.path, rules)
    }

    /// What is planted, with true sizes over the path so far.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let key = |b: usize| BRANDS[b].key.to_owned();
        let line = |l: usize, oracle_t: f64| LineTruth {
            brand: Self::line(l).0.to_owned(),
            channel: Self::line(l).1.to_owned(),
            marginal_return: truth::marginal_return(&self.spec, &self.path, l),
            oracle_t,
        };
        let cross = |c: spec::Cross, oracle_t: f64| CrossTruth {
            driver: key(c.driver),
            affected: key(c.affected),
            effect: truth::cross_effect(&self.spec, &self.path, c),
            oracle_t,
        };
        let marginal_returns = (0..LINES)
            .map(|l| {
                let (brand, channel) = Self::line(l);
                (
                    brand.to_owned(),
                    channel.to_owned(),
                    truth::marginal_return(&self.spec, &self.path, l),
                )
            })
            .collect();
        let mut truth = Truth {
            version: WORLD_VERSION,
            seed: self.seed,
            unfamiliar: self.spec.unfamiliar,
            cannibal: None,
            halo: None,
            saturated: None,
            starved: None,
            campaign: None,
            indicator: None,
            marginal_returns,
        };
        if let (Some(facts), Some(t)) = (&self.spec.facts, self.oracle) {
            truth.cannibal = Some(cross(facts.cannibal, t.cannibal));
            truth.halo = Some(cross(facts.halo, t.halo));
            truth.saturated = Some(line(facts.saturated, t.saturated));
            truth.starved = Some(line(facts.starved, t.starved));
            let c = facts.campaign;
            truth.campaign = Some(CampaignTruth {
                rival: BRANDS[OWN + c.rival].key.to_owned(),
                start: c.start,
                weeks: c.weeks,
                log_lift: c.log_lift,
                oracle_t: t.campaign,
            });
            let i = facts.indicator;
            let level: f64 = self.spec.exogenous.health[i.brand][i.metric][..self.weeks()]
                .iter()
                .map(|d| 1.0 + d)
                .sum();
            truth.indicator = Some(IndicatorTruth {
                brand: key(i.brand),
                metric: METRICS[i.metric].key.to_owned(),
                lag: i.lag,
                effect: 0.1 * i.strength * self.spec.brands[i.brand].base * level,
                oracle_t: t.indicator,
            });
        }
        truth
    }
}
