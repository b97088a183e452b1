//! The configuration: one struct, read from a TOML file, then the environment, then the command
//! line. An unknown key is an error, and every error names file (or variable), line and key.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{fetch::FetchSettings, limits::Limits};

mod address;
mod audit;
mod auth;
mod hl7;
mod http;
mod mail;
mod read;
#[cfg(test)]
mod tests;

pub use address::address;
pub use audit::Audit;
pub use auth::{Auth, Oidc};
pub use hl7::{
    Hl7, Hl7Acknowledge, Hl7AfterFailure, Hl7Asking, Hl7Channel, Hl7Destination, Hl7Events,
    Hl7Listener, Hl7Medications, Hl7Orders, Hl7Tls, Hl7WhenDown,
};
pub use http::{ClientHeader, Http, Tls};
pub use mail::Mail;
pub use read::Sources;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The listeners.
    pub http: Http,
    /// Where the resources are kept.
    pub store: Store,
    /// What the REST API leaves to the server.
    pub rest: Rest,
    /// The authorization server.
    pub auth: Auth,
    /// Mail to users.
    pub mail: Mail,
    /// The audit.
    pub audit: Audit,
    /// What is written to stderr.
    pub log: Log,
    /// Every bound.
    pub limits: Limits,
    /// Requests that the server itself sends.
    pub fetch: FetchSettings,
    /// Booking.
    pub scheduling: Scheduling,
    /// HL7 v2.
    pub hl7: Hl7,
}

/// Booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scheduling {
    /// The IANA name of the zone whose clock counts where Schedule, Location, PractitionerRole
    /// and HealthcareService name none: `Europe/Berlin`.
    pub time_zone: String,
    /// Minutes after the start of an Appointment that is still booked at which it becomes a
    /// no-show; 0 leaves that to people.
    pub no_show_after_minutes: u32,
    /// Times that one patient may hold at once before booking one of them; 0 is no bound.
    pub holds_per_patient: u16,
}

impl Default for Scheduling {
    fn default() -> Self {
        Self {
            time_zone: "UTC".to_owned(),
            no_show_after_minutes: 0,
            holds_per_patient: 5,
        }
    }
}

impl Scheduling {
    /// The zone; `None` if there is none of this name.
    pub fn zone(&self) -> Option<jiff::tz::TimeZone> {
        jiff::tz::TimeZone::get(&self.time_zone).ok()
    }

    /// What makes no sense, as key and sentence.
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.zone().is_none() {
            let reason = format!(
                "'{}' is no name of the IANA time zone database; names are like \"Europe/Berlin\" \
                 or \"UTC\"",
                self.time_zone
            );
            found.push(("time_zone", reason));
        }
        if self.no_show_after_minutes > LONGEST_NO_SHOW {
            let reason = format!("must be at most {LONGEST_NO_SHOW} (a week); 0 is never");
            found.push(("no_show_after_minutes", reason));
        }
        if self.holds_per_patient > MOST_HOLDS {
            let reason = format!("must be at most {MOST_HOLDS}; 0 is no bound");
            found.push(("holds_per_patient", reason));
        }
        found
    }
}

/// More holds than this are no bound to speak of.
const MOST_HOLDS: u16 = 1_000;

/// Minutes in which somebody may still come.
const LONGEST_NO_SHOW: u32 = 7 * 24 * 60;

/// Where the resources are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: String,
    /// A file that holds the URL, so that the password stands in no environment or command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// Database connections (PostgreSQL) or readers (SQLite).
    pub connections: u32,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: "sqlite:rotunda.db".to_owned(),
            url_file: None,
            connections: 16,
        }
    }
}

/// What the REST API leaves to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rest {
    /// PUT of an id that does not exist creates it.
    pub update_create: bool,
    /// A conditional delete removes all matches (up to `limits.conditional_delete`) instead of
    /// refusing when there are several.
    pub conditional_delete_multiple: bool,
    /// Search parameters that the server does not know are ignored with a warning, even if the
    /// client does not ask for `handling=lenient`.
    pub lenient_search: bool,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            update_create: true,
            conditional_delete_multiple: false,
            lenient_search: false,
        }
    }
}

/// What is written to stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// Which messages, in the syntax of tracing's `EnvFilter`: `info`, `warn,rotunda::store=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file with line, or the environment variable.
    pub place: String,
    /// The key, like `http.listen`; empty if the text is not TOML at all.
    pub key: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.place, self.reason)
        } else {
            write!(f, "{}: {}: {}", self.place, self.key, self.reason)
        }
    }
}

impl Config {
    /// Reads `file` (if given) and the environment.
    ///
    /// # Errors
    /// The first key that is unknown or has a value that does not fit.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let text = match file {
            None => None,
            Some(path) => Some((
                path.display().to_string(),
                std::fs::read_to_string(path).map_err(|error| ConfigError {
                    place: path.display().to_string(),
                    key: String::new(),
                    reason: format!("cannot be read: {error}"),
                })?,
            )),
        };
        let sources = Sources {
            file: text,
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        };
        sources.read()
    }

    /// The database URL, from its file if one is named.
    ///
    /// # Errors
    /// The file cannot be read or is empty.
    pub fn store_url(&self) -> Result<String, ConfigError> {
        let Some(path) = &self.store.url_file else {
            return Ok(self.store.url.clone());
        };
        let refuse = |reason: String| ConfigError {
            place: path.display().to_string(),
            key: "store.url_file".to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| refuse(format!("cannot be read: {error}")))?;
        match text.trim() {
            "" => Err(refuse("is empty; it must hold the database URL".to_owned())),
            url => Ok(url.to_owned()),
        }
    }

    /// What makes no sense as a whole, as key and sentence.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut refuse = |key: &str, reason: &str| found.push((key.to_owned(), reason.to_owned()));
        let url = &self.store.url;
        if !(url.starts_with("sqlite:")
            || url.starts_with("postgres://")
            || url.starts_with("postgresql://"))
        {
            refuse(
                "store.url",
                "must be sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE",
            );
        }
        if matches!(url.strip_prefix("sqlite:"), Some("" | ":memory:")) {
            refuse("store.url", "must name a file after sqlite:");
        }
        if self.store.connections == 0 {
            refuse("store.connections", "must be at least 1");
        }
        for (key, reason) in self.http.problems() {
            found.push((format!("http.{key}"), reason));
        }
        if let Some(reason) = self.auth.issuer.as_deref().and_then(http::no_base) {
            found.push(("auth.issuer".to_owned(), reason.to_owned()));
        }
        for (key, reason) in self.mail.problems() {
            found.push((format!("mail.{key}"), reason.to_owned()));
        }
        for (key, reason) in self.auth.problems() {
            found.push((format!("auth.{key}"), reason.to_owned()));
        }
        for (key, reason) in self.audit.problems() {
            found.push((format!("audit.{key}"), reason.to_owned()));
        }
        for (key, reason) in self.limits.problems() {
            found.push((format!("limits.{key}"), reason));
        }
        for (key, reason) in self.fetch.problems() {
            found.push((format!("fetch.{key}"), reason));
        }
        for (key, reason) in self.hl7.problems() {
            found.push((format!("hl7.{key}"), reason));
        }
        for (key, reason) in self.scheduling.problems() {
            found.push((format!("scheduling.{key}"), reason));
        }
        found
    }

    /// Refuses a configuration with [`Config::problems`].
    ///
    /// # Errors
    /// The first of them.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.problems().into_iter().next() {
            None => Ok(()),
            Some((key, reason)) => Err(ConfigError {
                place: "the configuration".to_owned(),
                key,
                reason,
            }),
        }
    }

    /// The configuration as TOML, without passwords.
    pub fn to_toml(&self) -> String {
        let mut shown = self.clone();
        shown.store.url = without_password(&shown.store.url);
        toml::to_string_pretty(&shown).unwrap_or_else(|error| format!("# {error}\n"))
    }
}

/// A database URL with its password replaced by `***`.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let address = match address.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:***@{host}"),
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    match query {
        None => format!("{scheme}://{address}"),
        Some(query) => {
            let kept: Vec<String> = query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((name, _)) if name.contains("password") => format!("{name}=***"),
                    _ => pair.to_owned(),
                })
                .collect();
            format!("{scheme}://{address}?{}", kept.join("&"))
        }
    }
}
