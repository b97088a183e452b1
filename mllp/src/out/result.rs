//! Results: DiagnosticReports with their Observations as ORU^R01.

use bytes::Bytes;
use serde_json::Value as Json;

use super::{
    Destination, Related,
    codes::{self, of},
    fields::{Row, fill, many, one},
    json::{all, first, kind_of, same, text, value},
    order::{about, order_numbers, specimens},
    patient::{notes, texts},
    siu::numbers,
    types::{self, Scope},
};
use crate::write::{Composite, SegmentWriter, Writer};

/// Whether a change of a DiagnosticReport is one that a message tells.
pub fn is_news(before: Option<&Json>, after: &Json) -> bool {
    let told = |json: &Json| !matches!(text(json, "status"), "" | "registered");
    match before {
        Some(before) => !same(before, after) && (told(before) || told(after)),
        None => told(after) && text(after, "status") != "entered-in-error",
    }
}

/// An ORU message for a DiagnosticReport. Its Observations, and its order, are among `related`.
pub fn oru(
    to: &Destination,
    control_id: &str,
    time: i64,
    report: &Json,
    related: &Related<'_>,
) -> Bytes {
    let mut writer = to.begin(control_id, time, ["ORU", "R01", "ORU_R01"]);
    let scope = Scope {
        to,
        related,
        resource: report,
    };
    about(&mut writer, &scope);
    obr(&mut writer, &scope);
    let mut results = Results {
        writer: &mut writer,
        count: 0,
        depth: 0,
        seen: Vec::new(),
    };
    for reference in all(report, "result") {
        if let Some(observation) = scope.resolve(reference) {
            results.observation(&scope.with(observation), "");
        }
    }
    results.report(&scope);
    specimens(&mut writer, &scope);
    writer.finish()
}

const OBR: &[Row] = &[
    one(4, "code", types::cwe),
    one(7, "effectiveDateTime", types::dtm),
    one(7, "effectivePeriod.start", types::dtm),
    one(8, "effectivePeriod.end", types::dtm),
    one(22, "issued", types::dtm),
    one(24, "category.coding.code", types::st),
    one(32, "resultsInterpreter", interpreter),
];

/// Who interpreted: NDL, of which the first component is a name.
fn interpreter(scope: &Scope<'_>, reference: &Json) -> Composite {
    let person = types::xcn(scope, reference);
    let mut out = Composite::new();
    for (subcomponent, component) in [1, 2, 3, 4, 5, 6].into_iter().enumerate() {
        out.sub(1, subcomponent + 1, person.text(component));
    }
    out
}

fn obr(writer: &mut Writer, scope: &Scope<'_>) {
    let report = scope.resource;
    let order = all(report, "basedOn").find_map(|order| scope.resolve(order));
    let (mut placer, mut filler) = numbers(scope);
    if let Some(order) = order.filter(|_| placer.is_empty()) {
        placer = order_numbers(&scope.with(order)).0;
    }
    if filler.is_empty() {
        // By it, a correction finds the result that it corrects.
        filler = match first(report, "identifier") {
            Some(identifier) if types::identifier_type(identifier) != "PLAC" => {
                types::ei(scope, identifier)
            }
            _ => types::own_ei(scope.to, report),
        };
    }
    let mut obr = writer.segment("OBR");
    obr.text(1, "1").repeat(2, &placer).repeat(3, &filler);
    fill(&mut obr, OBR, scope, report);
    if let Some(order) = order {
        fill(
            &mut obr,
            &[
                one(16, "requester", types::xcn),
                many(31, "reasonCode", types::cwe),
            ],
            &scope.with(order),
            order,
        );
    }
    obr.text(25, of(codes::REPORT, text(report, "status")));
}

struct Results<'w> {
    writer: &'w mut Writer,
    count: usize,
    depth: usize,
    /// Observations that were written: each is once, in whatever circles they are.
    seen: Vec<*const Json>,
}

const OBX: &[Row] = &[
    one(3, "code", types::cwe),
    one(7, "referenceRange", range),
    many(8, "interpretation", code_only),
    one(14, "effectiveDateTime", types::dtm),
    one(14, "effectiveInstant", types::dtm),
    one(14, "effectivePeriod.start", types::dtm),
    many(16, "performer", person),
    one(17, "method", types::cwe),
    one(19, "issued", types::dtm),
    one(23, "performer", organization),
];

fn code_only(_: &Scope<'_>, json: &Json) -> Composite {
    Composite::of(&[match text(json, "coding.code") {
        "" => text(json, "text"),
        code => code,
    }])
}

fn person(scope: &Scope<'_>, json: &Json) -> Composite {
    match super::json::target(json) {
        "Organization" => Composite::new(),
        _ => types::xcn(scope, json),
    }
}

fn organization(scope: &Scope<'_>, json: &Json) -> Composite {
    match super::json::target(json) {
        "Organization" => types::xon(scope, json),
        _ => Composite::new(),
    }
}

/// `3.5 - 5.0`.
fn range(_: &Scope<'_>, json: &Json) -> Composite {
    let (low, high) = (value(json, "low.value"), value(json, "high.value"));
    let range = match (low.as_str(), high.as_str()) {
        ("", "") => value(json, "text"),
        ("", high) => format!("<={high}"),
        (low, "") => format!(">={low}"),
        (low, high) => format!("{low}-{high}"),
    };
    Composite::of(&[&range])
}

impl Results<'_> {
    /// Groups within groups are followed so far.
    const DEEPEST: usize = 16;

    /// OBX of an Observation, of its components and of its members. `above` is OBX-4 of the
    /// group that it is in.
    fn observation(&mut self, scope: &Scope<'_>, above: &str) {
        let observation = scope.resource;
        let own: *const Json = observation;
        if kind_of(observation) != "Observation"
            || self.seen.contains(&own)
            || self.depth > Self::DEEPEST
        {
            return;
        }
        self.seen.push(own);
        let components: Vec<&Json> = all(observation, "component").collect();
        let members: Vec<&Json> = all(observation, "hasMember")
            .filter_map(|member| scope.resolve(member))
            .collect();
        let is_group = !components.is_empty() || !members.is_empty();
        let has_own = first_value(observation).is_some() || !is_group;
        let group = match (is_group, above) {
            (false, above) => above.to_owned(),
            (true, "") => (self.count + 1).to_string(),
            (true, above) => format!("{above}.{}", self.count + 1),
        };
        if has_own {
            self.obx(scope, observation, &group);
            notes(self.writer, texts(observation, "note.text"));
        }
        for component in components {
            self.obx(scope, component, &group);
        }
        self.depth += 1;
        for member in members {
            self.observation(&scope.with(member), &group);
        }
        self.depth -= 1;
    }

    /// One OBX: of an Observation, or of a component of the one in scope.
    fn obx(&mut self, scope: &Scope<'_>, json: &Json, group: &str) {
        self.count += 1;
        let observation = scope.resource;
        let mut obx = self.writer.segment("OBX");
        obx.text(1, &self.count.to_string()).text(4, group);
        fill(&mut obx, OBX, scope, observation);
        if !std::ptr::eq(json, observation) {
            // What a component has of its own.
            for field in [3, 7, 8] {
                obx.text(field, "");
            }
            fill(&mut obx, &OBX[..3], scope, json);
        }
        value_fields(&mut obx, scope, json);
        let status = of(codes::OBSERVATION, text(observation, "status"));
        obx.text(11, if status.is_empty() { "F" } else { status });
    }

    /// The report's conclusion, and its documents.
    fn report(&mut self, scope: &Scope<'_>) {
        let report = scope.resource;
        let code = first(report, "code")
            .map(|code| types::cwe(scope, code))
            .unwrap_or_default();
        let status = match text(report, "status") {
            "partial" => "P",
            "appended" => "C",
            status => of(codes::OBSERVATION, status),
        };
        let conclusion = text(report, "conclusion");
        if !conclusion.is_empty() {
            self.count += 1;
            let mut own = code.clone();
            own.sub(1, 2, "IMP");
            let mut obx = self.writer.segment("OBX");
            obx.text(1, &self.count.to_string())
                .text(2, "TX")
                .repeat(3, &own)
                .formatted(5, conclusion)
                .text(11, status);
        }
        for document in all(report, "presentedForm") {
            self.count += 1;
            let mut obx = self.writer.segment("OBX");
            obx.text(1, &self.count.to_string())
                .repeat(3, &code)
                .text(11, status);
            attachment(&mut obx, document);
        }
    }
}

fn attachment(obx: &mut SegmentWriter<'_>, document: &Json) {
    let kind = text(document, "contentType");
    let (main, sub) = kind.split_once('/').unwrap_or((kind, ""));
    let sub = sub.split(';').next().unwrap_or("");
    match text(document, "data") {
        "" => {
            obx.text(2, "RP")
                .components(5, &[text(document, "url"), "", main, sub]);
        }
        data => {
            obx.text(2, "ED")
                .components(5, &["", main, sub, "Base64", data]);
        }
    }
}

/// `value[x]`, its name and its content.
fn first_value(json: &Json) -> Option<(&str, &Json)> {
    let object = json.as_object()?;
    let found = object.iter().find_map(|(name, value)| {
        let kind = name.strip_prefix("value")?;
        Some((kind, value))
    });
    found.filter(|(kind, _)| kind.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// OBX-2, OBX-5 and OBX-6.
fn value_fields(obx: &mut SegmentWriter<'_>, scope: &Scope<'_>, json: &Json) {
    let Some((kind, content)) = first_value(json) else {
        // Not there, and the reason if there is one.
        if let Some(reason) = first(json, "dataAbsentReason") {
            obx.text(2, scope.to.coded())
                .repeat(5, &types::cwe(scope, reason));
        }
        return;
    };
    match kind {
        "Quantity" => {
            let number = value(content, "value");
            match text(content, "comparator") {
                "" => obx.text(2, "NM").text(5, &number),
                comparator => obx.text(2, "SN").components(5, &[comparator, &number]),
            };
            obx.repeat(6, &types::unit(scope, content));
        }
        "Integer" => {
            obx.text(2, "NM").text(5, &super::json::plain(content));
        }
        "CodeableConcept" => {
            obx.text(2, scope.to.coded())
                .repeat(5, &types::cwe(scope, content));
        }
        "Boolean" => {
            let yes = content.as_bool() == Some(true);
            let (code, display) = if yes { ("Y", "Yes") } else { ("N", "No") };
            obx.text(2, scope.to.coded())
                .components(5, &[code, display, "HL70136"]);
        }
        "Range" => {
            let (low, high) = (value(content, "low.value"), value(content, "high.value"));
            obx.text(2, "SN").components(5, &["", &low, "-", &high]);
            let quantity = first(content, "low").or(first(content, "high"));
            if let Some(quantity) = quantity {
                obx.repeat(6, &types::unit(scope, quantity));
            }
        }
        "Ratio" => {
            let (one, other) = (
                value(content, "numerator.value"),
                value(content, "denominator.value"),
            );
            obx.text(2, "SN").components(5, &["", &one, ":", &other]);
        }
        "DateTime" => {
            let kind = match scope.to.version() < crate::ack::Version(2, 6, 0) {
                true => "TS",
                false => "DTM",
            };
            obx.text(2, kind).repeat(5, &types::dtm(scope, content));
        }
        "Time" => {
            obx.text(2, "TM").repeat(5, &types::dtm(scope, content));
        }
        "Period" => {
            let time = |name: &str| types::time(text(content, name), &scope.to.zone);
            obx.text(2, "DR")
                .components(5, &[&time("start"), &time("end")]);
        }
        "Attachment" => attachment(obx, content),
        "String" => {
            let said = super::json::plain(content);
            match said.contains(['\n', '\r']) || said.len() > 199 {
                true => obx.text(2, "TX").formatted(5, &said),
                false => obx.text(2, "ST").text(5, &said),
            };
        }
        // SampledData: as it is.
        _ => {
            obx.text(2, "TX").formatted(5, &content.to_string());
        }
    }
}

impl Destination {
    /// The type of a coded value.
    fn coded(&self) -> &'static str {
        if self.is_old() { "CE" } else { "CWE" }
    }
}
