//! What `rotunda serve` says at its start, beside where it is. Passwords and secrets are written
//! here, once, to standard output; never to the log.

use serde_json::json;

use crate::{
    auth::manage::First,
    config::{Config, LogFormat},
    server::{self, Cast, Server},
};

/// What is open in the configuration, at every start.
pub fn warn(config: &Config) {
    for risk in server::risks(config) {
        match config.log.format {
            LogFormat::Text => eprintln!("WARNING: {risk}"),
            LogFormat::Json => tracing::warn!("{risk}"),
        }
    }
}

/// Where people log in, and how scripts get a token.
pub fn identity(server: &Server, store: &str, format: LogFormat) {
    let (Some(auth), LogFormat::Text) = (server.auth(), format) else {
        return;
    };
    println!("log in: {}/auth/login", auth.settings().issuer);
    let store = match store {
        "sqlite:rotunda.db" => String::new(),
        other => format!(" --store {other}"),
    };
    println!("token for scripts: rotunda token --role administrator --ttl 1h{store}");
}

/// Where HL7 messages are received.
pub fn mllp(server: &Server, format: LogFormat) {
    if format == LogFormat::Text {
        for address in server.mllp_addresses() {
            println!("HL7 v2 messages (MLLP): {address}");
        }
    }
}

/// The first administrator.
pub fn first(First { login, password }: &First, format: LogFormat) {
    match format {
        LogFormat::Json => {
            let line = json!({ "first_start": { "login": login, "password": password } });
            println!("{line}");
        }
        LogFormat::Text => println!(
            "first start: log in as {login} with the one-time password {password}\n  (shown this \
             once; if it is lost: rotunda user reset-password {login})"
        ),
    }
}

/// The demo's users and clients.
pub fn cast(server: &Server, cast: &Cast, format: LogFormat) {
    if format == LogFormat::Json {
        println!("{}", json!({ "demo": cast }));
        return;
    }
    let base = server.base_url();
    println!(
        "demo users, each named after its role, all with the password {}",
        cast.password
    );
    println!("(new at every start with --demo, as are the secrets below):");
    for (login, reference) in &cast.users {
        println!("  {login:<16} {reference}");
    }
    println!("demo clients, with http://127.0.0.1:3000/callback to come back to:");
    println!("  demo-app           public");
    println!("  demo-confidential  secret {}", cast.secret);
    println!("  demo-backend       private key {}", cast.private_key);
    println!("API key of a demo interface engine: {}", cast.api_key);
    println!("try, as the doctor:");
    println!(
        "  curl -H 'Authorization: Bearer {}' '{base}/Patient?_count=3&_pretty=true'",
        cast.token
    );
}
