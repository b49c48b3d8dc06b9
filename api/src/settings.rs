//! Settings of the organisation.

use domain::{
    ErrorKind,
    event::{EventKind, NewEvent},
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use serde_json::{Value, json};

use crate::{
    App, Tag,
    auth::Caller,
    problem::{Answer, Problem},
};

/// A setting.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Setting {
    /// Its name, as `group.name`.
    pub(crate) key: String,
    /// Its value.
    pub(crate) value: Value,
    /// How often it was set.
    pub(crate) version: u32,
}

/// A value to be set.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct SettingInput {
    /// The value.
    pub(crate) value: Value,
}

/// Settings.
pub(crate) struct SettingApi(pub(crate) App);

#[OpenApi(tag = "Tag::System")]
impl SettingApi {
    /// List the settings.
    ///
    /// Those that were set; everything else has its documented default.
    #[oai(path = "/settings", method = "get", operation_id = "setting_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<Setting>>> {
        let settings = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .settings()
            .list()
            .await?;
        let view = |(key, setting): (String, storage::Setting<Value>)| Setting {
            key,
            version: setting.version,
            value: setting.value,
        };
        Ok(Json(settings.into_iter().map(view).collect()))
    }

    /// Set a setting.
    ///
    /// Takes effect at once.
    #[oai(path = "/settings/:key", method = "put", operation_id = "setting_put")]
    async fn put(
        &self,
        caller: Caller,
        key: Path<String>,
        body: Json<SettingInput>,
    ) -> Answer<Json<Setting>> {
        let key = key.0;
        if key.is_empty() || key.len() > 100 || key.starts_with("agents.") {
            return Err(Problem::new(
                ErrorKind::Invalid,
                "setting.unknown",
                "this is not a setting that is set here",
            )
            .advise("an agent's thresholds are set at /agents/{agent}/parameters"));
        }
        let (name, value) = (key.clone(), body.0.value);
        let kept = value.clone();
        let version = self
            .0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let (key, value) = (key.clone(), value.clone());
                Box::pin(async move {
                    let version = u.settings().set(&key, &value, None).await?;
                    u.audit()
                        .record("setting.set", &key, json!({ "value": value }))
                        .await?;
                    let event = NewEvent {
                        kind: EventKind::SettingChanged,
                        key: key.clone(),
                        body: json!({ "key": key }),
                    };
                    u.events().publish(event).await?;
                    Ok(version)
                })
            })
            .await?;
        Ok(Json(Setting {
            key: name,
            version,
            value: kept,
        }))
    }
}
