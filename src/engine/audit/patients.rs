//! Which patients a resource is about, without parsing it.

use std::{borrow::Cow, collections::HashSet, sync::LazyLock};

use memchr::memmem::Finder;
use resources::model::ResourceType;

const PREFIX: &[u8] = b"Patient/";

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PREFIX));

/// The ids of the patients whom a resource touches: itself, if it is one, else those to whom it
/// refers. What looks like a reference but is none may be among them: a report of who saw what
/// may say too much, never too little.
#[derive(Debug, Default)]
pub struct Patients<'t> {
    ids: Vec<Cow<'t, str>>,
    /// All of them, when they are many.
    seen: HashSet<&'t str>,
}

/// More than this are not compared one by one.
const FEW: usize = 16;

impl<'t> Patients<'t> {
    /// Adds those of a resource.
    pub fn add(&mut self, (kind, id): (ResourceType, &'t str), text: &'t [u8], base_url: &str) {
        if kind == ResourceType::PATIENT {
            self.one(id);
            return;
        }
        for at in FINDER.find_iter(text) {
            if is_beginning(&text[..at], base_url)
                && let Some(id) = id_at(&text[at + PREFIX.len()..])
            {
                self.one(id);
            }
        }
    }

    fn one(&mut self, id: &'t str) {
        // Pages are mostly of one patient, or have those of one next to one another.
        if self.ids.last().is_some_and(|last| last == id) {
            return;
        }
        let known = match self.ids.len() {
            ..FEW => self.ids.iter().any(|known| known == id),
            FEW => {
                self.seen
                    .extend(self.ids.iter().filter_map(|known| match known {
                        Cow::Borrowed(known) => Some(*known),
                        Cow::Owned(_) => None,
                    }));
                !self.seen.insert(id)
            }
            _ => !self.seen.insert(id),
        };
        if !known {
            self.ids.push(Cow::Borrowed(id));
        }
    }

    /// Each once.
    pub fn ids(self) -> Vec<Cow<'t, str>> {
        self.ids
    }
}

/// Whether a reference can begin behind `before`.
fn is_beginning(before: &[u8], base_url: &str) -> bool {
    let before = match before.strip_suffix(b"/") {
        // An absolute reference to this server, or to another one: then it is not our patient.
        Some(url) => match url.strip_suffix(base_url.as_bytes()) {
            Some(before) => before,
            None => return false,
        },
        None => before,
    };
    // Inside of a narrative a quotation mark is escaped.
    before.ends_with(b"\"") && !before.ends_with(b"\\\"")
}

/// The logical id that stands here, if it ends as in a reference.
fn id_at(text: &[u8]) -> Option<&str> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let length = text
        .iter()
        .take(65)
        .take_while(|byte| is_part(byte))
        .count();
    let ends = matches!(text.get(length), Some(b'"' | b'/'));
    ((1..=64).contains(&length) && ends)
        .then(|| std::str::from_utf8(&text[..length]).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patients_are_found_where_a_reference_to_them_stands() {
        for (text, expected) in [
            (r#"{"subject":{"reference":"Patient/1"}}"#, vec!["1"]),
            (
                r#"{"subject" : { "reference" : "Patient/a-b.c" } }"#,
                vec!["a-b.c"],
            ),
            (r#"{"reference":"Patient/1/_history/2"}"#, vec!["1"]),
            (r#"{"reference":"http://h/fhir/Patient/1"}"#, vec!["1"]),
            (r#"{"reference":"http://other/fhir/Patient/1"}"#, vec![]),
            (r#"["Patient/1","Patient/2","Patient/1"]"#, vec!["1", "2"]),
            (r#"{"url":"Patient/$match"}"#, vec![]),
            (r#"{"url":"Patient/"}"#, vec![]),
            (r#"{"reference":"Patient?identifier=a"}"#, vec![]),
            (r#"{"div":"<a href=\"Patient/1\">"}"#, vec![]),
            (r#"{"text":"see Patient/1"}"#, vec![]),
            (r#"{"reference":"Patient/1"#, vec![]),
        ] {
            let mut patients = Patients::default();
            let kind = ResourceType::VALUE_SET;
            patients.add((kind, "9"), text.as_bytes(), "http://h/fhir");
            assert_eq!(patients.ids(), expected, "{text}");
        }
        let mut patients = Patients::default();
        patients.add((ResourceType::PATIENT, "9"), b"", "http://h/fhir");
        assert_eq!(patients.ids(), ["9"]);
    }

    #[test]
    fn each_of_many_patients_is_named_once() {
        let ids: Vec<String> = (0..100).map(|number| (number % 40).to_string()).collect();
        let mut patients = Patients::default();
        for id in &ids {
            patients.add((ResourceType::PATIENT, id), b"", "");
        }
        assert_eq!(patients.ids(), ids[..40]);
    }
}
