//! The mailer from its configuration.

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
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
                place: path.display().to_string(),
                key: "mail.password_file".to_owned(),
                reason: format!("cannot be read: {error}"),
            })?;
            Some((user.clone(), text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        _ => None,
    };
    let settings = MailSettings {
        smtp: smtp.clone(),
        from: from.clone(),
        credentials,
        again: AGAIN.to_vec(),
    };
    Ok(Some(Mailer::start(settings)?))
}
