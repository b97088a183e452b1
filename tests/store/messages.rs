//! Messages of HL7 v2: stored once, settled once, found again.

use bytes::Bytes;
use mllp::Note;
use resources::model::ResourceType;
use rotunda::store::{
    Commit, Committed, Delivered, DeliveryFilter, DeliveryState, MessageChange, MessageFilter,
    MessageHead, MessageId, MessageOutcome, MessageState, NewDelivery, NewMessage, Settled,
    StoreError, VersionRef, content_hash,
};
use tokio::task::JoinSet;

use crate::fixture::{ALL, Fixture, create, update};

on_both_databases!(
    a_message_comes_back_as_it_came,
    the_same_message_is_stored_once,
    of_many_that_are_the_same_at_once_one_is_stored,
    a_message_is_settled_once,
    a_message_and_its_effect_are_one_commit,
    waiting_messages_come_in_their_order,
    messages_are_found_by_what_is_known_of_them,
    deliveries_go_in_their_order,
    old_messages_are_swept_unless_somebody_must_look,
    many_at_once_are_all_there,
);

fn id(n: u64) -> MessageId {
    let mut id = MessageId::at(1_000_000 + n as i64);
    id.0[8..].copy_from_slice(&n.to_be_bytes());
    id
}

fn new(n: u64, control: &str, raw: &str) -> NewMessage {
    NewMessage {
        head: MessageHead {
            id: id(n),
            channel: "adt".to_owned(),
            sender: "APP|SITE".to_owned(),
            control: control.to_owned(),
            kind: "ADT^A01".to_owned(),
            hash: content_hash(raw.as_bytes()),
            lines: vec![7, -9],
        },
        raw: Bytes::from(raw.to_owned()),
        state: MessageState::Waiting,
        attempts: 0,
        unless_since: Some(0),
        outcome: MessageOutcome::default(),
    }
}

fn outcome() -> MessageOutcome {
    MessageOutcome {
        ack: Some(Bytes::from_static(b"MSH|^~\\&|\rMSA|AA|1\r")),
        notes: vec![Note {
            place: "PID-7".to_owned(),
            text: "no date".to_owned(),
        }],
        made: vec![VersionRef {
            kind: ResourceType::PATIENT,
            id: "p".to_owned(),
            version: 3,
        }],
        patients: vec!["p".to_owned(), "q".to_owned()],
        error: None,
    }
}

fn settled(n: u64, state: MessageState, outcome: Option<MessageOutcome>) -> MessageChange {
    MessageChange::Settle(Box::new(Settled {
        id: id(n),
        from: MessageState::Waiting,
        state,
        attempts: 1,
        next: None,
        outcome,
    }))
}

async fn change(f: &Fixture, messages: Vec<MessageChange>) -> Result<Committed, StoreError> {
    let commit = Commit {
        messages,
        ..Commit::default()
    };
    f.store.commit(commit, &ALL).await
}

async fn receive(f: &Fixture, message: NewMessage) -> Result<Committed, StoreError> {
    change(f, vec![MessageChange::Receive(Box::new(message))]).await
}

async fn a_message_comes_back_as_it_came(f: &Fixture) {
    let raw = "MSH|^~\\&|A|B\rPID|1||7\0\u{1c}ü\r".repeat(20);
    let mut message = new(1, "c\u{e4}1", &raw);
    message.outcome = outcome();
    message.state = MessageState::Done;
    message.attempts = 2;
    receive(f, message.clone()).await.unwrap();
    let found = f.store.message(id(1)).await.unwrap().unwrap();
    assert_eq!(found.head, message.head);
    assert_eq!(found.outcome, outcome());
    assert_eq!((found.state, found.attempts), (MessageState::Done, 2));
    assert_eq!((found.next, found.reuses), (None, None));
    assert_eq!(f.store.message_bytes(id(1)).await.unwrap().unwrap(), raw);
    assert_eq!(f.store.message(id(2)).await.unwrap(), None);
    assert_eq!(f.store.message_bytes(id(2)).await.unwrap(), None);
}

async fn the_same_message_is_stored_once(f: &Fixture) {
    receive(f, new(1, "c", "one")).await.unwrap();
    let again = receive(f, new(2, "c", "one")).await;
    assert!(matches!(again, Err(StoreError::Duplicate(first)) if first == id(1)));
    // Other content is another message; it says so.
    let other = receive(f, new(3, "c", "two")).await.unwrap();
    assert_eq!(other.reused, [Some(id(1))]);
    let found = f.store.message(id(3)).await.unwrap().unwrap();
    assert_eq!(found.reuses, Some(id(1)));
    // Of another sender it is another message.
    let mut of_another = new(4, "c", "one");
    of_another.head.sender = "OTHER|SITE".to_owned();
    assert_eq!(receive(f, of_another).await.unwrap().reused, [None]);
    // So it is when the window is over.
    let mut late = new(5, "c", "one");
    late.unless_since = Some(1_000_005);
    receive(f, late).await.unwrap();
    let key = ("APP|SITE", "c", content_hash(b"one"));
    let earlier = f.store.earlier_message(key.0, key.1, (key.2, 0)).await;
    assert_eq!(earlier.unwrap(), Some((id(5), true)));
    let earlier = f.store.earlier_message(key.0, key.1, ([0; 16], 0)).await;
    assert_eq!(earlier.unwrap(), Some((id(5), false)));
    let earlier = f.store.earlier_message(key.0, "d", (key.2, 0)).await;
    assert_eq!(earlier.unwrap(), None);
}

async fn of_many_that_are_the_same_at_once_one_is_stored(f: &Fixture) {
    let mut all = JoinSet::new();
    for n in 0..64 {
        let store = f.store.clone();
        all.spawn(async move {
            let change = MessageChange::Receive(Box::new(new(n, "c", "same")));
            let commit = Commit {
                messages: vec![change],
                ..Commit::default()
            };
            store.commit(commit, &ALL).await
        });
    }
    let mut stored = 0;
    while let Some(done) = all.join_next().await {
        match done.unwrap() {
            Ok(_) => stored += 1,
            Err(StoreError::Duplicate(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(stored, 1);
    let found = f.store.messages(&MessageFilter::default(), 100).await;
    assert_eq!(found.unwrap().len(), 1);
}

async fn a_message_is_settled_once(f: &Fixture) {
    receive(f, new(1, "c", "one")).await.unwrap();
    let done = settled(1, MessageState::Done, Some(outcome()));
    change(f, vec![done.clone()]).await.unwrap();
    let again = change(f, vec![done]).await;
    assert!(matches!(again, Err(StoreError::Settled)), "{again:?}");
    let plain = change(f, vec![settled(1, MessageState::Failed, None)]).await;
    assert!(matches!(plain, Err(StoreError::Settled)), "{plain:?}");
    let found = f.store.message(id(1)).await.unwrap().unwrap();
    assert_eq!((found.state, found.attempts), (MessageState::Done, 1));
    assert_eq!(found.outcome, outcome());
    // What is known stays, if nothing else is said.
    let back = MessageChange::Settle(Box::new(Settled {
        id: id(1),
        from: MessageState::Done,
        state: MessageState::Waiting,
        attempts: 1,
        next: Some(5),
        outcome: None,
    }));
    change(f, vec![back]).await.unwrap();
    let found = f.store.message(id(1)).await.unwrap().unwrap();
    assert_eq!((found.state, found.next), (MessageState::Waiting, Some(5)));
    assert_eq!(found.outcome, outcome());
    let gone = change(f, vec![settled(9, MessageState::Done, None)]).await;
    assert!(matches!(gone, Err(StoreError::Settled)), "{gone:?}");
}

async fn a_message_and_its_effect_are_one_commit(f: &Fixture) {
    receive(f, new(1, "c", "one")).await.unwrap();
    let commit = |name: &str, message: MessageChange| Commit {
        writes: vec![create(ResourceType::PATIENT, name, Vec::new())],
        messages: vec![message],
        ..Commit::default()
    };
    let done = || settled(1, MessageState::Done, Some(outcome()));
    f.store.commit(commit("p", done()), &ALL).await.unwrap();
    let again = f.store.commit(commit("q", done()), &ALL).await;
    assert!(matches!(again, Err(StoreError::Settled)), "{again:?}");
    let repeated = MessageChange::Receive(Box::new(new(2, "c", "one")));
    let repeated = f.store.commit(commit("q", repeated), &ALL).await;
    assert!(
        matches!(repeated, Err(StoreError::Duplicate(first)) if first == id(1)),
        "{repeated:?}"
    );
    let keys = [(ResourceType::PATIENT, "p"), (ResourceType::PATIENT, "q")];
    let there = f.store.current(&keys, &ALL).await.unwrap();
    let there: Vec<bool> = there.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, false]);
    // With a change of what is there, which is another statement.
    receive(f, new(4, "e", "three")).await.unwrap();
    let head = f.store.current(&keys[..1], &ALL).await.unwrap();
    let head = head[0].as_ref().unwrap().head.clone();
    let change = |writes, n| Commit {
        writes,
        messages: vec![settled(n, MessageState::Done, Some(outcome()))],
        ..Commit::default()
    };
    let write = update(&head, Vec::new(), Vec::new());
    f.store
        .commit(change(vec![write.clone()], 4), &ALL)
        .await
        .unwrap();
    receive(f, new(5, "f", "four")).await.unwrap();
    let lost = f.store.commit(change(vec![write], 5), &ALL).await;
    assert!(matches!(lost, Err(StoreError::Conflict(0))), "{lost:?}");
    let five = f.store.message(id(5)).await.unwrap().unwrap();
    assert_eq!(five.state, MessageState::Waiting);
    // And the other way round: a write that cannot be leaves the message as it was.
    let mut fresh = new(3, "d", "two");
    fresh.outcome = outcome();
    let fresh = MessageChange::Receive(Box::new(fresh));
    let lost = f.store.commit(commit("p", fresh), &ALL).await;
    assert!(matches!(lost, Err(StoreError::Conflict(0))), "{lost:?}");
    assert_eq!(f.store.message(id(3)).await.unwrap(), None);
}

async fn waiting_messages_come_in_their_order(f: &Fixture) {
    for n in [3, 1, 2, 5, 4] {
        receive(f, new(n, &n.to_string(), "raw")).await.unwrap();
    }
    change(f, vec![settled(2, MessageState::Done, None)])
        .await
        .unwrap();
    change(f, vec![settled(4, MessageState::Failed, None)])
        .await
        .unwrap();
    let waiting = |after, limit| f.store.messages_in(MessageState::Waiting, after, limit);
    let all = waiting(MessageId::FIRST, 10).await.unwrap();
    let numbers: Vec<MessageId> = all.iter().map(|one| one.id).collect();
    assert_eq!(numbers, [id(1), id(3), id(5)]);
    assert_eq!(all[0].lines, [7, -9]);
    assert_eq!(all[0].channel, "adt");
    let rest = waiting(id(1), 1).await.unwrap();
    assert_eq!(rest[0].id, id(3));
    let mut counts = f.store.message_counts().await.unwrap();
    counts.sort();
    assert_eq!(
        counts,
        [(MessageState::Waiting, 3), (MessageState::Failed, 1)]
    );
}

async fn messages_are_found_by_what_is_known_of_them(f: &Fixture) {
    for n in 1..=6 {
        let mut message = new(n, &format!("c{n}"), "raw");
        message.head.kind = ["ADT^A01", "ADT^A08", "ORU^R01"][n as usize % 3].to_owned();
        message.head.channel = ["a", "b"][n as usize % 2].to_owned();
        message.state = match n {
            1 => MessageState::Failed,
            _ => MessageState::Done,
        };
        if n > 3 {
            message.outcome.patients = vec!["p".to_owned(), format!("p{n}")];
        }
        receive(f, message).await.unwrap();
    }
    let find = async |filter: MessageFilter, limit| {
        let found = f.store.messages(&filter, limit).await.unwrap();
        let each = found.iter().map(|one| one.head.id.0[15]);
        each.collect::<Vec<u8>>()
    };
    let none = MessageFilter::default;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(find(none(), 10).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(find(none(), 2).await, [6, 5]);
    let below = MessageFilter {
        below: Some(id(5)),
        ..none()
    };
    assert_eq!(find(below, 2).await, [4, 3]);
    let cases = [
        (
            MessageFilter {
                patient: text("p"),
                ..none()
            },
            &[6, 5, 4][..],
        ),
        (
            MessageFilter {
                patient: text("p5"),
                ..none()
            },
            &[5],
        ),
        (
            MessageFilter {
                patient: text("p"),
                below: Some(id(6)),
                ..none()
            },
            &[5, 4],
        ),
        (
            MessageFilter {
                channel: text("a"),
                ..none()
            },
            &[6, 4, 2],
        ),
        (
            MessageFilter {
                control: text("c3"),
                ..none()
            },
            &[3],
        ),
        (
            MessageFilter {
                kind: text("ADT^A01"),
                ..none()
            },
            &[6, 3],
        ),
        (
            MessageFilter {
                kind: text("ADT"),
                ..none()
            },
            &[6, 4, 3, 1],
        ),
        (
            MessageFilter {
                kind: text("AD"),
                ..none()
            },
            &[],
        ),
        (
            MessageFilter {
                state: Some(MessageState::Failed),
                ..none()
            },
            &[1],
        ),
        (
            MessageFilter {
                state: Some(MessageState::Done),
                kind: text("ADT^A08"),
                ..none()
            },
            &[4],
        ),
        (
            MessageFilter {
                since: Some(1_000_005),
                ..none()
            },
            &[6, 5],
        ),
        (
            MessageFilter {
                before: Some(1_000_003),
                ..none()
            },
            &[2, 1],
        ),
    ];
    for (filter, wanted) in cases {
        assert_eq!(find(filter.clone(), 10).await, wanted, "{filter:?}");
    }
}

async fn deliveries_go_in_their_order(f: &Fixture) {
    let delivery = |n: i64, to: &str| NewDelivery {
        destination: to.to_owned(),
        line: -n,
        control: format!("c{n}"),
        kind: "SIU^S12".to_owned(),
        raw: Bytes::from(format!("MSH {n}")),
        created: 1_000 + n,
        source: (n == 1).then(|| VersionRef {
            kind: ResourceType::PATIENT,
            id: "p".to_owned(),
            version: 2,
        }),
    };
    let queue = |n, to| MessageChange::Queue(Box::new(delivery(n, to)));
    change(f, vec![queue(1, "lab"), queue(2, "lab")])
        .await
        .unwrap();
    change(f, vec![queue(3, "pharmacy")]).await.unwrap();
    let to_lab = DeliveryFilter {
        destination: Some("lab".to_owned()),
        state: Some(DeliveryState::Waiting),
        ..DeliveryFilter::default()
    };
    let found = f.store.deliveries(&to_lab, 10).await.unwrap();
    let queued: Vec<NewDelivery> = found.iter().map(|one| one.delivery.clone()).collect();
    assert_eq!(queued, [delivery(1, "lab"), delivery(2, "lab")]);
    let sent = MessageChange::Deliver(Box::new(Delivered {
        n: found[0].n,
        from: DeliveryState::Waiting,
        state: DeliveryState::Done,
        attempts: 1,
        next: None,
        ack: Some(Bytes::from_static(b"MSA|AA")),
        error: None,
    }));
    change(f, vec![sent.clone()]).await.unwrap();
    let again = change(f, vec![sent]).await;
    assert!(matches!(again, Err(StoreError::Settled)), "{again:?}");
    let left = f.store.deliveries(&to_lab, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    let by_control = DeliveryFilter {
        control: Some("c1".to_owned()),
        ..DeliveryFilter::default()
    };
    let done = f.store.deliveries(&by_control, 10).await.unwrap();
    assert_eq!(done[0].state, DeliveryState::Done);
    assert_eq!(done[0].ack.as_deref(), Some(&b"MSA|AA"[..]));
    let behind = DeliveryFilter {
        after: left[0].n,
        ..DeliveryFilter::default()
    };
    let behind = f.store.deliveries(&behind, 10).await.unwrap();
    assert_eq!(behind[0].delivery.destination, "pharmacy");
}

async fn old_messages_are_swept_unless_somebody_must_look(f: &Fixture) {
    let states = MessageState::ALL.into_iter().enumerate();
    for (n, state) in states {
        let mut message = new(n as u64, &n.to_string(), "raw");
        message.state = state;
        message.outcome.patients = vec!["p".to_owned()];
        receive(f, message).await.unwrap();
    }
    let mut young = new(9, "9", "raw");
    young.state = MessageState::Done;
    receive(f, young).await.unwrap();
    assert_eq!(f.store.sweep_messages(1_000_009, 2).await.unwrap(), 2);
    assert_eq!(f.store.sweep_messages(1_000_009, 2).await.unwrap(), 1);
    let left = f
        .store
        .messages(&MessageFilter::default(), 10)
        .await
        .unwrap();
    let left: Vec<MessageId> = left.iter().map(|one| one.head.id).collect();
    assert_eq!(left, [id(9), id(2), id(0)]);
    let of_patient = MessageFilter {
        patient: Some("p".to_owned()),
        ..MessageFilter::default()
    };
    assert_eq!(f.store.messages(&of_patient, 10).await.unwrap().len(), 2);
}

async fn many_at_once_are_all_there(f: &Fixture) {
    let mut all = JoinSet::new();
    for task in 0..32_u64 {
        let store = f.store.clone();
        all.spawn(async move {
            for n in 0..20 {
                let number = task * 100 + n;
                let message = new(number, &number.to_string(), "MSH|^~\\&|\r");
                let commit = |change| Commit {
                    messages: vec![change],
                    ..Commit::default()
                };
                let change = MessageChange::Receive(Box::new(message));
                store.commit(commit(change), &ALL).await.unwrap();
                let done = settled(number, MessageState::Done, None);
                store.commit(commit(done), &ALL).await.unwrap();
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    let found = f.store.messages(&MessageFilter::default(), 10_000).await;
    assert_eq!(found.unwrap().len(), 640);
    assert_eq!(f.store.message_counts().await.unwrap(), []);
}
