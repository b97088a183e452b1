//! What the tables leave to code: names in the column of data type maps, and which function each
//! stands for.

/// A function that makes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Native {
    /// A coded element as a CodeableConcept.
    Concept,
    /// A coded element as a Coding.
    Coding,
    /// A person's location, as Locations in each other; a link to the innermost.
    Location,
    /// A telecommunication number.
    Telecom,
    /// A name as one text.
    NameText,
    /// Encapsulated data.
    Data,
    /// A pointer to data elsewhere.
    Pointer,
    /// The system that an assigning authority at a component stands for.
    Authority(u8),
    /// A Reference with the display of the assigning authority, an HD.
    Assigner,
    /// The same, of an EI's second component.
    AssignerOfEi,
    /// Street, name and number as one line.
    Street,
    /// A number as `Quantity.value`, or text.
    Number,
    /// A time of day, or text.
    Time,
    /// From a time for as many minutes as the next field but one says.
    MinutesFrom,
    /// All repetitions as lines of one text.
    Lines,
    /// A duration with its unit as minutes.
    Minutes,
    /// When something is done (TQ, RPT).
    Timing,
    /// The bounds of an appointment.
    Bounds,
    /// A period of an AIx segment.
    Resource,
    /// All components as they stand, joined by blanks.
    Plain,
    /// Number and unit as a Quantity.
    Quantity,
    /// The patient of the message.
    Patient,
    /// Hours, days … as a Duration.
    Days,
    /// A text as base64.
    Base64,
    /// A text after what is there, as base64: a document of several segments.
    DocumentText,
    /// All of a text, delimiters that stand in it too.
    Whole,
    /// A number that is none, as text.
    NotNumber,
    /// A number with the unit of OBX-6.
    NumberUnit,
    /// The sender's system of identifiers.
    Sender,
    /// The coding system of a thing, else the sender's.
    ItemSystem,
    /// A component of a compound drug (RXC) in words.
    Component,
    /// The status of a visit by the message's event.
    Event,
    /// The system of PID-19: the US's, if the message is of there, else the sender's.
    SocialSecurity,
    /// The media type of TXA-3.
    Content,
    /// The URI of a coding system.
    CodeSystem,
    /// A unit, as members of a Quantity.
    Unit,
    /// Nothing: another row of the same segment reads the field.
    Used,
    /// A text after the one that is there, on a line of its own.
    Append,
    /// A period so long after the appointment's start.
    Offset,
    /// The appointment's start and end, by its service.
    Service,
}

impl Native {
    /// By the name of a data type map.
    pub fn named(name: &str) -> Option<Self> {
        let key = super::table::table_key(name);
        Some(match key.as_str() {
            "ce[codeableconcept]"
            | "cf[codeableconcept]"
            | "cne[codeableconcept]"
            | "cwe[codeableconcept]"
            | "id[codeableconcept]"
            | "is[codeableconcept]"
            | "st[codeableconcept]" => Self::Concept,
            "cwe[coding]" | "id[coding]" | "ce[coding]" | "is[coding]" => Self::Coding,
            "pl[location]" => Self::Location,
            "xtn[contactpoint]" => Self::Telecom,
            "xpn[string]" => Self::NameText,
            "ed[attachment]" => Self::Data,
            "rp[attachment]" => Self::Pointer,
            "cq[quantity]" => Self::Quantity,
            "=authority-2" => Self::Authority(2),
            "=authority-4" => Self::Authority(4),
            "=authority-6" => Self::Authority(6),
            "=authority-9" => Self::Authority(9),
            "=assigner" => Self::Assigner,
            "=assigner-ei" => Self::AssignerOfEi,
            "=street" => Self::Street,
            "=number" => Self::Number,
            "=time" => Self::Time,
            "=minutes-from" => Self::MinutesFrom,
            "=lines" => Self::Lines,
            "=minutes" => Self::Minutes,
            "=timing" => Self::Timing,
            "=bounds" => Self::Bounds,
            "=resource" => Self::Resource,
            "=plain" => Self::Plain,
            "=patient" => Self::Patient,
            "=days" => Self::Days,
            "=base64" => Self::Base64,
            "=document-text" => Self::DocumentText,
            "=whole" => Self::Whole,
            "=not-number" => Self::NotNumber,
            "=number-unit" => Self::NumberUnit,
            "=sender" => Self::Sender,
            "=item-system" => Self::ItemSystem,
            "=component" => Self::Component,
            "=event" => Self::Event,
            "=ssn" => Self::SocialSecurity,
            "=content" => Self::Content,
            "=code-system" => Self::CodeSystem,
            "=unit" => Self::Unit,
            "=used" => Self::Used,
            "=append" => Self::Append,
            "=offset" => Self::Offset,
            "=service" => Self::Service,
            _ => return None,
        })
    }
}

/// Bytes as base64 (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut made = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut number = 0u32;
        for at in 0..3 {
            number = number << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * at) & 63) as usize];
            made.push(if at <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    made
}
