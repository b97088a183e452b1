//! Messages that come again.

use std::time::Duration;

use rotunda::{engine::MessageState, hl7::Channel};

use super::{
    fixture::{Fixture, Plan},
    wire::{Wire, adt},
};
use crate::fixture::Database;

on_both_databases!(
    the_same_message_gets_the_same_answer_and_nothing_is_done_twice,
    another_message_with_the_same_control_id_is_flagged,
    the_same_message_at_once_on_many_connections_is_done_once,
    after_the_window_it_is_another_message,
    it_is_known_again_after_a_restart,
);

async fn the_same_message_gets_the_same_answer_and_nothing_is_done_twice(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    for acks in [("", ""), ("AL", "NE"), ("AL", "AL")] {
        let message = adt(&format!("D{}{}", acks.0, acks.1), "7", acks);
        let mut wire = Wire::to(f.address).await;
        wire.send(&message).await;
        let first = wire.frame().await;
        f.settled().await;
        let mut other = Wire::to(f.address).await;
        other.send(&message).await;
        let frames = match acks.1 {
            "AL" => {
                // The application's answer comes again too.
                let mut frames = [other.frame().await, other.frame().await];
                frames.sort_by_key(|frame| !String::from_utf8_lossy(frame).contains("MSA|CA"));
                let [accept, _] = frames;
                accept
            }
            _ => other.frame().await,
        };
        assert_eq!(frames, first, "{acks:?}");
    }
    assert_eq!(f.settled().await.len(), 3);
    f.stop().await;
}

async fn another_message_with_the_same_control_id_is_flagged(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    for (patient, acks) in [("1", ("", "")), ("2", ("", "")), ("3", ("AL", "NE"))] {
        wire.ask(&adt("same", patient, acks)).await;
        f.settled().await;
    }
    let all = f.messages().await;
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].reuses, None);
    assert!(all[0].outcome.notes.is_empty());
    for (at, message) in all.iter().enumerate().skip(1) {
        assert_eq!(message.state, MessageState::Done);
        assert_eq!(message.reuses, Some(all[at - 1].head.id));
        assert_eq!(message.outcome.notes[0].place, "MSH-10");
    }
    f.stop().await;
}

async fn the_same_message_at_once_on_many_connections_is_done_once(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    for acks in [("", ""), ("AL", "NE")] {
        let message = adt(&format!("M{}", acks.0), "7", acks);
        let mut wires = Vec::new();
        for _ in 0..16 {
            wires.push(Wire::to(f.address).await);
        }
        for wire in &mut wires {
            wire.send(&message).await;
        }
        let first = wires[0].frame().await;
        for wire in &mut wires[1..] {
            assert_eq!(wire.frame().await, first);
        }
    }
    assert_eq!(f.settled().await.len(), 2);
    f.stop().await;
}

async fn after_the_window_it_is_another_message(database: Database) {
    let plan = Plan::channel(Channel {
        duplicates: Duration::from_millis(300),
        ..Channel::default()
    });
    let f = Fixture::new(database, plan).await;
    let mut wire = Wire::to(f.address).await;
    wire.ask(&adt("1", "7", ("", ""))).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    wire.ask(&adt("1", "7", ("", ""))).await;
    assert_eq!(f.settled().await.len(), 2);
    f.stop().await;
}

async fn it_is_known_again_after_a_restart(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let message = adt("1", "7", ("", ""));
    let mut wire = Wire::to(f.address).await;
    wire.send(&message).await;
    let first = wire.frame().await;
    drop(wire);
    let home = f.stop().await;
    let f = Fixture::at(home, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    wire.send(&message).await;
    assert_eq!(wire.frame().await, first);
    assert_eq!(f.messages().await.len(), 1);
    f.stop().await;
}
