//! References between the entries of a transaction: found in the entries' text, resolved to
//! what the entries become, and written back.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::Range,
};

use resources::{Value, doc::write_json_string, model::ResourceType, outcome::Issue};

use super::links::{Form, Link, expression, links};
use crate::{
    engine::{
        draft::{Draft, Verb},
        error::{Error, ErrorKind},
    },
    search::decode,
};

/// What the `fullUrl`s of a transaction stand for after it: `Type/id`.
#[derive(Debug, Default)]
pub struct Identities {
    by_url: HashMap<String, String>,
}

/// A search that shall find one resource: a conditional reference `Type?query`, or the condition
/// of an entry. Two are equal if they ask the same, however that is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Conditional {
    /// The type that is searched.
    pub kind: ResourceType,
    /// Names and values, decoded and in order.
    params: Vec<(String, String)>,
}

impl Conditional {
    /// The search of `kind` with this query, as it stands behind the `?`.
    pub fn new(kind: ResourceType, query: &str) -> Self {
        let mut params = decode(query.trim_start_matches('?'));
        params.sort_unstable();
        Self { kind, params }
    }

    /// Names and values, decoded.
    pub fn params(&self) -> &[(String, String)] {
        &self.params
    }
}

impl fmt::Display for Conditional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params = self.params.iter();
        let params: Vec<String> = params
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        write!(f, "{}?{}", self.kind, params.join("&"))
    }
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
    Some(Conditional::new(ResourceType::from_name(kind)?, query))
}

/// Adds the conditional references of a draft. Those inside a Bundle are that Bundle's own
/// business: it may be a transaction that is kept as an example.
pub fn conditionals(draft: &Draft<'_>, all: &mut HashSet<Conditional>) {
    if draft.root().is_some_and(|root| root.raw().contains('?')) {
        links(draft, |link| {
            if link.form == Form::Reference && link.bundle.is_none() {
                all.extend(conditional(&link.text));
            }
        });
    }
}

/// The text of a draft's document with its references resolved; `None` if it stays as it is.
/// `full_url` is that of its own entry, against which relative references are read.
///
/// Rewritten are, as R4's `http.html#trules` says, `Reference.reference`, elements of a URI type
/// that equal a `urn:` fullUrl, and `href` and `src` of the narrative.
///
/// # Errors
/// A reference to a `urn:` that no entry has: nobody could ever resolve it.
pub fn rewrite(
    draft: &Draft<'_>,
    full_url: Option<&str>,
    identities: &Identities,
    answers: &Answers,
) -> Result<Option<String>, Error> {
    let Some(document) = draft.root() else {
        return Ok(None);
    };
    let resolver = Resolver {
        root: full_url.and_then(rest_root),
        identities,
        answers,
    };
    let mut inner = Inner::default();
    let mut failed = None;
    let base = document.span().start;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    links(draft, |link| {
        let changed = match link.bundle {
            Some(bundle) => Ok(inner.changed(&link, bundle, identities)),
            None => resolver.changed(&link),
        };
        match changed {
            Ok(None) => {}
            Ok(Some(changed)) => {
                let mut json = String::with_capacity(changed.len() + 2);
                write_json_string(&mut json, &changed);
                let span = link.value.span();
                edits.push((span.start - base..span.end - base, json));
            }
            Err(error) => failed = failed.take().or(Some(error)),
        }
    });
    match failed {
        Some(error) => Err(error),
        None if edits.is_empty() => Ok(None),
        None => Ok(Some(splice(document.raw(), &edits))),
    }
}

/// Refuses what only a transaction resolves: conditional references, and those to the entries
/// that have one of `full_urls`.
///
/// # Errors
/// The first such reference.
pub fn check_plain(draft: &Draft<'_>, full_urls: &HashSet<&str>) -> Result<(), Error> {
    let Some(root) = draft.root() else {
        return Ok(());
    };
    if full_urls.is_empty() && !root.raw().contains('?') {
        return Ok(());
    }
    let mut refused = None;
    links(draft, |link| {
        if refused.is_some() || link.form != Form::Reference || link.bundle.is_some() {
            return;
        }
        let text = &link.text;
        let what = if conditional(text).is_some() {
            "is conditional, and only a transaction resolves such references"
        } else if is_urn(text) && full_urls.contains(text.split('#').next().unwrap_or(text)) {
            "names another entry, and the entries of a batch stand alone"
        } else {
            return;
        };
        let said = format!(
            "the reference '{text}' {what}; send this in a Bundle of type transaction, or refer \
             to the resource by its type and id"
        );
        let issue = Issue::error("invalid", said);
        refused = Some(if draft.verb == Verb::Patch {
            issue
        } else {
            issue.at(expression(root, link.value))
        });
    });
    match refused {
        Some(issue) => Err(Error::with(ErrorKind::Invalid, vec![issue])),
        None => Ok(()),
    }
}

/// What the references of one entry are resolved with.
struct Resolver<'a> {
    root: Option<&'a str>,
    identities: &'a Identities,
    answers: &'a Answers,
}

impl Resolver<'_> {
    fn changed(&self, link: &Link<'_>) -> Result<Option<String>, Error> {
        let text = &link.text;
        match link.form {
            Form::Reference => reference(text, self.root, self.identities, self.answers),
            Form::Narrative => Ok(narrative(text, self.identities)),
            Form::Uri if is_urn(text) => Ok(self.identities.get(text).map(str::to_owned)),
            Form::Uri => Ok(None),
        }
    }
}

/// A Bundle inside an entry. References between its own entries are resolved by whoever reads it
/// (R4 `bundle.html#references`) and stay as they are; it may also refer to what it does not
/// have.
#[derive(Default)]
struct Inner {
    bundle: Option<u32>,
    full_urls: HashSet<String>,
}

impl Inner {
    fn changed(
        &mut self,
        link: &Link<'_>,
        bundle: Value<'_>,
        identities: &Identities,
    ) -> Option<String> {
        if self.bundle != Some(bundle.index()) {
            self.bundle = Some(bundle.index());
            let entries = bundle.get("entry").into_iter();
            self.full_urls = entries
                .flat_map(|entries| entries.items())
                .filter_map(|entry| Some(entry.get("fullUrl")?.as_str()?.into_owned()))
                .collect();
        }
        let text: &str = &link.text;
        if link.form == Form::Narrative {
            return narrative(text, identities);
        }
        if self.full_urls.contains(text) || (link.form == Form::Uri && !is_urn(text)) {
            return None;
        }
        identities.get(text).map(str::to_owned)
    }
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
    use crate::engine::operation::Operation;

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
        let operation = Operation::Create {
            kind: ResourceType::OBSERVATION,
            body: Doc::parse(text).unwrap(),
            if_none_exist: None,
        };
        let mut answers = Answers::new();
        answers.insert(
            conditional("Patient?identifier=a|b").unwrap(),
            "Patient/found".to_owned(),
        );
        let new = rewrite(
            &Draft::from(&operation),
            Some(full_url),
            &identities(),
            &answers,
        )?;
        Ok(new.unwrap_or_else(|| text.to_owned()))
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
            let text = format!(
                r#"{{"resourceType":"Observation","performer":[{{"reference":"{given}"}}]}}"#
            );
            assert_eq!(
                rewritten(&text, "http://old.org/fhir/Observation/1").unwrap(),
                format!(
                    r#"{{"resourceType":"Observation","performer":[{{"reference":"{expected}"}}]}}"#
                ),
            );
        }
    }

    #[test]
    fn relative_references_need_an_entry_with_a_rest_url() {
        let text = r#"{"resourceType":"Observation","subject":{"reference":"Patient/7"}}"#;
        assert_eq!(rewritten(text, "urn:uuid:5").unwrap(), text);
    }

    #[test]
    fn uris_and_narrative_links_follow_and_plain_strings_do_not() {
        let text = r#"{"resourceType":"Observation","text":{"div":"<div><a href=\"urn:uuid:1\">urn:uuid:1</a><a href=\"urn:uuid:9\"/></div>"},"extension":[{"url":"u","valueUri":"urn:uuid:1"}],"valueString":"urn:uuid:1","identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:1"}]}"#;
        assert_eq!(
            rewritten(text, "urn:uuid:5").unwrap(),
            r#"{"resourceType":"Observation","text":{"div":"<div><a href=\"Patient/p\">urn:uuid:1</a><a href=\"urn:uuid:9\"/></div>"},"extension":[{"url":"u","valueUri":"Patient/p"}],"valueString":"urn:uuid:1","identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:1"}]}"#
        );
    }

    #[test]
    fn a_urn_that_no_entry_has_is_refused() {
        let error = rewritten(
            r#"{"resourceType":"Observation","subject":{"reference":"urn:uuid:2"}}"#,
            "urn:uuid:5",
        )
        .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
    }

    #[test]
    fn what_refers_to_no_entry_keeps_its_text() {
        for definition in profiles::definitions::of(ResourceType::STRUCTURE_DEFINITION)
            .iter()
            .take(40)
        {
            let operation = Operation::Create {
                kind: ResourceType::STRUCTURE_DEFINITION,
                body: Doc::parse(profiles::definitions::body(definition)).unwrap(),
                if_none_exist: None,
            };
            let draft = Draft::from(&operation);
            let new = rewrite(&draft, None, &identities(), &Answers::new());
            assert_eq!(new.unwrap(), None);
        }
    }

    #[test]
    fn a_bundle_inside_keeps_what_it_says_of_its_own_entries() {
        let text = r#"{"resourceType":"Bundle","type":"document","entry":[{"fullUrl":"urn:uuid:own","resource":{"resourceType":"Composition","subject":{"reference":"urn:uuid:1"},"author":[{"reference":"urn:uuid:own"},{"reference":"urn:uuid:nowhere"},{"reference":"Patient?identifier=a|b"},{"reference":"Patient/7"}]}}]}"#;
        assert_eq!(
            rewritten(text, "http://old.org/fhir/Bundle/1").unwrap(),
            text.replace("urn:uuid:1", "Patient/p")
        );
    }

    #[test]
    fn conditions_that_ask_the_same_are_equal() {
        let first = Conditional::new(ResourceType::PATIENT, "identifier=http://t|X&active=true");
        let second = "?active=true&identifier=http%3A%2F%2Ft%7CX";
        assert_eq!(first, Conditional::new(ResourceType::PATIENT, second));
        assert_eq!(
            first.to_string(),
            "Patient?active=true&identifier=http://t|X"
        );
    }

    #[test]
    fn outside_of_a_transaction_what_it_would_resolve_is_refused() {
        let siblings = HashSet::from(["urn:uuid:1"]);
        for (given, refused) in [
            ("Patient?identifier=1", true),
            ("urn:uuid:1", true),
            ("urn:uuid:2", false),
            ("Patient/1", false),
            ("http://x/Patient?a=b", false),
        ] {
            let text = format!(
                r#"{{"resourceType":"Observation","performer":[{{"reference":"{given}"}}]}}"#
            );
            let operation = Operation::Create {
                kind: ResourceType::OBSERVATION,
                body: Doc::parse(text).unwrap(),
                if_none_exist: None,
            };
            let checked = check_plain(&Draft::from(&operation), &siblings);
            assert_eq!(checked.is_err(), refused, "{given}");
            if let Err(error) = checked {
                let place = error.issues[0].expression.as_deref();
                assert_eq!(place, Some("Observation.performer[0].reference"));
            }
        }
    }
}
