use serde_json::Value as Json;

/// The resources that the one which a message is of refers to.
#[derive(Debug, Clone, Default)]
pub struct Related<'r>(Vec<&'r Json>);

impl<'r> Related<'r> {
    /// Of resources with their ids.
    pub fn new(resources: impl IntoIterator<Item = &'r Json>) -> Self {
        Self(resources.into_iter().collect())
    }

    /// What a Reference refers to: one of these, or contained in the resource that has it.
    pub(super) fn get(&self, from: &'r Json, reference: &'r Json) -> Option<&'r Json> {
        let target = text(reference, "reference");
        if let Some(id) = target.strip_prefix('#') {
            return all(from, "contained").find(|resource| text(resource, "id") == id);
        }
        let target = target.split("/_history/").next().unwrap_or("");
        let mut parts = target.rsplit('/');
        let (id, kind) = (parts.next()?, parts.next()?);
        let mut known = self.0.iter().copied();
        known.find(|resource| text(resource, "id") == id && kind_of(resource) == kind)
    }
}

/// Where the References are whose resources a message has something of.
const NEEDED: &[(&str, &[&str])] = &[
    ("Appointment", &["participant.actor", "basedOn"]),
    ("Slot", &["schedule"]),
    ("Schedule", &["actor"]),
    ("PractitionerRole", &["practitioner"]),
    ("Location", &["partOf", "managingOrganization"]),
    (
        "Patient",
        &[
            "managingOrganization",
            "generalPractitioner",
            "link.other",
            "contact.organization",
        ],
    ),
    (
        "Encounter",
        &["location.location", "participant.individual"],
    ),
    (
        "ServiceRequest",
        &[
            "subject",
            "encounter",
            "requester",
            "reasonReference",
            "specimen",
        ],
    ),
    (
        "MedicationRequest",
        &["subject", "encounter", "requester", "medicationReference"],
    ),
    (
        "DiagnosticReport",
        &[
            "subject",
            "encounter",
            "basedOn",
            "result",
            "specimen",
            "resultsInterpreter",
        ],
    ),
    ("Observation", &["hasMember", "performer"]),
];

/// References, as `Type/id`, of the resources that a message of this one has something of.
/// Whoever collects [`Related`] asks it of what it finds too, until there is nothing new.
pub fn needed(resource: &Json) -> Vec<&str> {
    let row = NEEDED.iter().find(|(kind, _)| *kind == kind_of(resource));
    let paths = row.map_or(&[][..], |(_, paths)| paths);
    let references = paths.iter().flat_map(|path| all(resource, path));
    let mut found: Vec<&str> = references
        .map(|reference| text(reference, "reference"))
        .filter(|reference| !reference.is_empty() && !reference.starts_with('#'))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Its type.
pub(super) fn kind_of(resource: &Json) -> &str {
    text(resource, "resourceType")
}

/// The type that a Reference names.
pub(super) fn target(reference: &Json) -> &str {
    let said = text(reference, "type");
    if !said.is_empty() {
        return said;
    }
    let path = text(reference, "reference");
    path.split("/_history/")
        .next()
        .unwrap_or("")
        .rsplit('/')
        .nth(1)
        .unwrap_or("")
}

/// The id that a Reference names.
pub(super) fn target_id(reference: &Json) -> &str {
    let path = text(reference, "reference");
    let path = path.split("/_history/").next().unwrap_or("");
    path.rsplit('/').next().unwrap_or("")
}

/// What is at a path of names, arrays taken apart.
pub(super) fn all<'j>(json: &'j Json, path: &str) -> impl Iterator<Item = &'j Json> + use<'j> {
    let mut found = vec![json];
    for name in path.split('.').filter(|name| !name.is_empty()) {
        let children = found.into_iter().filter_map(|json| json.get(name));
        found = children
            .flat_map(|child| match child {
                Json::Array(items) => items.iter().collect(),
                other => vec![other],
            })
            .collect();
    }
    found.into_iter()
}

/// The first of them.
pub(super) fn first<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    all(json, path).next()
}

/// The first of them, if it is a text; else empty.
pub(super) fn text<'j>(json: &'j Json, path: &str) -> &'j str {
    first(json, path).and_then(Json::as_str).unwrap_or("")
}

/// A text, a number as it stands, or a boolean as Y or N.
pub(super) fn plain(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(true) => "Y".to_owned(),
        Json::Bool(false) => "N".to_owned(),
        _ => String::new(),
    }
}

/// The first at a path as [`plain`] text.
pub(super) fn value(json: &Json, path: &str) -> String {
    first(json, path).map(plain).unwrap_or_default()
}

/// Whether two versions say the same, but for what every version changes.
pub(super) fn same(one: &Json, other: &Json) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
        return one == other;
    };
    let counts = |name: &String| !matches!(name.as_str(), "meta" | "text");
    let names = one.keys().chain(other.keys()).filter(|name| counts(name));
    names
        .into_iter()
        .all(|name| one.get(name) == other.get(name))
}
