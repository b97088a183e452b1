//! Mail to users.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The mail server for mail to users, such as a new password. Without one, none is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// `smtp://HOST:25`, `starttls://HOST:587` or `smtps://HOST:465`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp: Option<String>,
    /// A PEM file with certificates of an authority that is trusted besides the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The sender: `Rotunda <rotunda@hospital.example>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The name at the mail server, if it asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The file of the password at the mail server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

impl Mail {
    /// What makes no sense, as key and sentence.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        if self.smtp.is_some() && self.from.is_none() {
            found.push((
                "from",
                "must say who sends: 'Rotunda <rotunda@hospital.example>'",
            ));
        }
        if self.user.is_some() != self.password_file.is_some() {
            found.push(("user", "goes with password_file: give both or none"));
        }
        let url = self.smtp.as_deref().unwrap_or("");
        let is_here = ["smtp://127.", "smtp://localhost", "smtp://[::1]"]
            .iter()
            .any(|here| url.starts_with(here));
        if self.user.is_some() && url.starts_with("smtp://") && !is_here {
            found.push((
                "smtp",
                "must be starttls:// or smtps://: a password is sent there",
            ));
        }
        found
    }
}
