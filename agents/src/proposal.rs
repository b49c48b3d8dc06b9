//! What an agent proposes, before it is a stored recommendation.
//!
//! A proposal always holds evidence (numbers and where they come from), a frozen action and a dedupe key. The key is
//! made of the data's digest and the action's hash, so the same cycle on the same data makes the same proposals, and
//! storing them again changes nothing.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    access::AgentKind,
    id::{BrandId, OrgId, RecommendationId},
    recommendation::{Action, Considered, Evidence, Kind, Recommendation, State},
    unit::Effect,
};

/// A proposal of one agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proposal {
    /// Who proposes.
    pub agent: AgentKind,
    /// What it is about, as a stable key such as `pair:Alder>Birch`.
    pub subject: String,
    /// One line for the list.
    pub title: String,
    /// Two or three sentences in plain words.
    pub summary: String,
    /// Brands it touches.
    pub brands: Vec<BrandId>,
    /// The objective it serves.
    pub objective: String,
    /// What approving does.
    pub action: Action,
    /// Expected effect against not acting; `None` where the kind has none that can be stated honestly.
    pub effect: Option<Effect>,
    /// P(effect > 0), 0 to 1.
    pub confidence: Option<f64>,
    /// The numbers behind it, at least one.
    pub evidence: Vec<Evidence>,
    /// Domain date after which it expires.
    pub expires_on: NaiveDate,
}

impl Proposal {
    /// The kind, which is always the action's.
    pub(crate) fn kind(&self) -> Kind {
        self.action.kind()
    }

    /// The key under which the same proposal on the same data is stored only once.
    pub(crate) fn dedupe_key(&self, digest: &str) -> String {
        let short = |text: &str| text.chars().take(16).collect::<String>();
        format!(
            "{}|{}|{}|{}",
            self.kind().name(),
            self.subject,
            short(digest),
            short(&self.action.hash())
        )
    }

    /// The recommendation to store, as a draft for the arbitrator. Its id follows from the dedupe key.
    pub(crate) fn into_draft(
        self,
        org: OrgId,
        digest: &str,
        as_of: NaiveDate,
        now: DateTime<Utc>,
    ) -> Recommendation {
        let dedupe_key = self.dedupe_key(digest);
        Recommendation {
            id: RecommendationId::derive(&[&org.to_string(), &dedupe_key]),
            version: 1,
            kind: self.kind(),
            agent: self.agent,
            subject: self.subject,
            title: self.title,
            summary: self.summary,
            brands: self.brands,
            objective: self.objective,
            state: State::Draft,
            action_hash: self.action.hash(),
            action: self.action,
            effect: self.effect,
            confidence: self.confidence,
            evidence: self.evidence,
            dedupe_key,
            evidence_digest: digest.to_owned(),
            proposed_on: as_of,
            expires_on: self.expires_on,
            snoozed_until: None,
            applies_at: None,
            superseded_by: None,
            parent: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// What the rules of an agent conclude from one look at the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdicts {
    /// What is worth a person's attention.
    pub proposals: Vec<Proposal>,
    /// What was looked at and not proposed, and why.
    pub considered: Vec<Considered>,
}

impl Verdicts {
    /// Records something that was not proposed.
    pub(crate) fn decline(
        &mut self,
        agent: AgentKind,
        kind: Kind,
        subject: impl Into<String>,
        reason: &str,
        detail: String,
    ) {
        self.considered.push(Considered {
            agent,
            kind,
            subject: subject.into(),
            reason: reason.to_owned(),
            detail,
        });
    }

    /// Both lists of another one appended.
    pub(crate) fn extend(&mut self, other: Verdicts) {
        self.proposals.extend(other.proposals);
        self.considered.extend(other.considered);
    }
}
