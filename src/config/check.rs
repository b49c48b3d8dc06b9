//! From raw texts to checked values. Every refusal names the setting, where it came from and what would be right.

use std::{path::PathBuf, str::FromStr, time::Duration};

use domain::Error;

use super::{Config, HttpConfig, LogConfig, NodeConfig, Sources, StorageConfig};

/// Kinds of work a node can take.
const ROLES: [&str; 4] = ["analysis", "reporting", "optimisation", "monitoring"];

impl Config {
    /// The checked form of `sources`.
    ///
    /// # Errors
    /// `config.invalid` for the first setting that breaks its rule.
    pub(crate) fn check(sources: &Sources) -> Result<Self, Error> {
        let read = Reader(sources);
        let database = read.text("storage.database");
        if !["sqlite:", "postgres://", "postgresql://"]
            .iter()
            .any(|scheme| database.starts_with(scheme))
        {
            return Err(read.refuse(
                "storage.database",
                "a URL that starts with sqlite: or postgres://",
            ));
        }
        let key = read.optional("storage.key");
        if key
            .as_ref()
            .is_some_and(|k| k.len() != 64 || !k.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err(read.refuse("storage.key", "64 hexadecimal digits"));
        }
        let roles: Vec<String> = read
            .text("node.roles")
            .split(',')
            .map(|role| role.trim().to_owned())
            .filter(|role| !role.is_empty())
            .collect();
        if roles.is_empty() || roles.iter().any(|role| !ROLES.contains(&role.as_str())) {
            return Err(read.refuse(
                "node.roles",
                "one or more of analysis, reporting, optimisation, monitoring",
            ));
        }
        let public_url = read.optional("http.public_url");
        if public_url.as_ref().is_some_and(|url| {
            !(url.starts_with("http://") || url.starts_with("https://")) || url.ends_with('/')
        }) {
            return Err(read.refuse(
                "http.public_url",
                "an origin such as https://cadence.example.com, without a slash at its end",
            ));
        }
        let json = match read.text("log.format") {
            "pretty" => false,
            "json" => true,
            _ => return Err(read.refuse("log.format", "pretty or json")),
        };
        if read
            .text("log.filter")
            .parse::<tracing_subscriber::EnvFilter>()
            .is_err()
        {
            return Err(read.refuse("log.filter", "directives such as info,agents=debug"));
        }
        let data_dir = match read.optional("data.dir") {
            Some(dir) => PathBuf::from(dir),
            None => beside(database),
        };
        let threads: usize = read.number("node.compute_threads", 0, 1024)?;
        Ok(Self {
            storage: StorageConfig {
                database: database.to_owned(),
                connections: read.number("storage.connections", 2, 200)?,
                key,
                migrate: read.flag("storage.migrate")?,
            },
            data_dir,
            redis: read.optional("bus.redis"),
            http: HttpConfig {
                listen: read.text("http.listen").parse().map_err(|_| {
                    read.refuse("http.listen", "an address and port such as 127.0.0.1:8080")
                })?,
                public_url,
                body_limit: mebibytes(read.number("http.body_limit_mb", 1, 1024)?),
                import_limit: mebibytes(read.number("http.import_limit_mb", 1, 1 << 20)?),
                timeout: Duration::from_secs(read.number("http.timeout_seconds", 1, 3600)?),
            },
            node: NodeConfig {
                name: read
                    .optional("node.name")
                    .unwrap_or_else(|| format!("{}-{}", host_name(), std::process::id())),
                roles,
                compute_threads: if threads == 0 {
                    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
                } else {
                    threads
                },
                stop: Duration::from_secs(read.number("node.stop_seconds", 1, 600)?),
            },
            ingest: agents::ingest::Limits {
                memory_bytes: mebibytes(read.number("ingest.memory_mb", 256, 1 << 20)?),
                cpu: Duration::from_secs(read.number("ingest.cpu_seconds", 1, 86_400)?),
                wall: Duration::from_secs(read.number("ingest.wall_seconds", 1, 86_400)?),
                max_rows: read.number("ingest.max_rows", 1, u64::MAX)?,
                max_bytes: mebibytes(read.number("ingest.max_mb", 1, 1 << 20)?),
            },
            unit_values: read.number("ingest.unit_values", 1, 50_000)?,
            log: LogConfig {
                filter: read.text("log.filter").to_owned(),
                json,
            },
        })
    }
}

struct Reader<'a>(&'a Sources);

impl<'a> Reader<'a> {
    fn text(&self, key: &str) -> &'a str {
        self.0.get(key).0.trim()
    }

    fn optional(&self, key: &str) -> Option<String> {
        Some(self.text(key))
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    fn number<T>(&self, key: &str, least: T, most: T) -> Result<T, Error>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        self.text(key)
            .parse()
            .ok()
            .filter(|value| (&least..=&most).contains(&value))
            .ok_or_else(|| self.refuse(key, &format!("a whole number from {least} to {most}")))
    }

    fn flag(&self, key: &str) -> Result<bool, Error> {
        match self.text(key) {
            "true" | "yes" | "1" => Ok(true),
            "false" | "no" | "0" => Ok(false),
            _ => Err(self.refuse(key, "true or false")),
        }
    }

    fn refuse(&self, key: &str, right: &str) -> Error {
        let (_, origin) = self.0.get(key);
        Error::invalid(
            "config.invalid",
            format!("{key} (from {origin}) is not {right}"),
        )
        .advise("digi-cadence config show lists every setting with its meaning")
    }
}

fn mebibytes(n: u64) -> u64 {
    n * 1024 * 1024
}

/// The folder of a SQLite file; the working folder otherwise.
fn beside(database: &str) -> PathBuf {
    let path = database
        .strip_prefix("sqlite:")
        .map(|rest| rest.trim_start_matches("//"));
    let file = path
        .map(|rest| rest.split('?').next().unwrap_or(rest))
        .filter(|file| !file.starts_with(":memory:"));
    match file.and_then(|file| PathBuf::from(file).parent().map(PathBuf::from)) {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => PathBuf::from("."),
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|text| text.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "node".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &'static str, value: &str) -> Result<Config, Error> {
        let file = std::path::Path::new("/dev/null");
        let sources =
            Sources::read(Some(file), vec![(key, "--test", value.to_owned())]).expect("known keys");
        Config::check(&sources)
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = with("log.format", "pretty").expect("defaults");
        assert_eq!(config.storage.database, "sqlite:digi-cadence.db");
        assert_eq!(config.data_dir, PathBuf::from("."));
        assert!(config.redis.is_none() && config.storage.key.is_none());
    }

    #[test]
    fn a_refusal_names_the_setting_its_origin_and_what_is_right() {
        for (key, value) in [
            ("storage.database", "mysql://x"),
            ("storage.connections", "1"),
            ("storage.key", "abc"),
            ("node.roles", "analysis,cooking"),
            ("http.listen", "8080"),
            ("http.public_url", "https://x/"),
            ("log.format", "xml"),
            ("log.filter", "=,="),
            ("ingest.unit_values", "0"),
        ] {
            let error = with(key, value).expect_err(key);
            assert_eq!(error.code, "config.invalid");
            assert!(
                error.message.contains(key) && error.message.contains("--test"),
                "{error}"
            );
        }
    }

    #[test]
    fn data_lies_beside_the_sqlite_file() {
        assert_eq!(
            beside("sqlite:/var/lib/dc/a.db?mode=rwc"),
            PathBuf::from("/var/lib/dc")
        );
        assert_eq!(beside("sqlite://data/a.db"), PathBuf::from("data"));
        assert_eq!(beside("postgres://h/d"), PathBuf::from("."));
    }
}
