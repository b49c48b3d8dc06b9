//! Reading settings: defaults, the TOML file, the environment, flags.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use domain::Error;

use super::{SETTINGS, Setting};

/// Name of the file that is read when it lies in the working folder and no other is named.
const DEFAULT_FILE: &str = "digi-cadence.toml";

/// Start of every environment variable of ours.
const ENV_PREFIX: &str = "DIGI_CADENCE_";

/// Environment variables of the same prefix that are no settings.
const ENV_OTHERS: &[&str] = &["DIGI_CADENCE_CONFIG", "DIGI_CADENCE_PASSWORD"];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// What flags say: key of the setting, name of the flag, value.
pub(crate) type Overrides = Vec<(&'static str, &'static str, String)>;

/// The raw text of every setting with its origin.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Sources {
    /// Reads everything: the file (`file`, else `DIGI_CADENCE_CONFIG`, else `digi-cadence.toml` where it exists), the
    /// environment, and `flags`.
    ///
    /// # Errors
    /// `config.file` when a named file cannot be read or is no TOML, `config.unknown` for a key that does not exist.
    pub(crate) fn read(file: Option<&Path>, flags: Overrides) -> Result<Self, Error> {
        let environment: BTreeMap<String, String> = std::env::vars()
            .filter(|(name, _)| name.starts_with(ENV_PREFIX))
            .collect();
        let named = file
            .map(Path::to_owned)
            .or_else(|| environment.get("DIGI_CADENCE_CONFIG").map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(Error::invalid(
                    "config.file",
                    format!("cannot read {}: {error}", path.display()),
                )
                .advise("name an existing TOML file with --config"));
            }
        };
        Self::combine(text, &environment, flags)
    }

    /// The password for `user add` without a terminal, from the environment.
    pub(crate) fn password() -> Option<String> {
        std::env::var("DIGI_CADENCE_PASSWORD")
            .ok()
            .filter(|text| !text.is_empty())
    }

    /// Whether the environment asks the demo to stop once its inbox is filled.
    pub(crate) fn demo_once() -> bool {
        std::env::var("DEMO_ONCE").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
    }

    fn combine(
        file: Option<(PathBuf, String)>,
        environment: &BTreeMap<String, String>,
        flags: Overrides,
    ) -> Result<Self, Error> {
        let mut values: BTreeMap<&'static str, (String, Origin)> = SETTINGS
            .iter()
            .map(|s| (s.key, (s.default.to_owned(), Origin::Default)))
            .collect();
        if let Some((path, text)) = file {
            let table: toml::Table = toml::from_str(&text).map_err(|error| {
                Error::invalid(
                    "config.file",
                    format!("{} is not valid TOML: {}", path.display(), error.message()),
                )
            })?;
            for (section, inner) in table {
                let toml::Value::Table(inner) = inner else {
                    return Err(unknown(&section, &format!("in {}", path.display())));
                };
                for (name, value) in inner {
                    let key = format!("{section}.{name}");
                    let known = find(&key)
                        .ok_or_else(|| unknown(&key, &format!("in {}", path.display())))?;
                    values.insert(known.key, (plain(&value), Origin::File(path.clone())));
                }
            }
        }
        for (variable, value) in environment {
            if ENV_OTHERS.contains(&variable.as_str()) {
                continue;
            }
            let known = SETTINGS
                .iter()
                .find(|s| variable_of(s) == *variable)
                .ok_or_else(|| unknown(variable, "in the environment"))?;
            values.insert(
                known.key,
                (value.clone(), Origin::Environment(variable.clone())),
            );
        }
        for (key, flag, value) in flags {
            values.insert(key, (value, Origin::Flag(flag)));
        }
        Ok(Self { values })
    }

    /// Raw text and origin of a setting.
    pub(super) fn get(&self, key: &str) -> (&str, &Origin) {
        let (text, origin) = self
            .values
            .get(key)
            .expect("only keys of SETTINGS are asked for");
        (text, origin)
    }

    /// Key, value with secrets masked, origin and meaning of every setting, in the order of [`SETTINGS`].
    pub(crate) fn shown(&self) -> Vec<(&'static str, String, String, &'static str)> {
        SETTINGS
            .iter()
            .map(|setting| {
                let (text, origin) = self.get(setting.key);
                let value = if setting.secret {
                    masked(text)
                } else {
                    text.to_owned()
                };
                (setting.key, value, origin.to_string(), setting.doc)
            })
            .collect()
    }
}

fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.key == key)
}

fn variable_of(setting: &Setting) -> String {
    format!(
        "{ENV_PREFIX}{}",
        setting.key.replace('.', "_").to_uppercase()
    )
}

fn unknown(name: &str, place: &str) -> Error {
    Error::invalid(
        "config.unknown",
        format!("there is no setting {name:?} ({place})"),
    )
    .advise("digi-cadence config show lists all of them")
}

/// A TOML value as the text a flag or variable would carry.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A URL keeps all but its password; any other secret keeps nothing.
fn masked(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return "********".to_owned();
    };
    match rest.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{scheme}:{user}:********@{host}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let file = || {
            Some((
                PathBuf::from("c.toml"),
                "[http]\nlisten = \"127.0.0.1:1\"\ntimeout_seconds = 7\n".to_owned(),
            ))
        };
        let env = environment(&[("DIGI_CADENCE_HTTP_LISTEN", "127.0.0.1:2")]);
        let flags = vec![("http.listen", "--listen", "127.0.0.1:3".to_owned())];
        let all = Sources::combine(file(), &env, flags).expect("valid");
        assert_eq!(
            all.get("http.listen"),
            ("127.0.0.1:3", &Origin::Flag("--listen"))
        );
        assert_eq!(
            all.get("http.timeout_seconds"),
            ("7", &Origin::File(PathBuf::from("c.toml")))
        );
        assert_eq!(all.get("log.format").1, &Origin::Default);
        let two = Sources::combine(file(), &env, vec![]).expect("valid");
        assert_eq!(two.get("http.listen").0, "127.0.0.1:2");
    }

    #[test]
    fn a_misspelt_key_is_refused_wherever_it_stands() {
        let file = Some((
            PathBuf::from("c.toml"),
            "[http]\nlisen = \"x\"\n".to_owned(),
        ));
        assert_eq!(
            Sources::combine(file, &BTreeMap::new(), vec![])
                .expect_err("typo")
                .code,
            "config.unknown"
        );
        let env = environment(&[("DIGI_CADENCE_HTTP_LISEN", "x")]);
        assert_eq!(
            Sources::combine(None, &env, vec![]).expect_err("typo").code,
            "config.unknown"
        );
    }

    #[test]
    fn passwords_and_keys_are_never_shown() {
        let flags = vec![
            (
                "storage.database",
                "--database",
                "postgres://app:s3cret@db:5432/x".to_owned(),
            ),
            ("storage.key", "--key", "00112233".to_owned()),
            (
                "bus.redis",
                "--redis",
                "redis://:hunter2@cache:6379".to_owned(),
            ),
        ];
        let shown = Sources::combine(None, &BTreeMap::new(), flags)
            .expect("valid")
            .shown();
        let all = format!("{shown:?}");
        assert!(
            !all.contains("s3cret") && !all.contains("00112233") && !all.contains("hunter2"),
            "{all}"
        );
        assert!(all.contains("postgres://app:********@db:5432/x"), "{all}");
    }

    #[test]
    fn every_key_has_one_environment_variable_of_its_own() {
        let names: std::collections::BTreeSet<_> = SETTINGS.iter().map(variable_of).collect();
        assert_eq!(names.len(), SETTINGS.len());
    }
}
