//! Which operation needs which permission: the one table, and the only door.
//!
//! [`crate::auth`] looks a request up here before anything of it is parsed. An operation that is not in the table is
//! refused to everybody, so forgetting a row fails closed; a test walks the specification and finds it.

use domain::access::Permission;

/// Where the operations stand.
pub(crate) const BASE: &str = "/api/v1";

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody, signed in or not.
    Anyone,
    /// Whoever is signed in, about their own session.
    SignedIn,
    /// Whoever holds the permission.
    Needs(Permission),
}

/// What its request body is, which decides the size limit and the time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// JSON, read at once.
    Plain,
    /// JSON, read at once; the work takes longer than most.
    Slow,
    /// One chunk of a file, read at once.
    Chunk,
    /// A stream in either direction.
    Stream,
}

/// An operation of the API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// Its `operationId`.
    pub(crate) id: &'static str,
    /// Method, in capitals.
    pub(crate) method: &'static str,
    /// Path below [`BASE`], with parameters in braces.
    pub(crate) path: &'static str,
    /// Who may call it.
    pub(crate) access: Access,
    /// What its body is.
    pub(crate) shape: Shape,
}

const fn op(
    id: &'static str,
    method: &'static str,
    path: &'static str,
    access: Access,
    shape: Shape,
) -> Operation {
    Operation {
        id,
        method,
        path,
        access,
        shape,
    }
}

use Access::{Anyone, Needs, SignedIn};
use Permission as P;
use Shape::{Chunk, Plain, Slow, Stream};

/// Every operation. Fixed segments stand before parameters in the same place, because the first match counts.
#[rustfmt::skip]
pub(crate) const OPERATIONS: &[Operation] = &[
    op("session_get", "GET", "/session", SignedIn, Plain),
    op("session_create", "POST", "/session", Anyone, Plain),
    op("session_link", "POST", "/session/link", Anyone, Plain),
    op("session_delete", "DELETE", "/session", SignedIn, Plain),
    op("token_list", "GET", "/tokens", SignedIn, Plain),
    op("token_create", "POST", "/tokens", SignedIn, Plain),
    op("token_delete", "DELETE", "/tokens/{token_id}", SignedIn, Plain),
    op("portfolio_get", "GET", "/portfolio", Needs(P::PortfolioRead), Plain),
    op("project_list", "GET", "/projects", Needs(P::PortfolioRead), Plain),
    op("project_create", "POST", "/projects", Needs(P::PortfolioWrite), Plain),
    op("project_get", "GET", "/projects/{project_id}", Needs(P::PortfolioRead), Plain),
    op("project_update", "PATCH", "/projects/{project_id}", Needs(P::PortfolioWrite), Plain),
    op("project_members_set", "PUT", "/projects/{project_id}/members", Needs(P::PortfolioWrite), Plain),
    op("brand_list", "GET", "/brands", Needs(P::PortfolioRead), Plain),
    op("brand_create", "POST", "/brands", Needs(P::BrandWrite), Plain),
    op("brand_get", "GET", "/brands/{brand_id}", Needs(P::PortfolioRead), Plain),
    op("brand_update", "PATCH", "/brands/{brand_id}", Needs(P::BrandWrite), Plain),
    op("brand_timeline", "GET", "/brands/{brand_id}/timeline", Needs(P::PortfolioRead), Plain),
    op("relationship_list", "GET", "/relationships", Needs(P::PortfolioRead), Plain),
    op("relationship_create", "POST", "/relationships", Needs(P::BrandWrite), Plain),
    op("channel_list", "GET", "/channels", Needs(P::PortfolioRead), Plain),
    op("channel_create", "POST", "/channels", Needs(P::BrandWrite), Plain),
    op("metric_list", "GET", "/metrics", Needs(P::MetricRead), Plain),
    op("metric_create", "POST", "/metrics", Needs(P::MetricWrite), Plain),
    op("metric_versions", "GET", "/metrics/{metric_id}/versions", Needs(P::MetricRead), Plain),
    op("value_list", "GET", "/values", Needs(P::MetricRead), Plain),
    op("quality_list", "GET", "/quality", Needs(P::MetricRead), Plain),
    op("mapping_list", "GET", "/mappings", Needs(P::MetricRead), Plain),
    op("mapping_create", "POST", "/mappings", Needs(P::MappingWrite), Plain),
    op("mapping_get", "GET", "/mappings/{mapping_id}", Needs(P::MetricRead), Plain),
    op("import_list", "GET", "/imports", Needs(P::MetricRead), Plain),
    op("import_create", "POST", "/imports", Needs(P::IngestWrite), Stream),
    op("import_open", "POST", "/imports/open", Needs(P::IngestWrite), Plain),
    op("import_get", "GET", "/imports/{batch_id}", Needs(P::MetricRead), Plain),
    op("import_chunk_put", "PUT", "/imports/{batch_id}/chunks/{number}", Needs(P::IngestWrite), Chunk),
    op("import_finish", "POST", "/imports/{batch_id}/finish", Needs(P::IngestWrite), Plain),
    op("import_rejects", "GET", "/imports/{batch_id}/rejects", Needs(P::MetricRead), Plain),
    op("score_list", "GET", "/scores", Needs(P::ScoreRead), Plain),
    op("score_explanation", "GET", "/scores/explanation", Needs(P::ScoreRead), Slow),
    op("score_history", "GET", "/scores/history", Needs(P::ScoreRead), Plain),
    op("forecast_list", "GET", "/forecasts", Needs(P::ForecastRead), Plain),
    op("forecast_totals", "GET", "/forecasts/totals", Needs(P::ForecastRead), Plain),
    op("forecast_get", "GET", "/forecasts/{forecast_id}", Needs(P::ForecastRead), Plain),
    op("correlation_list", "GET", "/correlations", Needs(P::SynergyRead), Slow),
    op("driver_list", "GET", "/drivers", Needs(P::SynergyRead), Slow),
    op("synergy_list", "GET", "/synergies", Needs(P::SynergyRead), Plain),
    op("response_get", "GET", "/responses", Needs(P::PlanRead), Plain),
    op("response_curve", "GET", "/responses/{brand_id}/{channel_id}/curve", Needs(P::PlanRead), Plain),
    op("mix_get", "GET", "/mix", Needs(P::PlanRead), Slow),
    op("gap_list", "GET", "/gaps", Needs(P::GapRead), Plain),
    op("standing_get", "GET", "/standing", Needs(P::GapRead), Slow),
    op("rival_list", "GET", "/rivals", Needs(P::GapRead), Plain),
    op("indicator_list", "GET", "/indicators", Needs(P::GapRead), Plain),
    op("plan_list", "GET", "/plans", Needs(P::PlanRead), Plain),
    op("plan_create", "POST", "/plans", Needs(P::PlanWrite), Plain),
    op("plan_current", "GET", "/plans/current", Needs(P::PlanRead), Plain),
    op("plan_what_if", "POST", "/plans/what-if", Needs(P::PlanRead), Plain),
    op("plan_optimise", "POST", "/plans/optimise", Needs(P::PlanRead), Plain),
    op("plan_get", "GET", "/plans/{plan_id}", Needs(P::PlanRead), Plain),
    op("plan_update", "PUT", "/plans/{plan_id}", Needs(P::PlanWrite), Plain),
    op("plan_submit", "POST", "/plans/{plan_id}/submit", Needs(P::PlanWrite), Plain),
    op("constraint_list", "GET", "/constraints", Needs(P::PlanRead), Plain),
    op("constraint_create", "POST", "/constraints", Needs(P::ConstraintWrite), Plain),
    op("constraint_delete", "DELETE", "/constraints/{constraint_id}", Needs(P::ConstraintWrite), Plain),
    op("target_list", "GET", "/targets", Needs(P::PlanRead), Plain),
    op("recommendation_list", "GET", "/recommendations", Needs(P::RecommendationRead), Plain),
    op("considered_list", "GET", "/recommendations/considered", Needs(P::RecommendationRead), Plain),
    op("recommendation_get", "GET", "/recommendations/{recommendation_id}", Needs(P::RecommendationRead), Plain),
    op("recommendation_open", "POST", "/recommendations/{recommendation_id}/open", Needs(P::RecommendationDecide), Plain),
    op("recommendation_approve", "POST", "/recommendations/{recommendation_id}/approve", Needs(P::RecommendationDecide), Plain),
    op("recommendation_reject", "POST", "/recommendations/{recommendation_id}/reject", Needs(P::RecommendationDecide), Plain),
    op("recommendation_snooze", "POST", "/recommendations/{recommendation_id}/snooze", Needs(P::RecommendationDecide), Plain),
    op("recommendation_undo", "POST", "/recommendations/{recommendation_id}/undo", Needs(P::RecommendationDecide), Plain),
    op("recommendation_rollback", "POST", "/recommendations/{recommendation_id}/rollback", Needs(P::RecommendationDecide), Plain),
    op("outcome_list", "GET", "/outcomes", Needs(P::RecommendationRead), Plain),
    op("agent_list", "GET", "/agents", Needs(P::AgentRead), Plain),
    op("agent_tree", "GET", "/agents/tree", Needs(P::AgentRead), Plain),
    op("agent_tree_restart", "POST", "/agents/tree/restart", Needs(P::AgentControl), Plain),
    op("agent_run", "POST", "/agents/{agent}/run", Needs(P::AgentControl), Plain),
    op("agent_pause", "POST", "/agents/{agent}/pause", Needs(P::AgentControl), Plain),
    op("agent_resume", "POST", "/agents/{agent}/resume", Needs(P::AgentControl), Plain),
    op("agent_parameters_update", "PATCH", "/agents/{agent}/parameters", Needs(P::AgentControl), Plain),
    op("run_list", "GET", "/runs", Needs(P::RunRead), Plain),
    op("run_get", "GET", "/runs/{run_id}", Needs(P::RunRead), Plain),
    op("run_cancel", "POST", "/runs/{run_id}/cancel", Needs(P::RunWrite), Plain),
    op("schedule_list", "GET", "/schedules", Needs(P::ScheduleRead), Plain),
    op("schedule_update", "PATCH", "/schedules/{schedule_id}", Needs(P::ScheduleWrite), Plain),
    op("schedule_trigger", "POST", "/schedules/{schedule_id}/trigger", Needs(P::ScheduleWrite), Plain),
    op("event_stream", "GET", "/events", Needs(P::EventRead), Stream),
    op("demo_get", "GET", "/demo", Needs(P::PortfolioRead), Plain),
    op("demo_advance", "POST", "/demo/advance", Needs(P::DemoAdvance), Slow),
    op("job_get", "GET", "/jobs/{job_id}", Needs(P::RunRead), Plain),
    op("setting_list", "GET", "/settings", Needs(P::SettingRead), Plain),
    op("setting_put", "PUT", "/settings/{key}", Needs(P::SettingWrite), Plain),
    op("audit_list", "GET", "/audit", Needs(P::AuditRead), Plain),
];

/// The operation that `method` and `path` (below `/api/v1`) name.
pub(crate) fn find(method: &str, path: &str) -> Option<&'static Operation> {
    OPERATIONS
        .iter()
        .find(|operation| operation.method == method && matches(operation.path, path))
}

/// The methods that `path` takes.
pub(crate) fn methods_of(path: &str) -> Vec<&'static str> {
    OPERATIONS
        .iter()
        .filter(|operation| matches(operation.path, path))
        .map(|operation| operation.method)
        .collect()
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let fits = pattern.split('/').all(|expected| match segments.next() {
        Some(found) => expected == found || (expected.starts_with('{') && !found.is_empty()),
        None => false,
    });
    fits && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_segment_wins_over_a_parameter() {
        assert_eq!(
            find("GET", "/plans/current").map(|o| o.id),
            Some("plan_current")
        );
        assert_eq!(find("GET", "/plans/pln_1").map(|o| o.id), Some("plan_get"));
        assert_eq!(
            find("GET", "/recommendations/considered").map(|o| o.id),
            Some("considered_list")
        );
    }

    #[test]
    fn a_longer_or_shorter_path_is_another_operation() {
        assert!(find("GET", "/plans/").is_none());
        assert!(find("GET", "/plans/a/b").is_none());
        assert!(find("DELETE", "/plans").is_none());
    }

    #[test]
    fn what_only_reads_needs_a_permission_that_reads() {
        for operation in OPERATIONS {
            if let Needs(permission) = operation.access {
                let computes = ["plan_what_if", "plan_optimise"].contains(&operation.id);
                assert_eq!(
                    permission.is_read(),
                    operation.method == "GET" || computes,
                    "{}",
                    operation.id
                );
            }
        }
    }
}
