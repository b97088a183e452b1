//! A new password for somebody who forgot theirs: a secret that is sent by mail, good for once.

use serde::{Deserialize, Serialize};

use super::{
    Auth, AuthError,
    login::PasswordSet,
    records::{Changes, Found, Kept},
    secret,
    user::{self, User},
};

/// Minutes for which a mail is good.
pub const MINUTES: i64 = 30;
/// Mails that somebody gets in that time.
const MAILS: usize = 3;

/// Lets whoever has the mail choose a password; its name is the hash of the secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    user: String,
    expires: i64,
}

impl Kept for Reset {
    const KIND: i64 = 32;
    const NAME: &'static str = "password reset";

    fn owner(&self) -> &str {
        &self.user
    }

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}

/// A mail that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetMail {
    /// To which address.
    pub email: String,
    /// What the person is called.
    pub name: String,
    /// The secret.
    pub secret: String,
}

impl Auth {
    /// Begins the reset of a password; `None` if nobody with an address and a password has this
    /// log-in name, or they have got enough mails.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn begin_reset(&self, login: &str) -> Result<Option<ResetMail>, AuthError> {
        let user = user::by_login(&self.records, login).await?;
        let user = user.filter(|user| !user.value.disabled && user.value.password.is_some());
        let Some(user) = user else {
            return Ok(None);
        };
        let Some(email) = user.value.email.clone() else {
            return Ok(None);
        };
        let now = self.now();
        let sent = self.records.all::<Reset>(Some(&user.id)).await?;
        if sent.iter().filter(|sent| now < sent.value.expires).count() >= MAILS {
            return Ok(None);
        }
        let secret = secret::fresh("pr_")?;
        let reset = Reset {
            user: user.id,
            expires: now + MINUTES * 60_000,
        };
        let changes = Changes::new().create(&secret::hash(&secret), &reset)?;
        self.records.commit(changes).await?;
        Ok(Some(ResetMail {
            email,
            name: user.value.name,
            secret,
        }))
    }

    /// Whether the secret of a mail is good.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn is_reset(&self, secret: &str) -> Result<bool, AuthError> {
        Ok(self.find_reset(secret).await?.is_some())
    }

    async fn find_reset(
        &self,
        secret: &str,
    ) -> Result<Option<(Found<Reset>, Found<User>)>, AuthError> {
        let id = secret::hash(secret);
        let Some(reset) = self.records.find_valid::<Reset>(&id, self.now()).await? else {
            return Ok(None);
        };
        let user = self.records.find::<User>(&reset.value.user).await?;
        let user = user.filter(|user| !user.value.disabled);
        Ok(user.map(|user| (reset, user)))
    }

    /// Sets the password of whoever has the mail, and ends their sessions; `None` if the secret
    /// is not good (any more).
    ///
    /// # Errors
    /// The store refuses.
    pub async fn finish_reset(
        &self,
        secret: &str,
        new: &str,
    ) -> Result<Option<PasswordSet>, AuthError> {
        let Some((reset, user)) = self.find_reset(secret).await? else {
            return Ok(None);
        };
        let problem = super::password::problem(new, &user.value.login);
        if let Some(why) = problem {
            return Ok(Some(PasswordSet::Unacceptable(why)));
        }
        // Of two who come with the same secret at the same time, one sets the password.
        match self.records.commit(Changes::new().take(&reset)).await {
            Err(AuthError::Conflict) => return Ok(None),
            other => other?,
        }
        let set = self.set_password(&user, new).await?;
        if set != PasswordSet::Done {
            // Nothing has happened: the secret is as good as before.
            let changes = Changes::new().create(&reset.id, &reset.value)?;
            self.records.commit(changes).await?;
            return Ok(Some(set));
        }
        let changes = Changes::new().remove_owned::<Reset>(&user.id);
        self.records.commit(changes).await?;
        self.end_sessions(&user.id, None, false).await?;
        Ok(Some(set))
    }
}
