//! The clock of a demo organisation: weeks of simulated market at a click.

use chrono::NaiveDate;
use domain::ErrorKind;
use poem_openapi::{Object, OpenApi, payload::Json};

use crate::{
    App, Tag,
    answer::Accepted,
    auth::Caller,
    permissions::BASE,
    problem::{Answer, Problem},
};

/// Where a demo stands.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Demo {
    /// Whether the organisation is a demo.
    pub(crate) enabled: bool,
    /// The day its clock stands at.
    pub(crate) as_of: Option<NaiveDate>,
    /// Weeks of market simulated so far.
    pub(crate) weeks_simulated: Option<u32>,
}

/// How far to go.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct DemoAdvance {
    /// Weeks to go on.
    #[oai(validator(minimum(value = "1"), maximum(value = "26")))]
    pub(crate) weeks: u32,
}

/// Where it went.
#[derive(Clone, Debug, Object)]
pub(crate) struct DemoAdvanced {
    /// The day the clock stands at now.
    pub(crate) as_of: NaiveDate,
}

/// The demo.
pub(crate) struct DemoApi(pub(crate) App);

#[OpenApi(tag = "Tag::System")]
impl DemoApi {
    /// Get the demo's clock.
    ///
    /// `enabled` is false for an organisation with real data.
    #[oai(path = "/demo", method = "get", operation_id = "demo_get")]
    async fn get(&self, caller: Caller) -> Answer<Json<Demo>> {
        let state = match &self.0.state.demo {
            Some(demo) => demo.state(caller.user.org).await?,
            None => None,
        };
        Ok(Json(Demo {
            enabled: state.is_some(),
            as_of: state.map(|state| state.as_of),
            weeks_simulated: state.map(|state| state.weeks_simulated),
        }))
    }

    /// Advance the demo's clock.
    ///
    /// The market goes on under the plan of record, and the agents look at what came. 404 when it is not a demo.
    #[oai(path = "/demo/advance", method = "post", operation_id = "demo_advance")]
    async fn advance(
        &self,
        caller: Caller,
        body: Json<DemoAdvance>,
    ) -> Answer<Accepted<DemoAdvanced>> {
        let not_a_demo = || {
            Problem::new(
                ErrorKind::NotFound,
                "demo.not_a_demo",
                "this organisation is not a demo",
            )
            .advise("its clock is the real one")
        };
        let demo = self.0.state.demo.as_ref().ok_or_else(not_a_demo)?;
        demo.state(caller.user.org).await?.ok_or_else(not_a_demo)?;
        let as_of = demo.advance(caller.user.org, body.0.weeks).await?;
        Ok(Accepted::Accepted(
            Json(DemoAdvanced { as_of }),
            format!("{BASE}/demo"),
        ))
    }
}
