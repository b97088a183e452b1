//! 6: what a token means. 7: services without a user.

use std::fs;

use serde_json::json;

use super::{
    Checker,
    jose::{Signer, random},
    report::{Seen, Wrong},
    rules,
    web::{Answer, Call},
};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Checker {
    pub(super) async fn introspection(&mut self) {
        let endpoint = self.address("introspection_endpoint");
        let Some(app) = self.confidential().filter(|_| !endpoint.is_empty()) else {
            return self
                .report
                .rest("6", "no endpoint, or no client with a secret");
        };
        let scope = self.options.scope.clone();
        let tokens = self.granted(&app, &Self::asking(&scope)).await;
        let seen = match &tokens {
            Err(error) => Err(error.as_str().into()),
            Ok(tokens) => {
                let call = app.form(&endpoint, &[("token", tokens.text("access_token"))]);
                let answer = self.web.send(&call).await.unwrap_or_default();
                let means = |_| rules::introspection(&answer.json(), &tokens.json, &app.id);
                rules::is_json(&answer).and_then(means)
            }
        };
        self.note("6.1", seen);
        let call = app.form(&endpoint, &[("token", "nonsense")]);
        let answer = self.web.send(&call).await.unwrap_or_default();
        let seen = rules::is_json(&answer).and_then(|_| rules::inactive(&answer.json()));
        self.note("6.2", seen);
    }

    pub(super) async fn backend(&mut self) {
        let (Some(client), Some(file)) = (self.options.backend.clone(), &self.options.backend_key)
        else {
            return self.report.rest("7", "no --backend with --backend-key");
        };
        let key = fs::read_to_string(file).map_err(|error| error.to_string());
        let key =
            key.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
        let endpoint = self.address("token_endpoint");
        let made = key.and_then(|key| {
            let signer = Signer::read(&key)?;
            Ok([
                signer.assertion(&client, &endpoint)?,
                signer.assertion(&client, &endpoint)?,
            ])
        });
        let [good, other] = match made {
            Ok(made) => made,
            Err(error) => return self.report.rest("7", &error),
        };
        self.note("7.1", rules::secured(&[&endpoint]));
        let bad = self.asserting("no_such_grant", ASSERTION, &other).await;
        self.note("7.2", rules::refused(&bad, &[400], true));
        let bad = self.asserting("client_credentials", "urn:x", &other).await;
        self.note("7.3", rules::refused(&bad, &[400, 401], true));
        let forged = forged(&other);
        let bad = self
            .asserting("client_credentials", ASSERTION, &forged)
            .await;
        self.note("7.4", rules::refused(&bad, &[400, 401], true));
        let answer = self.asserting("client_credentials", ASSERTION, &good).await;
        self.note("7.5", service(&answer));
        let again = self.asserting("client_credentials", ASSERTION, &good).await;
        let seen = match answer.status {
            200 => rules::refused(&again, &[400, 401], true),
            _ => Err(Wrong::Skip("it was not taken once".to_owned())),
        };
        self.note("7.6", seen);
    }

    async fn asserting(&self, grant: &str, kind: &str, assertion: &str) -> Answer {
        let fields = [
            ("grant_type", grant),
            ("scope", self.options.backend_scope.as_str()),
            ("client_assertion_type", kind),
            ("client_assertion", assertion),
        ];
        let call = Call::form(&self.address("token_endpoint"), &fields);
        self.web.send(&call).await.unwrap_or_default()
    }
}

/// What a service gets: a token for a time, and nothing to renew it with.
pub fn service(answer: &Answer) -> Seen {
    rules::is_json(answer)?;
    rules::not_kept(answer)?;
    let json = answer.json();
    rules::tokens(&json, "")?;
    match (json["expires_in"].as_f64(), &json["refresh_token"]) {
        (Some(seconds), none) if none.is_null() => Ok(format!("for {seconds} seconds")),
        _ => Err(
            json!({"expires_in": json["expires_in"], "refresh_token": "?"})
                .to_string()
                .into(),
        ),
    }
}

/// The assertion with another signature.
fn forged(assertion: &str) -> String {
    let signed = assertion.rsplit_once('.').map_or("", |(signed, _)| signed);
    let random = || random().unwrap_or_default();
    // 96 bytes, as those of ES384.
    let other: String = [random(), random(), random()].concat();
    format!("{signed}.{}", &other[..other.len().min(128)])
}
