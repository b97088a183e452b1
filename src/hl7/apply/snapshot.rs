//! What a message says of a resource, laid over what is stored: what is empty stays, `""` takes
//! away, what repeats is sent whole and replaces. Elements that no field of v2 knows are left as
//! they are.

use serde_json::{Map, Value as Json};

use super::{content::Content, identity::Identifier};

/// How far a message may change what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It tells how things are now.
    Update,
    /// It merely names the resource: only what is not known yet is added.
    Fill,
}

/// Elements of which one of several types stands there.
const CHOICES: &[&str] = &[
    "abatement",
    "deceased",
    "effective",
    "medication",
    "multipleBirth",
    "occurrence",
    "onset",
    "performed",
    "product",
    "reported",
    "serviced",
    "value",
];

/// Objects whose members come from fields of their own, so that each is kept for itself.
const JOINED: &[&str] = &["hospitalization", "period", "dispenseRequest", "content"];

/// Lists to which a message adds, and of which it takes nothing away by leaving it out.
const ADDED: &[&str] = &[
    "result",
    "relatesTo",
    "statusHistory",
    "classHistory",
    "link",
];

/// Lays what was made over what is there.
pub fn lay(content: &mut Content, made: &Json, nulls: &[String], mode: Mode) {
    let Json::Object(members) = made else { return };
    if mode == Mode::Update {
        for path in nulls {
            content.remove_path(path);
        }
    }
    let is_visit = members.get("resourceType").and_then(Json::as_str) == Some("Encounter");
    for (name, value) in members {
        match name.as_str() {
            "resourceType" | "id" | "meta" | "text" => continue,
            _ => {}
        }
        if mode == Mode::Fill && name != "identifier" {
            if !content.has(name) && !has_choice(content, name) {
                content.set(name, value.clone());
            }
            continue;
        }
        take_choices(content, name, members);
        let new = match (name.as_str(), content.get(name)) {
            ("identifier", Some(before)) => identifiers(&before, value),
            ("extension", Some(before)) => extensions(&before, value),
            ("participant", Some(before)) if is_visit => participants(&before, value),
            ("subject", Some(before)) if value.is_array() => added(&before, value),
            (name, Some(before)) if ADDED.contains(&name) => added(&before, value),
            (name, Some(Json::Object(before))) if JOINED.contains(&name) => joined(&before, value),
            _ => value.clone(),
        };
        content.set(name, new);
    }
}

fn choice(name: &str) -> Option<&'static str> {
    let mut choices = CHOICES.iter().copied();
    choices.find(|stem| {
        let rest = name.trim_start_matches('_').strip_prefix(stem);
        rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
    })
}

fn has_choice(content: &Content, name: &str) -> bool {
    let Some(stem) = choice(name) else {
        return false;
    };
    content.names().any(|own| choice(own) == Some(stem))
}

/// Takes away the same element with another type, and what extended the value before.
fn take_choices(content: &mut Content, name: &str, made: &Map<String, Json>) {
    if let Some(stem) = choice(name) {
        let others: Vec<String> = content
            .names()
            .filter(|own| choice(own) == Some(stem) && !made.contains_key(*own))
            .map(str::to_owned)
            .collect();
        for other in others {
            content.remove(&other);
        }
    }
    let extended = format!("_{name}");
    if !made.contains_key(&extended) && content.has(&extended) {
        content.remove(&extended);
    }
}

/// Identifiers of authorities that the message does not name are kept, and those no longer in use.
fn identifiers(before: &Json, new: &Json) -> Json {
    let new_list = list(new);
    let is_same = |one: &Identifier, other: &Identifier| {
        one.system == other.system && one.value == other.value
    };
    let before_list: Vec<Identifier> = list(before).iter().filter_map(Identifier::of).collect();
    let named: Vec<Identifier> = new_list.iter().filter_map(Identifier::of).collect();
    // Whoever still says a former number does not take the present one away.
    let is_former = |one: &Identifier| {
        let mut own = before_list.iter();
        own.any(|own| own.is_old && is_same(own, one))
    };
    let mut all: Vec<Json> = Vec::new();
    let mut taken = vec![false; new_list.len()];
    for old in list(before) {
        let Some(own) = Identifier::of(&old) else {
            all.push(old);
            continue;
        };
        // In its place, so that the same again is no change.
        let same = new_list
            .iter()
            .position(|one| Identifier::of(one).is_some_and(|one| is_same(&one, &own)));
        if let Some(at) = same {
            if !taken[at] {
                taken[at] = true;
                all.push(match own.is_old {
                    true => old,
                    false => new_list[at].clone(),
                });
            }
        } else if own.is_old || !named.iter().any(|one| is_of(one, &own) && !is_former(one)) {
            all.push(old);
        }
    }
    let rest = new_list.into_iter().zip(taken);
    all.extend(rest.filter(|(_, taken)| !taken).map(|(one, _)| one));
    Json::Array(all)
}

/// True if the one takes the place of the other: of the same authority and the same sort.
fn is_of(new: &Identifier, old: &Identifier) -> bool {
    new.system == old.system && (new.kind == old.kind || new.kind.is_empty() || old.kind.is_empty())
}

fn extensions(before: &Json, new: &Json) -> Json {
    let url = |json: &Json| json.get("url").and_then(Json::as_str).map(str::to_owned);
    let new = list(new);
    let mut all = list(before);
    all.retain(|old| !new.iter().any(|one| url(one) == url(old)));
    all.extend(new);
    Json::Array(all)
}

/// Participants in a part that the message says nothing of are kept.
fn participants(before: &Json, new: &Json) -> Json {
    let part = |json: &Json| {
        let coding = json.pointer("/type/0/coding/0/code").and_then(Json::as_str);
        coding.map(str::to_owned)
    };
    let new = list(new);
    let mut all = new.clone();
    let kept = list(before);
    let kept = kept.into_iter().filter(|old| {
        let own = part(old);
        own.is_some() && !new.iter().any(|one| part(one) == own)
    });
    all.extend(kept);
    Json::Array(all)
}

fn added(before: &Json, new: &Json) -> Json {
    let mut all = list(before);
    for one in list(new) {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    Json::Array(all)
}

fn joined(before: &Map<String, Json>, new: &Json) -> Json {
    let mut all = before.clone();
    if let Json::Object(new) = new {
        for (name, value) in new {
            all.insert(name.clone(), value.clone());
        }
    }
    Json::Object(all)
}

/// The items of a list, or the one value.
pub fn list(json: &Json) -> Vec<Json> {
    match json {
        Json::Array(items) => items.clone(),
        Json::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn laid(before: Json, made: Json, nulls: &[&str]) -> (Json, bool) {
        let mut content = Content::parse(&before.to_string()).expect("an object");
        let nulls: Vec<String> = nulls.iter().map(|path| (*path).to_owned()).collect();
        lay(&mut content, &made, &nulls, Mode::Update);
        (content.json(), content.is_changed())
    }

    #[test]
    fn empty_stays_null_goes_and_repeats_replace() {
        let before = json!({
            "resourceType": "Patient",
            "gender": "female",
            "birthDate": "1970-04-12",
            "maritalStatus": {"text": "M"},
            "photo": [{"url": "http://x"}],
            "deceasedBoolean": false,
            "identifier": [
                {"system": "a", "value": "1"},
                {"system": "b", "value": "2"},
            ],
            "address": [{"city": "A"}, {"city": "B"}],
        });
        let made = json!({
            "resourceType": "Patient",
            "gender": "male",
            "deceasedDateTime": "2024-01-01",
            "identifier": [{"system": "a", "value": "9"}],
            "address": [{"city": "C"}],
        });
        let (after, is_changed) = laid(before, made, &["maritalStatus"]);
        assert!(is_changed);
        assert_eq!(
            after,
            json!({
                "resourceType": "Patient",
                "gender": "male",
                "birthDate": "1970-04-12",
                "photo": [{"url": "http://x"}],
                "deceasedDateTime": "2024-01-01",
                "identifier": [
                    {"system": "b", "value": "2"},
                    {"system": "a", "value": "9"},
                ],
                "address": [{"city": "C"}],
            })
        );
    }

    #[test]
    fn the_same_again_changes_nothing() {
        let before = json!({
            "resourceType": "Patient",
            "gender": "female",
            "identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "2"}],
        });
        let made = json!({
            "resourceType": "Patient",
            "gender": "female",
            "identifier": [{"system": "b", "value": "2"}, {"system": "a", "value": "1"}],
        });
        assert!(!laid(before, made, &["birthDate"]).1);
    }
}
