//! Runs of agents, and the journal of their steps. A finished step is not done again when a run resumes.

use domain::{
    access::AgentKind,
    event::{EventKind, NewEvent},
    id::{RunId, ScheduleId},
    page::{Page, PageRequest},
    run::{Run, RunState, RunStep},
};

use crate::{
    Error, Executor, Unit,
    executor::sealed::Run as _,
    keyset::{self, TimeKey},
    row::{Row, json, name, params},
};

/// Runs of a scope or unit.
pub struct Runs<'a, E>(pub(crate) &'a E);

/// Where a step stands when a worker comes to it.
#[derive(Clone, Debug, PartialEq)]
pub enum StepStart {
    /// It is to be done; this is the attempt.
    Do(u32),
    /// It was done before; this is what it produced.
    Done(serde_json::Value),
}

fn unknown(id: RunId) -> Error {
    domain::Error::not_found("run.unknown", format!("there is no run {id}")).into()
}

fn read(row: &Row) -> Result<Run, Error> {
    Ok(Run {
        id: RunId(row.get("id")?),
        agent: row.named("agent")?,
        state: row.named("state")?,
        trigger: row.named("cause")?,
        schedule: row.get::<Option<_>>("schedule_id")?.map(ScheduleId),
        tick: row.get("tick")?,
        snapshot: row.get("snapshot")?,
        parameters: row.json("parameters")?,
        progress: row.get("progress")?,
        error: row.get("error")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
    })
}

impl<E: Executor> Runs<'_, E> {
    /// One run.
    ///
    /// # Errors
    /// `run.unknown`.
    pub async fn get(&self, id: RunId) -> Result<Run, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM runs WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref()
            .map(read)
            .transpose()?
            .ok_or_else(|| unknown(id))
    }

    /// Runs, newest first; of one agent, or of all.
    ///
    /// # Errors
    /// `page.cursor` for a cursor that is none.
    pub async fn list(
        &self,
        agent: Option<AgentKind>,
        page: &PageRequest,
    ) -> Result<Page<Run>, Error> {
        let limit = keyset::limit(page);
        let mut sql = "SELECT * FROM runs WHERE org_id = $1".to_owned();
        let mut params = params![limit + 1];
        if let Some(after) = &page.after {
            let key = TimeKey::decode(after)?;
            sql.push_str(" AND (created_at, id) < ($3, $4)");
            params.extend(params![key.at, key.id]);
        }
        if let Some(agent) = agent {
            sql.push_str(&format!(" AND agent = ${}", params.len() + 2));
            params.push(agent.name().into());
        }
        sql.push_str(" ORDER BY created_at DESC, id DESC LIMIT $2");
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

    /// Runs that wait or are under way, oldest first: what a restarted program resumes.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn unfinished(&self) -> Result<Vec<Run>, Error> {
        let sql = "SELECT * FROM runs WHERE org_id = $1 AND state IN ('queued', 'running') ORDER BY created_at, id";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The last run of an agent that succeeded, if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn last_success(&self, agent: AgentKind) -> Result<Option<Run>, Error> {
        let sql = "SELECT * FROM runs WHERE org_id = $1 AND agent = $2 AND state = 'succeeded' ORDER BY created_at DESC, id DESC LIMIT 1";
        self.0
            .row(sql, params![agent.name()])
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    /// The steps of a run, in the order they were begun.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn steps(&self, run: RunId) -> Result<Vec<RunStep>, Error> {
        let sql = "SELECT * FROM run_steps WHERE org_id = $1 AND run_id = $2 ORDER BY place";
        let rows = self.0.rows(sql, params![run.0]).await?;
        rows.iter()
            .map(|row| {
                Ok(RunStep {
                    run,
                    key: row.get("step_key")?,
                    attempt: row.count("attempt")?,
                    output: row.json_opt("output")?,
                    error: row.get("error")?,
                    started_at: row.get("started_at")?,
                    ended_at: row.get("ended_at")?,
                })
            })
            .collect()
    }
}

impl Runs<'_, Unit> {
    /// Adds a run and tells of it. Says whether it is new: a run with the same id, or for the same tick of the same
    /// schedule, changes nothing.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn create(&self, new: &Run) -> Result<bool, Error> {
        let sql = "INSERT INTO runs (org_id, id, agent, state, cause, schedule_id, tick, snapshot, parameters, progress, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
        let params = params![
            new.id.0,
            new.agent.name(),
            name(&new.state),
            name(&new.trigger),
            new.schedule.map(|id| id.0),
            new.tick,
            new.snapshot.clone(),
            json(&new.parameters)?,
            new.progress,
            self.0.now()
        ];
        let made = self.0.execute(sql, params).await? == 1;
        if made {
            self.tell(new.id).await?;
        }
        Ok(made)
    }

    /// Starts a waiting run; starting a running one again (after a restart) changes nothing.
    ///
    /// # Errors
    /// `run.ended` when it has ended.
    pub async fn start(&self, id: RunId) -> Result<Run, Error> {
        let sql = "UPDATE runs SET state = 'running', started_at = COALESCE(started_at, $3) \
                   WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running')";
        self.step(id, sql, params![id.0, self.0.now()]).await
    }

    /// Notes which data a run looks at.
    ///
    /// # Errors
    /// `run.ended` when it has ended.
    pub async fn set_snapshot(&self, id: RunId, snapshot: &str) -> Result<(), Error> {
        let sql = "UPDATE runs SET snapshot = $3 WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running')";
        self.change(id, sql, params![id.0, snapshot]).await
    }

    /// Notes how far a run is, 0 to 1.
    ///
    /// # Errors
    /// `run.ended` when it has ended.
    pub async fn set_progress(&self, id: RunId, progress: f64) -> Result<(), Error> {
        let sql = "UPDATE runs SET progress = $3 WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running')";
        self.change(id, sql, params![id.0, progress.clamp(0.0, 1.0)])
            .await
    }

    /// Ends a run, with its error when it failed.
    ///
    /// # Errors
    /// `run.ended` when it had ended already.
    pub async fn end(&self, id: RunId, state: RunState, error: Option<&str>) -> Result<Run, Error> {
        let sql = "UPDATE runs SET state = $3, error = $4, ended_at = $5, \
                   progress = CASE WHEN $3 = 'succeeded' THEN 1.0 ELSE progress END \
                   WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running')";
        self.step(
            id,
            sql,
            params![id.0, name(&state), error.map(str::to_owned), self.0.now()],
        )
        .await
    }

    async fn step(&self, id: RunId, sql: &str, params: Vec<sea_orm::Value>) -> Result<Run, Error> {
        self.change(id, sql, params).await?;
        self.tell(id).await?;
        self.get(id).await
    }

    async fn change(&self, id: RunId, sql: &str, params: Vec<sea_orm::Value>) -> Result<(), Error> {
        if self.0.execute(sql, params).await? == 0 {
            let state = self.get(id).await?.state;
            return Err(domain::Error::conflict(
                "run.ended",
                format!("the run is {state:?} already"),
            )
            .into());
        }
        Ok(())
    }

    async fn tell(&self, id: RunId) -> Result<(), Error> {
        let body = serde_json::json!({ "run": id });
        self.0
            .events()
            .publish(NewEvent {
                kind: EventKind::RunChanged,
                key: id.to_string(),
                body,
            })
            .await?;
        Ok(())
    }

    /// Begins a step, or tells what it produced when it was done before.
    ///
    /// # Errors
    /// `storage.unknown_reference` when the run does not exist.
    pub async fn begin_step(&self, run: RunId, key: &str) -> Result<StepStart, Error> {
        let sql = "INSERT INTO run_steps (org_id, run_id, step_key, place, attempt, started_at) \
                   SELECT $1, $2, $3, COALESCE(MAX(place), 0) + 1, 0, $4 FROM run_steps WHERE org_id = $1 AND run_id = $2 \
                   ON CONFLICT (org_id, run_id, step_key) DO NOTHING";
        self.0
            .execute(sql, params![run.0, key, self.0.now()])
            .await?;
        let sql = "UPDATE run_steps SET attempt = attempt + 1, error = NULL, started_at = $4 \
                   WHERE org_id = $1 AND run_id = $2 AND step_key = $3 AND ended_at IS NULL RETURNING attempt";
        if let Some(row) = self.0.row(sql, params![run.0, key, self.0.now()]).await? {
            return Ok(StepStart::Do(row.count("attempt")?));
        }
        let sql =
            "SELECT output FROM run_steps WHERE org_id = $1 AND run_id = $2 AND step_key = $3";
        let row = self
            .0
            .row(sql, params![run.0, key])
            .await?
            .ok_or_else(|| unknown(run))?;
        Ok(StepStart::Done(row.json_opt("output")?.unwrap_or_default()))
    }

    /// Ends a step with what it produced, in the unit of its effect.
    ///
    /// # Errors
    /// `run.step_ended` when it was done before.
    pub async fn finish_step(
        &self,
        run: RunId,
        key: &str,
        output: &serde_json::Value,
    ) -> Result<(), Error> {
        let sql = "UPDATE run_steps SET output = $4, error = NULL, ended_at = $5 \
                   WHERE org_id = $1 AND run_id = $2 AND step_key = $3 AND ended_at IS NULL";
        if self
            .0
            .execute(sql, params![run.0, key, json(output)?, self.0.now()])
            .await?
            == 0
        {
            return Err(domain::Error::conflict(
                "run.step_ended",
                format!("the step {key} was done before"),
            )
            .into());
        }
        Ok(())
    }

    /// Notes that an attempt of a step failed. It stays to be done.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn fail_step(&self, run: RunId, key: &str, error: &str) -> Result<(), Error> {
        let sql = "UPDATE run_steps SET error = $4 WHERE org_id = $1 AND run_id = $2 AND step_key = $3 AND ended_at IS NULL";
        self.0.execute(sql, params![run.0, key, error]).await?;
        Ok(())
    }
}
