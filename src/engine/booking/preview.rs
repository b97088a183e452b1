//! `Schedule/[id]/$preview`: which bookings would lie outside of the hours, if they were changed;
//! or do, since they were.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use resources::{
    Doc, Value,
    model::ResourceType,
    outcome::{Issue, Severity},
    primitive::format_instant,
};

use super::{
    BookingCall, Engine, Error, ErrorKind, asked::Asked, need::instant, number, parties::Party,
    refusal::schedule_number, rule::Rule,
};
use crate::{
    access::{Access, Right},
    audit::Code,
    engine::{
        audit::record::{Asked as Audited, operation_query},
        bundle_text::{BundleText, Mode},
        draft::parse,
        operation::Resource,
        permission::shown,
        submit::{check_structure, parse_stored, resource},
    },
    scheduling::{
        appointment::Appointment,
        bookable::Bookable,
        claim::{Claim, ClaimKind, Number},
        hours, rules,
        span::Span,
        status::Status,
    },
    store::Stored,
};

static ALL: Access =
    Access::system("which bookings a change of hours affects; who sees them is asked behind");

const APPOINTMENT: ResourceType = ResourceType::APPOINTMENT;
/// What hours follow from.
const CANDIDATES: [ResourceType; 4] = [
    ResourceType::SCHEDULE,
    ResourceType::PRACTITIONER_ROLE,
    ResourceType::HEALTHCARE_SERVICE,
    ResourceType::LOCATION,
];
/// Appointments in one answer.
const SHOWN: usize = 1_000;
/// Appointments that are looked up together.
const PAGE: usize = 500;
/// Seconds around an appointment in which the windows are looked for that it may lie in.
const AROUND: i64 = 2 * 86_400;

/// What is to be looked at.
struct Previewed {
    schedule: Stored,
    /// The Schedule with the hours to be.
    bookable: Arc<Bookable>,
    /// Whose time.
    actors: BTreeSet<Number>,
    /// References that Appointments name them by.
    names: BTreeSet<String>,
    during: Span,
    notes: Vec<Issue>,
}

/// What came of it.
#[derive(Default)]
struct Outside {
    /// What the caller may see, by start.
    shown: Vec<Resource>,
    /// How many the caller may not see.
    unseen: usize,
    /// How many are too many for one answer.
    more: usize,
}

impl Engine {
    /// The Appointments from now on that are outside of the hours of a Schedule, as the text of a
    /// searchset. With resources from which hours follow (Schedule, PractitionerRole,
    /// HealthcareService, Location; as parameters, or one as the body) they are taken as they are
    /// given, and nothing is written.
    ///
    /// # Errors
    /// There is no such Schedule; what is given is wrong ([`ErrorKind::Unprocessable`]).
    pub async fn preview_schedule(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<String, Error> {
        let id = call.id.clone().unwrap_or_default();
        let outside = self.outside(&id, call, access).await;
        let query = || operation_query(ResourceType::SCHEDULE, Some(&id), "preview", &call.pairs);
        let audited = Audited {
            code: Code::Operation,
            kind: Some(ResourceType::SCHEDULE),
            id: &id,
            query: Some(&query),
        };
        let seen = outside.as_ref().map(|(found, _)| found.shown.iter());
        self.record(access, audited, seen).await?;
        let (found, mut notes) = outside?;
        let mut note = |count: usize, text: &str| {
            if count > 0 {
                let mut issue = Issue::warning("informational", format!("{count} {text}"));
                issue.severity = Severity::Information;
                notes.push(issue);
            }
        };
        note(
            found.unseen,
            "more are outside of the hours that you may not see",
        );
        note(
            found.more,
            "more are outside of the hours; ask for them with start",
        );
        let base_url = &self.settings.base_url;
        let links = [("self", format!("{base_url}/Schedule/{id}/$preview"))];
        let room = found.shown.iter().map(|one| one.body.len() + 200).sum();
        let total = Some((found.shown.len() + found.more) as u64);
        let mut bundle = BundleText::new("searchset", &links, total, self.clock.now(), room);
        for one in &found.shown {
            let text = String::from_utf8_lossy(&one.body);
            bundle.hit(base_url, one, &text, Mode::Match);
        }
        if !notes.is_empty() {
            bundle.outcome(&notes);
        }
        Ok(bundle.finish())
    }

    async fn outside(
        &self,
        id: &str,
        call: &BookingCall,
        access: &Access,
    ) -> Result<(Outside, Vec<Issue>), Error> {
        self.permit(APPOINTMENT, &access.to(Right::Search))?;
        let previewed = self.previewed(id, call, access).await?;
        let affected = self.affected(&previewed).await?;
        let seen_by = access.to_any(shown());
        let mut outside = Outside::default();
        for some in affected.chunks(PAGE) {
            let keys: Vec<(ResourceType, &str)> = some
                .iter()
                .map(|(_, id)| (APPOINTMENT, id.as_str()))
                .collect();
            for stored in self.store.current(&keys, &seen_by).await? {
                match stored.filter(|stored| !stored.head.deleted) {
                    None => outside.unseen += 1,
                    Some(_) if outside.shown.len() >= SHOWN => outside.more += 1,
                    Some(stored) => outside.shown.push(resource(&stored)),
                }
            }
        }
        Ok((outside, previewed.notes))
    }

    async fn previewed(
        &self,
        id: &str,
        call: &BookingCall,
        access: &Access,
    ) -> Result<Previewed, Error> {
        let kind = ResourceType::SCHEDULE;
        self.permit(kind, &access.to(Right::Read))?;
        let stored = self.seen(kind, id, &access.to_any(shown())).await?;
        let stored = stored.ok_or_else(|| Error::not_found(kind, id))?;
        if stored.head.deleted {
            return Err(Error::gone(kind, id));
        }
        let given = candidates(call.body.as_ref())?;
        let is_parameters = |doc: &&Doc| doc.resource_type() == Some("Parameters");
        let parameters = call.body.as_ref().filter(is_parameters);
        let asked = Asked::read(&call.pairs, parameters, &self.settings.base_url)?;
        let now = self.clock.now() / 1_000;
        let zone = &self.settings.time_zone;
        let start = instant(&asked, "start", zone, false)?;
        let end = instant(&asked, "end", zone, true)?;
        let names: Vec<String> = given.keys().cloned().collect();
        self.update_board().await?;
        let (built, depends) = self.bookable_with(stored.clone(), given).await?;
        let bookable = built.map_err(|mut issues| {
            if issues.is_empty() {
                issues.push(Issue::error(
                    "business-rule",
                    "the Schedule cannot be booked",
                ));
            }
            Error::with(ErrorKind::Unprocessable, issues)
        })?;
        let own = format!("Schedule/{id}");
        let without_effect = names
            .iter()
            .filter(|name| **name != own && !depends.contains(*name));
        let notes = without_effect.map(|name| {
            Issue::warning(
                "informational",
                format!("{name} was given, but no hours of {own} follow from it"),
            )
        });
        let notes = notes.collect();
        let current = self.board.read().bookable(id).cloned();
        let all = current.iter().chain([&bookable]);
        let mut previewed = Previewed {
            schedule: stored,
            bookable: Arc::clone(&bookable),
            actors: BTreeSet::new(),
            names: BTreeSet::new(),
            during: Span::new(start.unwrap_or(now).max(now), end.unwrap_or(i64::MAX)),
            notes,
        };
        for actor in all.flat_map(|one| &one.actors) {
            previewed.actors.insert(actor.number);
            previewed.names.insert(actor.reference.clone());
            previewed.names.extend(actor.practitioner.clone());
        }
        Ok(previewed)
    }

    /// Starts and ids of the Appointments that are outside of the hours.
    async fn affected(&self, previewed: &Previewed) -> Result<Vec<(i64, String)>, Error> {
        let actors: Vec<Number> = previewed.actors.iter().copied().collect();
        let mut calendars = actors.clone();
        calendars.push(schedule_number(&previewed.schedule.head.id));
        self.load_calendars(&calendars).await?;
        let now = self.clock.now() / 1_000;
        let mut claims = self
            .store
            .claims_of(&actors, previewed.during.start)
            .await?;
        claims.retain(|claim| {
            claim.kind == ClaimKind::Booking
                && claim.is_live(now)
                && previewed.during.start <= claim.core.start
                && claim.core.start < previewed.during.end
        });
        let mut left = not_covered(&claims, &previewed.bookable);
        let mut affected = Vec::new();
        let names: Vec<&str> = previewed.names.iter().map(String::as_str).collect();
        if !left.is_empty() && !names.is_empty() {
            let query = format!(
                "status=booked,pending&date=ge{}&actor={}",
                format_instant(previewed.during.start * 1_000),
                names.join(",")
            );
            self.pick_affected(&query, previewed, &mut left, &mut affected)
                .await?;
        }
        // What names a Slot alone, or another role.
        let starts: BTreeSet<i64> = left.values().copied().collect();
        for start in starts {
            let at = |second: i64| format_instant(second * 1_000);
            let query = format!(
                "status=booked,pending&date=ge{}&date=lt{}",
                at(start),
                at(start + 1)
            );
            self.pick_affected(&query, previewed, &mut left, &mut affected)
                .await?;
        }
        affected.sort_unstable();
        Ok(affected)
    }

    /// Those of the owners that `query` finds and that are affected.
    async fn pick_affected(
        &self,
        query: &str,
        previewed: &Previewed,
        left: &mut BTreeMap<Number, i64>,
        affected: &mut Vec<(i64, String)>,
    ) -> Result<(), Error> {
        let found = self.find(APPOINTMENT, query, 1, &ALL).await?;
        if found.hits.is_empty() {
            return Ok(());
        }
        let mut position = None;
        while !left.is_empty()
            && let Some(page) = self
                .page_of(APPOINTMENT, &found.clause, &mut position)
                .await?
        {
            let mut read = Vec::new();
            for stored in &page {
                let owner = number(&format!("Appointment/{}", stored.head.id));
                if left.remove(&owner).is_none() {
                    continue;
                }
                let doc = parse_stored(stored)?;
                let one = Appointment::read(&doc, &self.settings.base_url);
                let one = one.filter(|one| matches!(one.status, Status::Booked | Status::Pending));
                if let Some((one, span)) = one.and_then(|one| one.span.map(|span| (one, span))) {
                    read.push((stored.head.id.clone(), one, span));
                }
            }
            let docs = self
                .named_by_all(read.iter().map(|(_, one, _)| one), &[])
                .await?;
            for (id, one, span) in read {
                let (slots, mut parties) = self.whose(&one, span, &docs);
                let state = self.board.read();
                let is_outside = parties.iter_mut().any(|party| {
                    previewed.replaces(party)
                        && Rule::of(party, &one, &slots, &state).is_outside(party)
                });
                if is_outside {
                    affected.push((span.start, id));
                }
            }
        }
        Ok(())
    }
}

impl Previewed {
    /// Puts the hours to be in place of those that are; false if they are none of the party's.
    fn replaces(&self, party: &mut Party) -> bool {
        if party.is_patient || !self.actors.contains(&party.number) {
            return false;
        }
        let mut own = party.bookables.iter_mut();
        match own.find(|one| one.id == self.bookable.id) {
            Some(one) => {
                *one = Arc::clone(&self.bookable);
                true
            }
            None => false,
        }
    }
}

/// The owners of claims that are not covered by the hours, and when they start.
fn not_covered(claims: &[Claim], bookable: &Bookable) -> BTreeMap<Number, i64> {
    let start = claims.iter().map(|claim| claim.core.start).min();
    let end = claims.iter().map(|claim| claim.core.end).max();
    let windows = match (start, end) {
        (Some(start), Some(end)) if !bookable.visits.is_empty() => {
            hours::open(bookable, Span::new(start, end).padded(AROUND, AROUND))
        }
        _ => Vec::new(),
    };
    let outside = claims
        .iter()
        .filter(|claim| !hours::covers(&windows, claim.core));
    outside
        .map(|claim| (claim.owner, claim.core.start))
        .collect()
}

/// The resources that came with a call, by `Type/id`.
fn candidates(body: Option<&Doc>) -> Result<HashMap<String, Arc<Doc>>, Error> {
    let Some(body) = body else {
        return Ok(HashMap::new());
    };
    let root = body.root();
    let given: Vec<Value<'_>> = if body.resource_type() == Some("Parameters") {
        let parameters = root.get("parameter");
        let parameters = parameters.iter().flat_map(Value::items);
        parameters.filter_map(|one| one.get("resource")).collect()
    } else {
        vec![root]
    };
    let mut found = HashMap::new();
    let mut names = HashSet::new();
    for value in given {
        let doc = parse(value.raw().to_owned())?;
        let kind = doc.resource_type().and_then(ResourceType::from_name);
        let Some(kind) = kind.filter(|kind| CANDIDATES.contains(kind)) else {
            return Err(Error::invalid(format!(
                "hours follow from Schedule, PractitionerRole, HealthcareService and Location, and \
                 not from {}",
                doc.resource_type().unwrap_or("what has no resourceType")
            )));
        };
        let id = doc.root().get("id").and_then(|id| id.as_str());
        let Some(id) = id.map(|id| id.into_owned()) else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "required",
                format!("the {kind} needs its id: it is taken in place of the one that is stored"),
            ));
        };
        check_structure(&doc)?;
        let issues = rules::check(&doc);
        if issues.iter().any(|issue| issue.severity >= Severity::Error) {
            return Err(Error::with(ErrorKind::Unprocessable, issues));
        }
        let name = format!("{kind}/{id}");
        if !names.insert(name.clone()) {
            return Err(Error::invalid(format!("{name} is given twice")));
        }
        found.insert(name, Arc::new(doc));
    }
    Ok(found)
}
