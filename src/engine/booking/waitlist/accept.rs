//! `$accept-offer` and `$decline-offer`: the first who accepts has the time.

use resources::{
    Doc, Value,
    outcome::{Issue, Severity},
};

use super::{
    super::{
        APPOINTMENT, BookingCall, BookingReply, Engine, Error, ErrorKind,
        asked::{Asked, Named},
        book::Work,
        edits::{book, expect_status, instance, reason, request},
        members::Members,
        meters,
        once::Once,
        written::Written,
    },
    offer::{ALL, End, Offer, TASK},
};
use crate::{
    access::{Access, Right},
    engine::{
        draft::{Verb, parse},
        permission::{Subject, kept},
        planner::Newest,
        submit::parse_stored,
    },
    scheduling::{appointment::Appointment, status::Status},
    store::Stored,
};

/// What an Appointment gets of the round's.
const OF_THE_TIME: [&str; 4] = ["start", "end", "minutesDuration", "slot"];
/// What it gets if the kind of visit says it.
const OF_THE_VISIT: [&str; 3] = ["serviceType", "specialty", "appointmentType"];

/// An offer that is to be answered.
struct Answered {
    /// The Appointment that waits.
    entry: Stored,
    doc: Doc,
    /// The offer.
    task: Stored,
    offer: Offer,
}

impl Engine {
    /// `Appointment/[id]/$accept-offer`: the Appointment that waits is booked at the time that was
    /// offered, if nobody was faster.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if somebody was, or the offer is over.
    pub async fn accept_offer(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let reply = self.carried_out(call, Work::Accept, access).await;
        self.waitlist.wake();
        reply
    }

    /// `Appointment/[id]/$decline-offer`: the Appointment goes on waiting.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if the offer is over.
    pub async fn decline_offer(
        &self,
        call: &BookingCall,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let reply = self.carried_out(call, Work::Decline, access).await;
        self.waitlist.wake();
        reply
    }

    pub(in crate::engine::booking) async fn accept(
        &self,
        (asked, call): (&Asked, &BookingCall),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let answered = self.answered(asked, call, access).await?;
        self.expect_open(&answered, access).await?;
        // Of those who accept on this node one goes after the other: who is late costs a look.
        let turn = self.waitlist.turn(&answered.offer.round);
        let _turn = turn.lock().await;
        let answered = self.answered(asked, call, access).await?;
        self.expect_open(&answered, access).await?;
        let Answered {
            entry,
            doc,
            task,
            offer,
        } = &answered;
        expect_status(doc, &[Status::Waitlist], "booked by an offer")?;
        let now = self.clock.now() / 1_000;
        let round = self.any_appointment(&offer.round).await?;
        let held = round.filter(|(_, _, round)| round.status == Status::Pending);
        let Some((round, held, held_read)) = held else {
            return Err(self.over("offer-taken", &answered, access).await);
        };
        if held_read.hold_expires.is_some_and(|expires| expires <= now) {
            return Err(self.over("offer-expired", &answered, access).await);
        }
        let mut members = self.at_the_time(doc, &held)?;
        let booked = parse(members.text())?;
        match self.needs_approval(&held_read).await? {
            true => request(&booked, &mut members),
            false => book(&booked, &mut members),
        }
        if let Some(comment) = asked.text("comment") {
            members.set_text("comment", comment);
        }
        let mut writes = vec![Written::of(entry, &members)?];
        self.check_own_write(entry, &writes[0], access).await?;
        if let Some(replaced) = self.given_up(&answered, &held_read, asked, access).await? {
            writes.push(replaced);
        }
        let answers = writes.len();
        writes.push(self.ended(task, "completed", None)?);
        writes.push(Self::freed(&round, &held, End::Accepted)?.silent());
        let others = format!("based-on=Appointment/{}", offer.round);
        let taken = r#"{"text":"Somebody else was faster."}"#;
        for (other, _) in self.open_offers(&others).await? {
            if other.head.id != task.head.id {
                writes.push(self.ended(&other, "cancelled", Some(taken))?.silent());
            }
        }
        let own = format!("focus=Appointment/{}", entry.head.id);
        let booked = r#"{"text":"Another offer was accepted."}"#;
        for (other, own) in self.open_offers(&own).await? {
            if own.round != offer.round {
                writes.push(self.ended(&other, "cancelled", Some(booked))?);
            }
        }
        let once = once.map(|once| once.answering(answers));
        let done = self.write_all(writes, once, &in_its_name(access)).await;
        let mut done = match done {
            // The time is held for this round, so it is the round that is over.
            Err(error) if is_taken(&error) => {
                return Err(self.over("offer-taken", &answered, access).await);
            }
            done => done?,
        };
        done.truncate(answers);
        meters::offers("accepted", 1);
        Ok(self.replied(done))
    }

    pub(in crate::engine::booking) async fn decline(
        &self,
        (asked, call): (&Asked, &BookingCall),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let answered = self.answered(asked, call, access).await?;
        self.expect_open(&answered, access).await?;
        let entry = Written::of(&answered.entry, &Members::of(&answered.doc))?;
        self.check_own_write(&answered.entry, &entry, access)
            .await?;
        let why = reason(asked);
        let declined = self.ended(&answered.task, "rejected", why.as_deref())?;
        let access = in_its_name(access);
        let done = self.write_all(vec![declined], once, &access).await?;
        meters::offers("declined", 1);
        Ok(self.replied(done))
    }

    /// The Appointment that waits, and the offer that is meant: the only open one, if none is
    /// named.
    async fn answered(
        &self,
        asked: &Asked,
        call: &BookingCall,
        access: &Access,
    ) -> Result<Answered, Error> {
        let id = instance(asked, call)?;
        let (entry, doc) = self.changeable(&id, access).await?;
        let named = asked.named("offer", "Task")?.into_iter().next();
        let task = match named {
            Some(Named::Local(reference)) if reference.starts_with("Task/") => {
                reference.trim_start_matches("Task/").to_owned()
            }
            Some(_) => {
                return Err(Error::invalid(
                    "offer must name a Task of this server: Task/1",
                ));
            }
            None => {
                let mut all = self.offers(&format!("focus=Appointment/{id}")).await?;
                let open = all.iter().filter(|(_, offer)| offer.is_open());
                if open.count() > 1 {
                    let text = "there are several offers; say which: offer=Task/1";
                    return Err(Error::new(ErrorKind::Invalid, "required", text));
                }
                // If none is open, what became of the last one is told.
                all.sort_by_key(|(task, offer)| (offer.is_open(), task.head.rid));
                let last = all.pop().ok_or_else(|| {
                    let text = format!("nothing is offered to Appointment/{id}");
                    let issue = Issue::error("conflict", text).because("no-offer");
                    Error::with(ErrorKind::Conflict, vec![issue])
                })?;
                last.0.head.id
            }
        };
        let found = self.store.current(&[(TASK, task.as_str())], &ALL).await?;
        let stored = found.into_iter().flatten().next();
        let stored = stored.filter(|stored| !stored.head.deleted);
        let read = stored.and_then(|stored| {
            let offer = Offer::read(&parse_stored(&stored).ok()?)?;
            Some((stored, offer))
        });
        // That it is somebody else's and that there is none is the same.
        let own = read.filter(|(_, offer)| offer.entry == id);
        let (task, offer) = own.ok_or_else(|| Error::not_found(TASK, &task))?;
        Ok(Answered {
            entry,
            doc,
            task,
            offer,
        })
    }

    async fn expect_open(&self, answered: &Answered, access: &Access) -> Result<(), Error> {
        let code = match answered.offer.status.as_str() {
            "requested" => return Ok(()),
            "cancelled" => "offer-taken",
            "failed" => "offer-expired",
            _ => "offer-answered",
        };
        Err(self.over(code, answered, access).await)
    }

    /// The refusal of an offer that is over, with the next times that fit.
    async fn over(&self, code: &'static str, answered: &Answered, access: &Access) -> Error {
        let (kind, text) = match code {
            "offer-taken" => ("conflict", "somebody else was faster; you go on waiting"),
            "offer-expired" => ("expired", "the offer is over; you go on waiting"),
            _ => ("conflict", "the offer has been answered"),
        };
        let mut issues = vec![Issue::error(kind, text).because(code)];
        if code != "offer-answered" {
            match self.others_that_fit(answered, access).await {
                Ok(others) => issues.extend(others),
                Err(error) => tracing::debug!(%error, "no alternatives are told"),
            }
        }
        Error::with(ErrorKind::Conflict, issues)
    }

    async fn others_that_fit(
        &self,
        answered: &Answered,
        access: &Access,
    ) -> Result<Vec<Issue>, Error> {
        let id = &answered.entry.head.id;
        let Some(mut entry) = self.entry(id, &answered.doc, 0)? else {
            return Ok(Vec::new());
        };
        self.within_sight(&mut entry.wanted, access).await?;
        let issues = self.alternatives(entry.wanted).await?;
        debug_assert!(issues.iter().all(|it| it.severity == Severity::Information));
        Ok(issues)
    }

    /// The Appointment at the time that a round holds, with those whose time it is in place of
    /// those who were asked for.
    fn at_the_time(&self, doc: &Doc, held: &Doc) -> Result<Members, Error> {
        let base_url = &self.settings.base_url;
        let mut members = Members::of(doc);
        let of_round = Members::of(held);
        for name in OF_THE_TIME {
            match of_round.get(name) {
                Some(json) => members.set(name, json),
                None => members.remove(name),
            };
        }
        for name in OF_THE_VISIT {
            let keeps = name == "specialty" && members.get(name).is_some();
            if let Some(json) = of_round.get(name).filter(|_| !keeps) {
                members.set(name, json);
            }
        }
        let read = Appointment::read(doc, base_url);
        let read = read.iter().flat_map(|one| &one.participants);
        let own = doc.root().get("participant");
        let own = own.iter().flat_map(Value::items).zip(read);
        let comes_along =
            |kind: Option<&str>| matches!(kind, None | Some("Patient" | "RelatedPerson"));
        let own = own.filter(|(_, one)| comes_along(one.kind.as_deref()));
        let mut all: Vec<&str> = own.map(|(raw, _)| raw.raw()).collect();
        let theirs = held.root().get("participant");
        all.extend(theirs.iter().flat_map(Value::items).map(|one| one.raw()));
        members.set("participant", format!("[{}]", all.join(",")));
        Ok(members)
    }

    /// The Appointment that is given up for an earlier one, cancelled.
    async fn given_up(
        &self,
        answered: &Answered,
        held: &Appointment,
        asked: &Asked,
        access: &Access,
    ) -> Result<Option<Written>, Error> {
        let base_url = &self.settings.base_url;
        let zone = &self.settings.time_zone;
        let waiting = crate::scheduling::waitlist::Waiting::read(&answered.doc, base_url, zone);
        let replaced = waiting.replaces.as_deref();
        let Some(id) = replaced.and_then(|it| it.strip_prefix("Appointment/")) else {
            return Ok(None);
        };
        let Some((stored, _, replaced)) = self.any_appointment(id).await? else {
            return Ok(None);
        };
        let own = Appointment::read(&answered.doc, base_url);
        let patients: Vec<&str> = own.iter().flat_map(Appointment::patients).collect();
        let is_theirs = patients
            .iter()
            .all(|one| replaced.patients().any(|it| it == *one));
        let is_ahead = matches!(replaced.status, Status::Booked | Status::Pending);
        let is_later = || {
            let start = |one: &Appointment| one.span.map(|span| span.start);
            start(held) < start(&replaced)
        };
        if !is_theirs || !is_ahead || !is_later() {
            return Ok(None);
        }
        let asked = asked.without(&["reason"]);
        let written = self.cancelled(id, &asked, access).await?;
        self.check_own_write(&stored, &written, access).await?;
        Ok(Some(written))
    }

    /// Refuses what the caller could not write: the commit itself is made in the server's name,
    /// since it ends what is offered to others.
    async fn check_own_write(
        &self,
        stored: &Stored,
        written: &Written,
        access: &Access,
    ) -> Result<(), Error> {
        let access = &access.to(Right::Update);
        let id = stored.head.id.as_str();
        match self.newest(stored.clone(), Verb::Update, access).await? {
            Newest::Seen(_) => {}
            Newest::Kept => return Err(kept(APPOINTMENT, id, Verb::Update)),
            Newest::Missing | Newest::Hidden => return Err(Error::not_found(APPOINTMENT, id)),
        }
        let subject = Subject {
            kind: APPOINTMENT,
            id,
            updated: stored.head.updated,
            doc: written.doc(),
        };
        let known = self.known(subject, access, true).await?;
        match self.allows(subject, &known, access, true) {
            true => Ok(()),
            false => Err(kept(APPOINTMENT, id, Verb::Update)),
        }
    }
}

fn is_taken(error: &Error) -> bool {
    let detail = error.issues.first().and_then(|issue| issue.detail.as_ref());
    detail.is_some_and(|detail| detail.code == "slot-taken")
}

/// The server's own right, in the name of whoever asks.
fn in_its_name(access: &Access) -> Access {
    match access.caller() {
        Some(caller) => ALL.clone().by(caller.clone()),
        None => ALL.clone(),
    }
}
