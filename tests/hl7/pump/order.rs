//! Messages wait for their turn, across restarts and whatever their number.

use std::collections::BTreeMap;

use resources::model::ResourceType;
use rotunda::engine::{MessageChange, MessageState, Settled};
use tokio::task::JoinSet;

use super::{
    fixture::{Fixture, Plan},
    wire::{Wire, adt},
};
use crate::fixture::Database;

on_both_databases!(
    patients_interleaved_over_connections_keep_their_order,
    what_waited_at_a_stop_is_done_after_it,
    a_failed_message_can_be_tried_again_or_dropped,
);

/// Each patient's messages go over one connection, as a sender that wants their order sends them.
async fn patients_interleaved_over_connections_keep_their_order(database: Database) {
    let mut plan = Plan::default();
    // Most have to wait in the store.
    plan.settings.held = 50;
    plan.settings.parallel = 4;
    let f = Fixture::new(database, plan).await;
    let mut senders = JoinSet::new();
    for sender in 0..8 {
        let address = f.address;
        senders.spawn(async move {
            let mut wire = Wire::to(address).await;
            let mine = (0..1_000).filter(|patient| patient % 8 == sender);
            for round in 0..3 {
                for patient in mine.clone() {
                    let control = format!("{round}-{patient}");
                    wire.send(&adt(&control, &patient.to_string(), ("AL", "NE")))
                        .await;
                    assert_eq!(wire.answer().await.control_id, control);
                }
            }
        });
    }
    while let Some(done) = senders.join_next().await {
        done.unwrap();
    }
    let all = f.settled().await;
    assert_eq!(all.len(), 3_000);
    let mut rounds: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
    for message in &all {
        assert_eq!(message.state, MessageState::Done);
        let (round, patient) = message.head.control.split_once('-').unwrap();
        let made = message.outcome.made.iter();
        let made = made.filter(|made| made.kind == ResourceType::PATIENT);
        let versions: Vec<i64> = made.map(|made| made.version).collect();
        let [version] = versions[..] else {
            panic!("{:?}", message.outcome)
        };
        let patient = rounds.entry(patient.to_owned()).or_default();
        patient.push((round.to_owned(), version));
    }
    let wanted = [("0", 1), ("1", 2), ("2", 3)].map(|(round, n)| (round.to_owned(), n));
    assert!(
        rounds.values().all(|rounds| rounds == &wanted),
        "{rounds:?}"
    );
    assert_eq!(f.pump.held(), 0);
    f.stop().await;
}

/// Puts all messages back to where they wait.
async fn set_back(f: &Fixture, to: MessageState) {
    for message in f.messages().await {
        let change = MessageChange::Settle(Box::new(Settled {
            id: message.head.id,
            from: message.state,
            state: to,
            attempts: message.attempts,
            next: None,
            outcome: None,
        }));
        f.engine.record_messages(vec![change]).await.unwrap();
    }
}

async fn what_waited_at_a_stop_is_done_after_it(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    for n in 0..300 {
        wire.ask(&adt(&n.to_string(), &(n % 10).to_string(), ("AL", "NE")))
            .await;
    }
    f.settled().await;
    set_back(&f, MessageState::Waiting).await;
    drop(wire);
    let home = f.stop().await;
    let mut plan = Plan::default();
    plan.settings.held = 20;
    let f = Fixture::at(home, plan).await;
    let all = f.settled().await;
    assert_eq!(all.len(), 300);
    assert!(
        all.iter()
            .all(|one| one.state == MessageState::Done && one.attempts == 2)
    );
    f.stop().await;
}

async fn a_failed_message_can_be_tried_again_or_dropped(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    for n in 0..2 {
        wire.ask(&adt(&n.to_string(), "7", ("AL", "NE"))).await;
    }
    f.settled().await;
    set_back(&f, MessageState::Failed).await;
    drop(wire);
    let home = f.stop().await;
    let f = Fixture::at(home, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    // Who comes after an error is told so; others are not.
    wire.ask(&adt("2", "7", ("", ""))).await;
    wire.ask(&adt("3", "8", ("", ""))).await;
    let all = f.messages().await;
    let [first, second, follower, other] = &all[..] else {
        panic!("{all:?}")
    };
    assert!(
        follower.outcome.notes[0]
            .text
            .contains(&second.head.id.to_string())
    );
    assert_eq!(other.outcome.notes, []);
    assert!(f.pump.retry(first.head.id).await.unwrap());
    assert!(f.pump.drop_message(second.head.id).await.unwrap());
    assert!(!f.pump.retry(other.head.id).await.unwrap());
    let all = f.settled().await;
    let states: Vec<MessageState> = all.iter().map(|one| one.state).collect();
    use MessageState::{Done, Dropped};
    assert_eq!(states, [Done, Dropped, Done, Done], "{all:?}");
    wire.ask(&adt("4", "7", ("", ""))).await;
    assert_eq!(f.messages().await[4].outcome.notes, []);
    f.stop().await;
}
