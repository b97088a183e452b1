//! What finding free time costs: processor time of `$find` without its HTTP, over calendars as
//! they are in a big clinic. Time in which other programs had the core does not count.
//!
//! `cargo bench --bench find [-- PRACTITIONERS [DAYS]]`; 500 and 90 unless given.

#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first error")]

use std::{collections::HashMap, hint::black_box, sync::Arc};

use jiff::{civil, tz::TimeZone};
use rotunda::scheduling::{
    bookable::{Actor, Bookable, Coding, Daily, Facets, Hours, Visit},
    calendar::{Calendar, Calendars, SlotState},
    claim::{Claim, ClaimKind, Number},
    find::{Cache, Code, Filter, Found, Near, Need, Role, Sort, find},
    slots,
    span::Span,
};
use rustix::time::{ClockId, clock_gettime};

/// Monday 2027-03-01 00:00 in Berlin.
const MONDAY: i64 = 1_803_855_600;
const DAY: i64 = 86_400;
const MINUTE: i64 = 60;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Clinic {
    bookables: Vec<Arc<Bookable>>,
    calendars: HashMap<Number, Calendar>,
    days: i64,
    owner: i64,
    dice: u64,
}

impl Calendars for Clinic {
    fn of(&self, actor: Number) -> Option<&Calendar> {
        self.calendars.get(&actor)
    }

    fn openings(&self, _: &Bookable) -> Option<&Calendar> {
        None
    }
}

impl Clinic {
    fn new(days: i64) -> Self {
        Self {
            bookables: Vec::new(),
            calendars: HashMap::new(),
            days,
            owner: 0,
            dice: 1,
        }
    }

    fn roll(&mut self, most: i64) -> i64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        ((self.dice >> 20) % most as u64) as i64
    }

    /// Adds one that is open from eight to six on weekdays; so many per cent of the quarters in
    /// `hours` are booked. In summer the clock is an hour ahead of them.
    fn add(&mut self, kind: &str, full: i64, hours: std::ops::Range<i64>) {
        let number = self.bookables.len() as i64;
        let at = 0.001 * self.roll(1000) as f64;
        let visit = Visit {
            interval: 15 * MINUTE,
            horizon: 400 * DAY,
            ..slots::without_rules(30 * MINUTE)
        };
        let time = |hour| civil::time(hour, 0, 0, 0);
        self.bookables.push(Arc::new(Bookable {
            id: format!("schedule-{number}"),
            rid: number,
            actors: vec![Actor {
                number: Number(number),
                reference: format!("{kind}/{number}"),
                practitioner: (kind == "PractitionerRole")
                    .then(|| format!("Practitioner/{number}")),
                display: None,
            }],
            visits: vec![visit],
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            hours: vec![Hours {
                source: format!("{kind}/{number}"),
                weekly: vec![Daily {
                    days: 0x1f,
                    from: time(8),
                    to: time(18),
                }],
                closed: Vec::new(),
            }],
            planning: None,
            facets: Facets {
                specialties: vec![Coding {
                    system: "http://snomed.info/sct".to_owned(),
                    code: "394814009".to_owned(),
                    display: None,
                }],
                locations: vec![format!("Location/{}", number % 7)],
                position: Some((52.0 + at, 13.0 + at)),
                name: format!("Doctor {number}"),
                ..Facets::default()
            },
        }));
        let mut claims = Vec::new();
        for day in 0..self.days {
            for quarter in hours.start * 4..hours.end * 4 {
                if self.roll(100) < full {
                    let start = MONDAY + day * DAY + quarter * 15 * MINUTE;
                    claims.push(self.claim(number, start));
                }
            }
        }
        self.calendars.insert(Number(number), Calendar::new(claims));
    }

    fn claim(&mut self, actor: i64, start: i64) -> Claim {
        self.owner += 1;
        let core = Span::new(start, start + 15 * MINUTE);
        Claim {
            actor: Number(actor),
            owner: Number(self.owner),
            kind: ClaimKind::Booking,
            core,
            padded: core,
            buffers: Default::default(),
            capacity: 1,
            seat: 0,
            expires: None,
        }
    }

    /// Somebody books or cancels a quarter of an hour.
    fn change(&mut self) {
        let actors = self.bookables.len() as i64;
        let actor = self.roll(actors);
        let start = MONDAY + self.roll(self.days) * DAY + (32 + self.roll(40)) * 15 * MINUTE;
        let calendar = &self.calendars[&Number(actor)];
        let there = calendar.near(Span::new(start, start + 1)).next().copied();
        let (owner, claims) = match there {
            Some(claim) => (claim.owner, Vec::new()),
            None => {
                let claim = self.claim(actor, start);
                (claim.owner, vec![claim])
            }
        };
        self.calendars
            .get_mut(&Number(actor))
            .unwrap()
            .replace(owner, claims);
    }

    fn find(&self, need: &Need, cache: &Cache) -> Found {
        find(need, &self.bookables, self, cache, MONDAY)
    }
}

/// Nanoseconds that this thread had a core.
fn spent() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Prints what is found, what that cost the first time, and how the costs are distributed after
/// it.
fn measure(name: &str, runs: usize, mut run: impl FnMut() -> usize) {
    let mut once = || {
        let begun = spent();
        let found = black_box(run());
        (spent() - begun, found)
    };
    let (first, found) = once();
    let mut times: Vec<i64> = (0..runs).map(|_| once().0).collect();
    times.sort_unstable();
    let micros = |nanos: i64| nanos as f64 / 1e3;
    println!(
        "{name:46} {found:6} found {:9.1} µs first {:8.1} µs p50 {:8.1} µs p99 {:8.1} µs max",
        micros(first),
        micros(times[runs / 2]),
        micros(times[runs * 99 / 100]),
        micros(times[runs - 1]),
    );
}

fn role(kind: &str) -> Role {
    Role {
        filter: Filter {
            actor_types: vec![kind.to_owned()],
            ..Filter::default()
        },
        ..Role::default()
    }
}

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .map(|arg| arg.parse::<i64>().unwrap());
    let practitioners = args.next().unwrap_or(500);
    let days = args.next().unwrap_or(90);

    let mut clinic = Clinic::new(days);
    for _ in 0..practitioners {
        clinic.add("PractitionerRole", 95, 7..18);
    }
    let claims: usize = clinic.calendars.values().map(|it| it.claims().len()).sum();
    println!("{practitioners} practitioners, {days} days, {claims} claims");
    let within = Span::new(MONDAY, MONDAY + days * DAY);
    let mut by_need = Need::new(within);
    by_need.filter.actor_types = vec!["PractitionerRole".to_owned()];
    by_need.filter.specialties = vec![Code::parse("http://snomed.info/sct|394814009")];
    by_need.filter.near = Some(Near {
        latitude: 52.5,
        longitude: 13.5,
        within: 200.0,
    });
    let cache = Cache::new(256 << 20);
    measure("earliest 50 of a specialty", 2000, || {
        clinic.find(&by_need, &cache).total
    });
    let mut counted = by_need.clone();
    counted.total = 1000;
    measure("earliest 50, counted up to 1000", 2000, || {
        clinic.find(&counted, &cache).total
    });
    let mut first_of_each = by_need.clone();
    first_of_each.per_practitioner = Some(1);
    measure("earliest 50, one of each practitioner", 2000, || {
        clinic.find(&first_of_each, &cache).total
    });
    first_of_each.count = 500;
    measure("first of each of all practitioners", 1000, || {
        clinic.find(&first_of_each, &cache).total
    });
    let mut nearest = by_need.clone();
    nearest.sort = Sort::Nearest;
    measure("nearest 50", 2000, || clinic.find(&nearest, &cache).total);
    let mut all = by_need.clone();
    (all.count, all.total) = (0, 1_000_000);
    measure("all of them counted", 100, || {
        clinic.find(&all, &cache).total
    });
    measure("earliest 50, a booking before each", 2000, || {
        clinic.change();
        clinic.find(&by_need, &cache).total
    });
    measure("earliest 50, no cache", 50, || {
        clinic.find(&by_need, &Cache::new(256 << 20)).total
    });
    let mut one = Need::new(Span::new(MONDAY, MONDAY + 30 * DAY));
    one.filter.schedules = vec!["schedule-7".to_owned()];
    one.count = 20;
    let alone = vec![Arc::clone(&clinic.bookables[7])];
    measure("20 of one practitioner, 30 days", 5000, || {
        find(&one, &alone, &clinic, &cache, MONDAY).total
    });
    measure("a booking or its end", 5000, || {
        clinic.change();
        1
    });
    measure("all slots of one practitioner, 90 days", 1000, || {
        let bookable = &clinic.bookables[7];
        slots::slots(bookable, &bookable.visits[0], within, &clinic, MONDAY).count()
    });
    let weekly: Vec<Span> = (0..520)
        .map(|week| MONDAY + week * 7 * DAY + 10 * 3600)
        .map(|start| Span::new(start, start + 30 * MINUTE))
        .collect();
    measure("520 weeks of a series, what stands in the way", 200, || {
        let bookable = &clinic.bookables[7];
        slots::series(bookable, &bookable.visits[0], &weekly, &clinic, MONDAY, &[])
            .iter()
            .filter(|(is_open, state)| *is_open && *state == SlotState::Free)
            .count()
    });

    println!("with 60 rooms and 20 devices, 45 minutes");
    let mut with_rooms = by_need.clone();
    with_rooms.duration = Some(45 * MINUTE);
    with_rooms.roles = vec![role("Location"), role("Device")];
    let people = clinic.bookables.len();
    for (name, full, hours) in [
        ("95 % full", 95, 7..18),
        ("70 % full", 70, 7..18),
        ("free when no doctor is", 0, 7..18),
        ("devices full", 100, 7..18),
    ] {
        clinic.bookables.truncate(people);
        for _ in 0..60 {
            let is_apart = name == "free when no doctor is";
            let (full, hours) = if is_apart {
                (100, 7..13)
            } else {
                (full, hours.clone())
            };
            clinic.add(
                "Location",
                if name == "devices full" { 0 } else { full },
                hours,
            );
        }
        for _ in 0..20 {
            clinic.add("Device", full, hours.clone());
        }
        if name == "free when no doctor is" {
            for number in 0..people as i64 {
                let claims = (0..days).map(|day| {
                    let start = MONDAY + day * DAY + 13 * 3600 - 44 * MINUTE;
                    let core = Span::new(start, start + 7 * 3600);
                    let claim = clinic.claim(number, start);
                    Claim {
                        core,
                        padded: core,
                        ..claim
                    }
                });
                let calendar = Calendar::new(claims.collect());
                clinic.calendars.insert(Number(number), calendar);
            }
        }
        measure(name, 1000, || clinic.find(&with_rooms, &cache).total);
        let name = format!("{name}, a booking before each");
        if full > 0 {
            measure(&name, 1000, || {
                clinic.change();
                clinic.find(&with_rooms, &cache).total
            });
        }
    }
}
