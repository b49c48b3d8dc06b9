//! What applied recommendations really did.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    id::{OutcomeId, RecommendationId},
    page::Page,
};
use poem::Request;
use poem_openapi::{Object, OpenApi, param::Query};

use crate::{
    App, Tag,
    actor::AgentKind,
    auth::Caller,
    mirror::{Id, Mirror, mirror, mirror_enum},
    page::{self, Listed},
    problem::Answer,
    quantities::{Interval, Provenance},
    recommendations::RecommendationKind,
};

mirror_enum! {
    /// The verdict of a measurement.
    OutcomeVerdict of domain::outcome::OutcomeVerdict {
        /// The effect was as promised.
        Verified,
        /// It was not.
        Refuted,
        /// It cannot be told.
        Inconclusive,
    }
}

mirror! {
    /// A measured outcome: promised against realised.
    Outcome of domain::outcome::Outcome {
        /// The id.
        id: Id<OutcomeId>,
        /// The recommendation.
        recommendation: Id<RecommendationId>,
        /// First and last week measured.
        from: NaiveDate,
        /// Last week measured.
        to: NaiveDate,
        /// Promised effect over that window.
        promised: f64,
        /// Realised effect by our estimator.
        realised: Option<f64>,
        /// 80 % interval of the realised effect.
        interval80: Option<Interval>,
        /// The verdict.
        verdict: OutcomeVerdict,
        /// Why, in a sentence.
        reason: String,
        /// Where it comes from.
        provenance: Provenance,
        /// When it was measured.
        at: DateTime<Utc>,
    }
}

/// The recommendation an outcome belongs to.
#[derive(Clone, Debug, Object)]
pub(crate) struct OutcomeSubject {
    /// The id.
    pub(crate) id: Id<RecommendationId>,
    /// Its title.
    pub(crate) title: String,
    /// Its kind.
    pub(crate) kind: RecommendationKind,
    /// The agent that proposed it.
    pub(crate) agent: AgentKind,
}

/// An outcome beside what was promised.
#[derive(Clone, Debug, Object)]
pub(crate) struct OutcomeRow {
    /// The outcome.
    pub(crate) outcome: Outcome,
    /// The recommendation.
    pub(crate) recommendation: OutcomeSubject,
}

/// Outcomes.
pub(crate) struct OutcomeApi(pub(crate) App);

#[OpenApi(tag = "Tag::Recommendations")]
impl OutcomeApi {
    /// List measured outcomes.
    ///
    /// Promised against realised, newest first.
    #[oai(path = "/outcomes", method = "get", operation_id = "outcome_list")]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// Rows on a page, 1 to 200.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<Listed<OutcomeRow>> {
        let wanted = page::request(limit.0, cursor.0)?;
        let scope = self.0.state.storage.scope(caller.grant());
        let page = page::cut(scope.outcomes().list().await?, &wanted, |row| {
            row.id.to_string()
        })?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for outcome in page.rows {
            let of = scope.recommendations().get(outcome.recommendation).await?;
            let recommendation = OutcomeSubject {
                id: Id(of.id),
                title: of.title,
                kind: Mirror::of(of.kind),
                agent: Mirror::of(of.agent),
            };
            rows.push(OutcomeRow {
                outcome: Mirror::of(outcome),
                recommendation,
            });
        }
        Ok(page::listed_as(
            request,
            Page {
                rows,
                next: page.next,
            },
        ))
    }
}
