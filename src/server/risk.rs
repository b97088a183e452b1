//! What is open in a configuration that is allowed: said at every start, by `rotunda config check`
//! and by `/health`.

use std::path::Path;

use crate::config::Config;

/// Sentences about what whoever runs the server should know.
pub fn risks(config: &Config) -> Vec<String> {
    let http = &config.http;
    let mut found = Vec::new();
    if http.open {
        found.push(
            "there is NO AUTHENTICATION (--open): every program and every user of this computer \
             reads and changes everything; for development only"
                .to_owned(),
        );
    }
    let is_exposed = !http.listen.ip().is_loopback();
    if is_exposed && http.tls.is_none() {
        found.push(format!(
            "between the proxy and {} everything goes in clear: let the network between them be \
             theirs alone, or give this server a certificate too ([http.tls])",
            http.listen
        ));
    }
    if !http.open && http.cors_origins.iter().any(|origin| origin == "*") {
        found.push(
            "http.cors_origins is *: pages of every origin may call with the tokens that they get"
                .to_owned(),
        );
    }
    for listener in &config.hl7.listeners {
        if listener.behind_tunnel {
            found.push(format!(
                "what comes to {} is believed to have come through a tunnel: messages go in clear \
                 from its end to here, and no certificate says who sends them",
                listener.listen
            ));
        }
    }
    if (is_exposed || http.behind_proxy) && !http.open && key_is_beside(config) {
        found.push(
            "the master key is in the folder of the database: whoever copies one has the other; \
             keep it elsewhere with auth.master_key_file"
                .to_owned(),
        );
    }
    found
}

fn key_is_beside(config: &Config) -> bool {
    let Ok(url) = config.store_url() else {
        return false;
    };
    let Some(database) = url.strip_prefix("sqlite:") else {
        return false;
    };
    config.auth.master_key(&url).parent() == Path::new(database).parent()
}
