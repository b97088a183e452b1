//! The user's answer to an authorization request, and the code that tells the app of it
//! (RFC 6749, section 4.1.2).

use std::sync::Arc;

use resources::model::ResourceType;
use serde::{Deserialize, Serialize};

use super::{
    Auth,
    client::Client,
    decide,
    error::AuthError,
    grant::Context,
    records::{Changes, Decides, Found, Kept},
    refusal::OAuthError,
    request::{Pending, redirect},
    scope::{Level, Scope, Scopes},
    secret,
    session::Session,
    user::User,
};
use crate::{
    access::{Access, Grants, Right, Rights, Rule},
    engine::ErrorKind,
};

/// Milliseconds that an app has to fetch its tokens.
pub const LIFE_MS: i64 = 60_000;

/// An authorization code; its name is its hash. When it is used, it stays for as long as what came
/// from it, so that a second use is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// For which client.
    pub client: String,
    /// The redirect to which it was sent.
    pub redirect_uri: String,
    /// The S256 challenge of PKCE.
    pub challenge: String,
    /// Goes into the id_token.
    pub nonce: Option<String>,
    /// Who agreed.
    pub user: String,
    /// In which log-in.
    pub session: String,
    /// When the user logged in; milliseconds since 1970.
    pub auth_time: i64,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// To what.
    pub scopes: String,
    /// In which context.
    pub context: Context,
    /// Milliseconds since 1970 from which on it is not taken.
    pub until: i64,
    /// The grant that came from it, and until when that can be.
    #[serde(default)]
    pub used: Option<(String, i64)>,
}

impl Kept for Code {
    const KIND: i64 = 21;
    const NAME: &'static str = "authorization code";
    const DECIDES: Decides = Decides::Never;

    fn owner(&self) -> &str {
        &self.user
    }

    fn expires(&self) -> Option<i64> {
        Some(self.used.as_ref().map_or(self.until, |(_, end)| *end))
    }
}

/// What a user agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// What was asked for, or less.
    pub scopes: Scopes,
    /// The patient, where none came with the launch.
    pub patient: Option<String>,
    /// An encounter of the patient, where none came with the launch.
    pub encounter: Option<String>,
}

impl Auth {
    /// What of `asked` this user can let this client do: for the consent page, and the most that
    /// [`Auth::approve`] takes.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn grantable(
        &self,
        asked: &Scopes,
        client: &Client,
        user: &User,
    ) -> Result<Scopes, AuthError> {
        let standing = self.standing(&user.roles).await?;
        let asked = asked.within(&client.allowed());
        let mut scopes = Vec::new();
        for scope in asked.0 {
            match scope {
                Scope::Resource(asked) if asked.level == Level::System => {}
                Scope::Resource(asked) => {
                    let grants = standing.grants.iter().map(|(grant, _)| grant);
                    let reaching = grants.filter(|grant| grant.level != Level::System);
                    let both = reaching.filter_map(|grant| asked.and(grant));
                    scopes.extend(both.map(Scope::Resource));
                }
                Scope::Admin if !standing.admin => {}
                // For clients, not for those who act for a user.
                Scope::Introspect => {}
                Scope::BreakGlass if !standing.break_glass => {}
                Scope::FhirUser | Scope::Profile if user.fhir_user.is_none() => {}
                other => scopes.push(other),
            }
        }
        Ok(Scopes(scopes).without_the_covered())
    }

    /// What a user may see by their roles, whatever the app: for the patient picker, and to find
    /// out whether a patient is one of theirs.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn access_of_user(&self, user: &User) -> Result<Access, AuthError> {
        let mut standing = self.standing(&user.roles).await?;
        standing.patients = user.patients(self.now());
        standing.fhir_user.clone_from(&user.fhir_user);
        let rules = decide::rules_of_user(&Scopes::parse("user/*.rs"), None, &standing);
        self.access(rules, &standing).await
    }

    /// Whether a user may work with this patient's record.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn may_choose(&self, user: &User, patient: &str) -> Result<bool, AuthError> {
        if user.patients(self.now()).iter().any(|own| own == patient) {
            return Ok(true);
        }
        let access = self.access_of_user(user).await?;
        self.is_there(ResourceType::PATIENT, patient, &access).await
    }

    async fn is_there(
        &self,
        kind: ResourceType,
        id: &str,
        access: &Access,
    ) -> Result<bool, AuthError> {
        let access = access.to(Right::Read);
        match self.engine().read(kind, id, &access).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Gone) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The user agrees: gives the redirect that brings the app its code. A request is answered
    /// once.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] with a sentence for the page if the choice cannot be: nothing is
    /// left of the scopes, no patient, or not one of the user's; [`AuthError::Conflict`] if the
    /// request was answered before; the store refuses.
    pub async fn approve(
        &self,
        request: &Found<Pending>,
        session: &Found<Session>,
        choice: Choice,
    ) -> Result<String, AuthError> {
        let asked = &request.value;
        let user = self.records().get::<User>(&session.value.user).await?;
        let client = self.client(&asked.client).await?;
        let client =
            client.ok_or_else(|| AuthError::Unknown(Client::NAME, asked.client.clone()))?;
        if user.value.disabled {
            return Err(AuthError::Invalid("This account is disabled.".to_owned()));
        }
        let may = self
            .grantable(&asked.asked(), &client.value, &user.value)
            .await?;
        let scopes = choice.scopes.within(&may);
        if scopes.0.is_empty() {
            return Err(AuthError::Invalid(
                "Nothing is left of what the app may do; choose at least one permission, or \
                 refuse."
                    .to_owned(),
            ));
        }
        let context = self.context(asked, &user, &scopes, &choice).await?;
        let code = Code {
            client: asked.client.clone(),
            redirect_uri: asked.redirect_uri.clone(),
            challenge: asked.challenge.clone(),
            nonce: asked.nonce.clone(),
            user: user.id.clone(),
            session: session.id.clone(),
            auth_time: session.value.created,
            amr: session.value.amr.clone(),
            scopes: scopes.to_string(),
            context,
            until: self.now() + LIFE_MS,
            used: None,
        };
        let text = secret::fresh("")?;
        let mut changes = Changes::new()
            .take(request)
            .create(&secret::hash(&text), &code)?;
        if let Some((launch, _)) = &asked.launch {
            changes = changes.and(self.used_launch(launch).await?);
        }
        self.records().commit(changes).await?;
        let mut pairs = vec![("code", text.as_str())];
        pairs.extend(asked.state.as_deref().map(|state| ("state", state)));
        Ok(redirect(&asked.redirect_uri, &pairs))
    }

    /// The user does not agree: gives the redirect that tells the app.
    ///
    /// # Errors
    /// [`AuthError::Conflict`] if the request was answered before; the store refuses.
    pub async fn deny(&self, request: &Found<Pending>) -> Result<String, AuthError> {
        let error = OAuthError::new("access_denied", "The user did not let the app in.");
        self.fail(request, &error).await
    }

    /// Ends a request with an error, `login_required` for instance: gives the redirect that tells
    /// the app.
    ///
    /// # Errors
    /// As [`Auth::deny`].
    pub async fn fail(
        &self,
        request: &Found<Pending>,
        error: &OAuthError,
    ) -> Result<String, AuthError> {
        let changes = Changes::new().take(request);
        self.records().commit(changes).await?;
        Ok(request.value.failed(error))
    }

    /// The context in which the tokens will be.
    async fn context(
        &self,
        asked: &Pending,
        user: &Found<User>,
        scopes: &Scopes,
        choice: &Choice,
    ) -> Result<Context, AuthError> {
        let refuse = |sentence: &str| Err(AuthError::Invalid(sentence.to_owned()));
        if let Some((_, Some(other))) = &asked.launch
            && *other != user.id
        {
            return refuse(
                "The app was launched by somebody else; log in as that user, or launch it again.",
            );
        }
        let mut context = asked.context.clone();
        if context.patient.is_none() {
            context.patient.clone_from(&choice.patient);
        }
        if context.encounter.is_none() {
            context.encounter.clone_from(&choice.encounter);
        }
        let Some(patient) = context.patient.as_deref() else {
            if scopes.needs_patient() {
                return refuse("The app works with one patient's record; choose the patient.");
            }
            if context.encounter.is_some() {
                return refuse("An encounter needs its patient; choose the patient.");
            }
            return Ok(context);
        };
        if !self.may_choose(&user.value, patient).await? {
            return refuse("There is no such patient among those whose record you may open.");
        }
        if let Some(encounter) = context.encounter.as_deref() {
            let of_patient = Rule {
                kind: Some(ResourceType::ENCOUNTER),
                rights: Rights::of(&[Right::Read]),
                patients: vec![patient.to_owned()],
                constraints: Vec::new(),
                relation: None,
                own: false,
            };
            let of_patient = Grants::new(vec![of_patient], Vec::new());
            let of_patient = Access::granted(Arc::new(of_patient));
            if !self
                .is_there(ResourceType::ENCOUNTER, encounter, &of_patient)
                .await?
            {
                return refuse("There is no such encounter of this patient.");
            }
        }
        Ok(context)
    }
}
