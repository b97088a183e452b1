//! One message through a plan.

use std::{borrow::Cow, collections::HashMap};

use resources::model::ResourceType;

use super::{
    Mapped, Site,
    groups::{self, Grouped},
    native::Native,
    part::Part,
    plan::{Base, Path, Plan, Role, Row, Source, Structure, Table},
    tree::{Building, Keys, Node, Object},
};
use crate::message::{Message, Note, Segment};

/// A message on its way.
pub struct Run<'m> {
    pub(super) plan: &'m Plan,
    pub(super) message: &'m Message,
    pub(super) site: &'m Site,
    pub(super) out: Vec<Building>,
    pub(super) notes: Vec<Note>,
    pub(super) grouped: Grouped,
    /// For each group instance what was made in it.
    pub(super) scopes: Vec<Vec<(Role, usize)>>,
    /// References that are made at the end: resource, element, to what, group instance, segment.
    pub(super) pending: Vec<(usize, &'m Path, Role, usize, usize)>,
    /// Fields that reached something: segment, field, path, resource.
    pub(super) reached: Vec<(usize, u16, &'m str, usize)>,
    /// Locations that were made, by what they are.
    pub(super) locations: HashMap<String, usize>,
    /// Segments by name, the first of each.
    pub(super) first: HashMap<&'m str, usize>,
    /// The message's structure.
    pub(super) structure: Option<&'m Structure>,
    pub(super) event: String,
    /// The system of identifiers that name no authority.
    pub(super) sender: std::cell::OnceCell<String>,
}

/// Where a row looks.
#[derive(Clone, Copy)]
pub struct Context<'m> {
    /// The segment.
    pub segment: Segment<'m>,
    /// Its group.
    pub instance: usize,
    /// The field.
    pub field: u16,
    /// Which repetition of it, from 0.
    pub number: usize,
    /// The repetition.
    pub repetition: Part<'m>,
    /// What the row's components are parts of.
    pub value: Part<'m>,
    /// The row's own field or component.
    pub own: Part<'m>,
    /// The resource that the segment makes.
    pub resource: usize,
}

/// What a path begins at.
enum Root<'o> {
    Resource(usize),
    Fresh(&'o mut Object),
}

impl<'m> Run<'m> {
    /// Maps a message.
    pub fn map(plan: &'m Plan, message: &'m Message, site: &'m Site) -> Mapped {
        let msh = message.msh().field(9);
        let (code, event) = (msh.component(1).text(), msh.component(2).text());
        let structure = msh.component(3).text();
        let event = format!("{code}^{event}");
        let found = [&*event, &*structure, &*code]
            .iter()
            .find_map(|key| plan.structure_of.get(*key));
        let found = found.copied().or_else(|| by_segments(plan, message));
        let Some(structure) = found.map(|at| &plan.structures[at as usize]) else {
            let mut run = Run::new(plan, message, site, Grouped::default(), None, event);
            let text = format!("there is no table for messages {}", run.event);
            run.note("MSH-9", text);
            return run.finish();
        };
        let grouped = groups::group(structure, message.segments().map(|segment| segment.name()));
        let mut run = Run::new(plan, message, site, grouped, Some(structure), event);
        for segment in message.segments() {
            let Some(placed) = run.grouped.placed[segment.at()] else {
                continue;
            };
            for row in &structure.positions[placed.position].rows {
                run.message_row(
                    row,
                    segment,
                    placed,
                    structure.positions[placed.position].many,
                );
            }
        }
        run.references();
        run.finish()
    }

    fn new(
        plan: &'m Plan,
        message: &'m Message,
        site: &'m Site,
        grouped: Grouped,
        structure: Option<&'m Structure>,
        event: String,
    ) -> Self {
        let mut first = HashMap::new();
        for segment in message.segments() {
            first.entry(segment.name()).or_insert(segment.at());
        }
        Self {
            plan,
            message,
            site,
            out: Vec::with_capacity(16),
            notes: Vec::new(),
            scopes: vec![Vec::new(); grouped.instances.len()],
            grouped,
            pending: Vec::new(),
            reached: Vec::with_capacity(64),
            locations: HashMap::new(),
            first,
            structure,
            event,
            sender: std::cell::OnceCell::new(),
        }
    }

    pub(super) fn note(&mut self, place: impl Into<String>, text: impl Into<String>) {
        if self.notes.len() < 1000 {
            self.notes.push(Note {
                place: place.into(),
                text: text.into(),
            });
        }
    }

    /// `OBX[2]-5[1]` of a context.
    pub(super) fn place(&self, context: &Context<'_>) -> String {
        let name = context.segment.name();
        let before = self.message.segments().take(context.segment.at());
        let count = before.filter(|segment| segment.name() == name).count();
        let mut place = match count {
            0 => name.to_owned(),
            _ => format!("{name}[{}]", count + 1),
        };
        if context.field > 0 {
            place.push_str(&format!("-{}", context.field));
            if context.number > 0 {
                place.push_str(&format!("[{}]", context.number + 1));
            }
        }
        place
    }

    pub(super) fn segment_table(&mut self, table: &'m Table, mut context: Context<'m>) {
        let mut rows = &table.rows[..];
        while let Some(first) = rows.first() {
            let number = first.number;
            let count = rows.partition_point(|row| row.number <= number);
            let (same, rest) = rows.split_at(count);
            rows = rest;
            context.field = number;
            let field = context.segment.field(number as usize);
            if number > 0 && field.is_null() {
                for row in same.iter().filter(|row| !row.null.is_empty()) {
                    self.out[context.resource].nulls.push(row.null.to_string());
                    self.reached
                        .push((context.segment.at(), number, &row.shown, context.resource));
                }
                continue;
            }
            if number == 0 || field.is_empty() {
                for row in same.iter().filter(|row| number == 0 || row.on_empty) {
                    context.number = 0;
                    context.repetition = Part::repetition(field);
                    context.value = context.repetition;
                    context.own = context.repetition;
                    self.segment_row(row, context);
                }
                continue;
            }
            for (at, repetition) in field.repetitions().enumerate() {
                let part = Part::repetition(repetition);
                context.number = at;
                context.repetition = part;
                context.value = part;
                context.own = part;
                if !part.is_valued() {
                    if repetition.is_null() {
                        let place = self.place(&context);
                        self.note(
                            place,
                            "`\"\"` in one repetition is not a deletion, and is left out",
                        );
                    }
                    continue;
                }
                for row in same {
                    if at == 0 || row.repeats {
                        self.segment_row(row, context);
                    }
                }
                if at == 1 && !same.iter().any(|row| row.repeats) {
                    let place = self.place(&context);
                    self.note(place, "FHIR has room for the first repetition only");
                    break;
                }
            }
        }
    }

    fn segment_row(&mut self, row: &'m Row, context: Context<'m>) {
        if let Some(test) = &row.condition
            && !self.test(test, &context)
        {
            return;
        }
        let segment = context.segment.at();
        let mut done = matches!(
            row.source,
            Source::Native {
                native: Native::Used | Native::Append,
                ..
            }
        );
        for (item, node) in self.produce(row, &context) {
            let keys = Keys::of(segment, context.number, item.max(row.path.item));
            done |= self.put(
                Root::Resource(context.resource),
                &row.path,
                keys,
                node,
                &context,
            );
        }
        if done && row.number > 0 {
            self.reached
                .push((segment, row.number, &row.shown, context.resource));
        }
    }

    /// What a row makes of its value.
    fn produce(&mut self, row: &'m Row, context: &Context<'m>) -> Vec<(u8, Node)> {
        let one = |node: Option<Node>| node.map(|node| (0, node)).into_iter().collect();
        match &row.source {
            Source::Text { codes } => {
                let text = self.leaf_text(context);
                one(self.leaf(text, *codes, row, context))
            }
            Source::Joined(pieces) => {
                let text = self.joined(pieces, context);
                one(self.leaf(text, None, row, context))
            }
            Source::Table { table, codes } => {
                let table = &self.plan.types[*table as usize];
                match table.ty {
                    Base::Text => {
                        let text = self.table_text(table, context);
                        one(text.and_then(|text| self.leaf(text, *codes, row, context)))
                    }
                    Base::Type(_) => self
                        .objects(table, context)
                        .into_iter()
                        .map(|(item, object)| (item, Node::Object(object)))
                        .collect(),
                }
            }
            Source::Native { native, codes } => self.native(*native, *codes, row, context),
        }
    }

    /// How many parts a value has.
    fn parts(&self, own: Part<'m>) -> u16 {
        let delimiters = self.message.delimiters();
        let mark = match own.depth {
            0 => Some(delimiters.component),
            1 => delimiters.subcomponent,
            _ => None,
        };
        let raw = own.value.raw().as_bytes();
        let more = mark.map_or(0, |mark| raw.iter().filter(|byte| **byte == mark).count());
        (more + 1).try_into().unwrap_or(u16::MAX)
    }

    /// The text that a table of a primitive makes.
    fn table_text(&mut self, table: &'m Table, context: &Context<'m>) -> Option<Cow<'m, str>> {
        table.rows.iter().find_map(|row| {
            let mut context = *context;
            context.value = context.own;
            context.own = context.own.part(row.number);
            let passes = row
                .condition
                .as_ref()
                .is_none_or(|test| self.test(test, &context));
            if !context.own.is_valued() || !passes {
                return None;
            }
            Some(match &row.source {
                Source::Joined(pieces) => self.joined(pieces, &context),
                _ => context.own.text(),
            })
        })
    }

    /// What a table of a data type makes: mostly one, several if its paths begin with an index.
    fn objects(&mut self, table: &'m Table, context: &Context<'m>) -> Vec<(u8, Object)> {
        let mut made: Vec<(u8, Object)> = Vec::new();
        let count = self.parts(context.own);
        for row in &table.rows {
            if row.number > count && !row.on_empty {
                continue;
            }
            let mut context = *context;
            context.value = context.own;
            context.own = context.own.part(row.number);
            if row.number > 0 && !context.own.is_valued() && !row.on_empty {
                continue;
            }
            if let Some(test) = &row.condition
                && !self.test(test, &context)
            {
                continue;
            }
            for (item, node) in self.produce(row, &context) {
                let at = match made.iter().position(|(known, _)| *known == row.path.item) {
                    Some(at) => at,
                    None => {
                        made.push((row.path.item, Object::default()));
                        made.len() - 1
                    }
                };
                let mut object = std::mem::take(&mut made[at].1);
                let keys = Keys::of(0, 0, item);
                self.put(Root::Fresh(&mut object), &row.path, keys, node, &context);
                made[at].1 = object;
            }
        }
        made.retain(|(_, object)| !object.is_empty());
        made
    }

    /// Puts a value in its place; `false` if something else is there.
    fn put(
        &mut self,
        mut root: Root<'_>,
        path: &Path,
        mut keys: Keys,
        node: Node,
        context: &Context<'m>,
    ) -> bool {
        for (at, (steps, kind)) in path.hops.iter().enumerate() {
            let object = match &root {
                Root::Resource(at) => &self.out[*at].root,
                Root::Fresh(object) => object,
            };
            let found = match object.find(steps, &keys) {
                Some(Node::Link(found)) => Some(*found),
                _ => None,
            };
            let is_last = at + 1 == path.hops.len() && path.last.is_empty();
            let target = match (found, &node) {
                (Some(found), Node::Link(_)) if is_last => return found != usize::MAX,
                (Some(found), _) => found,
                (None, Node::Link(link)) if is_last => *link,
                (None, _) => self.of_value(*kind, context),
            };
            if found.is_none() {
                let object = match &mut root {
                    Root::Resource(at) => &mut self.out[*at].root,
                    Root::Fresh(object) => object,
                };
                let mut before = keys;
                match object.make(steps, &mut before) {
                    Some(slot @ Node::Empty) => *slot = Node::Link(target),
                    _ => return false,
                }
                if is_last && matches!(node, Node::Link(_)) {
                    return true;
                }
            } else if self.out[target].kind != *kind {
                return false;
            }
            keys.passed |= steps.iter().any(|step| step.list);
            root = Root::Resource(target);
        }
        let object = match root {
            Root::Resource(at) => &mut self.out[at].root,
            Root::Fresh(object) => object,
        };
        if path.last.is_empty() {
            return match node {
                Node::Object(made) => {
                    object.merge(made);
                    true
                }
                _ => false,
            };
        }
        match (object.make(&path.last, &mut keys), node) {
            (Some(slot @ Node::Empty), node) => {
                *slot = node;
                true
            }
            (Some(Node::Object(mine)), Node::Object(theirs)) => {
                mine.merge(theirs);
                true
            }
            (Some(known), node) => *known == node,
            (None, _) => false,
        }
    }

    /// A resource that a value names.
    pub(super) fn of_value(&mut self, kind: ResourceType, context: &Context<'m>) -> usize {
        let at = self.out.len();
        let role = self.place(context);
        self.out.push(Building {
            kind,
            root: Object::default(),
            role,
            segment: context.segment.at(),
            of_value: true,
            position: usize::MAX,
            instance: context.instance,
            dropped: false,
            nulls: Vec::new(),
            merged: at,
        });
        at
    }
}

/// For a message that says nothing known of its type: by what is in it.
fn by_segments(plan: &Plan, message: &Message) -> Option<u16> {
    let names = [
        ("SCH", "SIU_S12"),
        ("RXA", "VXU_V04"),
        ("TXA", "MDM_T02"),
        ("OBR", "ORU_R01"),
        ("ORC", "ORM_O01"),
        ("PID", "ADT_A01"),
    ];
    let (_, structure) = names
        .iter()
        .find(|(segment, _)| message.first(segment).is_some())?;
    plan.structure_of.get(*structure).copied()
}
