//! Recommendations, their history, and what was considered and not proposed. Every change of state is one conditional
//! update (see [`Transition`]); history, event and audit row commit with it.

use chrono::{DateTime, Utc};
use domain::{
    access::AgentKind,
    event::{EventKind, NewEvent},
    id::{BrandId, RecommendationId, RunId},
    page::{Page, PageRequest},
    recommendation::{Action, Considered, HistoryEntry, Kind, Move, Recommendation, State},
    unit::Effect,
};
use sea_orm::Value;

use crate::{
    Error, Executor, Unit,
    executor::sealed::Run,
    keyset::{self, TimeKey},
    row::{Row, json, json_opt, name, params, placeholders},
};

mod transition;

pub use transition::Transition;

/// An action as a person changed it, with what follows from the change.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The action, of the same kind.
    pub action: Action,
    /// The title that fits it.
    pub title: String,
    /// What it does in words.
    pub summary: String,
    /// Its expected effect; `None` for kinds without one in money.
    pub effect: Option<Effect>,
    /// P(effect > 0).
    pub confidence: Option<f64>,
    /// What the history says about the change.
    pub note: String,
}

/// Recommendations of a scope or unit.
pub struct Recommendations<'a, E>(pub(crate) &'a E);

/// Which recommendations are asked for. Empty and `None` mean any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// States.
    pub states: Vec<State>,
    /// Kind.
    pub kind: Option<Kind>,
    /// Agent that proposed it.
    pub agent: Option<AgentKind>,
    /// A brand it touches.
    pub brand: Option<BrandId>,
    /// The initiative it belongs to.
    pub parent: Option<RecommendationId>,
}

impl Filter {
    /// What a person can still decide on.
    pub fn open() -> Self {
        Self {
            states: State::ALL.into_iter().filter(|s| s.is_open()).collect(),
            ..Self::default()
        }
    }
}

/// What became of a draft.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "made and taken apart at once, never kept in numbers"
)]
pub enum Drafted {
    /// It is new.
    Inserted(Recommendation),
    /// The same proposal (by its dedupe key) is there already, in this state; nothing was changed.
    Unchanged(RecommendationId, State),
}

/// Something considered and not proposed, with when and in which run.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsideredEntry {
    /// What it was.
    pub considered: Considered,
    /// The run that considered it.
    pub run: Option<RunId>,
    /// When.
    pub at: DateTime<Utc>,
}

pub(crate) fn unknown(id: RecommendationId) -> Error {
    domain::Error::not_found(
        "recommendation.unknown",
        format!("there is no recommendation {id}"),
    )
    .into()
}

pub(crate) fn read(row: &Row) -> Result<Recommendation, Error> {
    Ok(Recommendation {
        id: RecommendationId(row.get("id")?),
        version: row.count("version")?,
        kind: row.named("kind")?,
        agent: row.named("agent")?,
        subject: row.get("subject")?,
        title: row.get("title")?,
        summary: row.get("summary")?,
        brands: row.json("brands")?,
        objective: row.get("objective")?,
        state: row.named("state")?,
        action: row.json("action")?,
        action_hash: row.get("action_hash")?,
        effect: row.json_opt("effect")?,
        confidence: row.get("confidence")?,
        evidence: row.json("evidence")?,
        dedupe_key: row.get("dedupe_key")?,
        evidence_digest: row.get("evidence_digest")?,
        proposed_on: row.get("proposed_on")?,
        expires_on: row.get("expires_on")?,
        snoozed_until: row.get("snoozed_until")?,
        applies_at: row.get("applies_at")?,
        superseded_by: row.get::<Option<_>>("superseded_by")?.map(RecommendationId),
        parent: row.get::<Option<_>>("parent_id")?.map(RecommendationId),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn conditions(filter: &Filter, first: usize) -> (String, Vec<Value>) {
    let (mut sql, mut params): (String, Vec<Value>) = (String::new(), Vec::new());
    let next = |params: &Vec<Value>| first + params.len();
    if !filter.states.is_empty() {
        sql.push_str(&format!(
            " AND r.state IN ({})",
            placeholders(next(&params), filter.states.len())
        ));
        params.extend(filter.states.iter().map(|s| Value::from(name(s))));
    }
    if let Some(kind) = filter.kind {
        sql.push_str(&format!(" AND r.kind = ${}", next(&params)));
        params.push(kind.name().into());
    }
    if let Some(agent) = filter.agent {
        sql.push_str(&format!(" AND r.agent = ${}", next(&params)));
        params.push(agent.name().into());
    }
    if let Some(parent) = filter.parent {
        sql.push_str(&format!(" AND r.parent_id = ${}", next(&params)));
        params.push(parent.0.into());
    }
    if let Some(brand) = filter.brand {
        sql.push_str(&format!(
            " AND EXISTS (SELECT 1 FROM recommendation_brands b WHERE b.org_id = r.org_id AND b.recommendation_id = r.id \
             AND b.brand_id = ${})",
            next(&params)
        ));
        params.push(brand.0.into());
    }
    (sql, params)
}

impl<E: Executor> Recommendations<'_, E> {
    /// One recommendation.
    ///
    /// # Errors
    /// `recommendation.unknown`.
    pub async fn get(&self, id: RecommendationId) -> Result<Recommendation, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM recommendations WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref()
            .map(read)
            .transpose()?
            .ok_or_else(|| unknown(id))
    }

    /// The recommendations asked for, newest first.
    ///
    /// # Errors
    /// `page.cursor` for a cursor that is none.
    pub async fn list(
        &self,
        filter: &Filter,
        page: &PageRequest,
    ) -> Result<Page<Recommendation>, Error> {
        let limit = keyset::limit(page);
        let mut sql = "SELECT r.* FROM recommendations r WHERE r.org_id = $1".to_owned();
        let mut params = params![limit + 1];
        if let Some(after) = &page.after {
            let key = TimeKey::decode(after)?;
            sql.push_str(" AND (r.created_at, r.id) < ($3, $4)");
            params.extend(params![key.at, key.id]);
        }
        let (conditions, more) = conditions(filter, params.len() + 2);
        sql.push_str(&conditions);
        params.extend(more);
        sql.push_str(" ORDER BY r.created_at DESC, r.id DESC LIMIT $2");
        let rows = self
            .0
            .rows(&sql, params)
            .await?
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(keyset::page(rows, limit, |r| {
            TimeKey {
                at: r.created_at,
                id: r.id.0,
            }
            .encode()
        }))
    }

    /// Every recommendation asked for, oldest first; for the arbitrator and the measurer, not for people.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn all(&self, filter: &Filter) -> Result<Vec<Recommendation>, Error> {
        let (conditions, params) = conditions(filter, 2);
        let sql = format!(
            "SELECT r.* FROM recommendations r WHERE r.org_id = $1{conditions} ORDER BY r.created_at, r.id"
        );
        self.0.rows(&sql, params).await?.iter().map(read).collect()
    }

    /// How many there are in each state that occurs.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn counts(&self) -> Result<Vec<(State, u64)>, Error> {
        let sql = "SELECT state, COUNT(*) AS n FROM recommendations WHERE org_id = $1 GROUP BY state ORDER BY state";
        let rows = self.0.rows(sql, params![]).await?;
        rows.iter()
            .map(|row| Ok((row.named("state")?, row.count("n")?)))
            .collect()
    }

    /// The history of one recommendation, oldest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn history(&self, id: RecommendationId) -> Result<Vec<HistoryEntry>, Error> {
        let sql = "SELECT * FROM recommendation_history WHERE org_id = $1 AND recommendation_id = $2 ORDER BY number";
        let rows = self.0.rows(sql, params![id.0]).await?;
        rows.iter()
            .map(|row| {
                Ok(HistoryEntry {
                    at: row.get("at")?,
                    actor: row.json("actor")?,
                    step: row
                        .get::<Option<String>>("step")?
                        .map(|s| crate::row::from_name(&s))
                        .transpose()?,
                    state: row.named("state")?,
                    note: row.get("note")?,
                    action_hash: row.get("action_hash")?,
                })
            })
            .collect()
    }

    /// What was considered and not proposed, newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn considered(
        &self,
        agent: Option<AgentKind>,
        limit: u32,
    ) -> Result<Vec<ConsideredEntry>, Error> {
        let mut sql = "SELECT * FROM considered WHERE org_id = $1".to_owned();
        let mut params = params![i64::from(limit)];
        if let Some(agent) = agent {
            sql.push_str(" AND agent = $3");
            params.push(agent.name().into());
        }
        sql.push_str(" ORDER BY created_at DESC, id DESC LIMIT $2");
        let rows = self.0.rows(&sql, params).await?;
        rows.iter()
            .map(|row| {
                Ok(ConsideredEntry {
                    considered: Considered {
                        agent: row.named("agent")?,
                        kind: row.named("kind")?,
                        subject: row.get("subject")?,
                        reason: row.get("reason")?,
                        detail: row.get("detail")?,
                    },
                    run: row.get::<Option<_>>("run_id")?.map(RunId),
                    at: row.get("created_at")?,
                })
            })
            .collect()
    }

    /// Approved recommendations whose undo window has passed by database time, the longest waiting first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn due(&self, limit: u32) -> Result<Vec<Recommendation>, Error> {
        let sql = "SELECT * FROM recommendations WHERE org_id = $1 AND state = 'approved' AND applies_at <= $2 \
                   ORDER BY applies_at, id LIMIT $3";
        let now = self.0.time().await?;
        self.0
            .rows(sql, params![now, i64::from(limit)])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

impl Recommendations<'_, Unit> {
    /// Adds a draft. Version, state, hash and times are set here. The same proposal (by dedupe key) changes nothing while
    /// it is a draft, open, decided or applied; one that expired or was superseded, withdrawn, rolled back or failed can be
    /// made again. An older draft of the same kind and subject is withdrawn.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn draft(&self, new: &Recommendation) -> Result<Drafted, Error> {
        self.0.serialise("drafts").await?;
        let blocking = "SELECT id, state FROM recommendations WHERE org_id = $1 AND dedupe_key = $2 \
                        AND state NOT IN ('expired', 'superseded', 'withdrawn', 'failed', 'rolled_back')";
        if let Some(row) = self
            .0
            .row(blocking, params![new.dedupe_key.clone()])
            .await?
        {
            return Ok(Drafted::Unchanged(
                RecommendationId(row.get("id")?),
                row.named("state")?,
            ));
        }
        let kind = new.action.kind();
        let older = "SELECT id FROM recommendations WHERE org_id = $1 AND kind = $2 AND subject = $3 AND state = 'draft'";
        for row in self
            .0
            .rows(older, params![kind.name(), new.subject.clone()])
            .await?
        {
            let withdraw = Transition::by_runtime(RecommendationId(row.get("id")?), Move::Withdraw);
            self.transition(&withdraw.note("a newer draft of the same agent takes its place"))
                .await?;
        }
        let hash = new.action.hash();
        let sql = "INSERT INTO recommendations (org_id, id, version, kind, agent, subject, title, summary, brands, objective, state, \
                   action, action_hash, effect, confidence, evidence, dedupe_key, evidence_digest, proposed_on, expires_on, \
                   parent_id, created_at, updated_at) VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
                   $15, $16, $17, $18, $19, $20, $21, $21)";
        self.0
            .execute(
                sql,
                params![
                    new.id.0,
                    kind.name(),
                    new.agent.name(),
                    new.subject.clone(),
                    new.title.clone(),
                    new.summary.clone(),
                    json(&new.brands)?,
                    new.objective.clone(),
                    name(&State::Draft),
                    json(&new.action)?,
                    hash.clone(),
                    json_opt(&new.effect)?,
                    new.confidence,
                    json(&new.evidence)?,
                    new.dedupe_key.clone(),
                    new.evidence_digest.clone(),
                    new.proposed_on,
                    new.expires_on,
                    new.parent.map(|id| id.0),
                    self.0.now()
                ],
            )
            .await?;
        let sql = "INSERT INTO recommendation_brands (org_id, recommendation_id, brand_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        for brand in &new.brands {
            self.0.execute(sql, params![new.id.0, brand.0]).await?;
        }
        self.write_history(new.id, None, State::Draft, None, &hash)
            .await?;
        Ok(Drafted::Inserted(self.get(new.id).await?))
    }

    /// Keeps what was considered and not proposed.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn record_considered(
        &self,
        run: Option<RunId>,
        considered: &[Considered],
    ) -> Result<(), Error> {
        let sql = "INSERT INTO considered (org_id, id, agent, kind, subject, reason, detail, run_id, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        for one in considered {
            let params = params![
                self.0.fresh_id(),
                one.agent.name(),
                one.kind.name(),
                one.subject.clone(),
                one.reason.clone(),
                one.detail.clone(),
                run.map(|id| id.0),
                self.0.now()
            ];
            self.0.execute(sql, params).await?;
        }
        Ok(())
    }

    /// Replaces the action of an open recommendation by an edited one, and with it everything that speaks of the action;
    /// its hash changes, so nobody can approve the old one any more.
    ///
    /// # Errors
    /// `recommendation.changed` (stale) when it no longer has `expected_version`, `recommendation.already_decided`, and
    /// `recommendation.kind_changed` when the action is of another kind.
    pub async fn edit(
        &self,
        id: RecommendationId,
        expected_version: u32,
        edit: &Edit,
    ) -> Result<Recommendation, Error> {
        transition::may_decide(self.0)?;
        let before = self.get(id).await?;
        if !before.state.is_open() {
            let message = format!("it is already {:?}", before.state);
            return Err(
                domain::Error::conflict("recommendation.already_decided", message)
                    .advise("reload it to see who decided what")
                    .into(),
            );
        }
        if before.kind != edit.action.kind() {
            return Err(domain::Error::invalid(
                "recommendation.kind_changed",
                "an edit cannot change the kind of action",
            )
            .into());
        }
        let hash = edit.action.hash();
        let sql = "UPDATE recommendations SET version = version + 1, state = 'in_review', snoozed_until = NULL, action = $3, \
                   action_hash = $4, effect = $5, confidence = $6, updated_at = $7, title = $10, summary = $11 \
                   WHERE org_id = $1 AND id = $2 AND version = $8 AND state = $9";
        let params = params![
            id.0,
            json(&edit.action)?,
            hash.clone(),
            json_opt(&edit.effect.as_ref())?,
            edit.confidence,
            self.0.now(),
            i64::from(expected_version),
            name(&before.state),
            edit.title.clone(),
            edit.summary.clone()
        ];
        if self.0.execute(sql, params).await? == 0 {
            return Err(transition::stale(self.get(id).await?.version));
        }
        self.write_history(id, None, State::InReview, Some(&edit.note), &hash)
            .await?;
        self.tell(id, EventKind::RecommendationChanged).await?;
        self.0
            .audit()
            .record(
                "recommendation.edited",
                &id.to_string(),
                serde_json::json!({ "hash": hash }),
            )
            .await?;
        self.get(id).await
    }

    pub(crate) async fn write_history(
        &self,
        id: RecommendationId,
        step: Option<Move>,
        state: State,
        note: Option<&str>,
        hash: &str,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO recommendation_history (org_id, recommendation_id, number, at, actor, step, state, note, action_hash) \
                   SELECT $1, $2, COALESCE(MAX(number), 0) + 1, $3, $4, $5, $6, $7, $8 FROM recommendation_history \
                   WHERE org_id = $1 AND recommendation_id = $2";
        let params = params![
            id.0,
            self.0.now(),
            json(&self.0.actor())?,
            step.map(|s| name(&s)),
            name(&state),
            note.map(str::to_owned),
            hash
        ];
        self.0.execute(sql, params).await?;
        Ok(())
    }

    pub(crate) async fn tell(&self, id: RecommendationId, kind: EventKind) -> Result<(), Error> {
        let body = serde_json::json!({ "recommendation": id });
        self.0
            .events()
            .publish(NewEvent {
                kind,
                key: id.to_string(),
                body,
            })
            .await?;
        Ok(())
    }
}
