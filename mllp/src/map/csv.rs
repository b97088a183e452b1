//! Reading tables with commas (RFC 4180), with the line that each record begins on.

/// A record, and the line (from 1) that it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub line: usize,
    /// Its fields, without the blanks around them; line ends within are blanks.
    pub fields: Vec<String>,
}

/// All records that are not empty.
///
/// # Errors
/// A quoted field does not end.
pub fn read(text: &str) -> Result<Vec<Record>, String> {
    let mut records = Vec::new();
    let mut fields = Vec::new();
    let mut field = String::new();
    let (mut line, mut begins) = (1, 1);
    let mut quoted = None;
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(character) = chars.next() {
        if character == '\n' {
            line += 1;
        }
        match (character, quoted) {
            ('"', Some(_)) if chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            ('"', Some(_)) => quoted = None,
            ('"', None) if field.trim().is_empty() => {
                field.clear();
                quoted = Some(line);
            }
            ('\r', _) => {}
            (_, Some(_)) => field.push(character),
            (',', None) => fields.push(tidy(&mut field)),
            ('\n', None) => {
                fields.push(tidy(&mut field));
                end(&mut records, &mut fields, begins);
                begins = line;
            }
            (_, None) => field.push(character),
        }
    }
    if let Some(from) = quoted {
        return Err(format!("line {from}: a quoted field does not end"));
    }
    fields.push(tidy(&mut field));
    end(&mut records, &mut fields, begins);
    Ok(records)
}

fn end(records: &mut Vec<Record>, fields: &mut Vec<String>, line: usize) {
    let fields = std::mem::take(fields);
    if fields.iter().any(|field| !field.is_empty()) {
        records.push(Record { line, fields });
    }
}

fn tidy(field: &mut String) -> String {
    let tidy = field.split_whitespace().collect::<Vec<_>>().join(" ");
    field.clear();
    tidy
}
