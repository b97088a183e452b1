//! The text of `Reference.reference`.

use super::syntax::is_id;
use crate::model::ResourceType;

/// What the text of a reference points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<'t> {
    /// `Type/id` or `Type/id/_history/version`: a resource of this server.
    Local {
        /// The type.
        kind: ResourceType,
        /// The logical id.
        id: &'t str,
        /// The version, if the reference names one.
        version: Option<&'t str>,
    },
    /// `#id`: a contained resource; `#` alone is the container.
    Contained(&'t str),
    /// `Type?query`, which only stands in Bundles and is resolved there.
    Search {
        /// The type.
        kind: ResourceType,
        /// What stands after the question mark.
        query: &'t str,
    },
    /// `urn:uuid:…` or `urn:oid:…`.
    Urn(&'t str),
    /// Any other absolute URL.
    Absolute {
        /// The whole URL.
        url: &'t str,
        /// The type, if the URL ends like a FHIR one, in `Type/id[/_history/version]`.
        kind: Option<ResourceType>,
    },
}

impl<'t> Reference<'t> {
    /// Reads the text of a reference; `None` if it is none (like `Patiant/1` or `abc`).
    pub fn parse(text: &'t str) -> Option<Self> {
        if let Some(id) = text.strip_prefix('#') {
            return Some(Self::Contained(id));
        }
        if text.starts_with("urn:uuid:") || text.starts_with("urn:oid:") {
            return Some(Self::Urn(text));
        }
        if has_scheme(text) {
            return Some(Self::Absolute {
                url: text,
                kind: tail_kind(text),
            });
        }
        if let Some((name, query)) = text.split_once('?') {
            let kind = ResourceType::from_name(name)?;
            return Some(Self::Search { kind, query });
        }
        local(text)
    }

    /// As [`Reference::parse`]; an absolute URL under `base_url` (the server's own, without a
    /// slash at the end) becomes a local reference.
    pub fn parse_within(text: &'t str, base_url: &str) -> Option<Self> {
        let parsed = Self::parse(text)?;
        if let Self::Absolute { url, kind: Some(_) } = parsed
            && !base_url.is_empty()
            && let Some(rest) = url.strip_prefix(base_url)
            && let Some(path) = rest.strip_prefix('/')
            && let Some(own) = local(path)
        {
            return Some(own);
        }
        Some(parsed)
    }

    /// The type that the reference points to, as far as its text tells.
    pub fn kind(&self) -> Option<ResourceType> {
        match self {
            Self::Local { kind, .. } | Self::Search { kind, .. } => Some(*kind),
            Self::Absolute { kind, .. } => *kind,
            Self::Contained(_) | Self::Urn(_) => None,
        }
    }
}

fn local(text: &str) -> Option<Reference<'_>> {
    let (name, rest) = text.split_once('/')?;
    let kind = ResourceType::from_name(name)?;
    let (id, version) = match rest.split_once("/_history/") {
        Some((id, version)) => (id, Some(version)),
        None => (rest, None),
    };
    (is_id(id) && version.is_none_or(is_id)).then_some(Reference::Local { kind, id, version })
}

/// True if the text begins with a URI scheme (RFC 3986) and a colon.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// The resource type in the last `Type/id` of a URL's path.
fn tail_kind(url: &str) -> Option<ResourceType> {
    let url = url.split_once("/_history/").map_or(url, |(head, _)| head);
    let (rest, id) = url.rsplit_once('/')?;
    let (_, name) = rest.rsplit_once('/')?;
    if !is_id(id) {
        return None;
    }
    ResourceType::from_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> ResourceType {
        ResourceType::from_name(name).unwrap()
    }

    #[test]
    fn every_form_of_reference_is_told_apart() {
        let patient = kind("Patient");
        let local = |id, version| Reference::Local {
            kind: patient,
            id,
            version,
        };
        for (text, expected) in [
            ("Patient/1", Some(local("1", None))),
            ("Patient/a-b.C/_history/3", Some(local("a-b.C", Some("3")))),
            ("#p1", Some(Reference::Contained("p1"))),
            ("#", Some(Reference::Contained(""))),
            ("urn:oid:1.2.3", Some(Reference::Urn("urn:oid:1.2.3"))),
            (
                "Patient?identifier=s|1",
                Some(Reference::Search {
                    kind: patient,
                    query: "identifier=s|1",
                }),
            ),
            (
                "https://other.org/fhir/Patient/1/_history/2",
                Some(Reference::Absolute {
                    url: "https://other.org/fhir/Patient/1/_history/2",
                    kind: Some(patient),
                }),
            ),
            (
                "mailto:a@b.org",
                Some(Reference::Absolute {
                    url: "mailto:a@b.org",
                    kind: None,
                }),
            ),
            ("Patiant/1", None),
            ("Patient/", None),
            ("Patient/a b", None),
            ("Patient/1/name", None),
            ("", None),
            ("abc", None),
        ] {
            assert_eq!(Reference::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn urls_of_this_server_are_local() {
        let base = "http://127.0.0.1:8080/fhir";
        let own = Reference::parse_within("http://127.0.0.1:8080/fhir/Patient/1", base);
        assert_eq!(own, Reference::parse("Patient/1"));
        for text in [
            "http://127.0.0.1:8080/fhir2/Patient/1",
            "http://127.0.0.1:8080/fhir/x/Patient/1",
        ] {
            let other = Reference::parse_within(text, base);
            assert!(matches!(other, Some(Reference::Absolute { .. })), "{text}");
        }
    }
}
