//! Tokens that administrators make for scripts, and what was authorized.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Management, When, duration,
    form::{Form, wrong_patient, wrong_scope},
    refuse,
};
use crate::auth::{
    error::AuthError,
    grant::{self, AccessToken, Context, Grant, Subject},
    records::{Changes, Found},
    role::Role,
    scope::{Level, Scope},
    secret,
    user::User,
};

/// Milliseconds that a token lives if nothing is said.
const USUAL: i64 = 3_600_000;
/// Milliseconds that a token lives at most: one for longer is an API key, or a client.
const LONGEST: i64 = 24 * 3_600_000;

/// What an administrator wants a token for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenOrder {
    /// Roles, all that they give; or `user`.
    pub roles: Vec<String>,
    /// A user's log-in name or id, for what they may do.
    pub user: Option<String>,
    /// Scopes, separated by blanks, to which the token is narrowed.
    pub scope: Option<String>,
    /// The Patient in context, by logical id.
    pub patient: Option<String>,
    /// How long it lives: `15m`, `1h`; 1h if nothing is said, 24h at most.
    pub ttl: Option<String>,
}

/// A token that was made.
#[derive(Debug)]
pub struct MadeToken {
    /// Its text, shown this once.
    pub token: String,
    /// The name of its grant, by which it is revoked.
    pub grant: String,
    /// What it allows; empty is all that the roles give.
    pub scope: String,
    /// When it ends.
    pub expires: When,
}

/// A grant as it is shown.
pub fn shown(found: &Found<Grant>) -> Value {
    let grant = &found.value;
    let (user, roles) = match &grant.subject {
        Subject::User(user) => (Some(user), None),
        Subject::Client => (None, None),
        Subject::Roles(roles) => (None, Some(roles)),
    };
    json!({
        "id": found.id,
        "user": user,
        "roles": roles,
        "client": Some(&grant.client).filter(|client| !client.is_empty()),
        "scope": grant.scopes,
        "patient": grant.context.patient,
        "break_glass": grant.broken_glass.is_some(),
        "created": When(grant.created),
        "expires": grant.expires.map(When),
    })
}

impl Management {
    /// Makes a token.
    ///
    /// # Errors
    /// [`AuthError::Unfit`]; the store refuses.
    pub async fn make_token(&self, order: &TokenOrder) -> Result<MadeToken, AuthError> {
        let life = self.check_order(order).await?;
        let now = self.now();
        let expires = now + life;
        let (subject, scopes, patient) = match &order.user {
            None => {
                let subject = Subject::Roles(order.roles.clone());
                let scopes = order.scope.clone().unwrap_or_default();
                (subject, scopes, order.patient.clone())
            }
            Some(name) => {
                let user = self.user(name).await?;
                if user.value.disabled {
                    let reason = format!("the user '{name}' is disabled");
                    return Err(AuthError::Invalid(reason));
                }
                let scopes = match &order.scope {
                    Some(scope) => scope.clone(),
                    None => self.all_scopes(&user.value).await?,
                };
                let own = user.value.patients(now).into_iter().next();
                (
                    Subject::User(user.id),
                    scopes,
                    order.patient.clone().or(own),
                )
            }
        };
        let grant = Grant {
            subject,
            client: String::new(),
            scopes: scopes.clone(),
            context: Context {
                patient,
                ..Context::default()
            },
            session: None,
            broken_glass: None,
            identified: false,
            created: now,
            expires: Some(expires),
        };
        let id = secret::fresh_id()?;
        let (token, kept) = grant::new_access(&id, scopes.clone(), expires)?;
        self.records
            .commit(Changes::new().create(&id, &grant)?.and(kept))
            .await?;
        Ok(MadeToken {
            token,
            grant: id,
            scope: scopes,
            expires: When(expires),
        })
    }

    /// Checks an order; how long the token is to live.
    async fn check_order(&self, order: &TokenOrder) -> Result<i64, AuthError> {
        let mut form = Form::default();
        let one = order.roles.is_empty() == order.user.is_some();
        let reason = "give roles or a user, and not both: a token is for one of them";
        form.check("roles", (!one).then_some(reason));
        self.check_roles(&mut form, "roles", &order.roles).await?;
        for scope in order.scope.iter().flat_map(|scope| scope.split(' ')) {
            form.check("scope", wrong_scope(scope));
        }
        form.check("patient", order.patient.as_deref().and_then(wrong_patient));
        if order.patient.is_none() {
            for (at, name) in order.roles.iter().enumerate() {
                let role = Role::named(&self.records, name).await?;
                let own = role.is_some_and(|role| {
                    role.scopes()
                        .resources()
                        .any(|scope| scope.level == Level::Patient)
                });
                let reason = format!("the role {name} is about one's own record: name the patient");
                form.check(format!("roles[{at}]"), own.then_some(reason));
            }
        }
        let life = order.ttl.as_deref().map_or(Ok(USUAL), duration);
        let life = life.and_then(|life| match life <= LONGEST {
            true => Ok(life),
            false => {
                Err("at most 24h: for longer, make an API key or register a client".to_owned())
            }
        });
        form.check("ttl", life.as_ref().err().cloned());
        refuse(form.0)?;
        life.map_err(AuthError::Invalid)
    }

    /// All that a user may do, as scopes.
    async fn all_scopes(&self, user: &User) -> Result<String, AuthError> {
        let mut scopes = vec!["user/*.cruds".to_owned(), "fhirUser".to_owned()];
        for name in &user.roles {
            let role = Role::named(&self.records, name).await?;
            if role.is_some_and(|role| role.scopes().has(&Scope::Admin)) {
                scopes.push(Scope::Admin.to_string());
                break;
            }
        }
        Ok(scopes.join(" "))
    }

    /// What was authorized by a user, or by all, to a client, or to all, and has not ended; in the
    /// order of names after `after`.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn grants(
        &self,
        user: Option<&str>,
        client: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Found<Grant>>, AuthError> {
        let now = self.now();
        let lives = |grant: &Grant| {
            grant.expires.is_none_or(|at| now < at)
                && client.is_none_or(|client| grant.client == client)
        };
        self.living(user, after, limit, lives).await
    }

    /// Ends a grant and its tokens. `name` is the grant's, or the text of a token.
    ///
    /// # Errors
    /// [`AuthError::Unknown`]; the store refuses.
    pub async fn revoke(&self, name: &str) -> Result<(), AuthError> {
        let id = match name.starts_with("at_") {
            false => name.to_owned(),
            true => {
                let token = self
                    .records
                    .find::<AccessToken>(&secret::hash(name))
                    .await?;
                // Not the text itself: it may be valid elsewhere.
                let unknown = || AuthError::Unknown("token", "at_…".to_owned());
                token.ok_or_else(unknown)?.value.grant
            }
        };
        let found = self.records.get::<Grant>(&id).await?;
        self.records.commit(grant::removal(&found.id)).await
    }
}
