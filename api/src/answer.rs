//! The shapes of a successful answer that is not plain `200` with JSON.

use poem_openapi::{ApiResponse, payload::Json, types::ToJSON};

/// `201`: something new stands at `Location`.
#[derive(ApiResponse)]
pub(crate) enum Created<T: ToJSON + Send + Sync + 'static> {
    /// It was made.
    #[oai(status = 201)]
    Created(
        Json<T>,
        /// Where it stands.
        #[oai(header = "Location")]
        String,
    ),
}

/// `202`: the work was taken on; `Location` says where to look.
#[derive(ApiResponse)]
pub(crate) enum Accepted<T: ToJSON + Send + Sync + 'static> {
    /// It was taken on.
    #[oai(status = 202)]
    Accepted(
        Json<T>,
        /// Where to see how it goes.
        #[oai(header = "Location")]
        String,
    ),
}

/// `204`: done, and nothing to tell.
#[derive(ApiResponse)]
pub(crate) enum Done {
    /// It was done.
    #[oai(status = 204)]
    Done,
}
