//! The answer to a message: ACK with MSA and ERR, in the version, the delimiters and the
//! character set of the message that it answers.

use std::str::FromStr;

use bytes::Bytes;

use crate::{
    header::{Condition, Header},
    message::{Delimiters, Message, Segment},
    place::Place,
    write::{Composite, Writer},
};

/// Something wrong with a message, or worth telling its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `PID-3[1].1`; empty if it is nowhere in particular.
    pub place: String,
    /// Of table 0357: `101`.
    pub code: &'static str,
    /// What, for a person.
    pub text: String,
    /// An error; else a warning.
    pub is_error: bool,
}

impl Problem {
    /// An error.
    pub fn error(place: impl Into<String>, code: &'static str, text: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            code,
            text: text.into(),
            is_error: true,
        }
    }

    /// A warning.
    pub fn warning(place: impl Into<String>, code: &'static str, text: impl Into<String>) -> Self {
        Self {
            is_error: false,
            ..Self::error(place, code, text)
        }
    }
}

/// Codes of table 0357, and what each means.
pub const CODES: &[(&str, &str)] = &[
    ("0", "Message accepted"),
    ("100", "Segment sequence error"),
    ("101", "Required field missing"),
    ("102", "Data type error"),
    ("103", "Table value not found"),
    ("200", "Unsupported message type"),
    ("201", "Unsupported event code"),
    ("202", "Unsupported processing id"),
    ("203", "Unsupported version id"),
    ("204", "Unknown key identifier"),
    ("205", "Duplicate key identifier"),
    ("206", "Application record locked"),
    ("207", "Application internal error"),
];

fn meaning(code: &str) -> &'static str {
    let known = CODES.iter().find(|(known, _)| *known == code);
    known.map_or("Application internal error", |(_, meaning)| meaning)
}

/// The outcome (table 0008).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Processed.
    AA,
    /// Not processed: an error in it.
    AE,
    /// Not processed: refused.
    AR,
    /// Stored.
    CA,
    /// Not stored: an error.
    CE,
    /// Not stored: refused.
    CR,
}

impl Code {
    /// As it stands in MSA-1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    /// AA or CA.
    pub fn is_success(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }

    /// CA, CE or CR: of the receipt, not of the processing.
    pub fn is_accept(self) -> bool {
        matches!(self, Self::CA | Self::CE | Self::CR)
    }
}

impl FromStr for Code {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.trim().to_ascii_uppercase().as_str() {
            "AA" => Ok(Self::AA),
            "AE" => Ok(Self::AE),
            "AR" => Ok(Self::AR),
            "CA" => Ok(Self::CA),
            "CE" => Ok(Self::CE),
            "CR" => Ok(Self::CR),
            _ => Err(()),
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The outcome.
    pub code: Code,
    /// Errors and warnings.
    pub problems: &'a [Problem],
    /// MSH-10 of the answer itself.
    pub control_id: &'a str,
    /// MSH-7, as DTM.
    pub time: &'a str,
    /// MSA-4: the sequence number that was expected.
    pub expected_sequence: Option<i64>,
}

/// The answer to a message. Nobody is to acknowledge it.
pub fn write(to: &Message, answer: &Answer<'_>) -> Bytes {
    let mut writer = begin(to, answer, None, None);
    segments(&mut writer, to, answer);
    writer.finish()
}

/// The same as a message of its own, which is to be acknowledged as said.
pub fn write_for(to: &Message, answer: &Answer<'_>, accept: Condition) -> Bytes {
    let mut writer = begin(to, answer, None, Some(accept));
    segments(&mut writer, to, answer);
    writer.finish()
}

/// The beginning of another answer than ACK (`RSP`, `SRR`): MSH, MSA and ERR, to be followed by
/// what that answer has. `kind` is MSH-9: `RSP^K22^RSP_K22`.
pub fn reply(to: &Message, answer: &Answer<'_>, kind: &[&str]) -> Writer {
    let mut writer = begin(to, answer, Some(kind), None);
    segments(&mut writer, to, answer);
    writer
}

fn begin(
    to: &Message,
    answer: &Answer<'_>,
    kind: Option<&[&str]>,
    accept: Option<Condition>,
) -> Writer {
    let header = Header::of(to);
    let msh = to.msh();
    let version = Version::of(&header.version);
    let mut writer = Writer::new(to.delimiters(), to.encoding(), &header.version);
    // These fields are in the same delimiters, so they go over as they stand.
    let same = |number: usize| msh.field(number).raw();
    let event: &str = &header.event;
    let plain: &[&str] = match event {
        "" => &["ACK"],
        _ if version < Version(2, 3, 0) => &["ACK"],
        _ if version < Version(2, 3, 1) => &["ACK", event],
        _ => &["ACK", event, "ACK"],
    };
    let mut out = writer.segment("MSH");
    out.raw(3, same(5))
        .raw(4, same(6))
        .raw(5, same(3))
        .raw(6, same(4))
        .text(7, answer.time)
        .components(9, kind.unwrap_or(plain))
        .text(10, answer.control_id)
        .raw(11, or(same(11), "P"))
        .raw(12, or(same(12), "2.5.1"));
    if header.is_enhanced() || accept.is_some() {
        out.text(15, accept.unwrap_or(Condition::Never).code());
        out.text(16, Condition::Never.code());
    }
    out.raw(18, same(18));
    drop(out);
    writer
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

fn segments(writer: &mut Writer, to: &Message, answer: &Answer<'_>) {
    let version = Version::of(to.msh().field(12).text().trim());
    let first = answer.problems.iter().find(|problem| problem.is_error);
    let first = first.or(answer.problems.first());
    let mut msa = writer.segment("MSA");
    msa.text(1, answer.code.as_str())
        .raw(2, to.msh().field(10).raw());
    if let Some(problem) = first {
        msa.text(3, &problem.text);
    }
    if let Some(expected) = answer.expected_sequence {
        msa.text(4, &expected.to_string());
    }
    if let Some(problem) = first
        && version >= Version(2, 2, 0)
        && version < Version(2, 5, 0)
    {
        msa.components(6, &[problem.code, meaning(problem.code), "HL70357"]);
    }
    drop(msa);
    if version < Version(2, 5, 0) {
        if answer.problems.is_empty() {
            return;
        }
        let mut err = writer.segment("ERR");
        for problem in answer.problems {
            let place = Place::of(&problem.place);
            let mut value = Composite::new();
            value
                .set(1, place.segment)
                .set(2, place.sequence)
                .set(3, place.field)
                .sub(4, 1, problem.code)
                .sub(4, 2, meaning(problem.code))
                .sub(4, 3, "HL70357");
            err.repeat(1, &value);
        }
        return;
    }
    for problem in answer.problems {
        let place = Place::of(&problem.place);
        let mut err = writer.segment("ERR");
        if !place.segment.is_empty() {
            let mut location = Composite::new();
            location
                .set(1, place.segment)
                .set(2, place.sequence)
                .set(3, place.field)
                .set(4, place.repetition)
                .set(5, place.component)
                .set(6, place.subcomponent);
            err.repeat(2, &location);
        }
        err.components(3, &[problem.code, meaning(problem.code), "HL70357"])
            .text(4, if problem.is_error { "E" } else { "W" })
            .text(8, &problem.text);
    }
}

/// The answer (AR) to bytes that are no message: addressed by what can be made out of them.
/// `problem` says why they are none.
pub fn unreadable(raw: &[u8], control_id: &str, time: &str, problem: &str) -> Bytes {
    let mut writer = Writer::new(Delimiters::default(), encoding_rs::UTF_8, "2.5.1");
    let fields = salvage(raw);
    let field = |number: usize| fields.get(number).map_or("", String::as_str);
    writer
        .segment("MSH")
        .text(3, field(5))
        .text(4, field(6))
        .text(5, field(3))
        .text(6, field(4))
        .text(7, time)
        .components(9, &["ACK"])
        .text(10, control_id)
        .text(11, or(field(11), "P"))
        .text(12, "2.5.1");
    writer
        .segment("MSA")
        .text(1, Code::AR.as_str())
        .text(2, field(10))
        .text(3, problem);
    writer
        .segment("ERR")
        .components(2, &["MSH", "1"])
        .components(3, &["100", meaning("100"), "HL70357"])
        .text(4, "E")
        .text(8, problem);
    writer.finish()
}

/// The fields of the first line that begins with MSH, by their numbers; none if there is no such
/// line in the first kilobyte.
fn salvage(raw: &[u8]) -> Vec<String> {
    let start: Vec<u8> = raw
        .iter()
        .copied()
        .filter(|byte| *byte != 0)
        .take(1024)
        .collect();
    let Some(at) = memchr::memmem::find(&start, b"MSH") else {
        return Vec::new();
    };
    let line = &start[at..];
    let length = memchr::memchr2(b'\r', b'\n', line).unwrap_or(line.len());
    let text = String::from_utf8_lossy(&line[..length]);
    let Some(delimiter) = text.chars().nth(3) else {
        return Vec::new();
    };
    let plain = |field: &str| -> String {
        // Nothing is known of its components: letters only.
        let allowed = |c: &char| c.is_alphanumeric() || "-_. ".contains(*c);
        field.chars().filter(allowed).take(64).collect()
    };
    let mut fields = vec![String::new()];
    fields.extend(text.split(delimiter).map(plain));
    fields
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// MSA-1.
    pub code: Code,
    /// MSA-2: which message it answers.
    pub control_id: String,
    /// Of MSA-3, MSA-6 and ERR.
    pub problems: Vec<Problem>,
    /// MSA-4.
    pub expected_sequence: Option<i64>,
}

/// Reads an answer; nothing if it has no MSA with a known code.
pub fn read(message: &Message) -> Option<Acknowledged> {
    let msa = message.first("MSA")?;
    let code: Code = msa.field(1).text().parse().ok()?;
    let mut problems: Vec<Problem> = Vec::new();
    for err in message.segments().filter(|segment| segment.name() == "ERR") {
        read_error(&err, &mut problems);
    }
    let text = msa.field(3).full_text().into_owned();
    if !code.is_success() && problems.iter().all(|problem| problem.text != text) {
        let told = problems.iter_mut().find(|problem| problem.text.is_empty());
        match told {
            _ if text.is_empty() => {}
            Some(problem) => problem.text = text,
            None => problems.push(Problem {
                place: String::new(),
                code: known(&msa.field(6).component(1).text()),
                text,
                is_error: true,
            }),
        }
    }
    for problem in &mut problems {
        if problem.text.is_empty() {
            problem.text = meaning(problem.code).to_owned();
        }
    }
    Some(Acknowledged {
        code,
        control_id: msa.field(2).text().trim().to_owned(),
        problems,
        expected_sequence: msa.field(4).text().trim().parse().ok(),
    })
}

fn read_error(err: &Segment<'_>, problems: &mut Vec<Problem>) {
    // Up to 2.4: place and code are one field.
    for old in err.field(1).repetitions() {
        let part = |number: usize| old.component(number).text().trim().to_owned();
        let code = known(&old.component(4).subcomponent(1).text());
        let text = old.component(4).subcomponent(2).text();
        problems.push(Problem {
            place: Place {
                segment: &part(1),
                sequence: &part(2),
                field: &part(3),
                ..Place::default()
            }
            .to_text(),
            code,
            // The code's own meaning says less than MSA-3.
            text: match text == meaning(code) {
                true => String::new(),
                false => text.into_owned(),
            },
            is_error: true,
        });
    }
    let code = err.field(3);
    let texts = [8, 7].map(|number| err.field(number).full_text());
    let text = texts.into_iter().find(|text| !text.is_empty());
    if !code.is_valued() && text.is_none() {
        return;
    }
    let text = text.unwrap_or_else(|| code.component(2).text());
    let severity = err.field(4).text();
    let problem = |place: String| Problem {
        place,
        code: known(&code.component(1).text()),
        text: text.clone().into_owned(),
        is_error: !matches!(severity.trim(), "W" | "I"),
    };
    let mut places = err.field(2).repetitions().peekable();
    if places.peek().is_none() {
        problems.push(problem(String::new()));
    }
    for place in places {
        let part = |number: usize| place.component(number).text().trim().to_owned();
        problems.push(problem(
            Place {
                segment: &part(1),
                sequence: &part(2),
                field: &part(3),
                repetition: &part(4),
                component: &part(5),
                subcomponent: &part(6),
            }
            .to_text(),
        ));
    }
}

fn known(code: &str) -> &'static str {
    let found = CODES.iter().find(|(known, _)| *known == code.trim());
    found.map_or("207", |(known, _)| known)
}

/// A version of the standard, to be compared. One that nobody knows is taken as a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub u8, pub u8, pub u8);

impl Version {
    pub(crate) fn of(text: &str) -> Self {
        let mut parts = text.split('.').map(|part| part.parse::<u8>().ok());
        match (parts.next().flatten(), parts.next().flatten()) {
            (Some(2), Some(minor)) => Self(2, minor, parts.next().flatten().unwrap_or(0)),
            _ => Self(2, 5, 1),
        }
    }
}

#[cfg(test)]
mod tests;
