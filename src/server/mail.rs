//! The mailer from its configuration.

use std::path::Path;

use super::StartError;
use crate::{
    config::{Config, ConfigError},
    mail::{AGAIN, MailSettings, Mailer},
};

/// Begins to send mail, if a mail server is configured.
///
/// # Errors
/// An address is none, or the password's file cannot be read.
pub fn start(config: &Config) -> Result<Option<Mailer>, StartError> {
    let mail = &config.mail;
    let (Some(smtp), Some(from)) = (&mail.smtp, &mail.from) else {
        return Ok(None);
    };
    let credentials = match (&mail.user, &mail.password_file) {
        (Some(user), Some(path)) => {
            let text = read(path, "mail.password_file")?;
            Some((user.clone(), text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        _ => None,
    };
    let authority = mail.ca_file.as_deref();
    let authority = authority
        .map(|path| read(path, "mail.ca_file"))
        .transpose()?;
    let settings = MailSettings {
        smtp: smtp.clone(),
        authority,
        from: from.clone(),
        credentials,
        again: AGAIN.to_vec(),
    };
    Ok(Some(Mailer::start(settings)?))
}

fn read(path: &Path, key: &str) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError {
        place: path.display().to_string(),
        key: key.to_owned(),
        reason: format!("cannot be read: {error}"),
    })
}
