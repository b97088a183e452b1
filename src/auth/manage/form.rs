//! The forms of what administrators write: addresses, scopes, references, names.

use resources::{index::Registry, primitive::syntax::is_id};

use crate::auth::{
    error::Problem,
    role,
    scope::{ResourceScope, Scope},
};

/// Longest URL of a registration.
const LONGEST_URL: usize = 2_000;
/// Longest name.
const LONGEST_NAME: usize = 200;

/// Collects what does not fit.
#[derive(Debug, Default)]
pub struct Form(pub Vec<Problem>);

impl Form {
    /// Notes what is wrong with an element, if anything.
    pub fn check(&mut self, element: impl Into<String>, wrong: Option<impl Into<String>>) {
        if let Some(reason) = wrong {
            self.0.push(Problem::new(element, reason));
        }
    }

    /// Checks each item of a list.
    pub fn each<T, R: Into<String>>(
        &mut self,
        element: &str,
        items: &[T],
        wrong: impl Fn(&T) -> Option<R>,
    ) {
        for (at, item) in items.iter().enumerate() {
            self.check(format!("{element}[{at}]"), wrong(item));
        }
    }

    /// Checks the scopes of a list.
    pub fn scopes(&mut self, element: &str, scopes: &[String]) {
        self.each(element, scopes, |text| wrong_scope(text));
    }
}

/// A name for people.
pub fn wrong_name(text: &str) -> Option<&'static str> {
    let is_fine = text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control);
    (!is_fine).then_some("a name has at most 200 characters, and no control characters")
}

/// A name in addresses: of a role, or of a client that an administrator named.
pub fn wrong_key(text: &str) -> Option<&'static str> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_fine = (1..=64).contains(&text.len()) && text.bytes().all(is_part);
    let dots = text.starts_with('.');
    (!is_fine || dots).then_some("must be 1 to 64 letters, digits, '-', '_' or '.'")
}

/// An address for mail.
pub fn wrong_email(text: &str) -> Option<&'static str> {
    let parts = text.rsplit_once('@');
    let is_fine = parts.is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
        && text.len() <= 254
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || ",;<>\"".contains(c));
    (!is_fine).then_some("must be one address as in name@example.org")
}

/// A scope that an administrator writes; also the names in its constraints must be search
/// parameters, for nothing else could be looked for.
pub fn wrong_scope(text: &str) -> Option<String> {
    match Scope::parse(text) {
        None => Some(format!(
            "'{text}' is no scope; write one as in patient/Observation.rs, \
             user/*.cruds, system/Observation.rs?category=laboratory or offline_access"
        )),
        Some(Scope::Resource(resource)) => wrong_constraint(&resource),
        Some(_) => None,
    }
}

/// What a role says of the patients whom it reaches.
pub fn wrong_order(text: &str) -> Option<String> {
    role::order(text).is_none().then(|| {
        format!(
            "'{text}' is no order; write a type that is about a patient, and search parameters \
             without modifiers, as in ServiceRequest?category=laboratory&status=active"
        )
    })
}

fn wrong_constraint(scope: &ResourceScope) -> Option<String> {
    let kind = scope.kind?;
    let registry = Registry::builtin();
    let unknown = |(name, _): &&(String, String)| registry.param(kind, name).is_none();
    let (name, _) = scope.constraints.iter().find(unknown)?;
    Some(format!("{name} is no search parameter of {}", kind.name()))
}

/// Where a client's users come back to: RFC 8252 and RFC 9700.
pub fn wrong_redirect(uri: &str) -> Option<&'static str> {
    if let Some(wrong) = wrong_letters(uri) {
        return Some(wrong);
    }
    let Some((scheme, rest)) = uri.split_once(':') else {
        return Some("must be a whole URL");
    };
    match scheme {
        "https" | "http" => wrong_web(uri),
        _ if !is_private_use(scheme) => Some(
            "must begin with https://, with http:// on a loopback address, or with a scheme of \
             the app's own that has a dot, as in org.example.app:/callback",
        ),
        _ if rest.is_empty() => Some("must have something after the scheme"),
        _ => None,
    }
}

/// A page or key set of a client: https, or http on this computer.
pub fn wrong_web(url: &str) -> Option<&'static str> {
    if let Some(wrong) = wrong_letters(url) {
        return Some(wrong);
    }
    let (is_https, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Some("must begin with https://"),
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("must have no user name before the host");
    }
    let host = host_of(authority);
    if host.is_empty() || !host.bytes().all(is_host) || host.starts_with('.') {
        return Some("must name a host");
    }
    let is_loopback = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
    if !is_https && !is_loopback {
        return Some("must be https; http is for loopback addresses (127.0.0.1, [::1]) only");
    }
    None
}

/// A key set's address.
pub fn wrong_jwks_uri(url: &str) -> Option<&'static str> {
    match url.starts_with("https://") {
        false => Some("must begin with https://"),
        true => wrong_web(url),
    }
}

/// Scheme, host and perhaps port, as browsers send them.
pub fn wrong_origin(origin: &str) -> Option<&'static str> {
    let rest = origin.split_once("://").map_or("", |(_, rest)| rest);
    match rest.contains(['/', '?']) {
        true => Some("must be scheme, host and port alone, as in https://app.example.org"),
        false => wrong_web(origin),
    }
}

fn wrong_letters(uri: &str) -> Option<&'static str> {
    if uri.len() > LONGEST_URL {
        return Some("must have at most 2000 characters");
    }
    if uri.contains('#') {
        return Some("must have no fragment (#)");
    }
    if uri.contains('*') {
        return Some("must have no '*': it is compared letter by letter");
    }
    let is_fine = uri
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    (!is_fine).then_some("must have only characters of URLs; escape others with %")
}

fn host_of(authority: &str) -> &str {
    if authority.starts_with('[') {
        let end = authority.find(']').map_or(0, |at| at + 1);
        return &authority[..end];
    }
    authority.split(':').next().unwrap_or_default()
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte)
}

/// RFC 8252, section 7.1: a reversed domain name.
fn is_private_use(scheme: &str) -> bool {
    scheme.contains('.')
        && scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-+".contains(&byte)
        })
}

/// A user's own resource (SMART App Launch 2.2.0, "Scopes for requesting identity data").
pub fn wrong_fhir_user(reference: &str) -> Option<&'static str> {
    const KINDS: [&str; 5] = [
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "RelatedPerson",
        "Person",
    ];
    let parts = reference.split_once('/');
    let is_fine = parts.is_some_and(|(kind, id)| KINDS.contains(&kind) && is_id(id));
    (!is_fine).then_some(
        "must be type and id, as in Practitioner/1; the type is Practitioner, PractitionerRole, \
         Patient, RelatedPerson or Person",
    )
}

/// A Patient's logical id.
pub fn wrong_patient(id: &str) -> Option<&'static str> {
    (!is_id(id)).then_some("must be a Patient's logical id, without Patient/ before it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_go_to_https_to_this_computer_or_to_an_app_of_this_computer() {
        for (uri, fits) in [
            ("https://app.example.org/callback", true),
            ("https://app.example.org/callback?tenant=1", true),
            ("https://app.example.org:8443/", true),
            ("http://127.0.0.1:3000/callback", true),
            ("http://[::1]:3000/callback", true),
            ("http://localhost/callback", true),
            ("org.example.app:/callback", true),
            ("org.example.app://callback", true),
            ("http://app.example.org/callback", false),
            ("http://127.0.0.1.example.org/", false),
            ("http://localhost.example.org/", false),
            ("http://localhost@example.org/", false),
            ("https://user:secret@app.example.org/", false),
            ("https://app.example.org/#fragment", false),
            ("https://*.example.org/callback", false),
            ("https://app.example.org/*", false),
            ("*", false),
            ("https://", false),
            ("https:///path", false),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("file:///etc/passwd", false),
            ("app:/callback", false),
            ("JavaScript.x:alert(1)", false),
            ("/callback", false),
            ("callback", false),
            ("https://app.example.org/a b", false),
            ("https://app.example.org\\@evil.example", false),
            ("", false),
        ] {
            let wrong = wrong_redirect(uri);
            assert_eq!(wrong.is_none(), fits, "{uri}: {wrong:?}");
        }
    }

    #[test]
    fn other_addresses_have_forms_of_their_own() {
        type Check = fn(&str) -> Option<&'static str>;
        let cases: &[(Check, &str, bool)] = &[
            (wrong_jwks_uri, "https://app.example.org/jwks.json", true),
            (wrong_jwks_uri, "http://127.0.0.1/jwks.json", false),
            (wrong_origin, "https://app.example.org", true),
            (wrong_origin, "http://127.0.0.1:3000", true),
            (wrong_origin, "https://app.example.org/", false),
            (wrong_origin, "null", false),
            (wrong_origin, "*", false),
            (wrong_fhir_user, "Practitioner/1", true),
            (wrong_fhir_user, "Organization/1", false),
            (wrong_fhir_user, "Practitioner/", false),
            (wrong_fhir_user, "https://x/Practitioner/1", false),
            (wrong_patient, "1", true),
            (wrong_patient, "Patient/1", false),
            (wrong_email, "a@example.org", true),
            (wrong_email, "a@b", false),
            (wrong_email, "a@example.org, b@example.org", false),
            (wrong_key, "my-app", true),
            (wrong_key, "..", false),
            (wrong_key, "a/b", false),
            (wrong_key, "", false),
        ];
        for (wrong, text, fits) in cases {
            assert_eq!(wrong(text).is_none(), *fits, "{text}: {:?}", wrong(text));
        }
    }

    #[test]
    fn a_scope_names_parameters_that_there_are() {
        for (scope, fits) in [
            ("user/Observation.rs?category=laboratory", true),
            ("user/Observation.rs?colour=red", false),
            ("user/Observation.sr", false),
            ("rotunda/admin", true),
            ("openid", true),
            ("everything", false),
        ] {
            let wrong = wrong_scope(scope);
            assert_eq!(wrong.is_none(), fits, "{scope}: {wrong:?}");
        }
    }
}
