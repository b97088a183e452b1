//! Many want the same times, in the same order, by all ways to book.

use std::{collections::BTreeMap, sync::Arc};

use rotunda::{
    clock::{Clock as _, ManualClock},
    engine::{Engine, Settings},
    store::{Options, Store},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    agreement::{agreed, wrong},
    door::{Answer, Door},
    fixture::{Database, Fixture, START},
    ward::{Ward, minutes},
    ways::{Wanted, Way},
};

on_both_databases!(
    of_many_who_want_the_same_computed_times_each_has_one_winner,
    of_many_who_want_the_same_stored_slots_each_has_one_winner,
);

pub const TASKS: usize = 64;

/// What came of a race.
#[derive(Default)]
pub struct Tally {
    /// How often each time was won, and by which way.
    pub winners: BTreeMap<usize, Vec<Way>>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, usize>,
    /// Answers that nobody should get.
    pub odd: Vec<(Way, Answer)>,
}

impl Tally {
    /// Each time has one winner, everybody else was told that it is taken.
    pub fn assert_won_once(&self, times: usize, tasks: usize) {
        let odd = &self.odd;
        assert!(odd.is_empty(), "{} such as {:?}", odd.len(), odd.first());
        let twice: Vec<_> = self
            .winners
            .iter()
            .filter(|(_, ways)| ways.len() > 1)
            .collect();
        assert!(twice.is_empty(), "won twice: {twice:?}");
        assert_eq!(self.winners.len(), times);
        let refused = self.statuses.get(&409).copied().unwrap_or_default();
        assert_eq!(refused, times * (tasks - 1), "{:?}", self.statuses);
    }
}

/// Everybody tries each time, all at once, and each by another way from time to time.
pub async fn race(doors: Vec<Door>, wanted: &Wanted, times: usize) -> Tally {
    let tasks = doors.len();
    let barrier = Arc::new(Barrier::new(tasks));
    let wanted = Arc::new(wanted.clone());
    let mut racing = JoinSet::new();
    for (task, mut door) in doors.into_iter().enumerate() {
        let (barrier, wanted) = (Arc::clone(&barrier), Arc::clone(&wanted));
        racing.spawn(async move {
            let mut answers = Vec::new();
            for n in 0..times {
                let way = Way::ALL[(task + n) % Way::ALL.len()];
                barrier.wait().await;
                let (who, patient) = (task.to_string(), format!("Patient/t{task}"));
                let answer = wanted.book(&mut door, way, n, (&who, &patient)).await;
                answers.push((n, way, answer.unwrap()));
            }
            answers
        });
    }
    let mut tally = Tally::default();
    for (n, way, answer) in racing.join_all().await.into_iter().flatten() {
        *tally.statuses.entry(answer.status).or_default() += 1;
        if answer.is_done() {
            tally.winners.entry(n).or_default().push(way);
        } else if answer.status != 409 || answer.code() != "slot-taken" {
            tally.odd.push((way, answer));
        }
    }
    tally
}

fn doors(f: &Fixture, many: usize) -> Vec<Door> {
    (0..many).map(|_| Door::of(f)).collect()
}

async fn of_many_who_want_the_same_computed_times_each_has_one_winner(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = (Door::of(&f), Ward::of(&f));
    ward.patients(&mut door, TASKS).await;
    ward.practitioner(&mut door, "1", &[minutes("duration", 15)])
        .await;
    let wanted = Wanted::new(&mut door, ward, ("s1", "PractitionerRole/r1"), None).await;
    let tally = race(doors(&f, TASKS), &wanted, 60).await;
    tally.assert_won_once(60, TASKS);
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert_eq!(booked.appointments.len(), 60);
    assert!((0..60).all(|n| booked.at(ward.time(n).0) == 1));
    let left = door
        .get(&ward.find("schedule=Schedule/s1"))
        .await
        .resources();
    assert_eq!(left.len(), 36, "of 96 quarters of an hour 60 are booked");
    assert_eq!(f.differences().await, Vec::<String>::new());
}

async fn of_many_who_want_the_same_stored_slots_each_has_one_winner(on: Database) {
    let f = Fixture::new(on).await;
    let (mut door, ward) = (Door::of(&f), Ward::of(&f));
    ward.patients(&mut door, TASKS).await;
    ward.practitioner(&mut door, "2", &[]).await;
    ward.slots(&mut door, "s2", "x", 30).await;
    let wanted = Wanted::new(&mut door, ward, ("s2", "PractitionerRole/r2"), Some("x")).await;
    let tally = race(doors(&f, TASKS), &wanted, 30).await;
    tally.assert_won_once(30, TASKS);
    let booked = agreed(&mut door, &f.store, f.clock.now() / 1_000).await;
    assert_eq!(booked.appointments.len(), 30);
    let left = door
        .get(&ward.find("schedule=Schedule/s2"))
        .await
        .resources();
    assert_eq!(left.len(), 0);
    let free = door
        .get("/Slot?schedule=Schedule/s2&status=free")
        .await
        .resources();
    assert_eq!(free.len(), 0);
    assert_eq!(f.differences().await, Vec::<String>::new());
}

/// A node whose store checks claims, but lets nobody wait for others meanwhile.
async fn without_locks(url: &str) -> (Arc<Store>, Arc<Engine>) {
    let options = Options {
        without_claim_locks: true,
        ..Options::default()
    };
    let store = Arc::new(Store::open(url, &options).await.unwrap());
    let settings = Settings {
        base_url: "http://h/fhir".to_owned(),
        ..Settings::default()
    };
    let clock = Arc::new(ManualClock::at(START));
    let engine = Engine::open(Arc::clone(&store), settings, clock)
        .await
        .unwrap();
    (store, engine)
}

/// The proof that the races above can fail, and that it is the lock that keeps them from it.
async fn races_without_locks(url: &str) {
    let (store, engine) = without_locks(url).await;
    let mut door = Door::Engine(Arc::clone(&engine));
    let ward = Ward {
        day: START / 1_000 + 259_200,
    };
    ward.patients(&mut door, TASKS).await;
    ward.practitioner(&mut door, "1", &[minutes("duration", 15)])
        .await;
    let wanted = Wanted::new(&mut door, ward, ("s1", "PractitionerRole/r1"), None).await;
    let doors = (0..TASKS).map(|_| Door::Engine(Arc::clone(&engine)));
    let tally = race(doors.collect(), &wanted, 20).await;
    let twice = tally.winners.values().filter(|ways| ways.len() > 1).count();
    assert!(twice > 0, "nobody won twice: {:?}", tally.statuses);
    let (_, wrong) = wrong(&mut door, &store, START / 1_000).await;
    assert!(
        wrong.iter().any(|text| text.contains("the same seat")),
        "{wrong:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_locks_the_race_books_twice_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    races_without_locks(&format!("sqlite:{}/a.db", folder.path().display())).await;
}

/// There the constraint is in the way, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_locks_and_constraint_the_race_books_twice_on_postgres() {
    let url = crate::support::postgres::database().await;
    drop(without_locks(&url).await);
    let mut direct = PgConnection::connect(&url).await.unwrap();
    let drop = "ALTER TABLE claim DROP CONSTRAINT claim_once".to_owned();
    direct.execute(AssertSqlSafe(drop)).await.unwrap();
    races_without_locks(&url).await;
}
