//! Messages that cannot have their effect.

use mllp::ack::Code;
use rotunda::engine::MessageState;

use super::{
    fixture::{Fixture, Plan},
    wire::{Wire, adt},
};
use crate::fixture::Database;

on_both_databases!(
    a_failed_message_is_answered_once_and_kept,
    in_enhanced_mode_it_is_stored_and_fails_later,
    what_is_unknown_is_refused_before_it_is_stored,
);

/// A merge that does not say with whom.
fn merge(control: &str, patient: &str, acks: (&str, &str)) -> String {
    adt(control, patient, acks).replace("ADT^A08^ADT_A01", "ADT^A40^ADT_A39")
}

async fn a_failed_message_is_answered_once_and_kept(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    let bad = merge("bad", "7", ("", ""));
    wire.send(&bad).await;
    let first = wire.frame().await;
    let answer = super::wire::read(first.clone());
    assert_eq!(answer.code, Code::AE);
    assert!(!answer.problems.is_empty());
    wire.send(&bad).await;
    assert_eq!(wire.frame().await, first);
    // What comes behind it goes on, and says so.
    assert_eq!(wire.ask(&adt("next", "7", ("", ""))).await.code, Code::AA);
    let all = f.messages().await;
    let states: Vec<MessageState> = all.iter().map(|one| one.state).collect();
    assert_eq!(states, [MessageState::Failed, MessageState::Done]);
    assert!(all[0].outcome.error.is_some() && all[0].outcome.made.is_empty());
    let notes = &all[1].outcome.notes;
    assert!(
        notes
            .iter()
            .any(|note| note.text.contains(&all[0].head.id.to_string()))
    );
    // It fails again.
    assert!(f.pump.retry(all[0].head.id).await.unwrap());
    let all = f.settled().await;
    assert_eq!((all[0].state, all[0].attempts), (MessageState::Failed, 2));
    f.stop().await;
}

async fn in_enhanced_mode_it_is_stored_and_fails_later(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    for (n, (acks, wanted)) in [
        (("AL", "AL"), &["AE", "CA"][..]),
        (("AL", "ER"), &["AE", "CA"]),
        (("AL", "SU"), &["CA"]),
        (("NE", "ER"), &["AE"]),
        (("ER", "NE"), &[]),
    ]
    .into_iter()
    .enumerate()
    {
        wire.send(&merge(&n.to_string(), "7", acks)).await;
        let mut got = wire.codes(wanted.len()).await;
        got.sort();
        assert_eq!(got, wanted, "{acks:?}");
    }
    assert!(
        f.settled()
            .await
            .iter()
            .all(|one| one.state == MessageState::Failed)
    );
    f.stop().await;
}

async fn what_is_unknown_is_refused_before_it_is_stored(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    for (kind, code) in [("ADT^A99", "201"), ("XYZ^A01", "200")] {
        let message = adt("1", "7", ("AL", "NE")).replace("ADT^A08^ADT_A01", kind);
        let answer = wire.ask(&message).await;
        assert_eq!((answer.code, answer.problems[0].code), (Code::CR, code));
    }
    f.stop().await;
}
