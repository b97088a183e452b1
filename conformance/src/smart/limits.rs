//! 9: what must not work. 10: what scopes leave. 11: what a revocation ends.

use serde_json::Value;

use super::{
    Checker,
    app::{App, Ask, Tokens},
    jose::challenge,
    person::DEAD_END,
    report::{Seen, Wrong},
    rules,
};

const CONTEXT: &str = "launch/patient";

impl Checker {
    pub(super) async fn refusals(&mut self) {
        let (app, scope) = (self.public(), self.options.scope.clone());
        let wrong = Ask {
            aud: Some("https://other.example/fhir".to_owned()),
            ..Self::asking(&scope)
        };
        let mut user = self.take_user();
        let back = self.authorize(&mut user, &app, &wrong).await;
        self.user = user;
        let seen = match back {
            Ok((back, _)) if back.contains_key("code") => Err("there is a code".into()),
            Ok((back, _)) => Ok(format!(
                "error {}",
                back.get("error").map_or("", String::as_str)
            )),
            // A page that says what is wrong.
            Err(page) if page.contains(DEAD_END) => Ok(page),
            Err(other) => Err(Wrong::Skip(other)),
        };
        self.note("9.1", seen);
        let endpoint = self.address("token_endpoint");
        let call = app.bringing(&endpoint, "nonsense", Some("nonsense"));
        let answer = self.web.send(&call).await.unwrap_or_default();
        self.note("9.2", rules::refused(&answer, &[400, 401], true));
        let stranger = App::new("no-such-client", None, &self.options.redirect_uri);
        let seen = self.misused("9.3", Some(&stranger)).await;
        self.note("9.3", seen);
        for check in ["9.4", "9.5", "9.6", "9.7"] {
            let seen = self.misused(check, None).await;
            self.note(check, seen);
        }
    }

    /// A code that is brought as it must not be.
    async fn misused(&mut self, check: &str, by: Option<&App>) -> Seen {
        let (app, scope) = (self.public(), self.options.scope.clone());
        let mut user = self.take_user();
        let code = self.code(&mut user, &app, &Self::asking(&scope)).await;
        self.user = user;
        let code = code.map_err(Wrong::Skip)?;
        let (other, challenge) = ("x".repeat(43), challenge(&code.verifier));
        let verifier = match check {
            "9.4" => None,
            "9.5" => Some(""),
            "9.6" => Some(other.as_str()),
            "9.7" => Some(challenge.as_str()),
            _ => Some(code.verifier.as_str()),
        };
        let endpoint = self.address("token_endpoint");
        let call = by.unwrap_or(&app).bringing(&endpoint, &code.code, verifier);
        rules::refused(&self.web.send(&call).await?, &[400, 401], true)
    }

    pub(super) async fn scopes(&mut self) {
        let seen = self.limited().await;
        self.note("10.1", seen);
        let app = self.public();
        let old = format!("{CONTEXT} patient/Patient.read patient/Observation.read");
        let tokens = self.granted(&app, &Self::asking(&old)).await;
        let seen = match &tokens {
            Err(error) => Err(error.as_str().into()),
            Ok(tokens) => match old
                .split(' ')
                .find(|word| !rules::scopes(&tokens.json).contains(word))
            {
                Some(missing) if missing != CONTEXT => {
                    Err(format!("{missing} was not granted").into())
                }
                _ => self.patient(tokens).await,
            },
        };
        self.note("10.2", seen);
        let seen = self.granular().await;
        self.note("10.3", seen);
        let ask = Ask {
            by_post: true,
            ..Self::asking(&format!("{CONTEXT} patient/Patient.rs"))
        };
        let tokens = self.granted(&app, &ask).await;
        let seen = match &tokens {
            Err(error) => Err(error.as_str().into()),
            Ok(tokens) => self.patient(tokens).await,
        };
        self.note("10.4", seen);
    }

    async fn limited(&mut self) -> Seen {
        let scope =
            format!("{CONTEXT} patient/Patient.rs patient/Observation.rs patient/Condition.rs");
        self.user.unticked = Some("Condition".to_owned());
        self.user.has_unticked = false;
        let tokens = self.granted(&self.public(), &Self::asking(&scope)).await;
        self.user.unticked = None;
        let tokens = tokens?;
        let given = rules::scopes(&tokens.json);
        if given.iter().any(|scope| scope.contains("Condition")) {
            return Err(match self.user.has_unticked {
                true => "Condition was left out, and granted".into(),
                false => Wrong::Skip("nobody left Condition out".to_owned()),
            });
        }
        self.patient(&tokens).await?;
        let answer = self.search("Condition", &tokens).await?;
        rules::refused(&answer, &[401, 403], false)
    }

    async fn granular(&mut self) -> Seen {
        let category = self.options.category.clone();
        let (wide, granular) = (
            "patient/Observation.rs".to_owned(),
            format!("patient/Observation.rs?category={category}"),
        );
        let mut found = Vec::new();
        for scope in [granular, wide] {
            let ask = Self::asking(&format!("{CONTEXT} patient/Patient.rs {scope}"));
            let tokens = self.granted(&self.public(), &ask).await?;
            if !rules::scopes(&tokens.json).contains(&scope.as_str()) {
                return Err(format!("granted: {}", tokens.json["scope"]).into());
            }
            let answer = self.search("Observation", &tokens).await?;
            match answer.status {
                200 => found.push(answer.json()),
                _ => return Err(answer.brief().into()),
            }
        }
        of_category(&found[0], &found[1], &category)
    }

    async fn search(&self, kind: &str, tokens: &Tokens) -> Result<super::web::Answer, String> {
        let path = format!("{kind}?_count=200&patient={}", tokens.text("patient"));
        self.read(&path, tokens.text("access_token")).await
    }

    pub(super) async fn revocation(&mut self) {
        let endpoint = self.address("revocation_endpoint");
        if endpoint.is_empty() {
            return self.report.rest("11", "no revocation_endpoint");
        }
        let (app, scope) = (self.public(), self.options.scope.clone());
        let tokens = match self.granted(&app, &Self::asking(&scope)).await {
            Ok(tokens) => tokens,
            Err(error) => return self.report.rest("11", &error),
        };
        let mut statuses = Vec::new();
        for name in ["access_token", "refresh_token"] {
            let call = app.form(&endpoint, &[("token", tokens.text(name))]);
            statuses.push(self.web.send(&call).await.unwrap_or_default().status);
        }
        let path = format!("Patient/{}", tokens.text("patient"));
        let read = self.read(&path, tokens.text("access_token")).await;
        let seen = match read {
            _ if statuses.iter().any(|status| *status != 200) => {
                Err(format!("the revocations are answered {statuses:?}").into())
            }
            Ok(answer) => rules::refused(&answer, &[401, 403, 404], false),
            Err(error) => Err(error.into()),
        };
        self.note("11.1", seen);
        let answer = self.renew(&app, tokens.text("refresh_token"), None).await;
        let answer = answer.unwrap_or_default();
        self.note("11.2", rules::refused(&answer, &[400, 401], true));
    }
}

/// Of what is found without a constraint, with it that of the category is found, `system|code`,
/// and nothing else.
pub fn of_category(narrow: &Value, wide: &Value, category: &str) -> Seen {
    let is_of = |resource: &Value| {
        let concepts = resource["category"].as_array().into_iter().flatten();
        let mut codings =
            concepts.flat_map(|concept| concept["coding"].as_array().into_iter().flatten());
        codings.any(|coding| {
            let part = |name: &str| coding[name].as_str().unwrap_or_default();
            format!("{}|{}", part("system"), part("code")) == category
        })
    };
    let found = |bundle: &Value| -> (Vec<String>, Vec<String>) {
        let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
        let all = entries.iter().map(|entry| &entry["resource"]);
        let all = all.filter(|resource| resource["resourceType"] == "Observation");
        let (of, others): (Vec<&Value>, Vec<&Value>) = all.partition(|resource| is_of(resource));
        let ids = |all: Vec<&Value>| all.iter().map(|one| one["id"].to_string()).collect();
        (ids(of), ids(others))
    };
    let ((of, others), (all_of, all_others)) = (found(narrow), found(wide));
    match all_of.iter().find(|id| !of.contains(id)) {
        _ if !others.is_empty() => Err(format!("{others:?} are of another category").into()),
        Some(lost) => Err(format!("{lost} is of the category, and not found").into()),
        None if all_others.is_empty() => Err(Wrong::Skip("there are no others".to_owned())),
        None => Ok(format!(
            "{} of {category}, and none of {} others",
            of.len(),
            all_others.len()
        )),
    }
}
