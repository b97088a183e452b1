//! Acknowledgements. They follow from the message and its number, so the same message gets the
//! same answer whenever it is given.

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use mllp::{
    Message,
    ack::{self, Answer, Code, Problem},
};

use crate::engine::MessageId;

/// The answer to a message.
pub fn write(
    message: &Message,
    (code, problems): (Code, &[Problem]),
    id: MessageId,
    (zone, expected): (&TimeZone, Option<i64>),
) -> Bytes {
    let answer = Answer {
        code,
        problems,
        control_id: &control(id, code.is_accept()),
        time: &time(id, zone),
        expected_sequence: expected,
    };
    ack::write(message, &answer)
}

/// The answer to bytes that are no message.
pub fn unreadable(raw: &[u8], id: MessageId, problem: &str) -> Bytes {
    let time = time(id, &TimeZone::UTC);
    ack::unreadable(raw, &control(id, false), &time, problem)
}

/// MSH-10 of an answer: 20 letters, as many as all versions take.
fn control(id: MessageId, is_accept: bool) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let whole = u128::from_be_bytes(id.0);
    // The milliseconds, and the end that tells the messages of one of them apart.
    let number = (whole >> 80 << 50) | (whole & ((1 << 50) - 1));
    let mut text = String::with_capacity(20);
    text.push(if is_accept { 'C' } else { 'A' });
    for at in (0..19).rev() {
        let letter = (number >> (5 * at)) & 31;
        text.push(char::from(LETTERS[letter as usize]));
    }
    text
}

/// The receipt of a message as DTM.
fn time(id: MessageId, zone: &TimeZone) -> String {
    let at = Timestamp::from_millisecond(id.received()).unwrap_or_default();
    at.to_zoned_datetime(zone.clone())
        .strftime("%Y%m%d%H%M%S%z")
        .to_string()
}

/// Problems as one text, for whoever looks at the message.
pub fn told(problems: &[Problem]) -> String {
    let each = problems.iter().map(|problem| match problem.place.as_str() {
        "" => problem.text.clone(),
        place => format!("{place}: {}", problem.text),
    });
    each.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_ids_are_short_and_each_messages_own() {
        let id =
            MessageId(*uuid::Uuid::from_u128(0x0199_aaaa_bbbb_7000_8000_0000_0000_0001).as_bytes());
        let next = MessageId((u128::from_be_bytes(id.0) + 1).to_be_bytes());
        let later =
            MessageId(*uuid::Uuid::from_u128(0x0199_aaaa_bbbc_7000_8000_0000_0000_0001).as_bytes());
        let all = [
            control(id, true),
            control(id, false),
            control(next, true),
            control(later, true),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 20);
            assert!(!all[..at].contains(one));
        }
        assert_eq!(time(id, &TimeZone::UTC).len(), 19);
    }
}
