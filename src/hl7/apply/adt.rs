//! ADT: what each event does.

use mllp::Segment;
use resources::{model::ResourceType, primitive::format_instant};
use serde_json::{Value as Json, json};

use super::{
    Lost,
    snapshot::list,
    time::date_time,
    visit::{
        Course::{self, Back, Becomes, Ends, Goes},
        Reversed,
    },
    work::{Work, content, kind_of},
};

/// What an event does beside telling how things are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Something with the visit.
    Visit(Course),
    /// The class of the visit changes, and perhaps its number (MRG-5).
    Class(Course),
    /// Nothing else.
    Told,
    /// The visit never was.
    NoVisit,
    /// The person never was.
    NoPerson,
    /// The person is back, or new.
    Person,
    /// The state of a bed (NPU).
    Bed,
    /// Patients are one (MRG).
    MergePatients,
    /// Accounts are one.
    MergeAccounts,
    /// Patients and accounts are one.
    MergeBoth,
    /// Visits are one.
    MergeVisits,
    /// Identifiers move to another patient.
    MoveIdentifiers,
    /// An account moves to another patient.
    MoveAccount,
    /// A visit moves to another patient.
    MoveVisit,
    /// A patient's identifiers are others now.
    RenamePatient,
    /// An account's number is another now.
    RenameAccount,
    /// A visit's number is another now.
    RenameVisit,
    /// Two records are of one person, or have to do with each other.
    Link,
    /// They have not.
    Unlink,
}

use Event::{
    Bed, Class, Link, MergeAccounts, MergeBoth, MergePatients, MergeVisits, MoveAccount,
    MoveIdentifiers, MoveVisit, NoPerson, NoVisit, Person, RenameAccount, RenamePatient,
    RenameVisit, Told, Unlink, Visit,
};

/// What each event does (HL7 v2, chapter 3).
const EVENTS: &[(&str, Event)] = &[
    ("A01", Visit(Becomes("in-progress"))), // admit
    ("A02", Visit(Goes)),                   // transfer
    ("A03", Visit(Ends)),                   // discharge
    ("A04", Visit(Becomes("in-progress"))), // register
    ("A05", Visit(Becomes("planned"))),     // pre-admit
    ("A06", Class(Becomes("in-progress"))), // an outpatient becomes an inpatient
    ("A07", Class(Becomes("in-progress"))), // an inpatient becomes an outpatient
    ("A08", Visit(Goes)),                   // update
    ("A09", Visit(Goes)),                   // departing
    ("A10", Visit(Goes)),                   // arriving
    ("A11", Visit(Back(Reversed::Admit))),
    ("A12", Visit(Back(Reversed::Transfer))),
    ("A13", Visit(Back(Reversed::Discharge))),
    ("A14", Visit(Becomes("planned"))), // pending admit
    ("A15", Visit(Goes)),               // pending transfer
    ("A16", Visit(Goes)),               // pending discharge
    ("A17", Visit(Goes)),               // swap of beds: two patients, each with a visit
    ("A18", MergePatients),
    ("A20", Bed),
    ("A21", Visit(Becomes("onleave"))),     // leave of absence
    ("A22", Visit(Becomes("in-progress"))), // back from it
    ("A23", NoVisit),
    ("A24", Link),
    ("A25", Visit(Back(Reversed::PlannedDischarge))),
    ("A26", Visit(Back(Reversed::PlannedTransfer))),
    ("A27", Visit(Back(Reversed::Plan))), // cancel pending admit
    ("A28", Person),
    ("A29", NoPerson),
    ("A30", MergePatients),
    ("A31", Person),
    ("A32", Visit(Back(Reversed::Tracking))), // cancel arriving
    ("A33", Visit(Back(Reversed::Tracking))), // cancel departing
    ("A34", MergePatients),
    ("A35", MergeAccounts),
    ("A36", MergeBoth),
    ("A37", Unlink),
    ("A38", Visit(Back(Reversed::Plan))), // cancel pre-admit
    ("A39", MergePatients),
    ("A40", MergePatients),
    ("A41", MergeAccounts),
    ("A42", MergeVisits),
    ("A43", MoveIdentifiers),
    ("A44", MoveAccount),
    ("A45", MoveVisit),
    ("A46", RenamePatient),
    ("A47", RenamePatient),
    ("A48", RenamePatient),
    ("A49", RenameAccount),
    ("A50", RenameVisit),
    ("A51", RenameVisit),
    ("A52", Visit(Back(Reversed::Leave))),
    ("A53", Visit(Back(Reversed::Return))),
    ("A54", Visit(Goes)), // another attending doctor
    ("A55", Visit(Back(Reversed::Doctors))),
    ("A60", Told),        // allergies
    ("A61", Visit(Goes)), // another consulting doctor
    ("A62", Visit(Back(Reversed::Doctors))),
];

/// What an event does; `None` if it is no event of ADT.
pub fn event(name: &str) -> Option<Event> {
    let mut events = EVENTS.iter();
    events
        .find(|(own, _)| *own == name)
        .map(|(_, event)| *event)
}

impl Work<'_> {
    /// Carries out an ADT message.
    pub async fn admission(&mut self) -> Result<(), Lost> {
        let event = match self.header.code.as_str() {
            "ADT" => event(&self.event()).unwrap_or(Told),
            // BAR: what is told of accounts.
            _ => Told,
        };
        self.leave_out_mergers();
        self.leave_out_no_visits();
        if event == Bed {
            return self.bed().await;
        }
        let when = self.when();
        self.look_up_patients().await?;
        match event {
            MergePatients => self.merge_patients().await?,
            MergeBoth => {
                self.merge_patients().await?;
                self.merge_accounts().await?;
            }
            MergeAccounts => self.merge_accounts().await?,
            MoveIdentifiers => self.move_identifiers().await?,
            MoveAccount => self.move_account().await?,
            MoveVisit => self.move_visit().await?,
            RenamePatient => self.rename_patient().await?,
            RenameAccount => self.rename(kind_of("Account")).await?,
            RenameVisit | Class(_) => self.rename(ResourceType::ENCOUNTER).await?,
            _ => {}
        }
        self.look_up().await?;
        match event {
            MergeVisits => self.merge_visits().await?,
            Link => self.link(true),
            Unlink => self.link(false),
            _ => {}
        }
        let course = match event {
            Visit(course) | Class(course) => course,
            _ => Goes,
        };
        for at in self.of(ResourceType::ENCOUNTER) {
            if let Class(_) = event {
                self.note_class(at, &when);
            }
            self.course(at, course, &when).await?;
            if event == NoVisit {
                let root = self.root(at);
                self.items[root]
                    .content
                    .set("status", json!("entered-in-error"));
            }
        }
        self.keep_telecoms();
        self.lay_all();
        match event {
            NoPerson => self.activate(false),
            Person => self.activate(true),
            _ => {}
        }
        Ok(())
    }

    /// When it happened: EVN-6, else EVN-2, else MSH-7, else when it was received.
    pub fn when(&self) -> String {
        let evn = self.message.first("EVN");
        let msh = Some(self.message.msh());
        let zone = &self.context.channel.zone;
        let at = |segment: Option<Segment<'_>>, field: usize| {
            let text = date_time(segment?.field(field), zone)?;
            // Only a time of day has an offset.
            text.contains('T').then_some(text)
        };
        at(evn, 6)
            .or_else(|| at(evn, 2))
            .or_else(|| at(msh, 7))
            .unwrap_or_else(|| format_instant(self.context.received))
    }

    /// What the mapping makes of MRG is looked up here, not there.
    fn leave_out_mergers(&mut self) {
        for item in &mut self.items {
            let segment = item.segment.and_then(|at| self.message.segment(at));
            if segment.is_some_and(|segment| segment.name() == "MRG") {
                item.is_left_out = true;
            }
        }
    }

    /// PV1 without a visit: class N, and no number.
    pub fn leave_out_no_visits(&mut self) {
        for item in &mut self.items {
            if item.kind != ResourceType::ENCOUNTER {
                continue;
            }
            let segment = item.segment.and_then(|at| self.message.segment(at));
            if let Some(segment) = segment.filter(|segment| segment.name() == "PV1") {
                let class = segment.field(2).text();
                let is_none = class == "N" || class.is_empty() && segment.fields() <= 2;
                if is_none && !segment.field(19).is_valued() {
                    item.is_left_out = true;
                }
            }
        }
    }

    fn activate(&mut self, is_active: bool) {
        for at in self.of(ResourceType::PATIENT) {
            let at = self.root(at);
            let content = &mut self.items[at].content;
            let is_inactive = content.get("active") == Some(json!(false));
            let is_replaced = content
                .list("link")
                .iter()
                .any(|link| link.get("type") == Some(&json!("replaced-by")));
            if !is_active || is_inactive && !is_replaced {
                content.set("active", json!(is_active));
            }
        }
    }

    /// PID-13 and PID-14 both come to `telecom`: the one that is empty leaves its part.
    fn keep_telecoms(&mut self) {
        for at in self.of(ResourceType::PATIENT) {
            let root = self.root(at);
            let pid = self.items[at]
                .segment
                .and_then(|at| self.message.segment(at));
            let Some(pid) = pid.filter(|pid| pid.name() == "PID") else {
                continue;
            };
            let (home, work) = (pid.field(13).is_empty(), pid.field(14).is_empty());
            if home && work {
                continue;
            }
            let is_work = |one: &Json| one.get("use") == Some(&json!("work"));
            let before = self.items[root].content.list("telecom");
            let kept = before.into_iter().filter(|one| match is_work(one) {
                true => work,
                false => home,
            });
            let kept: Vec<Json> = kept.collect();
            if kept.is_empty() {
                continue;
            }
            let mut all = self.items[at]
                .made
                .get("telecom")
                .map(list)
                .unwrap_or_default();
            all.extend(kept);
            all.sort_by_key(|one| is_work(one));
            self.items[at].made["telecom"] = Json::Array(all);
        }
    }

    /// A20: NPU says in which state a bed is.
    async fn bed(&mut self) -> Result<(), Lost> {
        let Some(npu) = self.message.first("NPU") else {
            return Err(content(
                "NPU",
                "100",
                "the segment with the state of the bed is missing",
            ));
        };
        let status = npu.field(2).text().into_owned();
        // The place itself comes of the mapping of PL, as if a visit were in it.
        let Some(at) = self.map_place(npu.field(1).raw()) else {
            return Err(content("NPU-1", "101", "the bed is not named"));
        };
        self.identify_registry().await?;
        self.lay_all();
        let at = self.root(at);
        self.items[at].content.set(
            "operationalStatus",
            json!({"system": "http://terminology.hl7.org/CodeSystem/v2-0116", "code": status}),
        );
        Ok(())
    }
}
