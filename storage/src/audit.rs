//! The audit trail: dense per organisation, written in the transaction of the change.

use domain::{
    audit::AuditEntry,
    page::{Page, PageRequest},
};

use crate::{
    Error, Executor, Unit,
    executor::sealed::Run,
    keyset::{self, decode_number},
    row::{Row, json, params},
};

/// The audit trail of a scope or unit.
pub struct Audit<'a, E>(pub(crate) &'a E);

/// A line that is written when the unit commits.
#[derive(Debug)]
pub(crate) struct Pending {
    action: String,
    subject: String,
    detail: serde_json::Value,
}

fn read(row: &Row) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        seq: row.get("seq")?,
        at: row.get("at")?,
        actor: row.json("actor")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        detail: row.json("detail")?,
    })
}

impl<E: Executor> Audit<'_, E> {
    /// The trail, newest first.
    ///
    /// # Errors
    /// `page.cursor` for a cursor that is none.
    pub async fn list(&self, page: &PageRequest) -> Result<Page<AuditEntry>, Error> {
        let limit = keyset::limit(page);
        let before = page
            .after
            .as_deref()
            .map(decode_number)
            .transpose()?
            .unwrap_or(i64::MAX);
        let sql =
            "SELECT * FROM audit_entries WHERE org_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3";
        let rows = self
            .0
            .rows(sql, params![before, limit + 1])
            .await?
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(keyset::page(rows, limit, |entry| entry.seq.to_string()))
    }

    /// The lines about one thing, newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn of_subject(&self, subject: &str, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        let sql = "SELECT * FROM audit_entries WHERE org_id = $1 AND subject = $2 ORDER BY seq DESC LIMIT $3";
        self.0
            .rows(sql, params![subject, i64::from(limit)])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

impl Audit<'_, Unit> {
    /// Adds a line: what (`noun.verb`), about which thing (its text id), with details that hold no secrets. It is
    /// numbered and written when the unit commits, so that the trail's lock is held for the shortest time.
    ///
    /// # Errors
    /// None here; the unit fails when the line cannot be written.
    pub async fn record(
        &self,
        action: &str,
        subject: &str,
        detail: serde_json::Value,
    ) -> Result<(), Error> {
        let pending = Pending {
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail,
        };
        self.0.noted(|noted| noted.audit.push(pending));
        Ok(())
    }
}

impl Unit {
    /// Numbers and writes the unit's lines.
    pub(crate) async fn write_audit(&self) -> Result<(), Error> {
        let lines = self.noted(|noted| std::mem::take(&mut noted.audit));
        if lines.is_empty() {
            return Ok(());
        }
        let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        let sql = "INSERT INTO audit_heads (org_id, seq) VALUES ($1, $2) \
                   ON CONFLICT (org_id) DO UPDATE SET seq = audit_heads.seq + excluded.seq RETURNING seq";
        let row = self
            .row(sql, params![count])
            .await?
            .ok_or_else(|| Error::internal("the audit trail gave no number"))?;
        let last: i64 = row.get("seq")?;
        let sql = "INSERT INTO audit_entries (org_id, seq, at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        for (seq, line) in (last - count + 1..).zip(lines) {
            let params = params![
                seq,
                self.now(),
                json(&self.actor())?,
                line.action,
                line.subject,
                json(&line.detail)?
            ];
            self.execute(sql, params).await?;
        }
        Ok(())
    }
}
