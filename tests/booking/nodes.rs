//! Two server processes on one database, over HTTP: they are one.

use std::path::Path;

use conformance::server::{self, Server};
use rotunda::{
    clock::{Clock as _, SystemClock},
    store::{Options, Store},
};

use crate::{
    agreement::agreed,
    door::Door,
    race::race,
    ward::{DAY, Ward, minutes},
    ways::Wanted,
};

const TASKS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_database_race_as_one() {
    let url = crate::support::postgres::database().await;
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_rotunda"));
    let one = Server::start(binary, &url, &folder.path().join("one.log"))
        .await
        .unwrap();
    let two = Server::start(binary, &url, &folder.path().join("two.log"))
        .await
        .unwrap();
    let (mut door, ward) = (Door::to(&one.base), Ward::real());
    ward.patients(&mut door, TASKS).await;
    ward.practitioner(&mut door, "1", &[minutes("duration", 15)])
        .await;
    ward.practitioner(&mut door, "2", &[]).await;
    // On another day: the patients are taken on the first.
    let next = Ward {
        day: ward.day + DAY,
    };
    next.slots(&mut door, "s2", "x", 10).await;
    for (ward, schedule, actor, slots, times) in [
        (ward, "s1", "PractitionerRole/r1", None, 60),
        (next, "s2", "PractitionerRole/r2", Some("x"), 10),
    ] {
        let wanted = Wanted::new(&mut door, ward, (schedule, actor), slots).await;
        let doors = (0..TASKS).map(|task| Door::to([&one.base, &two.base][task % 2]));
        let tally = race(doors.collect(), &wanted, times).await;
        tally.assert_won_once(times, TASKS);
    }
    let beside = Options {
        beside: true,
        create: false,
        ..Options::default()
    };
    let store = Store::open(&url, &beside).await.unwrap();
    let now = SystemClock::default().now() / 1_000;
    for server in [&one, &two] {
        let booked = agreed(&mut Door::to(&server.base), &store, now).await;
        assert_eq!(booked.appointments.len(), 70);
    }
    drop(store);
    one.stop().await.unwrap();
    two.stop().await.unwrap();
    server::verify(binary, &url).await.unwrap();
}
