//! 1: what a client finds before it knows anything. 8: brands.

use super::{
    Checker,
    report::{Seen, Wrong},
    rules,
    web::Call,
};

/// A page of another origin.
pub const ORIGIN: &str = "https://app.example";

impl Checker {
    pub(super) async fn discovery(&mut self) {
        let url = format!("{}/.well-known/smart-configuration", self.base);
        let call = Call::get(&url).header("accept", "application/fhir+xml");
        let answer = self.web.send(&call.header("origin", ORIGIN)).await;
        let json = answer.as_ref().map_err(|error| Wrong::from(error.as_str()));
        let seen = json.and_then(rules::is_json);
        let answer = answer.unwrap_or_default();
        self.note("1.1", seen);
        self.config = answer.json();
        let config = &self.config;
        let (fields, able) = (rules::configuration(config), rules::capabilities(config));
        self.note("1.2", fields);
        self.note("1.3", able);
        let shared = rules::shared_with(ORIGIN, &answer);
        self.note("1.4", shared);
        let metadata = Call::get(&format!("{}/metadata", self.base)).header("origin", ORIGIN);
        let seen = self.metadata(&metadata).await;
        self.note("1.5", seen);
        let seen = self.without_token().await;
        self.note("1.6", seen);
    }

    async fn metadata(&self, call: &Call) -> Seen {
        let answer = self.web.send(call).await?;
        match answer.json()["resourceType"] == "CapabilityStatement" {
            true => rules::shared_with(ORIGIN, &answer),
            false => Err(answer.brief().into()),
        }
    }

    async fn without_token(&self) -> Seen {
        let url = format!("{}/Patient", self.base);
        let none = self.web.send(&Call::get(&url)).await?;
        rules::refused(&none, &[401], false)?;
        rules::refused(&self.read("Patient", "nonsense").await?, &[401], false)
    }

    pub(super) async fn brands(&mut self) {
        let url = self.address("user_access_brand_bundle");
        if url.is_empty() {
            return self.report.rest("8", "no user_access_brand_bundle");
        }
        let answer = self
            .web
            .send(&Call::get(&url).header("origin", ORIGIN))
            .await;
        let answer = answer.unwrap_or_default();
        let public = match (answer.status, answer.header("etag")) {
            (200, Some(_)) => rules::shared_with("*", &answer),
            (200, None) => Err("no ETag".into()),
            _ => Err(answer.brief().into()),
        };
        self.note("8.1", public);
        let addresses = rules::brands(&answer.json());
        let seen = addresses.clone().map(|all| all.join(" "));
        self.note("8.2", seen);
        let mut seen = Ok("all".to_owned());
        for address in addresses.unwrap_or_default() {
            let call = Call::get(&format!("{}/metadata", address.trim_end_matches('/')));
            if let Err(wrong) = self.metadata(&call.header("origin", ORIGIN)).await {
                seen = Err(wrong);
            }
        }
        self.note("8.3", seen);
    }

    pub(super) fn note(&mut self, number: &'static str, seen: Seen) {
        self.report.note(number, seen);
    }
}
