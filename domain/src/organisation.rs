//! The tenant, its people and their sessions.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    access::Role,
    id::{OrgId, UserId},
};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Its id.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// ISO 4217 currency in which sums are shown.
    pub currency: String,
    /// IANA time zone in which schedules and periods are read.
    pub time_zone: String,
    /// The domain clock of a demo organisation: the date at which its data ends. `None` follows the real date.
    pub as_of: Option<NaiveDate>,
}

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The organisation.
    pub org: OrgId,
    /// Address used to sign in, lowercase.
    pub email: String,
    /// Name shown beside decisions.
    pub name: String,
    /// Role in the organisation.
    pub role: Role,
    /// A suspended user cannot sign in and holds no session.
    pub suspended: bool,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}
