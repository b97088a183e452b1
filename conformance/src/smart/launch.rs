//! 2: an app that its user opens. 3: one that an EHR opens. 4: who the user is. 5: refresh.

use std::{collections::BTreeMap, mem};

use serde_json::Value;
use url::Url;

use super::{
    Checker,
    app::{App, Ask, Tokens},
    discovery::ORIGIN,
    jose::{Jwt, now},
    person::{Person, Way},
    report::{Seen, Wrong},
    rules, way,
    web::{Answer, Call},
};

impl Checker {
    /// The user of the standalone launches, for as long as a launch takes.
    pub(super) fn take_user(&mut self) -> Person {
        mem::replace(&mut self.user, Person::new(&self.web, Way::Browser))
    }

    /// Tokens for the user.
    pub(super) async fn granted(&mut self, app: &App, ask: &Ask) -> Result<Tokens, String> {
        let mut user = self.take_user();
        let tokens = self.tokens(&mut user, app, ask).await;
        self.user = user;
        tokens
    }

    pub(super) async fn standalone(&mut self) -> Option<Tokens> {
        let (authorize, token) = (
            self.address("authorization_endpoint"),
            self.address("token_endpoint"),
        );
        self.note("2.1", rules::secured(&[&authorize, &token]));
        let (app, scope) = (self.public(), self.options.scope.clone());
        let mut user = self.take_user();
        let code = self.code(&mut user, &app, &Self::asking(&scope)).await;
        self.user = user;
        let seen = code.as_ref().map(|_| "code and state".to_owned());
        self.note("2.2", seen.map_err(|error| error.as_str().into()));
        let Ok(code) = code else {
            self.report.rest("2", "no code");
            return None;
        };
        let origin = origin(&self.options.redirect_uri);
        let call = app
            .bringing(&token, &code.code, Some(&code.verifier))
            .header("origin", &origin);
        let answer = self.web.send(&call).await.unwrap_or_default();
        let json = answer.json();
        self.note("2.3", rules::is_json(&answer));
        if answer.status != 200 {
            self.report.rest("2", "no token");
            return None;
        }
        self.note("2.4", rules::tokens(&json, &scope));
        self.note("2.5", rules::not_kept(&answer));
        self.note("2.6", rules::shared_with(&origin, &answer));
        let tokens = Tokens {
            json,
            nonce: code.nonce,
        };
        let seen = self.patient(&tokens).await;
        self.note("2.7", seen);
        Some(tokens)
    }

    /// The patient in context can be read.
    pub(super) async fn patient(&self, tokens: &Tokens) -> Seen {
        let path = format!("Patient/{}", tokens.text("patient"));
        let answer = self.read(&path, tokens.text("access_token")).await?;
        match answer.status == 200 && answer.json()["resourceType"] == "Patient" {
            true => Ok(path),
            false => Err(answer.brief().into()),
        }
    }

    pub(super) async fn ehr(&mut self) {
        let Some(url) = self.options.launch_url.clone() else {
            return self.report.rest("3", "no --launch-url");
        };
        let query: BTreeMap<String, String> = match Url::parse(&url) {
            Ok(url) => url.query_pairs().into_owned().collect(),
            Err(_) => BTreeMap::new(),
        };
        let get = |name: &str| query.get(name).map_or("", String::as_str).to_owned();
        let (iss, launch) = (get("iss"), get("launch"));
        let is_here = iss.trim_end_matches('/') == self.base && !launch.is_empty();
        let opened = is_here.then(|| "iss is the base URL".to_owned());
        self.note("3.1", opened.ok_or_else(|| url.as_str().into()));
        let scope = self.options.scope.replace("launch/patient", "launch");
        let options = &self.options;
        let (login, password) = match &options.ehr_login {
            Some(_) => (options.ehr_login.as_ref(), options.ehr_password.as_ref()),
            None => (options.login.as_ref(), options.password.as_ref()),
        };
        let way = way(&self.options, login, password);
        // Who would have to choose a patient chooses nobody.
        let way = match way {
            Way::Robot {
                login, password, ..
            } => Way::Robot {
                login,
                password,
                patient: None,
            },
            way => way,
        };
        let mut user = Person::new(&self.web, way);
        let ask = Ask {
            launch: Some(launch),
            ..Self::asking(&scope)
        };
        let tokens = self.tokens(&mut user, &self.public(), &ask).await;
        let tokens = match tokens {
            Ok(tokens) => tokens,
            Err(error) => {
                self.note("3.2", Err(error.into()));
                return self.report.rest("3", "no token");
            }
        };
        let seen = match rules::tokens(&tokens.json, &scope) {
            Ok(_) => self.patient(&tokens).await,
            wrong => wrong,
        };
        self.note("3.2", seen);
        let banner = &tokens.json["need_patient_banner"];
        let seen = banner.as_bool().map(|needs| needs.to_string());
        let seen = seen.ok_or_else(|| format!("need_patient_banner is {banner}").into());
        self.note("3.3", seen);
        let style = self
            .web
            .send(&Call::get(tokens.text("smart_style_url")))
            .await;
        let seen = style
            .map_err(Wrong::from)
            .and_then(|style| rules::is_json(&style));
        self.note("3.4", seen);
    }

    pub(super) async fn identity(&mut self, tokens: Option<&Tokens>) {
        let Some(tokens) = tokens else {
            return self.report.rest("4", "no token");
        };
        let token = match Jwt::read(tokens.text("id_token")) {
            Ok(token) => token,
            Err(error) => {
                self.note("4.1", Err(error.into()));
                return self.report.rest("4", "no id_token");
            }
        };
        self.note("4.1", Ok(token.header.to_string()));
        let issuer = token.claims["iss"].as_str().unwrap_or_default().to_owned();
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let config = self.public_json(&url).await;
        let seen = config.as_ref().map_err(Clone::clone);
        let seen = seen.and_then(|config| rules::openid(config, &issuer));
        self.note("4.2", seen);
        let jwks = config.unwrap_or_default()["jwks_uri"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let set = self.public_json(&jwks).await;
        let seen = set.and_then(|set| {
            let key = rules::key(&set, &token)?;
            token.check(key)?;
            Ok(format!("kid {}", key["kid"]))
        });
        self.note("4.3", seen);
        let seen = rules::claims(
            &token.claims,
            &issuer,
            &self.options.client,
            &tokens.nonce,
            now(),
        );
        self.note("4.4", seen);
        let user = token.claims["fhirUser"].as_str().unwrap_or_default();
        let call = Call::get(user).bearer(tokens.text("access_token"));
        let answer = self.web.send(&call).await;
        let seen = match answer {
            Ok(answer) if answer.status == 200 => Ok(user.to_owned()),
            Ok(answer) => Err(Wrong::from(answer.brief())),
            Err(error) => Err(error.into()),
        };
        self.note("4.5", seen);
    }

    /// JSON that every page may read.
    async fn public_json(&self, url: &str) -> Result<Value, Wrong> {
        let answer = self
            .web
            .send(&Call::get(url).header("origin", ORIGIN))
            .await?;
        rules::shared_with(ORIGIN, &answer)?;
        match answer.json() {
            json if answer.status == 200 && json.is_object() => Ok(json),
            _ => Err(answer.brief().into()),
        }
    }

    /// Brings a refresh token.
    pub(super) async fn renew(
        &self,
        app: &App,
        token: &str,
        scope: Option<&str>,
    ) -> Result<Answer, String> {
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        fields.extend(scope.map(|scope| ("scope", scope)));
        let endpoint = self.address("token_endpoint");
        self.web.send(&app.form(&endpoint, &fields)).await
    }

    pub(super) async fn refresh(&mut self, tokens: Option<&Tokens>) {
        let first = tokens.map_or("", |tokens| tokens.text("refresh_token"));
        let (Some(tokens), false) = (tokens, first.is_empty()) else {
            return self.report.rest("5", "no refresh token");
        };
        let app = self.public();
        let again = self.renew(&app, first, None).await.unwrap_or_default();
        let seen = renewed(&again, &tokens.json).and_then(|seen| {
            match rules::within(&tokens.json, &again.json()) {
                Ok(_) => Ok(seen),
                Err(_) => Err("less than before".into()),
            }
        });
        self.note("5.1", seen);
        let next = again.json()["refresh_token"]
            .as_str()
            .unwrap_or(first)
            .to_owned();
        let less = "patient/Patient.rs";
        let seen = match rules::scopes(&tokens.json).contains(&less) {
            false => Err(Wrong::Skip(format!("{less} was not granted"))),
            true => {
                let answer = self
                    .renew(&app, &next, Some(less))
                    .await
                    .unwrap_or_default();
                let json = answer.json();
                renewed(&answer, &tokens.json).and_then(|seen| {
                    match rules::scopes(&json) == [less] {
                        true => Ok(seen),
                        false => Err(format!("scope is {}", json["scope"]).into()),
                    }
                })
            }
        };
        self.note("5.2", seen);
        let answer = self.renew(&app, "nonsense", None).await.unwrap_or_default();
        self.note("5.3", rules::refused(&answer, &[400, 401], true));
    }
}

/// A refreshed token: what is required then, and no more scopes than before.
fn renewed(answer: &Answer, before: &Value) -> Seen {
    rules::is_json(answer)?;
    rules::not_kept(answer)?;
    let json = answer.json();
    if !json["expires_in"].is_u64() || !json["access_token"].is_string() {
        return Err("no expires_in or no access_token".into());
    }
    rules::within(&json, before)
}

/// `http://127.0.0.1:3000` of an address there.
fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}
