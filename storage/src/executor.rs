//! What a repository runs its statements on: a [`Scope`](crate::Scope) that reads, or a [`Unit`](crate::Unit) that is a
//! transaction. Both hand every statement the organisation as `$1`.

use std::future::Future;

use sea_orm::Value;

use crate::{Error, row::Row};

/// Something repositories hang off. Sealed: only this crate implements it.
pub trait Executor: sealed::Run {}

impl<T: sealed::Run> Executor for T {}

pub(crate) mod sealed {
    use chrono::{DateTime, Utc};
    use domain::id::OrgId;
    use uuid::Uuid;

    use super::{Error, Future, Row, Value};
    use crate::{Backend, cipher::Cipher};

    /// Runs statements for one organisation. Outside this crate it has no name.
    pub trait Run: Sync {
        /// The organisation.
        fn org(&self) -> OrgId;
        /// Which database it is.
        fn backend(&self) -> Backend;
        /// The field cipher.
        fn cipher(&self) -> &Cipher;
        /// A fresh time-ordered id.
        fn fresh_id(&self) -> Uuid;
        /// Database time.
        fn time(&self) -> impl Future<Output = Result<DateTime<Utc>, Error>> + Send;
        /// The rows of a statement whose `$1` is the organisation; `params` start at `$2`.
        fn rows(
            &self,
            sql: &str,
            params: Vec<Value>,
        ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;

        /// The first row, if there is one.
        fn row(
            &self,
            sql: &str,
            params: Vec<Value>,
        ) -> impl Future<Output = Result<Option<Row>, Error>> + Send {
            async move { Ok(self.rows(sql, params).await?.into_iter().next()) }
        }
    }
}
