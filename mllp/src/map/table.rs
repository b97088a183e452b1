//! Rows of the tables, and changes to them.

use std::borrow::Cow;

use super::csv::Record;

/// A text of a table: of those that are compiled in, or of an overlay.
pub type Text = Cow<'static, str>;

/// A row of a message, segment or data type table that says something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// `ADT_A01`, `PID[Patient]`, `XPN[HumanName]`.
    pub table: Text,
    /// `ADT_A01.NEXT_OF_KIN.NK1`, `PID-5`, `XPN.1`; empty if the row is about the whole.
    pub place: Text,
    /// The v2 data type.
    pub data_type: Text,
    /// In the grammar of conditions.
    pub condition: Text,
    /// Why the condition is not (wholly) in that grammar.
    pub narrative: Text,
    /// `Patient[1]` of a message's row, else a path.
    pub target: Text,
    /// The FHIR data type of the target.
    pub target_type: Text,
    /// The segment or data type table that goes on.
    pub map: Text,
    /// The table of codes.
    pub vocabulary: Text,
    /// A constant or expression.
    pub assignment: Text,
    /// `Observation[1].subject=Patient[1].id`, of a message's row.
    pub references: Text,
    /// Repeats (rows of messages).
    pub many: bool,
    /// Begins a group (rows of messages).
    pub group: bool,
    /// File and line.
    pub origin: Text,
}

/// A row of a table of codes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Code {
    /// `AdministrativeSex`.
    pub table: Text,
    /// The v2 code.
    pub from: Text,
    /// The v2 table, `HL70001`.
    pub from_system: Text,
    /// The FHIR code; empty if there is none.
    pub code: Text,
    /// Its display.
    pub display: Text,
    /// Its system.
    pub system: Text,
    /// File and line.
    pub origin: Text,
}

/// All tables.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// Structures of messages.
    pub messages: Vec<Row>,
    /// Segments.
    pub segments: Vec<Row>,
    /// Data types.
    pub types: Vec<Row>,
    /// Codes.
    pub codes: Vec<Code>,
}

/// A change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// Which row, or the new one.
    pub what: What,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The row is new.
    Add,
    /// Rows of the same table, place and target go, this one comes.
    Replace,
    /// Rows of the same table, place and target go; all of the place, or of the table, if nothing
    /// more is named.
    Remove,
}

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A row of messages, segments or data types.
    Row(Row),
    /// A code.
    Code(Code),
}

/// Where the columns are.
#[derive(Debug, Default)]
pub struct Columns {
    action: Option<usize>,
    table: Option<usize>,
    place: Option<usize>,
    syntax: Option<usize>,
    most: Option<usize>,
    data_type: Option<usize>,
    condition: Option<usize>,
    narrative: Option<usize>,
    target: Option<usize>,
    target_type: Option<usize>,
    map: Option<usize>,
    vocabulary: Option<usize>,
    assignment: Option<usize>,
    references: Option<usize>,
    from: Option<usize>,
    from_system: Option<usize>,
    code: Option<usize>,
    display: Option<usize>,
    system: Option<usize>,
}

impl Columns {
    /// Finds them by their names, in any of the forms that the tables have; `None` if the record
    /// is no header.
    pub fn of(record: &Record) -> Option<Self> {
        let names: Vec<String> = record.fields.iter().map(|name| plain(name)).collect();
        let after = |from: usize, start: &str| {
            let found = names[from..]
                .iter()
                .position(|name| name.starts_with(start));
            found.map(|at| at + from)
        };
        let named = |start: &str| after(0, start);
        let condition = named("computable")?;
        let target = named("fhirattribute").or_else(|| named("primarytarget"));
        let from = named("code").filter(|at| *at < condition && names[*at] == "code");
        let data_type = named("datatype").filter(|at| target.is_none_or(|target| *at < target));
        Some(Self {
            action: named("action"),
            table: named("table"),
            place: named("identifier").or(from.is_none().then_some(1)),
            syntax: named("syntax"),
            most: named("cardinalitymax"),
            data_type: data_type.or(Some(3)),
            condition: Some(condition),
            narrative: named("narrative"),
            target,
            target_type: target.and_then(|target| {
                let named = |name: &String| name == "datatype" || name == "fhirdatatype";
                names[target..].iter().position(named).map(|at| at + target)
            }),
            map: named("datatypemapping").or_else(|| named("segmentmap")),
            vocabulary: named("vocabularymapping"),
            assignment: named("assignment").or_else(|| named("derivedmapping")),
            references: named("references"),
            from,
            from_system: named("codesystem"),
            code: after(condition, "code").or_else(|| named("fhircode")),
            display: named("display"),
            system: after(condition, "codesystem").or_else(|| named("fhirsystem")),
        })
    }

    /// The row of a record.
    pub fn row(&self, table: &str, record: &Record, origin: &str) -> Row {
        let get = |column: Option<usize>| -> Text { Cow::Owned(field(record, column).to_owned()) };
        let syntax = field(record, self.syntax);
        let named = get(self.table);
        Row {
            table: match named.is_empty() {
                true => Cow::Owned(table.to_owned()),
                false => named,
            },
            place: get(self.place),
            data_type: get(self.data_type),
            condition: get(self.condition),
            narrative: get(self.narrative),
            target: get(self.target),
            target_type: get(self.target_type),
            map: get(self.map),
            vocabulary: get(self.vocabulary),
            assignment: get(self.assignment),
            references: get(self.references),
            many: syntax.contains('{') || field(record, self.most) == "-1",
            group: record.fields.iter().any(|field| field.contains(" begin")),
            origin: Cow::Owned(format!("{origin}:{}", record.line)),
        }
    }

    /// The code of a record.
    pub fn code(&self, table: &str, record: &Record, origin: &str) -> Code {
        let get = |column: Option<usize>| -> Text { Cow::Owned(field(record, column).to_owned()) };
        let named = get(self.table);
        Code {
            table: match named.is_empty() {
                true => Cow::Owned(table.to_owned()),
                false => named,
            },
            from: get(self.from),
            from_system: get(self.from_system),
            code: get(self.code),
            display: get(self.display),
            system: get(self.system),
            origin: Cow::Owned(format!("{origin}:{}", record.line)),
        }
    }

    /// The change of a record that has a column "Action".
    ///
    /// # Errors
    /// The action is unknown, or no table is named.
    pub fn change(&self, record: &Record, origin: &str) -> Result<Change, String> {
        let action = match field(record, self.action).to_ascii_lowercase().as_str() {
            "add" => Action::Add,
            "replace" => Action::Replace,
            "remove" => Action::Remove,
            other => {
                return Err(format!(
                    "the action is add, replace or remove, not `{other}`"
                ));
            }
        };
        if field(record, self.table).is_empty() {
            return Err("no table is named".to_owned());
        }
        let what = match field(record, self.from) {
            "" => What::Row(self.row("", record, origin)),
            _ => What::Code(self.code("", record, origin)),
        };
        Ok(Change { action, what })
    }

    /// Whether changes can be read.
    pub fn has_changes(&self) -> bool {
        self.action.is_some() && self.table.is_some()
    }
}

fn field(record: &Record, column: Option<usize>) -> &str {
    column
        .and_then(|column| record.fields.get(column))
        .map_or("", String::as_str)
}

/// A name without case, blanks and marks: `Data Type Mapping` and `datatypemapping` are the same.
pub fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

/// A table's name without differences that mean nothing: `Test/Service…`, `CWE[Code]`.
pub fn table_key(name: &str) -> String {
    name.chars()
        .filter(|character| !character.is_whitespace() && *character != '/')
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

impl Row {
    /// Whether it says something, rather than that nothing is mapped.
    pub fn is_mapped(&self) -> bool {
        !(self.target.is_empty() && self.map.is_empty())
    }
}

impl Tables {
    /// Makes a change.
    ///
    /// # Errors
    /// There is nothing to replace or remove.
    pub fn change(&mut self, change: &Change) -> Result<(), String> {
        match &change.what {
            What::Row(row) => change_row(self.rows_of(row), change.action, row),
            What::Code(code) => {
                let key = table_key(&code.table);
                let same = |other: &Code| table_key(&other.table) == key && other.from == code.from;
                let known = self.codes.iter().any(same);
                if change.action != Action::Add {
                    if !known {
                        let (table, from) = (&code.table, &code.from);
                        return Err(format!("the table {table} has no code {from}"));
                    }
                    self.codes.retain(|other| !same(other));
                }
                if change.action != Action::Remove {
                    self.codes.push(code.clone());
                }
                Ok(())
            }
        }
    }

    /// The rows among which a row belongs.
    fn rows_of(&mut self, row: &Row) -> &mut Vec<Row> {
        let key = table_key(&row.table);
        let has = |rows: &[Row]| rows.iter().any(|other| table_key(&other.table) == key);
        if row.table.contains('_') && !row.table.contains('[') {
            &mut self.messages
        } else if has(&self.types) {
            &mut self.types
        } else if has(&self.segments) || row.table.find('[') == Some(3) {
            &mut self.segments
        } else {
            &mut self.types
        }
    }
}

fn change_row(rows: &mut Vec<Row>, action: Action, row: &Row) -> Result<(), String> {
    let key = table_key(&row.table);
    let whole = row.place.is_empty()
        && row.target.is_empty()
        && row.map.is_empty()
        && action == Action::Remove;
    let same = |other: &Row| {
        table_key(&other.table) == key
            && (action != Action::Remove || row.map.is_empty() || other.map == row.map)
            && (whole
                || (other.place == row.place || row.place.is_empty() && !row.map.is_empty())
                    && (other.target == row.target
                        || row.target.is_empty() && action == Action::Remove))
    };
    let first = rows.iter().position(same);
    match (action, first) {
        (Action::Add, _) => {
            // Beside the others of its table, so that a structure keeps its order.
            let last = rows.iter().rposition(|other| {
                table_key(&other.table) == key && (other.place == row.place || row.place.is_empty())
            });
            let last = last.or_else(|| {
                rows.iter()
                    .rposition(|other| table_key(&other.table) == key)
            });
            rows.insert(last.map_or(rows.len(), |last| last + 1), row.clone());
        }
        (_, None) => {
            let (table, place, target) = (&row.table, &row.place, &row.target);
            return Err(format!(
                "the table {table} has no row of {place} with the target `{target}`"
            ));
        }
        (Action::Replace, Some(first)) => {
            let row = Row {
                // What a change does not say stays.
                many: rows[first].many,
                group: rows[first].group,
                ..row.clone()
            };
            rows.retain({
                let mut at = 0;
                move |other| {
                    at += 1;
                    at - 1 <= first || !same(other)
                }
            });
            rows[first] = row;
        }
        (Action::Remove, Some(_)) => {
            // A position of a structure stays, so that its segments are still known there; but for
            // a structure that goes as a whole.
            if !whole && row.table.contains('_') && !row.table.contains('[') {
                for other in rows.iter_mut().filter(|other| same(other)) {
                    other.target = Cow::Borrowed("");
                    other.map = Cow::Borrowed("");
                }
            } else {
                rows.retain(|other| !same(other));
            }
        }
    }
    Ok(())
}
