//! Our extension: what R4 has no element for, of one kind of visit.

use resources::{Value, outcome::Issue};

use super::{
    bookable::{Coding, Daily, Per, Visit},
    claim::BufferPolicy,
    element::{self, Extension, codings, extensions},
    opening::{self, Closure, twice, typed, unknown},
    waitlist::{ACCEPTANCE, TARGET, at_once},
};

/// The extension, on a Schedule or a HealthcareService.
pub const PARAMETERS: &str = "urn:rotunda:StructureDefinition:scheduling-parameters";

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long an appointment is if nothing is said.
const DURATION: i64 = 30 * MINUTE;
/// How long a hold lasts if nothing is said, and at most.
const HOLD: i64 = 10 * MINUTE;
/// The longest hold.
pub const LONGEST_HOLD: i64 = 30 * MINUTE;
/// How long an offer to who waits lasts if nothing is said.
const OFFER: i64 = 30 * MINUTE;
/// The longest offer.
pub const LONGEST_OFFER: i64 = DAY;
/// How far ahead can be booked if nothing is said.
const HORIZON: i64 = 400 * DAY;
/// The farthest horizon, and the longest notice.
const FARTHEST: i64 = 1830 * DAY;
/// The most seats, and the most that may be booked beyond them.
const MOST_SEATS: u16 = 1000;

impl Default for Visit {
    fn default() -> Self {
        Self {
            service_types: Vec::new(),
            appointment_types: Vec::new(),
            duration: DURATION,
            interval: DURATION,
            before: 0,
            after: 0,
            buffers: BufferPolicy::Stack,
            notice: 0,
            horizon: HORIZON,
            capacity: 1,
            overbook: 0,
            quotas: Vec::new(),
            patients_may_overlap: false,
            hold: HOLD,
            needs_approval: false,
            offers: at_once(ACCEPTANCE, TARGET),
            offer_for: OFFER,
        }
    }
}

/// What all of a resource's instances of the extension say.
#[derive(Debug, Default)]
pub(super) struct Policy {
    pub visits: Vec<Visit>,
    /// There is an instance that says nothing but hours.
    pub has_only_hours: bool,
    /// The Schedule's own hours.
    pub weekly: Vec<Daily>,
    pub closures: Vec<Closure>,
}

/// The sub-extensions, for whoever wrote one that is none.
pub(super) const KNOWN: &str = "serviceType, appointmentType, duration, interval, bufferBefore, bufferAfter, \
     bufferPolicy, minimumNotice, horizon, holdFor, capacity, overbook, limit, \
     patientsMayOverlap, needsApproval, offerAcceptance, offerTarget, offerFor, availableTime, \
     notAvailable";

/// Reads the extensions of a resource. What is wrong becomes an issue, and is left out.
pub(super) fn read(resource: Value<'_>, path: &str, issues: &mut Vec<Issue>) -> Policy {
    let is_schedule = element::code(resource, "resourceType") == Some("Schedule");
    let mut policy = Policy::default();
    let mut hours_at: Option<usize> = None;
    for extension in extensions(resource).filter(|it| it.url == PARAMETERS) {
        let path = format!("{path}.extension[{}]", extension.at);
        let mut reader = Reader {
            visit: Visit::default(),
            interval: None,
            chances: (ACCEPTANCE, TARGET),
            says_visit: false,
            weekly: Vec::new(),
            seen: Vec::new(),
            path: &path,
            issues,
        };
        for part in extensions(extension.value) {
            let at = format!("{path}.extension[{}]", part.at);
            reader.part(&part, &at, is_schedule, &mut policy.closures);
        }
        reader.agree();
        let Reader {
            visit,
            says_visit,
            weekly,
            ..
        } = reader;
        if !weekly.is_empty() {
            if let Some(first) = hours_at {
                let sentence = format!(
                    "Hours are those of the whole Schedule, and extension[{first}] has them \
                     already; keep them in one, or make another Schedule of the same actor for \
                     visits with hours of their own."
                );
                issues.push(Issue::error("business-rule", sentence).at(&path));
            } else {
                hours_at = Some(extension.at);
                policy.weekly = weekly;
            }
        }
        if says_visit {
            let alike = policy.visits.iter().any(|other| is_hidden(&visit, other));
            if alike {
                let sentence = "A visit before this one has the same serviceType and \
                     appointmentType, so this one is never chosen.";
                issues.push(Issue::warning("business-rule", sentence).at(&path));
            }
            policy.visits.push(visit);
        } else {
            policy.has_only_hours = true;
        }
    }
    policy
}

/// Whether whatever asks for `visit` finds `earlier` first.
fn is_hidden(visit: &Visit, earlier: &Visit) -> bool {
    let same = |a: &[Coding], b: &[Coding]| {
        let key = |coding: &Coding| (coding.system.clone(), coding.code.clone());
        let mut pair = [a, b].map(|list| list.iter().map(key).collect::<Vec<_>>());
        pair.iter_mut().for_each(|list| list.sort());
        pair[0] == pair[1]
    };
    same(&visit.service_types, &earlier.service_types)
        && same(&visit.appointment_types, &earlier.appointment_types)
        && visit.duration == earlier.duration
}

/// Reads one instance of the extension.
struct Reader<'r> {
    visit: Visit,
    interval: Option<i64>,
    /// How often an offer is accepted, and how often one of a round shall be.
    chances: (f64, f64),
    /// Something is said beside hours.
    says_visit: bool,
    weekly: Vec<Daily>,
    seen: Vec<String>,
    path: &'r str,
    issues: &'r mut Vec<Issue>,
}

impl Reader<'_> {
    fn part(
        &mut self,
        part: &Extension<'_>,
        at: &str,
        is_schedule: bool,
        closures: &mut Vec<Closure>,
    ) {
        let name = part.url.as_ref();
        let repeats = matches!(
            name,
            "serviceType" | "appointmentType" | "limit" | "availableTime" | "notAvailable"
        );
        if !repeats && self.seen.iter().any(|seen| seen == name) {
            self.issues.push(twice(name).at(at));
            return;
        }
        self.seen.push(name.to_owned());
        if matches!(name, "availableTime" | "notAvailable") {
            if !is_schedule {
                let sentence = format!(
                    "{name} stands here on Schedules only; a HealthcareService has an element of \
                     that name."
                );
                self.issues.push(Issue::error("extension", sentence).at(at));
            } else if name == "availableTime" {
                self.weekly
                    .extend(opening::own_window(part, at, self.issues));
            } else {
                closures.extend(opening::own_closure(part, at, self.issues));
            }
            return;
        }
        self.says_visit = true;
        match name {
            "serviceType" => {
                let codings = self.concept(part, at);
                self.visit.service_types.extend(codings);
            }
            "appointmentType" => {
                let codings = self.concept(part, at);
                self.visit.appointment_types.extend(codings);
            }
            "duration" => {
                if let Some(seconds) = self.duration(part, at, (MINUTE, DAY), true) {
                    self.visit.duration = seconds;
                }
            }
            "interval" => self.interval = self.duration(part, at, (MINUTE, DAY), true),
            "bufferBefore" => {
                self.visit.before = self.duration(part, at, (0, DAY), true).unwrap_or(0);
            }
            "bufferAfter" => {
                self.visit.after = self.duration(part, at, (0, DAY), true).unwrap_or(0);
            }
            "minimumNotice" => {
                let seconds = self.duration(part, at, (0, FARTHEST), false);
                self.visit.notice = seconds.unwrap_or(0);
            }
            "horizon" => {
                if let Some(seconds) = self.duration(part, at, (MINUTE, FARTHEST), false) {
                    self.visit.horizon = seconds;
                }
            }
            "holdFor" => {
                if let Some(seconds) = self.duration(part, at, (1, LONGEST_HOLD), false) {
                    self.visit.hold = seconds;
                }
            }
            "bufferPolicy" => self.buffers(part, at),
            "capacity" => {
                if let Some(seats) = self.count(part, "valuePositiveInt", 1, at) {
                    self.visit.capacity = seats;
                }
            }
            "overbook" => {
                let more = self.count(part, "valueUnsignedInt", 0, at);
                self.visit.overbook = more.unwrap_or(0);
            }
            "limit" => self.limit(part, at),
            "patientsMayOverlap" => self.visit.patients_may_overlap = self.flag(part, at),
            "needsApproval" => self.visit.needs_approval = self.flag(part, at),
            "offerAcceptance" => {
                if let Some(chance) = self.chance(part, at) {
                    self.chances.0 = chance;
                }
            }
            "offerTarget" => {
                if let Some(chance) = self.chance(part, at) {
                    self.chances.1 = chance;
                }
            }
            "offerFor" => {
                if let Some(seconds) = self.duration(part, at, (MINUTE, LONGEST_OFFER), false) {
                    self.visit.offer_for = seconds;
                }
            }
            _ => {
                self.says_visit = self.seen.len() > 1;
                self.issues.push(unknown(name, KNOWN).at(at));
            }
        }
    }

    fn concept(&mut self, part: &Extension<'_>, at: &str) -> Vec<Coding> {
        let Some(concept) = typed(part, "valueCodeableConcept", at, self.issues) else {
            return Vec::new();
        };
        let found: Vec<_> = codings(concept).collect();
        if found.is_empty() {
            let sentence = format!("{} needs a coding: kinds are told by codes.", part.url);
            let at = format!("{at}.valueCodeableConcept");
            self.issues.push(Issue::error("required", sentence).at(at));
        }
        found
    }

    /// Seconds within bounds, both inclusive.
    fn duration(
        &mut self,
        part: &Extension<'_>,
        at: &str,
        (least, most): (i64, i64),
        is_on_the_clock: bool,
    ) -> Option<i64> {
        let value = typed(part, "valueDuration", at, self.issues)?;
        let at = format!("{at}.valueDuration");
        let name = &part.url;
        let seconds = match element::duration(value) {
            Ok(seconds) => seconds,
            Err((member, code, sentence)) => {
                let at = match value.get(member) {
                    Some(_) => format!("{at}.{member}"),
                    None => at,
                };
                self.issues.push(Issue::error(code, sentence).at(at));
                return None;
            }
        };
        let sentence = if seconds < least || seconds > most {
            format!(
                "{name} must be from {} to {}.",
                in_words(least),
                in_words(most)
            )
        } else if is_on_the_clock && seconds % MINUTE != 0 {
            format!("{name} must be of whole minutes.")
        } else {
            return Some(seconds);
        };
        self.issues.push(Issue::error("value", sentence).at(at));
        None
    }

    fn count(
        &mut self,
        part: &Extension<'_>,
        value: &'static str,
        least: u16,
        at: &str,
    ) -> Option<u16> {
        let number = typed(part, value, at, self.issues)?.number();
        let count = number.and_then(|number| number.parse::<u16>().ok());
        let count = count.filter(|count| (least..=MOST_SEATS).contains(count));
        if count.is_none() {
            let sentence = format!("{} must be from {least} to {MOST_SEATS}.", part.url);
            let at = format!("{at}.{value}");
            self.issues.push(Issue::error("value", sentence).at(at));
        }
        count
    }

    /// From 0 to 0.999.
    fn chance(&mut self, part: &Extension<'_>, at: &str) -> Option<f64> {
        let number = typed(part, "valueDecimal", at, self.issues)?.number();
        let chance = number.and_then(|number| number.parse::<f64>().ok());
        let chance = chance.filter(|chance| (0.0..=0.999).contains(chance));
        if chance.is_none() {
            let sentence = format!("{} must be from 0 to 0.999.", part.url);
            let at = format!("{at}.valueDecimal");
            self.issues.push(Issue::error("value", sentence).at(at));
        }
        chance
    }

    fn flag(&mut self, part: &Extension<'_>, at: &str) -> bool {
        let value = typed(part, "valueBoolean", at, self.issues);
        value.and_then(|value| value.as_bool()).unwrap_or(false)
    }

    fn buffers(&mut self, part: &Extension<'_>, at: &str) {
        let value = typed(part, "valueCode", at, self.issues);
        let Some(code) = value.and_then(|value| value.as_str()) else {
            return;
        };
        self.visit.buffers = match code.as_ref() {
            "stack" => BufferPolicy::Stack,
            "share" => BufferPolicy::Share,
            "ignore" => BufferPolicy::Ignore,
            other => {
                let sentence = format!("'{other}' is not stack, share or ignore.");
                let at = format!("{at}.valueCode");
                return self
                    .issues
                    .push(Issue::error("code-invalid", sentence).at(at));
            }
        };
    }

    fn limit(&mut self, part: &Extension<'_>, path: &str) {
        let (mut per, mut most) = (None, None);
        let before = self.issues.len();
        for half in extensions(part.value) {
            let at = format!("{path}.extension[{}]", half.at);
            match half.url.as_ref() {
                "per" => {
                    let value = typed(&half, "valueCode", &at, self.issues);
                    let Some(code) = value.and_then(|value| value.as_str()) else {
                        continue;
                    };
                    per = match code.as_ref() {
                        "day" => Some(Per::Day),
                        "week" => Some(Per::Week),
                        "month" => Some(Per::Month),
                        other => {
                            let sentence = format!("'{other}' is not day, week or month.");
                            let at = format!("{at}.valueCode");
                            self.issues
                                .push(Issue::error("code-invalid", sentence).at(at));
                            None
                        }
                    };
                }
                "most" => {
                    let value = typed(&half, "valuePositiveInt", &at, self.issues);
                    let Some(value) = value else { continue };
                    most = value.number().and_then(|number| number.parse::<u32>().ok());
                    most = most.filter(|most| *most > 0);
                    if most.is_none() {
                        let at = format!("{at}.valuePositiveInt");
                        let sentence = "most must be a whole number from 1.";
                        self.issues.push(Issue::error("value", sentence).at(at));
                    }
                }
                url => self.issues.push(unknown(url, "per, most").at(&at)),
            }
        }
        let (Some(per), Some(most)) = (per, most) else {
            if self.issues.len() == before {
                let sentence = "A limit needs per (day, week or month) and most.";
                self.issues
                    .push(Issue::error("required", sentence).at(path));
            }
            return;
        };
        if self.visit.quotas.iter().any(|(other, _)| *other == per) {
            let sentence = "There is a limit for this range already; keep one.";
            self.issues
                .push(Issue::error("structure", sentence).at(path));
            return;
        }
        self.visit.quotas.push((per, most));
    }

    /// Looks at what the parts say together.
    fn agree(&mut self) {
        let visit = &mut self.visit;
        visit.interval = self.interval.unwrap_or(visit.duration);
        visit.offers = at_once(self.chances.0, self.chances.1);
        let mut issue = |issue: Issue| self.issues.push(issue.at(self.path));
        if visit.notice >= visit.horizon {
            issue(Issue::error(
                "business-rule",
                "minimumNotice is not shorter than horizon, so nothing could ever be booked.",
            ));
        }
        if visit.buffers == BufferPolicy::Ignore && visit.before + visit.after > 0 {
            issue(Issue::warning(
                "business-rule",
                "bufferPolicy is ignore, so the buffers have no effect.",
            ));
        }
        if visit.capacity > 1 && visit.before + visit.after > visit.duration {
            issue(Issue::warning(
                "business-rule",
                "The buffers of a visit with several seats are longer than the visit.",
            ));
        }
        if visit.overbook > visit.capacity {
            issue(Issue::warning(
                "business-rule",
                "overbook is more than capacity: more could be booked over than there are seats.",
            ));
        }
        let most = |per| {
            visit
                .quotas
                .iter()
                .find(|(it, _)| *it == per)
                .map(|it| it.1)
        };
        let ranges = [Per::Day, Per::Week, Per::Month].map(most);
        for (i, shorter) in ranges.iter().enumerate() {
            let longer = &ranges[i + 1..];
            if longer
                .iter()
                .flatten()
                .any(|longer| shorter.is_some_and(|it| it > *longer))
            {
                issue(Issue::warning(
                    "business-rule",
                    "A limit of a shorter range is above that of a longer one, so it has no effect.",
                ));
                break;
            }
        }
    }
}

/// A number of seconds in its largest whole unit.
fn in_words(seconds: i64) -> String {
    let (unit, name) = match seconds {
        0 => return "0".to_owned(),
        s if s % DAY == 0 && s > DAY => (DAY, "days"),
        s if s % HOUR == 0 => (HOUR, "hours"),
        s if s % MINUTE == 0 => (MINUTE, "minutes"),
        _ => (1, "seconds"),
    };
    let count = seconds / unit;
    match count {
        1 => format!("1 {}", name.trim_end_matches('s')),
        _ => format!("{count} {name}"),
    }
}
