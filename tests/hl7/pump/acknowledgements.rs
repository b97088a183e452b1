//! Who is answered when, and how.

use mllp::{Message, ack::Code, header::Header, message::Reading};
use rotunda::{
    engine::MessageState,
    hl7::{AckMode, Channel},
};

use super::{
    fixture::{Fixture, Plan},
    wire::{Wire, adt},
};
use crate::fixture::Database;

on_both_databases!(
    each_pair_of_conditions_has_its_answers,
    a_setting_overrides_what_senders_say,
    what_cannot_be_taken_is_refused_with_its_place,
    answers_are_never_answered,
    answers_are_in_the_senders_form,
    messages_of_a_batch_are_answered_as_a_batch,
    a_gap_in_the_sequence_is_told,
    a_stop_answers_what_has_come,
    release_2_says_first_whether_it_is_stored,
);

/// MSH-15 and 16.
const CONDITIONS: [&str; 5] = ["", "AL", "NE", "ER", "SU"];

async fn each_pair_of_conditions_has_its_answers(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    for (n, accept) in CONDITIONS.into_iter().enumerate() {
        for (m, application) in CONDITIONS.into_iter().enumerate() {
            let control = format!("C{n}{m}");
            wire.send(&adt(&control, "7", (accept, application))).await;
            let mut wanted = Vec::new();
            if accept.is_empty() && application.is_empty() {
                wanted.push("AA");
            } else {
                let wants = |condition| matches!(condition, "AL" | "SU");
                wanted.extend(wants(accept).then_some("CA"));
                wanted.extend(wants(application).then_some("AA"));
            }
            let mut got = wire.codes(wanted.len()).await;
            got.sort();
            wanted.sort_unstable();
            assert_eq!(got, wanted, "MSH-15 {accept:?}, MSH-16 {application:?}");
        }
    }
    let all = f.settled().await;
    assert_eq!(all.len(), 25);
    for message in all {
        assert_eq!(message.state, MessageState::Done, "{message:?}");
        assert!(message.outcome.ack.is_some());
    }
    f.stop().await;
}

async fn a_setting_overrides_what_senders_say(database: Database) {
    for (mode, wanted) in [
        (AckMode::Original, [&["AA"][..], &["AA"], &["AA"]]),
        (AckMode::Enhanced, [&["CA"], &["CA"], &["AA"]]),
    ] {
        let plan = Plan::channel(Channel {
            mode,
            ..Channel::default()
        });
        let f = Fixture::new(database, plan).await;
        let mut wire = Wire::to(f.address).await;
        let cases = [("", ""), ("AL", "NE"), ("NE", "AL")];
        for (n, (acks, wanted)) in cases.into_iter().zip(wanted).enumerate() {
            wire.send(&adt(&n.to_string(), "7", acks)).await;
            assert_eq!(wire.codes(wanted.len()).await, wanted, "{mode:?} {acks:?}");
        }
        f.stop().await;
    }
}

async fn what_cannot_be_taken_is_refused_with_its_place(database: Database) {
    let plan = Plan::channel(Channel {
        applications: vec!["APP".to_owned()],
        types: vec!["ADT".to_owned(), "SIU^S12".to_owned()],
        ..Channel::default()
    });
    let f = Fixture::new(database, plan).await;
    let mut wire = Wire::to(f.address).await;
    let good = adt("1", "7", ("", ""));
    let cases = [
        (good.replace("|P|2.5.1", "|P|9.9"), "203", "MSH"),
        (good.replace("|P|2.5.1", "|T|2.5.1"), "202", "MSH"),
        (good.replace("|P|2.5.1", "|X|2.5.1"), "202", "MSH"),
        (good.replace("|1|P|", "||P|"), "101", "MSH"),
        (good.replace("ADT^A08^ADT_A01", "ORU^R01"), "200", "MSH"),
        (good.replace("ADT^A08^ADT_A01", "SIU^S13"), "201", "MSH"),
        (good.replace("|APP|", "|OTHER|"), "207", "MSH"),
        ("PID|1||7\r".to_owned(), "100", "MSH"),
    ];
    let count = cases.len();
    for (message, code, place) in cases {
        let answer = wire.ask(&message).await;
        assert_eq!(answer.code, Code::AR, "{message}");
        let problem = &answer.problems[0];
        assert_eq!(problem.code, code, "{message}: {answer:?}");
        assert!(problem.place.starts_with(place), "{message}: {answer:?}");
    }
    let enhanced = adt("1", "7", ("AL", "NE")).replace("|P|2.5.1", "|P|9.9");
    assert_eq!(wire.ask(&enhanced).await.code, Code::CR);
    assert_eq!(wire.ask(&good).await.code, Code::AA);
    // All are there to be looked at.
    let all = f.messages().await;
    let refused = all.iter().filter(|one| one.state == MessageState::Refused);
    assert_eq!(refused.count(), count + 1);
    assert!(all.iter().all(|one| {
        one.state == MessageState::Done || one.outcome.error.as_ref().is_some_and(|e| !e.is_empty())
    }));
    f.stop().await;
}

async fn answers_are_never_answered(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    wire.send("MSH|^~\\&|APP|SITE|ROTUNDA|HERE|2026||ACK^A01|9|P|2.5|||AL|AL\rMSA|AA|1\r")
        .await;
    assert_eq!(wire.codes(0).await, Vec::<String>::new());
    assert_eq!(f.messages().await, []);
    f.stop().await;
}

async fn answers_are_in_the_senders_form(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    let message = "MSH#*~\\&#APP#SITE#ROTUNDA#HERE#2026##ADT*A08#C 1#P#2.3##\rPID#1##7\r";
    wire.send(message).await;
    let answer = wire.frame().await;
    let answer = Message::parse(answer, &Reading::default()).unwrap();
    let header = Header::of(&answer);
    assert_eq!(header.sending.application, "ROTUNDA");
    assert_eq!(header.receiving.application, "APP");
    assert_eq!(
        (header.version.as_str(), header.code.as_str()),
        ("2.3", "ACK")
    );
    assert_eq!(answer.delimiters().field, b'#');
    assert!(header.control_id.len() <= 20);
    assert_eq!(answer.first("MSA").unwrap().field(2).text(), "C 1");
    f.stop().await;
}

async fn messages_of_a_batch_are_answered_as_a_batch(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    let messages: String = (1..=3)
        .map(|n| adt(&n.to_string(), &n.to_string(), ("", "")))
        .collect();
    let bad = adt("4", "4", ("", "")).replace("|P|2.5.1", "|P|9.9");
    let batch = format!("BHS|^~\\&|APP|SITE|||2026||||B1\r{messages}{bad}BTS|4\r");
    wire.send(&batch).await;
    let answer = wire.frame().await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        text.starts_with("BHS|^~\\&|") && text.contains("BTS|4"),
        "{text}"
    );
    let codes: Vec<&str> = text
        .split('\r')
        .filter(|line| line.starts_with("MSA"))
        .map(|line| &line[4..8])
        .collect();
    assert_eq!(codes, ["AA|1", "AA|2", "AA|3", "AR|4"]);
    // Without a header around them each is answered by itself.
    let messages = messages.replace("|P|", "x|P|");
    wire.send(&messages).await;
    for n in 1..=3 {
        assert_eq!(wire.answer().await.control_id, format!("{n}x"));
    }
    assert_eq!(f.settled().await.len(), 7);
    f.stop().await;
}

async fn a_gap_in_the_sequence_is_told(database: Database) {
    let plan = Plan::channel(Channel {
        sequence: true,
        ..Channel::default()
    });
    let f = Fixture::new(database, plan).await;
    let mut wire = Wire::to(f.address).await;
    let numbered = |n: i64| {
        let message = adt(&format!("S{n}"), "7", ("", ""));
        message.replace("|2.5.1|||", &format!("|2.5.1|{n}||"))
    };
    for n in [41, 42] {
        assert_eq!(wire.ask(&numbered(n)).await.code, Code::AA);
    }
    let gap = wire.ask(&numbered(44)).await;
    assert_eq!((gap.code, gap.expected_sequence), (Code::AE, Some(43)));
    // What has come is answered as it was.
    assert_eq!(wire.ask(&numbered(42)).await.code, Code::AA);
    assert_eq!(wire.ask(&numbered(43)).await.code, Code::AA);
    assert_eq!(wire.ask(&numbered(44)).await.code, Code::AA);
    assert_eq!(wire.ask(&numbered(0)).await.code, Code::AA);
    assert_eq!(wire.ask(&numbered(1)).await.code, Code::AA);
    f.stop().await;
}

async fn a_stop_answers_what_has_come(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let mut wire = Wire::to(f.address).await;
    for n in 0..40 {
        wire.send(&adt(&n.to_string(), "7", ("", ""))).await;
    }
    let first = wire.answer().await;
    assert_eq!(first.control_id, "0");
    let address = f.address;
    let home = f.stop().await;
    let mut answered = 1;
    while let Some(event) = wire.event(std::time::Duration::from_secs(5)).await {
        assert!(matches!(event, mllp::frame::Event::Frame(_)));
        answered += 1;
    }
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let (store, engine) = super::fixture::open(&home.url).await;
    let filter = rotunda::engine::MessageFilter::default();
    let stored = engine
        .message_desk()
        .messages(&filter, 100)
        .await
        .unwrap()
        .len();
    assert_eq!(stored, answered);
    drop(engine);
    rotunda::server::close(store).await;
}

async fn release_2_says_first_whether_it_is_stored(database: Database) {
    let plan = Plan {
        commits: true,
        ..Plan::default()
    };
    let f = Fixture::new(database, plan).await;
    let mut wire = Wire::to(f.address).await;
    let patience = std::time::Duration::from_secs(10);
    wire.send(&adt("1", "7", ("", ""))).await;
    let event = wire.event(patience).await;
    assert_eq!(event, Some(mllp::frame::Event::Commit(true)));
    assert_eq!(wire.answer().await.code, Code::AA);
    wire.send("PID|no message\r").await;
    let event = wire.event(patience).await;
    assert_eq!(event, Some(mllp::frame::Event::Commit(false)));
    assert_eq!(wire.answer().await.code, Code::AR);
    f.stop().await;
}
