use super::{Note, Unreadable};

/// What divides a message ([HL7 v2, chapter 2, "Message delimiters"]).
///
/// [HL7 v2, chapter 2, "Message delimiters"]: https://www.hl7.eu/HL7v2x/v251/std251/ch02.html
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields: MSH-1.
    pub field: u8,
    /// Between components: the first character of MSH-2.
    pub component: u8,
    /// Between repetitions.
    pub repetition: u8,
    /// Around escape sequences; none if MSH-2 has two characters.
    pub escape: Option<u8>,
    /// Between subcomponents; none if MSH-2 has three characters.
    pub subcomponent: Option<u8>,
    /// Marks that a text was cut (2.7 and later); none in most messages.
    pub truncation: Option<u8>,
}

impl Default for Delimiters {
    /// `|^~\&`.
    fn default() -> Self {
        Self {
            field: b'|',
            component: b'^',
            repetition: b'~',
            escape: Some(b'\\'),
            subcomponent: Some(b'&'),
            truncation: None,
        }
    }
}

impl Delimiters {
    /// Of a text that begins with a header.
    pub(super) fn of(text: &str) -> Result<(Self, Option<Note>), Unreadable> {
        let start = || text.chars().take(12).collect();
        let bytes = text.as_bytes();
        let header = bytes.get(..3).map(<[u8]>::to_ascii_uppercase);
        if !matches!(header.as_deref(), Some(b"MSH" | b"BHS" | b"FHS")) {
            return Err(Unreadable::NoHeader(start()));
        }
        let unusable = || Unreadable::Delimiters(start());
        let field = *bytes.get(3).ok_or_else(unusable)?;
        let rest = &bytes[4..];
        let length = rest
            .iter()
            .position(|byte| [field, b'\r', b'\n'].contains(byte))
            .unwrap_or(rest.len());
        let said = &rest[..length];
        let mut marks: Vec<u8> = Vec::with_capacity(5);
        for mark in said.iter().take(8) {
            // A program that doubles its backslashes.
            if !marks.contains(mark) {
                marks.push(*mark);
            }
        }
        let printable = field.is_ascii_punctuation() && said.iter().all(u8::is_ascii_punctuation);
        if !printable || said.len() > 6 || !(2..=5).contains(&marks.len()) {
            return Err(unusable());
        }
        let note = (marks.len() < said.len()).then(|| Note {
            place: "MSH-2".to_owned(),
            text: format!(
                "`{}` names a delimiter twice",
                String::from_utf8_lossy(said)
            ),
        });
        let delimiters = Self {
            field,
            component: marks[0],
            repetition: marks[1],
            escape: marks.get(2).copied(),
            subcomponent: marks.get(3).copied(),
            truncation: marks.get(4).copied(),
        };
        Ok((delimiters, note))
    }

    /// MSH-2.
    pub fn marks(&self) -> String {
        let more = [self.escape, self.subcomponent, self.truncation];
        [self.component, self.repetition]
            .into_iter()
            .chain(more.into_iter().map_while(|mark| mark))
            .map(char::from)
            .collect()
    }

    /// The letter that stands for a delimiter in an escape sequence.
    pub(crate) fn name_of(&self, byte: u8) -> Option<char> {
        let named = [
            (Some(self.field), 'F'),
            (Some(self.component), 'S'),
            (Some(self.repetition), 'R'),
            (self.escape, 'E'),
            (self.subcomponent, 'T'),
            (self.truncation, 'P'),
        ];
        let found = named.into_iter().find(|(mark, _)| *mark == Some(byte));
        found.map(|(_, name)| name)
    }
}
