//! References between the entries of a transaction: found in the entries' text, resolved to
//! what the entries become, and written back.

use std::{collections::HashMap, ops::Range};

use resources::{Value, doc::write_json_string, model::ResourceType};

use crate::engine::error::{Error, ErrorKind};

/// What the `fullUrl`s of a transaction stand for after it: `Type/id`.
#[derive(Debug, Default)]
pub struct Identities {
    by_url: HashMap<String, String>,
}

/// A conditional reference: `Type?query`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Conditional {
    /// The type that is referred to.
    pub kind: ResourceType,
    /// The search, as text.
    pub query: String,
}

/// Answers conditional references.
pub type Answers = HashMap<Conditional, String>;

impl Identities {
    /// Room for `entries`.
    pub fn with_capacity(entries: usize) -> Self {
        Self {
            by_url: HashMap::with_capacity(entries),
        }
    }

    /// Says that `full_url` becomes `identity` (`Type/id`). False if it stood for another one.
    pub fn insert(&mut self, full_url: &str, identity: String) -> bool {
        match self.by_url.get(full_url) {
            Some(before) => *before == identity,
            None => {
                self.by_url.insert(full_url.to_owned(), identity);
                true
            }
        }
    }

    fn get(&self, url: &str) -> Option<&str> {
        self.by_url.get(url).map(String::as_str)
    }
}

/// True if `text` is a URN that names an entry of a Bundle.
pub fn is_urn(text: &str) -> bool {
    text.starts_with("urn:uuid:") || text.starts_with("urn:oid:")
}

/// The conditional reference that `text` is, if it is one.
pub fn conditional(text: &str) -> Option<Conditional> {
    let (kind, query) = text.split_once('?')?;
    Some(Conditional {
        kind: ResourceType::from_name(kind)?,
        query: query.to_owned(),
    })
}

/// All conditional references inside `resource`.
pub fn conditionals<'d>(resource: Value<'d>) -> impl Iterator<Item = Conditional> + use<'d> {
    resource
        .descendants()
        .filter(|value| value.name() == "reference")
        .filter_map(|value| conditional(value.as_str()?.as_ref()))
}

/// The text of `resource` with its references resolved. `full_url` is that of its own entry,
/// against which relative references are read.
///
/// Rewritten are `Reference.reference`, elements of a URI type that equal a `urn:` fullUrl, and
/// `href` and `src` of the narrative.
///
/// # Errors
/// A reference to a `urn:` that no entry has: nobody could ever resolve it.
pub fn rewrite(
    resource: Value<'_>,
    full_url: Option<&str>,
    identities: &Identities,
    answers: &Answers,
) -> Result<String, Error> {
    let root = full_url.and_then(rest_root);
    let base = resource.span().start;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for value in resource.descendants() {
        let Some(text) = value.as_str() else { continue };
        let changed = match value.name() {
            "reference" => reference(&text, root, identities, answers)?,
            "div" => narrative(&text, identities),
            "value" | "valueString" | "display" | "id" => None,
            _ if is_urn(&text) => identities.get(&text).map(str::to_owned),
            _ => None,
        };
        if let Some(changed) = changed {
            let mut json = String::with_capacity(changed.len() + 2);
            write_json_string(&mut json, &changed);
            let span = value.span();
            edits.push((span.start - base..span.end - base, json));
        }
    }
    Ok(splice(resource.raw(), &edits))
}

fn splice(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(text.len() + 16 * edits.len());
    let mut from = 0;
    for (span, with) in edits {
        out.push_str(&text[from..span.start]);
        out.push_str(with);
        from = span.end;
    }
    out.push_str(&text[from..]);
    out
}

fn reference(
    text: &str,
    root: Option<&str>,
    identities: &Identities,
    answers: &Answers,
) -> Result<Option<String>, Error> {
    if text.starts_with('#') || text.is_empty() {
        return Ok(None);
    }
    if let Some(condition) = conditional(text) {
        return Ok(answers.get(&condition).cloned());
    }
    let (url, fragment) = match text.split_once('#') {
        Some((url, fragment)) => (url, Some(fragment)),
        None => (text, None),
    };
    let (plain, version) = match url.split_once("/_history/") {
        Some((plain, version)) => (plain, Some(version)),
        None => (url, None),
    };
    let found = identities.get(plain).or_else(|| {
        let absolute = format!("{}{plain}", root?);
        identities.get(&absolute)
    });
    let Some(identity) = found else {
        if is_urn(url) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "invalid",
                format!(
                    "the reference '{url}' names no entry of this Bundle; \
                     give an entry this fullUrl, or refer to a resource by its type and id"
                ),
            ));
        }
        return Ok(None);
    };
    // A version of an entry is known only after the transaction; a reference that names one
    // of the past keeps it when the identity stays the same.
    let mut out = identity.to_owned();
    if let Some(version) = version
        && plain.ends_with(identity)
    {
        out.push_str("/_history/");
        out.push_str(version);
    }
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(fragment);
    }
    Ok((out != text).then_some(out))
}

/// `http://server/fhir/` of `http://server/fhir/Patient/1`; `None` for URNs and others.
fn rest_root(full_url: &str) -> Option<&str> {
    if !full_url.starts_with("http://") && !full_url.starts_with("https://") {
        return None;
    }
    let (before_id, _) = full_url.rsplit_once('/')?;
    let (root, kind) = before_id.rsplit_once('/')?;
    ResourceType::from_name(kind)?;
    Some(&full_url[..root.len() + 1])
}

/// Rewrites `href="urn:…"` and `src="urn:…"`.
fn narrative(text: &str, identities: &Identities) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find("urn:") {
        let start = from + found;
        let before = &text[..start];
        let quoted = before.ends_with("href=\"") || before.ends_with("src=\"");
        let end = text[start..].find('"').map_or(text.len(), |at| start + at);
        from = start + 4;
        if let (true, Some(identity)) = (quoted, identities.get(&text[start..end])) {
            out.push_str(&text[copied..start]);
            out.push_str(identity);
            copied = end;
            from = end;
        }
    }
    (copied > 0).then(|| {
        out.push_str(&text[copied..]);
        out
    })
}

#[cfg(test)]
mod tests {
    use resources::Doc;

    use super::*;

    fn identities() -> Identities {
        let mut identities = Identities::default();
        for (url, identity) in [
            ("urn:uuid:1", "Patient/p"),
            ("urn:oid:1.2", "Device/d"),
            ("http://old.org/fhir/Patient/7", "Patient/p"),
            ("http://old.org/fhir/Group/9", "Group/9"),
        ] {
            assert!(identities.insert(url, identity.to_owned()));
        }
        identities
    }

    fn rewritten(text: &str, full_url: &str) -> Result<String, Error> {
        let doc = Doc::parse(text).unwrap();
        let mut answers = Answers::new();
        answers.insert(
            conditional("Patient?identifier=a|b").unwrap(),
            "Patient/found".to_owned(),
        );
        rewrite(doc.root(), Some(full_url), &identities(), &answers)
    }

    #[test]
    fn references_become_what_the_entries_become() {
        for (given, expected) in [
            ("urn:uuid:1", "Patient/p"),
            ("urn:uuid:1#part", "Patient/p#part"),
            ("urn:oid:1.2", "Device/d"),
            ("Patient/7", "Patient/p"),
            ("Patient/7/_history/2", "Patient/p"),
            (
                "http://old.org/fhir/Group/9/_history/2",
                "Group/9/_history/2",
            ),
            ("http://old.org/fhir/Patient/7", "Patient/p"),
            ("Patient/8", "Patient/8"),
            (
                "http://other.org/fhir/Patient/7",
                "http://other.org/fhir/Patient/7",
            ),
            ("Patient?identifier=a|b", "Patient/found"),
            ("#contained", "#contained"),
        ] {
            let text = format!(r#"{{"a":[{{"reference":"{given}"}}]}}"#);
            assert_eq!(
                rewritten(&text, "http://old.org/fhir/Observation/1").unwrap(),
                format!(r#"{{"a":[{{"reference":"{expected}"}}]}}"#),
            );
        }
    }

    #[test]
    fn relative_references_need_an_entry_with_a_rest_url() {
        let text = r#"{"reference":"Patient/7"}"#;
        assert_eq!(rewritten(text, "urn:uuid:5").unwrap(), text);
    }

    #[test]
    fn uris_and_narrative_links_follow_and_plain_strings_do_not() {
        let text = r#"{"text":{"div":"<div><a href=\"urn:uuid:1\">urn:uuid:1</a><a href=\"urn:uuid:9\"/></div>"},"valueUri":"urn:uuid:1","identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:1"}]}"#;
        assert_eq!(
            rewritten(text, "urn:uuid:5").unwrap(),
            r#"{"text":{"div":"<div><a href=\"Patient/p\">urn:uuid:1</a><a href=\"urn:uuid:9\"/></div>"},"valueUri":"Patient/p","identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:1"}]}"#
        );
    }

    #[test]
    fn a_urn_that_no_entry_has_is_refused() {
        let error = rewritten(r#"{"reference":"urn:uuid:2"}"#, "urn:uuid:5").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
    }

    #[test]
    fn what_refers_to_no_entry_keeps_its_text() {
        for definition in profiles::definitions::of(ResourceType::STRUCTURE_DEFINITION)
            .iter()
            .take(40)
        {
            let doc = Doc::parse(profiles::definitions::body(definition)).unwrap();
            let text = rewrite(doc.root(), None, &identities(), &Answers::new()).unwrap();
            assert_eq!(text, doc.text());
        }
    }
}
