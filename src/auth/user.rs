//! People who log in.

use serde::{Deserialize, Serialize};

use super::{
    error::AuthError,
    records::{Changes, Found, Kept, Records},
    secret,
};

/// Somebody who logs in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// What is typed at log-in; compared without case.
    pub login: String,
    /// What pages call the person.
    pub name: String,
    /// Where a password reset is sent.
    pub email: Option<String>,
    /// Names of roles.
    pub roles: Vec<String>,
    /// The person's own resource: `Practitioner/1`, `Patient/1`, `RelatedPerson/1`.
    pub fhir_user: Option<String>,
    /// Patients for whom the person may act: children, wards.
    pub proxies: Vec<Proxy>,
    /// The password's argon2id hash, in PHC form; none for whom another provider vouches.
    pub password: Option<String>,
    /// The password was given by somebody else and must be changed at the next log-in.
    pub must_change_password: bool,
    /// The second factor.
    pub totp: Option<Totp>,
    /// Hashes of the recovery codes that are left.
    pub recovery: Vec<String>,
    /// Who vouches at federated log-in: issuer and subject.
    pub external: Vec<(String, String)>,
    /// May not log in, and has no valid tokens.
    pub disabled: bool,
    /// Milliseconds since 1970.
    pub created: i64,
}

/// A patient for whom somebody may act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// The Patient's logical id.
    pub patient: String,
    /// Milliseconds since 1970 from which on it is over.
    #[serde(default)]
    pub until: Option<i64>,
}

/// A second factor by RFC 6238.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totp {
    /// The seed, sealed.
    pub seed: Vec<u8>,
    /// The last time step whose code was used; no code is taken twice.
    pub used: i64,
    /// The person has shown that the seed arrived.
    pub confirmed: bool,
}

/// Leads from what is typed at log-in to the user.
#[derive(Debug, Serialize, Deserialize)]
struct Login {
    user: String,
}

/// Leads from the subject of another provider to the user.
#[derive(Debug, Serialize, Deserialize)]
struct External {
    user: String,
}

impl Kept for User {
    const KIND: i64 = 1;
    const NAME: &'static str = "user";
}

impl Kept for Login {
    const KIND: i64 = 2;
    const NAME: &'static str = "login";
}

impl Kept for External {
    const KIND: i64 = 3;
    const NAME: &'static str = "external log-in";
}

impl User {
    /// The patients whom the person is or may act for, at `now`; the own record first.
    pub fn patients(&self, now: i64) -> Vec<String> {
        let own = self.fhir_user.as_deref();
        let own = own.and_then(|reference| reference.strip_prefix("Patient/"));
        let proxies = self.proxies.iter();
        let valid = proxies.filter(|proxy| proxy.until.is_none_or(|until| now < until));
        own.into_iter()
            .chain(valid.map(|proxy| proxy.patient.as_str()))
            .map(str::to_owned)
            .collect()
    }
}

fn login_key(login: &str) -> String {
    login.trim().to_lowercase()
}

fn external_key(issuer: &str, subject: &str) -> String {
    secret::hash(&format!("{issuer}\n{subject}"))
}

/// Adds a user; gives the id.
///
/// # Errors
/// [`AuthError::Invalid`] if the log-in name is taken or empty; the store refuses.
pub async fn create(records: &Records, user: &User) -> Result<String, AuthError> {
    let id = secret::fresh_id()?;
    match records.commit(creation(&id, user)?).await {
        Err(AuthError::Conflict) => Err(taken(&user.login)),
        other => other.map(|()| id),
    }
}

/// What adds a user under an id that is new.
///
/// # Errors
/// [`AuthError::Invalid`] if the log-in name is none.
pub fn creation(id: &str, user: &User) -> Result<Changes, AuthError> {
    check_login(&user.login)?;
    Ok(Changes::new().create(id, user)?.and(aliases(id, user)?))
}

/// Changes a user as read, and what leads to it.
///
/// # Errors
/// [`AuthError::Conflict`] if it has changed since, [`AuthError::Invalid`] if the new log-in name
/// is taken; the store refuses.
pub async fn replace(records: &Records, old: &User, found: &Found<User>) -> Result<(), AuthError> {
    let changes = replacement(records, old, found).await?;
    records.commit(changes).await
}

/// What changes a user as read, and what leads to it.
///
/// # Errors
/// [`AuthError::Invalid`] if the new log-in name is taken; the store refuses.
pub async fn replacement(
    records: &Records,
    old: &User,
    found: &Found<User>,
) -> Result<Changes, AuthError> {
    check_login(&found.value.login)?;
    let mut changes = Changes::new().replace(found)?;
    if login_key(&old.login) != login_key(&found.value.login)
        && by_login(records, &found.value.login).await?.is_some()
    {
        return Err(taken(&found.value.login));
    }
    if (&old.login, &old.external) != (&found.value.login, &found.value.external) {
        changes = changes
            .and(without_aliases(old))
            .and(aliases(&found.id, &found.value)?);
    }
    Ok(changes)
}

/// What removes a user. Sessions and grants go with them: see `session` and `grant`.
pub fn removal(found: &Found<User>) -> Changes {
    Changes::new()
        .take(found)
        .and(without_aliases(&found.value))
}

/// The user with this log-in name.
///
/// # Errors
/// The store refuses.
pub async fn by_login(records: &Records, login: &str) -> Result<Option<Found<User>>, AuthError> {
    match records.find::<Login>(&login_key(login)).await? {
        Some(found) => records.find(&found.value.user).await,
        None => Ok(None),
    }
}

/// The user for whom another provider vouches.
///
/// # Errors
/// The store refuses.
pub async fn by_external(
    records: &Records,
    issuer: &str,
    subject: &str,
) -> Result<Option<Found<User>>, AuthError> {
    let key = external_key(issuer, subject);
    match records.find::<External>(&key).await? {
        Some(found) => records.find(&found.value.user).await,
        None => Ok(None),
    }
}

fn aliases(id: &str, user: &User) -> Result<Changes, AuthError> {
    let to = || id.to_owned();
    let mut changes = Changes::new().create(&login_key(&user.login), &Login { user: to() })?;
    for (issuer, subject) in &user.external {
        changes = changes.create(&external_key(issuer, subject), &External { user: to() })?;
    }
    Ok(changes)
}

fn without_aliases(user: &User) -> Changes {
    let mut changes = Changes::new().remove::<Login>(&login_key(&user.login));
    for (issuer, subject) in &user.external {
        changes = changes.remove::<External>(&external_key(issuer, subject));
    }
    changes
}

fn check_login(login: &str) -> Result<(), AuthError> {
    let length = login.trim().chars().count();
    if (1..=100).contains(&length) && !login.chars().any(char::is_control) {
        return Ok(());
    }
    Err(AuthError::Invalid(
        "a log-in name has 1 to 100 characters".to_owned(),
    ))
}

fn taken(login: &str) -> AuthError {
    AuthError::Invalid(format!(
        "the log-in name '{login}' is taken; choose another"
    ))
}
