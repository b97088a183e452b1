//! All paths of a resource type in one tree, walked together with the document.

use super::{
    Entry, Kind, Param, ParamId, Traits,
    compile::{Part, Program, compile},
    convert::Converter,
    key,
};
use crate::{
    Value,
    fhirpath::{Environment, Expr, Item, Node, Refused, Step, TypeName, Typed},
    model::{self, ResourceType},
};

/// What indexing does for all parameters of a resource type.
#[derive(Debug)]
pub(super) struct Trie {
    places: Vec<Place>,
    computed: Vec<Computed>,
    /// What is special about the keys of a parameter, if something is.
    traits: Vec<(ParamId, Traits)>,
    /// Parameters whose expressions cannot be used.
    pub(super) refused: Vec<(ParamId, Refused)>,
}

/// A place in resources, by the way there.
#[derive(Debug, Default)]
struct Place {
    /// JSON members to go on to, sorted.
    members: Vec<(Box<str>, usize)>,
    /// Where to go on with the item of a number.
    items: Vec<(usize, usize)>,
    /// Where to go on if a condition holds.
    guards: Vec<(Guard, usize)>,
    /// What to do with values here.
    actions: Vec<Action>,
}

#[derive(Debug, PartialEq)]
enum Guard {
    /// A member is this text: nearly all conditions are.
    Text(String, String),
    Condition(Expr, TypeName),
}

#[derive(Debug)]
enum Action {
    Convert(ParamId, Converter),
    Combine(ParamId, Vec<Part>),
}

#[derive(Debug)]
struct Computed {
    param: ParamId,
    kind: Kind,
    targets: Vec<ResourceType>,
    expr: Expr,
}

/// The most keys that one value of a composite may give: combinations multiply.
const MAX_COMBINATIONS: usize = 256;

impl Trie {
    pub(super) fn new(params: &[Param]) -> Self {
        let mut trie = Self {
            places: vec![Place::default()],
            computed: Vec::new(),
            traits: Vec::new(),
            refused: Vec::new(),
        };
        for param in params {
            match compile(param) {
                Ok(program) => {
                    let traits = program.traits(param.kind);
                    if traits != Traits::default() {
                        trie.traits.push((param.id, traits));
                    }
                    trie.add(param, program);
                }
                Err(refused) => trie.refused.push((param.id, refused)),
            }
        }
        trie
    }

    /// What a search must know of a parameter's keys.
    pub(super) fn traits(&self, param: ParamId) -> Traits {
        let known = self.traits.iter().find(|(known, _)| *known == param);
        known.map_or_else(Traits::default, |(_, traits)| *traits)
    }

    fn add(&mut self, param: &Param, program: Program) {
        match program {
            Program::Nothing => {}
            Program::Paths(paths) => {
                for (path, converter) in paths {
                    self.act(&path.steps, Action::Convert(param.id, converter));
                }
            }
            Program::Composite(paths) => {
                for (path, parts) in paths {
                    self.act(&path.steps, Action::Combine(param.id, parts));
                }
            }
            Program::Computed(expr) => self.computed.push(Computed {
                param: param.id,
                kind: param.kind,
                targets: param.targets.clone(),
                expr,
            }),
        }
    }

    fn act(&mut self, steps: &[Step], action: Action) {
        let mut at = 0;
        for step in steps {
            at = self.step(at, step);
        }
        self.places[at].actions.push(action);
    }

    /// The place one step on, which is made if it is new.
    fn step(&mut self, at: usize, step: &Step) -> usize {
        let new = self.places.len();
        let place = &mut self.places[at];
        let next = match step {
            Step::Member(name) => {
                let slot = place
                    .members
                    .binary_search_by(|(known, _)| (**known).cmp(name));
                match slot {
                    Ok(slot) => place.members[slot].1,
                    Err(slot) => {
                        place.members.insert(slot, (name.as_str().into(), new));
                        new
                    }
                }
            }
            Step::Item(number) => {
                let known = place.items.iter().find(|(known, _)| known == number);
                match known {
                    Some((_, next)) => *next,
                    None => {
                        place.items.push((*number, new));
                        new
                    }
                }
            }
            Step::Guard(condition, def) => {
                let guard = Guard::new(condition, *def);
                let known = place.guards.iter().find(|(known, _)| *known == guard);
                match known {
                    Some((_, next)) => *next,
                    None => {
                        place.guards.push((guard, new));
                        new
                    }
                }
            }
        };
        if next == new {
            self.places.push(Place::default());
        }
        next
    }

    /// The index entries of a resource, in no order.
    pub(super) fn extract(
        &self,
        kind: ResourceType,
        root: Value<'_>,
        base_url: &str,
    ) -> Vec<Entry> {
        let environment = Environment {
            resource: root,
            def: model::resource(kind),
            base_url,
        };
        let mut walk = Walk {
            trie: self,
            environment,
            out: Vec::with_capacity(32),
        };
        walk.visit(0, root, 0);
        for computed in &self.computed {
            walk.compute(computed);
        }
        walk.out
    }
}

impl Guard {
    fn new(condition: &Expr, def: TypeName) -> Self {
        if let Expr::Equal(left, right) = condition
            && let Expr::Member(input, name) = &**left
            && **input == Expr::Focus
            && let Expr::Literal(crate::fhirpath::Literal::Text(text)) = &**right
            && def.has_single_text(name)
        {
            return Self::Text(name.clone(), text.clone());
        }
        Self::Condition(condition.clone(), def)
    }
}

struct Walk<'t, 'd, 'e> {
    trie: &'t Trie,
    environment: Environment<'d, 'e>,
    out: Vec<Entry>,
}

impl<'d> Walk<'_, 'd, '_> {
    /// Does what is to be done at `place` with `value`, the item with this number there.
    fn visit(&mut self, place: usize, value: Value<'d>, number: usize) {
        let place = &self.trie.places[place];
        for action in &place.actions {
            self.act(action, value);
        }
        for (guard, next) in &place.guards {
            if self.passes(guard, value) {
                self.visit(*next, value, number);
            }
        }
        for (wanted, next) in &place.items {
            if *wanted == number {
                self.visit(*next, value, 0);
            }
        }
        if place.members.is_empty() {
            return;
        }
        for member in value.members() {
            let name = member.name();
            if let Ok(slot) = place
                .members
                .binary_search_by(|(known, _)| (**known).cmp(name))
            {
                let next = place.members[slot].1;
                for (i, item) in member.each().enumerate() {
                    self.visit(next, item, i);
                }
            }
        }
    }

    fn passes(&self, guard: &Guard, value: Value<'d>) -> bool {
        match guard {
            Guard::Text(name, text) => value
                .get(name)
                .and_then(|member| member.as_str())
                .is_some_and(|member| member == text.as_str()),
            Guard::Condition(condition, def) => {
                let node = Node::new(value, Typed::of(def.0));
                self.environment.holds(condition, node)
            }
        }
    }

    fn act(&mut self, action: &Action, value: Value<'d>) {
        let base_url = self.environment.base_url;
        match action {
            Action::Convert(param, converter) => {
                let (param, out) = (*param, &mut self.out);
                converter.keys(value, base_url, &mut |key| out.push(Entry { param, key }));
            }
            Action::Combine(param, parts) => self.combine(*param, parts, value),
        }
    }

    fn combine(&mut self, param: ParamId, parts: &[Part], value: Value<'d>) {
        let Some((first, rest)) = parts.split_first() else {
            return;
        };
        let mut tails = vec![Vec::new()];
        // The later parts are missing more often than the first.
        for part in rest {
            let keys = self.part_keys(part, value);
            tails = tails
                .iter()
                .flat_map(|tail: &Vec<u8>| keys.iter().map(|key| [&tail[..], key].concat()))
                .take(MAX_COMBINATIONS)
                .collect();
            if tails.is_empty() {
                return;
            }
        }
        for head in self.part_keys(first, value) {
            let (code, system) = key::composite_first(&head);
            self.out.extend(tails.iter().map(|tail| Entry {
                param,
                key: key::composite(&code, &system, tail),
            }));
        }
    }

    fn part_keys(&self, part: &Part, value: Value<'d>) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        for (path, converter) in part {
            path.walk(value, &self.environment, &mut |found| {
                converter.keys(found, self.environment.base_url, &mut |key| keys.push(key));
            });
        }
        keys
    }

    fn compute(&mut self, computed: &Computed) {
        let environment = self.environment;
        let def = Typed::of(environment.def);
        let root = Item::Node(Node::new(environment.resource, def));
        let param = computed.param;
        for item in environment.evaluate(&computed.expr, &root) {
            let mut put = |key| self.out.push(Entry { param, key });
            match item {
                Item::Boolean(value) if computed.kind == Kind::Token => {
                    put(key::token(if value { "true" } else { "false" }, ""));
                }
                Item::Node(node) => {
                    let converter = Converter::new(computed.kind, &node.typed, &computed.targets);
                    if let (Some(value), Some(converter)) = (node.value, converter) {
                        converter.keys(value, environment.base_url, &mut put);
                    }
                }
                _ => {}
            }
        }
    }
}
