//! Bookables, claims and numbers by chance, for tests.

use std::{collections::HashMap, sync::Arc};

use jiff::{civil, tz::TimeZone};

use super::{
    bookable::{Actor, Bookable, Daily, Facets, Hours, Visit},
    calendar::{Calendar, Calendars},
    claim::{BufferPolicy, Claim, ClaimKind, Number},
    span::Span,
};

/// Monday 2027-03-01 00:00 UTC.
pub const MONDAY: i64 = 1_803_859_200;
pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 3600;
pub const DAY: i64 = 86_400;

/// Numbers that are the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// From `from` to before `end`.
    pub fn pick(&mut self, from: i64, end: i64) -> i64 {
        from + i64::try_from(self.roll() % u64::try_from(end - from).unwrap()).unwrap()
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.pick(0, of.len() as i64)).unwrap()]
    }

    pub fn chance(&mut self, percent: i64) -> bool {
        self.pick(0, 100) < percent
    }
}

/// Half an hour, every half hour, without rules.
pub fn visit() -> Visit {
    Visit {
        service_types: Vec::new(),
        appointment_types: Vec::new(),
        duration: 30 * MINUTE,
        interval: 30 * MINUTE,
        before: 0,
        after: 0,
        buffers: BufferPolicy::Stack,
        notice: 0,
        horizon: 400 * DAY,
        capacity: 1,
        overbook: 0,
        quotas: Vec::new(),
        patients_may_overlap: false,
        hold: 600,
        needs_approval: false,
        ..Visit::default()
    }
}

/// Open on weekdays from nine to five UTC, its one actor has the same number.
pub fn bookable(number: i64) -> Bookable {
    Bookable {
        id: format!("s{number}"),
        rid: 33 << 44 | number,
        actors: vec![actor(number)],
        visits: vec![visit()],
        zone: TimeZone::UTC,
        hours: vec![hours(0x1f, 9, 17)],
        planning: None,
        facets: Facets {
            name: format!("Name {number}"),
            ..Facets::default()
        },
    }
}

pub fn actor(number: i64) -> Actor {
    Actor {
        number: Number(number),
        reference: format!("PractitionerRole/r{number}"),
        practitioner: Some(format!("Practitioner/p{number}")),
        display: None,
    }
}

pub fn hours(days: u8, from: i8, to: i8) -> Hours {
    Hours {
        source: "PractitionerRole/1".to_owned(),
        weekly: vec![Daily {
            days,
            from: civil::time(from, 0, 0, 0),
            to: civil::time(to, 0, 0, 0),
        }],
        closed: Vec::new(),
    }
}

pub fn booking(actor: i64, owner: i64, start: i64, end: i64) -> Claim {
    Claim {
        actor: Number(actor),
        owner: Number(owner),
        kind: ClaimKind::Booking,
        core: Span::new(start, end),
        padded: Span::new(start, end),
        buffers: BufferPolicy::Stack,
        capacity: 1,
        seat: 0,
        expires: None,
    }
}

/// Rules of a visit that are hard to get right.
pub fn any_visit(dice: &mut Dice) -> Visit {
    let unit = dice.one(&[MINUTE, MINUTE, 5 * MINUTE, 30]);
    let capacity = dice.one(&[1, 1, 1, 2, 3]);
    Visit {
        duration: dice.pick(1, 60) * unit,
        interval: dice.pick(1, 40) * unit,
        before: dice.pick(0, 3) * dice.one(&[0, MINUTE, 5 * MINUTE]),
        after: dice.pick(0, 3) * dice.one(&[0, MINUTE, 10 * MINUTE, 7]),
        buffers: any_policy(dice),
        capacity,
        ..visit()
    }
}

pub fn any_policy(dice: &mut Dice) -> BufferPolicy {
    dice.one(&[
        BufferPolicy::Stack,
        BufferPolicy::Share,
        BufferPolicy::Ignore,
    ])
}

/// A claim of any kind on some of `within`.
pub fn any_claim(dice: &mut Dice, actor: i64, owner: i64, within: Span, now: i64) -> Claim {
    let start = dice.pick(within.start / 60, within.end / 60) * 60 + dice.one(&[0, 0, 0, 17]);
    let length = dice.pick(1, 90) * MINUTE * dice.one(&[1, 1, 1, 1, 20]);
    let kind = dice.one(&[
        ClaimKind::Booking,
        ClaimKind::Booking,
        ClaimKind::Booking,
        ClaimKind::Booking,
        ClaimKind::Taken,
        ClaimKind::Blocked,
    ]);
    let core = Span::new(start, start + length);
    let is_booking = kind == ClaimKind::Booking;
    let padded = if is_booking {
        core.padded(
            dice.one(&[0, 0, 5 * MINUTE]),
            dice.one(&[0, 0, 10 * MINUTE, 90]),
        )
    } else {
        core
    };
    Claim {
        kind,
        core,
        padded,
        buffers: if is_booking {
            any_policy(dice)
        } else {
            BufferPolicy::Stack
        },
        capacity: dice.one(&[1, 1, 2, 3, 4]),
        expires: dice
            .chance(20)
            .then(|| now + dice.one(&[-60, 0, 1, 60, 600])),
        ..booking(actor, owner, start, start + length)
    }
}

/// Calendars by number; those of openings by the number of the first actor.
#[derive(Default)]
pub struct Book {
    pub calendars: HashMap<Number, Calendar>,
    pub openings: HashMap<i64, Calendar>,
}

impl Book {
    pub fn add(&mut self, claim: Claim) {
        let calendar = self.calendars.entry(claim.actor).or_default();
        let mut claims: Vec<Claim> = calendar.claims().to_vec();
        claims.retain(|other| other.owner == claim.owner);
        claims.push(claim);
        calendar.replace(claim.owner, claims);
    }
}

impl Calendars for Book {
    fn of(&self, actor: Number) -> Option<&Calendar> {
        self.calendars.get(&actor)
    }

    fn openings(&self, bookable: &Bookable) -> Option<&Calendar> {
        self.openings.get(&bookable.rid)
    }
}

pub fn shared(bookables: impl IntoIterator<Item = Bookable>) -> Vec<Arc<Bookable>> {
    bookables.into_iter().map(Arc::new).collect()
}
