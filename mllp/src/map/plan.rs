//! The tables as a plan: names looked up, paths resolved in R4's element model, codes sorted.

use std::collections::HashMap;

use resources::model::{Binding, Primitive, ResourceType, TypeDef};

use super::condition::{Condition, Ordering};

/// What a mapper does.
#[derive(Debug, Default)]
pub struct Plan {
    /// Names of JSON members; a [`Name`] is a place in it.
    pub names: Vec<Box<str>>,
    /// Structures of messages.
    pub structures: Vec<Structure>,
    /// `ADT^A04` and `ADT_A04` to the structure's place.
    pub structure_of: HashMap<Box<str>, u16>,
    /// Tables of segments.
    pub segments: Vec<Table>,
    /// Tables of data types.
    pub types: Vec<Table>,
    /// Tables of codes.
    pub codes: Vec<Codes>,
    /// What fills required elements: `Encounter.status`.
    pub defaults: HashMap<Box<str>, Box<str>>,
    /// For each resource type (by its number) the element that says of which patient it is.
    pub subjects: Vec<Option<Step>>,
    /// The same of the visit.
    pub encounters: Vec<Option<Step>>,
    /// What names mean in types.
    pub members: Members,
    /// Tables of codes that code looks into: equipment and use of telecommunication.
    pub telecom: [Option<u16>; 2],
    /// What could not be understood. Empty for the tables that are compiled in.
    pub problems: Vec<String>,
}

/// A member's name.
pub type Name = u16;

/// What names mean in types: by the type's address and the name.
pub type Members = HashMap<(usize, Name), Member, std::hash::BuildHasherDefault<Mix>>;

/// What a name means in a type.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The element's place in the type.
    pub at: u8,
    /// One of several types of one element.
    pub choice: bool,
    /// `_name`, of a primitive.
    pub beside: bool,
    /// Its type.
    pub ty: &'static TypeDef,
}

/// Where a type is looked up.
pub fn address(ty: &'static TypeDef) -> usize {
    std::ptr::from_ref(ty).addr()
}

/// Hashes addresses and small numbers.
#[derive(Default)]
pub struct Mix(u64);

impl std::hash::Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

/// A structure of messages: its segments in their order, in groups.
#[derive(Debug, Default)]
pub struct Structure {
    /// `ADT_A01`.
    pub name: Box<str>,
    /// Groups; the first is the message.
    pub groups: Vec<Group>,
    /// Places of segments.
    pub positions: Vec<Position>,
    /// For each resource the first position that makes it.
    pub homes: HashMap<Role, usize>,
}

/// A group of a structure.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// `PATIENT_RESULT.PATIENT`.
    pub path: Box<str>,
    /// The group that it is in.
    pub parent: u16,
    /// May be there several times.
    pub many: bool,
    /// Its positions, those of groups in it too.
    pub from: u16,
    /// The first after them.
    pub to: u16,
}

/// The place of a segment in a structure.
#[derive(Debug)]
pub struct Position {
    /// `PID`.
    pub segment: Box<str>,
    /// The group that it is in.
    pub group: u16,
    /// May be there several times.
    pub many: bool,
    /// What is made of it.
    pub rows: Vec<MessageRow>,
}

/// A row of a message's table.
#[derive(Debug)]
pub struct MessageRow {
    /// Only if it is so.
    pub condition: Option<Test>,
    /// What is made.
    pub role: Role,
    /// `Patient[1]`.
    pub shown: Box<str>,
    /// The segment's table.
    pub table: u16,
    /// Elements that refer to others.
    pub references: Vec<Reference>,
}

/// A resource as the tables call it: `Patient[1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Role {
    /// Its type.
    pub kind: ResourceType,
    /// Its number; 0 if there is none.
    pub number: u8,
}

/// `Observation[1].subject=Patient[1].id`.
#[derive(Debug)]
pub struct Reference {
    /// Which resource has the element.
    pub from: Role,
    /// The element.
    pub path: Path,
    /// What it refers to.
    pub to: Role,
}

/// A table of a segment or data type.
#[derive(Debug)]
pub struct Table {
    /// `PID[Patient]`.
    pub name: Box<str>,
    /// What it makes.
    pub ty: Base,
    /// In the order of `number`.
    pub rows: Vec<Row>,
}

/// What a table's paths begin at.
#[derive(Debug, Clone, Copy)]
pub enum Base {
    /// A resource, data type or element.
    Type(&'static TypeDef),
    /// A text for a primitive element.
    Text,
}

/// A row of a segment's or data type's table.
#[derive(Debug)]
pub struct Row {
    /// Field or component; 0 for the whole.
    pub number: u16,
    /// Only if it is so.
    pub condition: Option<Test>,
    /// Where the value goes.
    pub path: Path,
    /// What the value is.
    pub source: Source,
    /// Done if there is no value too: the condition asks for it.
    pub on_empty: bool,
    /// Several repetitions have room.
    pub repeats: bool,
    /// `Patient.name`.
    pub shown: Box<str>,
    /// The path of elements without types and indices, for nulls; empty for constants and the like.
    pub null: Box<str>,
}

/// Where a value goes.
#[derive(Debug, Clone, Default)]
pub struct Path {
    /// Up to elements that refer to a resource, in which the path goes on.
    pub hops: Vec<(Vec<Step>, ResourceType)>,
    /// The rest; empty if the value is of the resource itself.
    pub last: Vec<Step>,
    /// What the last element is.
    pub leaf: Leaf,
    /// An index before the path: the table makes several of what it makes.
    pub item: u8,
}

/// An element of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: Name,
    /// JSON has an array here.
    pub list: bool,
    /// Which of several.
    pub index: u8,
    /// One for all segments and repetitions.
    pub shared: bool,
}

/// What the last element of a path is.
#[derive(Debug, Clone, Copy, Default)]
pub enum Leaf {
    /// A primitive, and the codes that it may have.
    Primitive(Primitive, Option<&'static Binding>),
    /// A data type or an element with children, and the codes that it may have.
    Complex(&'static TypeDef, Option<&'static Binding>),
    /// The resource itself.
    Resource(&'static TypeDef),
    /// What the table makes: `$value`, `$this`.
    #[default]
    This,
}

/// What a value is.
#[derive(Debug)]
pub enum Source {
    /// The text of the field or component.
    Text {
        /// Codes that it is translated by.
        codes: Option<u16>,
    },
    /// By a table of a data type.
    Table {
        /// The table.
        table: u16,
        /// Codes that it is translated by.
        codes: Option<u16>,
    },
    /// By code.
    Native {
        /// Which.
        native: super::native::Native,
        /// Codes that it is translated by.
        codes: Option<u16>,
    },
    /// Constants and values joined.
    Joined(Vec<Part>),
}

/// A part of a text.
#[derive(Debug)]
pub enum Part {
    /// As it stands.
    Text(Box<str>),
    /// What stands at a place.
    Value(Place),
}

/// A place in a message, as a row sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where to look.
    pub within: Within,
    /// Field or component; 0 for all of it.
    pub number: u16,
    /// Component or subcomponent; 0 for all of it.
    pub part: u16,
}

/// Where a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// The row's own field or component.
    Own,
    /// The value that the row is a part of.
    Value,
    /// The segment that the row is of.
    Segment,
    /// Another segment of the same group, of one around it, or of the message.
    Other([u8; 3]),
}

/// A condition, resolved.
#[derive(Debug)]
pub enum Test {
    /// There is a value.
    Valued(Place),
    /// The value is one of these.
    In(Place, Vec<Box<str>>),
    /// The value is a number.
    Numeric(Place),
    /// Two places have the same value.
    Same(Place, Place),
    /// How many repetitions there are.
    Count(Place, Ordering, usize),
    /// How many characters the value has.
    Length(Place, Ordering, usize),
    /// Not so.
    Not(Box<Test>),
    /// All of them.
    All(Vec<Test>),
    /// One of them.
    Any(Vec<Test>),
}

/// A table of codes.
#[derive(Debug, Default)]
pub struct Codes {
    /// `AdministrativeSex`.
    pub name: Box<str>,
    /// The v2 table: `HL70001`.
    pub system: Box<str>,
    /// HL7 lists no codes: any may come.
    pub is_open: bool,
    /// Sorted by `from`.
    pub codes: Vec<CodeRow>,
}

/// A code and its translation.
#[derive(Debug)]
pub struct CodeRow {
    /// The v2 code.
    pub from: Box<str>,
    /// FHIR's; empty if there is none.
    pub code: Box<str>,
    /// Its display.
    pub display: Box<str>,
    /// Its system.
    pub system: Box<str>,
}

impl Codes {
    /// The translation of a code; of its capitals if not of itself.
    pub fn find(&self, code: &str) -> Option<&CodeRow> {
        let exact = |code: &str| {
            let at = self
                .codes
                .binary_search_by(|row| (*row.from).cmp(code))
                .ok()?;
            self.codes.get(at)
        };
        exact(code).or_else(|| {
            let mut rows = self.codes.iter();
            rows.find(|row| row.from.eq_ignore_ascii_case(code))
        })
    }
}

impl Test {
    /// Whether it asks that a field or component have no value.
    pub fn wants_empty(&self, number: u16) -> bool {
        let is_it = |place: &Place| match place.within {
            Within::Own => true,
            Within::Other(_) => false,
            _ => place.number == number && place.part == 0,
        };
        match self {
            Self::Not(inner) => matches!(&**inner, Self::Valued(place) if is_it(place)),
            Self::All(inner) | Self::Any(inner) => inner.iter().any(|one| one.wants_empty(number)),
            _ => false,
        }
    }

    /// Resolves places by what `within` says of their names.
    pub fn resolve(condition: &Condition, within: &dyn Fn(&str) -> Within) -> Self {
        let place = |place: &super::condition::Place| Place {
            within: within(&place.name),
            number: place.number,
            part: place.part,
        };
        let all = |all: &[Condition]| {
            let all = all.iter().map(|one| Self::resolve(one, within));
            all.collect()
        };
        match condition {
            Condition::Valued(at) => Self::Valued(place(at)),
            Condition::In(at, texts) => Self::In(
                place(at),
                texts.iter().map(|text| text.as_str().into()).collect(),
            ),
            Condition::Numeric(at) => Self::Numeric(place(at)),
            Condition::Same(left, right) => Self::Same(place(left), place(right)),
            Condition::Count(at, ordering, number) => Self::Count(place(at), *ordering, *number),
            Condition::Length(at, ordering, number) => Self::Length(place(at), *ordering, *number),
            Condition::Not(inner) => Self::Not(Box::new(Self::resolve(inner, within))),
            Condition::All(inner) => Self::All(all(inner)),
            Condition::Any(inner) => Self::Any(all(inner)),
        }
    }
}
