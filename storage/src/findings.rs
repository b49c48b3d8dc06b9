//! Sets of findings as the analytics wrote them: gaps, rivals' changes, leading indicators, data quality.

use chrono::{DateTime, NaiveDate, Utc};
use domain::id::RunId;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Executor, Unit,
    executor::sealed::Run,
    row::{json, params},
};

/// Findings of a scope or unit.
pub struct Findings<'a, E>(pub(crate) &'a E);

/// Findings of one kind that were computed together.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingSet<T> {
    /// Last period used.
    pub origin: NaiveDate,
    /// The run that computed them.
    pub run: Option<RunId>,
    /// When they were kept.
    pub at: DateTime<Utc>,
    /// The findings, in the order they were given.
    pub findings: Vec<T>,
}

impl<E: Executor> Findings<'_, E> {
    /// The newest set of a kind (`gaps`, `rival_changes`, `leading_indicators`, …), if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn latest<T: DeserializeOwned>(
        &self,
        kind: &str,
    ) -> Result<Option<FindingSet<T>>, Error> {
        let sql = "SELECT s.number, s.origin, s.run_id, s.created_at FROM finding_sets s WHERE s.org_id = $1 AND s.kind = $2 \
                   ORDER BY s.number DESC LIMIT 1";
        let Some(set) = self.0.row(sql, params![kind]).await? else {
            return Ok(None);
        };
        let sql = "SELECT body FROM findings WHERE org_id = $1 AND kind = $2 AND number = $3 ORDER BY place";
        let rows = self
            .0
            .rows(sql, params![kind, set.get::<i64>("number")?])
            .await?;
        Ok(Some(FindingSet {
            origin: set.get("origin")?,
            run: set.get::<Option<_>>("run_id")?.map(RunId),
            at: set.get("created_at")?,
            findings: rows
                .iter()
                .map(|row| row.json("body"))
                .collect::<Result<_, _>>()?,
        }))
    }
}

impl Findings<'_, Unit> {
    /// Keeps a set of findings of a kind, each with the stable key of what it is about. An empty set is kept too: it says
    /// that nothing was found.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn record<T: Serialize + Sync>(
        &self,
        kind: &str,
        origin: NaiveDate,
        run: Option<RunId>,
        findings: &[(String, T)],
    ) -> Result<(), Error> {
        self.0.serialise(&format!("findings|{kind}")).await?;
        let sql = "INSERT INTO finding_sets (org_id, kind, number, origin, run_id, created_at) \
                   SELECT $1, $2, COALESCE(MAX(number), 0) + 1, $3, $4, $5 FROM finding_sets WHERE org_id = $1 AND kind = $2 \
                   RETURNING number";
        let run = run.map(|id| id.0);
        let row = self
            .0
            .row(sql, params![kind, origin, run, self.0.now()])
            .await?;
        let number: i64 = row
            .ok_or_else(|| Error::internal("a set got no number"))?
            .get("number")?;
        let sql = "INSERT INTO findings (org_id, kind, number, place, subject, body) VALUES ($1, $2, $3, $4, $5, $6)";
        for (place, (subject, finding)) in (1_i64..).zip(findings) {
            self.0
                .execute(
                    sql,
                    params![kind, number, place, subject.clone(), json(finding)?],
                )
                .await?;
        }
        Ok(())
    }
}
