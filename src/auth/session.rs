//! Log-ins of people in a browser.

use serde::{Deserialize, Serialize};

use super::records::Kept;

/// Minutes without a request after which a session ends.
pub const IDLE_MS: i64 = 15 * 60_000;
/// Hours after which a session ends in any case.
pub const LIFE_MS: i64 = 12 * 3_600_000;

/// A log-in of a person in a browser; its name is the hash of the cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Whose.
    pub user: String,
    /// When it began; milliseconds since 1970.
    pub created: i64,
    /// The latest request, to within a minute.
    pub seen: i64,
    /// How the user was authenticated (RFC 8176): `pwd`, `otp`, `fed`.
    pub amr: Vec<String>,
    /// Where from.
    pub address: String,
    /// The browser's name for itself, cut short.
    pub agent: String,
    /// Must come back with every form.
    pub csrf: String,
}

impl Kept for Session {
    const KIND: i64 = 7;
    const NAME: &'static str = "session";

    fn owner(&self) -> &str {
        &self.user
    }

    fn expires(&self) -> Option<i64> {
        Some((self.seen + IDLE_MS).min(self.created + LIFE_MS))
    }
}
