//! Plans: what is spent now, what another spending would bring, and people's own drafts.
//!
//! A what-if reads the stored fit, never the values, and the decoded fit is kept in memory: it answers in milliseconds.

mod edit;
mod wording;

use std::{collections::BTreeMap, time::Instant};

use chrono::NaiveDate;
use domain::{
    access::{Actor, AgentKind, Permission, Principal},
    budget::{Constraint, Plan, PlanLine, PlanStatus},
    id::{BrandId, ChannelId, PlanId, RecommendationId},
    metric::Granularity,
    organisation::Organisation,
    page::{Page, PageRequest},
    provenance::{Provenance, SOFTWARE},
    recommendation::{Action, Recommendation, State},
    unit::{Effect, Money},
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::{Scope, Storage};

use crate::{
    Error,
    analyst::{Analyst, Fit},
    arbitrator::violation,
    calendar::{domain_date, next_monday},
    money::cents,
    pricing::{self, Priced},
    view::View,
};

/// Start of the dedupe keys of plans that people submitted.
pub(crate) const SUBMITTED: &str = "person|";
/// Weeks of a plan that is carried on from actual spend.
const CARRIED_ON_WEEKS: u32 = 12;
/// The agent under whose name a person's plan stands in the inbox.
const SUBMITTED_TO: AgentKind = AgentKind::Optimisation;
/// Most weeks a plan may cover.
const MOST_WEEKS: u32 = 104;
/// Weeks until a submitted plan expires.
const SUBMISSION_EXPIRES: u64 = 28;

/// Weekly spend of one line in a question or a draft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhatIfLine {
    /// Brand.
    pub brand: BrandId,
    /// Channel.
    pub channel: ChannelId,
    /// Spend per week, in the organisation's currency.
    pub weekly: Decimal,
}

/// A person's plan before it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanDraft {
    /// Its name.
    pub name: String,
    /// Monday of the first week; `None` is the next Monday of the domain clock.
    pub start: Option<NaiveDate>,
    /// Number of weeks.
    pub weeks: u32,
    /// Lines that differ from what is spent now; the others go on as now.
    pub lines: Vec<WhatIfLine>,
}

/// What is asked of the planner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanQuestion {
    /// Number of weeks.
    pub weeks: u32,
    /// Total per week over all lines; `None` is what is spent now.
    pub weekly_total: Option<Decimal>,
    /// Lines that spend exactly this; the others are planned around them.
    pub keep: Vec<WhatIfLine>,
}

/// What another spending would bring.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhatIf {
    /// Total over all lines and weeks.
    pub total: Money,
    /// Expected change of profit against carrying on as now; `None` while no curve was fitted, which `violations` says.
    pub effect: Option<Effect>,
    /// Probability that the effect is positive.
    pub confidence: Option<f64>,
    /// Every line, changed or not.
    pub lines: Vec<PlanLine>,
    /// Standing rules it breaks and other reservations, in words.
    pub violations: Vec<String>,
    /// Time it took, in milliseconds.
    pub compute_ms: f64,
}

/// Weekly spend by line.
pub(crate) type Spend = BTreeMap<(BrandId, ChannelId), Decimal>;

/// What every question about a plan starts from.
pub(crate) struct Ground {
    pub(crate) organisation: Organisation,
    pub(crate) as_of: NaiveDate,
    /// Weekly spend as it is now.
    pub(crate) current: Spend,
    pub(crate) record: Option<Plan>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) fit: Option<Fit>,
}

/// Reads and drafts of plans.
#[derive(Clone, Debug)]
pub struct Plans {
    storage: Storage,
    analyst: Analyst,
}

impl Plans {
    pub(crate) fn new(storage: Storage, analyst: Analyst) -> Self {
        Self { storage, analyst }
    }

    pub(crate) async fn ground(&self, scope: &Scope) -> Result<Ground, Error> {
        let organisation = scope.organisations().get().await?;
        let as_of = domain_date(scope.organisations(), self.storage.now().await?).await?;
        let fit = self.analyst.fit(scope).await?;
        let record = scope.plans().of_record().await?;
        let mut current: Spend = match &fit {
            Some(fit) => fit
                .curves
                .iter()
                .map(|c| ((c.brand, c.channel), cents(c.current_spend)))
                .collect(),
            None => self.spent(scope).await?,
        };
        for line in record.iter().flat_map(|plan| &plan.lines) {
            current.insert((line.brand, line.channel), line.weekly);
        }
        let constraints = scope.constraints().active().await?;
        Ok(Ground {
            organisation,
            as_of,
            current,
            record,
            constraints,
            fit,
        })
    }

    /// What was spent by line, read from the values; only needed while no curve was fitted.
    async fn spent(&self, scope: &Scope) -> Result<Spend, Error> {
        let metrics = scope.metrics().list().await?;
        let brands = scope.brands().list().await?;
        let own: Vec<BrandId> = brands
            .iter()
            .filter(|b| b.role == domain::brand::BrandRole::Primary)
            .map(|b| b.id)
            .collect();
        let spend = metrics
            .iter()
            .filter(|m| m.role == domain::metric::MetricRole::Spend)
            .map(|m| m.id)
            .collect();
        let query = storage::ValueQuery {
            brands: Some(own.clone()),
            metrics: Some(spend),
            ..storage::ValueQuery::default()
        };
        let table = scope.values().table(&query).await?;
        let now = crate::observe::spend_now(&table, &metrics, &own);
        Ok(now
            .into_iter()
            .map(|(line, weekly)| (line, cents(weekly)))
            .collect())
    }

    /// The plan of record, or the plan carried on from what was spent over the last year.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn current(&self, principal: &Principal) -> Result<Plan, Error> {
        let grant = principal.grant(Permission::PlanRead)?;
        let scope = self.storage.scope(&grant);
        let ground = self.ground(&scope).await?;
        if let Some(record) = ground.record {
            return Ok(record);
        }
        let start = next_monday(ground.as_of);
        let lines = ground.lines(&ground.current);
        Ok(Plan {
            id: PlanId::derive(&[&principal.org().to_string(), "carried on"]),
            version: 1,
            name: "Carried on from actual spend".to_owned(),
            status: PlanStatus::Draft,
            start,
            weeks: CARRIED_ON_WEEKS,
            total: ground.total(&ground.current, CARRIED_ON_WEEKS),
            provenance: Provenance {
                method: "plan.carried_on".to_owned(),
                parameters: json!({ "mean_over_weeks": crate::observe::CURRENT_WEEKS }),
                software: SOFTWARE.to_owned(),
                slice: ground
                    .fit
                    .as_ref()
                    .map(|fit| fit.provenance.slice.clone())
                    .unwrap_or_default(),
                seed: 0,
            },
            lines,
            effect: None,
            confidence: None,
            certificate: None,
            recommendation: None,
            created_by: Actor::System,
            created_at: self.storage.now().await?,
        })
    }

    /// Plans without their lines, newest first.
    ///
    /// # Errors
    /// `page.cursor` for a cursor that is none.
    pub async fn list(
        &self,
        principal: &Principal,
        page: PageRequest,
    ) -> Result<Page<Plan>, Error> {
        let grant = principal.grant(Permission::PlanRead)?;
        Ok(self.storage.scope(&grant).plans().list(&page).await?)
    }

    /// One plan with its lines.
    ///
    /// # Errors
    /// `plan.unknown`.
    pub async fn get(&self, principal: &Principal, id: PlanId) -> Result<Plan, Error> {
        let grant = principal.grant(Permission::PlanRead)?;
        Ok(self.storage.scope(&grant).plans().get(id).await?)
    }

    /// Stores a person's draft, priced.
    ///
    /// # Errors
    /// `plan.invalid` for an impossible draft.
    pub async fn create(&self, principal: &Principal, draft: PlanDraft) -> Result<Plan, Error> {
        let grant = principal.grant(Permission::PlanWrite)?;
        let plan = self
            .drafted(principal, PlanId(self.storage.fresh_id()), draft)
            .await?;
        let stored = self
            .storage
            .unit(&grant, move |u| {
                let plan = plan.clone();
                Box::pin(async move {
                    u.audit()
                        .record(
                            "plan.created",
                            &plan.id.to_string(),
                            json!({ "name": plan.name }),
                        )
                        .await?;
                    u.plans().create(&plan).await
                })
            })
            .await?;
        Ok(stored)
    }

    /// Replaces a draft's content.
    ///
    /// # Errors
    /// `plan.changed` (stale) when it no longer has `version`, `plan.not_editable` when it is no draft, `plan.invalid`.
    pub async fn update(
        &self,
        principal: &Principal,
        id: PlanId,
        version: u32,
        draft: PlanDraft,
    ) -> Result<Plan, Error> {
        let grant = principal.grant(Permission::PlanWrite)?;
        let plan = self.drafted(principal, id, draft).await?;
        let stored = self
            .storage
            .unit(&grant, move |u| {
                let plan = plan.clone();
                Box::pin(async move {
                    u.audit()
                        .record(
                            "plan.edited",
                            &plan.id.to_string(),
                            json!({ "name": plan.name }),
                        )
                        .await?;
                    u.plans().update(&plan, version).await
                })
            })
            .await?;
        Ok(stored)
    }

    async fn drafted(
        &self,
        principal: &Principal,
        id: PlanId,
        draft: PlanDraft,
    ) -> Result<Plan, Error> {
        let grant = principal.grant(Permission::PlanWrite)?;
        let scope = self.storage.scope(&grant);
        let ground = self.ground(&scope).await?;
        if draft.name.trim().is_empty() {
            return Err(domain::Error::invalid("plan.invalid", "a plan needs a name").into());
        }
        let spend = ground.spend_with(&draft.lines, draft.weeks)?;
        let priced = ground.price(&draft.lines, draft.weeks);
        let start = Granularity::Week.start_of(draft.start.unwrap_or(next_monday(ground.as_of)));
        Ok(Plan {
            id,
            version: 1,
            name: draft.name.trim().to_owned(),
            status: PlanStatus::Draft,
            start,
            weeks: draft.weeks,
            total: ground.total(&spend, draft.weeks),
            lines: ground.lines(&spend),
            effect: priced.as_ref().map(|p| p.effect.clone()),
            confidence: priced.as_ref().map(|p| p.confidence),
            certificate: None,
            recommendation: None,
            created_by: principal.actor(),
            created_at: self.storage.now().await?,
            provenance: ground.provenance("plan.by_hand"),
        })
    }

    /// What spending these lines differently would bring over `weeks` weeks; every other line goes on as now.
    ///
    /// # Errors
    /// `plan.invalid` for negative amounts, unknown lines or a horizon out of range.
    pub async fn what_if(
        &self,
        principal: &Principal,
        lines: Vec<WhatIfLine>,
        weeks: u32,
    ) -> Result<WhatIf, Error> {
        let began = Instant::now();
        let grant = principal.grant(Permission::PlanRead)?;
        let ground = self.ground(&self.storage.scope(&grant)).await?;
        let spend = ground.spend_with(&lines, weeks)?;
        let priced = ground.price(&lines, weeks);
        let mut violations = ground.violations(&spend);
        if priced.is_none() && !lines.is_empty() {
            violations.push(
                "no response curve was fitted for these lines yet, so their effect cannot be told"
                    .to_owned(),
            );
        }
        Ok(WhatIf {
            total: ground.total(&spend, weeks),
            effect: priced.as_ref().map(|p| p.effect.clone()),
            confidence: priced.map(|p| p.confidence),
            lines: ground.lines(&spend),
            violations,
            compute_ms: began.elapsed().as_secs_f64() * 1e3,
        })
    }

    /// The best plan that the stored fit knows, under the standing rules and around what is to be kept; not stored. Lines without a
    /// fitted curve go on as now, or as they are kept.
    ///
    /// # Errors
    /// `plan.invalid` for a kept line that is none or a horizon out of range, `plan.no_fit` while no curve was fitted,
    /// `plan.infeasible` when the rules, the total and what is kept exclude each other.
    pub async fn optimise(
        &self,
        principal: &Principal,
        question: PlanQuestion,
    ) -> Result<Plan, Error> {
        let PlanQuestion {
            weeks,
            weekly_total,
            keep,
        } = question;
        let grant = principal.grant(Permission::PlanRead)?;
        let scope = self.storage.scope(&grant);
        let ground = self.ground(&scope).await?;
        let spend = ground.spend_with(&keep, weeks)?;
        let fit = ground.fit.clone().ok_or_else(|| {
            domain::Error::conflict("plan.no_fit", "no response curve was fitted yet")
                .advise(
                    "it takes media spend and sales of at least one own brand whose margin is stated (on the brand's page); \
                     then run the optimisation agent",
                )
        })?;
        let (modelled, others): (Spend, Spend) = spend
            .into_iter()
            .partition(|(line, _)| fit.model.marginal(*line, 0.0).is_some());
        let now: Decimal = ground.current.values().sum();
        let left = weekly_total.unwrap_or(now) - others.values().sum::<Decimal>();
        if left < Decimal::ZERO {
            return Err(domain::Error::conflict(
                "plan.infeasible",
                "the lines without a fitted curve, which go on as they are, spend more than the total",
            )
            .advise("raise the total, or keep those lines at less")
            .into());
        }
        let amount = |weekly: &Decimal| weekly.to_f64().unwrap_or(f64::INFINITY);
        let kept = keep
            .iter()
            .map(|line| ((line.brand, line.channel), amount(&line.weekly)))
            .filter(|(line, _)| modelled.contains_key(line))
            .collect();
        let parameters = crate::parameters::of(&scope, AgentKind::Optimisation).await?;
        let named = named(&scope, &ground).await?;
        let brands = named
            .brands
            .iter()
            .map(|b| (b.id.to_string(), b.name.clone()));
        let request = crate::optimisation::allocation::Request {
            org: principal.org(),
            currency: ground.organisation.currency.clone(),
            start: next_monday(ground.as_of),
            weeks,
            total: Some(amount(&left)),
            current: named.current.clone(),
            rules: ground.constraints.iter().map(|c| c.rule.clone()).collect(),
            kept,
            max_change: parameters.get("max_change"),
            names: brands
                .chain(
                    named
                        .channels
                        .iter()
                        .map(|c| (c.id.to_string(), c.name.clone())),
                )
                .collect(),
            provenance: fit.provenance.clone(),
            at: self.storage.now().await?,
        };
        let work = move |task: runtime::compute::TaskHandle| {
            let cancel = || task.is_cancelled();
            crate::optimisation::allocation::best(&fit.model, &request, &cancel)
        };
        let best = self
            .analyst
            .run(crate::analyst::OPTIMISATION, "plan on request", work)
            .await??;
        let mut plan = best
            .ok_or_else(|| domain::Error::conflict("plan.no_fit", "no line has a fitted curve"))?;
        plan.lines.extend(ground.lines(&others));
        let weekly: Decimal = plan.lines.iter().map(|line| line.weekly).sum();
        plan.total.amount = weekly * Decimal::from(weeks);
        Ok(plan)
    }

    /// The recommendation that a person's draft becomes.
    pub(crate) async fn submission(
        &self,
        principal: &Principal,
        id: PlanId,
    ) -> Result<Recommendation, Error> {
        let grant = principal.grant(Permission::PlanWrite)?;
        let scope = self.storage.scope(&grant);
        let plan = scope.plans().get(id).await?;
        if plan.status != PlanStatus::Draft {
            let error =
                domain::Error::conflict("plan.not_editable", "only a draft can be submitted");
            return Err(error.advise("copy it to a new draft").into());
        }
        let ground = self.ground(&scope).await?;
        let spend: Spend = plan
            .lines
            .iter()
            .map(|line| ((line.brand, line.channel), line.weekly))
            .collect();
        let broken = ground.violations(&spend);
        if let Some(first) = broken.first() {
            let error = domain::Error::conflict("plan.infeasible", first.clone());
            return Err(error
                .advise("change the plan, or take the rule out of force first")
                .into());
        }
        let lines: Vec<WhatIfLine> = plan
            .lines
            .iter()
            .map(|l| WhatIfLine {
                brand: l.brand,
                channel: l.channel,
                weekly: l.weekly,
            })
            .collect();
        let priced = ground.price(&lines, plan.weeks);
        let action = Action::BudgetPlan {
            plan: plan.id,
            start: plan.start,
            weeks: plan.weeks,
            total: plan.total.clone(),
            lines: plan.lines.clone(),
        };
        let author = principal.actor().to_string();
        let view = named(&scope, &ground).await?;
        let moved = wording::moved(&plan.lines);
        let numbers = wording::numbers(&view, &plan, &author);
        let now = self.storage.now().await?;
        let key = format!("{SUBMITTED}{}|{}", plan.id, plan.version);
        Ok(Recommendation {
            id: RecommendationId(self.storage.fresh_id()),
            version: 1,
            kind: action.kind(),
            agent: SUBMITTED_TO,
            subject: format!("plan:{}", plan.id),
            title: plan.name.clone(),
            summary: format!(
                "A plan that {author} made by hand: {} a week is moved. Approved, it is the plan of record from {}.",
                view.money(moved),
                plan.start
            ),
            brands: wording::brands(&plan.lines),
            objective: "as its author states".to_owned(),
            state: State::Draft,
            action_hash: action.hash(),
            action,
            effect: priced.as_ref().map(|p| p.effect.clone()),
            confidence: priced.map(|p| p.confidence),
            evidence: numbers,
            dedupe_key: key,
            evidence_digest: String::new(),
            proposed_on: ground.as_of,
            expires_on: ground.as_of + chrono::Days::new(SUBMISSION_EXPIRES),
            snoozed_until: None,
            applies_at: None,
            superseded_by: None,
            parent: None,
            created_at: now,
            updated_at: now,
        })
    }
}

impl Ground {
    /// The spending with these lines changed.
    pub(crate) fn spend_with(&self, lines: &[WhatIfLine], weeks: u32) -> Result<Spend, Error> {
        checked_weeks(weeks)?;
        let mut spend = self.current.clone();
        for line in lines {
            if line.weekly < Decimal::ZERO {
                return Err(domain::Error::invalid(
                    "plan.invalid",
                    "weekly spend cannot be negative",
                )
                .into());
            }
            match spend.get_mut(&(line.brand, line.channel)) {
                Some(weekly) => *weekly = line.weekly,
                None => {
                    let message = format!(
                        "nothing is spent on {} in {} now, so there is nothing to learn from",
                        line.brand, line.channel
                    );
                    return Err(domain::Error::invalid("plan.invalid", message)
                        .advise("choose a line of the current plan")
                        .into());
                }
            }
        }
        Ok(spend)
    }

    /// Total over all lines and weeks.
    pub(crate) fn total(&self, spend: &Spend, weeks: u32) -> Money {
        Money {
            amount: spend.values().sum::<Decimal>() * Decimal::from(weeks),
            currency: self.organisation.currency.clone(),
        }
    }

    /// The lines of a spending, each with its marginal return there.
    pub(crate) fn lines(&self, spend: &Spend) -> Vec<PlanLine> {
        spend
            .iter()
            .map(|((brand, channel), weekly)| {
                let current = self
                    .current
                    .get(&(*brand, *channel))
                    .copied()
                    .unwrap_or_default();
                let marginal = self
                    .fit
                    .as_ref()
                    .and_then(|fit| fit.model.marginal((*brand, *channel), weekly.to_f64()?));
                PlanLine {
                    brand: *brand,
                    channel: *channel,
                    weekly: *weekly,
                    current,
                    lower: Decimal::ZERO,
                    upper: current * Decimal::TWO,
                    marginal_return: marginal,
                }
            })
            .collect()
    }

    /// Standing rules that a spending breaks, in words.
    pub(crate) fn violations(&self, spend: &Spend) -> Vec<String> {
        self.constraints
            .iter()
            .filter_map(|c| {
                violation(&c.rule, spend, &self.current)
                    .map(|why| format!("{why} (rule in force: {})", c.reason))
            })
            .collect()
    }

    /// What changing these lines brings.
    pub(crate) fn price(&self, lines: &[WhatIfLine], weeks: u32) -> Option<Priced> {
        let fit = self.fit.as_ref()?;
        let current = self
            .current
            .iter()
            .map(|(line, weekly)| (*line, weekly.to_f64().unwrap_or_default()))
            .collect();
        let changes: Vec<_> = lines
            .iter()
            .map(|l| (l.brand, l.channel, l.weekly.to_f64().unwrap_or_default()))
            .collect();
        pricing::priced(
            &fit.model,
            &current,
            &changes,
            weeks,
            &self.organisation.currency,
        )
    }

    pub(crate) fn provenance(&self, method: &str) -> Provenance {
        let of_fit = self
            .fit
            .as_ref()
            .map(|fit| fit.provenance.clone())
            .unwrap_or_default();
        Provenance {
            method: method.to_owned(),
            software: SOFTWARE.to_owned(),
            ..of_fit
        }
    }
}

fn checked_weeks(weeks: u32) -> Result<(), Error> {
    if (1..=MOST_WEEKS).contains(&weeks) {
        return Ok(());
    }
    Err(domain::Error::invalid(
        "plan.invalid",
        format!("a plan covers 1 to {MOST_WEEKS} weeks, not {weeks}"),
    )
    .into())
}

/// A view that knows names and money, for texts about a plan.
async fn named(scope: &Scope, ground: &Ground) -> Result<View, Error> {
    Ok(View {
        organisation: ground.organisation.clone(),
        as_of: ground.as_of,
        digest: String::new(),
        data_until: None,
        brands: scope.brands().list().await?,
        channels: scope.channels().list().await?,
        metrics: scope.metrics().list().await?,
        projects: scope.projects().list().await?,
        constraints: Vec::new(),
        targets: Vec::new(),
        current: ground
            .current
            .iter()
            .map(|(line, weekly)| (*line, weekly.to_f64().unwrap_or_default()))
            .collect(),
    })
}
