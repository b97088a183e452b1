//! Requests that might tell something, made from the search parameters.

use resources::{
    index::{Kind, Param, Registry},
    model::ResourceType,
};

use super::world::{CANARY, Thing};
use crate::fixture::*;

/// A request with something of B's in it, to be compared with the same about what never was.
pub struct Pair {
    url: String,
    real: String,
    never: String,
}

impl Pair {
    /// `$` in the URL stands for what is B's.
    fn new(url: String, real: &str) -> Self {
        // As long as the other, and nowhere else.
        let never = match real.strip_prefix(CANARY) {
            Some(rest) => format!("Ncanary{rest}"),
            None => format!("n{}", &real[1..]),
        };
        Self {
            url,
            real: real.to_owned(),
            never,
        }
    }

    pub fn real(&self) -> String {
        self.url.replace('$', &self.real).replace('\u{a7}', "$")
    }

    pub fn never(&self) -> String {
        self.url.replace('$', &self.never).replace('\u{a7}', "$")
    }

    /// The answer to the real one as it should be for the other.
    pub fn neutral(&self, answer: &str) -> String {
        match self.real.as_str() {
            // Too short to be replaced wherever it stands.
            "b" => answer
                .replace("Patient/b", "Patient/n")
                .replace("Patient%2Fb", "Patient%2Fn")
                .replace("_id=b", "_id=n")
                .replace("_id%20eq%20b", "_id%20eq%20n")
                .replace("of Patient b", "of Patient n"),
            real => answer.replace(real, &self.never),
        }
    }
}

fn b_of(things: &[Thing], kind: ResourceType) -> Vec<&Thing> {
    things
        .iter()
        .filter(|thing| thing.kind == kind && thing.is_of_b())
        .collect()
}

/// Requests over all types.
pub fn everywhere(things: &[Thing]) -> (Vec<String>, Vec<Pair>) {
    let plain = [
        "?_count=1000",
        "?_count=1000&_summary=text",
        "?_count=1000&_sort=-_lastUpdated",
        "?_type=Patient,Observation,Group&_count=1000&_sort=_id",
        "?_count=1000&_include=*&_revinclude=*",
        "_history?_count=1000",
        "_history?_since=2020-01-01&_count=1000",
        "_history?_at=2026-11-20&_count=1000",
        "_history?_count=1000&_summary=true",
        "$meta",
        "Patient/a/*?_count=1000",
        "Patient/a/$everything?_count=1000",
        "Patient/$everything?_count=1000",
        "Patient/a/$everything?_since=2020-01-01&_count=1000",
        "metadata/../Patient/b",
        "Patient/a/../b",
    ];
    let mut pairs = vec![
        Pair::new("?_text=$&_type=Patient,Observation".to_owned(), "Bcanary00"),
        Pair::new("?_tag=urn:canary|$".to_owned(), "Bcanary00"),
    ];
    for kind in resources::model::compartments::kinds() {
        let of_b = b_of(things, kind);
        let ids = of_b.iter().map(|thing| thing.id.as_str());
        // What A's things refer to has a compartment with them in it.
        let mut ids: Vec<&str> = ids.filter(|id| id.starts_with('b')).collect();
        if kind == ResourceType::PATIENT {
            ids.push("b");
        }
        for id in ids {
            pairs.push(Pair::new(format!("{kind}/$/*?_count=1000"), id));
            pairs.push(Pair::new(
                format!("{kind}/$/Observation?_total=accurate"),
                id,
            ));
        }
    }
    (plain.map(str::to_owned).to_vec(), pairs)
}

/// Requests about one type.
pub fn of_type(kind: ResourceType, things: &[Thing]) -> (Vec<String>, Vec<Pair>) {
    let registry = Registry::builtin();
    let mut plain: Vec<String> = [
        "?_count=1000",
        "?_count=1000&_summary=true",
        "?_count=1000&_summary=data",
        "?_count=1000&_elements=meta",
        "?_count=1000&_include=*&_revinclude=*",
        "?_count=1000&_has:Provenance:target:_lastUpdated=gt2020",
        "/_history?_count=1000",
        "/_history?_since=2020-01-01&_count=1000",
        "/_history?_at=2026-11-20&_count=1000",
        "/$meta",
    ]
    .iter()
    .map(|rest| format!("{kind}{rest}"))
    .collect();
    plain.push(format!("Patient/a/{kind}?_count=1000"));
    let mut pairs = Vec::new();
    let mut ids: Vec<&str> = b_of(things, kind)
        .iter()
        .map(|thing| thing.id.as_str())
        .collect();
    if kind == ResourceType::PATIENT {
        ids.push("b");
    }
    for id in ids {
        for rest in [
            "/$",
            "/$/_history",
            "/$/_history/1",
            "/$/_history/2",
            "/$/\u{a7}meta",
            "/$/_history/1/\u{a7}meta",
            "?_id=$&_total=accurate",
            "?_id=$&_include=*",
            "?_filter=_id eq $",
        ] {
            pairs.push(Pair::new(format!("{kind}{rest}"), id));
        }
    }
    for word in ["_text", "_content", "identifier", "_tag"] {
        let value = if word.starts_with("_t") && word.ends_with('t') || word == "_content" {
            "$"
        } else {
            "urn:canary|$"
        };
        let url = format!("{kind}?{word}={value}&_total=accurate");
        pairs.push(Pair::new(url, "Bcanary00"));
    }
    for param in registry.of(kind) {
        plain.push(format!("{kind}?{}:missing=false&_count=1000", param.code));
        plain.push(format!("{kind}?_sort=-{}&_count=1000", param.code));
        match param.kind {
            Kind::String => pairs.push(Pair::new(
                format!("{kind}?{}:contains=$&_total=accurate", param.code),
                "Bcanary00",
            )),
            Kind::Reference => reference(kind, param, things, &mut plain, &mut pairs),
            _ => {}
        }
    }
    (plain, pairs)
}

/// Ways by a reference.
fn reference(
    kind: ResourceType,
    param: &Param,
    things: &[Thing],
    plain: &mut Vec<String>,
    pairs: &mut Vec<Pair>,
) {
    let code = &param.code;
    plain.push(format!("{kind}?_include={kind}:{code}&_count=1000"));
    plain.push(format!("Patient?_revinclude={kind}:{code}&_count=1000"));
    let mut pair = |url: String, real: &str| pairs.push(Pair::new(url, real));
    pair(
        format!("{kind}?{code}:identifier=urn:canary|$"),
        "Bcanary00",
    );
    let targets: Vec<ResourceType> = match param.targets[..] {
        [] => vec![ResourceType::PATIENT, ResourceType::OBSERVATION],
        _ => param.targets.clone(),
    };
    for target in targets {
        if target == ResourceType::PATIENT {
            pair(format!("{kind}?{code}=Patient/$&_total=accurate"), "b");
            pair(format!("{kind}?{code}:Patient._id=$&_total=accurate"), "b");
            pair(format!("{kind}?{code}:Patient.family=$"), "Bcanary00");
            pair(
                format!("Patient?_has:{kind}:{code}:_tag=urn:canary|$"),
                "Bcanary00",
            );
        }
        let of_b = b_of(things, target);
        // What only B's things refer to, and what A's do, too.
        let mut own = of_b.iter().filter(|thing| thing.id.starts_with('b'));
        let mut both = of_b.iter().filter(|thing| thing.id.starts_with('w'));
        if let Some(thing) = own.next() {
            pair(format!("{kind}?{code}={target}/$"), &thing.id);
        }
        if let Some(thing) = both.next() {
            pair(
                format!("{kind}?{code}:{target}._id=$&_total=accurate"),
                &thing.id,
            );
            pair(
                format!("{kind}?{code}:{target}._tag=urn:canary|$"),
                "Bcanary00",
            );
        }
        let mut sources = b_of(things, kind).into_iter();
        if let Some(thing) = sources.next() {
            pair(
                format!("{target}?_has:{kind}:{code}:_id=$&_total=accurate"),
                &thing.id,
            );
        }
    }
}

/// The second pages of what everybody sees, by links that were made for who may see all.
pub async fn pages(f: &Fixture, things: &[Thing]) -> Vec<String> {
    let mut out = Vec::new();
    let mut searches = vec!["?_type=Patient,Observation&_count=1".to_owned()];
    let mut kinds: Vec<ResourceType> = things.iter().map(|thing| thing.kind).collect();
    kinds.dedup();
    for kind in kinds {
        searches.push(format!("{kind}?_count=1"));
        searches.push(format!("{kind}?_count=1&_sort=-_id"));
        searches.push(format!("{kind}?_count=2&_sort=_lastUpdated"));
    }
    for search in searches {
        let page = f.search(&search).await.unwrap();
        out.extend(link(&page, "next").map(|url| {
            url.replace("http://h/fhir/", "")
                .replace("http://h/fhir", "")
        }));
    }
    out
}
