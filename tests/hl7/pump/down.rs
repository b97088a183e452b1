//! The database is gone while messages come.

use std::time::Duration;

use conformance::postgres::Postgres;
use mllp::{ack::Code, frame::Event};
use rotunda::{
    engine::MessageState,
    hl7::{Channel, WhenDown},
};

use super::{
    fixture::{Fixture, Home, Plan},
    wire::{Wire, adt, read},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_while_the_database_is_down() {
    if Postgres::installed().is_none() {
        eprintln!("skipped: PostgreSQL is not installed");
        return;
    }
    let mut postgres = Postgres::start().unwrap();
    for (when_down, name) in [(WhenDown::Close, "closes"), (WhenDown::Error, "errors")] {
        let home = Home::of(postgres.database(name).unwrap());
        let plan = Plan::channel(Channel {
            when_down,
            block: Duration::from_secs(5),
            ..Channel::default()
        });
        let f = Fixture::at(home, plan).await;
        let mut wire = Wire::to(f.address).await;
        assert_eq!(wire.ask(&adt("1", "7", ("AL", "NE"))).await.code, Code::CA);
        f.settled().await;
        postgres.halt().unwrap();
        for acks in [("AL", "NE"), ("", "")] {
            let mut wire = Wire::to(f.address).await;
            wire.send(&adt("2", "7", acks)).await;
            match (wire.event(Duration::from_secs(60)).await, when_down) {
                (None, WhenDown::Close) => {}
                (Some(Event::Frame(bytes)), WhenDown::Error) => {
                    let code = read(bytes).code;
                    assert!(matches!(code, Code::CE | Code::AE), "{code:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        postgres.resume().unwrap();
        let mut wire = Wire::to(f.address).await;
        assert_eq!(wire.ask(&adt("2", "7", ("AL", "NE"))).await.code, Code::CA);
        let all = f.settled().await;
        assert_eq!(all.len(), 2);
        assert!(
            all.iter().all(|one| one.state == MessageState::Done),
            "{all:?}"
        );
        f.stop().await;
    }
}
