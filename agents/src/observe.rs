//! What an agent looks at: the portfolio and its values, read once and fingerprinted.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{Days, NaiveDate};
use domain::{
    access::{Permission, Principal},
    brand::BrandRole,
    id::{BrandId, ChannelId, MetricId},
    metric::{MetricDefinition, MetricRole},
    recommendation::Action,
    series::MetricTable,
};
use rust_decimal::prelude::ToPrimitive;
use storage::{Executor, Storage, ValueQuery};

use crate::{
    Error,
    analyst::cleaning::{Changes, Cleaned},
    view::View,
};

/// Weeks over which spending counts as what is spent now. A year, so that neither season nor flighting decides.
pub(crate) const CURRENT_WEEKS: u64 = 52;

/// One look at the data.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The portfolio.
    pub view: View,
    /// Every value of every brand, corrections applied, and cleaned where the metric has rules.
    pub table: Arc<MetricTable>,
    /// What the rules changed in it.
    pub changes: Arc<Changes>,
    /// Number of distinct weeks of the outcome.
    pub weeks: u64,
}

impl Snapshot {
    /// The same look at the data with cleaned values.
    pub(crate) fn with(self, cleaned: Cleaned) -> Self {
        let Cleaned { table, changes } = cleaned;
        Self {
            table,
            changes,
            ..self
        }
    }

    /// A metric by brand and period over all projects; empty for one that is not defined.
    pub(crate) fn series(&self, metric: MetricId) -> BTreeMap<BrandId, BTreeMap<NaiveDate, f64>> {
        let units = self.view.metrics.iter().find(|m| m.counts_units());
        self.view
            .metric(metric)
            .map_or_else(BTreeMap::new, |metric| {
                self.table.over_projects(metric, units.map(|m| m.id))
            })
    }
}

/// Looks at the whole portfolio as it is stored: nothing is cleaned yet. `known` hands over the values of a digest that were read
/// before.
///
/// # Errors
/// When the database cannot be reached.
pub(crate) async fn observe(
    storage: &Storage,
    principal: &Principal,
    known: impl Fn(&str) -> Option<Arc<MetricTable>>,
) -> Result<Snapshot, Error> {
    let grant = principal.grant(Permission::MetricRead)?;
    let scope = storage.scope(&grant);
    // The digest is read before the values: should values change in between, the digest is the older one, and what is
    // concluded from it counts as stale. The other way round it would count as fresh and be wrong.
    let digest = scope.values().digest(&ValueQuery::default()).await?;
    let organisation = scope.organisations().get().await?;
    let as_of = organisation
        .as_of
        .unwrap_or(storage.now().await?.date_naive());
    let metrics = scope.metrics().list().await?;
    let table = match known(&digest.digest) {
        Some(table) => table,
        None => Arc::new(scope.values().table(&ValueQuery::default()).await?),
    };
    let brands = scope.brands().list().await?;
    let own: Vec<BrandId> = brands
        .iter()
        .filter(|b| b.role == BrandRole::Primary)
        .map(|b| b.id)
        .collect();
    let record = scope.plans().of_record().await?;
    let mut current = spend_now(&table, &metrics, &own);
    for line in record.iter().flat_map(|plan| &plan.lines) {
        current.insert(
            (line.brand, line.channel),
            line.weekly.to_f64().unwrap_or_default(),
        );
    }
    let weeks = outcome_weeks(&table, &metrics);
    let view = View {
        as_of,
        digest: digest.digest,
        data_until: digest.to,
        brands,
        channels: scope.channels().list().await?,
        projects: scope.projects().list().await?,
        constraints: scope.constraints().active().await?,
        targets: scope
            .targets()
            .list()
            .await?
            .into_iter()
            .filter(|t| t.active)
            .collect(),
        organisation,
        metrics,
        current,
    };
    Ok(Snapshot {
        view,
        table,
        changes: Arc::default(),
        weeks,
    })
}

/// Mean weekly spend by own brand and channel over the last [`CURRENT_WEEKS`] weeks with data.
pub(crate) fn spend_now(
    table: &MetricTable,
    metrics: &[MetricDefinition],
    own: &[BrandId],
) -> BTreeMap<(BrandId, ChannelId), f64> {
    let channels: BTreeMap<_, ChannelId> = metrics
        .iter()
        .filter(|m| m.role == MetricRole::Spend)
        .filter_map(|m| Some((m.id, m.channel?)))
        .collect();
    let is_spend = |row: &usize| {
        channels.contains_key(&table.metric[*row]) && own.contains(&table.brand[*row])
    };
    let Some(last) = (0..table.len())
        .filter(is_spend)
        .map(|row| table.period[row])
        .max()
    else {
        return BTreeMap::new();
    };
    let after = last - Days::new(7 * CURRENT_WEEKS);
    let mut sums: BTreeMap<(BrandId, ChannelId), f64> = BTreeMap::new();
    let mut first = last;
    for row in (0..table.len())
        .filter(is_spend)
        .filter(|row| table.period[*row] > after)
    {
        *sums
            .entry((table.brand[row], channels[&table.metric[row]]))
            .or_default() += table.value[row];
        first = first.min(table.period[row]);
    }
    let weeks = ((last - first).num_days() / 7 + 1) as f64;
    sums.values_mut().for_each(|sum| *sum /= weeks);
    sums
}

fn outcome_weeks(table: &MetricTable, metrics: &[MetricDefinition]) -> u64 {
    let Some(outcome) = metrics.iter().find(|m| m.role == MetricRole::Outcome) else {
        return 0;
    };
    let mut weeks: Vec<NaiveDate> = (0..table.len())
        .filter(|r| table.metric[*r] == outcome.id)
        .map(|r| table.period[r])
        .collect();
    weeks.sort();
    weeks.dedup();
    weeks.len() as u64
}

/// The values that the evidence for an action rests on. Approving is refused when exactly these change, and not when
/// others do: a corrected complaint rate does not touch a budget plan.
pub(crate) fn evidence_query(action: &Action, metrics: &[MetricDefinition]) -> ValueQuery {
    match action {
        Action::DataFix {
            project,
            brand,
            metric,
            ..
        } => ValueQuery {
            brands: Some(vec![*brand]),
            metrics: Some(vec![*metric]),
            projects: Some(vec![*project]),
            ..ValueQuery::default()
        },
        Action::ForecastRevision { brand, metric, .. } => ValueQuery {
            brands: Some(vec![*brand]),
            metrics: Some(vec![*metric]),
            ..ValueQuery::default()
        },
        Action::MetricTarget { metric, .. } => ValueQuery {
            metrics: Some(vec![*metric]),
            ..ValueQuery::default()
        },
        Action::BudgetPlan { .. }
        | Action::Guard { .. }
        | Action::Synergy { .. }
        | Action::Initiative { .. } => {
            let used = metrics
                .iter()
                .filter(|m| m.role != MetricRole::Health)
                .map(|m| m.id)
                .collect();
            ValueQuery {
                metrics: Some(used),
                ..ValueQuery::default()
            }
        }
    }
}

/// Digest of the values that the evidence for an action rests on, as they are now.
pub(crate) async fn evidence_digest<E: Executor>(
    values: storage::Values<'_, E>,
    action: &Action,
    metrics: &[MetricDefinition],
) -> Result<String, storage::Error> {
    Ok(values
        .digest(&evidence_query(action, metrics))
        .await?
        .digest)
}

#[cfg(test)]
mod tests {
    use domain::id::ProjectId;

    use super::*;
    use crate::view::tests_support::{a_view, brand, channel, metric};

    #[test]
    fn what_is_spent_now_is_the_mean_of_the_last_year_over_all_projects() {
        let view = a_view();
        let mut table = MetricTable::default();
        let monday = NaiveDate::from_ymd_opt(2023, 1, 2).expect("a date");
        for week in 0..60u64 {
            for project in ["north", "south"] {
                let spend = if week < 8 { 1_000.0 } else { 30.0 };
                let period = monday + Days::new(7 * week);
                table.push(
                    ProjectId::derive(&["o", project]),
                    brand("Alder"),
                    metric("spend_search"),
                    period,
                    spend,
                );
            }
        }
        table.push(
            ProjectId::derive(&["o", "north"]),
            brand("Rival"),
            metric("spend_search"),
            monday,
            5.0,
        );
        let now = spend_now(&table, &view.metrics, &[brand("Alder")]);
        assert_eq!(
            now,
            BTreeMap::from([((brand("Alder"), channel("search")), 60.0)])
        );
    }

    #[test]
    fn a_plan_does_not_rest_on_health_metrics_and_a_fix_only_on_its_series() {
        let view = a_view();
        let fix = Action::DataFix {
            project: ProjectId::derive(&["o", "north"]),
            brand: brand("Alder"),
            metric: metric("reviews"),
            period: view.as_of,
            from: 1.0,
            to: None,
        };
        assert_eq!(
            evidence_query(&fix, &view.metrics).metrics,
            Some(vec![metric("reviews")])
        );
        let initiative = Action::Initiative {
            steps: Vec::new(),
            assumptions: Vec::new(),
            reviews: Vec::new(),
        };
        let used: Vec<MetricId> = evidence_query(&initiative, &view.metrics)
            .metrics
            .expect("named");
        assert!(!used.contains(&metric("reviews")) && used.contains(&metric("spend_search")));
    }
}
