//! A Bundle of a file, made safe to send twice.

use std::collections::{BTreeSet, HashMap};

use resources::{
    Doc, Value,
    doc::{Bounds, ParseError, write_json_string},
    model::ResourceType,
};

use super::{
    identity::{Seed, string_end},
    record::Part,
};

/// A Bundle as it can be imported.
pub enum Parts {
    /// A transaction or batch, to be carried out.
    Bundle(Entries),
    /// A collection: resources, each with its place in `entry`.
    Collection(Vec<(usize, String)>),
    /// Anything else is a resource itself.
    Resource,
}

/// True for a transaction or batch: a Bundle that says what to do.
pub fn is_request(doc: &Doc) -> bool {
    doc.resource_type() == Some("Bundle") && matches!(kind(doc), Some("transaction" | "batch"))
}

fn kind(doc: &Doc) -> Option<&str> {
    doc.root().get("type")?.plain_str()
}

/// The entries of a transaction or batch, each ready to be sent.
pub struct Entries {
    kind: &'static str,
    entries: Vec<Entry>,
}

struct Entry {
    text: String,
    /// The `fullUrl`, and what it stands for when the entry is left out.
    name: Option<(String, Target)>,
}

/// What references to an entry mean, said without the entry.
enum Target {
    /// `Type/id`.
    Id(String),
    /// `Type?query`: whatever that finds, once the entry is stored.
    Condition(String),
}

/// Takes a Bundle apart. A POST becomes a PUT with an id that derives from the Bundle's seed and
/// the entry's place, so that importing the Bundle again makes nothing twice. A conditional
/// create stays as it is.
pub fn take_apart(doc: &Doc, seed: Seed) -> Parts {
    let kind = kind(doc);
    let entries = doc.root().get("entry").filter(Value::is_array);
    let entries = || entries.iter().flat_map(|list| list.items());
    match kind {
        Some("transaction" | "batch") => Parts::Bundle(Entries {
            kind: if kind == Some("batch") {
                "batch"
            } else {
                "transaction"
            },
            entries: entries()
                .enumerate()
                .map(|(place, entry)| Entry::new(doc, entry, seed, place))
                .collect(),
        }),
        Some("collection" | "searchset") => Parts::Collection(
            entries()
                .enumerate()
                .filter_map(|(place, entry)| Some((place, entry.get("resource")?.raw().to_owned())))
                .collect(),
        ),
        _ => Parts::Resource,
    }
}

impl Entry {
    fn new(doc: &Doc, entry: Value<'_>, seed: Seed, place: usize) -> Self {
        let name = |target: Option<Target>| {
            let name = entry.get("fullUrl")?.as_str()?.into_owned();
            Some((name, target?))
        };
        match created(entry) {
            Some(kind) => {
                let id = seed.id(place);
                let target = format!("{}/{id}", kind.plain_str().unwrap_or_default());
                Self {
                    text: as_put(doc, entry, kind, &id, &target),
                    name: name(Some(Target::Id(target))),
                }
            }
            None => Self {
                text: entry.raw().to_owned(),
                name: name(addressed(entry)),
            },
        }
    }
}

/// The type of what an entry creates unconditionally.
fn created<'d>(entry: Value<'d>) -> Option<Value<'d>> {
    let kind = entry.get("resource")?.get("resourceType")?;
    kind.plain_str()?;
    let Some(request) = entry.get("request") else {
        return Some(kind);
    };
    let text = |name| request.get(name).and_then(|value| value.plain_str());
    let creates = text("method") == Some("POST")
        && text("url") == kind.plain_str()
        && request.get("ifNoneExist").is_none();
    creates.then_some(kind)
}

/// What an entry that is sent as it is makes or changes.
fn addressed(entry: Value<'_>) -> Option<Target> {
    let request = entry.get("request")?;
    let text = |name| request.get(name).and_then(|value| value.as_str());
    let url = text("url")?;
    let kind = url.split(['/', '?']).next()?;
    ResourceType::from_name(kind)?;
    match text("method")?.as_ref() {
        "POST" => Some(Target::Condition(format!(
            "{kind}?{}",
            text("ifNoneExist")?
        ))),
        "PUT" | "PATCH" if url.contains('?') => Some(Target::Condition(url.into_owned())),
        "PUT" | "PATCH" => Some(Target::Id(url.into_owned())),
        _ => None,
    }
}

/// The entry as a PUT of its resource under `id`.
fn as_put(doc: &Doc, entry: Value<'_>, kind: Value<'_>, id: &str, target: &str) -> String {
    let mut edits = vec![match entry.get("resource").and_then(|it| it.get("id")) {
        Some(old) => (old.span(), format!("\"{id}\"")),
        None => (
            kind.span().end..kind.span().end,
            format!(",\"id\":\"{id}\""),
        ),
    }];
    let put = format!("{{\"method\":\"PUT\",\"url\":\"{target}\"}}");
    match entry.get("request") {
        Some(request) => edits.push((request.span(), put)),
        None => {
            let end = entry.span().end - 1;
            edits.push((end..end, format!(",\"request\":{put}")));
        }
    }
    edits.sort_by_key(|(span, _)| span.start);
    splice(doc.text(), entry.span(), &edits)
}

fn splice(
    text: &str,
    whole: std::ops::Range<usize>,
    edits: &[(std::ops::Range<usize>, String)],
) -> String {
    let mut out = String::with_capacity(whole.len() + 96);
    let mut from = whole.start;
    for (span, with) in edits {
        out.push_str(&text[from..span.start]);
        out.push_str(with);
        from = span.end;
    }
    out.push_str(&text[from..whole.end]);
    out
}

impl Entries {
    /// True if it is a batch: each entry succeeds or fails for itself.
    pub fn is_batch(&self) -> bool {
        self.kind == "batch"
    }

    /// The Bundle with the entries that `part` asks for and `rejected` does not hold, and the
    /// place in this list of each of them. References to what is stored already or was rejected
    /// become references to the ids that it has or would have.
    ///
    /// # Errors
    /// An entry whose text cannot be read.
    pub fn bundle(
        &self,
        part: &Part,
        rejected: &BTreeSet<usize>,
        bounds: &Bounds,
    ) -> Result<(Doc, Vec<usize>), ParseError> {
        let mut text = format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"{}\",\"entry\":[",
            self.kind
        );
        let mut kept = Vec::with_capacity(self.entries.len());
        let mut names = HashMap::new();
        for (place, entry) in self.entries.iter().enumerate() {
            if part.has(place) && !rejected.contains(&place) {
                text.push_str(if kept.is_empty() { "" } else { "," });
                text.push_str(&entry.text);
                kept.push(place);
                continue;
            }
            match &entry.name {
                Some((name, Target::Id(target))) => names.insert(name.as_str(), target.as_str()),
                Some((name, Target::Condition(target))) if !part.has(place) => {
                    names.insert(name.as_str(), target.as_str())
                }
                _ => None,
            };
        }
        text.push_str("]}");
        let doc = Doc::parse_within(text, bounds)?;
        // References inside a batch are not resolved, so none got lost.
        if names.is_empty() || self.is_batch() {
            return Ok((doc, kept));
        }
        let edits = references(&doc, &names);
        let doc = match edits.is_empty() {
            true => doc,
            false => Doc::parse_within(doc.splice(&edits), bounds)?,
        };
        Ok((doc, kept))
    }
}

/// True if a reference in a Bundle has to be looked up among what is stored.
pub fn looks_things_up(doc: &Doc) -> bool {
    doc.root()
        .descendants()
        .filter(|value| value.name() == "reference")
        .any(|value| value.as_str().is_some_and(|text| text.contains('?')))
}

/// The references to what `names` has, with what to write instead. They are found as
/// `bundle.html#references` says: a relative one is below the base of its own entry's `fullUrl`.
fn references(doc: &Doc, names: &HashMap<&str, &str>) -> Vec<(std::ops::Range<usize>, String)> {
    let mut edits = Vec::new();
    let entries = doc.root().get("entry");
    for entry in entries.iter().flat_map(|entries| entries.items()) {
        let url = entry.get("fullUrl").and_then(|url| url.as_str());
        let base = url.as_deref().and_then(base_of);
        let resource = entry.get("resource");
        for value in resource.iter().flat_map(|it| it.descendants()) {
            let Some(text) = value.as_str() else { continue };
            let is_reference = value.name() == "reference";
            if !is_reference && !is_temporary(value.name(), &text) {
                continue;
            }
            let end = text.find('#').unwrap_or(text.len());
            let (name, fragment) = text.split_at(end);
            let below = || names.get(format!("{}{name}", base?).as_str());
            if let Some(target) = names.get(name).or_else(below) {
                let mut json = String::new();
                write_json_string(&mut json, &format!("{target}{fragment}"));
                edits.push((value.span(), json));
            }
        }
    }
    edits
}

/// True for a URI that stands for an entry of a transaction.
fn is_temporary(name: &str, text: &str) -> bool {
    let is_urn = text.starts_with("urn:uuid:") || text.starts_with("urn:oid:");
    is_urn && !matches!(name, "value" | "valueString" | "display" | "id")
}

/// `http://server/fhir/` of `http://server/fhir/Patient/1`.
fn base_of(url: &str) -> Option<&str> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return None;
    }
    let (before_id, _) = url.rsplit_once('/')?;
    let (base, kind) = before_id.rsplit_once('/')?;
    ResourceType::from_name(kind)?;
    url.get(..=base.len())
}

/// The lines (from 1) on which the entries of a Bundle's text begin.
pub fn entry_lines(text: &[u8]) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut line = 1;
    let mut last_string: &[u8] = b"";
    let mut in_entries = false;
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\n' => line += 1,
            b'"' => {
                let end = string_end(text, at + 1);
                last_string = text.get(at + 1..end).unwrap_or_default();
                at = end;
            }
            b'{' | b'[' => {
                in_entries |= *byte == b'[' && depth == 1 && last_string == b"entry";
                if *byte == b'{' && in_entries && depth == 2 {
                    lines.push(line);
                }
                depth += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                in_entries &= depth >= 2;
            }
            _ => {}
        }
        at += 1;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLE: &str = r#"{
  "resourceType": "Bundle", "type": "transaction", "entry": [
    {"fullUrl": "urn:uuid:a", "resource": {"resourceType": "Patient", "id": "x"}, "request": {"method": "POST", "url": "Patient"}},
    {"request": {"method": "POST", "url": "Condition"},
     "resource": {"resourceType": "Condition", "subject": {"reference": "urn:uuid:a"}}},
    {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=1"}}
  ]
}"#;

    fn entries(text: &str) -> Entries {
        match take_apart(&Doc::parse(text).unwrap(), seed()) {
            Parts::Bundle(entries) => entries,
            _ => panic!("a transaction"),
        }
    }

    fn seed() -> Seed {
        Seed::of("{}")
    }

    fn sent(text: &str, part: Part, rejected: &[usize]) -> (String, Vec<usize>) {
        let rejected = rejected.iter().copied().collect();
        let (doc, kept) = entries(text)
            .bundle(&part, &rejected, &Bounds::default())
            .unwrap();
        (doc.into_text(), kept)
    }

    #[test]
    fn creates_get_ids_that_are_the_same_each_time() {
        let (patient, condition) = (seed().id(0), seed().id(1));
        let (text, kept) = sent(BUNDLE, Part::All, &[]);
        assert_eq!(kept, [0, 1, 2]);
        assert_eq!(
            text,
            format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"fullUrl":"urn:uuid:a","resource":{{"resourceType":"Patient","id":"{patient}"}},"request":{{"method":"PUT","url":"Patient/{patient}"}}}},{{"request":{{"method":"PUT","url":"Condition/{condition}"}},"resource":{{"resourceType":"Condition","id":"{condition}","subject":{{"reference":"urn:uuid:a"}}}}}},{{"resource":{{"resourceType":"Patient"}},"request":{{"method":"POST","url":"Patient","ifNoneExist":"identifier=1"}}}}]}}"#
            )
        );
    }

    #[test]
    fn references_to_what_is_rejected_keep_their_meaning() {
        let patient = seed().id(0);
        let (text, kept) = sent(BUNDLE, Part::All, &[0]);
        assert_eq!(kept, [1, 2]);
        assert!(
            text.contains(&format!(r#""reference":"Patient/{patient}""#)),
            "{text}"
        );
        assert!(!text.contains("urn:uuid:a"));
    }

    #[test]
    fn references_to_what_is_stored_lead_there() {
        let bundle = |url: &str, request: &str, reference: &str| {
            format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[
                {{"fullUrl":"{url}","resource":{{"resourceType":"Patient","id":"p"}},"request":{request}}},
                {{"fullUrl":"http://x.org/fhir/Basic/b","resource":{{"resourceType":"Basic","id":"b",
                "subject":{{"reference":"{reference}"}}}},"request":{{"method":"PUT","url":"Basic/b"}}}}]}}"#
            )
        };
        let derived = format!("Patient/{}", seed().id(0));
        let post = r#"{"method":"POST","url":"Patient"}"#;
        let put = r#"{"method":"PUT","url":"Patient/p"}"#;
        let conditional = r#"{"method":"POST","url":"Patient","ifNoneExist":"identifier=1"}"#;
        let update = r#"{"method":"PUT","url":"Patient?identifier=1"}"#;
        let delete = r#"{"method":"DELETE","url":"Patient/p"}"#;
        for (url, request, given, expected) in [
            ("urn:uuid:a", post, "urn:uuid:a", derived.as_str()),
            ("http://x.org/fhir/Patient/7", post, "Patient/7", &derived),
            (
                "http://y.org/fhir/Patient/7",
                post,
                "Patient/7",
                "Patient/7",
            ),
            ("urn:uuid:a", put, "urn:uuid:a#x", "Patient/p#x"),
            (
                "urn:uuid:a",
                conditional,
                "urn:uuid:a",
                "Patient?identifier=1",
            ),
            ("urn:uuid:a", update, "urn:uuid:a", "Patient?identifier=1"),
            ("urn:uuid:a", delete, "urn:uuid:a", "urn:uuid:a"),
        ] {
            let text = bundle(url, request, given);
            let (text, kept) = sent(&text, Part::Entries([1].into()), &[]);
            assert_eq!(kept, [1]);
            let expected = format!(r#"{{"reference":"{expected}"}}"#);
            assert!(text.contains(&expected), "{expected} is not in {text}");
        }
    }

    #[test]
    fn only_conditional_references_are_looked_up() {
        let looks = |text: &str| looks_things_up(&Doc::parse(text).unwrap());
        assert!(!looks(BUNDLE));
        assert!(looks(
            &BUNDLE.replace("\"urn:uuid:a\"}}", "\"Patient?identifier=1\"}}")
        ));
    }

    #[test]
    fn the_line_of_an_entry_is_that_of_its_brace() {
        assert_eq!(entry_lines(BUNDLE.as_bytes()), [3, 4, 6]);
    }

    #[test]
    fn bundles_that_say_nothing_to_do_are_resources() {
        for text in [
            r#"{"resourceType":"Bundle","type":"document"}"#,
            r#"{"resourceType":"Bundle","type":"message"}"#,
            r#"{"resourceType":"Bundle","type":"history"}"#,
            r#"{"resourceType":"Bundle","type":"transaction-response"}"#,
            r#"{"resourceType":"Bundle"}"#,
        ] {
            let doc = Doc::parse(text).unwrap();
            assert!(!is_request(&doc));
            assert!(
                matches!(take_apart(&doc, seed()), Parts::Resource),
                "{text}"
            );
        }
    }
}
