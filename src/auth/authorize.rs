//! What an app asks of a user: the authorization request, from its parameters to a [`Pending`]
//! (RFC 6749, section 4.1.1; SMART App Launch 2.2.0, "Obtain authorization code").

use url::Url;

use super::{
    Auth,
    client::Client,
    error::AuthError,
    grant::Context,
    parameters::Parameters,
    records::Found,
    refusal::Refusal,
    request::Pending,
    scope::{Level, Scope, Scopes},
};

/// Why a request goes no further.
#[derive(Debug, thiserror::Error)]
pub enum NoRequest {
    /// Client or redirect are not proven, so that nobody may be told but the user: a sentence.
    #[error("{0}")]
    Page(String),
    /// The app is told by this redirect.
    #[error("redirect to {0}")]
    Redirect(String),
    /// The server could not.
    #[error(transparent)]
    Failed(#[from] AuthError),
}

impl Auth {
    /// Reads an authorization request.
    ///
    /// # Errors
    /// [`NoRequest`]
    pub async fn read_request(&self, parameters: &Parameters) -> Result<Pending, NoRequest> {
        let client = self.asking_client(parameters).await?;
        let redirect_uri = proven_redirect(parameters, &client.value)?;
        let mut pending = Pending {
            client: client.id.clone(),
            redirect_uri,
            scopes: String::new(),
            state: parameters.get("state").map(str::to_owned),
            challenge: String::new(),
            nonce: parameters.get("nonce").map(str::to_owned),
            context: Context::default(),
            launch: None,
            prompt: Vec::new(),
            login_hint: parameters.get("login_hint").map(str::to_owned),
            max_age: None,
            created: self.now(),
        };
        match self.fill(&mut pending, parameters, &client.value).await {
            Ok(()) => Ok(pending),
            Err(Refusal::Client(error)) => Err(NoRequest::Redirect(pending.failed(&error))),
            Err(Refusal::Server(error)) => Err(error.into()),
        }
    }

    async fn asking_client(&self, parameters: &Parameters) -> Result<Found<Client>, NoRequest> {
        let unknown = || {
            NoRequest::Page(
                "The app that sent you here is not registered with this server. Ask its maker \
                 to check the client_id, and your administrator to register it."
                    .to_owned(),
            )
        };
        let id = parameters.get("client_id").ok_or_else(unknown)?;
        self.client(id).await?.ok_or_else(unknown)
    }

    /// The rest, whose errors the app is told.
    async fn fill(
        &self,
        pending: &mut Pending,
        parameters: &Parameters,
        client: &Client,
    ) -> Result<(), Refusal> {
        parameters.check_once().map_err(Refusal::Client)?;
        check_response(parameters)?;
        pending.challenge = challenge(parameters)?;
        self.check_audience(parameters)?;
        pending.prompt = prompt(parameters)?;
        pending.max_age = parameters.get("max_age").map(max_age).transpose()?;
        let mut scopes = asked(parameters, client)?;
        match parameters.get("launch") {
            Some(handle) if scopes.has(&Scope::Launch) => {
                self.add_launch(pending, handle).await?;
            }
            Some(_) => {
                return Err(Refusal::new(
                    "invalid_scope",
                    "An EHR launch needs the scope launch; ask for it, and have it registered.",
                ));
            }
            // Without a handle there is nothing to give.
            None => scopes.0.retain(|scope| *scope != Scope::Launch),
        }
        if scopes.0.is_empty() {
            return Err(nothing_left());
        }
        pending.scopes = scopes.to_string();
        Ok(())
    }

    /// `aud` is this server, read as a URL: what merely begins with its name is another.
    fn check_audience(&self, parameters: &Parameters) -> Result<(), Refusal> {
        let own = &self.settings().base_url;
        let aud = parameters.need("aud").map_err(Refusal::Client)?;
        if is_same_base(aud, own) {
            return Ok(());
        }
        Err(Refusal::new(
            "invalid_request",
            format!("The aud of the request is not this server; it must be {own}."),
        ))
    }

    async fn add_launch(&self, pending: &mut Pending, handle: &str) -> Result<(), Refusal> {
        let launch = self.launched(handle, &pending.client).await?;
        let launch = launch.ok_or_else(|| {
            Refusal::new(
                "invalid_request",
                "The launch is unknown, was used, is not for this client, or is older than five \
                 minutes; open the app again from the EHR.",
            )
        })?;
        pending.context = launch.value.context;
        pending.launch = Some((launch.id, launch.value.user));
        Ok(())
    }
}

/// One of the client's redirects, letter by letter (RFC 9700, section 4.1.3).
fn proven_redirect(parameters: &Parameters, client: &Client) -> Result<String, NoRequest> {
    let asked = parameters.get("redirect_uri");
    let known = asked.filter(|asked| client.redirect_uris.iter().any(|known| known == asked));
    known.map(str::to_owned).ok_or_else(|| {
        NoRequest::Page(
            "The app that sent you here wants the answer at an address that is not registered \
             for it. You are not sent there. Ask its maker to check the redirect_uri."
                .to_owned(),
        )
    })
}

/// There is the code flow only, with its answer in the query.
fn check_response(parameters: &Parameters) -> Result<(), Refusal> {
    match parameters.need("response_type").map_err(Refusal::Client)? {
        "code" => {}
        _ => {
            return Err(Refusal::new(
                "unsupported_response_type",
                "The only response_type is code.",
            ));
        }
    }
    for (name, error) in [
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
    ] {
        if parameters.get(name).is_some() {
            let sentence = "Request objects are not taken; send plain parameters.";
            return Err(Refusal::new(error, sentence));
        }
    }
    match parameters.get("response_mode") {
        None | Some("query") => Ok(()),
        Some(_) => Err(Refusal::new(
            "invalid_request",
            "The only response_mode is query.",
        )),
    }
}

/// The challenge of PKCE, which every app must send (RFC 7636, section 4.3).
fn challenge(parameters: &Parameters) -> Result<String, Refusal> {
    let refuse = |sentence: &str| Err(Refusal::new("invalid_request", sentence));
    let Some(challenge) = parameters.get("code_challenge") else {
        return refuse("The request has no code_challenge; PKCE with S256 is needed.");
    };
    if parameters.get("code_challenge_method") != Some("S256") {
        return refuse("The code_challenge_method must be S256.");
    }
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if !(43..=128).contains(&challenge.len()) || !challenge.bytes().all(is_unreserved) {
        return refuse(
            "The code_challenge must be the SHA-256 of the verifier in base64url without \
             padding: 43 characters.",
        );
    }
    Ok(challenge.to_owned())
}

fn prompt(parameters: &Parameters) -> Result<Vec<String>, Refusal> {
    const KNOWN: [&str; 4] = ["none", "login", "consent", "select_account"];
    let text = parameters.get("prompt").unwrap_or_default();
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let is_known = words.iter().all(|word| KNOWN.contains(&word.as_str()));
    let alone = words.len() < 2 || !words.iter().any(|word| word == "none");
    if is_known && alone {
        return Ok(words);
    }
    Err(Refusal::new(
        "invalid_request",
        "The prompt must be none alone, or some of login, consent and select_account.",
    ))
}

fn max_age(text: &str) -> Result<i64, Refusal> {
    let seconds = text.parse::<u32>().map(i64::from);
    seconds.map_err(|_| Refusal::new("invalid_request", "The max_age must be whole seconds."))
}

/// What of the `scope` the client may ask of a user.
fn asked(parameters: &Parameters, client: &Client) -> Result<Scopes, Refusal> {
    let text = parameters.get("scope").ok_or_else(|| {
        Refusal::new(
            "invalid_scope",
            "The request has no scope; say what the app needs.",
        )
    })?;
    let mut scopes = Scopes::parse(text).within(&client.allowed());
    scopes.0.retain(|scope| match scope {
        Scope::Resource(resource) => resource.level != Level::System,
        _ => true,
    });
    match scopes.0.is_empty() {
        true => Err(nothing_left()),
        false => Ok(scopes),
    }
}

fn nothing_left() -> Refusal {
    Refusal::new(
        "invalid_scope",
        "None of the scopes is known, well-formed and registered for this client.",
    )
}

/// Whether two URLs are the same base, save for a slash at the end.
fn is_same_base(a: &str, b: &str) -> bool {
    let (Ok(first), Ok(second)) = (Url::parse(a), Url::parse(b)) else {
        return false;
    };
    let is_plain = |url: &Url| {
        let bare = url.username().is_empty() && url.password().is_none();
        bare && url.query().is_none() && url.fragment().is_none()
    };
    // What reading changes (dots, escapes, backslashes, spaces) is not the same letter by letter.
    let is_clean = a
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'%')
        && !a.contains("/.");
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    is_clean
        && is_plain(&first)
        && is_plain(&second)
        && first.origin() == second.origin()
        && path(&first) == path(&second)
        && !a.ends_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audience_is_this_server_and_no_other() {
        let own = "https://fhir.example.org/fhir";
        for (aud, same) in [
            ("https://fhir.example.org/fhir", true),
            ("https://fhir.example.org/fhir/", true),
            ("https://FHIR.example.org:443/fhir", true),
            ("https://fhir.example.org/fhir//", false),
            ("https://fhir.example.org/fhirx", false),
            ("https://fhir.example.org/fhir/../fhir", false),
            ("https://fhir.example.org/fhir?a", false),
            ("https://fhir.example.org/fhir#a", false),
            ("https://fhir.example.org/FHIR", false),
            ("https://fhir.example.org", false),
            ("https://fhir.example.org.evil.example/fhir", false),
            ("https://fhir.example.org@evil.example/fhir", false),
            ("https://a@fhir.example.org/fhir", false),
            ("https://fhir.example.org\\fhir", false),
            (" https://fhir.example.org/fhir", false),
            ("http://fhir.example.org/fhir", false),
            ("https://evil.example/https://fhir.example.org/fhir", false),
            ("fhir.example.org/fhir", false),
            ("", false),
        ] {
            assert_eq!(is_same_base(aud, own), same, "{aud}");
        }
    }
}
