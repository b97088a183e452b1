//! Which group of the structure each segment belongs to: leniently, since senders leave out what
//! opens a group and change the order.

use super::plan::Structure;

/// Where a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The position in the structure.
    pub position: usize,
    /// The instance of its group.
    pub instance: usize,
}

/// A group of the message.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The group of the structure.
    pub group: u16,
    /// The instance around it; itself for the message.
    pub parent: usize,
    /// Positions that have a segment in it.
    used: Vec<usize>,
}

/// All segments in their groups.
#[derive(Debug, Default)]
pub struct Grouped {
    /// For each segment; `None` if the structure has no place for it.
    pub placed: Vec<Option<Placed>>,
    /// The groups that are there; the first is the message.
    pub instances: Vec<Instance>,
}

/// Finds the groups of segments.
pub fn group<'m>(structure: &Structure, segments: impl Iterator<Item = &'m str>) -> Grouped {
    let mut grouped = Grouped {
        placed: Vec::new(),
        instances: vec![Instance {
            group: 0,
            parent: 0,
            used: Vec::new(),
        }],
    };
    let mut current = Placed {
        position: 0,
        instance: 0,
    };
    for name in segments {
        let found = next(structure, &grouped, current, name);
        let placed = found.map(|position| {
            let instance = enter(structure, &mut grouped, current, position);
            grouped.instances[instance].used.push(position);
            current = Placed { position, instance };
            current
        });
        grouped.placed.push(placed);
    }
    grouped
}

/// The position that a segment takes: in the innermost group that has one for it, the next, or
/// else the first.
fn next(structure: &Structure, grouped: &Grouped, current: Placed, name: &str) -> Option<usize> {
    let mut group = grouped.instances[current.instance].group as usize;
    loop {
        let range = &structure.groups[group];
        let (from, to) = (range.from as usize, range.to as usize);
        let fits = |at: &usize| *structure.positions[*at].segment == *name;
        let later = (current.position.max(from)..to).find(fits);
        if let Some(found) = later.or_else(|| (from..to.min(structure.positions.len())).find(fits))
        {
            return Some(found);
        }
        if group == 0 {
            return None;
        }
        group = structure.groups[group].parent as usize;
    }
}

/// The group instance for a position: one that is open, or a new one.
fn enter(structure: &Structure, grouped: &mut Grouped, current: Placed, position: usize) -> usize {
    // Groups from the position's outwards.
    let mut chain = vec![structure.positions[position].group];
    while let Some(group) = chain.last().copied().filter(|group| *group != 0) {
        chain.push(structure.groups[group as usize].parent);
    }
    chain.reverse();
    let mut instance = 0;
    for (depth, group) in chain.iter().enumerate().skip(1) {
        let open = open_instance(grouped, current.instance, *group, instance);
        let fresh = match open {
            None => true,
            Some(open) => begins(
                structure,
                grouped,
                open,
                chain.get(depth..).unwrap_or(&[]),
                position,
            ),
        };
        instance = match (fresh, open) {
            (false, Some(open)) => open,
            _ => {
                grouped.instances.push(Instance {
                    group: *group,
                    parent: instance,
                    used: Vec::new(),
                });
                grouped.instances.len() - 1
            }
        };
    }
    instance
}

/// The latest instance of a group within another.
fn open_instance(grouped: &Grouped, _current: usize, group: u16, within: usize) -> Option<usize> {
    let mut instances = grouped.instances.iter().enumerate().rev();
    instances.find_map(|(at, one)| (one.group == group && one.parent == within).then_some(at))
}

/// Whether a segment begins a new instance of a group: the group may repeat, the segment may not
/// within it, and it, or one that stands after it, is there already.
fn begins(
    structure: &Structure,
    grouped: &Grouped,
    open: usize,
    chain: &[u16],
    position: usize,
) -> bool {
    let group = &structure.groups[chain[0] as usize];
    if !group.many {
        return false;
    }
    // A repeating group within this one takes the repetition.
    if chain[1..]
        .iter()
        .any(|inner| structure.groups[*inner as usize].many)
    {
        return false;
    }
    let segment = &structure.positions[position];
    let is_first = group.from as usize == position;
    if segment.many && !is_first {
        return false;
    }
    let within = |at: usize| {
        let mut at = at;
        loop {
            if at == open {
                return true;
            }
            if at == 0 {
                return false;
            }
            at = grouped.instances[at].parent;
        }
    };
    grouped.instances.iter().enumerate().any(|(at, one)| {
        within(at)
            && one
                .used
                .iter()
                .any(|used| *used == position || is_first && *used > position)
    })
}
