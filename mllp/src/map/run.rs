//! One message through a plan.

use std::{borrow::Cow, collections::HashMap};

use resources::model::ResourceType;

use super::{
    Mapped, Site,
    groups::{self, Grouped, Placed},
    native::Native,
    part::Part,
    plan::{
        Base, MessageRow, Part as Piece, Path, Place, Plan, Role, Row, Source, Structure, Table,
        Test, Within,
    },
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
    scopes: Vec<Vec<(Role, usize)>>,
    /// References that are made at the end: resource, element, to what, group instance, segment.
    pending: Vec<(usize, &'m Path, Role, usize, usize)>,
    /// Fields that reached something: segment, field, path, resource.
    pub(super) reached: Vec<(usize, u16, &'m str, usize)>,
    /// Locations that were made, by what they are.
    pub(super) locations: HashMap<String, usize>,
    /// Segments by name, the first of each.
    first: HashMap<&'m str, usize>,
    /// The message's structure.
    structure: Option<&'m Structure>,
    pub(super) event: String,
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

    fn message_row(
        &mut self,
        row: &'m MessageRow,
        segment: Segment<'m>,
        placed: Placed,
        many: bool,
    ) {
        let whole = Part::repetition(segment.field(0));
        let mut context = Context {
            segment,
            instance: placed.instance,
            field: 0,
            number: 0,
            repetition: whole,
            value: whole,
            own: whole,
            resource: usize::MAX,
        };
        if let Some(test) = &row.condition
            && !self.test(test, &context)
        {
            return;
        }
        let resource = match self.find(row.role, placed, segment.at(), many) {
            Some(found) => found,
            None => self.create(row, segment.at(), placed),
        };
        context.resource = resource;
        self.segment_table(&self.plan.segments[row.table as usize], context);
        for reference in &row.references {
            let is_own = reference.from.kind == row.role.kind;
            let from = match is_own {
                true => Some(resource),
                false => self.in_scope(reference.from, placed.instance),
            };
            if let Some(from) = from {
                let (instance, at) = (placed.instance, segment.at());
                self.pending
                    .push((from, &reference.path, reference.to, instance, at));
            }
        }
    }

    /// The resource that a segment adds to, if another segment made it.
    fn find(&self, role: Role, placed: Placed, segment: usize, many: bool) -> Option<usize> {
        let mut level = placed.instance;
        loop {
            let made = self.scopes[level].iter().rev();
            let found = made
                .filter(|(known, _)| *known == role)
                .map(|(_, at)| *at)
                .next();
            if let Some(at) = found {
                let made = &self.out[at];
                let again = made.position == placed.position && made.segment != segment;
                return (!again || !many).then_some(at);
            }
            if level == 0 {
                return None;
            }
            level = self.grouped.instances[level].parent;
        }
    }

    fn create(&mut self, row: &MessageRow, segment: usize, placed: Placed) -> usize {
        let at = self.out.len();
        self.out.push(Building {
            kind: row.role.kind,
            root: Object::default(),
            role: row.shown.to_string(),
            segment,
            of_value: false,
            position: placed.position,
            instance: placed.instance,
            dropped: false,
            nulls: Vec::new(),
            merged: at,
        });
        // Known in its group and those around it, up to the first that may repeat.
        let mut level = placed.instance;
        loop {
            self.scopes[level].push((row.role, at));
            let group = self.grouped.instances[level].group;
            if level == 0 || self.repeats(group) {
                return at;
            }
            level = self.grouped.instances[level].parent;
        }
    }

    fn repeats(&self, group: u16) -> bool {
        self.structure
            .is_some_and(|structure| structure.groups[group as usize].many)
    }

    /// The resource of a role that can be seen from a group.
    pub(super) fn in_scope(&self, role: Role, instance: usize) -> Option<usize> {
        let mut by_kind = None;
        let mut level = instance;
        loop {
            for (known, at) in self.scopes[level].iter().rev() {
                if *known == role {
                    return Some(*at);
                }
                if known.kind == role.kind && by_kind.is_none() {
                    by_kind = Some(*at);
                }
            }
            if level == 0 {
                break;
            }
            level = self.grouped.instances[level].parent;
        }
        by_kind.or_else(|| {
            let mut all = self.out.iter().enumerate();
            let fits = |one: &Building| one.kind == role.kind && !one.of_value;
            let first = all.find(|(_, one)| fits(one))?.0;
            (!all.any(|(_, one)| fits(one))).then_some(first)
        })
    }

    fn references(&mut self) {
        for (from, path, to, instance, segment) in std::mem::take(&mut self.pending) {
            // What the segment itself made, else what can be seen from its group.
            let mut made = self.out.iter().enumerate();
            let own = made
                .find(|(_, one)| one.kind == to.kind && one.segment == segment && !one.of_value);
            if let Some(to) = own
                .map(|(at, _)| at)
                .or_else(|| self.in_scope(to, instance))
                && to != from
            {
                let mut keys = Keys::of(segment, 0, 0);
                if let Some(slot) = self.out[from].root.make(&path.last, &mut keys)
                    && *slot == Node::Empty
                {
                    *slot = Node::Link(to);
                }
            }
        }
        let patient = Role {
            kind: ResourceType::PATIENT,
            number: 1,
        };
        let encounter = ResourceType::from_name("Encounter").map(|kind| Role { kind, number: 1 });
        for at in 0..self.out.len() {
            if self.out[at].of_value && self.out[at].kind.name() != "RelatedPerson" {
                continue;
            }
            for (to, steps) in [
                (Some(patient), &self.plan.subjects),
                (encounter, &self.plan.encounters),
            ] {
                let number = self.out[at].kind.number() as usize - 1;
                let (Some(to), Some(step)) = (to, steps.get(number).copied().flatten()) else {
                    continue;
                };
                if self.out[at].root.get(step.name).is_some() || self.out[at].kind == to.kind {
                    continue;
                }
                if let Some(to) = self.in_scope(to, self.out[at].instance) {
                    let root = &mut self.out[at].root;
                    if let Some(slot) = root.make(&[step], &mut Keys::default()) {
                        *slot = Node::Link(to);
                    }
                }
            }
        }
    }

    fn segment_table(&mut self, table: &'m Table, mut context: Context<'m>) {
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
        for row in &table.rows {
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

    fn joined(&mut self, pieces: &'m [Piece], context: &Context<'m>) -> Cow<'m, str> {
        if let [Piece::Text(text)] = pieces {
            return Cow::Borrowed(text);
        }
        let mut joined = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => joined.push_str(text),
                Piece::Value(place) => {
                    if let Some(part) = self.look(*place, context) {
                        joined.push_str(&part.text());
                    }
                }
            }
        }
        Cow::Owned(joined)
    }

    /// What stands at a place.
    pub(super) fn look(&self, place: Place, context: &Context<'m>) -> Option<Part<'m>> {
        let of = |segment: Segment<'m>| {
            let field = segment.field(place.number as usize);
            let repetition = Part::repetition(field.repetitions().next().unwrap_or(field));
            repetition.part(place.part)
        };
        match place.within {
            Within::Own => Some(context.own),
            Within::Value => {
                // In a segment's row this is the repetition, whatever its data type is called.
                Some(context.value.part(place.number).part(place.part))
            }
            Within::Segment if place.number == context.field && place.number > 0 => {
                Some(context.repetition.part(place.part))
            }
            Within::Segment => Some(of(context.segment)),
            Within::Other(name) => self.other(name, context).map(of),
        }
    }

    /// Another segment: of the innermost group that has a place for it.
    pub(super) fn other(&self, name: [u8; 3], context: &Context<'m>) -> Option<Segment<'m>> {
        let name = std::str::from_utf8(&name).ok()?;
        let first = *self.first.get(name)?;
        let structure = self.structure?;
        let mut level = context.instance;
        while level > 0 {
            let group = &structure.groups[self.grouped.instances[level].group as usize];
            let positions = &structure.positions[group.from as usize..group.to as usize];
            if group.many && positions.iter().any(|position| &*position.segment == name) {
                return self.near(name, context.segment.at(), level);
            }
            level = self.grouped.instances[level].parent;
        }
        self.message.segment(first)
    }

    /// The nearest segment of a name before, else after a place, within a group instance.
    fn near(&self, name: &str, at: usize, level: usize) -> Option<Segment<'m>> {
        let within = |at: &usize| match self.grouped.placed.get(*at).copied().flatten() {
            Some(placed) => self.is_within(placed.instance, level),
            None => true,
        };
        let is_it = |at: &usize| {
            let segment = self.message.segment(*at);
            segment.is_some_and(|segment| segment.name() == name)
        };
        let count = self.grouped.placed.len();
        let before = (0..at).rev().take_while(within).find(is_it);
        let found = before.or_else(|| (at + 1..count).take_while(within).find(is_it));
        self.message.segment(found?)
    }

    fn is_within(&self, instance: usize, level: usize) -> bool {
        let mut at = instance;
        loop {
            if at == level {
                return true;
            }
            if at == 0 {
                return false;
            }
            at = self.grouped.instances[at].parent;
        }
    }

    /// Whether a condition holds.
    pub(super) fn test(&self, test: &Test, context: &Context<'m>) -> bool {
        match test {
            Test::Valued(place) => match (place.within, place.number) {
                (Within::Segment, 0) => true,
                (Within::Other(name), 0) => {
                    self.first
                        .contains_key(std::str::from_utf8(&name).unwrap_or_default())
                        && self.other(name, context).is_some()
                }
                _ => self
                    .look(*place, context)
                    .is_some_and(|part| part.is_valued()),
            },
            Test::In(place, texts) => self.look(*place, context).is_some_and(|part| {
                let text = part.text();
                texts.iter().any(|one| **one == *text)
            }),
            Test::Numeric(place) => self
                .look(*place, context)
                .is_some_and(|part| super::leaf::number(&part.text()).is_some()),
            Test::Same(left, right) => {
                let text = |place| self.look(place, context).map(|part| part.text());
                text(*left) == text(*right)
            }
            Test::Count(place, ordering, number) => {
                let segment = match place.within {
                    Within::Other(name) => self.other(name, context),
                    _ => Some(context.segment),
                };
                let count = segment.map_or(0, |segment| {
                    let field = segment.field(place.number as usize);
                    field.repetitions().filter(|one| one.is_valued()).count()
                });
                ordering.holds(count, *number)
            }
            Test::Length(place, ordering, number) => {
                let length = self
                    .look(*place, context)
                    .map_or(0, |part| part.text().chars().count());
                ordering.holds(length, *number)
            }
            Test::Not(inner) => !self.test(inner, context),
            Test::All(all) => all.iter().all(|one| self.test(one, context)),
            Test::Any(any) => any.iter().any(|one| self.test(one, context)),
        }
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
