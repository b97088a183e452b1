//! Tables of messages as structures: groups, positions, and what is made at each.

use resources::model::{self, ResourceType};

use super::{
    compile::{Compiler, within},
    plan::{Base, Group, Leaf, MessageRow, Position, Reference, Role, Structure},
    table::{self, table_key},
};

impl Compiler {
    pub(super) fn messages(&mut self, rows: &[table::Row]) {
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
                    ..Structure::default()
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
                groups,
                positions,
                homes,
                ..
            } = structure;
            for group in groups.iter_mut() {
                group.from = u16::MAX;
                group.to = 0;
            }
            for (at, position) in positions.iter().enumerate() {
                for row in &position.rows {
                    homes.entry(row.role).or_insert(at);
                }
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
