//! The server is killed while many book, move and cancel: what it acknowledged is there, and
//! nobody has what another has.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use conformance::{
    client::Base,
    postgres::Postgres,
    server::{self, Server},
};
use rotunda::{
    clock::{Clock as _, SystemClock},
    engine::{Engine, Settings},
    store::{Options, Store},
};
use serde_json::{Value, json};

use crate::{
    agreement::agreed,
    door::Door,
    ward::{DAY, Time, Ward, appointment, instant, minutes, second},
};

const WRITERS: usize = 24;
const ROUNDS: u64 = 3;
/// Bookings, moves and cancellations that are acknowledged before each end.
const ACKNOWLEDGED: usize = 100;
const PATIENCE: Duration = Duration::from_secs(120);
/// Quarters of an hour that all want.
const TIMES: u64 = 300;

/// What a writer was told of an Appointment: when it is, `None` if it was cancelled.
type Told = HashMap<String, Option<i64>>;

struct Writer {
    number: usize,
    ward: Ward,
    random: u64,
    made: usize,
    told: Told,
}

impl Writer {
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) % bound
    }

    fn time(&mut self) -> Time {
        let start = self.ward.day + self.below(TIMES) as i64 * 900;
        (start, start + 900)
    }

    /// Until the server is gone, or its database.
    async fn write(
        mut self,
        base: Base,
        (stop, acknowledged): (Arc<AtomicBool>, Arc<AtomicUsize>),
    ) -> Self {
        let mut door = Door::to(&base);
        while !stop.load(Ordering::Relaxed) {
            let booked = self.told.iter().filter(|(_, start)| start.is_some());
            let ids: Vec<String> = booked.map(|(id, _)| id.clone()).collect();
            let (start, end) = self.time();
            let (id, becomes, answer) = match self.below(6) {
                choice @ (0 | 1) if !ids.is_empty() => {
                    let id = ids[self.below(ids.len() as u64) as usize].clone();
                    let (name, body, becomes) = if choice == 0 {
                        ("$cancel", Value::Null, None)
                    } else {
                        let start_at = json!({ "name": "start", "valueDateTime": instant(start) });
                        let body = json!({ "resourceType": "Parameters", "parameter": [start_at] });
                        ("$reschedule", body, Some(start))
                    };
                    let path = format!("/Appointment/{id}/{name}");
                    (id, becomes, door.try_ask("POST", &path, body, None).await)
                }
                _ => {
                    self.made += 1;
                    let id = format!("c{}-{}", self.number, self.made);
                    let patient = format!("Patient/t{}", self.number);
                    let with = "PractitionerRole/r1";
                    let mut one = appointment("booked", (start, end), &patient, with);
                    one["id"] = json!(id);
                    let path = format!("/Appointment/{id}");
                    let answer = door.try_ask("PUT", &path, one, None).await;
                    (id, Some(start), answer)
                }
            };
            match answer {
                Ok(answer) if answer.is_done() => {
                    self.told.insert(id, becomes);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) if answer.status == 503 => {
                    self.told.remove(&id);
                    return self;
                }
                Ok(answer) => assert!(matches!(answer.status, 409 | 422), "{answer:?}"),
                Err(_) => {
                    // Nobody knows what became of it.
                    self.told.remove(&id);
                    return self;
                }
            }
        }
        self
    }
}

/// What ends while many write: the server, or the database.
enum Ends<'p> {
    Server,
    Database(&'p mut Postgres),
}

async fn drill(url: &str, folder: &Path, mut ends: Ends<'_>) {
    let binary = Path::new(env!("CARGO_BIN_EXE_rotunda"));
    let log = folder.join("server.log");
    let ward = Ward::real();
    let mut server = Server::start(binary, url, &log).await.unwrap();
    let mut door = Door::to(&server.base);
    ward.patients(&mut door, WRITERS).await;
    ward.practitioner(&mut door, "1", &[minutes("duration", 15)])
        .await;
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer {
            number,
            ward,
            random: number as u64 * 7_919 + 3,
            made: 0,
            told: Told::new(),
        })
        .collect();
    for round in 0..ROUNDS {
        let (stop, acknowledged) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let shared = || (Arc::clone(&stop), Arc::clone(&acknowledged));
        let working: Vec<_> = writers
            .into_iter()
            .map(|writer| tokio::spawn(writer.write(server.base.clone(), shared())))
            .collect();
        let enough = async {
            while acknowledged.load(Ordering::Relaxed) < ACKNOWLEDGED {
                tokio::time::sleep(Duration::from_millis(3 + round)).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap();
        match &mut ends {
            Ends::Server => {
                server.kill().await.unwrap();
                server = Server::start(binary, url, &log).await.unwrap();
            }
            Ends::Database(postgres) => {
                postgres.halt().unwrap();
                postgres.resume().unwrap();
                healed(&server.base).await;
            }
        }
        stop.store(true, Ordering::Relaxed);
        writers = Vec::new();
        for task in working {
            writers.push(task.await.unwrap());
        }
        let mut door = Door::to(&server.base);
        let mut kept = 0;
        for (id, start) in writers.iter().flat_map(|writer| &writer.told) {
            let one = door.get(&format!("/Appointment/{id}")).await.body;
            let has = (one["status"] == "booked").then(|| second(&one["start"]));
            assert_eq!(has, *start, "{one}");
            kept += 1;
        }
        assert!(kept > 20, "{kept}");
    }
    server.kill().await.unwrap();
    server::verify(binary, url).await.unwrap();
    let store = Arc::new(Store::open(url, &Options::default()).await.unwrap());
    let settings = Settings {
        base_url: "http://h/fhir".to_owned(),
        ..Settings::default()
    };
    let clock = Arc::new(SystemClock::default());
    let engine = Engine::open(Arc::clone(&store), settings, clock.clone());
    let mut door = Door::Engine(engine.await.unwrap());
    let booked = agreed(&mut door, &store, clock.now() / 1_000).await;
    let told = writers
        .iter()
        .flat_map(|writer| writer.told.values())
        .flatten();
    assert!(booked.appointments.len() >= told.count());
    let (from, to) = (ward.day, ward.day + 4 * DAY);
    let starts = booked.appointments.iter().map(|one| second(&one["start"]));
    assert!(starts.into_iter().all(|start| from <= start && start < to));
}

/// Waits until the server answers again.
async fn healed(base: &Base) {
    let mut door = Door::to(base);
    let heals = async {
        loop {
            let answer = door.try_ask("GET", "/Patient/t0", Value::Null, None).await;
            if answer.is_ok_and(|answer| answer.is_done()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heals).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sqlite_acknowledged_is_booked_after_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("a.db").display());
    drill(&url, folder.path(), Ends::Server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_acknowledged_is_booked_after_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let url = crate::support::postgres::database().await;
    drill(&url, folder.path(), Ends::Server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_acknowledged_is_booked_after_it_crashed() {
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start().unwrap();
    let url = postgres.database("bookings").unwrap();
    drill(&url, folder.path(), Ends::Database(&mut postgres)).await;
}
