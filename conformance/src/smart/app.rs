//! What an app sends: to `authorize` by its user, to `token` itself.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use url::{Url, form_urlencoded::byte_serialize};

use super::{
    Checker,
    jose::{challenge, random},
    person::{Back, Person},
    web::{Answer, Call},
};

/// A registered client.
#[derive(Debug, Clone)]
pub struct App {
    /// Its id.
    pub id: String,
    secret: Option<String>,
    redirect: String,
}

/// What an app asks its user for.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The scopes.
    pub scope: String,
    /// `launch` of an EHR launch.
    pub launch: Option<String>,
    /// Another `aud` than the base URL.
    pub aud: Option<String>,
    /// By a form instead of an address.
    pub by_post: bool,
}

/// A code, and what belongs to it.
#[derive(Debug, Clone)]
pub struct Code {
    /// The code.
    pub code: String,
    /// What the challenge was made of.
    pub verifier: String,
    /// What must stand in the `id_token`.
    pub nonce: String,
}

/// Tokens that an app got.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The body of the answer.
    pub json: Value,
    /// What must stand in the `id_token`.
    pub nonce: String,
}

impl Tokens {
    /// The access token, or another element.
    pub fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }
}

impl App {
    /// A client, by its secret if it has one.
    pub fn new(id: &str, secret: Option<&str>, redirect: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.map(str::to_owned),
            redirect: redirect.to_owned(),
        }
    }

    /// A form to an endpoint, with what the client proves itself with.
    pub fn form(&self, url: &str, fields: &[(&str, &str)]) -> Call {
        let Some(secret) = &self.secret else {
            let mut all = fields.to_vec();
            all.push(("client_id", &self.id));
            return Call::form(url, &all);
        };
        let part = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let basic = BASE64_STANDARD.encode(format!("{}:{}", part(&self.id), part(secret)));
        Call::form(url, fields).header("authorization", &format!("Basic {basic}"))
    }

    /// The form that brings a code.
    pub fn bringing(&self, url: &str, code: &str, verifier: Option<&str>) -> Call {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect),
        ];
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        self.form(url, &fields)
    }
}

impl Checker {
    /// A plain question for these scopes.
    pub(super) fn asking(scope: &str) -> Ask {
        Ask {
            scope: scope.to_owned(),
            ..Ask::default()
        }
    }

    /// Sends the user to `authorize`; gives what came back, and what the code will need.
    ///
    /// # Errors
    /// The app is not called, or with another `state`.
    pub(super) async fn authorize(
        &self,
        user: &mut Person,
        app: &App,
        ask: &Ask,
    ) -> Result<(Back, Code), String> {
        let (state, verifier, nonce) = (random()?, random()?, random()?);
        let challenge = challenge(&verifier);
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &app.id),
            ("redirect_uri", &app.redirect),
            ("scope", &ask.scope),
            ("state", &state),
            ("nonce", &nonce),
            ("aud", ask.aud.as_ref().unwrap_or(&self.base)),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        fields.extend(ask.launch.as_deref().map(|launch| ("launch", launch)));
        let endpoint = self.address("authorization_endpoint");
        let call = match ask.by_post {
            true => Call::form(&endpoint, &fields),
            false => {
                let url = Url::parse_with_params(&endpoint, &fields);
                Call::get(
                    url.map_err(|error| format!("{endpoint}: {error}"))?
                        .as_str(),
                )
            }
        };
        let back = user.visit(call, &app.redirect).await?;
        if back.get("state") != Some(&state) {
            return Err(format!("state came back as {:?}", back.get("state")));
        }
        let code = back.get("code").cloned().unwrap_or_default();
        let code = Code {
            code,
            verifier,
            nonce,
        };
        Ok((back, code))
    }

    /// A code.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn code(
        &self,
        user: &mut Person,
        app: &App,
        ask: &Ask,
    ) -> Result<Code, String> {
        let (back, code) = self.authorize(user, app, ask).await?;
        match (back.get("error"), code.code.is_empty()) {
            (None, false) => Ok(code),
            _ => Err(format!("no code, but {back:?}")),
        }
    }

    /// The answer to a code.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn exchange(&self, app: &App, code: &Code) -> Result<Answer, String> {
        let endpoint = self.address("token_endpoint");
        let call = app.bringing(&endpoint, &code.code, Some(&code.verifier));
        self.web.send(&call).await
    }

    /// Tokens, all the way.
    ///
    /// # Errors
    /// There are none.
    pub(super) async fn tokens(
        &self,
        user: &mut Person,
        app: &App,
        ask: &Ask,
    ) -> Result<Tokens, String> {
        let code = self.code(user, app, ask).await?;
        let answer = self.exchange(app, &code).await?;
        match answer.status {
            200 => Ok(Tokens {
                json: answer.json(),
                nonce: code.nonce,
            }),
            _ => Err(answer.brief()),
        }
    }

    /// Reads something of the FHIR server with a token.
    pub(super) async fn read(&self, path: &str, token: &str) -> Result<Answer, String> {
        let call = Call::get(&format!("{}/{path}", self.base)).bearer(token);
        let call = call.header("accept", "application/fhir+json");
        self.web.send(&call).await
    }
}
