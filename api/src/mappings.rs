//! Saved mappings: how the columns of a file become metric values.

use chrono::{DateTime, Utc};
use domain::id::MappingId;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

use crate::{
    App, Tag,
    answer::Created,
    auth::Caller,
    mirror::{Id, Mirror, mirror},
    permissions::BASE,
    problem::Answer,
};

mirror! {
    /// A saved mapping.
    Mapping of storage::SavedMapping {
        /// The id.
        id: Id<MappingId>,
        /// The name, unique within the organisation; the text says it.
        name: String,
        /// Version; saving another text under the same name makes the next.
        version: u32,
        /// The mapping, as TOML.
        text: String,
        /// When it was saved.
        created_at: DateTime<Utc>,
    }
}

/// A mapping to be saved.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct MappingCreate {
    /// The mapping, as TOML. It names itself; an existing name gets its next version.
    #[oai(validator(min_length = 1, max_length = 200000))]
    pub(crate) text: String,
}

/// Mappings.
pub(crate) struct MappingApi(pub(crate) App);

#[OpenApi(tag = "Tag::Imports")]
impl MappingApi {
    /// List the saved mappings.
    ///
    /// Current versions.
    #[oai(path = "/mappings", method = "get", operation_id = "mapping_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<Mapping>>> {
        let saved = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .mappings()
            .list()
            .await?;
        Ok(Json(Mirror::of(saved)))
    }

    /// Save a mapping.
    ///
    /// It is checked first; a mistake is answered with the line it is in.
    #[oai(path = "/mappings", method = "post", operation_id = "mapping_create")]
    async fn create(&self, caller: Caller, body: Json<MappingCreate>) -> Answer<Created<Mapping>> {
        let saved = self
            .0
            .state
            .importer
            .save_mapping(&caller.principal, &body.0.text)
            .await?;
        let location = format!("{BASE}/mappings/{}", saved.id);
        Ok(Created::Created(Json(Mirror::of(saved)), location))
    }

    /// Get a mapping.
    ///
    /// With its text.
    #[oai(
        path = "/mappings/:mapping_id",
        method = "get",
        operation_id = "mapping_get"
    )]
    async fn get(&self, caller: Caller, mapping_id: Path<Id<MappingId>>) -> Answer<Json<Mapping>> {
        let saved = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .mappings()
            .get(mapping_id.0.0)
            .await?;
        Ok(Json(Mirror::of(saved)))
    }
}
