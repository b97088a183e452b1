//! Changes of a series: of one occurrence, of it and all that follow, or of all. Each moves by as
//! much on the wall clock as the one that is named, so that a series keeps its time over changes
//! of the clock; what else changes of that one changes of the others.
//!
//! What follows becomes a series of its own, as its rule is another one now.

use jiff::{SignedDuration, civil::DateTime, tz::TimeZone};
use resources::{Doc, Value, outcome::Issue, outcome::Severity};

use super::{
    APPOINTMENT, BookingReply, Engine, Error, ErrorKind,
    asked::Asked,
    edits::set_extension,
    members::{Members, quoted},
    once::Once,
    proposed::{Proposed, ProposedPart},
    rule::instant,
    series::{CHANGED, ORIGINATING, RECURRENCE_ID, RULE, SERIES, originating},
    timing::LONGEST_SERIES,
    written::Written,
};
use crate::{
    access::Access,
    engine::{draft::parse, submit::parse_stored},
    scheduling::{appointment::Appointment, span::Span, status::Status},
    store::Stored,
};

/// Members that each occurrence has for itself, or that are changed with its time.
const OWN: &[&str] = &[
    "resourceType",
    "id",
    "meta",
    "text",
    "identifier",
    "extension",
    "status",
    "start",
    "end",
    "minutesDuration",
    "slot",
    "requestedPeriod",
];
/// What tells the occurrences of a series apart and holds them together.
const OF_SERIES: &[&str] = &[RECURRENCE_ID, ORIGINATING, RULE, CHANGED];

/// Which occurrences of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only the one that is named.
    This,
    /// It and those that begin later.
    Following,
    /// All that are still to come.
    All,
}

impl Scope {
    /// What a call says.
    ///
    /// # Errors
    /// It is none.
    pub fn read(asked: &Asked) -> Result<Self, Error> {
        match asked.text("scope") {
            None | Some("this") => Ok(Self::This),
            Some("following") => Ok(Self::Following),
            Some("all") => Ok(Self::All),
            Some(other) => Err(Error::invalid(format!(
                "scope must be this, following or all, and not '{other}'"
            ))),
        }
    }
}

/// An occurrence as it is.
pub struct Occurrence {
    pub stored: Stored,
    pub doc: Doc,
    span: Span,
}

/// What shall become of the one that is named, and so of the others.
pub struct Change<'c> {
    /// It as it shall be.
    pub members: Members,
    /// The time, the actors and the things that it gets, if that is a proposal.
    pub proposed: Option<&'c Proposed>,
}

/// The same for the others.
struct Pattern<'c> {
    zone: TimeZone,
    /// The named one, as it was and as it will be.
    before: Span,
    after: Span,
    /// By how much it moves on the clock.
    shift: SignedDuration,
    /// What else changes.
    members: Vec<(String, Option<String>)>,
    /// Extensions that are not of the series, if they change.
    extensions: Option<Vec<String>>,
    proposed: Option<&'c Proposed>,
}

impl Engine {
    /// Changes the occurrences in a scope as the named one: all or none, or, with
    /// `all-or-nothing=false`, those that can be.
    pub(super) async fn change_series(
        &self,
        named: Occurrence,
        mut change: Change<'_>,
        (asked, scope): (&Asked, Scope),
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let after = parse(change.members.text())?;
        let no_time = || Error::invalid("a series needs the start and the end of its Appointments");
        let read = Appointment::read(&after, &self.settings.base_url);
        let span = read.and_then(|one| one.span).ok_or_else(no_time)?;
        let zone = self.zone_of(&named.doc).await?;
        let pattern = Pattern::new(&named, (&after, span), zone, change.proposed);
        keep_series(&named.doc, &mut change.members)?;
        let others = self.others(&named, scope, access).await?;
        let (mut occurrences, head) = (others.within, others.first);
        let own_id = named.stored.head.id.clone();
        let number = number_of(&named.doc);
        let is_first = originating(&named.doc).is_none_or(|first| first == own_id);
        // The number with which a series of its own begins.
        let split = number.filter(|_| scope == Scope::Following && !is_first);
        let rule = head.as_ref().and_then(|head| rule_of(&head.doc));
        let last = occurrences
            .iter()
            .filter_map(|one| number_of(&one.doc))
            .chain(number)
            .max();
        if let Some(first) = split {
            let count = last.map_or(1, |last| last + 1 - first);
            let rule = rule.as_deref().and_then(|rule| counted(rule, count));
            begin_series(&mut change.members, &own_id)?;
            let rule = rule.filter(|rule| pattern.keeps(rule));
            set_rule(&mut change.members, rule.as_deref())?;
        } else if rule_of(&named.doc).is_some_and(|rule| !pattern.keeps(&rule)) {
            set_rule(&mut change.members, None)?;
        }
        let mut writes = vec![(named.span, Written::of(&named.stored, &change.members)?)];
        occurrences.sort_by_key(|one| one.span);
        for one in &occurrences {
            let mut members = self.like(one, &pattern)?;
            if let Some(first) = split {
                continue_series(&one.doc, &mut members, &own_id, first)?;
            } else if rule_of(&one.doc).is_some_and(|rule| !pattern.keeps(&rule)) {
                set_rule(&mut members, None)?;
            }
            writes.push((one.span, Written::of(&one.stored, &members)?));
        }
        if asked.text("all-or-nothing") == Some("false") {
            // Each makes room for the one that comes where it was.
            if pattern.shift.is_positive() {
                writes.reverse();
            }
            return self
                .change_what_can_be(writes, &pattern.zone, once, access)
                .await;
        }
        let mut all: Vec<Written> = writes.into_iter().map(|(_, written)| written).collect();
        let many = all.len();
        // What remains of the series before is shorter.
        if let (Some(first), Some(head)) = (split, head.filter(|head| head.is_open))
            && let Some(rule) = rule.as_deref().and_then(|rule| counted(rule, first - 1))
        {
            let mut members = Members::of(&head.doc);
            set_rule(&mut members, Some(&rule))?;
            all.push(Written::of(&head.stored, &members)?);
        }
        let mut done = self
            .write_all(all, once, access)
            .await
            .map_err(|error| none_of(error, many))?;
        done.truncate(many);
        Ok(self.replied(done))
    }

    /// One commit for each; what is refused is told.
    async fn change_what_can_be(
        &self,
        writes: Vec<(Span, Written)>,
        zone: &TimeZone,
        once: Option<Once>,
        access: &Access,
    ) -> Result<BookingReply, Error> {
        let (mut done, mut refused, mut first) = (Vec::new(), Vec::new(), None);
        for (span, written) in writes {
            let once = once.clone().filter(|_| done.is_empty());
            match self.write_all(vec![written], once, access).await {
                Ok(one) => done.extend(one),
                Err(error) if is_refusal(&error) => {
                    refused.push(of_occurrence(&error, span.start, zone));
                    first = first.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        match (done.is_empty(), first) {
            (true, Some(error)) => Err(error),
            _ => Ok(BookingReply {
                refused,
                ..self.replied(done)
            }),
        }
    }

    /// The other occurrences in a scope, which can still be changed.
    async fn others(
        &self,
        named: &Occurrence,
        scope: Scope,
        access: &Access,
    ) -> Result<Others, Error> {
        let mut others = Others::default();
        let Some(head) = originating(&named.doc).filter(|_| scope != Scope::This) else {
            return Ok(others);
        };
        // Anybody may write the identifier of a series: what the caller cannot see is not touched,
        // and nothing of one patient comes to another.
        let shown = access.to_any(crate::engine::permission::shown());
        let query = format!("identifier={SERIES}|{head}");
        let most = LONGEST_SERIES + 1;
        let found = self.find(APPOINTMENT, &query, most, &shown).await?;
        let base_url = &self.settings.base_url;
        let patients = |one: &Appointment| -> Vec<String> {
            let mut all: Vec<String> = one.patients().map(str::to_owned).collect();
            all.sort_unstable();
            all
        };
        let own = Appointment::read(&named.doc, base_url);
        let own = own.as_ref().map(patients).unwrap_or_default();
        let now = self.clock.now() / 1_000;
        for stored in found.hits {
            if stored.head.id == named.stored.head.id {
                continue;
            }
            let doc = parse_stored(&stored)?;
            let Some(one) = Appointment::read(&doc, base_url) else {
                continue;
            };
            let (Some(span), true) = (one.span, patients(&one) == own) else {
                continue;
            };
            let is_open = matches!(one.status, Status::Pending | Status::Booked);
            if stored.head.id == head {
                others.first = Some(First {
                    stored: stored.clone(),
                    doc: doc.clone(),
                    is_open,
                });
            }
            let is_meant = match scope {
                Scope::This => false,
                Scope::Following => span.start >= named.span.start,
                Scope::All => span.start >= now,
            };
            if is_open && is_meant {
                others.within.push(Occurrence { stored, doc, span });
            }
        }
        Ok(others)
    }

    /// An Appointment that is there, as one of a series.
    pub(super) fn occurrence(&self, stored: Stored, doc: Doc) -> Result<Occurrence, Error> {
        let read = Appointment::read(&doc, &self.settings.base_url);
        let span = read.and_then(|one| one.span).ok_or_else(|| {
            Error::invalid("a series needs the start and the end of its Appointments")
        })?;
        Ok(Occurrence { stored, doc, span })
    }

    /// An occurrence, changed as the named one is.
    fn like(&self, one: &Occurrence, pattern: &Pattern<'_>) -> Result<Members, Error> {
        let mut members = Members::of(&one.doc);
        let span = pattern.span(one.span);
        let participants = |name: &(String, Option<String>)| name.0 == "participant";
        let mut moved = span.start - one.span.start;
        for (name, json) in &pattern.members {
            match json {
                Some(json) => members.set(name, json),
                None => members.remove(name),
            };
        }
        if pattern.members.iter().any(participants) {
            moved = span.start - pattern.after.start;
            members.remove("slot");
        }
        if let Some(extensions) = &pattern.extensions {
            let own = extensions_of(&one.doc, true);
            set_list(&mut members, "extension", extensions.iter().chain(&own));
        }
        if span != one.span {
            let length = members.get("minutesDuration").is_some();
            members.set_text("start", &instant(span.start, &pattern.zone));
            members.set_text("end", &instant(span.end, &pattern.zone));
            members.remove("slot").remove("requestedPeriod");
            if length {
                members.set("minutesDuration", (span.seconds() / 60).to_string());
            }
        }
        if let Some(proposed) = pattern.proposed {
            let by = span.start - proposed.span.start;
            let shifted = |span: Span| Span::new(span.start + by, span.end + by);
            let parts = proposed.parts.iter().map(|part| ProposedPart {
                span: shifted(part.span),
                ..part.clone()
            });
            let shifted = Proposed {
                span: shifted(proposed.span),
                parts: parts.collect(),
                patients: Vec::new(),
            };
            self.move_to(&one.doc, &mut members, &shifted)?;
            // Whether there is one just there is not known.
            members.remove("slot").remove("requestedPeriod");
        } else {
            shift_periods(&mut members, moved, &pattern.zone)?;
        }
        Ok(members)
    }
}

/// What belongs to a series beside the named one.
#[derive(Default)]
struct Others {
    /// In the scope.
    within: Vec<Occurrence>,
    /// The first of the series, if that is another one.
    first: Option<First>,
}

/// The first of a series.
struct First {
    stored: Stored,
    doc: Doc,
    /// It can still be changed.
    is_open: bool,
}

impl<'c> Pattern<'c> {
    fn new(
        named: &Occurrence,
        (after, span): (&Doc, Span),
        zone: TimeZone,
        proposed: Option<&'c Proposed>,
    ) -> Self {
        let (old, new) = (Members::of(&named.doc), Members::of(after));
        let mut members = Vec::new();
        // Who and what take part follows from a proposal.
        if proposed.is_none() {
            for name in old.names().chain(new.names()) {
                let (before, now) = (old.get(name), new.get(name));
                let is_own = OWN.contains(&name.trim_start_matches('_'));
                let is_known = members.iter().any(|(known, _)| known == name);
                if !is_own && !is_known && before.map(compact) != now.map(compact) {
                    members.push((name.to_owned(), now.map(str::to_owned)));
                }
            }
        }
        let compacted = |doc: &Doc| -> Vec<String> {
            let all = extensions_of(doc, false);
            all.iter().map(|one| compact(one)).collect()
        };
        let changed = compacted(&named.doc) != compacted(after);
        Self {
            shift: local(span.start, &zone).duration_since(local(named.span.start, &zone)),
            before: named.span,
            after: span,
            members,
            extensions: changed.then(|| extensions_of(after, false)),
            proposed,
            zone,
        }
    }

    /// When another occurrence is, if the named one is as it will be.
    fn span(&self, other: Span) -> Span {
        let length = match self.after.seconds() == self.before.seconds() {
            true => other.seconds(),
            false => self.after.seconds(),
        };
        if self.shift.is_zero() {
            return Span::new(other.start, other.start + length);
        }
        let wall = local(other.start, &self.zone).saturating_add(self.shift);
        let start = self.zone.to_ambiguous_timestamp(wall).compatible();
        let start = start.map_or(other.start, |start| start.as_second());
        Span::new(start, start + length)
    }

    /// True if a rule says the days as well as before: only the time of day changes, or the rule
    /// says no days.
    fn keeps(&self, rule: &str) -> bool {
        let days = [self.before, self.after].map(|span| local(span.start, &self.zone).date());
        days[0] == days[1] || !rule.contains("BY")
    }
}

/// A refusal that concerns one occurrence, and not the others.
pub fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Conflict | ErrorKind::Unprocessable | ErrorKind::PreconditionFailed
    )
}

/// Why the occurrence of a time was left as it is.
pub fn of_occurrence(error: &Error, start: i64, zone: &TimeZone) -> Issue {
    let at = instant(start, zone);
    let mut issue = match error.issues.first() {
        Some(first) => first.clone(),
        None => Issue::error("conflict", "it cannot be changed"),
    };
    issue.severity = Severity::Warning;
    issue.diagnostics = format!("the appointment of {at}: {}", issue.diagnostics);
    issue
}

/// A refusal says that nothing of the series was changed.
fn none_of(mut error: Error, many: usize) -> Error {
    if is_refusal(&error) && error.kind != ErrorKind::PreconditionFailed {
        let text = format!(
            "none of the {many} appointments was changed; all-or-nothing=false changes those that \
             can be"
        );
        let mut issue = Issue::warning("informational", text);
        issue.severity = Severity::Information;
        error.issues.push(issue);
    }
    error
}

fn local(at: i64, zone: &TimeZone) -> DateTime {
    let instant = jiff::Timestamp::from_second(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    zone.to_datetime(instant)
}

/// The same JSON without white space between its parts.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_text, mut is_escaped) = (false, false);
    for char in json.chars() {
        if in_text {
            in_text = is_escaped || char != '"';
            is_escaped = !is_escaped && char == '\\';
        } else {
            in_text = char == '"';
            if char.is_ascii_whitespace() {
                continue;
            }
        }
        out.push(char);
    }
    out
}

fn url(extension: Value<'_>) -> String {
    let url = extension.get("url").and_then(|url| url.as_str());
    url.unwrap_or_default().into_owned()
}

/// The extensions that are of the series, or the others.
fn extensions_of(doc: &Doc, of_series: bool) -> Vec<String> {
    let all = doc.root().get("extension");
    let all = all.iter().flat_map(Value::items);
    let own = all.filter(|one| OF_SERIES.contains(&url(*one).as_str()) == of_series);
    own.map(|one| one.raw().to_owned()).collect()
}

fn extension<'d>(doc: &'d Doc, wanted: &str) -> Option<Value<'d>> {
    let all = doc.root().get("extension")?;
    all.items().find(|one| url(*one) == wanted)
}

/// Its number in the series.
fn number_of(doc: &Doc) -> Option<i64> {
    let number = extension(doc, RECURRENCE_ID)?.get("valuePositiveInt")?;
    number.number()?.parse().ok()
}

fn rule_of(doc: &Doc) -> Option<String> {
    let rule = extension(doc, RULE)?.get("valueString")?.as_str()?;
    Some(rule.into_owned())
}

/// A rule of so many occurrences; what is not an RRULE stays as it is.
fn counted(rule: &str, count: i64) -> Option<String> {
    if !rule.contains("FREQ=") {
        return Some(rule.to_owned());
    }
    let parts = rule.split(';');
    let kept = parts.filter(|part| !part.starts_with("COUNT=") && !part.starts_with("UNTIL="));
    let mut parts: Vec<String> = kept.map(str::to_owned).collect();
    parts.push(format!("COUNT={count}"));
    (count > 0).then(|| parts.join(";"))
}

fn set_rule(members: &mut Members, rule: Option<&str>) -> Result<(), Error> {
    let own = rule.map(|rule| format!(r#"{{"url":"{RULE}","valueString":{}}}"#, quoted(rule)));
    set_extension(members, RULE, own.as_deref())
}

fn set_list<'l>(members: &mut Members, name: &str, list: impl Iterator<Item = &'l String>) {
    let all: Vec<&str> = list.map(String::as_str).collect();
    match all.is_empty() {
        true => members.remove(name),
        false => members.set(name, format!("[{}]", all.join(","))),
    };
}

/// Marks an occurrence that is changed by itself.
pub fn set_apart(doc: &Doc, members: &mut Members) -> Result<(), Error> {
    if originating(doc).is_none() {
        return Ok(());
    }
    let mark = format!(r#"{{"url":"{CHANGED}","valueBoolean":true}}"#);
    set_extension(members, CHANGED, Some(&mark))
}

/// Whoever changes an occurrence does not take it out of its series.
fn keep_series(before: &Doc, members: &mut Members) -> Result<(), Error> {
    let after = parse(members.text())?;
    let (others, own) = (extensions_of(&after, false), extensions_of(before, true));
    set_list(members, "extension", others.iter().chain(&own));
    if let Some(head) = originating(before) {
        set_head(members, &head)?;
    }
    Ok(())
}

/// Sets of which series it is.
fn set_head(members: &mut Members, head: &str) -> Result<(), Error> {
    let doc = parse(members.text())?;
    let identifiers = doc.root().get("identifier");
    let others = identifiers.iter().flat_map(Value::items).filter(|one| {
        let system = one.get("system").and_then(|system| system.as_str());
        system.as_deref() != Some(SERIES)
    });
    let mut all: Vec<String> = others.map(|one| one.raw().to_owned()).collect();
    all.push(format!(
        r#"{{"system":"{SERIES}","value":{}}}"#,
        quoted(head)
    ));
    set_list(members, "identifier", all.iter());
    Ok(())
}

/// Makes it the first of a series of its own.
fn begin_series(members: &mut Members, id: &str) -> Result<(), Error> {
    set_extension(members, ORIGINATING, None)?;
    let first = format!(r#"{{"url":"{RECURRENCE_ID}","valuePositiveInt":1}}"#);
    set_extension(members, RECURRENCE_ID, Some(&first))?;
    set_head(members, id)
}

/// Makes it one of the series that begins with what was the occurrence `first` before.
fn continue_series(doc: &Doc, members: &mut Members, head: &str, first: i64) -> Result<(), Error> {
    let of = format!(
        r#"{{"url":"{ORIGINATING}","valueReference":{{"reference":"Appointment/{head}"}}}}"#
    );
    set_extension(members, ORIGINATING, Some(&of))?;
    if let Some(number) = number_of(doc).filter(|number| *number > first) {
        let number = number + 1 - first;
        let number = format!(r#"{{"url":"{RECURRENCE_ID}","valuePositiveInt":{number}}}"#);
        set_extension(members, RECURRENCE_ID, Some(&number))?;
    }
    set_head(members, head)
}

/// Moves the times of participants who are not needed all along.
pub fn shift_periods(members: &mut Members, by: i64, zone: &TimeZone) -> Result<(), Error> {
    if by == 0 || members.get("participant").is_none() {
        return Ok(());
    }
    let doc = parse(members.text())?;
    let participants = doc.root().get("participant");
    let mut has_periods = false;
    let moved = participants.iter().flat_map(Value::items).map(|one| {
        let mut own = Members::of_value(one);
        let Some(period) = one.get("period") else {
            return own.text();
        };
        has_periods = true;
        let mut ends = Members::of_value(period);
        for name in ["start", "end"] {
            let at = period.get(name).and_then(|at| at.as_str());
            let at = at.and_then(|at| resources::primitive::DateRange::parse(&at));
            if let Some(at) = at {
                ends.set_text(name, &instant(at.lo.div_euclid(1_000) + by, zone));
            }
        }
        own.set("period", ends.text());
        own.text()
    });
    let moved: Vec<String> = moved.collect();
    if has_periods {
        set_list(members, "participant", moved.iter());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compared_without_white_space() {
        let text = r#" { "a" : "b \" c" , "d" : [ 1 , "\\" ] } "#;
        assert_eq!(compact(text), r#"{"a":"b \" c","d":[1,"\\"]}"#);
    }

    #[test]
    fn a_rule_is_counted_anew() {
        for (rule, count, expected) in [
            (
                "FREQ=WEEKLY;COUNT=10;BYDAY=MO",
                3,
                Some("FREQ=WEEKLY;BYDAY=MO;COUNT=3"),
            ),
            (
                "FREQ=DAILY;UNTIL=20270101T000000Z",
                2,
                Some("FREQ=DAILY;COUNT=2"),
            ),
            ("FREQ=DAILY", 0, None),
            ("template", 4, Some("template")),
        ] {
            assert_eq!(counted(rule, count).as_deref(), expected, "{rule}");
        }
    }
}
