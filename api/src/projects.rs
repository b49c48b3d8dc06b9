//! Projects: disjoint slices of brands' values, and which brands are in them.

use agents::ingest::project_id;
use domain::{
    Error,
    event::{EventKind, NewEvent},
    id::{BrandId, ProjectId},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
    payload::Json,
};
use serde_json::json;
use storage::Unit;

use crate::{
    App, Tag,
    answer::Created,
    auth::Caller,
    etag::{self, Tagged},
    mirror::{Id, Mirror, mirror},
    permissions::BASE,
    problem::Answer,
};

mirror! {
    /// A project: a market, a retail channel or a business unit. Values of one brand in two projects never overlap, so a
    /// portfolio is the sum of its projects.
    Project of domain::project::Project {
        /// The id.
        id: Id<ProjectId>,
        /// The name.
        name: String,
    }
}

mirror! {
    /// A brand's place in a project.
    Membership of domain::project::Membership {
        /// The project.
        project: Id<ProjectId>,
        /// The brand.
        brand: Id<BrandId>,
        /// Weight of the brand in this project's score, at least 0. It changes no total.
        weight: f64,
    }
}

/// A project with its brands.
#[derive(Clone, Debug, Object)]
pub(crate) struct ProjectDetail {
    /// The project.
    pub(crate) project: Project,
    /// Its version, also in `ETag`.
    pub(crate) version: String,
    /// Its brands.
    pub(crate) members: Vec<Membership>,
}

/// A project to be made, or its new name.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ProjectInput {
    /// The name, unique within the organisation.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: String,
}

/// A brand to be in a project.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct MemberInput {
    /// The brand.
    pub(crate) brand: Id<BrandId>,
    /// Its weight in the project's score, at least 0.
    #[oai(validator(minimum(value = "0")))]
    pub(crate) weight: f64,
}

/// Says in the trail and in the events that the portfolio has changed.
pub(crate) async fn changed(u: &Unit, action: &str, subject: &str) -> Result<(), storage::Error> {
    u.audit().record(action, subject, json!({})).await?;
    let body = json!({ "id": subject });
    u.events()
        .publish(NewEvent {
            kind: EventKind::PortfolioChanged,
            key: subject.to_owned(),
            body,
        })
        .await?;
    Ok(())
}

fn members_of(
    all: &[domain::project::Membership],
    project: ProjectId,
) -> Vec<domain::project::Membership> {
    all.iter()
        .filter(|member| member.project == project)
        .cloned()
        .collect()
}

fn version_of(
    project: &domain::project::Project,
    members: &[domain::project::Membership],
) -> String {
    etag::digest(&(project, members))
}

async fn detail(app: &App, caller: &Caller, id: ProjectId) -> Answer<ProjectDetail> {
    let scope = app.state.storage.scope(caller.grant());
    let project = scope.projects().get(id).await?;
    let members = members_of(&scope.projects().memberships().await?, id);
    let version = version_of(&project, &members);
    Ok(ProjectDetail {
        project: Mirror::of(project),
        version,
        members: Mirror::of(members),
    })
}

/// Projects.
pub(crate) struct ProjectApi(pub(crate) App);

#[OpenApi(tag = "Tag::Portfolio")]
impl ProjectApi {
    /// List the projects.
    ///
    /// Their values never overlap, so the portfolio is their sum.
    #[oai(path = "/projects", method = "get", operation_id = "project_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<Project>>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .storage
                .scope(caller.grant())
                .projects()
                .list()
                .await?,
        )))
    }

    /// Make a project.
    ///
    /// It starts without brands.
    #[oai(path = "/projects", method = "post", operation_id = "project_create")]
    async fn create(
        &self,
        caller: Caller,
        body: Json<ProjectInput>,
    ) -> Answer<Created<ProjectDetail>> {
        let name = body.0.name.trim().to_owned();
        let project = domain::project::Project {
            id: project_id(caller.user.org, &name),
            name,
        };
        let made = project.clone();
        self.0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let project = project.clone();
                Box::pin(async move {
                    if u.projects()
                        .list()
                        .await?
                        .iter()
                        .any(|known| known.name == project.name)
                    {
                        let error = Error::conflict(
                            "project.name_taken",
                            "there is a project with this name",
                        );
                        return Err(error.advise("choose another name").into());
                    }
                    u.projects().upsert(&project).await?;
                    changed(u, "project.created", &project.id.to_string()).await
                })
            })
            .await?;
        let detail = detail(&self.0, &caller, made.id).await?;
        let location = format!("{BASE}/projects/{}", made.id);
        Ok(Created::Created(Json(detail), location))
    }

    /// Get a project.
    ///
    /// With its brands and its version.
    #[oai(
        path = "/projects/:project_id",
        method = "get",
        operation_id = "project_get"
    )]
    async fn get(
        &self,
        caller: Caller,
        project_id: Path<Id<ProjectId>>,
    ) -> Answer<Tagged<ProjectDetail>> {
        let detail = detail(&self.0, &caller, project_id.0.0).await?;
        let version = detail.version.clone();
        Ok(Tagged::of_content(detail, &version))
    }

    /// Rename a project.
    ///
    /// Needs `If-Match`.
    #[oai(
        path = "/projects/:project_id",
        method = "patch",
        operation_id = "project_update"
    )]
    async fn update(
        &self,
        caller: Caller,
        project_id: Path<Id<ProjectId>>,
        /// The `ETag` of the version you looked at.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<ProjectInput>,
    ) -> Answer<Tagged<ProjectDetail>> {
        let seen = etag::content(if_match.0.as_deref())?;
        let (id, name) = (project_id.0.0, body.0.name.trim().to_owned());
        self.0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let (seen, name) = (seen.clone(), name.clone());
                Box::pin(async move {
                    let project = u.projects().get(id).await?;
                    etag::must_be_seen(
                        &seen,
                        &version_of(
                            &project,
                            &members_of(&u.projects().memberships().await?, id),
                        ),
                    )?;
                    if u.projects()
                        .list()
                        .await?
                        .iter()
                        .any(|known| known.name == name && known.id != id)
                    {
                        let error = Error::conflict(
                            "project.name_taken",
                            "there is a project with this name",
                        );
                        return Err(error.advise("choose another name").into());
                    }
                    u.projects()
                        .upsert(&domain::project::Project { id, name })
                        .await?;
                    changed(u, "project.renamed", &id.to_string()).await
                })
            })
            .await?;
        let detail = detail(&self.0, &caller, id).await?;
        let version = detail.version.clone();
        Ok(Tagged::of_content(detail, &version))
    }

    /// Set the brands of a project.
    ///
    /// Replaces the whole list. Values already stored stay where they are.
    #[oai(
        path = "/projects/:project_id/members",
        method = "put",
        operation_id = "project_members_set"
    )]
    async fn members(
        &self,
        caller: Caller,
        project_id: Path<Id<ProjectId>>,
        /// The `ETag` of the version you looked at.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<Vec<MemberInput>>,
    ) -> Answer<Tagged<ProjectDetail>> {
        let seen = etag::content(if_match.0.as_deref())?;
        let id = project_id.0.0;
        let wanted: Vec<_> = body
            .0
            .into_iter()
            .map(
                |MemberInput { brand, weight }| domain::project::Membership {
                    project: id,
                    brand: brand.0,
                    weight,
                },
            )
            .collect();
        self.0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let (seen, wanted) = (seen.clone(), wanted.clone());
                Box::pin(async move {
                    let project = u.projects().get(id).await?;
                    let known = members_of(&u.projects().memberships().await?, id);
                    etag::must_be_seen(&seen, &version_of(&project, &known))?;
                    for gone in known
                        .iter()
                        .filter(|member| !wanted.iter().any(|kept| kept.brand == member.brand))
                    {
                        u.projects().remove_member(id, gone.brand).await?;
                    }
                    for member in &wanted {
                        u.projects().set_member(member).await?;
                    }
                    changed(u, "project.members_set", &id.to_string()).await
                })
            })
            .await?;
        let detail = detail(&self.0, &caller, id).await?;
        let version = detail.version.clone();
        Ok(Tagged::of_content(detail, &version))
    }
}
