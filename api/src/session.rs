//! Signing in and out, and who is signed in.

use chrono::NaiveDate;
use domain::{
    ErrorKind,
    access::Permission as P,
    id::{OrgId, UserId},
};
use poem::Request;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};

use crate::{
    App, Tag,
    auth::{self, Caller},
    mirror::{Id, Mirror, mirror_enum},
    problem::{Answer, Problem},
};

mirror_enum! {
    /// The product's six roles, most powerful first.
    Role of domain::access::Role {
        /// Operates the installation.
        SystemAdmin,
        /// Runs one organisation: users, settings, everything below.
        OrgAdmin,
        /// Decides on recommendations and plans across brands.
        PortfolioManager,
        /// Decides on recommendations, edits brand data.
        BrandManager,
        /// Imports data, runs agents and analyses, decides nothing.
        Analyst,
        /// Reads.
        Viewer,
    }
}

mirror_enum! {
    /// One thing a principal may do.
    Permission of domain::access::Permission {
        PortfolioRead,
        PortfolioWrite,
        BrandWrite,
        MetricRead,
        MetricWrite,
        IngestWrite,
        MappingWrite,
        ScoreRead,
        ForecastRead,
        SynergyRead,
        GapRead,
        PlanRead,
        PlanWrite,
        ConstraintWrite,
        RecommendationRead,
        RecommendationPropose,
        RecommendationDecide,
        AgentRead,
        AgentControl,
        RunRead,
        RunWrite,
        ScheduleRead,
        ScheduleWrite,
        EventRead,
        UserRead,
        UserWrite,
        SettingRead,
        SettingWrite,
        AuditRead,
        DemoAdvance,
    }
}

/// E-mail and password.
#[derive(Clone, Object)]
#[oai(deny_unknown_fields, example)]
pub(crate) struct SignIn {
    /// The address of the account.
    #[oai(validator(max_length = 320))]
    pub(crate) email: String,
    /// The password.
    #[oai(validator(max_length = 1024), write_only)]
    pub(crate) password: String,
}

impl poem_openapi::types::Example for SignIn {
    fn example() -> Self {
        Self {
            email: "ada@example.com".into(),
            password: "correct horse battery staple".into(),
        }
    }
}

/// The secret of a one-time link.
#[derive(Clone, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct LinkSecret {
    /// What stands after `#` in the link.
    #[oai(validator(max_length = 200), write_only)]
    pub(crate) token: String,
}

/// The person who is signed in.
#[derive(Clone, Debug, Object)]
pub(crate) struct SignedInUser {
    /// The id.
    pub(crate) id: Id<UserId>,
    /// Address used to sign in.
    pub(crate) email: String,
    /// The name.
    pub(crate) name: String,
    /// Role in the organisation.
    pub(crate) role: Role,
}

/// The organisation the session is in.
#[derive(Clone, Debug, Object)]
pub(crate) struct SignedInOrganisation {
    /// The id.
    pub(crate) id: Id<OrgId>,
    /// The name.
    pub(crate) name: String,
    /// ISO 4217 currency in which sums are shown.
    pub(crate) currency: String,
    /// IANA time zone.
    pub(crate) time_zone: String,
    /// Today, by the organisation's clock; a demo stands at the end of its data.
    pub(crate) as_of: NaiveDate,
}

/// Who is signed in, and what they may do.
#[derive(Clone, Debug, Object)]
pub(crate) struct Me {
    /// The person.
    pub(crate) user: SignedInUser,
    /// The organisation.
    pub(crate) organisation: SignedInOrganisation,
    /// What they may do.
    pub(crate) permissions: Vec<Permission>,
    /// Whether it is a demo, whose clock can be advanced.
    pub(crate) demo: bool,
    /// Version of the software.
    pub(crate) version: String,
}

/// `200` with a session cookie.
#[derive(ApiResponse)]
pub(crate) enum SignedIn {
    /// Signed in; the session is in the cookie.
    #[oai(status = 200)]
    SignedIn(
        Json<Me>,
        /// The session.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

/// `204` that takes the cookie away.
#[derive(ApiResponse)]
pub(crate) enum SignedOut {
    /// Signed out.
    #[oai(status = 204)]
    SignedOut(
        /// Removes the cookie.
        #[oai(header = "Set-Cookie")]
        String,
        /// Removes what the browser kept.
        #[oai(header = "Clear-Site-Data")]
        String,
    ),
}

/// Who `caller` is, for their page.
async fn me(app: &App, caller: &Caller) -> Answer<Me> {
    let grant = caller.principal.grant(P::PortfolioRead)?;
    let organisation = app
        .state
        .storage
        .scope(&grant)
        .organisations()
        .get()
        .await?;
    let user = caller.user.clone();
    let demo = match &app.state.demo {
        Some(demo) => demo.state(user.org).await?.is_some(),
        None => false,
    };
    Ok(Me {
        user: SignedInUser {
            id: Id(user.id),
            email: user.email,
            name: user.name,
            role: Mirror::of(user.role),
        },
        organisation: SignedInOrganisation {
            id: Id(organisation.id),
            name: organisation.name,
            currency: organisation.currency,
            time_zone: organisation.time_zone,
            as_of: organisation
                .as_of
                .unwrap_or_else(|| app.state.clock.now().date_naive()),
        },
        permissions: caller
            .principal
            .permissions()
            .iter()
            .copied()
            .map(Mirror::of)
            .collect(),
        demo,
        version: app.state.version.clone(),
    })
}

/// Sessions.
pub(crate) struct SessionApi(pub(crate) App);

#[OpenApi(tag = "Tag::Session")]
impl SessionApi {
    /// Sign in.
    ///
    /// A wrong address and a wrong password get the same answer in the same time. After several failures for one
    /// address the next attempts wait.
    #[oai(path = "/session", method = "post", operation_id = "session_create")]
    async fn create(&self, request: &Request, body: Json<SignIn>) -> Answer<SignedIn> {
        let SignIn { email, password } = body.0;
        let email = email.trim().to_lowercase();
        let door = self.0.state.system.sign_in();
        let attempt = door.begin_attempt(&email).await?;
        if !attempt.allowed {
            return Err(Problem::new(
                ErrorKind::TooMany,
                "sign_in.throttled",
                "too many attempts for this address; the next one has to wait",
            )
            .advise("wait a little and try again"));
        }
        // An address may have an account in several organisations; an unknown one costs the same work as a known one.
        let accounts = door.by_email(&email).await?;
        let mut found = None;
        if accounts.is_empty() {
            self.0.passwords.verify(password, None).await?;
        } else {
            for account in accounts {
                if self
                    .0
                    .passwords
                    .verify(password.clone(), account.password_hash)
                    .await?
                    && found.is_none()
                {
                    found = Some(account.user);
                }
            }
        }
        let Some(user) = found else {
            return Err(Problem::new(
                ErrorKind::Unauthenticated,
                "sign_in.wrong",
                "address and password do not match",
            )
            .advise("check both; after several failures you have to wait"));
        };
        door.succeeded(&email).await?;
        let cookie = auth::open_session(&self.0, &user, request).await?;
        Ok(SignedIn::SignedIn(
            Json(me(&self.0, &Caller::new(user, None, None)).await?),
            cookie,
        ))
    }

    /// Sign in with a one-time link.
    ///
    /// The secret works once and for a short time.
    #[oai(path = "/session/link", method = "post", operation_id = "session_link")]
    async fn link(&self, request: &Request, body: Json<LinkSecret>) -> Answer<SignedIn> {
        let link = self
            .0
            .state
            .system
            .sign_in()
            .redeem_link(auth::SIGN_IN_LINK, auth::digest(&body.0.token))
            .await?;
        let Some(link) = link else {
            return Err(Problem::new(
                ErrorKind::Unauthenticated,
                "link.used_up",
                "this link was used already or is too old",
            )
            .advise("ask for another one: digi-cadence user link"));
        };
        let cookie = auth::open_session(&self.0, &link.user, request).await?;
        Ok(SignedIn::SignedIn(
            Json(me(&self.0, &Caller::new(link.user, None, None)).await?),
            cookie,
        ))
    }

    /// Who is signed in.
    ///
    /// Also tells what they may do, so that a page offers only that.
    #[oai(path = "/session", method = "get", operation_id = "session_get")]
    async fn get(&self, caller: Caller) -> Answer<Json<Me>> {
        Ok(Json(me(&self.0, &caller).await?))
    }

    /// Sign out.
    ///
    /// The session ends at once, on every tab.
    #[oai(path = "/session", method = "delete", operation_id = "session_delete")]
    async fn delete(&self, caller: Caller) -> Answer<SignedOut> {
        if let Some(session) = caller.session {
            self.0
                .state
                .system
                .sign_in()
                .end_session(caller.user.org, session)
                .await?;
        }
        Ok(SignedOut::SignedOut(
            self.0.cookies.clear(),
            "\"cache\", \"storage\"".into(),
        ))
    }
}
