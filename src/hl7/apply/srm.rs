//! SRM: an appointment is asked for. It is done by the rules that bind everybody, and can lose.

use mllp::ack::{Code, Problem};
use serde_json::json;

use super::{
    Applied, Failure, Lost, Record,
    siu::{APPOINTMENT, Act, dtm, event as told_by},
    work::{Work, content},
};
use crate::engine::Error;

/// What SRM asks for: the same as an SIU event, and the answer's event.
const REQUESTS: &[(&str, &str)] = &[
    ("S01", "S12"), // book
    ("S02", "S13"), // move
    ("S03", "S14"), // change
    ("S04", "S15"), // cancel
    ("S05", "S16"), // discontinue
    ("S06", "S17"), // delete
    ("S07", "S18"),
    ("S08", "S19"),
    ("S09", "S20"),
    ("S10", "S21"),
    ("S11", "S22"),
];

/// True if an SRM of this event is taken.
pub fn is_request(event: &str) -> bool {
    REQUESTS.iter().any(|(own, _)| *own == event)
}

impl Work<'_> {
    /// SRM: done by the rules that bind everybody, and answered with SRR.
    pub async fn request(&mut self, record: Record<'_>) -> Result<Applied, Lost> {
        let event = self.event();
        let told = REQUESTS
            .iter()
            .find(|(own, _)| *own == event)
            .map(|(_, told)| *told);
        let act = told.and_then(told_by).unwrap_or(Act::Told);
        self.only_fill(&[
            "Patient",
            "Encounter",
            "Account",
            "ServiceRequest",
            "Coverage",
        ]);
        let Some(at) = self.first(APPOINTMENT) else {
            return Err(content(
                "ARQ",
                "100",
                "the segment with the request is missing",
            ));
        };
        self.look_up().await?;
        let root = self.root(at);
        let is_new = self.items[root].version == 0;
        if is_new && event != "S01" {
            let text = "there is no appointment with this number";
            return self
                .refuse(record, vec![problem_at("ARQ-2", "204", text)])
                .await;
        }
        if !is_new && event == "S01" {
            let status = self.items[root].content.text("status").unwrap_or_default();
            if !matches!(status.as_str(), "cancelled" | "proposed" | "waitlist") {
                let text = "there is an appointment with this number already";
                return self
                    .refuse(record, vec![problem_at("ARQ-1", "205", text)])
                    .await;
            }
        }
        let is_tentative = {
            let arq = self.message.first("ARQ");
            arq.is_some_and(|arq| arq.field(8).text().eq_ignore_ascii_case("tentative"))
        };
        self.items[at].made["status"] = json!(if is_tentative { "pending" } else { "booked" });
        self.complete(at, act);
        self.lay_all();
        let answer = self.schedule_answer(root);
        self.answer = Some(answer);
        match self.commit(record).await {
            Err(Lost::Taken(error)) => self.refuse(record, refusals(&error)).await,
            Err(Lost::Failed(Failure::Content(problems))) => self.refuse(record, problems).await,
            other => other,
        }
    }

    /// A request that lost: nothing is done but that it is answered.
    async fn refuse(
        &mut self,
        record: Record<'_>,
        problems: Vec<Problem>,
    ) -> Result<Applied, Lost> {
        for item in &mut self.items {
            item.is_left_out = true;
        }
        let event = self.event();
        for problem in &problems {
            let (place, text) = (problem.place.clone(), problem.text.clone());
            self.note(&place, text);
        }
        let structure = format!("SRR_{event}");
        let writer = self.reply(&["SRR", &event, &structure], Code::AE, &problems);
        self.answer = Some(writer.finish());
        self.commit(record).await
    }

    fn schedule_answer(&self, root: usize) -> bytes::Bytes {
        let event = self.event();
        let structure = format!("SRR_{event}");
        let mut writer = self.reply(&["SRR", &event, &structure], Code::AA, &[]);
        let content = &self.items[root].content;
        let status = match content.text("status").as_deref() {
            Some("pending") => "Pending",
            Some("cancelled") => "Cancelled",
            Some("entered-in-error") => "Deleted",
            Some("noshow") => "Noshow",
            _ => "Booked",
        };
        let arq = self.message.first("ARQ");
        let own = |number: usize| arq.map_or("", |arq| arq.field(number).raw());
        let id = self.items[root].id.clone();
        let mut sch = writer.segment("SCH");
        sch.raw(1, own(1));
        match own(2) {
            "" => sch.components(2, &[&id, "ROTUNDA"]),
            filler => sch.raw(2, filler),
        };
        sch.raw(
            6,
            match own(6) {
                "" => own(7),
                reason => reason,
            },
        );
        sch.components(25, &[status, status, "HL70278"]);
        drop(sch);
        if let (Some(start), Some(end)) = (content.text("start"), content.text("end")) {
            let mut tq1 = writer.segment("TQ1");
            tq1.text(1, "1").text(7, &dtm(&start)).text(8, &dtm(&end));
        }
        writer.finish()
    }
}

fn problem_at(place: &str, code: &'static str, text: &str) -> Problem {
    Problem::error(place, code, text)
}

/// Why a request has lost: the time, then what is free instead.
fn refusals(error: &Error) -> Vec<Problem> {
    let issues = error.issues.iter();
    issues
        .map(|issue| {
            let code = issue.detail.as_ref().map_or("", |detail| detail.code);
            let text = match code {
                "" => issue.diagnostics.clone(),
                code => format!("{code}: {}", issue.diagnostics),
            };
            Problem {
                place: "ARQ".to_owned(),
                code: "207",
                text,
                is_error: code != "alternative",
            }
        })
        .collect()
}
