//! Places as notes and problems have them, in the parts that ERR has.

/// A place in its parts, each as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub segment: &'a str,
    pub sequence: &'a str,
    pub field: &'a str,
    pub repetition: &'a str,
    pub component: &'a str,
    pub subcomponent: &'a str,
}

impl<'a> Place<'a> {
    /// Of `OBX[2]-5[1].3.1`. The segment's number is 1 unless said.
    pub fn of(text: &'a str) -> Self {
        let (segment, rest) = text.split_once('-').unwrap_or((text, ""));
        let (segment, sequence) = indexed(segment);
        let mut parts = rest.split('.');
        let (field, repetition) = indexed(parts.next().unwrap_or(""));
        if segment.is_empty() {
            return Self::default();
        }
        let component = parts.next().unwrap_or("");
        Self {
            segment,
            sequence: or(sequence, "1"),
            field,
            repetition: match component {
                "" => repetition,
                _ => or(repetition, "1"),
            },
            component,
            subcomponent: parts.next().unwrap_or(""),
        }
    }

    pub fn to_text(self) -> String {
        let mut text = self.segment.to_owned();
        let index = |text: &mut String, number: &str| {
            if !matches!(number, "" | "0" | "1") {
                text.extend(["[", number, "]"]);
            }
        };
        index(&mut text, self.sequence);
        if !self.field.is_empty() && !self.segment.is_empty() {
            text.extend(["-", self.field]);
            index(&mut text, self.repetition);
            for part in [self.component, self.subcomponent] {
                if part.is_empty() {
                    break;
                }
                text.extend([".", part]);
            }
        }
        text
    }
}

/// `OBX[2]` as `OBX` and `2`.
fn indexed(text: &str) -> (&str, &str) {
    match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, number)) => (name, number),
        None => (text, ""),
    }
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}
