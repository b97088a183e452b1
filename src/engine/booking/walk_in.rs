//! Somebody is at the desk without an appointment: one of the type WALKIN, from now on.

use std::sync::Arc;

use super::{
    BookingCall, BookingReply, Engine, Error,
    asked::Asked,
    assign::{TRIES, is_lost},
    edits::{add_patients, overbook},
    members::Members,
    need::Wanted,
    once::Once,
    proposed::{Proposed, ProposedPart, Stage},
    refusal::schedule_number,
    rule::against_rule,
    written::Written,
};
use crate::{
    access::{Access, Right},
    engine::draft::parse,
    scheduling::{
        bookable::Bookable,
        calendar::{Calendars, SlotState},
        hours,
        span::Span,
    },
};

/// `Appointment.appointmentType`
const WALK_IN: &str = r#"{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0276","code":"WALKIN","display":"A previously unscheduled walk-in visit"}]}"#;
/// Seconds around an Appointment in which the windows are looked for that it may lie in.
const AROUND: i64 = 2 * 86_400;

/// A Schedule that is open now.
struct Open {
    bookable: Arc<Bookable>,
    visit: usize,
    span: Span,
    is_free: bool,
}

impl Engine {
    /// Books the first that fits, is open and has time now; if nobody has, one that may be booked
    /// over, unless `overbook=false`.
    pub(super) async fn walk_in(
        &self,
        asked: &Asked,
        call: &BookingCall,
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let status = match asked.text("status") {
            None => "booked",
            Some(status @ ("booked" | "arrived" | "checked-in")) => status,
            Some(other) => {
                return Err(Error::invalid(format!(
                    "the status of a walk-in must be booked, arrived or checked-in, and not '{other}'"
                )));
            }
        };
        let now = self.clock.now() / 1_000;
        let mut wanted = Wanted::read(asked, now, &self.settings.time_zone, call.strict)?;
        if !wanted.need.roles.is_empty() {
            return Err(Error::invalid(
                "a walk-in is with one Schedule; leave role out",
            ));
        }
        self.permit(super::APPOINTMENT, &access.to(Right::Create))?;
        self.within_sight(&mut wanted, access).await?;
        let mut patients = wanted.patients.clone();
        add_patients(asked, &mut patients)?;
        let open = self.open_now(&wanted, now).await?;
        let may_overbook = asked.text("overbook") != Some("false");
        let mut lost = None;
        let (free, full): (Vec<Open>, Vec<Open>) = open.into_iter().partition(|one| one.is_free);
        let over = full.iter().chain(&free).filter(|one| {
            let visit = &one.bookable.visits[one.visit];
            may_overbook && visit.overbook > 0
        });
        let tries = free.iter().map(|one| (one, false));
        let tries = tries.chain(over.map(|one| (one, true)));
        for (one, is_over) in tries.take(TRIES) {
            let proposed = Proposed {
                span: one.span,
                parts: vec![ProposedPart {
                    bookable: Arc::clone(&one.bookable),
                    visit: Some(one.visit),
                    span: one.span,
                }],
                patients: patients.clone(),
            };
            let text = proposed.text(None, Stage::Booked, asked.text("comment"));
            let mut members = Members::of(&parse(text)?);
            // It begins when somebody comes, and not where a Slot does.
            members.remove("slot").remove("requestedPeriod");
            members.set_text("status", status);
            members.set("appointmentType", WALK_IN);
            if is_over {
                overbook(&mut members)?;
            }
            let written = Written::new(parse(members.text())?);
            match self.write_all(vec![written], once.clone(), access).await {
                Err(error) if is_lost(&error) => lost = lost.or(Some(error)),
                done => return Ok(self.replied(done?)),
            }
        }
        match lost {
            Some(error) => Err(error),
            None if full.is_empty() && free.is_empty() => {
                Err(against_rule("outside-hours", "nobody who fits is open now"))
            }
            None => Err(self.nothing_free(wanted).await?),
        }
    }

    /// What fits and is open from now on for as long as it takes.
    async fn open_now(&self, wanted: &Wanted, now: i64) -> Result<Vec<Open>, Error> {
        self.update_board().await?;
        let bookables = Arc::clone(self.board.read().bookables());
        let start = now - now.rem_euclid(60);
        let mut open = Vec::new();
        for bookable in bookables.iter() {
            let fits = wanted.need.filter.fits(bookable, wanted.need.duration);
            let Some(visit) = fits.first().and_then(|fit| fit.visit) else {
                continue;
            };
            let length = wanted.need.duration;
            let length = length.unwrap_or(bookable.visits[visit].duration);
            let span = Span::new(start, start + length);
            let is_planned = (bookable.planning).is_none_or(|planning| planning.contains(span));
            let windows = hours::open(bookable, span.padded(AROUND, AROUND));
            if is_planned && hours::covers(&windows, span) {
                open.push(Open {
                    bookable: Arc::clone(bookable),
                    visit,
                    span,
                    is_free: false,
                });
            }
        }
        let actors = open.iter().flat_map(|one| &one.bookable.actors);
        let mut actors: Vec<_> = actors.map(|actor| actor.number).collect();
        actors.extend(open.iter().map(|one| schedule_number(&one.bookable.id)));
        self.load_calendars(&actors).await?;
        let state = self.board.read();
        for one in &mut open {
            let visit = &one.bookable.visits[one.visit];
            one.is_free = one.bookable.actors.iter().all(|actor| {
                let calendar = state.of(actor.number);
                calendar.is_none_or(|calendar| {
                    calendar.state(one.span, visit, now, &[]) == SlotState::Free
                })
            });
        }
        Ok(open)
    }
}
