//! What senders put between frames, and how they write them.

use std::time::Duration;

use mllp::ack::Code;

use super::{
    fixture::{Fixture, Plan},
    wire::{Wire, adt},
};
use crate::fixture::Database;

on_both_databases!(
    odd_frames_are_taken,
    what_is_too_long_is_refused_and_the_connection_goes_on,
    who_is_silent_or_slow_makes_room,
    many_idle_connections_are_open,
    pipelined_messages_are_answered_in_their_order,
);

async fn odd_frames_are_taken(database: Database) {
    let f = Fixture::new(database, Plan::default()).await;
    let framed = |control: &str, end: &str| format!("\u{b}{}{end}", adt(control, "7", ("", "")));
    let cases: [(&str, String, &[&str]); 8] = [
        ("plain", framed("1", "\u{1c}\r"), &["1"]),
        (
            "noise before",
            format!("hello\r\n{}", framed("2", "\u{1c}\r")),
            &["2"],
        ),
        (
            "two in one write",
            format!("{}{}", framed("3", "\u{1c}\r"), framed("4", "\u{1c}\r")),
            &["3", "4"],
        ),
        (
            "begun again",
            format!("\u{b}MSH|^~\\&|lost{}", framed("5", "\u{1c}\r")),
            &["5"],
        ),
        ("ended by LF", framed("6", "\u{1c}\n"), &["6"]),
        (
            "FS alone before the next",
            format!("{}{}", framed("7", "\u{1c}"), framed("8", "\u{1c}\r")),
            &["7", "8"],
        ),
        ("FS alone before silence", framed("9", "\u{1c}"), &["9"]),
        (
            "empty",
            format!("\u{b}\u{1c}\r{}", framed("10", "\u{1c}\r")),
            &["10"],
        ),
    ];
    for (what, bytes, controls) in cases {
        let mut wire = Wire::to(f.address).await;
        wire.write(bytes.as_bytes()).await;
        for control in controls {
            let answer = wire.answer().await;
            assert_eq!(
                (answer.code, answer.control_id.as_str()),
                (Code::AA, *control),
                "{what}"
            );
        }
        // And one byte at a time, on the same connection.
        if what == "plain" {
            for byte in framed("bytes", "\u{1c}\r").as_bytes() {
                wire.write(&[*byte]).await;
            }
            assert_eq!(wire.answer().await.control_id, "bytes");
        }
    }
    f.stop().await;
}

async fn what_is_too_long_is_refused_and_the_connection_goes_on(database: Database) {
    let mut plan = Plan::default();
    plan.settings.bounds.frame = 10_000;
    let f = Fixture::new(database, plan).await;
    let mut wire = Wire::to(f.address).await;
    let long = format!(
        "{}NTE|1||{}\r",
        adt("long", "7", ("", "")),
        "x".repeat(3_000_000)
    );
    wire.send(&long).await;
    let answer = wire.answer().await;
    assert_eq!(
        (answer.code, answer.control_id.as_str()),
        (Code::AR, "long")
    );
    assert_eq!(wire.ask(&adt("1", "7", ("", ""))).await.code, Code::AA);
    f.stop().await;
}

async fn who_is_silent_or_slow_makes_room(database: Database) {
    let mut plan = Plan::default();
    plan.settings.bounds.idle = Duration::from_millis(700);
    plan.settings.bounds.frame_time = Duration::from_millis(700);
    plan.settings.bounds.connections = 2;
    let f = Fixture::new(database, plan).await;
    let mut silent = Wire::to(f.address).await;
    assert!(silent.is_closed().await);
    let mut slow = Wire::to(f.address).await;
    slow.write(b"\x0bMSH|").await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        use tokio::io::AsyncWriteExt as _;
        if slow.stream.write_all(b"x").await.is_err() {
            break;
        }
    }
    assert!(slow.is_closed().await);
    // With all places taken, the oldest that is idle goes.
    let mut first = Wire::to(f.address).await;
    assert_eq!(first.ask(&adt("1", "7", ("", ""))).await.code, Code::AA);
    let _second = Wire::to(f.address).await;
    let mut third = Wire::to(f.address).await;
    assert_eq!(third.ask(&adt("2", "7", ("", ""))).await.code, Code::AA);
    assert!(first.is_closed().await);
    f.stop().await;
}

async fn many_idle_connections_are_open(database: Database) {
    let mut plan = Plan::default();
    plan.settings.bounds.connections = 1_000;
    let f = Fixture::new(database, plan).await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(Wire::to(f.address).await);
    }
    for (n, wire) in idle.iter_mut().enumerate() {
        assert_eq!(
            wire.ask(&adt(&n.to_string(), "7", ("AL", "NE"))).await.code,
            Code::CA
        );
    }
    f.settled().await;
    drop(idle);
    f.stop().await;
}

async fn pipelined_messages_are_answered_in_their_order(database: Database) {
    let mut plan = Plan::default();
    plan.settings.bounds.pipelined = 8;
    let f = Fixture::new(database, plan).await;
    let mut wire = Wire::to(f.address).await;
    let all: String = (0..200)
        .map(|n| {
            let acks = if n % 3 == 0 { ("", "") } else { ("AL", "NE") };
            let message = adt(&n.to_string(), &(n % 7).to_string(), acks);
            format!("\u{b}{message}\u{1c}\r")
        })
        .collect();
    wire.write(all.as_bytes()).await;
    for n in 0..200 {
        assert_eq!(wire.answer().await.control_id, n.to_string());
    }
    assert_eq!(f.settled().await.len(), 200);
    f.stop().await;
}
