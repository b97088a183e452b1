//! What a token means (RFC 7662; SMART App Launch 2.2.0, "Token Introspection").

use serde_json::{Value, json};

use super::{
    Auth,
    bearer::Admitted,
    client::Client,
    error::AuthError,
    grant::{AccessToken, Grant, RefreshToken, Subject},
    issue::{self, Answer},
    records::Found,
    scope::{Scope, Scopes},
    secret,
    user::User,
};

/// Who wants to know.
#[derive(Debug, Clone, Copy)]
pub enum Asker<'a> {
    /// A client that has authenticated.
    Client(&'a Found<Client>),
    /// Whoever holds a token.
    Bearer(&'a Admitted),
}

impl Asker<'_> {
    /// An administrator, a client registered for that, or the client whose token it is.
    fn may_know(self, grant: &Grant) -> bool {
        let own = !grant.client.is_empty();
        match self {
            Self::Client(client) => {
                client.value.allowed().has(&Scope::Introspect) || (own && grant.client == client.id)
            }
            Self::Bearer(admitted) => {
                let client = admitted.identity.client.as_deref();
                let user = admitted.identity.user.as_deref();
                let same_user = match &grant.subject {
                    Subject::User(of) => user == Some(of.as_str()),
                    Subject::Client => user.is_none(),
                    Subject::Roles(_) => false,
                };
                admitted.admin || (own && same_user && client == Some(grant.client.as_str()))
            }
        }
    }
}

impl Auth {
    /// What a token means, to who may know; to all others it is one that is not valid.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn introspect(&self, token: &str, asker: Asker<'_>) -> Result<Value, AuthError> {
        match self.meaning(token, asker).await? {
            Some(mut answer) => {
                answer.insert("active".to_owned(), true.into());
                Ok(Value::Object(answer))
            }
            None => Ok(json!({ "active": false })),
        }
    }

    async fn meaning(&self, text: &str, asker: Asker<'_>) -> Result<Option<Answer>, AuthError> {
        let (id, now) = (secret::hash(text), self.now());
        let access = self.records().find_valid::<AccessToken>(&id, now).await?;
        let (grant, scopes, expires) = match access {
            Some(token) => (
                token.value.grant,
                Some(token.value.scopes),
                token.value.expires,
            ),
            None => match self.records().find_valid::<RefreshToken>(&id, now).await? {
                Some(token) if token.value.used.is_none() => {
                    (token.value.grant, None, token.value.expires)
                }
                _ => return Ok(None),
            },
        };
        let Some(grant) = self.records().find_valid::<Grant>(&grant, now).await? else {
            return Ok(None);
        };
        let scopes = scopes.unwrap_or_else(|| grant.value.scopes.clone());
        let scopes = Scopes::parse(&scopes);
        // It counts as long as it lets its holder in.
        let admitted = self.by_grant(&grant, scopes.clone(), now).await?;
        if admitted.is_none() || !asker.may_know(&grant.value) {
            return Ok(None);
        }
        let grant = grant.value;
        let mut answer = Answer::new();
        let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
        put("scope", scopes.to_string().into());
        if !grant.client.is_empty() {
            put("client_id", grant.client.clone().into());
        }
        put("exp", (expires / 1_000).into());
        put("iat", (grant.created / 1_000).into());
        put("token_type", "Bearer".into());
        put("iss", self.settings().issuer.clone().into());
        issue::add_context(&mut answer, &grant.context);
        let subject = match &grant.subject {
            Subject::User(id) => {
                if let Some(user) = self.records().find::<User>(id).await? {
                    let mut person = json!({});
                    self.add_person(&mut person, &user.value, &scopes);
                    answer.extend(person.as_object().cloned().unwrap_or_default());
                }
                id.clone()
            }
            Subject::Client | Subject::Roles(_) => grant.client,
        };
        if !subject.is_empty() {
            answer.insert("sub".to_owned(), subject.into());
        }
        Ok(Some(answer))
    }
}
