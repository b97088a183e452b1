#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

use super::*;
use crate::message::Reading;

fn parse(raw: &[u8]) -> Message {
    Message::parse(Bytes::copy_from_slice(raw), &Reading::default()).unwrap()
}

fn answer<'a>(code: Code, problems: &'a [Problem]) -> Answer<'a> {
    Answer {
        code,
        problems,
        control_id: "R7",
        time: "20261124190000+0000",
        expected_sequence: None,
    }
}

fn written(to: &str, answer: &Answer<'_>) -> String {
    let raw = write(&parse(to.as_bytes()), answer);
    String::from_utf8_lossy(&raw).replace('\r', "\n")
}

#[test]
fn original_mode() {
    let to =
        r"MSH|^~\&|ADT^1.2^ISO|HOSP\T\A|HUB||20260101||ADT^A08^ADT_A01|M|P^T|2.5.1^NLD||||||8859/1";
    assert_eq!(
        written(to, &answer(Code::AA, &[])),
        "MSH|^~\\&|HUB||ADT^1.2^ISO|HOSP\\T\\A|20261124190000+0000||ACK^A08^ACK|R7|P^T|2.5.1^NLD||||||8859/1\n\
         MSA|AA|M\n"
    );
}

#[test]
fn enhanced_mode_is_not_to_be_answered() {
    let to = r"MSH|^~\&|A|B|C|D|||ADT^A08|M|P|2.5.1|||AL|NE";
    let expected =
        "MSH|^~\\&|C|D|A|B|20261124190000+0000||ACK^A08^ACK|R7|P|2.5.1|||NE|NE\nMSA|CA|M\n";
    assert_eq!(written(to, &answer(Code::CA, &[])), expected);
    let own = write_for(
        &parse(to.as_bytes()),
        &answer(Code::AA, &[]),
        Condition::Always,
    );
    assert_eq!(Header::of(&parse(&own)).accept_ack, Some(Condition::Always));
}

#[test]
fn errors_in_the_form_of_the_version() {
    let problems = [
        Problem::error("PID-3[2].1", "101", "no id|here"),
        Problem::warning("OBX[2]-5", "103", "what"),
        Problem::error("", "207", "broken"),
    ];
    let mut answer = answer(Code::AE, &problems);
    answer.expected_sequence = Some(3);
    assert_eq!(
        written(r"MSH|^~\&|A|B|C|D|||ORU^R01|M|P|2.5.1", &answer),
        "MSH|^~\\&|C|D|A|B|20261124190000+0000||ACK^R01^ACK|R7|P|2.5.1\n\
         MSA|AE|M|no id\\F\\here|3\n\
         ERR||PID^1^3^2^1|101^Required field missing^HL70357|E||||no id\\F\\here\n\
         ERR||OBX^2^5|103^Table value not found^HL70357|W||||what\n\
         ERR|||207^Application internal error^HL70357|E||||broken\n"
    );
    assert_eq!(
        written(r"MSH#@*\%#A#B#C#D###ORU@R01#M#P#2.3", &answer),
        "MSH#@*\\%#C#D#A#B#20261124190000+0000##ACK@R01#R7#P#2.3\n\
         MSA#AE#M#no id|here#3##101@Required field missing@HL70357\n\
         ERR#PID@1@3@101%Required field missing%HL70357*OBX@2@5@103%Table value not found%HL70357\
         *@@@207%Application internal error%HL70357\n"
    );
    // Two delimiters only: what cannot be written is left out.
    let short = written("MSH|^~|A|B|C|D|||ORU^R01|M|P|2.2", &answer);
    assert!(short.contains("MSH|^~|C|D|A|B|20261124190000+0000||ACK|R7|P|2.2\n"));
    assert!(short.contains("MSA|AE|M|no id here|3||101^Required field missing^HL70357\n"));
    assert!(short.contains("ERR|PID^1^3^101~OBX^2^5^103~^^^207\n"));
}

#[test]
fn what_is_missing_is_supplied() {
    assert_eq!(
        written(r"MSH|^~\&", &answer(Code::AR, &[])),
        "MSH|^~\\&|||||20261124190000+0000||ACK|R7|P|2.5.1\nMSA|AR|\n"
            .replace("MSA|AR|\n", "MSA|AR\n")
    );
    let raw = unreadable(b"\x00MSH|^|A|B<c>|D|E||||M'1|T|", "R", "2026", "odd & even");
    assert_eq!(
        String::from_utf8_lossy(&raw).replace('\r', "\n"),
        "MSH|^~\\&|D|E|A|Bc|2026||ACK|R|T|2.5.1\nMSA|AR|M1|odd \\T\\ even\n\
         ERR||MSH^1|100^Segment sequence error^HL70357|E||||odd \\T\\ even\n"
    );
}

#[test]
fn answers_are_read() {
    let of = |rest: &str| {
        read(&parse(
            format!("MSH|^~\\&|||||||ACK|1|P|2.5\r{rest}").as_bytes(),
        ))
    };
    assert_eq!(of("PID|1"), None);
    assert_eq!(of("MSA|XX|1"), None);
    let aa = of("MSA|AA|M1|fine").unwrap();
    assert_eq!(
        (aa.code, aa.control_id.as_str(), aa.problems.len()),
        (Code::AA, "M1", 0)
    );
    let problem = |rest: &str| {
        let found = of(rest).unwrap().problems;
        assert_eq!(found.len(), 1, "{found:?}");
        let Problem {
            place,
            code,
            text,
            is_error,
        } = found[0].clone();
        format!("{place} {code} {text} {is_error}")
    };
    assert_eq!(problem("MSA|AE|1|no PID"), " 207 no PID true");
    assert_eq!(problem("MSA|AE|1|no PID|||101"), " 101 no PID true");
    assert_eq!(
        problem("MSA|AE|1|Missing PID-3\rERR|PID^1^3^101"),
        "PID-3 101 Missing PID-3 true"
    );
    assert_eq!(
        problem("MSA|AE|1\rERR|||101^Required field missing^HL70357|E||||Patient id missing"),
        " 101 Patient id missing true"
    );
    assert_eq!(
        problem("MSA|AR|1\rERR||MSH^1^12|203|E"),
        "MSH-12 203 Unsupported version id true"
    );
    assert_eq!(
        problem("MSA|AA|1\rERR||OBX^2^5^1^1|9999^Odd|W||x"),
        "OBX[2]-5.1 207 Odd false"
    );
}

#[test]
fn an_answer_in_utf16_and_in_japanese() {
    let text = "MSH|^~\\&|日本|B|C|D|||ADT^A08^ADT_A01|M|P|2.5.1||||||UNICODE UTF-16\r";
    let raw: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let ack = write(&parse(&raw), &answer(Code::AA, &[]));
    assert!(ack.starts_with(b"\0M\0S\0H"));
    assert_eq!(Header::of(&parse(&ack)).receiving.application, "日本");
    let raw = b"MSH|^~\\&|\x1B$B;3ED\x1B(B|B|C|D|||ADT^A08|M|P|2.5.1||||||~ISO IR87\r";
    let ack = write(&parse(raw), &answer(Code::AA, &[]));
    assert!(ack.windows(4).any(|part| part == b";3ED"));
    assert_eq!(Header::of(&parse(&ack)).receiving.application, "山田");
}
