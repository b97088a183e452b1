//! Log-ins of people in a browser.

use serde::{Deserialize, Serialize};

use super::{
    Auth, AuthError, grant,
    records::{Changes, Decides, Found, Kept},
    secret,
    user::User,
};

/// Milliseconds without a request after which a session ends.
pub const IDLE_MS: i64 = 15 * 60_000;
/// Milliseconds after which a session ends in any case.
pub const LIFE_MS: i64 = 12 * 3_600_000;
/// A request is noted in the session once in this time.
const NOTED_MS: i64 = 60_000;
/// Sessions that somebody may have at a time; the oldest make room.
const AT_A_TIME: usize = 50;

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
    const DECIDES: Decides = Decides::OnceThere;

    fn owner(&self) -> &str {
        &self.user
    }

    /// The idle time is not looked at here: what apps were granted for the time of the session
    /// goes on when the browser's page is idle.
    fn expires(&self) -> Option<i64> {
        Some(self.created + LIFE_MS)
    }
}

impl Session {
    /// Whether the browser is still logged in at `now`.
    pub fn is_valid(&self, now: i64) -> bool {
        now < self.seen + IDLE_MS && now < self.created + LIFE_MS
    }
}

/// Who logged in, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The user's id.
    pub user: String,
    /// How they were authenticated (RFC 8176): `pwd`, `otp`, `fed`.
    pub amr: Vec<String>,
    /// The address that they come from.
    pub address: String,
    /// The browser's name for itself.
    pub agent: String,
}

/// A session with its user.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The session.
    pub session: Found<Session>,
    /// Whose it is.
    pub user: Found<User>,
}

impl Auth {
    /// Begins a session; gives the text of its cookie, which is kept nowhere.
    ///
    /// # Errors
    /// The store refuses; the computer has no randomness.
    pub async fn begin_session(
        &self,
        arrival: Arrival,
    ) -> Result<(String, Found<Session>), AuthError> {
        const LONGEST_AGENT: usize = 200;
        let now = self.now();
        let text = secret::fresh("se_")?;
        let session = Session {
            user: arrival.user,
            created: now,
            seen: now,
            amr: arrival.amr,
            address: arrival.address,
            agent: arrival.agent.chars().take(LONGEST_AGENT).collect(),
            csrf: secret::fresh("")?,
        };
        let id = secret::hash(&text);
        let mut changes = Changes::new().create(&id, &session)?;
        let mut others = self.records.all::<Session>(Some(&session.user)).await?;
        others.sort_by_key(|other| other.value.seen);
        let too_many = (others.len() + 1).saturating_sub(AT_A_TIME);
        for other in others.iter().take(too_many) {
            changes = changes.remove::<Session>(&other.id);
        }
        self.records.commit(changes).await?;
        let session = Found {
            id,
            version: 1,
            value: session,
        };
        Ok((text, session))
    }

    /// The session of a cookie, and its user; `None` if it has ended or the user may not log in.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn session(&self, text: &str) -> Result<Option<LoggedIn>, AuthError> {
        let now = self.now();
        let found = self.records.find::<Session>(&secret::hash(text)).await?;
        let Some(session) = found.filter(|found| found.value.is_valid(now)) else {
            return Ok(None);
        };
        let user = self.records.find::<User>(&session.value.user).await?;
        let Some(user) = user.filter(|user| !user.value.disabled) else {
            return Ok(None);
        };
        let session = self.note_session(session, now).await?;
        Ok(session.map(|session| LoggedIn { session, user }))
    }

    /// Moves the end of the idle time; `None` if the session was ended meanwhile.
    async fn note_session(
        &self,
        found: Found<Session>,
        now: i64,
    ) -> Result<Option<Found<Session>>, AuthError> {
        if now - found.value.seen < NOTED_MS {
            return Ok(Some(found));
        }
        let noted = self.records.update::<Session>(&found.id, |session| {
            session.seen = session.seen.max(now);
            Ok(())
        });
        match noted.await {
            Ok(noted) => Ok(Some(noted)),
            Err(AuthError::Unknown(..)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a session, and what apps were granted for its time.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn end_session(&self, user: &str, id: &str) -> Result<(), AuthError> {
        let changes = Changes::new().remove::<Session>(id);
        self.records.commit(changes).await?;
        let of_it = |grant: &grant::Grant| grant.session.as_deref() == Some(id);
        grant::remove_all(&self.records, user, of_it).await?;
        Ok(())
    }

    /// Ends all sessions of a user but `kept`, and what apps were granted for their time; with
    /// `apps`, what they were granted for longer, too.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn end_sessions(
        &self,
        user: &str,
        kept: Option<&str>,
        apps: bool,
    ) -> Result<(), AuthError> {
        for session in self.records.all::<Session>(Some(user)).await? {
            if Some(session.id.as_str()) != kept {
                let changes = Changes::new().remove::<Session>(&session.id);
                self.records.commit(changes).await?;
            }
        }
        let ends = |grant: &grant::Grant| match grant.session.as_deref() {
            None => apps,
            Some(id) => apps || Some(id) != kept,
        };
        grant::remove_all(&self.records, user, ends).await?;
        Ok(())
    }

    /// The sessions of a user in which the browser is still logged in, the latest first.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn sessions(&self, user: &str) -> Result<Vec<Found<Session>>, AuthError> {
        let now = self.now();
        let mut all = self.records.all::<Session>(Some(user)).await?;
        all.retain(|found| found.value.is_valid(now));
        all.sort_by_key(|found| std::cmp::Reverse(found.value.seen));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_idle_and_at_its_end() {
        let session = |created, seen| Session {
            user: "u".to_owned(),
            created,
            seen,
            amr: Vec::new(),
            address: String::new(),
            agent: String::new(),
            csrf: String::new(),
        };
        assert!(session(0, 0).is_valid(IDLE_MS - 1));
        assert!(!session(0, 0).is_valid(IDLE_MS));
        assert!(session(0, LIFE_MS - 1).is_valid(LIFE_MS - 1));
        assert!(!session(0, LIFE_MS - 1).is_valid(LIFE_MS));
    }
}
