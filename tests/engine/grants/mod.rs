//! What rules of roles, scopes and consents let be read, found and written: tables of rules,
//! requests and what comes of them.

use std::{collections::BTreeSet, sync::Arc};

use rotunda::{
    access::{Access, Denial, Grants, Relation, Right, Rights, Rule},
    engine::Error,
    search::decode,
};

use crate::fixture::*;

mod hops;
mod orders;
mod random;
mod reads;
mod writes;

/// `user/Observation.rs?code=a&status=final`, `a/*.rs`, `a+b/…` for the compartments of patients,
/// `@d/…` for those in the care of Practitioner/d, `@ServiceRequest?status=active/…` for those with
/// such an order.
pub fn rule(text: &str) -> Rule {
    let (who, rest) = text.split_once('/').unwrap();
    let (what, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (name, letters) = what.split_once('.').unwrap();
    let rights = Right::ALL.map(|right| letters.contains(right.letter()).then_some(right));
    let rights: Vec<Right> = rights.into_iter().flatten().collect();
    Rule {
        kind: (name != "*").then(|| kind(name)),
        rights: Rights::of(&rights),
        patients: match who {
            "user" => Vec::new(),
            carer if carer.starts_with('@') => Vec::new(),
            patients => patients.split('+').map(str::to_owned).collect(),
        },
        constraints: decode(query),
        relation: who.strip_prefix('@').map(relation),
        own: false,
    }
}

fn relation(text: &str) -> Relation {
    let (name, query) = text.split_once('?').unwrap_or((text, ""));
    match resources::model::ResourceType::from_name(name) {
        Some(kind) => Relation::Order {
            kind,
            constraints: decode(query),
        },
        None => Relation::Care(format!("Practitioner/{text}")),
    }
}

/// Rules between spaces, and behind `-` what is denied: `-b`, `-b/Observation?status=final`.
pub fn granted(text: &str) -> Access {
    let (denials, rules): (Vec<&str>, Vec<&str>) = text
        .split_whitespace()
        .partition(|part| part.starts_with('-'));
    let denial = |text: &str| {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut parts = path[1..].split('/');
        Denial {
            patient: parts.next().unwrap().to_owned(),
            kinds: parts.map(kind).collect(),
            constraints: decode(query),
        }
    };
    let rules = rules.into_iter().map(rule).collect();
    let denials = denials.into_iter().map(denial).collect();
    Access::granted(Arc::new(Grants::new(rules, denials)))
}

const WORLD: &[&str] = &[
    r#"{"resourceType":"Patient","id":"a","name":[{"family":"Aa"}]}"#,
    r#"{"resourceType":"Patient","id":"b","name":[{"family":"Bb"}],"link":[{"other":{"reference":"Patient/a"},"type":"seealso"}]}"#,
    r#"{"resourceType":"Practitioner","id":"d"}"#,
    r#"{"resourceType":"Organization","id":"o","name":"O"}"#,
    r#"{"resourceType":"ValueSet","id":"v","url":"urn:v","status":"draft"}"#,
    r#"{"resourceType":"Encounter","id":"ea","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/a"},"participant":[{"individual":{"reference":"Practitioner/d"}}]}"#,
    r#"{"resourceType":"Observation","id":"lab-a","status":"final","category":[{"coding":[{"system":"urn:c","code":"lab"}]}],"code":{"text":"c"},"subject":{"reference":"Patient/a"},"encounter":{"reference":"Encounter/ea"}}"#,
    r#"{"resourceType":"Observation","id":"vital-a","status":"final","category":[{"coding":[{"system":"urn:c","code":"vital"}]}],"code":{"text":"c"},"subject":{"reference":"http://h/fhir/Patient/a"}}"#,
    r#"{"resourceType":"Observation","id":"lab-b","status":"final","category":[{"coding":[{"system":"urn:c","code":"lab"}]}],"code":{"text":"c"},"subject":{"reference":"Patient/b"},"hasMember":[{"reference":"Observation/lab-a"}]}"#,
    r#"{"resourceType":"Observation","id":"by-a","status":"final","category":[{"coding":[{"system":"urn:c","code":"own"}]}],"code":{"text":"c"},"subject":{"reference":"Patient/b"},"performer":[{"reference":"Patient/a"}]}"#,
    r#"{"resourceType":"Observation","id":"about-a","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/b"},"focus":[{"reference":"Patient/a"}]}"#,
    r#"{"resourceType":"Group","id":"a","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/a"}}]}"#,
    r#"{"resourceType":"Group","id":"ab","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/a"}},{"entity":{"reference":"Patient/b"}}]}"#,
    r#"{"resourceType":"List","id":"a","status":"current","mode":"working","subject":{"reference":"Patient/a"},"entry":[{"item":{"reference":"Observation/lab-a"}}]}"#,
    r#"{"resourceType":"List","id":"ab","status":"current","mode":"working","subject":{"reference":"Patient/a"},"entry":[{"item":{"reference":"Patient/b"}}]}"#,
    r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-12-01T10:00:00Z","end":"2026-12-01T10:30:00Z","participant":[{"actor":{"reference":"Patient/a"},"status":"accepted"}]}"#,
    r#"{"resourceType":"Appointment","id":"ab","status":"booked","start":"2026-12-01T11:00:00Z","end":"2026-12-01T11:30:00Z","participant":[{"actor":{"reference":"Patient/a"},"status":"accepted"},{"actor":{"reference":"Patient/b"},"status":"accepted"}]}"#,
    r#"{"resourceType":"Provenance","id":"ab","target":[{"reference":"Patient/a"},{"reference":"Patient/b"}],"recorded":"2026-11-20T00:00:00Z","agent":[{"who":{"reference":"Practitioner/d"}}]}"#,
    r#"{"resourceType":"Device","id":"a","patient":{"reference":"Patient/a"}}"#,
    r#"{"resourceType":"Device","id":"b","patient":{"reference":"Patient/b"}}"#,
    r#"{"resourceType":"Device","id":"none"}"#,
    r#"{"resourceType":"Bundle","id":"x","type":"collection"}"#,
    r#"{"resourceType":"Binary","id":"a","contentType":"text/plain","securityContext":{"reference":"Patient/a"},"data":"QQ=="}"#,
    r#"{"resourceType":"Binary","id":"b","contentType":"text/plain","securityContext":{"reference":"Patient/b"},"data":"Qg=="}"#,
    r#"{"resourceType":"Binary","id":"lab","contentType":"text/plain","securityContext":{"reference":"Observation/lab-a"},"data":"Qw=="}"#,
    r#"{"resourceType":"Binary","id":"none","contentType":"text/plain","data":"RA=="}"#,
];

pub async fn world(on: Database) -> Fixture {
    let f = Fixture::new(on).await;
    for text in WORLD {
        f.put(text).await;
    }
    f
}

/// Those of the world that can be read, in its order; or the refusal.
pub async fn readable(f: &Fixture, name: &str, access: &Access) -> String {
    let mut seen = Vec::new();
    for text in WORLD {
        let doc = doc(text);
        if doc.resource_type() != Some(name) {
            continue;
        }
        let id = at(doc.root(), "id");
        match f.engine.read(kind(name), &id, access).await {
            Ok(_) => seen.push(id),
            Err(error) if error == Error::not_found(kind(name), &id) => {}
            Err(error) => return status(&error),
        }
    }
    seen.join(" ")
}

pub async fn found(f: &Fixture, text: &str, access: &Access) -> String {
    let found = match f.search_as(text, access).await {
        Ok(found) => found,
        Err(error) => return status(&error),
    };
    let found = identities(&found);
    let mut ids: Vec<&str> = (found.iter())
        .map(|identity| identity.split_once('/').unwrap().1)
        .collect();
    ids.sort_unstable();
    ids.join(" ")
}

pub fn status(error: &Error) -> String {
    error.kind.status().to_string()
}

pub fn sorted(ids: &str) -> String {
    let ids: BTreeSet<&str> = ids.split_whitespace().collect();
    ids.into_iter().collect::<Vec<_>>().join(" ")
}

/// The cells of a table: `|` between them, a row on each line.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| line.split(" |").map(str::trim).collect())
        .collect()
}

fn about(patient: &str) -> String {
    format!(r#""subject":{{"reference":"{patient}"}}"#)
}

fn observation(id: &str, members: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"c"}},{members}}}"#
    )
}
