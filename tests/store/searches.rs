//! The same searches over the demo hospital, on each database and in memory: the answers are the
//! same.

use std::{
    collections::BTreeSet,
    io::Read,
    sync::{Arc, LazyLock},
};

use resources::{
    Doc,
    index::{Entry, Registry},
    model::ResourceType,
};
use rotunda::{
    access::{Access, Denial, Grants, Relation, Right, Rights, Rule},
    search::{
        Request, Resolved, Scope, SearchLimits, access_clause, decode,
        memory::{Item, MemoryIndex},
        parse,
        plan::{Clause, Plan, TotalMode},
    },
    store::Store,
};

use crate::fixture::{ALL, Fixture, create, put};

const BASE: &str = "http://localhost/fhir";
/// 2026-11-20T00:00:00Z.
const NOW: i64 = 1_795_132_800_000;

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::builtin);

on_both_databases!(searches_find_what_they_find_in_memory);

fn hospital() -> Vec<(Item, Vec<Entry>)> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&include_bytes!("../../demo/hospital.ndjson.gz")[..])
        .read_to_string(&mut text)
        .unwrap();
    let item = |(at, line): (usize, &str)| {
        let doc = Doc::parse(line).unwrap();
        let kind = ResourceType::from_name(doc.resource_type().unwrap()).unwrap();
        let rows = REGISTRY.rows(kind, &doc, BASE);
        let item = Item {
            kind,
            id: doc
                .root()
                .get("id")
                .unwrap()
                .plain_str()
                .unwrap()
                .to_owned(),
            updated: NOW + (at / 3) as i64,
            entries: REGISTRY.extract(kind, &doc, BASE),
            text: None,
        };
        (item, rows)
    };
    text.push_str(
        r#"{"resourceType":"Condition","id":"of-a-group","subject":{"reference":"Group/aa"}}"#,
    );
    text.lines().enumerate().map(item).collect()
}

async fn searches_find_what_they_find_in_memory(Fixture { store, url, .. }: &Fixture) {
    let items = hospital();
    load(store, &items).await;
    // Another store, or the same database again, with so small a bound that most searches walk
    // an index instead of collecting.
    let options = rotunda::store::Options {
        candidates: 3,
        ..Default::default()
    };
    let walking = match url.strip_prefix("sqlite:") {
        Some(path) => {
            let url = format!("sqlite:{path}.second");
            let second = Store::open(&url, &options).await.unwrap();
            load(&second, &items).await;
            second
        }
        None => Store::open(url, &options).await.unwrap(),
    };
    let memory = MemoryIndex::new(items.into_iter().map(|(item, _)| item).collect());
    compare_all(store, &memory).await;
    compare_all(&walking, &memory).await;
    walking.close().await;
}

async fn load(store: &Store, items: &[(Item, Vec<Entry>)]) {
    for some in items.chunks(500) {
        let write = |(item, rows): &(Item, Vec<Entry>)| rotunda::store::Write {
            updated: item.updated,
            ..create(item.kind, &item.id, rows.clone())
        };
        put(store, some.iter().map(write).collect()).await.unwrap();
    }
}

async fn compare_all(store: &Store, memory: &MemoryIndex) {
    let mut empty = Vec::new();
    let lines = SEARCHES.lines().map(str::trim);
    for (at, text) in lines.filter(|line| !line.is_empty()).enumerate() {
        let plan = plan(text);
        let found = all_pages(store, memory, text, &plan, &ALL).await;
        if found.is_empty() {
            empty.push(text);
        }
        // Each search with one half of them or the other.
        for access in limited().iter().skip(at % 2).step_by(2) {
            all_pages(store, memory, text, &plan, access).await;
        }
    }
    assert!(
        empty.len() < 12,
        "these find nothing, so they prove little: {empty:#?}"
    );
}

/// Decisions that hide something.
fn limited() -> Vec<Access> {
    let kind = |name: &str| ResourceType::from_name(name).unwrap();
    let all = || Rule {
        kind: None,
        rights: Rights::of(&[Right::Search]),
        patients: Vec::new(),
        constraints: Vec::new(),
        relation: None,
        own: false,
    };
    let of = |id: &str| Rule {
        patients: vec![id.to_owned()],
        ..all()
    };
    let carer = Rule {
        relation: Some(Relation::Care("Practitioner/practitioner-07".to_owned())),
        ..all()
    };
    let laboratory = Rule {
        relation: Some(Relation::Order {
            kind: kind("ServiceRequest"),
            constraints: decode("category=108252007,laboratory&status=active,completed"),
        }),
        ..all()
    };
    let vital_signs = Rule {
        kind: Some(kind("Observation")),
        constraints: decode("category=vital-signs,laboratory"),
        ..all()
    };
    let denial = |kinds: &[&str], query| Denial {
        patient: "patient-02".to_owned(),
        kinds: kinds.iter().map(|name| kind(name)).collect(),
        constraints: decode(query),
    };
    let granted = |rules, denials| {
        let grants = Arc::new(Grants::new(rules, denials));
        Access::granted(grants).to(Right::Search)
    };
    vec![
        Access::compartment(kind("Patient"), "patient-01".to_owned()),
        Access::compartment(kind("Practitioner"), "practitioner-07".to_owned()),
        granted(vec![of("patient-01")], vec![]),
        granted(vec![carer], vec![]),
        granted(vec![laboratory], vec![]),
        granted(
            vec![of("patient-01"), vital_signs, of("patient-03")],
            vec![denial(&[], "category=vital-signs")],
        ),
        granted(vec![all()], vec![denial(&["Observation", "Patient"], "")]),
    ]
}

fn plan(text: &str) -> Plan {
    let (path, query) = text.split_once('?').unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let kind = |name: &str| ResourceType::from_name(name).unwrap();
    let scope = match parts.as_slice() {
        [""] => Scope::System,
        [name] => Scope::Type(kind(name)),
        [compartment, id, member] => Scope::Compartment {
            kind: kind(compartment),
            id: (*id).to_owned(),
            member: (*member != "*").then(|| kind(member)),
        },
        _ => panic!("{text}"),
    };
    let params = decode(query);
    let request = Request {
        scope,
        params: &params,
        strict: true,
        base_url: BASE,
        now: NOW,
    };
    let query = parse(&request, &REGISTRY, &SearchLimits::default())
        .unwrap_or_else(|issues| panic!("{text}: {issues:?}"));
    query.plan(&Resolved::none()).unwrap()
}

/// Reads the whole result page by page and compares it with that of memory.
async fn all_pages(
    store: &Store,
    memory: &MemoryIndex,
    text: &str,
    plan: &Plan,
    access: &Access,
) -> BTreeSet<String> {
    let expected = memory.search(&Plan {
        filter: visible(plan, access),
        limit: usize::MAX,
        ..plan.clone()
    });
    let name = |item: &Item| format!("{}/{}", item.kind, item.id);
    let wanted: BTreeSet<String> = expected
        .hits
        .iter()
        .map(|hit| name(&memory.items()[hit.item]))
        .collect();
    let mut found = BTreeSet::new();
    let mut order = Vec::new();
    let mut plan = Plan {
        limit: (wanted.len() / 3).clamp(2, 400),
        total: TotalMode::Accurate,
        ..plan.clone()
    };
    loop {
        let page = store.search(&plan, access).await.unwrap();
        assert_eq!(
            page.total,
            Some((wanted.len() as u64, true)),
            "total of {text}"
        );
        for hit in &page.hits {
            let head = &hit.stored.head;
            let new = found.insert(format!("{}/{}", head.kind, head.id));
            assert!(new, "{text}: {}/{} is there twice", head.kind, head.id);
            order.push(hit.sort.clone());
        }
        match page.hits.last() {
            Some(last) if page.more => plan.after = Some(last.position.clone()),
            _ => break,
        }
        assert!(found.len() <= wanted.len(), "{text}: more than there are");
    }
    assert_eq!(found, wanted, "{text} with {access:?}");
    if !plan.sort.is_empty() {
        let expected: Vec<_> = expected.hits.into_iter().map(|hit| hit.sort).collect();
        assert_eq!(order, expected, "the order of {text}");
    }
    found
}

/// The plan's condition with what `access` adds for each type, at each hop.
fn visible(plan: &Plan, access: &Access) -> Clause {
    let of_type = |kind: &ResourceType| seen(&Clause::Type(*kind), *kind, access);
    let types = plan.types.iter().map(of_type).collect();
    Clause::All(vec![hops_seen(&plan.filter, access), Clause::Any(types)])
}

fn seen(clause: &Clause, kind: ResourceType, access: &Access) -> Clause {
    let mut parts = vec![hops_seen(clause, access)];
    parts.extend(access_clause(access, kind, &REGISTRY));
    Clause::All(parts)
}

fn hops_seen(clause: &Clause, access: &Access) -> Clause {
    let each = |parts: &[Clause]| parts.iter().map(|part| hops_seen(part, access)).collect();
    match clause {
        Clause::All(parts) => Clause::All(each(parts)),
        Clause::Any(parts) => Clause::Any(each(parts)),
        Clause::Not(part) => Clause::Not(Box::new(hops_seen(part, access))),
        Clause::Refers {
            param,
            target,
            canonical,
            inner,
        } => Clause::Refers {
            param: *param,
            target: *target,
            canonical: *canonical,
            inner: Box::new(seen(inner, *target, access)),
        },
        Clause::ReferredBy {
            source,
            param,
            canonical,
            inner,
        } => Clause::ReferredBy {
            source: *source,
            param: *param,
            canonical: *canonical,
            inner: Box::new(seen(inner, *source, access)),
        },
        other => other.clone(),
    }
}

/// One per line; a blank in a value is `%20`.
const SEARCHES: &str = r#"
    Patient?
    Patient?identifier=MRN70001
    Patient?identifier=http://demo.rotunda.example/mrn|MRN70001
    Patient?identifier=http://demo.rotunda.example/mrn|
    Patient?identifier=|MRN70001
    Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|MRN70001
    Patient?identifier:text=medical
    Patient?gender=male
    Patient?gender=male,female
    Patient?gender:not=male
    Patient?gender:not=male,female
    Patient?gender:missing=true
    Patient?gender:missing=false
    Patient?active=true&gender=female
    Patient?name=ada
    Patient?name=ad
    Patient?family=HOLLANDER
    Patient?family:exact=Hollander
    Patient?family:exact=hollander
    Patient?family:contains=LL
    Patient?name:contains=a&name:contains=e
    Patient?address-city=north
    Patient?telecom=%2B1%20555%201001
    Patient?birthdate=1935
    Patient?birthdate=1935-03-11
    Patient?birthdate=ge1950&birthdate=lt1980
    Patient?birthdate=gt1950-06
    Patient?birthdate=le1960
    Patient?birthdate=ne1935-03-11
    Patient?birthdate=sa1960
    Patient?birthdate=eb1960
    Patient?birthdate=ap1950
    Patient?birthdate=lt1940,gt2000
    Patient?_id=patient-01,patient-02,nobody
    Patient?_id:not=patient-01
    Patient?_lastUpdated=gt2026-11-20T00:00:00.030Z
    Patient?_lastUpdated=le2026-11-20T00:00:00.030Z
    Patient?_lastUpdated=ge2026-11-20&_lastUpdated=lt2026-11-20T00:00:00.025Z
    Patient?general-practitioner=Practitioner/practitioner-07
    Patient?general-practitioner.name=novak
    Patient?general-practitioner:Practitioner.gender=female
    Patient?organization.name=rotunda
    Patient?phonetic=so
    Patient?phonetic=ada
    Patient?name:exact=Ada
    Patient?name:missing=true
    Patient?name:missing=false&_sort=name
    Patient?_sort=-name,birthdate
    Patient?_sort=gender,-name
    Patient?address=north
    Patient?address:contains=st&_sort=-address
    Patient?_sort=address
    Patient?phone=%2B1%20555%201001
    Patient?telecom=%2B1%20555%201001,%2B1%20555%201002
    Patient?_sort=-telecom
    Practitioner?_sort=name
    ?_type=Patient,Practitioner&_sort=name
    Patient?phonetic:missing=false&_sort=phonetic
    Slot?schedule=Schedule/schedule-01&start=ge2026-11-24&start=lt2026-11-25&status=free
    Slot?schedule=Schedule/schedule-01,Schedule/schedule-02&start=2026-11-24&_sort=-start
    Slot?schedule=schedule-01&start=gt2026-11-24T10:00:00-05:00
    Appointment?actor=Practitioner/practitioner-01&date=ge2026-11-24&date=le2026-12-01
    Appointment?patient=patient-14&date=2026-11-24
    Appointment?patient=Practitioner/practitioner-01
    Observation?patient=patient-01&_sort=patient,-date
    Appointment?patient:missing=true
    Observation?patient:missing=false&_sort=-patient
    Observation?subject=Patient/patient-01&patient.gender=male,female
    Patient?_has:Observation:patient:code=8302-2
    Patient?_has:Observation:patient:code=8302-2&gender=male
    Patient?_has:Observation:patient:value-quantity=gt180||cm
    Patient?_has:Encounter:patient:_has:Observation:encounter:code=8302-2
    Patient?_has:Encounter:patient:participant.name=okafor
    Patient?_has:AllergyIntolerance:patient:_id:missing=false
    Patient?_list=problems-of-patient-02
    Condition?_list=problems-of-patient-02
    Patient?_sort=family,given
    Patient?_sort=-birthdate
    Patient?_sort=birthdate&gender=female
    Patient?_sort=-_lastUpdated
    Patient?_sort=gender,-family
    Patient?_sort=_id
    Patient?_sort=general-practitioner,_id
    Patient?_filter=name%20co%20"a"%20and%20(gender%20eq%20male%20or%20birthdate%20lt%201950)
    Patient?_filter=not%20(gender%20eq%20male)
    Patient?_filter=family%20gt%20m
    Patient?_filter=family%20ne%20hollander
    Patient?_filter=gender%20ne%20male
    Patient?_filter=general-practitioner.family%20sw%20o
    Observation?
    Observation?code=8302-2
    Observation?code=http://loinc.org|8302-2
    Observation?code=http://loinc.org|
    Observation?code=8302-2,29463-7&patient=patient-01
    Observation?code:text=body
    Observation?code:not=8302-2
    Observation?category=vital-signs&status=final
    Observation?patient=patient-01
    Observation?patient=Patient/patient-01&_sort=-date
    Observation?subject=http://localhost/fhir/Patient/patient-01
    Observation?subject:Patient=patient-01&date=ge2026
    Observation?date=2026-01
    Observation?date=ge2025-10-05T09:00:00-05:00&date=le2026
    Observation?date=lt2026&_sort=date
    Observation?date=sa2026-10-15
    Observation?date:missing=true
    Observation?value-quantity=156.3
    Observation?value-quantity=156.3||cm
    Observation?value-quantity=156.3|http://unitsofmeasure.org|cm
    Observation?value-quantity=1.563|http://unitsofmeasure.org|m
    Observation?value-quantity=gt1.7|http://unitsofmeasure.org|m
    Observation?value-quantity=le60
    Observation?value-quantity=ne156.3||cm
    Observation?value-quantity=ap156||cm
    Observation?value-quantity=ge100&value-quantity=lt110
    Observation?code-value-quantity=8302-2$gt170
    Observation?code-value-quantity=http://loinc.org|8302-2$gt170||cm
    Observation?code-value-quantity=http://loinc.org|8302-2$gt1.7|http://unitsofmeasure.org|m
    Observation?combo-code-value-quantity=http://loinc.org|8480-6$gt130
    Observation?component-code-value-quantity=8480-6$gt130
    Observation?component-code-value-quantity=8462-4$lt70||mm[Hg]
    Observation?performer=Practitioner/practitioner-10
    Observation?encounter=visit-001
    Observation?encounter.status=finished
    Observation?encounter.patient.gender=female&code=8302-2
    Observation?patient.name=ada&code=8302-2
    Observation?patient.birthdate=lt1940
    Observation?patient.gender:not=male
    Observation?subject.family=hollander
    Observation?subject._id=patient-01
    Observation?subject:Patient.general-practitioner:Practitioner.name=novak
    Observation?performer.name=castel&_sort=-date
    Observation?_has:DiagnosticReport:result:status=final
    Observation?_sort=value-quantity
    Observation?_sort=code,-date
    Observation?_sort=-patient,date&category=vital-signs
    Observation?_filter=value-quantity%20gt%20150||cm%20and%20date%20ge%202026
    Observation?_filter=date%20po%202026-01
    Observation?category=laboratory&_sort=-_lastUpdated
    Slot?schedule=Schedule/schedule-01&start=ge2026-11-24&start=lt2026-11-25
    Slot?schedule=Schedule/schedule-01&start=ge2026-11-24&start=lt2026-11-25&status=free
    Slot?schedule=Schedule/schedule-01&start=ge2026-11-24&_sort=start
    Slot?status=free&_sort=-start
    Slot?status=free&schedule.actor=Practitioner/practitioner-01
    Slot?schedule.actor:Practitioner.name=okafor&start=2026-11-24
    Slot?start=2026-11-24T14:00:00Z
    Slot?start=ge2026-11-24&start=lt2026-11-24T16:00:00Z
    Slot?start=lt2026-11-24,gt2026-12-10
    Slot?service-type=165&status:not=busy
    Slot?_has:Appointment:slot:status=booked
    Appointment?date=2026-11-24
    Appointment?actor=Practitioner/practitioner-01&status=booked
    Appointment?patient=patient-01
    Appointment?patient.family=hollander
    Appointment?status:not=booked&_sort=date
    Appointment?date=ge2026-11-24&date=lt2026-11-27&_sort=-date,_id
    Encounter?date=ge2026
    Encounter?date=lt2025-12
    Encounter?status=finished&_sort=-date
    Encounter?location-period:missing=true
    Encounter?location.name=surgical
    Encounter?location.name:contains=room&status=in-progress
    Encounter?class=AMB,EMER
    Encounter?participant=Practitioner/practitioner-07
    Encounter?subject:Patient.identifier=MRN70001
    Condition?patient=patient-01
    Condition?_sort=patient
    Condition?_sort=-patient,_id
    Condition?_sort=subject
    Condition?clinical-status=active&_sort=-onset-date
    Condition?onset-date=lt2025-06
    Location?near=42.6959|-72.4529|1|km
    Location?near=42.6959|-72.4529|100
    Location?near=0|0|10
    Location?partof.name=rotunda
    Location?partof=Location/main-building
    Location?partof.partof:missing=false
    Location?_has:Encounter:location:status=in-progress
    Organization?_has:Patient:organization:gender=male
    Organization?_has:Patient:organization:_has:Observation:patient:code=8302-2
    MedicationRequest?intent=order&patient.gender=female
    DiagnosticReport?result.code=718-7
    DiagnosticReport?based-on:missing=false
    PractitionerRole?practitioner.name=okafor
    PractitionerRole?specialty:missing=false&_sort=practitioner
    ?_type=Patient,Practitioner&_sort=family
    ?_type=Patient,Practitioner&gender=female
    ?_type=Patient,Practitioner,Location&_sort=-name
    ?_type=Patient,Organization&name:contains=a
    ?_type=Observation,Condition&patient=patient-01&_sort=-code
    ?_lastUpdated=lt2026-11-20T00:00:00.030Z
    ?_id=patient-01,visit-001,main-building
    ?_id=patient-01&_sort=_id
    Patient/patient-01/Observation?
    Patient/patient-01/Observation?code=8302-2&_sort=-date
    Patient/patient-01/Patient?
    Patient/patient-01/*?
    Patient/patient-01/*?_type=Encounter,Condition&_sort=_lastUpdated
    Patient/patient-01/Organization?
    Practitioner/practitioner-07/Encounter?
    Encounter/visit-001/*?
    Device/monitor-1/*?
    RelatedPerson/parent-of-patient-37/*?
"#;
