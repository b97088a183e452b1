//! A black-box checker of SMART App Launch 2.2, after the tests of Inferno's SMART and (g)(10)
//! kits: it knows a base URL, clients and users, and what the standard says.

mod app;
mod discovery;
mod jose;
mod launch;
mod limits;
mod page;
mod person;
mod report;
mod rules;
mod services;
#[cfg(test)]
mod tests;
mod web;

use std::path::PathBuf;

use clap::Parser;
use serde_json::Value;
use url::Url;

use app::App;
use person::{Person, Way};
pub use report::{CHECKS, Line, Report, Seen, Wrong};
use web::Web;

/// Checks what a FHIR server does of SMART App Launch 2.2.
#[derive(Debug, Clone, Parser)]
#[command(name = "smart-check")]
pub struct Options {
    /// FHIR base URL
    #[arg(long)]
    pub base: String,
    /// A public client
    #[arg(long, value_name = "ID")]
    pub client: String,
    /// A client with a secret
    #[arg(long, value_name = "ID")]
    pub confidential: Option<String>,
    /// Its secret
    #[arg(long, env = "SMART_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
    /// The redirect that both have registered
    #[arg(long, default_value = "http://127.0.0.1:3000/callback")]
    pub redirect_uri: String,
    /// What the app asks for
    #[arg(
        long,
        default_value = "launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs"
    )]
    pub scope: String,
    /// Log-in name of a patient; without it, addresses are printed for a browser
    #[arg(long)]
    pub login: Option<String>,
    /// The patient's password
    #[arg(long, env = "SMART_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// The patient that is chosen where there is a choice
    #[arg(long, value_name = "ID")]
    pub patient: Option<String>,
    /// Where the EHR sent the public client's browser: its launch address with iss and launch
    #[arg(long, value_name = "URL")]
    pub launch_url: Option<String>,
    /// Log-in name of who opened the app in the EHR, if it is somebody else
    #[arg(long)]
    pub ehr_login: Option<String>,
    /// The password
    #[arg(long, env = "SMART_EHR_PASSWORD", hide_env_values = true)]
    pub ehr_password: Option<String>,
    /// A backend service
    #[arg(long, value_name = "ID")]
    pub backend: Option<String>,
    /// Its private key: a file with a JWK of P-384
    #[arg(long, value_name = "FILE")]
    pub backend_key: Option<PathBuf>,
    /// What it asks for
    #[arg(long, default_value = "system/Patient.rs")]
    pub backend_scope: String,
    /// The category of a granular scope for Observation: system|code
    #[arg(
        long,
        default_value = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    )]
    pub category: String,
    /// Certificates to trust, in PEM
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Say nothing while at it
    #[arg(long)]
    pub quiet: bool,
}

/// What all checks need.
pub struct Checker {
    options: Options,
    base: String,
    web: Web,
    report: Report,
    /// `smart-configuration`.
    config: Value,
    user: Person,
}

/// Makes all checks for which `options` have enough.
///
/// # Errors
/// The options are wrong.
pub async fn run(options: Options) -> Result<Report, String> {
    let base = options.base.trim_end_matches('/').to_owned();
    Url::parse(&base).map_err(|error| format!("{base}: {error}"))?;
    let web = Web::new(options.ca.as_deref())?;
    let way = way(&options, options.login.as_ref(), options.password.as_ref());
    let user = Person::new(&web, way);
    let report = Report {
        prints: !options.quiet,
        ..Report::default()
    };
    let mut checker = Checker {
        options,
        base,
        web,
        report,
        config: Value::Null,
        user,
    };
    checker.discovery().await;
    if checker.config.is_object() {
        let tokens = checker.standalone().await;
        checker.ehr().await;
        checker.identity(tokens.as_ref()).await;
        checker.refresh(tokens.as_ref()).await;
        checker.introspection().await;
        checker.backend().await;
        checker.brands().await;
        checker.refusals().await;
        checker.scopes().await;
        checker.revocation().await;
    }
    Ok(checker.report)
}

fn way(options: &Options, login: Option<&String>, password: Option<&String>) -> Way {
    match login {
        None => Way::Browser,
        Some(login) => Way::Robot {
            login: login.clone(),
            password: password.cloned().unwrap_or_default(),
            patient: options.patient.clone(),
        },
    }
}

impl Checker {
    /// An address of `smart-configuration`; empty if it is missing.
    fn address(&self, name: &str) -> String {
        self.config[name].as_str().unwrap_or_default().to_owned()
    }

    fn public(&self) -> App {
        App::new(&self.options.client, None, &self.options.redirect_uri)
    }

    fn confidential(&self) -> Option<App> {
        let id = self.options.confidential.as_deref()?;
        let secret = self.options.secret.as_deref()?;
        Some(App::new(id, Some(secret), &self.options.redirect_uri))
    }
}
