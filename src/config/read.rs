//! File text and environment variables -> [`Config`].

use toml::{Table, Value};

use super::{Config, ConfigError};

/// Every variable that configures the server begins with this; `__` stands for the dot.
const PREFIX: &str = "ROTUNDA__";

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Name and text of the file.
    pub file: Option<(String, String)>,
    /// All environment variables; those that begin with `ROTUNDA__` count.
    pub environment: Vec<(String, String)>,
}

impl Sources {
    /// The defaults, overridden by the file, overridden by the environment.
    ///
    /// # Errors
    /// The first key that is unknown or has a value that does not fit.
    pub fn read(&self) -> Result<Config, ConfigError> {
        let mut table = Table::new();
        let mut config = Config::default();
        if let Some((name, text)) = &self.file {
            config = toml::from_str(text).map_err(|error| located(name, text, &error))?;
            table = toml::from_str(text).map_err(|error| located(name, text, &error))?;
        }
        let mut variables: Vec<_> = self
            .environment
            .iter()
            .filter_map(|(name, value)| Some((name, name.strip_prefix(PREFIX)?, value)))
            .collect();
        variables.sort();
        for (name, path, value) in variables {
            config = set(&mut table, name, &path.to_ascii_lowercase(), value)?;
        }
        Ok(config)
    }
}

/// Sets one key from the environment: as the TOML value that the text is, else as a string.
fn set(table: &mut Table, variable: &str, path: &str, text: &str) -> Result<Config, ConfigError> {
    let key = path.replace("__", ".");
    let literal = toml::from_str::<Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"));
    let mut reason = String::new();
    for value in literal.into_iter().chain([Value::String(text.to_owned())]) {
        let mut next = table.clone();
        if !insert(&mut next, &key, value) {
            break;
        }
        match next.clone().try_into::<Config>() {
            Ok(config) => {
                *table = next;
                return Ok(config);
            }
            Err(error) => reason = error.message().to_owned(),
        }
    }
    if reason.is_empty() {
        reason = "is not a setting; names are like ROTUNDA__STORE__URL".to_owned();
    }
    Err(ConfigError {
        place: variable.to_owned(),
        key,
        reason,
    })
}

fn insert(table: &mut Table, key: &str, value: Value) -> bool {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
            true
        }
        Some((section, rest)) => match table
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()))
        {
            Value::Table(inner) => insert(inner, rest, value),
            _ => false,
        },
    }
}

fn located(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count();
    ConfigError {
        place: format!("{name}:{}", line + 1),
        key: key_at(text, line),
        reason: error.message().trim_end().to_owned(),
    }
}

/// The key that the line (from 0) sets, with the section it stands in.
fn key_at(text: &str, line: usize) -> String {
    let mut section = "";
    let mut key = "";
    for (number, content) in text.lines().enumerate().take(line + 1) {
        let content = content.trim();
        if let Some(header) = content.strip_prefix('[') {
            section = header.split(']').next().unwrap_or_default().trim();
            key = "";
        } else if number == line
            && let Some((name, _)) = content.split_once('=')
        {
            key = name.trim();
        }
    }
    match (section, key) {
        ("", key) => key.to_owned(),
        (section, "") => section.to_owned(),
        (section, key) => format!("{section}.{key}"),
    }
}
