//! What MSH says of a message.

use std::{fmt, str::FromStr};

use crate::{
    ack::Problem,
    message::{Message, Note, Segment},
};

/// A sender or a receiver: an application at a facility.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Party {
    /// The namespace of MSH-3 or MSH-5; its universal id if it has no namespace.
    pub application: String,
    /// The same of MSH-4 or MSH-6.
    pub facility: String,
}

/// When an acknowledgement is wanted (table 0155).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// AL: always.
    Always,
    /// NE: never.
    Never,
    /// ER: if it failed.
    Error,
    /// SU: if it succeeded.
    Success,
}

impl Condition {
    /// Whether an answer of this outcome is wanted.
    pub fn wants(self, success: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Error => !success,
            Self::Success => success,
        }
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Always => "AL",
            Self::Never => "NE",
            Self::Error => "ER",
            Self::Success => "SU",
        }
    }
}

impl FromStr for Condition {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.trim().to_ascii_uppercase().as_str() {
            "AL" => Ok(Self::Always),
            "NE" => Ok(Self::Never),
            "ER" => Ok(Self::Error),
            "SU" => Ok(Self::Success),
            _ => Err(()),
        }
    }
}

/// The header of a message. What is missing is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// MSH-10.
    pub control_id: String,
    /// The first component of MSH-9: `ADT`.
    pub code: String,
    /// The second: `A01`.
    pub event: String,
    /// The third: `ADT_A01`; derived from the other two if it is missing.
    pub structure: String,
    /// MSH-11: `P`, `T` or `D`.
    pub processing: String,
    /// MSH-12: `2.5.1`.
    pub version: String,
    /// MSH-3 and 4.
    pub sending: Party,
    /// MSH-5 and 6.
    pub receiving: Party,
    /// MSH-15; none in original mode.
    pub accept_ack: Option<Condition>,
    /// MSH-16; none in original mode.
    pub application_ack: Option<Condition>,
    /// MSH-13.
    pub sequence: Option<i64>,
    /// MSH-7, as it stands.
    pub time: String,
    /// MSH-8.
    pub security: String,
    /// What is odd.
    pub notes: Vec<Note>,
}

/// Versions of the standard.
pub const VERSIONS: &[&str] = &[
    "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1",
    "2.8.2", "2.9", "2.9.1",
];

impl Header {
    /// Reads MSH. It never fails.
    pub fn of(message: &Message) -> Self {
        let msh = message.msh();
        let mut notes = Vec::new();
        let mut note = |number: usize, text: String| {
            notes.push(Note {
                place: format!("MSH-{number}"),
                text,
            });
        };
        let text = |number: usize| msh.field(number).text().trim().to_owned();
        let mut condition = |number: usize| {
            let code = text(number);
            let condition = code.parse().ok();
            if condition.is_none() && !code.is_empty() {
                note(number, format!("`{code}` is not AL, NE, ER or SU"));
            }
            condition
        };
        let (accept_ack, application_ack) = (condition(15), condition(16));
        let number = text(13);
        let sequence = number.parse().ok();
        if sequence.is_none() && !number.is_empty() {
            note(13, format!("`{number}` is no sequence number"));
        }
        let part = |at: usize| {
            msh.field(9)
                .component(at)
                .text()
                .trim()
                .to_ascii_uppercase()
        };
        let (mut code, mut event, mut structure) = (part(1), part(2), part(3));
        if event.is_empty() && structure.is_empty() && code.contains('_') {
            // `ADT_A01` where `ADT^A01` was meant.
            let whole = code.clone();
            if let Some((first, second)) = whole.split_once('_') {
                note(9, format!("`{whole}` is read as {first}^{second}"));
                (code, event) = (first.to_owned(), second.to_owned());
            }
        }
        if event.is_empty() {
            // Old messages tell it in EVN only.
            if let Some(evn) = message.first("EVN") {
                event = evn.field(1).text().trim().to_ascii_uppercase();
            }
        }
        if structure.is_empty() {
            structure = self::structure(&code, &event);
        }
        Self {
            control_id: text(10),
            code,
            event,
            structure,
            processing: text(11).to_ascii_uppercase(),
            version: text(12),
            sending: Party::of(&msh, 3),
            receiving: Party::of(&msh, 5),
            accept_ack,
            application_ack,
            sequence,
            time: text(7),
            security: text(8),
            notes,
        }
    }

    /// Whether MSH-15 or 16 ask for enhanced mode.
    pub fn is_enhanced(&self) -> bool {
        self.accept_ack.is_some() || self.application_ack.is_some()
    }

    /// Whether the message is itself an answer to one: it is not to be answered.
    pub fn is_acknowledgement(&self) -> bool {
        matches!(self.code.as_str(), "ACK" | "MCF")
    }

    /// `ADT^A01`.
    pub fn kind(&self) -> String {
        match self.event.as_str() {
            "" => self.code.clone(),
            event => format!("{}^{event}", self.code),
        }
    }

    /// Why the message cannot be taken at all, whatever its content: each is worth AR or CR.
    /// Processing ids other than P, and types, are for a channel to judge.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |place: &str, code: &'static str, text: String| {
            problems.push(Problem {
                place: place.to_owned(),
                code,
                text,
                is_error: true,
            });
        };
        if self.code.is_empty() {
            problem("MSH-9", "101", "the message type is missing".to_owned());
        }
        if self.control_id.is_empty() {
            problem("MSH-10", "101", "the control id is missing".to_owned());
        }
        if self.processing.is_empty() {
            problem("MSH-11", "101", "the processing id is missing".to_owned());
        } else if !matches!(self.processing.as_str(), "P" | "T" | "D") {
            let text = format!("`{}` is not P, T or D", self.processing);
            problem("MSH-11", "202", text);
        }
        if self.version.is_empty() {
            problem("MSH-12", "101", "the version is missing".to_owned());
        } else if !VERSIONS.contains(&self.version.as_str()) {
            problem(
                "MSH-12",
                "203",
                format!("there is no version `{}`", self.version),
            );
        }
        problems
    }
}

impl Party {
    fn of(msh: &Segment<'_>, first: usize) -> Self {
        let part = |number: usize| {
            let field = msh.field(number);
            let namespace = field.component(1).text().trim().to_owned();
            match namespace.is_empty() {
                true => field.component(2).text().trim().to_owned(),
                false => namespace,
            }
        };
        Self {
            application: part(first),
            facility: part(first + 1),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.application, self.facility)
    }
}

/// The structure of a message (table 0354) by its type and event, of versions up to 2.8.
pub fn structure(code: &str, event: &str) -> String {
    let shared = match (code, event) {
        ("ACK", _) => return "ACK".to_owned(),
        ("ADT", "A01" | "A04" | "A08" | "A13") => "A01",
        ("ADT", "A05" | "A14" | "A28" | "A31") => "A05",
        ("ADT", "A06" | "A07") => "A06",
        ("ADT", "A09" | "A10" | "A11") => "A09",
        ("ADT", "A12") => "A12",
        ("ADT", "A21" | "A22" | "A23" | "A25" | "A26" | "A27" | "A29" | "A32" | "A33") => "A21",
        ("ADT", "A18") => "A18",
        ("ADT", "A30" | "A34" | "A35" | "A36" | "A46" | "A47" | "A48" | "A49") => "A30",
        ("ADT", "A37") => "A37",
        ("ADT", "A39" | "A40" | "A41" | "A42") => "A39",
        ("ADT", "A43" | "A44") => "A43",
        ("ADT", "A45") => "A45",
        ("ADT", "A50" | "A51") => "A50",
        ("ADT", "A52" | "A53") => "A52",
        ("ADT", "A54" | "A55") => "A54",
        ("ADT", "A61" | "A62") => "A61",
        ("SIU", _) => "S12",
        ("SRM", _) => "S01",
        ("SRR", _) => "S01",
        ("SQM" | "SQR", _) => "S25",
        ("ORU", "R01" | "W01") => "R01",
        ("ORU", "R30" | "R31" | "R32") => "R30",
        ("OUL", "R22" | "R23" | "R24") => event,
        ("MDM", "T01" | "T03" | "T05" | "T07" | "T09" | "T11") => "T01",
        ("MDM", "T02" | "T04" | "T06" | "T08" | "T10") => "T02",
        ("ORM", _) => "O01",
        ("RDE", "O11" | "O25") => "O11",
        ("MFN", "M02") => "M02",
        ("QBP", "Q21" | "Q22" | "Q23" | "Q24" | "Q25") => "Q21",
        ("RSP", "K22") => "K22",
        ("RSP", "K23" | "K24") => "K23",
        ("BAR", "P01" | "P02" | "P05" | "P06" | "P10" | "P12") => event,
        _ => event,
    };
    match (code, shared) {
        ("", _) => String::new(),
        (_, "") => code.to_owned(),
        _ => format!("{code}_{shared}"),
    }
}
