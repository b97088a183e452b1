//! Tokens for what clients bring: a code, a refresh token, or themselves (RFC 6749, sections 4.1.3,
//! 6 and 4.4; SMART App Launch 2.2.0, "Obtain access token" and "Backend Services").

use serde_json::{Map, Value, json};

use super::{
    Auth,
    client::{Client, Proof},
    code::Code,
    error::AuthError,
    grant::{self, Context, Grant, RefreshToken, Subject},
    keys::Algorithm,
    parameters::Parameters,
    records::{Changes, Found},
    refusal::Refusal,
    scope::{Level, Scope, Scopes},
    secret,
    session::{self, Session},
    user::User,
};

/// Seconds that any access token lives at most.
const LONGEST_SECONDS: u32 = 3_600;
/// Milliseconds in which a refresh token may be used again from the same address: the answer to
/// the first use may have got lost.
const GRACE_MS: i64 = 10_000;
/// A grant's own end follows its refresh tokens in steps of this many milliseconds.
const STEP_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
/// How often a lost race is tried again.
const TRIES: usize = 20;

/// The fields of a token response.
pub type Answer = Map<String, Value>;

/// Tokens that are about to be kept.
struct Issued {
    answer: Answer,
    changes: Changes,
}

impl Auth {
    /// Tokens for an authorization code. One that is used twice has been stolen by one of the
    /// two, so that what came from it ends.
    ///
    /// # Errors
    /// `invalid_grant`
    pub async fn for_code(
        &self,
        client: &Found<Client>,
        parameters: &Parameters,
    ) -> Result<Answer, Refusal> {
        let text = parameters.need("code")?;
        let found = self.records().find::<Code>(&secret::hash(text)).await?;
        let unknown = || Refusal::new("invalid_grant", "The code is unknown or has expired.");
        let mut code = found.ok_or_else(unknown)?;
        if let Some((grant, _)) = &code.value.used {
            self.records().commit(grant::removal(grant)).await?;
            return Err(used_twice());
        }
        if self.now() >= code.value.until {
            return Err(unknown());
        }
        check_binding(&code.value, &client.id, parameters)?;
        let user = self.user_of(&code.value).await?;
        let id = secret::fresh_id()?;
        let grant = self.grant_of(&code.value);
        let issued = self.issue(&id, &grant, &client.value).await?;
        let mut answer = issued.answer;
        if grant.identified {
            let token = self.id_token(&code.value, &user.value).await?;
            answer.insert("id_token".to_owned(), token.into());
        }
        let end = grant.expires.unwrap_or(code.value.until);
        code.value.used = Some((id.clone(), end.max(code.value.until)));
        let changes = issued.changes.replace(&code)?.create(&id, &grant)?;
        match self.records().commit(changes).await {
            Ok(()) => Ok(answer),
            Err(AuthError::Conflict) => self.lost_code(&code.id).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Somebody else used the code at the same time.
    async fn lost_code(&self, id: &str) -> Result<Answer, Refusal> {
        let code = self.records().find::<Code>(id).await?;
        if let Some((grant, _)) = code.and_then(|code| code.value.used) {
            self.records().commit(grant::removal(&grant)).await?;
        }
        Err(used_twice())
    }

    /// Who agreed, if that still counts.
    async fn user_of(&self, code: &Code) -> Result<Found<User>, Refusal> {
        let ended = || Refusal::new("invalid_grant", "The log-in of the user has ended.");
        let now = self.now();
        let session = self.records().find_valid::<Session>(&code.session, now);
        session.await?.ok_or_else(ended)?;
        let user = self.records().find::<User>(&code.user).await?;
        user.filter(|user| !user.value.disabled).ok_or_else(ended)
    }

    fn grant_of(&self, code: &Code) -> Grant {
        let scopes = Scopes::parse(&code.scopes);
        let now = self.now();
        let is_offline = scopes.has(&Scope::OfflineAccess);
        let end_of_session = code.auth_time + session::LIFE_MS;
        Grant {
            subject: Subject::User(code.user.clone()),
            client: code.client.clone(),
            identified: scopes.has(&Scope::OpenId),
            scopes: code.scopes.clone(),
            context: code.context.clone(),
            session: (!is_offline).then(|| code.session.clone()),
            broken_glass: None,
            created: now,
            expires: Some(match is_offline {
                true => self.offline_end(now),
                false => end_of_session,
            }),
        }
    }

    fn offline_end(&self, now: i64) -> i64 {
        now + i64::from(self.settings().offline_days) * DAY_MS
    }

    /// An access token of a grant, and a refresh token if its scopes give one.
    async fn issue(&self, id: &str, grant: &Grant, client: &Client) -> Result<Issued, Refusal> {
        let scopes = Scopes::parse(&grant.scopes);
        let mut issued = self.access_token(id, grant, &scopes, client)?;
        let may_refresh = scopes.has(&Scope::OfflineAccess) || scopes.has(&Scope::OnlineAccess);
        if may_refresh {
            issued = self.refresh_token(id, grant, issued)?;
        }
        Ok(issued)
    }

    fn access_token(
        &self,
        id: &str,
        grant: &Grant,
        scopes: &Scopes,
        client: &Client,
    ) -> Result<Issued, Refusal> {
        let now = self.now();
        let default = match grant.subject {
            Subject::Client => self.settings().backend_token_seconds,
            Subject::User(_) | Subject::Roles(_) => self.settings().user_token_seconds,
        };
        let seconds = client
            .access_seconds
            .unwrap_or(default)
            .min(LONGEST_SECONDS);
        let end = now + i64::from(seconds) * 1_000;
        let end = grant.expires.map_or(end, |last| end.min(last));
        let (text, changes) = grant::new_access(id, scopes.to_string(), end)?;
        let mut answer = Answer::new();
        answer.insert("access_token".to_owned(), text.into());
        answer.insert("token_type".to_owned(), "Bearer".into());
        answer.insert("expires_in".to_owned(), ((end - now) / 1_000).into());
        answer.insert("scope".to_owned(), scopes.to_string().into());
        add_context(&mut answer, &grant.context);
        Ok(Issued { answer, changes })
    }

    fn refresh_token(
        &self,
        id: &str,
        grant: &Grant,
        mut issued: Issued,
    ) -> Result<Issued, Refusal> {
        let now = self.now();
        let expires = match &grant.session {
            None => self.offline_end(now),
            Some(_) => grant.expires.unwrap_or(now),
        };
        let text = secret::fresh("rt_")?;
        let kept = RefreshToken {
            grant: id.to_owned(),
            expires,
            used: None,
        };
        issued.changes = issued.changes.create(&secret::hash(&text), &kept)?;
        issued
            .answer
            .insert("refresh_token".to_owned(), text.into());
        Ok(issued)
    }

    /// New tokens for a refresh token, which is used up by that. One that comes again, later or
    /// from elsewhere, was stolen, so that all that came with it ends.
    ///
    /// # Errors
    /// `invalid_grant`; `invalid_scope` if more is asked for than was granted.
    pub async fn for_refresh(
        &self,
        client: &Found<Client>,
        parameters: &Parameters,
        address: &str,
    ) -> Result<Answer, Refusal> {
        let text = parameters.need("refresh_token")?;
        let id = secret::hash(text);
        for _ in 0..TRIES {
            match self.refresh(client, parameters, &id, address).await {
                Err(Refusal::Server(AuthError::Conflict)) => {}
                other => return other,
            }
        }
        Err(AuthError::Conflict.into())
    }

    async fn refresh(
        &self,
        client: &Found<Client>,
        parameters: &Parameters,
        id: &str,
        address: &str,
    ) -> Result<Answer, Refusal> {
        let refused = || {
            Refusal::new(
                "invalid_grant",
                "The refresh token is unknown, has expired, was revoked or is another client's.",
            )
        };
        let now = self.now();
        let token = self.records().find_valid::<RefreshToken>(id, now).await?;
        let mut token = token.ok_or_else(refused)?;
        let grant = self.records().find_valid::<Grant>(&token.value.grant, now);
        let mut grant = grant.await?.ok_or_else(refused)?;
        if grant.value.client != client.id || !self.goes_on(&grant.value).await? {
            return Err(refused());
        }
        let mut changes = Changes::new();
        match &token.value.used {
            None => {
                token.value.used = Some((now, address.to_owned()));
                changes = changes.replace(&token)?;
            }
            Some((at, from)) if now < at + GRACE_MS && from == address => {}
            Some(_) => {
                self.records().commit(grant::removal(&grant.id)).await?;
                tracing::warn!(client = client.id, "a refresh token was used twice");
                return Err(refused());
            }
        }
        let granted = Scopes::parse(&grant.value.scopes).within(&client.value.allowed());
        let scopes = narrowed(parameters.get("scope"), &granted)?;
        if scopes.0.is_empty() {
            return Err(refused());
        }
        let end = self.offline_end(now);
        let must_move = grant.value.expires.is_some_and(|last| last + STEP_MS < end);
        if grant.value.session.is_none() && must_move {
            grant.value.expires = Some(end);
            changes = changes.replace(&grant)?;
        }
        let issued = self.access_token(&grant.id, &grant.value, &scopes, &client.value)?;
        let issued = self.refresh_token(&grant.id, &grant.value, issued)?;
        self.records().commit(changes.and(issued.changes)).await?;
        Ok(issued.answer)
    }

    /// Whether the user and the log-in behind a grant still count.
    async fn goes_on(&self, grant: &Grant) -> Result<bool, AuthError> {
        let Subject::User(user) = &grant.subject else {
            return Ok(false);
        };
        let user = self.records().find::<User>(user).await?;
        let may_log_in = user.is_some_and(|user| !user.value.disabled);
        let Some(session) = &grant.session else {
            return Ok(may_log_in);
        };
        let session = self.records().find_valid::<Session>(session, self.now());
        Ok(may_log_in && session.await?.is_some())
    }

    /// A token for a backend service.
    ///
    /// # Errors
    /// `unauthorized_client`, `invalid_scope`
    pub async fn for_client(
        &self,
        client: &Found<Client>,
        parameters: &Parameters,
    ) -> Result<Answer, Refusal> {
        if client.value.proof() == Proof::None {
            return Err(Refusal::new(
                "unauthorized_client",
                "A client without key or secret acts for users only.",
            ));
        }
        let asked = Scopes::parse(parameters.get("scope").unwrap_or_default());
        let mut scopes = asked.within(&client.value.allowed());
        scopes.0.retain(|scope| match scope {
            Scope::Resource(resource) => resource.level == Level::System,
            _ => false,
        });
        if scopes.0.is_empty() {
            return Err(Refusal::new(
                "invalid_scope",
                "Ask for system/ scopes that are registered for this client.",
            ));
        }
        let now = self.now();
        let mut grant = Grant {
            subject: Subject::Client,
            client: client.id.clone(),
            scopes: scopes.to_string(),
            context: Context::default(),
            session: None,
            broken_glass: None,
            identified: false,
            created: now,
            expires: None,
        };
        let id = secret::fresh_id()?;
        let issued = self.access_token(&id, &grant, &scopes, &client.value)?;
        let seconds = issued.answer["expires_in"].as_i64().unwrap_or(0);
        grant.expires = Some(now + seconds * 1_000);
        self.records()
            .commit(issued.changes.create(&id, &grant)?)
            .await?;
        Ok(issued.answer)
    }

    /// Who the user is (OpenID Connect Core 1.0, section 2; SMART App Launch 2.2.0, "fhirUser").
    async fn id_token(&self, code: &Code, user: &User) -> Result<String, AuthError> {
        let scopes = Scopes::parse(&code.scopes);
        let now = self.now() / 1_000;
        let mut claims = json!({
            "iss": self.settings().issuer,
            "sub": code.user,
            "aud": code.client,
            "iat": now,
            "exp": now + i64::from(self.settings().user_token_seconds),
            "auth_time": code.auth_time / 1_000,
            "amr": code.amr,
        });
        if let Some(nonce) = &code.nonce {
            claims["nonce"] = json!(nonce);
        }
        self.add_person(&mut claims, user, &scopes);
        self.jwt(Algorithm::Rs256, &claims).await
    }

    /// What scopes let an app know of its user.
    pub fn add_person(&self, claims: &mut Value, user: &User, scopes: &Scopes) {
        let has_profile = scopes.has(&Scope::Profile);
        if (has_profile || scopes.has(&Scope::FhirUser))
            && let Some(reference) = &user.fhir_user
        {
            let url = format!("{}/{reference}", self.settings().base_url);
            claims["fhirUser"] = json!(url);
        }
        if has_profile {
            claims["name"] = json!(user.name);
        }
    }
}

fn used_twice() -> Refusal {
    Refusal::new(
        "invalid_grant",
        "The code was used before; what came from it has ended. Ask the user again.",
    )
}

/// A code is for one client, one redirect and who knows the verifier (RFC 7636, section 4.6).
fn check_binding(code: &Code, client: &str, parameters: &Parameters) -> Result<(), Refusal> {
    let refuse = |sentence: &str| Err(Refusal::new("invalid_grant", sentence));
    if code.client != client {
        return refuse("The code is another client's.");
    }
    if parameters.get("redirect_uri") != Some(&code.redirect_uri) {
        return refuse("The redirect_uri is not the one to which the code was sent.");
    }
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let verifier = parameters.get("code_verifier").unwrap_or_default();
    let is_well_formed =
        (43..=128).contains(&verifier.len()) && verifier.bytes().all(is_unreserved);
    if !is_well_formed || !secret::same(&secret::digest_base64(verifier), &code.challenge) {
        return refuse("The code_verifier does not fit the code_challenge.");
    }
    Ok(())
}

/// The scopes of a refresh: those of the grant, or fewer.
fn narrowed(asked: Option<&str>, granted: &Scopes) -> Result<Scopes, Refusal> {
    let Some(text) = asked else {
        return Ok(granted.clone());
    };
    let refused = || Refusal::new("invalid_scope", "The scope goes beyond what was granted.");
    let asked = Scopes::parse_all(text.split(' ').filter(|word| !word.is_empty()));
    let asked = asked.map_err(|_| refused())?;
    let is_within = |scope: &Scope| {
        let one = Scopes(vec![scope.clone()]);
        one.within(granted) == one
    };
    match !asked.0.is_empty() && asked.0.iter().all(is_within) {
        true => Ok(asked),
        false => Err(refused()),
    }
}

/// The launch context (SMART App Launch 2.2.0, "Launch context arrives with your access_token").
pub(super) fn add_context(answer: &mut Answer, context: &Context) {
    let texts = [
        ("patient", &context.patient),
        ("encounter", &context.encounter),
        ("intent", &context.intent),
        ("smart_style_url", &context.smart_style_url),
        ("tenant", &context.tenant),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            answer.insert(name.to_owned(), json!(text));
        }
    }
    if !context.fhir_context.is_empty() {
        answer.insert("fhirContext".to_owned(), json!(context.fhir_context));
    }
    // Who does not say that the patient is shown around the app, has the app show it.
    if context.patient.is_some() {
        let banner = context.need_patient_banner.unwrap_or(true);
        answer.insert("need_patient_banner".to_owned(), banner.into());
    }
}
