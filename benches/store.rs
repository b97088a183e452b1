//! What the store costs: processor time of this process and elapsed time per operation, with
//! entries extracted from resources like real ones.
//!
//! `cargo bench --bench store [-- ADDRESS [PATIENTS]]`; the address is a new SQLite file unless
//! given.

#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first error")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use resources::{
    Doc,
    index::{Registry, key},
    model::ResourceType,
};
use rotunda::{
    access::Access,
    search::plan::{Clause, KeyRange, Plan, Sort, SortKey, TotalMode},
    store::{Change, Commit, Expected, Head, Options, Store, Write},
};
use tokio::task::JoinSet;

const ALL: Access = Access::system("benchmark");
const WRITERS: usize = 64;
const PATIENT: ResourceType = ResourceType::PATIENT;
const SLOT: ResourceType = ResourceType::SLOT;
const SCHEDULES: usize = 100;
const SLOTS: usize = 1_000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn patient(n: usize, version: i64) -> String {
    let names = [
        "Babade", "Defigo", "Hukale", "Minopu", "Rasete", "Tibago", "Kamifi", "Seleno",
    ];
    let name = |at: usize| format!("{}{}", names[at % 8], names[at / 8 % 8].to_lowercase());
    let (family, given, other) = (name(n), name(n * 7 + 3), name(n * 13 + 5));
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","meta":{{"versionId":"{version}","lastUpdated":"2026-11-20T10:00:00.000Z"}},"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{given} {family}, born 1970-02-03, record MRN{n:09}</div>"}},"extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"{other}"}},{{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{{"city":"{other}ville","state":"MA","country":"US"}}}}],"identifier":[{{"use":"usual","type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical Record Number"}}],"text":"Medical Record Number"}},"system":"urn:bench:mrn","value":"MRN{n:09}"}},{{"type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"SS","display":"Social Security Number"}}],"text":"Social Security Number"}},"system":"urn:bench:ssn","value":"999-{n:08}"}},{{"type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"DL","display":"Driver's License"}}],"text":"Driver's License"}},"system":"urn:bench:dl","value":"S{n:08}"}}],"active":true,"name":[{{"use":"official","family":"{family}","given":["{given}","{other}"],"prefix":["Mx."]}}],"telecom":[{{"system":"phone","value":"555-{n:07}","use":"home"}},{{"system":"email","value":"{given}.{family}.{version}@example.org","use":"work"}}],"gender":"female","birthDate":"19{year:02}-02-03","deceasedBoolean":false,"address":[{{"use":"home","line":["{n} {other} Street"],"city":"{given}ton","state":"MA","postalCode":"{zip:05}","country":"US"}}],"maritalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M","display":"Married"}}],"text":"Married"}},"multipleBirthBoolean":false,"communication":[{{"language":{{"coding":[{{"system":"urn:ietf:bcp:47","code":"en-US","display":"English"}}],"text":"English"}}}}]}}"#,
        id = id("p", n),
        year = n % 100,
        zip = n % 100_000,
    )
}

fn slot(n: usize) -> String {
    let (schedule, at) = (n / SLOTS, n % SLOTS);
    let (day, minute) = (1 + at / 25, 480 + at % 25 * 20);
    let (month, day) = (1 + day / 29, 1 + day % 28);
    let status = if at * 7 % 10 < 7 { "free" } else { "busy" };
    format!(
        r#"{{"resourceType":"Slot","id":"{id}","meta":{{"versionId":"1","lastUpdated":"2026-11-20T10:00:00.000Z"}},"serviceType":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/service-type","code":"124","display":"General Practice"}}]}}],"schedule":{{"reference":"Schedule/s{schedule}"}},"status":"{status}","start":"2027-{month:02}-{day:02}T{:02}:{:02}:00Z","end":"2027-{month:02}-{day:02}T{:02}:{:02}:00Z"}}"#,
        minute / 60,
        minute % 60,
        (minute + 20) / 60,
        (minute + 20) % 60,
        id = id("t", n),
    )
}

/// An id as long as a UUID, whose order is not that of the numbers.
fn id(letter: &str, n: usize) -> String {
    let mixed = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{letter}{mixed:020}-{n:014}")
}

fn write(
    registry: &Registry,
    kind: ResourceType,
    id: String,
    body: String,
    was: Option<&Head>,
) -> Write {
    let doc = Doc::parse(body).unwrap();
    let mut add = registry.extract(kind, &doc, "http://localhost");
    let mut remove = Vec::new();
    if was.is_some() {
        // Only the mail address differs from version to version.
        let mail =
            |entry: &resources::index::Entry| entry.key.windows(8).any(|part| part == b"@example");
        add.retain(mail);
        remove.clone_from(&add);
        for entry in &mut remove {
            entry.key.pop();
        }
    }
    Write {
        kind,
        id,
        expect: was.map(|head| Expected {
            rid: head.rid,
            version: head.version,
        }),
        change: if was.is_some() {
            Change::Update
        } else {
            Change::Create
        },
        version: was.map_or(1, |head| head.version + 1),
        updated: 1_000_000,
        body: doc.text().to_owned(),
        add,
        remove,
    }
}

/// Processor time of this process, and of the PostgreSQL servers beside it.
fn cpu() -> (Duration, Duration) {
    let ticks = |path: String| -> Option<(String, u64)> {
        let stat = std::fs::read_to_string(path).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let sum: u64 = [11, 12]
            .iter()
            .filter_map(|&at| fields.get(at)?.parse::<u64>().ok())
            .sum();
        Some((name.to_owned(), sum * 10))
    };
    let own = ticks("/proc/self/stat".to_owned()).unwrap().1;
    let servers: u64 = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| ticks(format!("/proc/{}/stat", entry.file_name().to_str()?)))
        .filter(|(name, _)| name == "postgres")
        .map(|(_, ticks)| ticks)
        .sum();
    (Duration::from_millis(own), Duration::from_millis(servers))
}

async fn measure<F, T>(name: &str, count: usize, run: F)
where
    F: AsyncFnOnce() -> T,
{
    let (own, servers) = cpu();
    let begun = Instant::now();
    run().await;
    let taken = begun.elapsed();
    let (own_after, servers_after) = cpu();
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{name:40} {:8.1} µs own cpu {:8.1} µs server cpu {:10.0}/s",
        each(own_after - own),
        each(servers_after.saturating_sub(servers)),
        count as f64 / taken.as_secs_f64(),
    );
}

async fn write_all(store: &Arc<Store>, writes: Vec<Vec<Write>>) -> Vec<Head> {
    let queue = Arc::new(writes);
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, queue, next) = (Arc::clone(store), Arc::clone(&queue), Arc::clone(&next));
        tasks.spawn(async move {
            let mut heads = Vec::new();
            while let Some(writes) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
                let commit = Commit {
                    writes: writes.clone(),
                    ..Commit::default()
                };
                heads.extend(store.commit(commit, &ALL).await.unwrap().heads);
            }
            heads
        });
    }
    let mut heads = tasks.join_all().await.concat();
    heads.sort_by_key(|head| head.rid);
    heads
}

fn plan(kind: ResourceType, parts: Vec<Clause>) -> Plan {
    Plan {
        types: vec![kind],
        filter: Clause::All(parts),
        sort: Vec::new(),
        limit: 20,
        after: None,
        total: TotalMode::None,
    }
}

async fn searches(store: &Store, name: &str, count: usize, make: impl Fn(usize) -> Plan) {
    let first = store.search(&make(1), &ALL).await.unwrap();
    let name = format!("{name} ({} hits)", first.hits.len());
    measure(&name, count, async || {
        for at in 0..count {
            let found = store.search(&make(at), &ALL).await.unwrap();
            assert!(!found.hits.is_empty());
        }
    })
    .await;
    if std::env::var_os("EXPLAIN").is_some() {
        println!("{:#?}", first.explain);
    }
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    let folder = tempfile::tempdir_in(".").unwrap();
    let file = folder.path().join("store.db");
    let url = args
        .next()
        .unwrap_or_else(|| format!("sqlite:{}", file.display()));
    let patients: usize = args.next().map_or(20_000, |count| count.parse().unwrap());
    let registry = Registry::builtin();
    let store = Arc::new(Store::open(&url, &Options::default()).await.unwrap());

    let writes: Vec<Vec<Write>> = (0..patients)
        .map(|n| vec![write(&registry, PATIENT, id("p", n), patient(n, 1), None)])
        .collect();
    let entries = writes
        .iter()
        .map(|writes| writes[0].add.len())
        .sum::<usize>()
        / patients;
    let bytes = writes
        .iter()
        .map(|writes| writes[0].body.len())
        .sum::<usize>()
        / patients;
    println!("{patients} patients of {bytes} bytes with {entries} entries");
    let mut heads = Vec::new();
    measure("create", patients, async || {
        heads = write_all(&store, writes).await
    })
    .await;
    if let Ok(size) = std::fs::metadata(&file) {
        store.optimize().await.unwrap();
        let size = std::fs::metadata(&file).map_or(size.len(), |now| now.len());
        println!("{} bytes on disk per patient", size as usize / patients);
    }
    let updates: Vec<Vec<Write>> = heads
        .iter()
        .take(patients / 2)
        .enumerate()
        .map(|(n, head)| {
            vec![write(
                &registry,
                PATIENT,
                head.id.clone(),
                patient(n, 2),
                Some(head),
            )]
        })
        .collect();
    measure("update", patients / 2, async || {
        write_all(&store, updates).await
    })
    .await;
    let total = SCHEDULES * SLOTS;
    let slots: Vec<Vec<Write>> = (0..total / 100)
        .map(|bundle| {
            (bundle * 100..bundle * 100 + 100)
                .map(|n| write(&registry, SLOT, id("t", n), slot(n), None))
                .collect()
        })
        .collect();
    measure("create of slots, 100 in a commit", total, async || {
        write_all(&store, slots).await
    })
    .await;
    store.optimize().await.unwrap();

    let names: Vec<String> = (0..patients)
        .map(|n| id("p", n * 7919 % patients))
        .collect();
    let reads = patients.max(20_000);
    measure("read", reads, async || {
        for at in 0..reads {
            let found = store
                .current(&[(PATIENT, &names[at % patients])], &ALL)
                .await
                .unwrap();
            assert!(found[0].is_some());
        }
    })
    .await;
    let param = |kind, code| registry.param(kind, code).unwrap().id;
    let (identifier, family) = (param(PATIENT, "identifier"), param(PATIENT, "family"));
    searches(&store, "identifier", 10_000, |at| {
        let value = format!("MRN{:09}", at % patients);
        let key = key::token(&value, "urn:bench:mrn");
        plan(
            PATIENT,
            vec![Clause::Keys {
                param: identifier,
                ranges: vec![KeyRange::exact(key)],
            }],
        )
    })
    .await;
    let by_family = |at: usize| {
        let names = ["babade", "defigo", "hukale", "minopu"];
        let prefix = [
            &[0x40],
            names[at % 4].as_bytes(),
            names[at / 4 % 4].as_bytes(),
        ]
        .concat();
        Clause::Keys {
            param: family,
            ranges: vec![KeyRange::prefix(prefix)],
        }
    };
    searches(&store, "family prefix", 5_000, |at| {
        plan(PATIENT, vec![by_family(at)])
    })
    .await;
    searches(&store, "family prefix, sorted by birth date", 2_000, |at| {
        Plan {
            sort: vec![Sort {
                by: SortKey::Keys {
                    params: vec![param(PATIENT, "birthdate")],
                    space: 0x10,
                },
                descending: false,
            }],
            ..plan(PATIENT, vec![by_family(at)])
        }
    })
    .await;
    searches(&store, "all patients, newest first", 5_000, |_| Plan {
        sort: vec![Sort {
            by: SortKey::Updated,
            descending: true,
        }],
        ..plan(PATIENT, vec![])
    })
    .await;
    let (schedule, start) = (param(SLOT, "schedule"), param(SLOT, "start"));
    let status = param(SLOT, "status");
    let schedule_kind = ResourceType::SCHEDULE;
    searches(&store, "one day of one schedule, free", 2_000, |at| {
        let to = key::reference(schedule_kind, &format!("s{}", at % SCHEDULES));
        let from = 1_798_761_600_000 + (at as i64 % 20) * 86_400_000;
        let bound = |ms| [&[key::space::DATE], key::ordered_i64(ms).as_slice()].concat();
        let day = KeyRange::between(bound(from), Some(bound(from + 86_400_000)));
        let free = key::token_prefix("free");
        plan(
            SLOT,
            vec![
                Clause::Keys {
                    param: schedule,
                    ranges: vec![KeyRange::exact(to)],
                },
                Clause::Keys {
                    param: start,
                    ranges: vec![day],
                },
                Clause::Keys {
                    param: status,
                    ranges: vec![KeyRange::prefix(free)],
                },
            ],
        )
    })
    .await;
    let status_now = std::fs::read_to_string("/proc/self/status").unwrap();
    println!(
        "{}",
        status_now
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap()
    );
}
