//! Reads of what the analyses found: as the agents stored it, or answered by the analyst once for each state of the data.

use std::sync::Arc;

use chrono::NaiveDate;
use domain::{
    access::{AgentKind, Permission, Principal},
    competition::{Gap, LeadingIndicator, RivalChange},
    id::{BrandId, ChannelId, MetricId, ProjectId},
    metric::MetricDefinition,
    quality::SeriesQuality,
    response::ResponseFit,
    score::Band,
};
use serde::Serialize;
use storage::Storage;

use crate::{
    Error,
    analyst::{Analyst, scores::explanation::Question},
    forecasting, metrics,
    observe::Snapshot,
    optimisation, strategy,
};

pub use crate::{
    analyst::cleaning::cleaned,
    analyst::correlations::{
        CorrelationPair, CorrelationVerdict, Correlations, NotCompared, NotComparedReason,
        RunsAhead,
    },
    analyst::drivers::{DriverEffect, Drivers},
    analyst::mix::{
        Mix, MixChannelResult, MixCheck, MixConfounding, MixHealth, MixHoldout, MixInterval,
        MixLeftOut, MixLeftOutReason, MixMethod, MixParameter, MixVerdict,
    },
    analyst::scores::explanation::{
        MetricChange, ScoreExplanation, ScoreSwap, SwapImpossible, UnexplainedChange, WeightShift,
    },
    analyst::scores::scores_now,
    analyst::standing::{
        GapClosing, MetricMomentum, ShareOfVoice, Standing, SwotEntry, SwotKind, SwotReason,
    },
    forecasting::query::{ForecastTotal, ForecastTotals, LeftOut, LeftOutReason},
    metrics::query::Synergies,
    optimisation::query::{Curve, CurvePoint},
};

/// Scores of a brand that are shown.
const SCORE_HISTORY: u32 = 104;

/// A score on a date.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScorePoint {
    /// Period the score is for.
    pub period: NaiveDate,
    /// 0 to 100; `None` when nothing was scorable.
    pub value: Option<f64>,
    /// Its band.
    pub band: Option<Band>,
}

/// Reads of the analyses' results.
#[derive(Clone, Debug)]
pub struct Analysis {
    storage: Storage,
    analyst: Analyst,
}

impl Analysis {
    pub(crate) fn new(storage: Storage, analyst: Analyst) -> Self {
        Self { storage, analyst }
    }

    /// Signed effects of one brand on another.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn synergies(&self, principal: &Principal) -> Result<Synergies, Error> {
        let grant = principal.grant(Permission::SynergyRead)?;
        metrics::query::synergies(&self.storage.scope(&grant)).await
    }

    /// Forecasts that add up: brand in project → brand → project → portfolio. Empty before the first cycle of the forecasting
    /// agent, and where the outcome does not add up.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn forecast_totals(
        &self,
        principal: &Principal,
    ) -> Result<Vec<ForecastTotals>, Error> {
        let grant = principal.grant(Permission::ForecastRead)?;
        forecasting::query::totals(&self.storage.scope(&grant)).await
    }

    /// How a metric (the outcome when none is named) of the brands moves together.
    ///
    /// # Errors
    /// `metric.unknown`; when the compute pool is full or the database cannot be reached.
    pub async fn correlations(
        &self,
        principal: &Principal,
        metric: Option<MetricId>,
    ) -> Result<Arc<Correlations>, Error> {
        principal.grant(Permission::SynergyRead)?;
        let snapshot = self.look(principal, AgentKind::Metrics).await?;
        let view = &snapshot.view;
        let found = match metric {
            Some(id) => view.metric(id),
            None => view.outcome(),
        };
        let metric = found.ok_or_else(|| {
            domain::Error::not_found("metric.unknown", "there is no such metric")
                .advise("list the metrics and take an id from there")
        })?;
        self.analyst.correlations(&snapshot, metric).await
    }

    /// What moved a brand's outcome lately, against the year before.
    ///
    /// # Errors
    /// `brand.unknown`, `metric.unknown` without an outcome, `driver.too_little_data`; when the compute pool is full or the
    /// database cannot be reached.
    pub async fn drivers(
        &self,
        principal: &Principal,
        brand: BrandId,
    ) -> Result<Arc<Drivers>, Error> {
        let grant = principal.grant(Permission::SynergyRead)?;
        self.storage.scope(&grant).brands().get(brand).await?;
        let snapshot = self.look(principal, AgentKind::Metrics).await?;
        let outcome = outcome(&snapshot)?;
        self.analyst.drivers(&snapshot, outcome, brand).await
    }

    /// A brand's marketing-mix model, fitted to all of its data.
    ///
    /// # Errors
    /// `brand.unknown`, `metric.unknown` without an outcome, `mix.too_little_data`; when the compute pool is full or the database
    /// cannot be reached.
    pub async fn mix(
        &self,
        principal: &Principal,
        brand: BrandId,
        method: MixMethod,
    ) -> Result<Arc<Mix>, Error> {
        let grant = principal.grant(Permission::PlanRead)?;
        self.storage.scope(&grant).brands().get(brand).await?;
        let snapshot = self.look(principal, AgentKind::Optimisation).await?;
        let outcome = outcome(&snapshot)?;
        self.analyst.mix(&snapshot, outcome, brand, method).await
    }

    /// Where a brand stands among its rivals: voice, momentum, strengths and weaknesses, and where money closes most of its gap.
    ///
    /// # Errors
    /// `brand.unknown`, `gap.no_data` without any value; when the compute pool is full or the database cannot be reached.
    pub async fn standing(
        &self,
        principal: &Principal,
        brand: BrandId,
    ) -> Result<Arc<Standing>, Error> {
        let grant = principal.grant(Permission::GapRead)?;
        let scope = self.storage.scope(&grant);
        scope.brands().get(brand).await?;
        let fit = self.analyst.fit(&scope).await?;
        let snapshot = self.look(principal, AgentKind::Strategy).await?;
        self.analyst.standing(&snapshot, fit, brand).await
    }

    /// Why a brand's newest score is what it is: the change since `back` scores ago (four weeks each), how much of its rank is the
    /// weights' doing, and what would swap it with `against` (the next brand when none is named).
    ///
    /// # Errors
    /// `score.unknown`; when the compute pool is full or the database cannot be reached.
    pub async fn score_explanation(
        &self,
        principal: &Principal,
        brand: BrandId,
        project: Option<ProjectId>,
        back: u32,
        against: Option<BrandId>,
    ) -> Result<Arc<ScoreExplanation>, Error> {
        principal.grant(Permission::ScoreRead)?;
        let snapshot = self.look(principal, AgentKind::Metrics).await?;
        let question = Question {
            brand,
            project,
            back,
            against,
        };
        self.analyst.explanation(&snapshot, question).await
    }

    /// The data as the agent sees them whose question it is.
    async fn look(&self, principal: &Principal, agent: AgentKind) -> Result<Arc<Snapshot>, Error> {
        let agent = Principal::agent(principal.org(), agent);
        self.analyst.snapshot(&agent).await
    }

    /// The newest response fit, without its parameter draws.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn responses(&self, principal: &Principal) -> Result<Option<ResponseFit>, Error> {
        let grant = principal.grant(Permission::PlanRead)?;
        let fit = self.storage.scope(&grant).fits().latest().await?;
        Ok(fit.map(|fit| ResponseFit {
            model: serde_json::Value::Null,
            ..fit
        }))
    }

    /// What weekly spend in a channel does to a brand's sales, with its 80 % band.
    ///
    /// # Errors
    /// `response.unknown` when no curve was fitted for it.
    pub async fn curve(
        &self,
        principal: &Principal,
        brand: BrandId,
        channel: ChannelId,
    ) -> Result<Curve, Error> {
        let grant = principal.grant(Permission::PlanRead)?;
        optimisation::query::curve(&self.storage.scope(&grant), &self.analyst, brand, channel).await
    }

    /// Gaps to leader, benchmark and category; of one brand, or of all.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn gaps(
        &self,
        principal: &Principal,
        brand: Option<BrandId>,
    ) -> Result<Vec<Gap>, Error> {
        let grant = principal.grant(Permission::GapRead)?;
        let gaps = strategy::query::gaps(&self.storage.scope(&grant)).await?;
        Ok(gaps
            .into_iter()
            .filter(|gap| brand.is_none_or(|brand| gap.brand == brand))
            .collect())
    }

    /// Rivals that changed their behaviour.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn rivals(&self, principal: &Principal) -> Result<Vec<RivalChange>, Error> {
        let grant = principal.grant(Permission::GapRead)?;
        strategy::query::rivals(&self.storage.scope(&grant)).await
    }

    /// Metrics that run ahead of sales.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn indicators(&self, principal: &Principal) -> Result<Vec<LeadingIndicator>, Error> {
        let grant = principal.grant(Permission::GapRead)?;
        strategy::query::indicators(&self.storage.scope(&grant)).await
    }

    /// The quality of every series when it was last checked; of one brand or metric, or of all.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn quality(
        &self,
        principal: &Principal,
        brand: Option<BrandId>,
        metric: Option<MetricId>,
    ) -> Result<Vec<SeriesQuality>, Error> {
        let grant = principal.grant(Permission::MetricRead)?;
        let mut series = metrics::query::quality(&self.storage.scope(&grant)).await?;
        series.retain(|one| {
            brand.is_none_or(|b| b == one.brand) && metric.is_none_or(|m| m == one.metric)
        });
        Ok(series)
    }

    /// A brand's score over the whole portfolio, oldest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn score_history(
        &self,
        principal: &Principal,
        brand: BrandId,
    ) -> Result<Vec<ScorePoint>, Error> {
        let grant = principal.grant(Permission::ScoreRead)?;
        let mut scores = self
            .storage
            .scope(&grant)
            .scores()
            .history(brand, None, SCORE_HISTORY)
            .await?;
        scores.reverse();
        Ok(scores
            .into_iter()
            .map(|s| ScorePoint {
                period: s.period,
                value: s.value,
                band: s.band,
            })
            .collect())
    }
}

/// The metric that the portfolio is run for.
fn outcome(snapshot: &Snapshot) -> Result<&MetricDefinition, Error> {
    let found = snapshot.view.outcome();
    Ok(found.ok_or_else(|| {
        domain::Error::not_found("metric.unknown", "no metric has the role outcome")
            .advise("define the metric that the portfolio is run for, such as sales")
    })?)
}
