//! Whether Appointments, Slots and claims agree: what they should claim is derived anew, by what
//! derives it for a write, and compared with what is claimed.
//!
//! Buffers, capacities and seats are those of the rules at the time of the booking, so they are
//! not compared. Whoever writes meanwhile is not taken for a difference: what differs is looked at
//! twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use resources::{model::ResourceType, primitive::format_instant};

use super::{
    Engine, Error,
    claims::{claimed_span, expiry},
    holding::holds_of,
    number,
    parties::{LookedUp, Party, practitioner_of},
    slots::{claim_kind, claimants, has_no_seat, is_marked},
};
use crate::{
    access::Access,
    engine::submit::parse_stored,
    scheduling::{
        appointment::{Appointment, Slot},
        claim::{Claim, ClaimKind, Number},
        span::Span,
        status::SlotStatus,
    },
    search::plan::{Clause, Plan, Position, TotalMode},
    store::Stored,
};

static ALL: Access = Access::system("an operator compares all claims with what makes them");

/// Resources that are looked at together.
const PAGE: usize = 500;
/// Claims that are read together.
const CLAIMS: usize = 5_000;
/// Owners of claims that are kept in mind at a time; for more all resources are read again.
const OWNERS: usize = 1_000_000;
/// Actors whose time is looked at together.
const ACTORS: usize = 32;
/// Double bookings that are told one by one.
const TOLD: usize = 1_000;
/// Seconds that a pending Appointment is looked for before the Slot that it overlaps.
const DAY: i64 = 86_400;

/// What came of comparing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScheduleVerified {
    /// Appointments and Slots looked at.
    pub resources: u64,
    /// Claims looked at.
    pub claims: u64,
    /// Differences told.
    pub different: u64,
}

/// Two bookings that have the same seat of an actor at the same time.
struct Double {
    first: Claim,
    second: Claim,
}

/// Names of numbers that are to be told.
#[derive(Default)]
struct Names(HashMap<Number, Option<String>>);

impl Names {
    fn want(&mut self, number: Number) {
        self.0.entry(number).or_default();
    }

    fn is(&mut self, number: Number, name: &str) {
        if let Some(known @ None) = self.0.get_mut(&number) {
            *known = Some(name.to_owned());
        }
    }

    fn of(&self, number: Number, what: &str) -> String {
        let name = self.0.get(&number).and_then(Option::as_ref);
        name.cloned()
            .unwrap_or_else(|| format!("{what} {}", number.0))
    }
}

/// An Appointment or a Slot, and what is wrong with it.
type Wrong = (String, Vec<String>);

impl Engine {
    /// Derives what all Appointments and Slots claim, and compares it with what is claimed. Each
    /// difference is told to `report` as a sentence, with what to do about it.
    ///
    /// # Errors
    /// The store fails.
    pub async fn verify_schedule(
        &self,
        mut report: impl FnMut(String),
    ) -> Result<ScheduleVerified, Error> {
        let mut verified = ScheduleVerified::default();
        self.update_board().await?;
        let mut different = 0;
        let mut told = |sentence| {
            different += 1;
            report(sentence);
        };
        let mut names = Names::default();
        let doubles = self.double_bookings(&mut names).await?;
        let mut after = None;
        for turn in 0.. {
            let mut owners = HashSet::new();
            let mut is_last = true;
            loop {
                let claims = self.store.claims_after(after, CLAIMS).await?;
                let Some(last) = claims.last() else { break };
                after = Some(last.owner);
                verified.claims += claims.len() as u64;
                owners.extend(claims.iter().map(|claim| claim.owner));
                if owners.len() >= OWNERS {
                    is_last = false;
                    break;
                }
            }
            for kind in [ResourceType::APPOINTMENT, ResourceType::SLOT] {
                let mut position = None;
                let filter = Clause::All(Vec::new());
                while let Some(page) = self.page_of(kind, &filter, &mut position).await? {
                    for stored in &page {
                        let name = format!("{kind}/{}", stored.head.id);
                        owners.remove(&number(&name));
                        names.is(number(&name), &name);
                    }
                    if turn == 0 {
                        verified.resources += page.len() as u64;
                        let wrong = self.wrong_of(kind, &page, &mut names).await?;
                        for (_, sentences) in self.looked_at_again(kind, wrong).await? {
                            sentences.into_iter().for_each(&mut told);
                        }
                    }
                }
            }
            let mut owners: Vec<Number> = owners.into_iter().collect();
            owners.sort_unstable();
            for some in owners.chunks(PAGE) {
                let claims = self.store.claims_by(some).await?;
                self.orphans(&claims).into_iter().for_each(&mut told);
            }
            if is_last {
                break;
            }
        }
        for double in &doubles {
            told(double.sentence(&names));
        }
        if doubles.len() == TOLD {
            told(format!(
                "there may be more double bookings than these {TOLD}"
            ));
        }
        verified.different = different;
        Ok(verified)
    }

    /// The next resources of a type that satisfy a condition; none behind the last.
    pub(super) async fn page_of(
        &self,
        kind: ResourceType,
        filter: &Clause,
        position: &mut Option<Option<Position>>,
    ) -> Result<Option<Vec<Stored>>, Error> {
        let after = match position {
            None => None,
            Some(Some(after)) => Some(after.clone()),
            Some(None) => return Ok(None),
        };
        let plan = Plan {
            types: vec![kind],
            filter: filter.clone(),
            sort: Vec::new(),
            limit: PAGE,
            after,
            total: TotalMode::None,
        };
        let page = self.store.search(&plan, &ALL).await?;
        let last = page.hits.last().filter(|_| page.more);
        *position = Some(last.map(|hit| hit.position.clone()));
        Ok(Some(page.hits.into_iter().map(|hit| hit.stored).collect()))
    }

    /// What of that is still wrong: others may have written between one look and the other.
    async fn looked_at_again(
        &self,
        kind: ResourceType,
        wrong: Vec<Wrong>,
    ) -> Result<Vec<Wrong>, Error> {
        if wrong.is_empty() {
            return Ok(wrong);
        }
        self.update_board().await?;
        let keys: Vec<(ResourceType, &str)> =
            wrong.iter().map(|(id, _)| (kind, id.as_str())).collect();
        let found = self.store.current(&keys, &ALL).await?;
        let alive = found.into_iter().flatten();
        let alive: Vec<Stored> = alive.filter(|stored| !stored.head.deleted).collect();
        self.wrong_of(kind, &alive, &mut Names::default()).await
    }

    async fn wrong_of(
        &self,
        kind: ResourceType,
        page: &[Stored],
        names: &mut Names,
    ) -> Result<Vec<Wrong>, Error> {
        let owners: Vec<Number> = page
            .iter()
            .map(|stored| number(&format!("{kind}/{}", stored.head.id)))
            .collect();
        let mut claims: HashMap<Number, Vec<Claim>> = HashMap::new();
        for claim in self.store.claims_by(&owners).await? {
            claims.entry(claim.owner).or_default().push(claim);
        }
        match kind {
            ResourceType::APPOINTMENT => self.wrong_appointments(page, &claims, names).await,
            _ => self.wrong_slots(page, &claims).await,
        }
    }

    async fn wrong_appointments(
        &self,
        page: &[Stored],
        claims: &HashMap<Number, Vec<Claim>>,
        names: &mut Names,
    ) -> Result<Vec<Wrong>, Error> {
        let base_url = &self.settings.base_url;
        let read = |stored: &Stored| {
            let doc = parse_stored(stored).ok()?;
            Appointment::read(&doc, base_url)
        };
        let read: Vec<Option<Appointment>> = page.iter().map(read).collect();
        let claiming = read.iter().flatten();
        let claiming = claiming.filter(|one| claimed_span(one).is_some());
        let found = self.named_by_all(claiming, &[]).await?;
        let now = self.clock.now() / 1_000;
        let mut wrong = Vec::new();
        for (stored, appointment) in page.iter().zip(&read) {
            let name = format!("Appointment/{}", stored.head.id);
            let claims = claims.get(&number(&name)).map_or(&[][..], Vec::as_slice);
            let claiming = appointment.as_ref();
            let claiming = claiming.and_then(|one| Some((one, claimed_span(one)?)));
            let sentences = match claiming {
                Some((one, span)) => {
                    let (_, parties) = self.whose(one, span, &found);
                    for party in &parties {
                        names.is(party.number, &party.name);
                    }
                    let compared = Compared {
                        name: &name,
                        appointment: one,
                        parties: &parties,
                        claims,
                        found: &found,
                        now,
                    };
                    compared.sentences(&|actor| self.actor_name(actor))
                }
                None => {
                    let state = appointment.as_ref().map_or("has no status", |one| {
                        if one.status.claims() {
                            "has no time"
                        } else {
                            one.status.code()
                        }
                    });
                    let told = claims.iter().map(|claim| {
                        format!(
                            "{name}: it is {state}, and still claims the time of {} {}; write it \
                             again as it is to free it",
                            self.actor_name(claim.actor),
                            during(claim.core)
                        )
                    });
                    told.collect()
                }
            };
            if !sentences.is_empty() {
                wrong.push((stored.head.id.clone(), sentences));
            }
        }
        Ok(wrong)
    }

    async fn wrong_slots(
        &self,
        page: &[Stored],
        claims: &HashMap<Number, Vec<Claim>>,
    ) -> Result<Vec<Wrong>, Error> {
        let base_url = &self.settings.base_url;
        let now = self.clock.now() / 1_000;
        let mut slots = Vec::with_capacity(page.len());
        let mut ranges = Vec::new();
        for stored in page {
            let doc = parse_stored(stored).ok();
            let read = doc.as_ref().and_then(|doc| {
                let slot = Slot::read(doc, base_url)?;
                Some((slot, is_marked(doc.root())))
            });
            let parties = match &read {
                Some((slot, _)) => self.slot_parties(slot, &[]).await?,
                None => Vec::new(),
            };
            if let Some((slot, _)) = &read {
                ranges.extend(parties.iter().map(|party| (party.number, slot.span)));
            }
            slots.push((stored, read, parties));
        }
        let mut times: HashMap<Number, Vec<Claim>> = HashMap::new();
        for claim in self.store.claims_in(&ranges).await? {
            times.entry(claim.actor).or_default().push(claim);
        }
        let mut wrong = Vec::new();
        for (stored, read, parties) in &slots {
            let name = format!("Slot/{}", stored.head.id);
            let claims = claims.get(&number(&name)).map_or(&[][..], Vec::as_slice);
            let Some((slot, is_marked)) = read else {
                let told = claims.iter().map(|claim| {
                    format!(
                        "{name}: it has no time or status, and still claims the time of {} {}; \
                         write it again with both",
                        self.actor_name(claim.actor),
                        during(claim.core)
                    )
                });
                let sentences: Vec<String> = told.collect();
                if !sentences.is_empty() {
                    wrong.push((stored.head.id.clone(), sentences));
                }
                continue;
            };
            let is_full = |counts: &dyn Fn(&Claim) -> bool| {
                parties.iter().any(|party| {
                    let of_actor = times.get(&party.number).into_iter().flatten();
                    has_no_seat(of_actor.filter(|claim| counts(claim)), slot.span)
                })
            };
            let mut sentences = Vec::new();
            let is_booked = *is_marked && slot.status == SlotStatus::Busy;
            if slot.status == SlotStatus::Free && is_full(&|claim| claim.is_live(now)) {
                sentences.push(format!(
                    "{name}: it is free, but {} is booked; write it again with status busy",
                    during(slot.span)
                ));
            }
            // A hold that is over makes it free for everybody, but is only tidied away later.
            if is_booked && !is_full(&|_| true) && !self.was_held(slot.span, now).await? {
                sentences.push(format!(
                    "{name}: it is busy because it was booked, but nothing is booked {}; write \
                     it again with status free",
                    during(slot.span)
                ));
            }
            sentences.extend(self.slot_claims(&name, slot, is_booked, parties, claims));
            if !sentences.is_empty() {
                wrong.push((stored.head.id.clone(), sentences));
            }
        }
        Ok(wrong)
    }

    /// Whether a Slot claims what it should.
    fn slot_claims(
        &self,
        name: &str,
        slot: &Slot,
        is_booked: bool,
        parties: &[Party],
        claims: &[Claim],
    ) -> Vec<String> {
        let advice = "write it again as it is";
        let wanted = claim_kind(slot.status, is_booked);
        let actors = match wanted {
            Some(kind) => claimants(kind, slot, parties),
            None => Vec::new(),
        };
        let schedule = slot.schedule.as_deref().unwrap_or_default();
        let name_of = |actor: Number| match number(schedule) == actor {
            true => schedule.to_owned(),
            false => self.actor_name(actor),
        };
        let mut sentences = Vec::new();
        let missing = actors
            .iter()
            .filter(|actor| !claims.iter().any(|claim| claim.actor == **actor));
        let mut missing: Vec<Number> = missing.copied().collect();
        for claim in claims {
            let of = name_of(claim.actor);
            let is_known = actors.contains(&claim.actor);
            let is_as_wanted = claim.core == slot.span && Some(claim.kind) == wanted;
            let what = if !is_known && is_as_wanted && !missing.is_empty() {
                let now = name_of(missing.remove(0));
                format!("it claims the time of {of}, but is {now}'s now")
            } else if !is_known {
                format!(
                    "it is {}, and claims the time of {of} {} all the same",
                    slot.status.code(),
                    during(claim.core)
                )
            } else if claim.core != slot.span {
                format!(
                    "it claims the time of {of} {}, but it is {}",
                    during(claim.core),
                    during(slot.span)
                )
            } else if Some(claim.kind) != wanted {
                format!(
                    "it claims the time of {of} as {}, but it is {}",
                    kind_name(claim.kind),
                    slot.status.code()
                )
            } else {
                continue;
            };
            sentences.push(format!("{name}: {what}; {advice}"));
        }
        sentences.extend(missing.into_iter().map(|actor| {
            format!(
                "{name}: it does not claim the time of {} {}; {advice}",
                name_of(actor),
                during(slot.span)
            )
        }));
        sentences
    }

    /// True if a pending Appointment whose hold is over overlaps this time.
    async fn was_held(&self, span: Span, now: i64) -> Result<bool, Error> {
        let query = format!(
            "status=pending&date=gt{}&date=lt{}",
            format_instant((span.start - DAY) * 1_000),
            format_instant(span.end * 1_000)
        );
        let found = self
            .find(ResourceType::APPOINTMENT, &query, PAGE, &ALL)
            .await?;
        Ok(found.hits.iter().any(|stored| {
            let read = parse_stored(stored).ok();
            let read = read.and_then(|doc| Appointment::read(&doc, &self.settings.base_url));
            read.is_some_and(|one| {
                let is_over = expiry(&one).is_some_and(|expires| expires <= now);
                is_over && one.span.is_some_and(|own| own.overlaps(span))
            })
        }))
    }

    /// Claims whose owner is not there.
    fn orphans(&self, claims: &[Claim]) -> Vec<String> {
        let mut by_owner: BTreeMap<Number, Vec<&Claim>> = BTreeMap::new();
        for claim in claims {
            by_owner.entry(claim.owner).or_default().push(claim);
        }
        let sentence = |(owner, claims): (Number, Vec<&Claim>)| {
            let what: Vec<String> = claims
                .iter()
                .map(|claim| format!("{} {}", self.actor_name(claim.actor), during(claim.core)))
                .collect();
            format!(
                "claims without an Appointment or Slot, or with one that is deleted (owner {}): \
                 {}; nothing can be booked there until the rows of this owner are removed from \
                 the table claim",
                owner.0,
                what.join(", ")
            )
        };
        by_owner.into_iter().map(sentence).collect()
    }

    /// Bookings that have the same seat at the same time.
    async fn double_bookings(&self, names: &mut Names) -> Result<Vec<Double>, Error> {
        let now = self.clock.now() / 1_000;
        let mut doubles = Vec::new();
        let mut after = None;
        loop {
            let actors = self.store.booked_actors(after, ACTORS).await?;
            let Some(last) = actors.last() else { break };
            after = Some(*last);
            let mut claims = self.store.claims_of(&actors, i64::MIN).await?;
            claims.retain(|claim| claim.kind == ClaimKind::Booking && claim.is_live(now));
            claims.sort_unstable_by_key(|claim| (claim.actor, claim.seat, claim.core));
            // Of those before, the one that ends last.
            let mut before: Option<Claim> = None;
            for claim in claims {
                let same = before.filter(|one| (one.actor, one.seat) == (claim.actor, claim.seat));
                if let Some(first) = same
                    && first.core.overlaps(claim.core)
                    && doubles.len() < TOLD
                {
                    for number in [first.owner, claim.owner, claim.actor] {
                        names.want(number);
                    }
                    names.is(claim.actor, &self.actor_name(claim.actor));
                    doubles.push(Double {
                        first,
                        second: claim,
                    });
                }
                before = match same {
                    Some(first) if first.core.end >= claim.core.end => Some(first),
                    _ => Some(claim),
                };
            }
        }
        Ok(doubles)
    }

    /// The name of an actor, as far as it is known.
    fn actor_name(&self, actor: Number) -> String {
        let state = self.board.read();
        let bookables = state.of_actor(actor).iter();
        let mut actors = bookables.flat_map(|bookable| &bookable.actors);
        let known = actors.find(|one| one.number == actor);
        known.map_or_else(
            || format!("actor {}", actor.0),
            |one| {
                let name = one.practitioner.as_ref().unwrap_or(&one.reference);
                name.clone()
            },
        )
    }
}

impl Double {
    fn sentence(&self, names: &Names) -> String {
        let (first, second) = (&self.first, &self.second);
        format!(
            "{} is booked twice: by {} {} and by {} {}; cancel or move one of the two",
            names.of(second.actor, "actor"),
            names.of(first.owner, "owner"),
            during(first.core),
            names.of(second.owner, "owner"),
            during(second.core)
        )
    }
}

/// An Appointment that should claim time, and what it claims.
struct Compared<'a> {
    name: &'a str,
    appointment: &'a Appointment,
    parties: &'a [Party],
    claims: &'a [Claim],
    found: &'a LookedUp,
    now: i64,
}

impl Compared<'_> {
    fn sentences(&self, actor_name: &dyn Fn(Number) -> String) -> Vec<String> {
        let name = self.name;
        let held = expiry(self.appointment);
        let is_over = held.is_some_and(|expires| expires <= self.now);
        let mut out = Vec::new();
        let mut missing: Vec<&Party> = Vec::new();
        for party in self.parties {
            let mut own = self
                .claims
                .iter()
                .filter(|claim| claim.actor == party.number);
            let Some(claim) = own.next() else {
                // What is over may be gone, and who lets patients overlap claims nothing of theirs.
                if !(is_over || party.is_patient && self.may_overlap()) {
                    missing.push(party);
                }
                continue;
            };
            let of = &party.name;
            if claim.kind != ClaimKind::Booking {
                out.push(format!(
                    "{name}: it claims the time of {of} as {}, and not as a booking; write it \
                     again as it is",
                    kind_name(claim.kind)
                ));
            }
            if claim.core != party.core {
                out.push(format!(
                    "{name}: it claims the time of {of} {}, but takes it {}; write it again as \
                     it is",
                    during(claim.core),
                    during(party.core)
                ));
            }
            if claim.expires != held {
                let until = |expires: Option<i64>| {
                    expires.map_or("for good".to_owned(), |at| {
                        format!("until {}", format_instant(at * 1_000))
                    })
                };
                out.push(format!(
                    "{name}: it claims the time of {of} {}, but says that it has it {}; write it \
                     again as it is",
                    until(claim.expires),
                    until(held)
                ));
            }
            if own.next().is_some() {
                out.push(format!(
                    "{name}: it claims the time of {of} more than once; write it again as it is"
                ));
            }
        }
        let is_known = |claim: &&Claim| {
            let mut parties = self.parties.iter();
            parties.any(|party| {
                party.number == claim.actor
                    || party.is_patient && holds_of(&party.name) == claim.actor
            })
        };
        let mut surplus: Vec<&Claim> = self
            .claims
            .iter()
            .filter(|claim| !is_known(claim))
            .collect();
        for party in missing {
            let core = during(party.core);
            let is_instead = |claim: &&Claim| claim.core == party.core;
            let role = self.role_of(party);
            let instead = role.zip(surplus.iter().position(is_instead));
            if let Some((role, at)) = instead {
                let old = surplus.remove(at);
                out.push(format!(
                    "{name}: {role} is {} now, but the time {core} is claimed of {}, who it was \
                     when this was booked; write it again as it is to take the time of whom it \
                     is now",
                    party.name,
                    actor_name(old.actor)
                ));
            } else {
                out.push(format!(
                    "{name}: it does not claim the time of {} {core}, so others can be booked \
                     then; write it again as it is",
                    party.name
                ));
            }
        }
        for claim in surplus {
            out.push(format!(
                "{name}: it claims the time of {} {}, who does not take part; write it again as \
                 it is",
                actor_name(claim.actor),
                during(claim.core)
            ));
        }
        out
    }

    fn may_overlap(&self) -> bool {
        let bookables = self.parties.iter().flat_map(|party| &party.bookables);
        let mut visits = bookables.flat_map(|bookable| &bookable.visits);
        visits.any(|visit| visit.patients_may_overlap)
    }

    /// The PractitionerRole as which a practitioner takes part.
    fn role_of(&self, party: &Party) -> Option<String> {
        let participants = self.appointment.participants.iter();
        let mut named = participants.filter_map(|one| one.reference.as_deref());
        let named = named
            .find(|reference| practitioner_of(reference, self.found).as_ref() == Some(&party.name));
        let actors = party.bookables.iter().flat_map(|one| &one.actors);
        let mut roles = actors.filter(|actor| actor.practitioner.as_ref() == Some(&party.name));
        let role = roles.next().map(|actor| actor.reference.as_str());
        named.or(role).map(str::to_owned)
    }
}

fn kind_name(kind: ClaimKind) -> &'static str {
    match kind {
        ClaimKind::Booking => "a booking",
        ClaimKind::Taken => "busy",
        ClaimKind::Blocked => "closed",
        ClaimKind::Opening => "an opening",
    }
}

fn during(span: Span) -> String {
    let at = |second: i64| format_instant(second.saturating_mul(1_000));
    format!("from {} to {}", at(span.start), at(span.end))
}
