//! Users.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Made, Managed, Management, When, Wish,
    form::{Form, wrong_email, wrong_fhir_user, wrong_name, wrong_patient},
    last::Change,
    refuse,
};
use crate::auth::{
    error::{AuthError, Problem},
    grant::{self, Grant},
    password,
    records::{Changes, Found},
    role::Role,
    secret,
    session::Session,
    user::{self, Proxy, User},
};

/// What an administrator writes of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserDraft {
    /// See [`User::login`].
    pub login: String,
    /// See [`User::name`].
    pub name: String,
    /// See [`User::email`].
    pub email: Option<String>,
    /// See [`User::roles`].
    pub roles: Vec<String>,
    /// See [`User::fhir_user`].
    pub fhir_user: Option<String>,
    /// See [`User::proxies`].
    pub proxies: Vec<ProxyDraft>,
    /// See [`User::external`].
    pub external: Vec<ExternalDraft>,
    /// See [`User::disabled`].
    pub disabled: bool,
}

/// See [`Proxy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyDraft {
    /// The Patient's logical id.
    pub patient: String,
    /// When it is over.
    #[serde(default)]
    pub until: Option<When>,
}

/// Who vouches at federated log-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalDraft {
    /// The provider's issuer.
    pub issuer: String,
    /// The user's `sub` there.
    pub subject: String,
}

impl Managed for User {
    type Draft = UserDraft;
    const FACTS: &'static [&'static str] = &[
        "has_password",
        "must_change_password",
        "second_factor",
        "recovery_codes",
        "created",
    ];
    const WISHES: &'static [&'static str] = &["password"];

    fn draft(&self) -> UserDraft {
        let proxies = self.proxies.iter().map(|proxy| ProxyDraft {
            patient: proxy.patient.clone(),
            until: proxy.until.map(When),
        });
        let external = self.external.iter().map(|(issuer, subject)| ExternalDraft {
            issuer: issuer.clone(),
            subject: subject.clone(),
        });
        UserDraft {
            login: self.login.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            roles: self.roles.clone(),
            fhir_user: self.fhir_user.clone(),
            proxies: proxies.collect(),
            external: external.collect(),
            disabled: self.disabled,
        }
    }

    fn facts(&self) -> Vec<Value> {
        vec![
            json!(self.password.is_some()),
            json!(self.must_change_password),
            json!(self.totp.as_ref().is_some_and(|totp| totp.confirmed)),
            json!(self.recovery.len()),
            json!(When(self.created)),
        ]
    }

    /// Whom no other provider vouches for gets a one-time password, unless one is given.
    async fn create(
        desk: &Management,
        wish: &Wish,
        draft: UserDraft,
    ) -> Result<Made<Self>, AuthError> {
        desk.check_user(&draft).await?;
        let mut user = Self {
            created: desk.now(),
            ..Self::default()
        };
        write(draft, &mut user);
        let mut secrets = Vec::new();
        match &wish.password {
            Some(password) => {
                check_password(password, &user.login)?;
                user.password = Some(desk.hash(password).await?);
            }
            None if user.external.is_empty() => {
                let password = secret::fresh_password()?;
                user.password = Some(desk.hash(&password).await?);
                user.must_change_password = true;
                secrets.push(("password", password));
            }
            None => {}
        }
        let id = user::create(&desk.records, &user).await?;
        let found = Found {
            id,
            version: 1,
            value: user,
        };
        Ok(Made { found, secrets })
    }

    async fn replace(
        desk: &Management,
        old: Found<Self>,
        draft: UserDraft,
    ) -> Result<Found<Self>, AuthError> {
        desk.check_user(&draft).await?;
        let ends = draft.disabled && !old.value.disabled;
        let mut new = old.clone();
        write(draft, &mut new.value);
        let change = Change::User(&old.id, Some(&new.value));
        let mut changes = user::replacement(&desk.records, &old.value, &new)
            .await?
            .and(desk.keep_an_administrator(change).await?);
        if ends {
            changes = changes.and(desk.log_outs(&old.id).await?);
        }
        desk.records.commit(changes).await?;
        new.version += 1;
        Ok(new)
    }

    async fn remove(desk: &Management, found: Found<Self>) -> Result<(), AuthError> {
        let changes = user::removal(&found)
            .and(desk.log_outs(&found.id).await?)
            .and(
                desk.keep_an_administrator(Change::User(&found.id, None))
                    .await?,
            );
        desk.records.commit(changes).await
    }
}

fn write(draft: UserDraft, user: &mut User) {
    let proxies = draft.proxies.into_iter().map(|proxy| Proxy {
        patient: proxy.patient,
        until: proxy.until.map(|until| until.0),
    });
    user.proxies = proxies.collect();
    let external = draft.external.into_iter();
    user.external = external.map(|one| (one.issuer, one.subject)).collect();
    user.login = draft.login.trim().to_owned();
    user.name = draft.name;
    user.email = draft.email;
    user.roles = draft.roles;
    user.fhir_user = draft.fhir_user;
    user.disabled = draft.disabled;
}

impl Management {
    /// The user with this log-in name, or this id.
    ///
    /// # Errors
    /// [`AuthError::Unknown`]; the store refuses.
    pub async fn user(&self, name: &str) -> Result<Found<User>, AuthError> {
        if let Some(found) = user::by_login(&self.records, name).await? {
            return Ok(found);
        }
        self.records.get(name).await
    }

    /// Gives a user another password and logs them out everywhere; without one, a one-time
    /// password, which is the answer.
    ///
    /// # Errors
    /// [`AuthError::Unfit`]; [`AuthError::Conflict`]; the store refuses.
    pub async fn reset_password(
        &self,
        mut user: Found<User>,
        password: Option<&str>,
    ) -> Result<Option<String>, AuthError> {
        let made = match password {
            Some(password) => {
                check_password(password, &user.value.login)?;
                None
            }
            None => Some(secret::fresh_password()?),
        };
        let text = made.as_deref().or(password).unwrap_or_default();
        user.value.password = Some(self.hash(text).await?);
        user.value.must_change_password = made.is_some();
        let changes = Changes::new()
            .replace(&user)?
            .and(self.log_outs(&user.id).await?);
        self.records.commit(changes).await?;
        Ok(made)
    }

    /// Takes a user's second factor and recovery codes away, for who has lost them, and logs them
    /// out everywhere.
    ///
    /// # Errors
    /// [`AuthError::Conflict`]; the store refuses.
    pub async fn reset_second_factor(&self, mut user: Found<User>) -> Result<(), AuthError> {
        user.value.totp = None;
        user.value.recovery = Vec::new();
        let changes = Changes::new()
            .replace(&user)?
            .and(self.log_outs(&user.id).await?);
        self.records.commit(changes).await
    }

    /// Ends all sessions of a user, and all that apps were granted.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn log_out(&self, user: &str) -> Result<(), AuthError> {
        self.records.commit(self.log_outs(user).await?).await
    }

    /// What ends all sessions and grants of a user.
    async fn log_outs(&self, user: &str) -> Result<Changes, AuthError> {
        let mut changes = Changes::new()
            .remove_owned::<Session>(user)
            .remove_owned::<Grant>(user);
        for found in self.records.all::<Grant>(Some(user)).await? {
            changes = changes.and(grant::removal(&found.id));
        }
        Ok(changes)
    }

    async fn check_user(&self, draft: &UserDraft) -> Result<(), AuthError> {
        let mut form = Form::default();
        let login = draft.login.trim();
        let fits = (1..=100).contains(&login.chars().count()) && !login.contains(char::is_control);
        form.check("login", (!fits).then_some("must have 1 to 100 characters"));
        form.check("name", wrong_name(&draft.name));
        form.check("email", draft.email.as_deref().and_then(wrong_email));
        form.check(
            "fhir_user",
            draft.fhir_user.as_deref().and_then(wrong_fhir_user),
        );
        form.each("proxies", &draft.proxies, |proxy| {
            wrong_patient(&proxy.patient)
        });
        form.each("external", &draft.external, |one| {
            let is_empty = one.issuer.is_empty() || one.subject.is_empty();
            is_empty.then_some("must have issuer and subject")
        });
        self.check_roles(&mut form, "roles", &draft.roles).await?;
        refuse(form.0)
    }

    /// Checks that roles are there.
    pub(super) async fn check_roles(
        &self,
        form: &mut Form,
        element: &str,
        roles: &[String],
    ) -> Result<(), AuthError> {
        for (at, name) in roles.iter().enumerate() {
            if Role::named(&self.records, name).await?.is_none() {
                let reason = format!("there is no role '{name}'; `rotunda role list` shows them");
                form.check(format!("{element}[{at}]"), Some(reason));
            }
        }
        Ok(())
    }
}

fn check_password(password: &str, login: &str) -> Result<(), AuthError> {
    let problem = password::problem(password, login);
    refuse(
        problem
            .map(|reason| Problem::new("password", reason))
            .into_iter()
            .collect(),
    )
}
