//! Budget plans with their lines. One plan is of record.

use domain::{
    budget::{Plan, PlanLine, PlanStatus},
    id::{BrandId, ChannelId, PlanId},
    page::{Page, PageRequest},
};
use rust_decimal::Decimal;

use crate::{
    Error, Executor, Unit,
    keyset::{self, TimeKey},
    row::{Row, json, name, params},
};

/// Plans of a scope or unit.
pub struct Plans<'a, E>(pub(crate) &'a E);

fn unknown(id: PlanId) -> Error {
    domain::Error::not_found("plan.unknown", format!("there is no plan {id}")).into()
}

fn decimal(row: &Row, column: &str) -> Result<Decimal, Error> {
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|_| Error::internal(format!("{column} does not hold a decimal")))
}

fn read(row: &Row) -> Result<Plan, Error> {
    Ok(Plan {
        version: row.count("version")?,
        status: row.named("status")?,
        ..row.json("body")?
    })
}

fn read_line(row: &Row) -> Result<PlanLine, Error> {
    Ok(PlanLine {
        brand: BrandId(row.get("brand_id")?),
        channel: ChannelId(row.get("channel_id")?),
        weekly: decimal(row, "weekly")?,
        current: decimal(row, "current_weekly")?,
        lower: decimal(row, "lower_weekly")?,
        upper: decimal(row, "upper_weekly")?,
        marginal_return: row.get("marginal_return")?,
    })
}

/// The plan as it is kept in its row; its lines have a table of their own.
fn head(plan: &Plan) -> Result<String, Error> {
    json(&Plan {
        lines: Vec::new(),
        ..plan.clone()
    })
}

impl<E: Executor> Plans<'_, E> {
    async fn with_lines(&self, mut plan: Plan) -> Result<Plan, Error> {
        let sql = "SELECT * FROM plan_lines WHERE org_id = $1 AND plan_id = $2 ORDER BY place";
        plan.lines = self
            .0
            .rows(sql, params![plan.id.0])
            .await?
            .iter()
            .map(read_line)
            .collect::<Result<_, _>>()?;
        Ok(plan)
    }

    /// One plan with its lines.
    ///
    /// # Errors
    /// `plan.unknown`.
    pub async fn get(&self, id: PlanId) -> Result<Plan, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM plans WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        self.with_lines(read(&row.ok_or_else(|| unknown(id))?)?)
            .await
    }

    /// The plan of record with its lines, if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn of_record(&self) -> Result<Option<Plan>, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM plans WHERE org_id = $1 AND status = 'of_record'",
                params![],
            )
            .await?;
        match row {
            Some(row) => self.with_lines(read(&row)?).await.map(Some),
            None => Ok(None),
        }
    }

    /// Plans without their lines, newest first.
    ///
    /// # Errors
    /// `page.cursor` for a cursor that is none.
    pub async fn list(&self, page: &PageRequest) -> Result<Page<Plan>, Error> {
        let limit = keyset::limit(page);
        let mut sql = "SELECT * FROM plans WHERE org_id = $1".to_owned();
        let mut params = params![limit + 1];
        if let Some(after) = &page.after {
            let key = TimeKey::decode(after)?;
            sql.push_str(" AND (created_at, id) < ($3, $4)");
            params.extend(params![key.at, key.id]);
        }
        sql.push_str(" ORDER BY created_at DESC, id DESC LIMIT $2");
        let rows = self.0.rows(&sql, params).await?;
        let rows = rows
            .iter()
            .map(|row| Ok((row.get("created_at")?, read(row)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(keyset::page(rows, limit, |(at, plan)| {
            TimeKey {
                at: *at,
                id: plan.id.0,
            }
            .encode()
        })
        .map(|(_, plan)| plan))
    }
}

impl Plans<'_, Unit> {
    /// Adds a plan at version 1; adding it again changes nothing. A plan that comes as of record takes the place of the
    /// one before.
    ///
    /// # Errors
    /// `storage.unknown_reference` when a line's brand or channel does not exist.
    pub async fn create(&self, new: &Plan) -> Result<Plan, Error> {
        let status = if new.status == PlanStatus::OfRecord {
            PlanStatus::Draft
        } else {
            new.status
        };
        let sql = "INSERT INTO plans (org_id, id, version, status, body, created_at, updated_at) VALUES ($1, $2, 1, $3, $4, $5, $5) \
                   ON CONFLICT (org_id, id) DO NOTHING";
        let plan = Plan {
            version: 1,
            created_at: self.0.now(),
            ..new.clone()
        };
        let made = self
            .0
            .execute(
                sql,
                params![new.id.0, name(&status), head(&plan)?, self.0.now()],
            )
            .await?;
        if made == 1 {
            self.write_lines(&plan).await?;
            if new.status == PlanStatus::OfRecord {
                self.make_of_record(new.id).await?;
            }
        }
        self.get(new.id).await
    }

    /// Replaces a draft's content; the next version is returned.
    ///
    /// # Errors
    /// `plan.changed` (stale) when it no longer has `expected_version`, `plan.not_editable` when it is no draft.
    pub async fn update(&self, plan: &Plan, expected_version: u32) -> Result<Plan, Error> {
        let before = self.get(plan.id).await?;
        let next = Plan {
            version: expected_version + 1,
            created_at: before.created_at,
            created_by: before.created_by,
            ..plan.clone()
        };
        let sql = "UPDATE plans SET version = version + 1, body = $3, updated_at = $4 WHERE org_id = $1 AND id = $2 \
                   AND version = $5 AND status = 'draft'";
        let params = params![
            plan.id.0,
            head(&next)?,
            self.0.now(),
            i64::from(expected_version)
        ];
        if self.0.execute(sql, params).await? == 0 {
            let now = self.get(plan.id).await?;
            return Err(if now.version == expected_version {
                domain::Error::conflict("plan.not_editable", "only a draft can be edited")
                    .advise("copy it to a new draft")
            } else {
                domain::Error::new(
                    domain::ErrorKind::Stale,
                    "plan.changed",
                    format!("the plan is at version {} by now", now.version),
                )
                .advise("reload it and edit again")
            }
            .into());
        }
        self.0
            .execute(
                "DELETE FROM plan_lines WHERE org_id = $1 AND plan_id = $2",
                params![plan.id.0],
            )
            .await?;
        self.write_lines(plan).await?;
        self.get(plan.id).await
    }

    /// Makes a plan the one of record. Returns the one it replaces, if there is one: the inverse.
    ///
    /// # Errors
    /// `plan.unknown`.
    pub async fn make_of_record(&self, id: PlanId) -> Result<Option<PlanId>, Error> {
        self.0.serialise("plan of record").await?;
        let before = self.of_record().await?.map(|plan| plan.id);
        if before == Some(id) {
            return Ok(None);
        }
        let sql = "UPDATE plans SET status = 'superseded', version = version + 1, updated_at = $2 \
                   WHERE org_id = $1 AND status = 'of_record'";
        self.0.execute(sql, params![self.0.now()]).await?;
        self.set_status(id, PlanStatus::OfRecord).await?;
        Ok(before)
    }

    /// Withdraws a plan.
    ///
    /// # Errors
    /// `plan.unknown`.
    pub async fn withdraw(&self, id: PlanId) -> Result<(), Error> {
        self.set_status(id, PlanStatus::Withdrawn).await
    }

    async fn set_status(&self, id: PlanId, status: PlanStatus) -> Result<(), Error> {
        let sql = "UPDATE plans SET status = $3, version = version + 1, updated_at = $4 WHERE org_id = $1 AND id = $2";
        let changed = self
            .0
            .execute(sql, params![id.0, name(&status), self.0.now()])
            .await?;
        if changed == 0 {
            Err(unknown(id))
        } else {
            Ok(())
        }
    }

    async fn write_lines(&self, plan: &Plan) -> Result<(), Error> {
        let sql = "INSERT INTO plan_lines (org_id, plan_id, place, brand_id, channel_id, weekly, current_weekly, lower_weekly, \
                   upper_weekly, marginal_return) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        for (place, line) in (1_i64..).zip(&plan.lines) {
            let params = params![
                plan.id.0,
                place,
                line.brand.0,
                line.channel.0,
                line.weekly.to_string(),
                line.current.to_string(),
                line.lower.to_string(),
                line.upper.to_string(),
                line.marginal_return
            ];
            self.0.execute(sql, params).await?;
        }
        Ok(())
    }
}
