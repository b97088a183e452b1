//! What stands at a place of the message, and whether conditions hold.

use std::borrow::Cow;

use super::{
    leaf,
    part::Part,
    plan::{Part as Piece, Place, Test, Within},
    run::{Context, Run},
};
use crate::message::Segment;

impl<'m> Run<'m> {
    pub(super) fn joined(&mut self, pieces: &'m [Piece], context: &Context<'m>) -> Cow<'m, str> {
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
    pub(super) fn near(&self, name: &str, at: usize, level: usize) -> Option<Segment<'m>> {
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

    pub(super) fn is_within(&self, instance: usize, level: usize) -> bool {
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
                .is_some_and(|part| leaf::number(&part.text()).is_some()),
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
