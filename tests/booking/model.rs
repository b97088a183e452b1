//! Random rules, bookings, holds, cancellations, moves and hours that pass, beside a model that
//! counts minutes.

use std::collections::{BTreeMap, BTreeSet};

use rotunda::{clock::Clock as _, scheduling::claim::ClaimKind};
use serde_json::{Value, json};

use crate::{
    agreement::{claims, number},
    door::{Answer, Door},
    fixture::{Database, Fixture},
    ward::{MINUTE, PARAMETERS, Ward, appointment, instant, minutes, second},
};

on_both_databases!(random_days_are_as_a_model_of_minutes_has_them);

const SEEDS: u64 = 12;
const STEPS: usize = 60;
/// The practitioner works from nine to one.
const OPEN: (i64, i64) = (9 * 60, 13 * 60);

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) % bound) as i64
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Buffers {
    Stack,
    Share,
    Ignore,
}

/// All in minutes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rules {
    duration: i64,
    interval: i64,
    before: i64,
    after: i64,
    buffers: Buffers,
    capacity: usize,
    notice: i64,
    most: Option<usize>,
    may_overlap: bool,
}

impl Rules {
    fn random(random: &mut Random) -> Self {
        Self {
            duration: random.one(&[10, 15, 30, 45]),
            interval: random.one(&[5, 10, 15, 30]),
            before: random.one(&[0, 0, 5, 10]),
            after: random.one(&[0, 0, 5, 15]),
            buffers: random.one(&[Buffers::Stack, Buffers::Share, Buffers::Ignore]),
            capacity: random.one(&[1, 1, 2, 3]),
            notice: random.one(&[0, 0, 60]),
            most: random.one(&[None, None, Some(4), Some(8)]),
            may_overlap: random.below(3) == 0,
        }
    }

    fn schedule(&self) -> Value {
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let mut hours: Vec<Value> = days
            .iter()
            .map(|day| json!({ "url": "daysOfWeek", "valueCode": day }))
            .collect();
        hours.push(json!({ "url": "availableStartTime", "valueTime": "09:00:00" }));
        hours.push(json!({ "url": "availableEndTime", "valueTime": "13:00:00" }));
        let policy = match self.buffers {
            Buffers::Stack => "stack",
            Buffers::Share => "share",
            Buffers::Ignore => "ignore",
        };
        let mut parts = vec![
            json!({ "url": "availableTime", "extension": hours }),
            minutes("duration", self.duration),
            minutes("interval", self.interval),
            json!({ "url": "bufferPolicy", "valueCode": policy }),
            json!({ "url": "capacity", "valuePositiveInt": self.capacity }),
            json!({ "url": "patientsMayOverlap", "valueBoolean": self.may_overlap }),
        ];
        for (name, value) in [
            ("bufferBefore", self.before),
            ("bufferAfter", self.after),
            ("minimumNotice", self.notice),
        ] {
            parts.extend((value > 0).then(|| minutes(name, value)));
        }
        parts.extend(self.most.map(|most| {
            json!({ "url": "limit", "extension": [
                { "url": "per", "valueCode": "day" }, { "url": "most", "valuePositiveInt": most } ] })
        }));
        json!({
            "resourceType": "Schedule", "id": "s",
            "actor": [{ "reference": "Practitioner/p" }],
            "extension": [{ "url": PARAMETERS, "extension": parts }],
        })
    }
}

/// What somebody has; minutes since the ward's midnight, by the rules at the time.
#[derive(Debug, Clone, Copy)]
struct Booking {
    start: i64,
    end: i64,
    rules: Rules,
    patient: i64,
    /// Seconds since 1970.
    expires: Option<i64>,
}

impl Booking {
    fn core(&self, minute: i64) -> bool {
        self.start <= minute && minute < self.end
    }

    fn padded(&self, minute: i64) -> bool {
        self.start - self.rules.before <= minute && minute < self.end + self.rules.after
    }

    fn minutes(&self) -> impl Iterator<Item = i64> + use<> {
        self.start - 60..self.end + 60
    }

    fn meets(&self, other: &Self) -> bool {
        let lenient = [self.rules.buffers, other.rules.buffers];
        self.minutes().any(|at| {
            if lenient.contains(&Buffers::Ignore) {
                self.core(at) && other.core(at)
            } else if lenient.contains(&Buffers::Share) {
                self.core(at) && other.padded(at) || self.padded(at) && other.core(at)
            } else {
                self.padded(at) && other.padded(at)
            }
        })
    }
}

/// All there is.
struct Model {
    ward: Ward,
    rules: Rules,
    now: i64,
    booked: BTreeMap<String, Booking>,
}

impl Model {
    fn is_live(&self, one: &Booking) -> bool {
        one.expires.is_none_or(|expires| self.now < expires)
    }

    fn others(&self, id: &str) -> Vec<&Booking> {
        let others = self.booked.iter().filter(|(own, _)| *own != id);
        others
            .map(|(_, one)| one)
            .filter(|one| self.is_live(one))
            .collect()
    }

    /// The rules let somebody have this time.
    fn is_allowed(&self, one: &Booking) -> bool {
        let open = (one.start..one.end).all(|minute| {
            let day = minute.rem_euclid(24 * 60);
            OPEN.0 <= day && day < OPEN.1
        });
        let start = self.ward.day + one.start * MINUTE;
        open && start >= self.now + self.rules.notice * MINUTE
    }

    /// Nobody else has it.
    fn is_free(&self, id: &str, one: &Booking) -> bool {
        let others = self.others(id);
        let met: Vec<_> = others.iter().filter(|other| other.meets(one)).collect();
        let seats = met.iter().map(|other| other.rules.capacity).min();
        let seats = seats.unwrap_or(usize::MAX).min(self.rules.capacity);
        let day = one.start.div_euclid(24 * 60);
        let same_day = others
            .iter()
            .filter(|other| other.start.div_euclid(24 * 60) == day);
        let used_up = self.rules.most.is_some_and(|most| same_day.count() >= most);
        met.len() < seats && !used_up
    }

    /// The patient is not elsewhere.
    fn is_patient_free(&self, id: &str, one: &Booking) -> bool {
        let mut others = self.others(id).into_iter();
        self.rules.may_overlap
            || !others.any(|other| {
                let is_both = |minute| other.core(minute) && one.core(minute);
                other.patient == one.patient
                    && !other.rules.may_overlap
                    && one.minutes().any(is_both)
            })
    }

    fn is_admitted(&self, id: &str, one: &Booking) -> bool {
        self.is_allowed(one) && self.is_free(id, one) && self.is_patient_free(id, one)
    }

    fn at(&self, start: i64, patient: i64) -> Booking {
        Booking {
            start,
            end: start + self.rules.duration,
            rules: self.rules,
            patient,
            expires: None,
        }
    }

    /// All starts of a day that are free.
    fn starts(&self, day: i64) -> BTreeSet<i64> {
        let minutes = (0..24 * 60).map(|minute| day * 24 * 60 + minute);
        let on_grid = |minute: &i64| {
            (minute.rem_euclid(24 * 60) - OPEN.0).rem_euclid(self.rules.interval) == 0
        };
        let is_free = |minute: &i64| {
            let one = self.at(*minute, -1);
            self.is_allowed(&one) && self.is_free("", &one)
        };
        minutes.filter(on_grid).filter(is_free).collect()
    }
}

async fn random_days_are_as_a_model_of_minutes_has_them(on: Database) {
    for seed in 1..=SEEDS {
        random_days(on, seed).await;
    }
}

async fn random_days(on: Database, seed: u64) {
    let f = Fixture::new(on).await;
    let mut door = Door::of(&f);
    // It begins soon: time passes over it.
    let mut ward = Ward::of(&f);
    ward.day -= 3 * crate::ward::DAY;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    ward.patients(&mut door, 4).await;
    crate::ward::put(
        &mut door,
        json!({ "resourceType": "Practitioner", "id": "p" }),
    )
    .await;
    let mut model = Model {
        ward,
        rules: Rules::random(&mut random),
        now: f.clock.now() / 1_000,
        booked: BTreeMap::new(),
    };
    door.must("PUT", "/Schedule/s", model.rules.schedule())
        .await;
    let (mut done, mut refused) = (0, 0);
    for step in 0..STEPS {
        let what = step_of(&f, &mut door, &mut random, &mut model).await;
        let tell = || format!("seed {seed}, step {step}: {what:?}, {:?}", model.rules);
        if let Some((answer, expected)) = &what {
            assert_eq!(
                answer.is_done(),
                *expected,
                "{}; {:#?}",
                tell(),
                model.booked
            );
            assert!(
                answer.is_done() || matches!(answer.status, 409 | 422),
                "{}",
                tell()
            );
            *if *expected { &mut done } else { &mut refused } += 1;
        }
        for day in 0..2 {
            let from = ward.day + day * crate::ward::DAY;
            let find = Ward { day: from }.find("schedule=Schedule/s");
            let found = door.ask("GET", &find, Value::Null).await;
            // Of a day that has passed nothing is asked.
            if found.status == 400 {
                assert!(from + crate::ward::DAY <= model.now);
                continue;
            }
            let found = found.resources();
            let found = found
                .iter()
                .map(|one| (second(&one["start"]) - ward.day) / MINUTE);
            let found: BTreeSet<i64> = found.collect();
            assert_eq!(found, model.starts(day), "{}; {:#?}", tell(), model.booked);
        }
        same_claims(&f, &model, &tell()).await;
    }
    assert!(
        done > STEPS / 5 && refused > 3,
        "{done} done, {refused} refused"
    );
}

async fn same_claims(f: &Fixture, model: &Model, tell: &str) {
    let mut found: Vec<_> = claims(&f.store).await;
    let actor = number("Practitioner/p");
    found.retain(|one| one.is_live(model.now) && one.actor == actor);
    assert!(found.iter().all(|one| one.kind == ClaimKind::Booking));
    let found: BTreeSet<_> = found
        .iter()
        .map(|one| (one.owner, one.core, one.padded, one.expires))
        .collect();
    let at = |minute: i64| model.ward.day + minute * MINUTE;
    let live = model.booked.iter().filter(|(_, one)| model.is_live(one));
    let expected: BTreeSet<_> = live
        .map(|(id, one)| {
            let core = rotunda::scheduling::span::Span::new(at(one.start), at(one.end));
            let padded = core.padded(one.rules.before * MINUTE, one.rules.after * MINUTE);
            (
                number(&format!("Appointment/{id}")),
                core,
                padded,
                one.expires,
            )
        })
        .collect();
    assert_eq!(found, expected, "{tell}");
}

/// One step; what was answered, and whether the model would have done it.
async fn step_of(
    f: &Fixture,
    door: &mut Door,
    random: &mut Random,
    model: &mut Model,
) -> Option<(Answer, bool)> {
    let day = random.below(2);
    let start = day * 24 * 60 + OPEN.0 - 30 + 5 * random.below(55);
    let mut new = model.at(start, random.below(4));
    let time = |one: &Booking| {
        let at = |minute: i64| model.ward.day + minute * MINUTE;
        (at(one.start), at(one.end))
    };
    let resource = |status: &str, one: &Booking| {
        let patient = format!("Patient/t{}", one.patient);
        appointment(status, time(one), &patient, "Practitioner/p")
    };
    // Ids are made by chance: their order is not that of another run.
    let mut booked: Vec<(&String, &Booking)> = model.booked.iter().collect();
    booked.sort_by_key(|(_, one)| (one.start, one.end, one.patient));
    let ids: Vec<String> = booked.into_iter().map(|(id, _)| id.clone()).collect();
    let some = (!ids.is_empty()).then(|| ids[random.below(ids.len() as u64) as usize].clone());
    match (random.below(20), some) {
        (0..=6, _) | (_, None) => {
            let expected = model.is_admitted("", &new);
            let answer = door
                .ask("POST", "/Appointment", resource("booked", &new))
                .await;
            if answer.is_done() {
                model.booked.insert(answer.id(), new);
            }
            Some((answer, expected))
        }
        (7..=10, _) => {
            let expected = model.is_admitted("", &new);
            let seconds = 60 * (1 + random.below(30));
            let asked = json!({ "resourceType": "Parameters", "parameter": [
                { "name": "appointment-resource", "resource": resource("proposed", &new) },
                { "name": "hold-for", "valueInteger": seconds } ] });
            let answer = door.ask("POST", "/Appointment/$hold", asked).await;
            if answer.is_done() {
                new.expires = Some(model.now + seconds);
                model.booked.insert(answer.id(), new);
            }
            Some((answer, expected))
        }
        (11 | 12, Some(id)) => {
            // What is held in time is booked, whatever there is, and whatever the rules are now.
            let own = model.booked[&id];
            let now = Booking {
                rules: model.rules,
                expires: None,
                ..own
            };
            let expected = model.is_live(&own);
            let path = "/Appointment/$book";
            let asked =
                crate::ward::references(&[("appointment-reference", &format!("Appointment/{id}"))]);
            let answer = door.ask("POST", path, asked).await;
            if answer.is_done() {
                model.booked.insert(id, now);
            }
            Some((answer, expected))
        }
        (13 | 14, Some(id)) => {
            let path = format!("/Appointment/{id}/$cancel");
            let answer = door.ask("POST", &path, Value::Null).await;
            model.booked.remove(&id);
            Some((answer, true))
        }
        (15..=17, Some(id)) if model.booked[&id].expires.is_none() => {
            let own = model.booked[&id];
            let moved = Booking {
                start,
                end: start + own.end - own.start,
                rules: model.rules,
                ..own
            };
            let is_same = moved.start == own.start;
            let expected = (is_same || model.is_allowed(&moved))
                && model.is_free(&id, &moved)
                && model.is_patient_free(&id, &moved);
            let asked = json!({ "resourceType": "Parameters", "parameter": [
                { "name": "start", "valueDateTime": instant(time(&moved).0) } ] });
            let path = format!("/Appointment/{id}/$reschedule");
            let answer = door.ask("POST", &path, asked).await;
            if answer.is_done() {
                model.booked.insert(id, moved);
            }
            Some((answer, expected))
        }
        (18, _) => {
            model.rules = Rules::random(random);
            let answer = door.ask("PUT", "/Schedule/s", model.rules.schedule()).await;
            Some((answer, true))
        }
        _ => {
            f.clock.advance(60_000 * (1 + random.below(90)) as u32);
            model.now = f.clock.now() / 1_000;
            None
        }
    }
}
