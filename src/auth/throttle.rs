//! Guessing is slowed down: after some failures each further attempt has to wait, longer each
//! time. It is a delay and never a lock, so that nobody can lock out somebody else, and attempts
//! from a device from which the same person logged in before are counted apart.
//!
//! The counts are records, so they hold for all nodes on a database and outlive a restart. An
//! attempt is counted before the password is looked at, and taken back if it was right: so many
//! attempts at the same time are no way around it. There are not more records than passwords can
//! be checked within [`Subject::forgotten_ms`].

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    AuthError,
    records::{Changes, Decides, Found, Kept, Records},
    secret,
};

/// What attempts are counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A log-in name, whether somebody has it or not.
    Login(String),
    /// An address; of IPv6 the network of 64 bits, which one customer has.
    Address(IpAddr),
    /// A user on a device from which they logged in before: user and device.
    Known(String, String),
    /// The second factor of a user, whose password is known.
    Code(String),
}

impl Subject {
    fn key(&self) -> String {
        match self {
            Self::Login(login) => format!("login:{}", secret::hash(&login.trim().to_lowercase())),
            Self::Address(address) => match address.to_canonical() {
                IpAddr::V4(v4) => format!("address:{v4}"),
                IpAddr::V6(v6) => {
                    let [a, b, c, d, ..] = v6.segments();
                    format!("address:{a:x}:{b:x}:{c:x}:{d:x}")
                }
            },
            Self::Known(user, device) => format!("known:{user}:{device}"),
            Self::Code(user) => format!("code:{user}"),
        }
    }

    /// Failures that have no delay. Many people may be behind one address.
    const fn free(&self) -> u32 {
        match self {
            Self::Login(_) | Self::Known(..) | Self::Code(_) => 5,
            Self::Address(_) => 30,
        }
    }

    /// The longest delay in seconds.
    const fn longest(&self) -> i64 {
        match self {
            Self::Login(_) | Self::Known(..) | Self::Address(_) => 300,
            Self::Code(_) => 900,
        }
    }

    /// Milliseconds after the last failure until it is as if there were none.
    const fn forgotten_ms(&self) -> i64 {
        match self {
            Self::Login(_) | Self::Known(..) | Self::Address(_) => 3_600_000,
            Self::Code(_) => 24 * 3_600_000,
        }
    }

    /// Milliseconds to wait after so many failures.
    fn delay(&self, failures: u32) -> i64 {
        match failures.checked_sub(self.free()) {
            None => 0,
            Some(more) => 1_000 * self.longest().min(1 << more.min(20)),
        }
    }
}

/// Failures in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attempts {
    failures: u32,
    /// When the next attempt is looked at; milliseconds since 1970.
    next: i64,
    expires: i64,
}

impl Kept for Attempts {
    const KIND: i64 = 31;
    const NAME: &'static str = "attempts";
    const DECIDES: Decides = Decides::Never;

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}

/// Counts an attempt as a failure until [`forgive`] says otherwise; gives the seconds to wait if
/// it is too early, and then does not count it.
///
/// # Errors
/// The store refuses.
pub async fn attempt(
    records: &Records,
    subject: &Subject,
    now: i64,
) -> Result<Option<u32>, AuthError> {
    let key = subject.key();
    loop {
        let found = records.find::<Attempts>(&key).await?;
        let before = found.as_ref().map(|found| &found.value);
        let before = before.filter(|before| now < before.expires);
        if let Some(before) = before.filter(|before| now < before.next) {
            // A clock that was set back must not make anybody wait for it to catch up.
            let left = (before.next - now).min(1_000 * subject.longest());
            return Ok(Some(seconds(left)));
        }
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let next = Attempts {
            failures,
            next: now + subject.delay(failures),
            expires: now + subject.forgotten_ms(),
        };
        if replace(records, &key, found, Some(next)).await? {
            return Ok(None);
        }
    }
}

/// Takes back the attempt that was counted: it was right. What happened before is forgotten too,
/// except for an address, from which somebody may guess the passwords of others in between.
///
/// # Errors
/// The store refuses.
pub async fn forgive(records: &Records, subject: &Subject) -> Result<(), AuthError> {
    let key = subject.key();
    loop {
        let Some(found) = records.find::<Attempts>(&key).await? else {
            return Ok(());
        };
        let left = match subject {
            Subject::Address(_) => found.value.failures.saturating_sub(1),
            _ => 0,
        };
        let after = (left > 0).then(|| Attempts {
            failures: left,
            // Attempts that go on at the same time have not waited for this one.
            next: found.value.next - subject.delay(left + 1) + subject.delay(left),
            ..found.value
        });
        if replace(records, &key, Some(found), after).await? {
            return Ok(());
        }
    }
}

/// False if somebody else was faster.
async fn replace(
    records: &Records,
    key: &str,
    before: Option<Found<Attempts>>,
    after: Option<Attempts>,
) -> Result<bool, AuthError> {
    let changes = Changes::new();
    let changes = match (before, after) {
        (None, None) => return Ok(true),
        (None, Some(value)) => changes.create(key, &value)?,
        (Some(found), None) => changes.take(&found),
        (Some(found), Some(value)) => changes.replace(&Found { value, ..found })?,
    };
    match records.commit(changes).await {
        Err(AuthError::Conflict) => Ok(false),
        other => other.map(|()| true),
    }
}

fn seconds(ms: i64) -> u32 {
    u32::try_from((ms + 999).div_euclid(1_000)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_and_has_an_end() {
        let login = Subject::Login("kate".to_owned());
        let delays: Vec<i64> = (0..20).map(|n| login.delay(n) / 1_000).collect();
        assert_eq!(
            delays,
            [
                0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300, 300, 300
            ]
        );
        assert_eq!(login.delay(u32::MAX), 300_000);
        let address = Subject::Address("10.0.0.1".parse().unwrap());
        assert_eq!(address.delay(29), 0);
    }

    #[test]
    fn a_key_names_what_one_person_has() {
        let of = |address: &str| Subject::Address(address.parse().unwrap()).key();
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("fd00::1"), of("fd00::2"));
        assert_ne!(of("fd00::1"), of("fd00:0:0:1::1"));
        let login = |text: &str| Subject::Login(text.to_owned()).key();
        assert_eq!(login("Kate "), login("kate"));
    }
}
