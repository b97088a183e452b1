//! From tables to a plan.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use resources::model::{self, Element, Primitive, ResourceType, TypeDef, TypeKind};

use super::{
    condition, expression,
    expression::Term,
    native::Native,
    path,
    plan::{
        Base, CodeRow, Codes, Group, Leaf, MessageRow, Name, Part, Path, Place, Plan, Position,
        Reference, Role, Row, Source, Step, Structure, Table, Test, Within,
    },
    table::{self, Tables, table_key},
    tables::{DEFAULTS, STRUCTURES},
};

/// Names that the code knows, at fixed places.
pub mod names {
    /// Declares them with their places.
    macro_rules! names {
        ($($constant:ident = $name:literal),* $(,)?) => {
            /// All of them, in the order of their places.
            pub const ALL: &[&str] = &[$($name),*];
            names!(@ 0; $($constant)*);
        };
        (@ $at:expr; $constant:ident $($rest:ident)*) => {
            #[allow(missing_docs)]
            pub const $constant: super::Name = $at;
            names!(@ $at + 1; $($rest)*);
        };
        (@ $at:expr;) => {};
    }
    names! {
        CODING = "coding", SYSTEM = "system", CODE = "code", DISPLAY = "display",
        VERSION = "version", TEXT = "text", VALUE = "value", USE = "use", EXTENSION = "extension",
        URL = "url", VALUE_STRING = "valueString", IDENTIFIER = "identifier", TYPE = "type",
        NAME = "name", PART_OF = "partOf", PHYSICAL_TYPE = "physicalType", MODE = "mode",
        DESCRIPTION = "description", CONTENT_TYPE = "contentType", DATA = "data", UNIT = "unit",
        START = "start", END = "end", COMPARATOR = "comparator", TITLE = "title",
        REPEAT = "repeat", VALUE_QUANTITY = "valueQuantity", PERIOD = "period", RANK = "rank",
        MINUTES_DURATION = "minutesDuration", ACTOR = "actor", STATUS = "status",
        PARTICIPANT = "participant", FREQUENCY = "frequency", PERIOD_UNIT = "periodUnit",
        BOUNDS_PERIOD = "boundsPeriod", DURATION = "duration", DURATION_UNIT = "durationUnit",
        COUNT = "count", WHEN = "when", DAY_OF_WEEK = "dayOfWeek", TIME_OF_DAY = "timeOfDay",
        SUBJECT = "subject", PATIENT = "patient", ENCOUNTER = "encounter", FAMILY = "family",
        EVENT = "event", PRIORITY = "priority", BENEFICIARY = "beneficiary",
        DOSE_QUANTITY = "doseQuantity", BOUNDS_DURATION = "boundsDuration",
    }
}

struct Compiler {
    plan: Plan,
    names: HashMap<Box<str>, Name>,
    codes: HashMap<String, u16>,
    types: HashMap<String, u16>,
    segments: HashMap<String, u16>,
    /// Names of segments, for telling `ORC.1` from `CWE.3`.
    segment_names: Rc<HashSet<String>>,
}

/// Makes a plan.
pub fn compile(tables: &Tables) -> Plan {
    let mut compiler = Compiler {
        plan: Plan::default(),
        names: HashMap::new(),
        codes: HashMap::new(),
        types: HashMap::new(),
        segments: HashMap::new(),
        segment_names: Rc::default(),
    };
    for name in names::ALL {
        compiler.name(name);
    }
    compiler.codes(tables);
    let of_messages = tables
        .messages
        .iter()
        .filter_map(|row| segment_of(&row.place));
    let of_tables = tables
        .segments
        .iter()
        .filter_map(|row| row.table.split('[').next());
    let segments = of_messages.chain(of_tables).filter(|name| name.len() == 3);
    compiler.segment_names = Rc::new(segments.map(str::to_owned).collect());
    compiler.tables(&tables.types, true);
    compiler.tables(&tables.segments, false);
    compiler.messages(&tables.messages);
    for [event, structure, _] in STRUCTURES {
        let found = compiler
            .plan
            .structures
            .iter()
            .position(|one| *one.name == **structure);
        match found {
            Some(at) => {
                let map = &mut compiler.plan.structure_of;
                map.insert((*event).into(), at as u16);
            }
            None => compiler.problem("own/structures.csv", format!("no structure {structure}")),
        }
    }
    for (word, other) in [("subject", "patient"), ("encounter", "encounter")] {
        let steps = ResourceType::all().map(|kind| {
            let ty = model::resource(kind);
            let names = [
                word,
                other,
                if word == "subject" {
                    "beneficiary"
                } else {
                    word
                },
            ];
            names.iter().find_map(|name| {
                let property = ty.property(name)?;
                let targets = property.ty.targets;
                let wanted = if word == "subject" {
                    "Patient"
                } else {
                    "Encounter"
                };
                let fits = property.ty.name == "Reference"
                    && (targets.is_empty() || targets.iter().any(|kind| kind.name() == wanted));
                fits.then(|| (*name, property.element.repeats()))
            })
        });
        let found: Vec<_> = steps.collect();
        let steps = found
            .into_iter()
            .map(|found| {
                found.map(|(name, list)| Step {
                    name: compiler.name(name),
                    list,
                    index: 0,
                    shared: true,
                })
            })
            .collect();
        match word {
            "subject" => compiler.plan.subjects = steps,
            _ => compiler.plan.encounters = steps,
        }
    }
    for [element, value, _] in DEFAULTS {
        let map = &mut compiler.plan.defaults;
        map.insert((*element).into(), (*value).into());
    }
    compiler.plan
}

fn segment_of(place: &str) -> Option<&str> {
    place.rsplit(['.', ':']).next()
}

impl Compiler {
    fn problem(&mut self, origin: &str, what: impl Into<String>) {
        self.plan
            .problems
            .push(format!("{origin}: {}", what.into()));
    }

    fn name(&mut self, name: &str) -> Name {
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        let at = self.plan.names.len() as Name;
        self.plan.names.push(name.into());
        self.names.insert(name.into(), at);
        at
    }

    fn codes(&mut self, tables: &Tables) {
        for code in &tables.codes {
            let key = table_key(&code.table);
            let at = *self.codes.entry(key).or_insert_with(|| {
                self.plan.codes.push(Codes {
                    name: code.table.as_ref().into(),
                    ..Codes::default()
                });
                (self.plan.codes.len() - 1) as u16
            });
            let table = &mut self.plan.codes[at as usize];
            if code.from == "*" {
                table.is_open = true;
                table.system = code.from_system.as_ref().into();
                continue;
            }
            if table.system.is_empty() && code.from_system.starts_with("HL7") {
                table.system = code.from_system.as_ref().into();
            }
            table.codes.push(CodeRow {
                from: code.from.as_ref().into(),
                code: code.code.as_ref().into(),
                display: code.display.as_ref().into(),
                system: code.system.as_ref().into(),
            });
        }
        for table in &mut self.plan.codes {
            // The first row of a code wins, as in the file; a later one of the same table that
            // has a translation wins over one without.
            table.codes.sort_by(|left, right| {
                (&left.from, left.code.is_empty()).cmp(&(&right.from, right.code.is_empty()))
            });
            table
                .codes
                .dedup_by(|later, earlier| later.from == earlier.from);
        }
    }

    /// Data types (which may name each other) or segments.
    fn tables(&mut self, rows: &[table::Row], is_types: bool) {
        let mut order: Vec<&str> = Vec::new();
        let mut by_table: HashMap<String, Vec<&table::Row>> = HashMap::new();
        for row in rows {
            let key = table_key(&row.table);
            if !by_table.contains_key(&key) {
                order.push(&row.table);
            }
            by_table.entry(key).or_default().push(row);
        }
        let first = match is_types {
            true => self.plan.types.len(),
            false => self.plan.segments.len(),
        };
        let mut bases = Vec::new();
        for (at, name) in order.iter().enumerate() {
            let base = base(name, is_types);
            let key = table_key(name);
            let map = if is_types {
                &mut self.types
            } else {
                &mut self.segments
            };
            map.insert(key, (first + at) as u16);
            if base.is_none() {
                self.problem(name, "what it makes is no type of R4");
            }
            bases.push(base.unwrap_or(Base::Text));
        }
        for (name, base) in order.iter().zip(&bases) {
            let made = Table {
                name: (*name).into(),
                ty: *base,
                rows: Vec::new(),
            };
            match is_types {
                true => self.plan.types.push(made),
                false => self.plan.segments.push(made),
            }
        }
        for (at, (name, base)) in order.iter().zip(bases).enumerate() {
            let own = name.split('[').next().unwrap_or(name);
            let mut made = Vec::new();
            for row in by_table.remove(&table_key(name)).unwrap_or_default() {
                match self.row(row, own, base, is_types) {
                    Ok(row) => made.push(row),
                    Err(error) => {
                        self.problem(&row.origin, format!("{name} {}: {error}", row.place))
                    }
                }
            }
            made.sort_by_key(|row| row.number);
            match is_types {
                true => self.plan.types[first + at].rows = made,
                false => self.plan.segments[first + at].rows = made,
            }
        }
    }

    fn row(
        &mut self,
        row: &table::Row,
        own: &str,
        base: Base,
        is_type: bool,
    ) -> Result<Row, String> {
        let number = match condition::Place::parse(&row.place) {
            Some(place) => place.number,
            None if row.place.is_empty() => 0,
            None => return Err("its identifier is not of the form PID-5".to_owned()),
        };
        let within = within(own, is_type, &self.segment_names);
        let condition = self.condition(&row.condition, &within)?;
        let path = self.path(&row.target, base, &row.target_type, &row.map)?;
        let codes = match row.vocabulary.as_ref() {
            "" => None,
            name => Some(
                *self
                    .codes
                    .get(&table_key(name))
                    .ok_or_else(|| format!("there is no table of codes `{name}`"))?,
            ),
        };
        let source = if row.assignment.is_empty() {
            self.source(row, &path, codes)?
        } else {
            let terms = expression::parse(&row.assignment)?;
            Source::Joined(
                terms
                    .into_iter()
                    .map(|term| match term {
                        Term::Text(text) => Part::Text(text.as_str().into()),
                        Term::Value(place) => Part::Value(Place {
                            within: within(&place.name),
                            number: place.number,
                            part: place.part,
                        }),
                    })
                    .collect(),
            )
        };
        let root = match base {
            Base::Type(ty) => ty.name,
            Base::Text => "",
        };
        let shown = match row.target.as_ref() {
            "$this" | "$value" => root.to_owned(),
            target => format!("{root}.{}", target.replace("[=", "[")),
        };
        let null = match (&source, path.hops.is_empty()) {
            (Source::Joined(_), _) | (_, false)
                if path.hops.len() != 1 || !path.last.is_empty() =>
            {
                String::new()
            }
            (Source::Joined(_), _) => String::new(),
            _ => {
                let steps = path.hops.first().map_or(&path.last, |hop| &hop.0);
                let steps = steps
                    .iter()
                    .map(|step| &*self.plan.names[step.name as usize]);
                steps.collect::<Vec<_>>().join(".")
            }
        };
        let on_empty = matches!(source, Source::Joined(_))
            && condition
                .as_ref()
                .is_some_and(|test| test.wants_empty(number));
        let mut steps = path.hops.iter().flat_map(|hop| &hop.0).chain(&path.last);
        let repeats =
            steps.any(|step| step.list && !step.shared) || matches!(path.leaf, Leaf::This);
        Ok(Row {
            number,
            condition,
            path,
            source,
            on_empty,
            repeats,
            shown: shown.into(),
            null: null.into(),
        })
    }

    fn condition(
        &mut self,
        text: &str,
        within: &dyn Fn(&str) -> Within,
    ) -> Result<Option<Test>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let condition = condition::parse(text)?;
        Ok(Some(Test::resolve(&condition, within)))
    }

    fn source(
        &mut self,
        row: &table::Row,
        path: &Path,
        codes: Option<u16>,
    ) -> Result<Source, String> {
        let leaf = match path.leaf {
            Leaf::Primitive(..) => None,
            Leaf::Complex(ty, _) | Leaf::Resource(ty) => Some(ty.name),
            Leaf::This => None,
        };
        let map = match (row.map.as_ref(), leaf) {
            ("", None) => return Ok(Source::Text { codes }),
            ("", Some(ty)) => format!("{}[{ty}]", row.data_type),
            (named, _) => named.to_owned(),
        };
        let native = Native::named(&map);
        if leaf.is_none() && matches!(native, Some(Native::Concept | Native::Coding)) {
            return Ok(Source::Text { codes });
        }
        if let Some(native) = native {
            return Ok(Source::Native { native, codes });
        }
        if let Some(table) = self.types.get(&table_key(&map)) {
            return Ok(Source::Table {
                table: *table,
                codes,
            });
        }
        // Data types that are one text.
        let inner = map.split_once('[').map_or("", |(_, inner)| inner);
        let inner = inner.trim_end_matches(']');
        let lower = format!(
            "{}{}",
            inner.get(..1).unwrap_or("").to_lowercase(),
            inner.get(1..).unwrap_or("")
        );
        let is_text =
            model::data_type(&lower).is_some_and(|ty| matches!(ty.kind, TypeKind::Primitive(_)));
        match is_text && leaf.is_none() {
            true => Ok(Source::Text { codes }),
            false => Err(format!("there is no data type map `{map}`")),
        }
    }

    /// Resolves a path against the model.
    fn path(
        &mut self,
        text: &str,
        base: Base,
        target_type: &str,
        map: &str,
    ) -> Result<Path, String> {
        let mut made = Path::default();
        if matches!(text, "$this" | "$value" | "") {
            return Ok(made);
        }
        let mut steps = path::parse(text)?;
        if steps[0].name.is_empty() {
            made.item = steps[0].index;
            steps.remove(0);
            if steps.is_empty() {
                return Ok(made);
            }
        }
        let Base::Type(mut ty) = base else {
            return Err(format!("`{text}` in a table that makes a text"));
        };
        if steps.len() > 1 && steps[0].name == ty.name {
            steps.remove(0);
        }
        let count = steps.len();
        for (at, step) in steps.iter().enumerate() {
            let property = ty
                .property(&step.name)
                .ok_or_else(|| format!("`{text}`: {} has no element `{}`", ty.name, step.name))?;
            let def = property.ty.def();
            let is_last = at + 1 == count;
            let is_primitive = matches!(def.kind, TypeKind::Primitive(_));
            let name = match is_primitive && !is_last {
                true => {
                    if property.element.repeats() {
                        return Err(format!("`{text}`: an extension in a list of texts"));
                    }
                    format!("_{}", step.name)
                }
                false => step.name.clone(),
            };
            made.last.push(Step {
                name: self.name(&name),
                list: property.element.repeats(),
                index: step.index,
                shared: step.shared,
            });
            let link = match &step.link {
                Some(link) => Some(link.as_str()),
                None if is_last && def.name == "Reference" => reference_type(target_type, map),
                None => None,
            };
            match link.map(|link| (link, ResourceType::from_name(link).ok_or(()))) {
                Some((_, Ok(kind))) if def.name == "Reference" => {
                    made.hops.push((std::mem::take(&mut made.last), kind));
                    ty = model::resource(kind);
                    made.leaf = Leaf::Resource(ty);
                }
                Some((link, _)) if link != def.name => {
                    return Err(format!("`{text}`: {link} is not what `{}` is", step.name));
                }
                _ => {
                    ty = def;
                    made.leaf = leaf(def, property.element);
                }
            }
        }
        Ok(made)
    }

    fn messages(&mut self, rows: &[table::Row]) {
        for row in rows {
            let found = self
                .plan
                .structures
                .iter()
                .position(|one| *one.name == *row.table);
            let at = found.unwrap_or_else(|| {
                self.plan.structures.push(Structure {
                    name: row.table.as_ref().into(),
                    groups: vec![Group::default()],
                    positions: Vec::new(),
                });
                let at = self.plan.structures.len() - 1;
                let map = &mut self.plan.structure_of;
                map.insert(row.table.as_ref().into(), at as u16);
                at
            });
            let mut structure = std::mem::take(&mut self.plan.structures[at]);
            if let Err(error) = self.message_row(&mut structure, row) {
                self.problem(&row.origin, error);
            }
            self.plan.structures[at] = structure;
        }
        for structure in &mut self.plan.structures {
            let Structure {
                groups, positions, ..
            } = structure;
            for (at, group) in groups.iter_mut().enumerate() {
                group.from = u16::MAX;
                group.to = 0;
                let _ = at;
            }
            for (at, position) in positions.iter().enumerate() {
                let mut group = position.group as usize;
                loop {
                    groups[group].from = groups[group].from.min(at as u16);
                    groups[group].to = groups[group].to.max(at as u16 + 1);
                    if group == 0 {
                        break;
                    }
                    group = groups[group].parent as usize;
                }
            }
        }
    }

    fn message_row(&mut self, structure: &mut Structure, row: &table::Row) -> Result<(), String> {
        let place = row.place.trim();
        let rest = place.strip_prefix(row.table.as_ref()).unwrap_or(place);
        let rest = rest.trim_start_matches(['.', ':']);
        // `follow:PV1.ROL` is a place after PV1, not a group.
        let rest = match rest.strip_prefix("follow:") {
            Some(after) => after.rsplit('.').next().unwrap_or(after),
            None => rest,
        };
        if rest.is_empty() {
            return Ok(());
        }
        let (path, last) = rest.rsplit_once('.').unwrap_or(("", rest));
        let is_segment = last.len() == 3
            && last
                .chars()
                .all(|character| character.is_ascii_uppercase() || character.is_ascii_digit());
        if row.group || !is_segment {
            let group = group(structure, rest);
            structure.groups[group as usize].many |= row.many;
            return Ok(());
        }
        let group = group(structure, path);
        // Rows of the same place follow each other; what overlays add may come later.
        let in_place = |position: &Position| *position.segment == *last && position.group == group;
        let follows = place.contains("follow:");
        let at = match structure.positions.last() {
            Some(position) if in_place(position) => structure.positions.len() - 1,
            _ => match structure.positions.iter().position(in_place) {
                Some(at) if !follows => at,
                _ => {
                    structure.positions.push(Position {
                        segment: last.into(),
                        group,
                        many: row.many,
                        rows: Vec::new(),
                    });
                    structure.positions.len() - 1
                }
            },
        };
        if row.map.is_empty() || row.target.is_empty() {
            return Ok(());
        }
        let Some(table) = self.segments.get(&table_key(&row.map)).copied() else {
            return match self.is_left_out(&row.map) {
                true => Ok(()),
                false => Err(format!("there is no segment map `{}`", row.map)),
            };
        };
        let within = within(last, false, &self.segment_names);
        let condition = self.condition(&row.condition, &within)?;
        let target = row.target.split(['.', '(']).next().unwrap_or(&row.target);
        let role = role(target).ok_or_else(|| format!("`{}` is no resource", row.target))?;
        let kind = match self.plan.segments[table as usize].ty {
            Base::Type(ty) => ty.name,
            Base::Text => "",
        };
        // `ServiceRequest[1].reasonReference(Condition)` with DG1[Condition] makes a Condition.
        let role = match role.kind.name() == kind {
            true => role,
            false => role_of(kind, 0).ok_or_else(|| format!("{} makes no {target}", row.map))?,
        };
        let mut references = Vec::new();
        for text in split_references(&row.references) {
            match self.reference(&text, role) {
                Ok(reference) => references.push(reference),
                Err(error) => self.problem(&row.origin, error),
            }
        }
        structure.positions[at].rows.push(MessageRow {
            condition,
            role,
            shown: target.into(),
            table,
            references,
        });
        Ok(())
    }

    /// Maps of what the tables do not make.
    fn is_left_out(&self, map: &str) -> bool {
        ["Bundle", "MessageHeader", "Provenance", "Basic", "Device]"]
            .iter()
            .any(|part| map.contains(part))
    }

    fn reference(&mut self, text: &str, own: Role) -> Result<Reference, String> {
        let wrong = || format!("`{text}` is not of the form Observation[1].subject=Patient[1].id");
        let (left, right) = text.split_once('=').ok_or_else(wrong)?;
        let (from, element) = left.trim().split_once('.').ok_or_else(wrong)?;
        let from = role(from).ok_or_else(wrong)?;
        let to = right.trim().trim_end_matches(".id");
        let to = role(to).ok_or_else(wrong)?;
        let element = element
            .trim_end_matches(".reference")
            .trim_end_matches(".id");
        let base = Base::Type(model::resource(from.kind));
        let path = self.path(element, base, "", "")?;
        if !matches!(path.leaf, Leaf::Complex(ty, _) if ty.name == "Reference") {
            return Err(wrong());
        }
        let _ = own;
        Ok(Reference { from, path, to })
    }
}

/// What an element is.
fn leaf(def: &'static TypeDef, element: &'static Element) -> Leaf {
    match def.kind {
        TypeKind::Primitive(primitive) => Leaf::Primitive(primitive, element.binding),
        _ => Leaf::Complex(def, element.binding),
    }
}

/// The resource that a Reference is of, if the path does not say: `Reference(Location)`, or what
/// the map makes.
fn reference_type<'t>(target_type: &'t str, map: &'t str) -> Option<&'t str> {
    let inner = |text: &'t str, open: char| -> Option<&'t str> {
        let (_, rest) = text.split_once(open)?;
        rest.get(..rest.find([')', ']', '-', '|'])?)
    };
    let name = inner(target_type, '(').or_else(|| inner(map, '['))?;
    Some(match name {
        "location" => "Location",
        name => name,
    })
}

fn role(text: &str) -> Option<Role> {
    let text = text.trim();
    let (name, number) = match text.split_once('[') {
        Some((name, rest)) => (name, rest.trim_end_matches(']').parse().unwrap_or(0)),
        None => (text, 0),
    };
    role_of(name, number)
}

fn role_of(name: &str, number: u8) -> Option<Role> {
    let kind = ResourceType::from_name(name)?;
    Some(Role { kind, number })
}

fn group(structure: &mut Structure, path: &str) -> u16 {
    if path.is_empty() {
        return 0;
    }
    if let Some(at) = structure
        .groups
        .iter()
        .position(|group| *group.path == *path)
    {
        return at as u16;
    }
    let parent = match path.rsplit_once('.') {
        Some((before, _)) => group(structure, before),
        None => 0,
    };
    structure.groups.push(Group {
        path: path.into(),
        parent,
        ..Group::default()
    });
    (structure.groups.len() - 1) as u16
}

/// `A.b=C.id; D.e=F.id` or with blanks between.
fn split_references(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in text.split(';') {
        let mut current = String::new();
        for word in part.split_whitespace() {
            if word.contains('=') && current.contains('=') {
                found.push(std::mem::take(&mut current));
            }
            current.push_str(word);
        }
        if !current.is_empty() {
            found.push(current);
        }
    }
    found
}

/// What a table makes: `PID[Patient]`, `OBX[Observation-Component]`, `CWE[code]`.
fn base(name: &str, is_type: bool) -> Option<Base> {
    let (_, inner) = name.split_once('[')?;
    let inner = inner.trim_end_matches(']');
    let inner = inner.split('-').next().unwrap_or(inner);
    if let Some(ty) = model::data_type(inner) {
        return Some(match ty.kind {
            TypeKind::Primitive(_) => Base::Text,
            _ => Base::Type(ty),
        });
    }
    let lower = inner.to_lowercase();
    let known =
        model::data_type(&lower).filter(|ty| is_type && matches!(ty.kind, TypeKind::Primitive(_)));
    known.map(|_| Base::Text).or_else(|| {
        let texts = ["dateTime", "positiveInt", "unsignedInt"];
        texts.contains(&inner).then_some(Base::Text)
    })
}

/// Where names of places are, for rows of a table.
fn within<'s>(
    own: &'s str,
    is_type: bool,
    segments: &Rc<HashSet<String>>,
) -> impl Fn(&str) -> Within + use<'s> {
    let segments = segments.clone();
    move |name: &str| match name {
        "" => Within::Own,
        _ if name == own && is_type => Within::Value,
        _ if name == own => Within::Segment,
        _ if !is_type && name.len() == 3 && segments.contains(name) => {
            let bytes = name.as_bytes();
            Within::Other([bytes[0], bytes[1], bytes[2]])
        }
        // A component of the field, whatever the data type is called there.
        _ => Within::Value,
    }
}

/// The kinds of primitive that a text may become.
pub fn is_date(primitive: Primitive) -> bool {
    matches!(
        primitive,
        Primitive::Date | Primitive::DateTime | Primitive::Instant
    )
}
