//! Who takes part: one member of each pool, nobody twice.

use std::sync::Arc;

use super::free::{Pool, Times};
use crate::scheduling::{bookable::Bookable, calendar::Calendars, span::Span};

/// Steps after which it is given up to find members that share actors with each other. Of members
/// that share none, and up to six pools, none that exist are missed.
const STEPS: usize = 20_000;

/// A pool as one kind of visit needs it.
pub struct RolePool {
    /// The better ones first.
    pub members: Vec<Member>,
    pub pool: Arc<Pool>,
    /// Seconds from the start of the appointment.
    pub offset: i64,
    /// None: as long as the appointment.
    pub length: Option<i64>,
}

/// Somebody or something that may take part.
pub struct Member {
    /// Its place among the bookables.
    pub index: usize,
    pub visit: Option<usize>,
    pub times: Arc<Times>,
}

impl RolePool {
    /// The time that it takes of an appointment.
    pub fn core(&self, appointment: Span) -> Span {
        let start = appointment.start + self.offset;
        Span::new(start, start + self.length.unwrap_or(appointment.seconds()))
    }
}

/// One member for each pool, that is free in each of `appointments` and shares no actor with the
/// leader or another member.
pub fn choose<'r>(
    roles: &'r [RolePool],
    leader: &Bookable,
    appointments: &[Span],
    calendars: &dyn Calendars,
    now: i64,
) -> Option<Vec<&'r Member>> {
    let mut options: Vec<(usize, Vec<&Member>)> = Vec::with_capacity(roles.len());
    for (at, role) in roles.iter().enumerate() {
        let cores: Vec<Span> = appointments.iter().map(|core| role.core(*core)).collect();
        let is_free = |member: &&Member| member.times.are_free(&cores, calendars, now);
        let members = role.members.iter();
        let free: Vec<&Member> = members
            .filter(|member| !share(member.times.bookable(), leader))
            .filter(is_free)
            .collect();
        if free.is_empty() {
            return None;
        }
        options.push((at, free));
    }
    options.sort_by_key(|(_, free)| free.len());
    let mut chosen = Vec::with_capacity(roles.len());
    let mut steps = STEPS;
    if !fill(&options, &mut chosen, &mut steps) {
        return None;
    }
    let mut in_order: Vec<(usize, &Member)> =
        options.iter().map(|(at, _)| *at).zip(chosen).collect();
    in_order.sort_by_key(|(at, _)| *at);
    Some(in_order.into_iter().map(|(_, member)| member).collect())
}

/// Chooses for the pools behind those that have somebody.
fn fill<'r>(
    options: &[(usize, Vec<&'r Member>)],
    chosen: &mut Vec<&'r Member>,
    steps: &mut usize,
) -> bool {
    let Some((_, free)) = options.get(chosen.len()) else {
        return true;
    };
    for member in free {
        if *steps == 0 {
            return false;
        }
        *steps -= 1;
        let is_new = |other: &&Member| !share(other.times.bookable(), member.times.bookable());
        if chosen.iter().all(is_new) {
            chosen.push(member);
            if fill(options, chosen, steps) {
                return true;
            }
            chosen.pop();
        }
    }
    false
}

/// Whether both need the same actor, or are the same.
pub fn share(one: &Bookable, two: &Bookable) -> bool {
    one.rid == two.rid
        || one
            .actors
            .iter()
            .any(|actor| two.actors.iter().any(|other| other.number == actor.number))
}
