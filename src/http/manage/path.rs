//! The addresses of the management.

use axum::http::StatusCode;

use super::super::failure::Failure;

/// What a path names: `/admin/<kind>[/<id>[/<action>[/<part>]]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'p> {
    /// `users`, `clients` …
    pub kind: &'p str,
    /// One of them.
    pub id: Option<&'p str>,
    /// What is to be done with it.
    pub action: Option<&'p str>,
    /// A part of what the action is about.
    pub part: Option<&'p str>,
}

impl<'p> Place<'p> {
    /// Reads a path.
    ///
    /// # Errors
    /// 404
    pub fn read(path: &'p str) -> Result<Self, Failure> {
        let rest = path.strip_prefix("/admin/").ok_or_else(nothing)?;
        let mut parts = rest.split('/');
        let place = Self {
            kind: parts.next().ok_or_else(nothing)?,
            id: parts.next(),
            action: parts.next(),
            part: parts.next(),
        };
        let named = [place.id, place.action, place.part];
        let is_plain = |text: &str| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !text.is_empty() && text.bytes().all(letters)
        };
        let fits = parts.next().is_none() && named.into_iter().flatten().all(is_plain);
        fits.then_some(place).ok_or_else(nothing)
    }
}

/// There is nothing at an address.
pub fn nothing() -> Failure {
    Failure::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "There is nothing to manage at this address. There are /admin/users, /admin/clients, \
         /admin/keys, /admin/roles, /admin/tokens, /admin/sessions, /admin/messages, \
         /admin/deliveries and /admin/queues.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_kind_one_of_it_and_what_to_do() {
        for (path, expected) in [
            ("/admin/users", Some(("users", None, None, None))),
            ("/admin/users/1", Some(("users", Some("1"), None, None))),
            (
                "/admin/clients/my-app/secrets/ab12",
                Some(("clients", Some("my-app"), Some("secrets"), Some("ab12"))),
            ),
            ("/admin", None),
            ("/admin/users/", None),
            ("/admin/users//x", None),
            ("/admin/users/%2e%2e", None),
            ("/admin/users/1/2/3/4", None),
        ] {
            let found = Place::read(path).ok();
            let found = found.map(|place| (place.kind, place.id, place.action, place.part));
            assert_eq!(found, expected, "{path}");
        }
    }
}
