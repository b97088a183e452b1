//! How somebody logs in: password, second factor, a new password if the old one was given by
//! somebody else, and then a session. What was shown so far is kept under the hash of a cookie
//! that changes with each step.

use std::net::IpAddr;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{
    Auth, AuthError,
    password::{self, Checked, HashError},
    records::{Changes, Decides, Found, Kept},
    secret,
    session::{Arrival, Session},
    throttle::{self, Subject},
    user::{self, User},
};

/// Milliseconds in which the next step has to be made.
const STEP_MS: i64 = 10 * 60_000;
/// Wrong codes after which the log-in begins anew.
const TRIES: u32 = 5;
/// People who are remembered on a device.
const PEOPLE: usize = 8;
/// The purpose under which device cookies are sealed.
const DEVICE: &str = "device cookie";

/// The browser in which somebody logs in.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    /// Its address, if the listener knows it.
    pub address: Option<IpAddr>,
    /// Its name for itself.
    pub agent: String,
    /// Who logged in from it before.
    pub device: Device,
}

/// A browser in which people logged in before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    id: String,
    /// Ids of users, the latest last.
    users: Vec<String>,
}

/// A log-in that has begun; its name is the hash of the form's cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    user: String,
    amr: Vec<String>,
    /// The authorization request that waits.
    request: Option<String>,
    needs: Need,
    tries: u32,
    expires: i64,
}

/// What a log-in that has begun waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// A code of the second factor.
    Code,
    /// A new password.
    Password,
}

impl Kept for Begun {
    const KIND: i64 = 30;
    const NAME: &'static str = "log-in";
    const DECIDES: Decides = Decides::Never;

    fn owner(&self) -> &str {
        &self.user
    }

    fn expires(&self) -> Option<i64> {
        Some(self.expires)
    }
}

/// How a step of a log-in ended.
#[derive(Debug)]
pub enum Outcome {
    /// Something more is needed; the new value of the form's cookie.
    Needs(Need, String),
    /// They are in.
    In(Box<Entered>),
    /// What was given is not right: one answer for all that can be wrong with it.
    Wrong,
    /// A new password is not acceptable; why.
    Unacceptable(&'static str),
    /// Too many attempts; seconds to wait.
    Wait(u32),
    /// The server is busy with other log-ins.
    Busy,
    /// There is no such log-in (any more): it begins anew.
    Gone,
}

/// A new session.
#[derive(Debug)]
pub struct Entered {
    /// The value of its cookie.
    pub cookie: String,
    /// The session.
    pub session: Found<Session>,
    /// The value of the cookie of the device.
    pub device: String,
    /// The authorization request that waits.
    pub request: Option<String>,
}

impl Auth {
    /// Who logged in before from the device of a cookie; nobody if it is not from here.
    pub fn device(&self, cookie: Option<&str>) -> Device {
        let sealed = cookie.and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
        let plain = sealed.and_then(|sealed| self.master.open(DEVICE, &sealed).ok());
        let device = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        device.unwrap_or_default()
    }

    fn device_cookie(&self, device: &Device, user: &str) -> Result<String, AuthError> {
        let mut device = device.clone();
        if device.id.is_empty() {
            device.id = secret::fresh_id()?;
        }
        device.users.retain(|known| known != user);
        device.users.push(user.to_owned());
        let surplus = device.users.len().saturating_sub(PEOPLE);
        device.users.drain(..surplus);
        let plain = serde_json::to_vec(&device)
            .map_err(|error| AuthError::Damaged(format!("{DEVICE}: {error}")))?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(self.master.seal(DEVICE, &plain)?))
    }

    /// The first step: the password. It costs the same whether there is such a user or not.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn log_in(
        &self,
        (login, password): (&str, &str),
        request: Option<String>,
        visitor: &Visitor,
    ) -> Result<Outcome, AuthError> {
        let user = user::by_login(&self.records, login).await?;
        let subjects = subjects(login, user.as_ref(), visitor);
        if let Some(wait) = self.attempt(&subjects).await? {
            return Ok(Outcome::Wait(wait));
        }
        let kept = user
            .as_ref()
            .and_then(|user| user.value.password.as_deref());
        let checked = match self.passwords.check(password, kept).await {
            Ok(checked) => checked,
            Err(HashError::Failed(error)) => return Err(error),
            Err(HashError::Busy) => {
                self.forgive(&subjects).await?;
                return Ok(Outcome::Busy);
            }
        };
        let Some(user) = user.filter(|user| !user.value.disabled && checked != Checked::Wrong)
        else {
            return Ok(Outcome::Wrong);
        };
        self.forgive(&subjects).await?;
        if checked == Checked::RightButOld {
            self.hash_anew(&user, password).await?;
        }
        self.go_on(user, vec!["pwd".to_owned()], request, visitor)
            .await
    }

    /// Makes the hash of the same password with today's parameters. If it cannot be, the next
    /// log-in does it.
    async fn hash_anew(&self, user: &Found<User>, password: &str) -> Result<(), AuthError> {
        let Ok(hash) = self.passwords.hash(password).await else {
            return Ok(());
        };
        let old = user.value.password.clone();
        let set = |user: &mut User| {
            if user.password == old {
                user.password = Some(hash.clone());
            }
            Ok(())
        };
        self.records.update::<User>(&user.id, set).await.map(drop)
    }

    /// What the log-in that has begun under a form's cookie waits for.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn begun(&self, form: &str) -> Result<Option<(Need, Option<String>)>, AuthError> {
        let found = self.find_begun(form).await?;
        Ok(found.map(|found| (found.value.needs, found.value.request)))
    }

    async fn find_begun(&self, form: &str) -> Result<Option<Found<Begun>>, AuthError> {
        let now = self.now();
        self.records.find_valid(&begun_key(form), now).await
    }

    /// The second step, for those who have a second factor.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn second_factor(
        &self,
        form: &str,
        code: &str,
        visitor: &Visitor,
    ) -> Result<Outcome, AuthError> {
        let Some((begun, user)) = self.step(form, Need::Code).await? else {
            return Ok(Outcome::Gone);
        };
        let subject = match visitor.device.knows(&user.id) {
            true => Subject::Known(format!("code:{}", user.id), visitor.device.id.clone()),
            false => Subject::Code(user.id.clone()),
        };
        let subjects = [subject];
        if let Some(wait) = self.attempt(&subjects).await? {
            return Ok(Outcome::Wait(wait));
        }
        if !self.use_code(&user, code).await? {
            return self.wrong_code(begun).await;
        }
        self.forgive(&subjects).await?;
        self.records.commit(Changes::new().take(&begun)).await?;
        let mut amr = begun.value.amr;
        amr.push("otp".to_owned());
        self.go_on(user, amr, begun.value.request, visitor).await
    }

    async fn wrong_code(&self, mut begun: Found<Begun>) -> Result<Outcome, AuthError> {
        begun.value.tries += 1;
        let is_over = begun.value.tries >= TRIES;
        let changes = match is_over {
            true => Changes::new().take(&begun),
            false => Changes::new().replace(&begun)?,
        };
        match self.records.commit(changes).await {
            Ok(()) if is_over => Ok(Outcome::Gone),
            Ok(()) | Err(AuthError::Conflict) => Ok(Outcome::Wrong),
            Err(error) => Err(error),
        }
    }

    /// The step for those whose password was given by somebody else.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn first_password(
        &self,
        form: &str,
        new: &str,
        visitor: &Visitor,
    ) -> Result<Outcome, AuthError> {
        let Some((begun, user)) = self.step(form, Need::Password).await? else {
            return Ok(Outcome::Gone);
        };
        match self.set_password(&user, new).await? {
            PasswordSet::Done => {}
            PasswordSet::Unacceptable(why) => return Ok(Outcome::Unacceptable(why)),
            PasswordSet::Busy => return Ok(Outcome::Busy),
        }
        self.records.commit(Changes::new().take(&begun)).await?;
        self.end_sessions(&user.id, None, false).await?;
        let user = self.records.get::<User>(&user.id).await?;
        self.go_on(user, begun.value.amr, begun.value.request, visitor)
            .await
    }

    async fn step(
        &self,
        form: &str,
        need: Need,
    ) -> Result<Option<(Found<Begun>, Found<User>)>, AuthError> {
        let begun = self.find_begun(form).await?;
        let Some(begun) = begun.filter(|begun| begun.value.needs == need) else {
            return Ok(None);
        };
        let user = self.records.find::<User>(&begun.value.user).await?;
        let user = user.filter(|user| !user.value.disabled);
        Ok(user.map(|user| (begun, user)))
    }

    /// What comes after a step that went well.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn go_on(
        &self,
        user: Found<User>,
        amr: Vec<String>,
        request: Option<String>,
        visitor: &Visitor,
    ) -> Result<Outcome, AuthError> {
        let shown = |way: &str| amr.iter().any(|shown| shown == way);
        let has_totp = (user.value.totp.as_ref()).is_some_and(|totp| totp.confirmed);
        let need = if has_totp && !shown("otp") {
            Some(Need::Code)
        } else {
            (user.value.must_change_password && shown("pwd")).then_some(Need::Password)
        };
        if let Some(need) = need {
            let form = secret::fresh("")?;
            let begun = Begun {
                user: user.id,
                amr,
                request,
                needs: need,
                tries: 0,
                expires: self.now() + STEP_MS,
            };
            let changes = Changes::new().create(&begun_key(&form), &begun)?;
            self.records.commit(changes).await?;
            return Ok(Outcome::Needs(need, form));
        }
        let device = self.device_cookie(&visitor.device, &user.id)?;
        let address = visitor.address.map_or(String::new(), |at| at.to_string());
        let arrival = Arrival {
            user: user.id,
            amr,
            address,
            agent: visitor.agent.clone(),
        };
        let (cookie, session) = self.begin_session(arrival).await?;
        Ok(Outcome::In(Box::new(Entered {
            cookie,
            session,
            device,
            request,
        })))
    }

    /// Sets a password that somebody chose for themselves.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn set_password(
        &self,
        user: &Found<User>,
        new: &str,
    ) -> Result<PasswordSet, AuthError> {
        if let Some(why) = password::problem(new, &user.value.login) {
            return Ok(PasswordSet::Unacceptable(why));
        }
        let made = async {
            let kept = user.value.password.as_deref();
            if self.passwords.check(new, kept).await? != Checked::Wrong {
                return Ok(None);
            }
            self.passwords.hash(new).await.map(Some)
        };
        let hash = match made.await {
            Ok(Some(hash)) => hash,
            Ok(None) => {
                let why = "This is the password that you have: take another.";
                return Ok(PasswordSet::Unacceptable(why));
            }
            Err(HashError::Busy) => return Ok(PasswordSet::Busy),
            Err(HashError::Failed(error)) => return Err(error),
        };
        let set = |user: &mut User| {
            user.password = Some(hash.clone());
            user.must_change_password = false;
            Ok(())
        };
        self.records.update::<User>(&user.id, set).await?;
        Ok(PasswordSet::Done)
    }

    /// Whether `password` is the one of somebody who is logged in, before they change what
    /// matters. Guesses are slowed down too.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn confirm_password(
        &self,
        user: &Found<User>,
        password: &str,
    ) -> Result<Outcome, AuthError> {
        let subjects = [Subject::Known(user.id.clone(), "account".to_owned())];
        if let Some(wait) = self.attempt(&subjects).await? {
            return Ok(Outcome::Wait(wait));
        }
        let kept = user.value.password.as_deref();
        let checked = self.passwords.check(password, kept).await;
        if !matches!(checked, Ok(Checked::Wrong)) {
            self.forgive(&subjects).await?;
        }
        match checked {
            Ok(Checked::Wrong) => Ok(Outcome::Wrong),
            // Nothing is entered: they are in.
            Ok(_) => Ok(Outcome::Gone),
            Err(HashError::Busy) => Ok(Outcome::Busy),
            Err(HashError::Failed(error)) => Err(error),
        }
    }

    /// Counts a request for a mail, which costs somebody else something; seconds to wait if there
    /// were too many from the address.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn attempt_from(&self, address: Option<IpAddr>) -> Result<Option<u32>, AuthError> {
        let subject: Vec<Subject> = address.map(Subject::Address).into_iter().collect();
        self.attempt(&subject).await
    }

    /// Takes back what [`Auth::attempt_from`] counted.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn forgive_from(&self, address: Option<IpAddr>) -> Result<(), AuthError> {
        let subject: Vec<Subject> = address.map(Subject::Address).into_iter().collect();
        self.forgive(&subject).await
    }

    async fn attempt(&self, subjects: &[Subject]) -> Result<Option<u32>, AuthError> {
        for subject in subjects {
            let wait = throttle::attempt(&self.records, subject, self.now()).await?;
            if wait.is_some() {
                return Ok(wait);
            }
        }
        Ok(None)
    }

    async fn forgive(&self, subjects: &[Subject]) -> Result<(), AuthError> {
        for subject in subjects {
            throttle::forgive(&self.records, subject).await?;
        }
        Ok(())
    }
}

/// What became of a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordSet {
    /// It is the password now.
    Done,
    /// It is not acceptable; why.
    Unacceptable(&'static str),
    /// The server is busy with other passwords.
    Busy,
}

impl Device {
    fn knows(&self, user: &str) -> bool {
        self.users.iter().any(|known| known == user)
    }
}

/// What an attempt counts for; the address before the name, so that who guesses much from one
/// address does not slow down whose name it is.
fn subjects(login: &str, user: Option<&Found<User>>, visitor: &Visitor) -> Vec<Subject> {
    if let Some(user) = user.filter(|user| visitor.device.knows(&user.id)) {
        let device = visitor.device.id.clone();
        return vec![Subject::Known(user.id.clone(), device)];
    }
    let address = visitor.address.map(Subject::Address);
    let login = Subject::Login(login.to_owned());
    address.into_iter().chain([login]).collect()
}

fn begun_key(form: &str) -> String {
    secret::hash(&format!("log-in {form}"))
}
