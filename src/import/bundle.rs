//! A Bundle of a file, made safe to send twice.

use std::collections::BTreeSet;

use resources::{Doc, Value, doc::write_json_string};

use super::files::derived_id;

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
    /// The temporary name and what it stands for.
    name: Option<(String, String)>,
}

/// Takes a Bundle apart. A POST becomes a PUT with an id that derives from the file and the
/// entry's place, so that importing the file again makes nothing twice. A conditional create
/// stays as it is.
pub fn take_apart(doc: &Doc, fingerprint: &str) -> Parts {
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
                .map(|(place, entry)| repeatable(doc, entry, fingerprint, place))
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

fn repeatable(doc: &Doc, entry: Value<'_>, fingerprint: &str, place: usize) -> Entry {
    let unchanged = || Entry {
        text: entry.raw().to_owned(),
        name: None,
    };
    let Some(resource) = entry.get("resource") else {
        return unchanged();
    };
    let Some(kind) = resource
        .get("resourceType")
        .filter(|kind| kind.plain_str().is_some())
    else {
        return unchanged();
    };
    let request = entry.get("request");
    let creates = request.is_none_or(|request| {
        let text = |name| request.get(name).and_then(|value| value.plain_str());
        text("method") == Some("POST")
            && text("url") == kind.plain_str()
            && request.get("ifNoneExist").is_none()
    });
    if !creates {
        return unchanged();
    }
    let id = derived_id(fingerprint, place as u64);
    let target = format!("{}/{id}", kind.plain_str().unwrap_or_default());
    let mut edits = vec![match resource.get("id") {
        Some(old) => (old.span(), format!("\"{id}\"")),
        None => (
            kind.span().end..kind.span().end,
            format!(",\"id\":\"{id}\""),
        ),
    }];
    let put = format!("{{\"method\":\"PUT\",\"url\":\"{target}\"}}");
    match request {
        Some(request) => edits.push((request.span(), put)),
        None => {
            let end = entry.span().end - 1;
            edits.push((end..end, format!(",\"request\":{put}")));
        }
    }
    edits.sort_by_key(|(span, _)| span.start);
    Entry {
        text: splice(doc.text(), entry.span(), &edits),
        name: entry
            .get("fullUrl")
            .and_then(|name| name.plain_str())
            .filter(|name| name.starts_with("urn:"))
            .map(|name| (name.to_owned(), target)),
    }
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

    /// True if a reference has to be looked up among what is stored.
    pub fn looks_things_up(&self) -> bool {
        self.entries.iter().any(|entry| {
            entry
                .text
                .match_indices("\"reference\":\"")
                .any(|(at, found)| {
                    let reference = &entry.text[at + found.len()..];
                    reference
                        .split('"')
                        .next()
                        .is_some_and(|reference| reference.contains('?'))
                })
        })
    }

    /// The Bundle without the entries of `left_out`, and the place in this list of each entry
    /// that is in it. References to what was left out become references to the ids it would have.
    pub fn without(&self, left_out: &BTreeSet<usize>) -> (String, Vec<usize>) {
        let mut text = format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"{}\",\"entry\":[",
            self.kind
        );
        let mut kept = Vec::with_capacity(self.entries.len());
        for (place, entry) in self.entries.iter().enumerate() {
            if left_out.contains(&place) {
                continue;
            }
            if !kept.is_empty() {
                text.push(',');
            }
            text.push_str(&entry.text);
            kept.push(place);
        }
        text.push_str("]}");
        for place in left_out {
            if let Some((name, target)) = self
                .entries
                .get(*place)
                .and_then(|entry| entry.name.as_ref())
            {
                text = text.replace(&quoted(name), &quoted(target));
            }
        }
        (text, kept)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_json_string(&mut out, text);
    out
}

/// The line (from 1) on which entry number `place` of a Bundle's text begins.
pub fn entry_line(text: &str, place: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut line = 1;
    let mut string_start = 0;
    let mut last_string = "";
    let mut in_entries = false;
    let mut seen = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte == b'\n' {
            line += 1;
        }
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    in_string = false;
                    last_string = text.get(string_start..at)?;
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => {
                in_string = true;
                string_start = at + 1;
            }
            b'[' if depth == 1 && last_string == "entry" => {
                depth += 1;
                in_entries = true;
            }
            b'{' if in_entries && depth == 2 => {
                if seen == place {
                    return Some(line);
                }
                seen += 1;
                depth += 1;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                in_entries &= depth >= 2;
            }
            _ => {}
        }
    }
    None
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

    fn entries() -> Entries {
        match take_apart(&Doc::parse(BUNDLE).unwrap(), "f") {
            Parts::Bundle(entries) => entries,
            _ => panic!("a transaction"),
        }
    }

    #[test]
    fn creates_get_ids_that_are_the_same_each_time() {
        let (patient, condition) = (derived_id("f", 0), derived_id("f", 1));
        let (text, kept) = entries().without(&BTreeSet::new());
        assert_eq!(kept, [0, 1, 2]);
        assert_eq!(
            text,
            format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"fullUrl":"urn:uuid:a","resource":{{"resourceType":"Patient","id":"{patient}"}},"request":{{"method":"PUT","url":"Patient/{patient}"}}}},{{"request":{{"method":"PUT","url":"Condition/{condition}"}},"resource":{{"resourceType":"Condition","id":"{condition}","subject":{{"reference":"urn:uuid:a"}}}}}},{{"resource":{{"resourceType":"Patient"}},"request":{{"method":"POST","url":"Patient","ifNoneExist":"identifier=1"}}}}]}}"#
            )
        );
    }

    #[test]
    fn references_to_what_is_left_out_keep_their_meaning() {
        let patient = derived_id("f", 0);
        let (text, kept) = entries().without(&BTreeSet::from([0]));
        assert_eq!(kept, [1, 2]);
        assert!(text.contains(&format!(r#""reference":"Patient/{patient}""#)));
        assert!(!text.contains("urn:uuid:a"));
    }

    #[test]
    fn only_conditional_references_are_looked_up() {
        assert!(!entries().looks_things_up());
        let text = BUNDLE.replace("\"urn:uuid:a\"}}", "\"Patient?identifier=1\"}}");
        match take_apart(&Doc::parse(text).unwrap(), "f") {
            Parts::Bundle(entries) => assert!(entries.looks_things_up()),
            _ => panic!("a transaction"),
        }
    }

    #[test]
    fn the_line_of_an_entry_is_that_of_its_brace() {
        for (place, line) in [(0, Some(3)), (1, Some(4)), (2, Some(6)), (3, None)] {
            assert_eq!(entry_line(BUNDLE, place), line);
        }
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
            assert!(matches!(take_apart(&doc, "f"), Parts::Resource), "{text}");
        }
    }
}
