//! Orders: ServiceRequests as ORM^O01 or OML^O21.

use bytes::Bytes;
use serde_json::Value as Json;

use super::{
    Destination, Orders, Related,
    codes::{self, of},
    fields::{Row, fill, many, one},
    json::{all, first, kind_of, same, target, text},
    patient::{notes, pid_of, texts},
    siu::numbers,
    types::{self, Scope},
};
use crate::write::{Composite, SegmentWriter, Writer};

/// What is said of an order (table 0119).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// NW: new.
    New,
    /// XO: changed.
    Change,
    /// CA: cancelled before anything was done.
    Cancel,
    /// DC: stopped.
    Discontinue,
    /// HD: on hold.
    Hold,
    /// RL: no longer on hold.
    Release,
    /// SC: its status changed, by itself.
    Status,
}

impl Control {
    /// `NW`.
    pub fn code(self) -> &'static str {
        match self {
            Self::New => "NW",
            Self::Change => "XO",
            Self::Cancel => "CA",
            Self::Discontinue => "DC",
            Self::Hold => "HD",
            Self::Release => "RL",
            Self::Status => "SC",
        }
    }
}

/// What happened between two versions of a ServiceRequest or MedicationRequest; one is none if it
/// was created or deleted. Nothing if nothing did that a message tells: a draft is nobody's
/// business, nor is a mere proposal.
pub fn control(before: Option<&Json>, after: Option<&Json>) -> Option<Control> {
    let status = |json: &Json| text(json, "status").to_owned();
    let told = |json: &Json| matches!(text(json, "status"), "active" | "on-hold" | "completed");
    let Some(after) = after else {
        return before
            .filter(|before| told(before))
            .map(|_| Control::Cancel);
    };
    let intent = text(after, "intent");
    if matches!(intent, "proposal" | "plan" | "option" | "directive") {
        return None;
    }
    let now = status(after);
    let Some(before) = before.filter(|before| told(before)) else {
        return matches!(now.as_str(), "active" | "on-hold").then_some(Control::New);
    };
    if same(before, after) {
        return None;
    }
    let old = status(before);
    Some(match (old.as_str(), now.as_str()) {
        (_, "stopped") => Control::Discontinue,
        // Of a ServiceRequest, R4 has one word for both: what had begun is stopped.
        ("completed", "revoked") => Control::Discontinue,
        (_, "revoked" | "cancelled" | "entered-in-error") => Control::Cancel,
        ("on-hold", "on-hold") => Control::Change,
        (_, "on-hold") => Control::Hold,
        ("on-hold", "active") => Control::Release,
        (old, new) if old != new => Control::Status,
        _ => Control::Change,
    })
}

/// A message for a ServiceRequest, as the destination takes it.
pub fn order(
    to: &Destination,
    control_id: &str,
    time: i64,
    control: Control,
    request: &Json,
    related: &Related<'_>,
) -> Bytes {
    let kind = match to.forms.orders {
        Orders::Orm => ["ORM", "O01", "ORM_O01"],
        Orders::Oml => ["OML", "O21", "OML_O21"],
    };
    let mut writer = to.begin(control_id, time, kind);
    let scope = Scope {
        to,
        related,
        resource: request,
    };
    about(&mut writer, &scope);
    let with_tq1 = to.forms.orders == Orders::Oml && !to.is_old();
    let when = Timing::of_service(&scope);
    orc(
        &mut writer,
        &scope,
        control,
        time,
        (!with_tq1).then_some(&when),
    );
    if with_tq1 {
        when.segment(&mut writer);
    }
    let mut obr = writer.segment("OBR");
    fill(&mut obr, OBR, &scope, request);
    obr.text(1, "1");
    let numbers = order_numbers(&scope);
    obr.repeat(2, &numbers.0).repeat(3, &numbers.1);
    let reasons = texts(request, "reasonCode.text");
    obr.text(13, &reasons.join("; "));
    if !with_tq1 {
        obr.raw(27, "").repeat(27, &when.quantity());
    }
    drop(obr);
    notes(
        &mut writer,
        texts(request, "note.text")
            .into_iter()
            .chain(texts(request, "patientInstruction")),
    );
    dg1(&mut writer, &scope);
    specimens(&mut writer, &scope);
    writer.finish()
}

/// PID, and PV1 if an Encounter is known.
pub(super) fn about(writer: &mut Writer, scope: &Scope<'_>) {
    let subject = first(scope.resource, "subject");
    if let Some(subject) = subject.filter(|subject| target(subject) == "Patient") {
        pid_of(writer, scope, subject, 1);
    }
    let encounter = first(scope.resource, "encounter").and_then(|found| scope.resolve(found));
    if let Some(encounter) = encounter {
        pv1(writer, &scope.with(encounter));
    }
}

const PV1: &[Row] = &[
    one(2, "class", class),
    one(3, "location.location", types::pl),
    one(44, "period.start", types::dtm),
    one(45, "period.end", types::dtm),
];

/// Table 0004, of HL7's ActCode.
fn class(_: &Scope<'_>, json: &Json) -> Composite {
    Composite::of(&[match text(json, "code") {
        "IMP" | "ACUTE" | "NONAC" => "I",
        "EMER" => "E",
        "PRENC" => "P",
        "AMB" | "VR" | "HH" | "SS" | "OBSENC" => "O",
        _ => "U",
    }])
}

fn pv1(writer: &mut Writer, scope: &Scope<'_>) {
    let encounter = scope.resource;
    let mut pv1 = writer.segment("PV1");
    pv1.text(1, "1");
    fill(&mut pv1, PV1, scope, encounter);
    if first(encounter, "class").is_none() {
        pv1.text(2, "U");
    }
    for participant in all(encounter, "participant") {
        let field = match text(participant, "type.coding.code") {
            "ATND" | "PPRF" => 7,
            "REFR" | "REF" => 8,
            "CON" => 9,
            "ADM" => 17,
            _ => continue,
        };
        if let Some(person) = first(participant, "individual") {
            pv1.repeat(field, &types::xcn(scope, person));
        }
    }
    let number = match first(encounter, "identifier") {
        Some(identifier) => types::cx(scope, identifier),
        None => Composite::of(&[
            text(encounter, "id"),
            "",
            "",
            &scope.to.sending.application,
            "VN",
        ]),
    };
    pv1.repeat(19, &number);
}

/// The placer's number and the filler's. The placer's is ours where nobody else's is known.
pub(super) fn order_numbers(scope: &Scope<'_>) -> (Composite, Composite) {
    let (mut placer, filler) = numbers(scope);
    if placer.is_empty() {
        placer = types::own_ei(scope.to, scope.resource);
    }
    (placer, filler)
}

const ORC: &[Row] = &[
    one(4, "requisition", types::ei),
    one(4, "groupIdentifier", types::ei),
    one(9, "authoredOn", types::dtm),
    one(12, "requester", types::xcn),
    one(16, "statusReason", types::cwe),
];

/// ORC; with ORC-7 where there is no TQ1.
pub(super) fn orc(
    writer: &mut Writer,
    scope: &Scope<'_>,
    control: Control,
    time: i64,
    timing: Option<&Timing>,
) {
    let request = scope.resource;
    let numbers = order_numbers(scope);
    let mut orc = writer.segment("ORC");
    fill(&mut orc, ORC, scope, request);
    orc.text(1, control.code())
        .repeat(2, &numbers.0)
        .repeat(3, &numbers.1);
    if control != Control::New {
        orc.text(5, of(codes::ORDER, text(request, "status")));
        // When this was said, and not when it was ordered first.
        orc.text(9, &scope.to.dtm(time));
    }
    if let Some(timing) = timing {
        orc.repeat(7, &timing.quantity());
    }
}

const OBR: &[Row] = &[
    one(4, "code", types::cwe),
    one(16, "requester", types::xcn),
    many(31, "reasonCode", types::cwe),
];

/// When, how often and how urgently: TQ1, or TQ in older messages.
#[derive(Debug, Default)]
pub(super) struct Timing {
    /// Repeat patterns: `Q8H`.
    pub pattern: Composite,
    /// In how many of which unit it ends, `7` and `d`.
    pub lasts: [String; 2],
    pub start: String,
    pub end: String,
    pub priority: String,
    /// As the one who ordered said it.
    pub said: String,
}

impl Timing {
    fn of_service(scope: &Scope<'_>) -> Self {
        let request = scope.resource;
        let dtm = |path: &str| types::time(text(request, path), &scope.to.zone);
        let either = |one: &str, other: &str| match dtm(one) {
            start if start.is_empty() => dtm(other),
            start => start,
        };
        let mut timing = Self {
            start: either("occurrenceDateTime", "occurrencePeriod.start"),
            end: dtm("occurrencePeriod.end"),
            priority: of(codes::PRIORITY, text(request, "priority")).to_owned(),
            ..Self::default()
        };
        if let Some(occurrence) = first(request, "occurrenceTiming") {
            timing.repeat(scope, occurrence);
        }
        timing
    }

    /// What a Timing says.
    pub(super) fn repeat(&mut self, scope: &Scope<'_>, timing: &Json) {
        let dtm = |path: &str| types::time(text(timing, path), &scope.to.zone);
        if let Some(code) = first(timing, "code") {
            self.pattern = types::cwe(scope, code);
        }
        let repeat = |name: &str| super::json::value(timing, &format!("repeat.{name}"));
        if self.pattern.is_empty() {
            self.pattern = Composite::of(&[&pattern(&repeat)]);
        }
        if self.start.is_empty() {
            self.start = match dtm("repeat.boundsPeriod.start") {
                start if start.is_empty() => dtm("event"),
                start => start,
            };
        }
        if self.end.is_empty() {
            self.end = dtm("repeat.boundsPeriod.end");
        }
        let unit = match repeat("boundsDuration.code") {
            code if code.is_empty() => repeat("boundsDuration.unit"),
            code => code,
        };
        self.lasts = [repeat("boundsDuration.value"), unit];
    }

    pub(super) fn is_empty(&self) -> bool {
        let texts = [
            &self.start,
            &self.end,
            &self.priority,
            &self.lasts[0],
            &self.said,
        ];
        self.pattern.is_empty() && texts.iter().all(|text| text.is_empty())
    }

    /// TQ, as ORC-7 has it.
    pub(super) fn quantity(&self) -> Composite {
        let mut out = Composite::new();
        let lasts = match self.lasts[1].to_ascii_uppercase() {
            unit if self.lasts[0].is_empty() => unit,
            unit => format!("{unit}{}", self.lasts[0]),
        };
        out.sub(2, 1, self.pattern.text(1))
            .set(3, &lasts)
            .set(4, &self.start)
            .set(5, &self.end)
            .set(6, &self.priority)
            .set(8, &self.said);
        out
    }

    /// TQ1, if there is anything to say.
    pub(super) fn segment(&self, writer: &mut Writer) {
        if !self.is_empty() {
            self.fill(&mut writer.segment("TQ1"));
        }
    }

    fn fill(&self, tq1: &mut SegmentWriter<'_>) {
        tq1.text(1, "1")
            .repeat(3, &self.pattern)
            .components(6, &[&self.lasts[0], &self.lasts[1]])
            .text(7, &self.start)
            .text(8, &self.end)
            .text(9, &self.priority)
            .formatted(11, &self.said);
        if self.lasts[0].is_empty() {
            tq1.text(6, "");
        }
    }
}

/// Table 0335 of `repeat`: `Q8H`, `BID`.
fn pattern(repeat: &dyn Fn(&str) -> String) -> String {
    let unit = match repeat("periodUnit").as_str() {
        "s" => "S",
        "min" => "M",
        "h" => "H",
        "d" => "D",
        "wk" => "W",
        "mo" => "L",
        _ => return String::new(),
    };
    let frequency = match repeat("frequency").as_str() {
        "" => "1".to_owned(),
        frequency => frequency.to_owned(),
    };
    let period = repeat("period");
    match (frequency.as_str(), period.as_str(), unit) {
        ("1", "1", "D") => "QD".to_owned(),
        ("2", "1", "D") => "BID".to_owned(),
        ("3", "1", "D") => "TID".to_owned(),
        ("4", "1", "D") => "QID".to_owned(),
        (times, "1", "D") => format!("{times}ID"),
        ("1", period, unit) => format!("Q{period}{unit}"),
        _ => String::new(),
    }
}

/// DG1 for each reason that is a Condition.
fn dg1(writer: &mut Writer, scope: &Scope<'_>) {
    let reasons = all(scope.resource, "reasonReference").filter_map(|reason| scope.resolve(reason));
    let conditions = reasons.filter(|reason| kind_of(reason) == "Condition");
    for (at, condition) in conditions.enumerate() {
        let mut dg1 = writer.segment("DG1");
        dg1.text(1, &(at + 1).to_string());
        if let Some(code) = first(condition, "code") {
            dg1.repeat(3, &types::cwe(scope, code));
        }
        dg1.text(
            5,
            &types::time(text(condition, "onsetDateTime"), &scope.to.zone),
        )
        .text(6, "W");
    }
}

const SPM: &[Row] = &[
    one(4, "type", types::cwe),
    one(8, "collection.bodySite", types::cwe),
    one(17, "collection.collectedDateTime", types::dtm),
    one(18, "receivedTime", types::dtm),
];

/// SPM for each Specimen; before 2.5 there is none.
pub(super) fn specimens(writer: &mut Writer, scope: &Scope<'_>) {
    if scope.to.is_old()
        || scope.to.forms.orders == Orders::Orm && kind_of(scope.resource) == "ServiceRequest"
    {
        return;
    }
    let found = all(scope.resource, "specimen").filter_map(|specimen| scope.resolve(specimen));
    for (at, specimen) in found.enumerate() {
        let mut spm = writer.segment("SPM");
        spm.text(1, &(at + 1).to_string());
        let number = match text(specimen, "identifier.value") {
            "" => text(specimen, "id"),
            value => value,
        };
        let mut id = Composite::new();
        id.sub(1, 1, number)
            .sub(1, 2, &scope.to.sending.application);
        spm.repeat(2, &id);
        fill(&mut spm, SPM, &scope.with(specimen), specimen);
    }
}
