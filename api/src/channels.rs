//! Media channels.

use agents::ingest::channel_id;
use domain::{Error, id::ChannelId};
use poem_openapi::{Object, OpenApi, payload::Json};

use crate::{
    App, Tag,
    answer::Created,
    auth::Caller,
    mirror::{Id, Mirror, mirror},
    permissions::BASE,
    problem::Answer,
    projects::changed,
};

mirror! {
    /// A media channel.
    Channel of domain::brand::Channel {
        /// The id.
        id: Id<ChannelId>,
        /// Short stable key, such as `paid_search`.
        key: String,
        /// The name people read.
        name: String,
    }
}

/// A channel to be made.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ChannelCreate {
    /// Short stable key, unique within the organisation.
    #[oai(validator(pattern = "^[a-z][a-z0-9_]{0,63}$"))]
    pub(crate) key: String,
    /// The name people read.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: String,
}

/// Channels.
pub(crate) struct ChannelApi(pub(crate) App);

#[OpenApi(tag = "Tag::Portfolio")]
impl ChannelApi {
    /// List the media channels.
    ///
    /// Spend and exposure metrics name one of them.
    #[oai(path = "/channels", method = "get", operation_id = "channel_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<Channel>>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .storage
                .scope(caller.grant())
                .channels()
                .list()
                .await?,
        )))
    }

    /// Make a media channel.
    ///
    /// An import makes the channels of its mapping by itself.
    #[oai(path = "/channels", method = "post", operation_id = "channel_create")]
    async fn create(&self, caller: Caller, body: Json<ChannelCreate>) -> Answer<Created<Channel>> {
        let ChannelCreate { key, name } = body.0;
        let channel = domain::brand::Channel {
            id: channel_id(caller.user.org, &key),
            key,
            name,
        };
        let made = channel.clone();
        self.0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let channel = channel.clone();
                Box::pin(async move {
                    if u.channels()
                        .list()
                        .await?
                        .iter()
                        .any(|known| known.key == channel.key)
                    {
                        let error = Error::conflict(
                            "channel.key_taken",
                            "there is a channel with this key",
                        );
                        return Err(error.advise("choose another key").into());
                    }
                    u.channels().upsert(&channel).await?;
                    changed(u, "channel.created", &channel.id.to_string()).await
                })
            })
            .await?;
        Ok(Created::Created(
            Json(Mirror::of(made)),
            format!("{BASE}/channels"),
        ))
    }
}
