//! Settings: where each comes from, what it means, and the checked form the program uses.
//!
//! A setting is taken from, strongest first: a flag, the environment (`DIGI_CADENCE_<SECTION>_<NAME>`), the TOML file,
//! the default. [`Sources::read`] is the one place of the program that looks at the environment. The raw texts stay
//! beside their origin, so that `config show` can tell where each value came from and an error can name it.

mod check;
mod sources;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub(crate) use sources::{Overrides, Sources};

/// One setting: its key, default and meaning. `docs/config.md` and `config show` are this table.
pub(crate) struct Setting {
    /// `section.name`, as in the TOML file.
    pub(crate) key: &'static str,
    /// Value when nothing else says otherwise.
    pub(crate) default: &'static str,
    /// Whether the value may hold a secret and is masked when shown.
    pub(crate) secret: bool,
    /// What it does, with its unit.
    pub(crate) doc: &'static str,
}

const fn setting(key: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting {
        key,
        default,
        secret: false,
        doc,
    }
}

const fn secret(key: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting {
        key,
        default,
        secret: true,
        doc,
    }
}

/// Every setting there is. A key that is not here is refused.
pub(crate) const SETTINGS: &[Setting] = &[
    secret(
        "storage.database",
        "sqlite:digi-cadence.db",
        "database URL: sqlite:<file> or postgres://user:password@host/name",
    ),
    setting(
        "storage.connections",
        "8",
        "connections of the pool, 2 to 200",
    ),
    secret(
        "storage.key",
        "",
        "32 bytes in hex that encrypt stored secrets; empty: a key file beside the data is made and used",
    ),
    setting(
        "storage.migrate",
        "true",
        "bring the schema up to date when the program starts",
    ),
    setting(
        "data.dir",
        "",
        "folder for the key file and the demo's truth; empty: beside the SQLite file, else the working folder",
    ),
    secret(
        "bus.redis",
        "",
        "redis://host:port that shortens waits between nodes; empty: one node, in-process bell",
    ),
    setting(
        "http.listen",
        "127.0.0.1:8080",
        "address and port of HTTP; port 0 takes a free one",
    ),
    setting(
        "http.public_url",
        "",
        "origin that browsers use, such as https://cadence.example.com; empty: http://<listen>",
    ),
    setting(
        "http.body_limit_mb",
        "1",
        "largest request body in MiB, imports excepted",
    ),
    setting(
        "http.import_limit_mb",
        "2048",
        "largest import by REST in MiB",
    ),
    setting(
        "http.timeout_seconds",
        "30",
        "time a request may take, streams excepted",
    ),
    setting(
        "node.name",
        "",
        "name of this node in leases; empty: host name and process id",
    ),
    setting(
        "node.roles",
        "analysis,reporting,optimisation,monitoring",
        "kinds of work this node takes, separated by commas",
    ),
    setting(
        "node.compute_threads",
        "0",
        "threads for analytics; 0: one per core",
    ),
    setting(
        "node.stop_seconds",
        "25",
        "time a graceful stop may take before work is cut off",
    ),
    setting(
        "ingest.memory_mb",
        "2048",
        "address space of the process that parses a file, in MiB",
    ),
    setting("ingest.cpu_seconds", "600", "CPU time of that process"),
    setting(
        "ingest.wall_seconds",
        "1800",
        "time between start and end of one parse",
    ),
    setting("ingest.max_rows", "20000000", "rows of one file"),
    setting("ingest.max_mb", "2048", "size of one file in MiB"),
    setting(
        "ingest.unit_values",
        "2000",
        "values committed in one unit of work, 1 to 50000",
    ),
    setting(
        "log.filter",
        "info,sqlx=warn,sea_orm=warn,polars=warn",
        "what is logged, in the syntax of tracing's EnvFilter",
    ),
    setting("log.format", "pretty", "pretty or json"),
];

/// Where the database is and how it is opened.
#[derive(Clone, Debug)]
pub(crate) struct StorageConfig {
    pub(crate) database: String,
    pub(crate) connections: u32,
    pub(crate) key: Option<String>,
    pub(crate) migrate: bool,
}

/// How HTTP is served.
#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: Option<String>,
    pub(crate) body_limit: u64,
    pub(crate) import_limit: u64,
    pub(crate) timeout: Duration,
}

/// What this node is and takes.
#[derive(Clone, Debug)]
pub(crate) struct NodeConfig {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
    pub(crate) compute_threads: usize,
    pub(crate) stop: Duration,
}

/// Log lines.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    pub(crate) filter: String,
    pub(crate) json: bool,
}

/// Every setting, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) storage: StorageConfig,
    pub(crate) data_dir: PathBuf,
    pub(crate) redis: Option<String>,
    pub(crate) http: HttpConfig,
    pub(crate) node: NodeConfig,
    pub(crate) ingest: agents::ingest::Limits,
    pub(crate) unit_values: usize,
    pub(crate) log: LogConfig,
}

#[cfg(test)]
mod tests {
    use super::SETTINGS;

    #[test]
    fn the_documentation_lists_every_setting_with_its_default_and_meaning() {
        let page = include_str!("../docs/config.md");
        for setting in SETTINGS {
            let line = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", setting.key)));
            let line = line.unwrap_or_else(|| panic!("{} is missing", setting.key));
            assert!(
                line.contains(setting.doc),
                "{} has another meaning there",
                setting.key
            );
            assert!(
                setting.default.is_empty() || line.contains(&format!("`{}`", setting.default)),
                "{}",
                setting.key
            );
        }
    }
}
