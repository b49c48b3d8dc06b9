//! Days as an organisation sees them: its domain clock, and the week a plan begins with.

use chrono::{DateTime, NaiveDate, Utc};
use domain::metric::Granularity;
use storage::Executor;

/// The domain date: where the organisation's own clock stands, or else the day of database time `now`.
pub(crate) async fn domain_date<E: Executor>(
    organisations: storage::Organisations<'_, E>,
    now: DateTime<Utc>,
) -> Result<NaiveDate, storage::Error> {
    Ok(organisations
        .get()
        .await?
        .as_of
        .unwrap_or_else(|| now.date_naive()))
}

/// The Monday after a date.
pub(crate) fn next_monday(date: NaiveDate) -> NaiveDate {
    Granularity::Week.add(Granularity::Week.start_of(date), 1)
}
