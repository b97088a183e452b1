//! A token -> who it is and what they may do.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::digest;

use super::{
    Auth,
    client::{ApiKey, Client},
    consent::Reader,
    decide::{self, Standing},
    error::AuthError,
    grant::{AccessToken, Grant, Subject},
    records::Found,
    role::Role,
    scope::{Scope, Scopes},
    secret,
    user::User,
};
use crate::{
    access::{Access, Grants, Identity, Rule},
    network::Network,
};

/// For how long a decision is used again without a look at the store: the time in which a
/// revocation on another node takes effect here. What this process changes takes effect at once.
const KEPT_MS: i64 = 2_000;

/// Decisions that are kept at a time.
const KEPT: usize = 20_000;

/// Whoever holds a token, and what they may do.
#[derive(Debug)]
pub struct Admitted {
    /// What of the resources.
    pub access: Access,
    /// For audit and limits.
    pub identity: Arc<Identity>,
    /// The scopes of the token.
    pub scopes: Scopes,
    /// May manage users, clients, roles and tokens.
    pub admin: bool,
    /// May break the glass.
    pub break_glass: bool,
    /// The grant from which the token comes; none for API keys.
    pub grant: Option<String>,
    /// Milliseconds since 1970.
    pub expires: Option<i64>,
    /// Networks from which it is taken; empty is any.
    pub(super) addresses: Vec<Network>,
}

/// Why a token is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Unknown, expired, revoked, or from an address that it is not for: one answer for all.
    #[error("the access token is not valid (any more)")]
    Invalid,
    /// It could not be looked up.
    #[error(transparent)]
    Failed(#[from] AuthError),
}

#[derive(Debug)]
struct Kept {
    admitted: Arc<Admitted>,
    until: i64,
    epoch: u64,
}

/// Decisions by the hash of their token.
#[derive(Debug, Default)]
pub struct Decisions(RwLock<HashMap<[u8; 32], Kept>>);

impl Decisions {
    fn get(&self, key: &[u8; 32], now: i64, epoch: u64) -> Option<Arc<Admitted>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(key)?;
        (now < found.until && found.epoch == epoch).then(|| Arc::clone(&found.admitted))
    }

    fn put(&self, key: [u8; 32], one: Kept, now: i64) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, one| now < one.until);
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, one);
    }
}

impl Auth {
    /// Who holds this token (what stands after `Bearer `), and what they may do.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn admit(
        &self,
        token: &str,
        address: Option<IpAddr>,
    ) -> Result<Arc<Admitted>, Refused> {
        let key = key_of(token);
        let now = self.clock.now();
        // Before the look at the store: what changes meanwhile makes the decision old.
        let epoch = self.records.epoch() + self.engine.consent_changes();
        let admitted = match self.decisions.get(&key, now, epoch) {
            Some(kept) => kept,
            None => {
                let found = self.look_up(token, now).await?.ok_or(Refused::Invalid)?;
                let admitted = Arc::new(found);
                let end = admitted.expires.unwrap_or(i64::MAX);
                let kept = Kept {
                    admitted: Arc::clone(&admitted),
                    until: end.min(now + KEPT_MS),
                    epoch,
                };
                self.decisions.put(key, kept, now);
                admitted
            }
        };
        let from_here = admitted.addresses.is_empty()
            || address.is_some_and(|at| admitted.addresses.iter().any(|of| of.contains(at)));
        from_here.then_some(admitted).ok_or(Refused::Invalid)
    }

    async fn look_up(&self, token: &str, now: i64) -> Result<Option<Admitted>, AuthError> {
        if let Some(rest) = token.strip_prefix("hk_") {
            return self.by_api_key(rest, now).await;
        }
        if token.starts_with("at_") {
            return self.by_access_token(token, now).await;
        }
        if !self.settings.external.is_empty() {
            return self.by_external_token(token, now).await;
        }
        Ok(None)
    }

    async fn by_access_token(&self, token: &str, now: i64) -> Result<Option<Admitted>, AuthError> {
        let id = secret::hash(token);
        let Some(token) = self.records.find_valid::<AccessToken>(&id, now).await? else {
            return Ok(None);
        };
        let id = token.value.grant;
        let Some(grant) = self.records.find_valid::<Grant>(&id, now).await? else {
            return Ok(None);
        };
        let scopes = Scopes::parse(&token.value.scopes);
        let admitted = self.by_grant(&grant, scopes, now).await?;
        Ok(admitted.map(|admitted| Admitted {
            expires: Some(token.value.expires),
            ..admitted
        }))
    }

    /// What scopes of a grant give at the moment; `None` if its user or client is gone.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn by_grant(
        &self,
        grant: &Found<Grant>,
        scopes: Scopes,
        now: i64,
    ) -> Result<Option<Admitted>, AuthError> {
        let of = &grant.value;
        let client = match of.client.as_str() {
            "" => None,
            id => match self.records.find::<Client>(id).await? {
                Some(client) if !client.value.disabled => Some(client.value),
                _ => return Ok(None),
            },
        };
        let mut identity = Identity {
            client: client.as_ref().map(|_| of.client.clone()),
            patient: of.context.patient.clone(),
            purpose: of.broken_glass.as_ref().map(|_| "BTG".to_owned()),
            reason: of.broken_glass.clone(),
            ..Identity::default()
        };
        let context = of.context.patient.as_deref();
        let (rules, standing) = match &of.subject {
            Subject::User(id) => {
                let Some(user) = self.records.find::<User>(id).await? else {
                    return Ok(None);
                };
                if user.value.disabled || !self.is_logged_in(of, now).await? {
                    return Ok(None);
                }
                identity.user = Some(id.clone());
                identity.fhir_user.clone_from(&user.value.fhir_user);
                identity.roles.clone_from(&user.value.roles);
                let mut standing = self.standing(&user.value.roles).await?;
                standing.patients = user.value.patients(now);
                standing.fhir_user.clone_from(&user.value.fhir_user);
                if of.broken_glass.is_some() {
                    standing.broken_glass.clone_from(&of.context.patient);
                }
                let rules = decide::rules_of_user(&scopes, context, &standing);
                (rules, standing)
            }
            Subject::Client => {
                let allowed = client.map(|client| client.allowed()).unwrap_or_default();
                let rules = decide::rules_of_program(&scopes, &allowed);
                (rules, Standing::default())
            }
            Subject::Roles(roles) => {
                identity.roles.clone_from(roles);
                let standing = self.standing(roles).await?;
                let rules = decide::rules_of_roles(&scopes, context, &standing);
                (rules, standing)
            }
        };
        // A token for roles without scopes of its own has all that the roles give.
        let all = matches!(of.subject, Subject::Roles(_)) && scopes.0.is_empty();
        let may = |scope: &Scope, has: bool| has && (all || scopes.has(scope));
        Ok(Some(Admitted {
            admin: may(&Scope::Admin, standing.admin),
            // Broken glass does not break more glass.
            break_glass: standing.break_glass && of.broken_glass.is_none(),
            access: self.access(rules, &standing).await?,
            identity: Arc::new(identity),
            scopes,
            grant: Some(grant.id.clone()),
            expires: of.expires,
            addresses: Vec::new(),
        }))
    }

    /// The decision: what the rules allow, without what Consents withhold.
    pub(super) async fn access(
        &self,
        rules: Vec<Rule>,
        standing: &Standing,
    ) -> Result<Access, AuthError> {
        let reader = Reader {
            fhir_user: standing.fhir_user.as_deref(),
            own: &standing.patients,
            broken_glass: standing.broken_glass.as_deref(),
        };
        let store = self.records.store();
        let denials = self
            .consents
            .denials(&self.engine, store, reader, self.clock.now())
            .await?;
        Ok(Access::granted(Arc::new(Grants::new(rules, denials))))
    }

    /// A grant that is bound to a log-in ends with it.
    async fn is_logged_in(&self, grant: &Grant, now: i64) -> Result<bool, AuthError> {
        match &grant.session {
            None => Ok(true),
            Some(id) => {
                let found = self.records.find::<super::session::Session>(id).await?;
                // Not the idle time: the app is in use while the browser's page is not.
                Ok(found
                    .is_some_and(|session| now < session.value.created + super::session::LIFE_MS))
            }
        }
    }

    /// What roles give together.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn standing(&self, roles: &[String]) -> Result<Standing, AuthError> {
        let mut standing = Standing::default();
        for name in roles {
            // A role that was removed gives nothing.
            let Some(role) = Role::named(&self.records, name).await? else {
                continue;
            };
            let bounds = role.bounds();
            for scope in role.scopes().0 {
                match scope {
                    Scope::Resource(grant) => standing.grants.push((grant, bounds.clone())),
                    Scope::Admin => standing.admin = true,
                    Scope::BreakGlass => standing.break_glass = true,
                    _ => {}
                }
            }
        }
        Ok(standing)
    }

    async fn by_api_key(&self, rest: &str, now: i64) -> Result<Option<Admitted>, AuthError> {
        let Some((id, given)) = rest.split_once('_') else {
            return Ok(None);
        };
        let Some(found) = self.records.find::<ApiKey>(id).await? else {
            return Ok(None);
        };
        let key = found.value;
        let is_valid = key.expires.is_none_or(|at| now < at);
        if !secret::same(&key.hash, &secret::hash(given)) || !is_valid {
            return Ok(None);
        }
        let texts = key.scopes.iter().map(String::as_str);
        let scopes = Scopes(texts.flat_map(|text| Scopes::parse(text).0).collect());
        let rules = decide::rules_of_program(&scopes, &scopes);
        self.note_use(id, key.last_used, now).await?;
        Ok(Some(Admitted {
            access: self.access(rules, &Standing::default()).await?,
            identity: Arc::new(Identity {
                client: Some(format!("key:{id}")),
                ..Identity::default()
            }),
            scopes,
            admin: false,
            break_glass: false,
            grant: None,
            expires: key.expires,
            addresses: key.addresses,
        }))
    }

    /// Keeps when a key was used, to within a minute.
    async fn note_use(&self, id: &str, last: Option<i64>, now: i64) -> Result<(), AuthError> {
        const MINUTE: i64 = 60_000;
        if last.is_some_and(|last| now - last < MINUTE) {
            return Ok(());
        }
        let noted = self.records.update::<ApiKey>(id, |key| {
            key.last_used = Some(now);
            Ok(())
        });
        match noted.await {
            Ok(_) | Err(AuthError::Unknown(..)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn key_of(token: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    key
}
