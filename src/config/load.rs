//! Defaults, file, environment.
//!
//! Every setting `section.key` is also `SPANLEDGER_SECTION__KEY`. Six have short names, which are
//! part of the product's surface. Variables without the double underscore are otherwise left
//! alone: Kubernetes sets `SPANLEDGER_PORT` and its like for a service of our name.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use config::{Environment, File, FileFormat};

use super::Config;

/// (environment variable, setting)
const SHORT_NAMES: [(&str, &str); 6] = [
    ("SPANLEDGER_DATA_DIR", "data_dir"),
    ("SPANLEDGER_STORE_URL", "store.url"),
    ("SPANLEDGER_STORE_URL_FILE", "store.url_file"),
    ("SPANLEDGER_OTLP_GRPC_ADDR", "receive.grpc_addr"),
    ("SPANLEDGER_OTLP_HTTP_ADDR", "receive.http_addr"),
    ("SPANLEDGER_HTTP_ADDR", "http_addr"),
];

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that settings name can't be read.
    #[error("{what} {path}: {source}")]
    Unreadable {
        /// Which file it is.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key or value is wrong.
    #[error("{0}")]
    Invalid(#[from] config::ConfigError),
    /// The user's own prices are wrong.
    #[error("[price]: {0}")]
    Own(#[from] crate::price::Error),
    /// The price table is wrong.
    #[error("price table {path}: {source}")]
    Prices {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: crate::price::Error,
    },
}

/// Loads the settings from `file`, if any, and the variables `env` of the environment.
pub fn load(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Config, Error> {
    let env: HashMap<String, String> = env
        .filter(|(name, value)| name.starts_with("SPANLEDGER_") && !value.is_empty())
        .collect();
    let mut builder = config::Config::builder();
    if let Some(path) = file {
        let text = read("config file", path)?;
        builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
    }
    let nested = env.iter().filter(|(name, _)| name.contains("__"));
    builder = builder.add_source(
        Environment::with_prefix("SPANLEDGER")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            .source(Some(nested.map(|(k, v)| (k.clone(), v.clone())).collect())),
    );
    for (name, key) in SHORT_NAMES {
        if let Some(value) = env.get(name) {
            builder = builder.set_override(key, value.clone())?;
        }
    }
    Ok(builder.build()?.try_deserialize()?)
}

impl Config {
    /// The store's URL: the setting, the file, or SQLite in the data folder.
    pub fn store_url(&self) -> Result<secrecy::SecretString, Error> {
        if let Some(url) = &self.store.url {
            return Ok(url.clone());
        }
        if let Some(path) = &self.store.url_file {
            let text = read("store URL file", path)?;
            return Ok(text.lines().next().unwrap_or_default().trim().into());
        }
        let path = self.data_dir.join("spanledger.db");
        Ok(format!("sqlite://{}", path.display()).into())
    }

    /// Slack's webhook: the setting, or the file; none if neither is set.
    pub fn slack_url(&self) -> Result<Option<secrecy::SecretString>, Error> {
        match (&self.alert.slack_url, &self.alert.slack_url_file) {
            (Some(url), _) => Ok(Some(url.clone())),
            (None, Some(path)) => {
                let text = read("Slack URL file", path)?;
                Ok(Some(text.lines().next().unwrap_or_default().trim().into()))
            }
            (None, None) => Ok(None),
        }
    }

    /// The price table: the file's, or the shipped one.
    pub fn price_table(&self) -> Result<crate::price::Table, Error> {
        let table = match &self.price.file {
            None => crate::price::Table::shipped(),
            Some(path) => {
                let text = read("price table", path)?;
                crate::price::Table::parse(&text).map_err(|source| Error::Prices {
                    path: path.clone(),
                    source,
                })?
            }
        };
        Ok(table.with(crate::price::Own {
            aliases: self.price.aliases.clone(),
            models: self.price.models.clone(),
        })?)
    }
}

fn read(what: &'static str, path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        what,
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn with(env: &[(&str, &str)]) -> Result<Config, Error> {
        load(
            None,
            env.iter().map(|(k, v)| (k.to_string(), v.to_string())),
        )
    }

    #[test]
    fn defaults_need_nothing() {
        let config = with(&[]).unwrap();
        assert_eq!(config.http_addr.to_string(), "127.0.0.1:9464");
        assert_eq!(
            config.store_url().unwrap().expose_secret(),
            "sqlite://./spanledger-data/spanledger.db"
        );
    }

    #[test]
    fn the_environment_wins_and_kubernetes_is_left_alone() {
        let config = with(&[
            ("SPANLEDGER_HTTP_ADDR", "127.0.0.1:1"),
            ("SPANLEDGER_SPOOL__MAX_BYTES", "123456789"),
            ("SPANLEDGER_STORE_URL", "postgres://u:secret@h/d"),
            ("SPANLEDGER_PORT_4317_TCP", "tcp://10.0.0.1:4317"),
        ])
        .unwrap();
        assert_eq!(config.http_addr.port(), 1);
        assert_eq!(config.spool.max_bytes, 123_456_789);
        assert!(!format!("{config:?}").contains("secret"));
        assert!(!serde_json::to_string(&config).unwrap().contains("secret"));
    }

    /// `config/spanledger.toml`, with every default uncommented, is the defaults: no key is
    /// missing and none is wrong.
    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let text = include_str!("../../config/spanledger.toml");
        let lines = text.lines().map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') && rest.contains(" = ") => rest,
            _ => line,
        });
        let written: toml::Table = toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        let empty =
            |(_, value): &(String, toml::Value)| value != &toml::Value::Table(Default::default());
        let filled = |table: toml::Table| table.into_iter().filter(empty).collect::<toml::Table>();
        assert_eq!(filled(written.clone()), {
            let mut defaults = filled(defaults);
            if let Some(toml::Value::Table(map)) = defaults.get_mut("map") {
                map.entry("context")
                    .or_insert_with(|| toml::Table::new().into());
            }
            defaults
        });
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        let wrong = with(&[("SPANLEDGER_SPOOL__MAXBYTES", "1")])
            .unwrap_err()
            .to_string();
        assert!(
            wrong.contains("maxbytes") && wrong.contains("max_bytes"),
            "{wrong}"
        );
        let wrong = with(&[("SPANLEDGER_HTTP_ADDR", "nonsense")])
            .unwrap_err()
            .to_string();
        assert!(wrong.contains("http_addr"), "{wrong}");
    }
}
