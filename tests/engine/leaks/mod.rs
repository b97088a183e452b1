//! What one patient may see tells nothing about another: every route, parameter, chain and
//! include, made from the definitions.

mod routes;
mod world;

use std::{collections::BTreeSet, sync::Arc};

use resources::model::ResourceType;
use rotunda::{
    access::{Access, Caller, Identity},
    engine::ErrorKind,
};

use crate::{fixture::*, grants::granted, minimal::minimal};
use routes::{Pair, everywhere, of_type, pages};
use world::{CANARY, OWN, leaked};
pub use world::{Random, Thing, store, things};

on_both_databases!(
    nothing_of_one_patient_reaches_another,
    a_leak_that_is_planted_is_found,
    writes_do_not_tell_what_is_hidden,
);

const SEED: u64 = 20_261_124;
/// GET entries of one batch.
const TOGETHER: usize = 100;

async fn two_patients(on: Database) -> (Fixture, Vec<Thing>) {
    let f = Fixture::new(on).await;
    let things = things(&mut Random(SEED));
    store(&f, &things).await;
    for (id, word) in [("a", OWN), ("b", CANARY)] {
        let who = somebody(word);
        let read = f.engine.read(kind("Patient"), id, &who).await;
        assert!(read.unwrap().id == id);
        for query in ["Observation?patient=", "Patient?_id="] {
            f.search_as(&format!("{query}{id}"), &who).await.unwrap();
        }
    }
    (f, things)
}

/// Who may see all, by a name that must not get out.
fn somebody(word: &str) -> Access {
    let name = Some(format!("{word}00"));
    ALL.by(Arc::new(Caller {
        identity: Arc::new(Identity {
            client: name.clone(),
            user: name,
            ..Identity::default()
        }),
        address: None,
        request: format!("{word}00"),
    }))
}

/// Whether the world gave the id to something of B's.
fn is_of_b(id: &str) -> bool {
    let number = id.strip_prefix(['b', 'w']);
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The entries of the answer to a batch of GETs.
async fn answers(f: &Fixture, urls: &[String], access: &Access) -> Vec<String> {
    let mut out = Vec::with_capacity(urls.len());
    for urls in urls.chunks(TOGETHER) {
        let entry = |url: &String| {
            let url = url.replace('"', "%22");
            format!(r#"{{"request":{{"method":"GET","url":"{url}"}}}}"#)
        };
        let entries_: Vec<String> = urls.iter().map(entry).collect();
        let batch = format!(
            r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#,
            entries_.join(",")
        );
        let answer = f.engine.bundle(doc(&batch), &OPTIONS, access).await;
        let answer = doc(&answer.unwrap());
        out.extend(entries(&answer).iter().map(|entry| entry.raw().to_owned()));
    }
    out
}

/// All that gets out: requests, and what is wrong with their answers.
async fn leaks(
    f: &Fixture,
    plain: &[String],
    pairs: &[Pair],
    access: &Access,
) -> (Vec<String>, usize) {
    let mut found = Vec::new();
    let mut own = 0;
    for (url, answer) in plain.iter().zip(answers(f, plain, access).await) {
        own += answer.matches(OWN).count();
        if let Some(word) = leaked(&answer) {
            let at = answer.find(word).unwrap();
            let start = answer[..at].rfind("fullUrl").unwrap_or(at);
            found.push(format!("{url}: has {word} in {}", &answer[start..at]));
        }
        let identities = answer.split(r#""fullUrl":"http://h/fhir/"#).skip(1);
        let foreign = identities
            .filter_map(|rest| rest.split('"').next()?.split_once('/'))
            .any(|(_, id)| is_of_b(id));
        if foreign {
            found.push(format!("{url}: has a resource of B"));
        }
    }
    let real: Vec<String> = pairs.iter().map(Pair::real).collect();
    let never: Vec<String> = pairs.iter().map(Pair::never).collect();
    let answers_ = answers(f, &real, access).await;
    for ((pair, real), never) in pairs
        .iter()
        .zip(answers_)
        .zip(answers(f, &never, access).await)
    {
        if pair.neutral(&real) != never {
            let url = pair.real();
            found.push(format!(
                "{url}: differs from what never was\n  {real}\n  {never}"
            ));
        }
    }
    (found, own)
}

async fn nothing_of_one_patient_reaches_another(on: Database) {
    let (f, things) = two_patients(on).await;
    let mut kinds: BTreeSet<ResourceType> = things.iter().map(|thing| thing.kind).collect();
    kinds.extend([ResourceType::PATIENT, ResourceType::AUDIT_EVENT]);
    assert!(kinds.len() > 60, "{}", kinds.len());
    for rules in [
        "a/*.cruds",
        "a/*.rs a/Observation.rs?status=final user/Organization.rs",
        "@nobody/*.rs a/*.s",
        "user/*.rs -b",
    ] {
        let access = granted(rules);
        let (mut plain, mut pairs) = everywhere(&things);
        // The first rules everywhere, the others where there are most ways; PostgreSQL, which
        // takes longer, at every other type, as what is asked is made in the same place.
        let step = match on {
            Database::Sqlite => 1,
            Database::Postgres => 2,
        };
        for (at, kind) in kinds.iter().enumerate() {
            let some = ["AuditEvent", "Patient", "Observation", "Encounter", "Group"];
            if rules == "a/*.cruds" && at % step == 0 || some.contains(&kind.name()) {
                let (more, with) = of_type(*kind, &things);
                plain.extend(more);
                pairs.extend(with);
            }
        }
        plain.extend(pages(&f, &things).await);
        let (found, own) = leaks(&f, &plain, &pairs, &access).await;
        let first: Vec<&String> = found.iter().take(10).collect();
        assert_eq!(found.len(), 0, "{rules}: {first:#?}");
        assert!(
            own > 1_000,
            "{rules}: {own} of A's own words in {}",
            plain.len()
        );
    }
}

async fn a_leak_that_is_planted_is_found(on: Database) {
    let (f, things) = two_patients(on).await;
    for (planted, name) in [
        ("user/Observation.rs", "Observation"),
        ("user/Observation.s", "Observation"),
        ("user/Observation.r", "Observation"),
        ("user/Coverage.rs", "Coverage"),
        ("user/Group.s", "Group"),
        ("user/Patient.r", "Patient"),
        ("user/Binary.r", "Binary"),
        ("user/AuditEvent.s", "AuditEvent"),
        ("b/Immunization.s", "Immunization"),
        (
            "user/Condition.s?clinical-status:missing=false user/Condition.s?_tag=urn:canary|",
            "Condition",
        ),
    ] {
        let access = granted(&format!("a/*.rs {planted}"));
        let (plain, pairs) = of_type(kind(name), &things);
        let (found, _) = leaks(&f, &plain, &pairs, &access).await;
        assert!(!found.is_empty(), "{planted} was not found");
        // Each by itself: words that get out, and answers that differ.
        let differs = found.iter().any(|leak| leak.contains("differs"));
        assert!(differs, "{planted} shows in no comparison");
        // What does not name the type is tight, but for what leads to it.
        let others: Vec<String> = found
            .iter()
            .filter(|leak| !leak.contains(name))
            .cloned()
            .collect();
        assert_eq!(others, Vec::<String>::new(), "{planted}");
    }
}

/// Conditional creates, updates, deletes and references that name what B has, beside ones that
/// name nothing: both come to the same, and B's resources stay as they are.
async fn writes_do_not_tell_what_is_hidden(on: Database) {
    let (f, things) = two_patients(on).await;
    let access = granted("a/*.cruds");
    let registry = resources::index::Registry::builtin();
    let status = |done: Result<rotunda::engine::Done, rotunda::engine::Error>| match done {
        Ok(done) => format!("{:?} {}", done.status, done.changed),
        Err(error) => format!("{:?} {:?}", error.kind, error.issues),
    };
    let mut kinds: Vec<ResourceType> = things.iter().map(|thing| thing.kind).collect();
    kinds.dedup();
    kinds.push(ResourceType::PATIENT);
    let mut tried = 0;
    for kind in kinds {
        if registry.param(kind, "identifier").is_none() {
            continue;
        }
        let param = world::params_of(kind)
            .iter()
            .find_map(|code| registry.param(kind, code));
        let body = match param {
            Some(param) => minimal(kind, "new", &param.expression, "a"),
            None => r#"{"resourceType":"Patient","id":"new"}"#.to_owned(),
        };
        let new = body.replacen(r#""id":"new","#, "", 1);
        let mut came = Vec::new();
        for word in [CANARY, "Ncanary"] {
            let query = format!("identifier=urn:canary|{word}00");
            let target = rotunda::engine::Target::Search(query.clone());
            let update = rotunda::engine::Operation::Update {
                kind,
                target: target.clone(),
                body: doc(&new),
                if_match: None,
                if_none_match_any: false,
            };
            let mut all = Vec::new();
            for operation in [
                delete(kind.name(), target),
                create(&new, Some(&query)),
                update,
            ] {
                let done = f.one_as(operation, &access).await;
                all.push(status(done).replace(word, "?"));
            }
            let reference = format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"POST","url":"Basic"}},"resource":{{"resourceType":"Basic","code":{{"text":"c"}},"subject":{{"reference":"{kind}?{query}"}}}}}}]}}"#
            );
            let done = f.engine.bundle(doc(&reference), &OPTIONS, &access).await;
            let error = done.unwrap_err();
            assert_ne!(error.kind, ErrorKind::Internal);
            all.push(format!("{error:?}").replace(word, "?"));
            came.push(all);
        }
        assert_eq!(came[0], came[1], "{kind}");
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
    for thing in things.iter().filter(|thing| thing.is_of_b()) {
        match f.engine.read(thing.kind, &thing.id, &ALL).await {
            Ok(read) => assert!(leaked(read.text().unwrap()).is_some(), "{thing:?}"),
            Err(error) => assert_eq!(error.kind, ErrorKind::Gone, "{thing:?}"),
        }
    }
    assert!(f.read("Patient", "b").await.is_ok());
}
