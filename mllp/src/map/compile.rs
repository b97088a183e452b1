//! From tables to a plan.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use resources::model::{self, Element, Primitive, ResourceType, TypeDef, TypeKind};

use super::{
    condition, expression,
    expression::Term,
    names,
    native::Native,
    path,
    plan::{
        Base, CodeRow, Codes, Leaf, Name, Part, Path, Place, Plan, Row, Source, Step, Table, Test,
        Within, address,
    },
    table::{self, Tables, table_key},
    tables::{DEFAULTS, STRUCTURES},
};

pub(super) struct Compiler {
    pub(super) plan: Plan,
    pub(super) names: HashMap<Box<str>, Name>,
    pub(super) codes: HashMap<String, u16>,
    pub(super) types: HashMap<String, u16>,
    pub(super) segments: HashMap<String, u16>,
    /// Names of segments, for telling `ORC.1` from `CWE.3`.
    pub(super) segment_names: Rc<HashSet<String>>,
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
    compiler.members();
    compiler.plan.telecom = ["TelecommunicationEquipmentType", "TelecommunicationUseCode"]
        .map(|name| compiler.codes.get(&table_key(name)).copied());
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
    pub(super) fn problem(&mut self, origin: &str, what: impl Into<String>) {
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

    /// What each name means in each type that a resource may hold.
    fn members(&mut self) {
        let mut open: Vec<&'static TypeDef> = ResourceType::all().map(model::resource).collect();
        let mut seen: HashSet<usize> = HashSet::new();
        while let Some(ty) = open.pop() {
            if !seen.insert(address(ty)) {
                continue;
            }
            for (at, element) in ty.elements.iter().enumerate() {
                for of in element.types {
                    let def = of.def();
                    // Resources within resources are not made here.
                    if def.kind == TypeKind::Resource {
                        continue;
                    }
                    open.push(def);
                    let name = match element.choice {
                        true => {
                            let (first, rest) = of.name.split_at(1);
                            format!("{}{}{rest}", element.name, first.to_uppercase())
                        }
                        false => element.name.to_owned(),
                    };
                    for (name, beside) in [(format!("_{name}"), true), (name, false)] {
                        let Some(name) = self.names.get(name.as_str()) else {
                            continue;
                        };
                        let member = super::plan::Member {
                            at: at as u8,
                            choice: element.choice,
                            beside,
                            ty: def,
                        };
                        self.plan.members.insert((address(ty), *name), member);
                    }
                }
            }
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

    pub(super) fn condition(
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
    pub(super) fn path(
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
pub(super) fn within<'s>(
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
