//! Which resource a segment makes or adds to, and what resources say of each other.

use resources::model::ResourceType;

use super::{
    groups::Placed,
    part::Part,
    plan::{MessageRow, Role},
    run::{Context, Run},
    tree::{Building, Keys, Node, Object},
};
use crate::message::Segment;

impl<'m> Run<'m> {
    pub(super) fn message_row(
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
                // A segment that repeats makes another, if it is the one that makes such resources.
                let made = &self.out[at];
                let again = made.position == placed.position
                    && made.segment != segment
                    && self.home(role) == Some(placed.position);
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
        // Known in its group and those around it, up to the first that may repeat, and up to where
        // such resources are made if this segment came before its time.
        let home = self.home(row.role).zip(self.structure);
        let home = home.map(|(position, structure)| structure.positions[position].group);
        let mut level = placed.instance;
        let mut reached = home.is_none_or(|home| !self.is_in(level, home));
        loop {
            self.scopes[level].push((row.role, at));
            let group = self.grouped.instances[level].group;
            reached |= Some(group) == home;
            if level == 0 || reached && self.repeats(group) {
                return at;
            }
            level = self.grouped.instances[level].parent;
        }
    }

    /// The first position of the structure that makes a resource.
    fn home(&self, role: Role) -> Option<usize> {
        self.structure?.homes.get(&role).copied()
    }

    /// Whether a group instance is one of a group, or within one.
    fn is_in(&self, instance: usize, group: u16) -> bool {
        let mut level = instance;
        while level > 0 && self.grouped.instances[level].group != group {
            level = self.grouped.instances[level].parent;
        }
        self.grouped.instances[level].group == group
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

    pub(super) fn references(&mut self) {
        for (from, path, to, instance, segment) in std::mem::take(&mut self.pending) {
            // What the segment itself made, else what can be seen from its group.
            let mut made = self.out.iter().enumerate();
            let own = made.find(|(at, one)| {
                one.kind == to.kind && one.segment == segment && !one.of_value && *at != from
            });
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
}
