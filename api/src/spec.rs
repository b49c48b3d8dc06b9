//! The OpenAPI document: what the code says, plus what poem-openapi cannot say by itself.

use poem::{Response, http::header};
use poem_openapi::OpenApiService;
use serde_json::{Map, Value, json};

use crate::{
    agents::AgentApi,
    audit::AuditApi,
    brands::BrandApi,
    channels::ChannelApi,
    constraints::ConstraintApi,
    correlations::CorrelationApi,
    demo::DemoApi,
    drivers::DriverApi,
    edge::App,
    events::EventApi,
    forecasts::ForecastApi,
    gaps::GapApi,
    headers,
    imports::ImportApi,
    jobs::JobApi,
    mappings::MappingApi,
    metrics::MetricApi,
    mix::MixApi,
    outcomes::OutcomeApi,
    permissions::{self, Access, BASE},
    plans::PlanApi,
    portfolio::PortfolioApi,
    projects::ProjectApi,
    quality::QualityApi,
    recommendations::RecommendationApi,
    responses::ResponseApi,
    runs::RunApi,
    schedules::ScheduleApi,
    scores::ScoreApi,
    session::SessionApi,
    settings::SettingApi,
    standing::StandingApi,
    synergies::SynergyApi,
    tokens::TokenApi,
    values::ValueApi,
};

/// All operations, with their state.
pub(crate) fn operations(app: &App) -> impl poem_openapi::OpenApi + use<> {
    let a = || app.clone();
    (
        (
            SessionApi(a()),
            TokenApi(a()),
            PortfolioApi(a()),
            ProjectApi(a()),
            BrandApi(a()),
            ChannelApi(a()),
        ),
        (
            MetricApi(a()),
            ValueApi(a()),
            QualityApi(a()),
            MappingApi(a()),
            ImportApi(a()),
        ),
        (
            ScoreApi(a()),
            ForecastApi(a()),
            SynergyApi(a()),
            CorrelationApi(a()),
            DriverApi(a()),
            ResponseApi(a()),
            MixApi(a()),
            GapApi(a()),
            StandingApi(a()),
        ),
        (
            PlanApi(a()),
            ConstraintApi(a()),
            RecommendationApi(a()),
            OutcomeApi(a()),
        ),
        (AgentApi(a()), RunApi(a()), ScheduleApi(a())),
        (
            EventApi(a()),
            DemoApi(a()),
            JobApi(a()),
            SettingApi(a()),
            AuditApi(a()),
        ),
    )
}

/// The service that answers below [`BASE`].
pub(crate) fn service(app: &App) -> OpenApiService<impl poem_openapi::OpenApi + use<>, ()> {
    OpenApiService::new(operations(app), "Digi-Cadence", env!("CARGO_PKG_VERSION")).description(
        "Portfolio management for marketing. Ids are prefixed text, dates are YYYY-MM-DD, instants are RFC 3339 in UTC, \
         amounts are decimal text. A field without a value is left out. Errors are RFC 9457 problems with a stable code.",
    )
}

/// The OpenAPI document as it is committed to `api/openapi.json`.
pub fn spec() -> String {
    let app = App::undriven();
    let mut document: Value =
        serde_json::from_str(&service(&app).spec()).expect("poem-openapi writes JSON");
    complete(&mut document);
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value can be written");
    text.push('\n');
    text
}

/// The page that shows the API, with everything it needs in it.
pub(crate) struct Documentation {
    html: String,
}

impl Documentation {
    /// Made once: it is more than a megabyte.
    pub(crate) fn new() -> Self {
        let service = service(&App::undriven());
        Self {
            html: service.swagger_ui_html().replace(&service.spec(), &spec()),
        }
    }

    /// The page with a nonce of its own.
    pub(crate) fn page(&self) -> Response {
        let nonce = headers::nonce();
        // Two scripts: the library and, behind it, the call that starts it. The library's own text holds `<script` too.
        let html = self
            .html
            .replacen("<script", &format!("<script nonce=\"{nonce}\""), 1);
        let html = match html.rfind("<script>\n    let spec") {
            Some(at) => format!(
                "{}<script nonce=\"{nonce}\">{}",
                &html[..at],
                &html[at + "<script>".len()..]
            ),
            None => html,
        };
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(header::CACHE_CONTROL, "no-store")
            .header(
                header::CONTENT_SECURITY_POLICY,
                headers::docs_policy(&nonce),
            )
            .body(html)
    }
}

/// Adds servers, security, permissions and the header of repeatable requests.
fn complete(document: &mut Value) {
    document["servers"] = json!([{ "url": BASE }]);
    document["components"]["securitySchemes"] = json!({
        "session": {
            "type": "apiKey", "in": "cookie", "name": "__Host-dc_session",
            "description": "Set by signing in; `dc_session` on plain HTTP on the loopback address."
        },
        "token": { "type": "http", "scheme": "bearer", "description": "An API token, `dck_…`." }
    });
    let paths = document["paths"]
        .as_object_mut()
        .expect("there are operations");
    for (path, methods) in paths {
        for (method, operation) in methods.as_object_mut().expect("a path has methods") {
            let Some(entry) = permissions::find(&method.to_uppercase(), path) else {
                continue;
            };
            let operation = operation
                .as_object_mut()
                .expect("an operation is an object");
            access(operation, entry.access);
            if entry.id == "import_create" {
                sends_csv(operation);
            }
            if method == "post" {
                repeatable(operation);
            }
        }
    }
}

fn access(operation: &mut Map<String, Value>, access: Access) {
    operation.insert(
        "security".into(),
        match access {
            Access::Anyone => json!([]),
            Access::SignedIn | Access::Needs(_) => json!([{ "session": [] }, { "token": [] }]),
        },
    );
    if let Access::Needs(permission) = access {
        operation.insert(
            "x-permission".into(),
            serde_json::to_value(permission).expect("a permission is a string"),
        );
    }
}

/// The file is taken as it is; say which kind of file.
fn sends_csv(operation: &mut Map<String, Value>) {
    if let Some(content) = operation
        .get_mut("requestBody")
        .and_then(|body| body["content"].as_object_mut())
        && let Some(binary) = content.remove("application/octet-stream")
    {
        content.insert("text/csv".into(), binary);
    }
}

/// Documents `Idempotency-Key`.
fn repeatable(operation: &mut Map<String, Value>) {
    let parameter = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "Makes the request safe to repeat: the first answer is kept for 24 hours and given again.",
        "schema": { "type": "string", "maxLength": 255 }
    });
    match operation.entry("parameters").or_insert_with(|| json!([])) {
        Value::Array(parameters) => parameters.push(parameter),
        other => *other = json!([parameter]),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn document() -> Value {
        serde_json::from_str(&spec()).expect("it is JSON")
    }

    fn each_operation(document: &Value) -> Vec<(String, String, &Value)> {
        let paths = document["paths"].as_object().expect("paths");
        paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().expect("methods");
                methods.iter().map(move |(method, operation)| {
                    (method.to_uppercase(), path.clone(), operation)
                })
            })
            .collect()
    }

    #[test]
    fn every_operation_has_its_row_in_the_permission_table_and_the_other_way_round() {
        let document = document();
        let mut described = BTreeSet::new();
        for (method, path, operation) in each_operation(&document) {
            let id = operation["operationId"]
                .as_str()
                .expect("an operation id")
                .to_owned();
            let entry = permissions::find(&method, &path).map(|entry| entry.id);
            assert_eq!(
                entry,
                Some(id.as_str()),
                "{method} {path} needs a row in permissions.rs"
            );
            described.insert(id);
        }
        let listed: BTreeSet<String> = permissions::OPERATIONS
            .iter()
            .map(|entry| entry.id.to_owned())
            .collect();
        assert_eq!(listed, described);
    }

    #[test]
    fn every_operation_says_what_it_does_and_how_it_fails() {
        let document = document();
        for (method, path, operation) in each_operation(&document) {
            for field in ["summary", "description", "operationId"] {
                assert!(
                    operation[field]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                    "{method} {path}: {field}"
                );
            }
            assert!(
                operation["tags"]
                    .as_array()
                    .is_some_and(|tags| !tags.is_empty()),
                "{method} {path}: tags"
            );
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert!(problem.is_object(), "{method} {path}: documented problem");
        }
    }

    #[tokio::test]
    async fn the_page_that_shows_the_api_runs_under_its_own_policy() {
        let page = Documentation::new().page();
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .expect("text")
            .to_owned();
        let nonce = policy
            .split("'nonce-")
            .nth(1)
            .and_then(|rest| rest.split('\'').next())
            .expect("a nonce")
            .to_owned();
        let html = page.into_body().into_string().await.expect("text");
        assert_eq!(
            html.matches(&format!("<script nonce=\"{nonce}\"")).count(),
            2,
            "the library and the call that starts it"
        );
        assert!(
            html.contains("x-permission"),
            "it shows the document with its permissions"
        );
        assert!(
            !html.contains("https://unpkg.com") && !html.contains("https://cdn"),
            "everything is served locally"
        );
    }

    #[test]
    fn each_kind_of_a_union_is_told_apart_by_its_own_schema() {
        let document = document();
        let schemas = document["components"]["schemas"]
            .as_object()
            .expect("schemas");
        let mut kinds = 0;
        for (name, schema) in schemas {
            let Some(mapping) = schema["discriminator"]["mapping"].as_object() else {
                continue;
            };
            let property = schema["discriminator"]["propertyName"]
                .as_str()
                .expect("a property");
            for (kind, address) in mapping {
                let target = address
                    .as_str()
                    .and_then(|address| address.rsplit('/').next())
                    .expect("a schema");
                let says = &schemas[target]["allOf"][0]["properties"][property]["enum"];
                assert_eq!(
                    says,
                    &json!([kind]),
                    "{name}.{kind} shares the type of another kind"
                );
                kinds += 1;
            }
        }
        assert_eq!(kinds, 12);
    }

    #[test]
    fn the_committed_document_is_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == spec(),
            "api/openapi.json is out of date; run: cargo run -q -p api --example openapi > api/openapi.json"
        );
    }
}
