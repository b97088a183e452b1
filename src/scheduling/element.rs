//! Elements of resources as values, as far as scheduling reads them. What is not as it should be
//! reads as if it were not there: the structure check has refused it before.

use std::borrow::Cow;

use jiff::{
    Timestamp, civil,
    tz::{AmbiguousOffset, TimeZone},
};
use resources::{
    Value,
    primitive::{DateRange, Decimal, Reference},
};

use super::{
    bookable::Coding,
    span::{FAR_FUTURE, FAR_PAST, Span},
};

/// The items of a list, or the one value.
pub(super) fn each<'d>(value: Value<'d>, name: &str) -> impl Iterator<Item = Value<'d>> + use<'d> {
    value.get(name).into_iter().flat_map(|list| list.each())
}

/// The text of a member.
pub(super) fn text<'d>(value: Value<'d>, name: &str) -> Option<Cow<'d, str>> {
    value.get(name)?.as_str()
}

/// The code of a member.
pub(super) fn code<'d>(value: Value<'d>, name: &str) -> Option<&'d str> {
    value.get(name)?.plain_str()
}

/// A Coding; `None` without a code.
pub(super) fn coding(value: Value<'_>) -> Option<Coding> {
    Some(Coding {
        system: text(value, "system").unwrap_or_default().into_owned(),
        code: text(value, "code")?.into_owned(),
        display: text(value, "display").map(Cow::into_owned),
    })
}

/// The codings of a CodeableConcept.
pub(super) fn codings(concept: Value<'_>) -> impl Iterator<Item = Coding> {
    each(concept, "coding").filter_map(coding)
}

/// The codings of all CodeableConcepts in a list.
pub(super) fn concepts<'d>(value: Value<'d>, name: &str) -> impl Iterator<Item = Coding> + use<'d> {
    each(value, name).flat_map(codings)
}

/// A Reference's target: `Type/id` of this server, or another server's URL as it is. `None` for
/// what means nothing outside of its resource: contained, `urn:`, logical.
pub(super) fn reference(value: Value<'_>, base: &str) -> Option<String> {
    target(&text(value, "reference")?, base)
}

/// As [`reference`], of the text of a reference.
pub fn target(text: &str, base: &str) -> Option<String> {
    match Reference::parse_within(text, base)? {
        Reference::Local { kind, id, .. } => Some(format!("{}/{id}", kind.name())),
        Reference::Absolute { url, .. } => {
            let url = url.split_once("/_history/").map_or(url, |(head, _)| head);
            Some(url.to_owned())
        }
        _ => None,
    }
}

/// The type of a reference's target.
pub(super) fn kind_of(target: &str) -> Option<&str> {
    target.rsplit('/').nth(1)
}

/// One extension.
pub(super) struct Extension<'d> {
    /// Its place among its siblings.
    pub at: usize,
    pub url: Cow<'d, str>,
    pub value: Value<'d>,
}

impl<'d> Extension<'d> {
    /// Its `value[x]`, whatever its type.
    pub fn any_value(&self) -> Option<Value<'d>> {
        self.value
            .members()
            .find(|member| member.name().starts_with("value"))
    }

    /// Its value if it is of this type: `valueCode`.
    pub fn typed(&self, name: &str) -> Option<Value<'d>> {
        self.value.get(name)
    }
}

/// The extensions of an element.
pub(super) fn extensions<'d>(value: Value<'d>) -> impl Iterator<Item = Extension<'d>> + use<'d> {
    each(value, "extension")
        .enumerate()
        .filter_map(|(at, value)| {
            Some(Extension {
                at,
                url: text(value, "url")?,
                value,
            })
        })
}

/// One end of a Period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// A date: the wall-clock time at which it begins, or for an end the time at which it is over.
    Wall(civil::DateTime),
    /// An instant, in seconds since 1970.
    Exactly(i64),
}

impl Moment {
    /// Reads a dateTime. An end that is a date is the end of its day, month or year.
    pub fn parse(text: &str, is_end: bool) -> Option<Self> {
        const DATE: usize = "yyyy-MM-dd".len();
        let range = DateRange::parse(text)?;
        if text.len() > DATE {
            return Some(Self::Exactly(range.lo.div_euclid(1000)));
        }
        let ms = if is_end { range.hi + 1 } else { range.lo };
        let utc = Timestamp::from_millisecond(ms).ok()?;
        Some(Self::Wall(TimeZone::UTC.to_datetime(utc)))
    }

    /// In seconds since 1970, in a zone. A midnight that a zone skips is the first instant
    /// behind it.
    pub fn instant(self, zone: &TimeZone) -> Option<i64> {
        match self {
            Self::Exactly(second) => Some(second),
            Self::Wall(wall) => first_instant(wall, zone),
        }
    }

    /// As a wall-clock time of a zone.
    pub fn wall(self, zone: &TimeZone) -> Option<civil::DateTime> {
        match self {
            Self::Wall(wall) => Some(wall),
            Self::Exactly(second) => {
                let at = Timestamp::from_second(second).ok()?;
                Some(zone.to_datetime(at))
            }
        }
    }
}

/// When a wall-clock time comes first; in a gap, when the gap is over.
fn first_instant(wall: civil::DateTime, zone: &TimeZone) -> Option<i64> {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    if !matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
        return Some(ambiguous.earlier().ok()?.as_second());
    }
    // As far behind the transition as the wall-clock time is inside the gap, so not before it.
    let behind = ambiguous.compatible().ok()?.as_second();
    let next = Timestamp::from_second(behind + 1).ok()?;
    let transition = zone.preceding(next).next()?;
    Some(transition.timestamp().as_second())
}

/// The ends of a Period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ends {
    pub from: Option<Moment>,
    pub to: Option<Moment>,
}

impl Ends {
    /// Reads a Period.
    pub fn of(period: Value<'_>) -> Self {
        let end = |name, is_end| Moment::parse(code(period, name)?, is_end);
        Self {
            from: end("start", false),
            to: end("end", true),
        }
    }

    /// Neither end is said.
    pub fn is_open(self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// The end comes before the start, in whatever zone.
    pub fn is_backwards(self) -> bool {
        const DAY: i64 = 86_400;
        let utc = |moment: Option<Moment>| moment?.instant(&TimeZone::UTC);
        let (Some(from), Some(to)) = (utc(self.from), utc(self.to)) else {
            return false;
        };
        match (self.from, self.to) {
            (Some(Moment::Wall(_)), Some(Moment::Wall(_))) => to <= from,
            (Some(Moment::Exactly(_)), Some(Moment::Exactly(_))) => to < from,
            _ => to + DAY < from,
        }
    }

    /// In instants; an end that is not said is far away.
    pub fn span(self, zone: &TimeZone) -> Span {
        let at = |moment: Option<Moment>| moment?.instant(zone);
        Span::new(
            at(self.from).unwrap_or(FAR_PAST),
            at(self.to).unwrap_or(FAR_FUTURE),
        )
    }
}

/// A decimal member as a floating-point number.
pub(super) fn float(value: Value<'_>, name: &str) -> Option<f64> {
    value.get(name)?.number()?.parse().ok()
}

/// Why a Duration cannot be used: the member at fault, an issue code and a sentence.
pub(super) type DurationFault = (&'static str, &'static str, String);

/// The seconds of a Duration.
pub(super) fn duration(value: Value<'_>) -> Result<i64, DurationFault> {
    const UNITS: [(&str, i64); 5] = [
        ("s", 1),
        ("min", 60),
        ("h", 3600),
        ("d", 86_400),
        ("wk", 604_800),
    ];
    let Some(number) = value.get("value").and_then(|value| value.number()) else {
        return Err(("value", "required", "A Duration needs a value.".to_owned()));
    };
    if value.get("comparator").is_some() {
        let sentence = "A Duration here is exact; leave the comparator out.";
        return Err(("comparator", "value", sentence.to_owned()));
    }
    let system = text(value, "system");
    if system
        .as_deref()
        .is_some_and(|it| it != resources::ucum::SYSTEM)
    {
        let sentence = format!("The system of units must be {}.", resources::ucum::SYSTEM);
        return Err(("system", "value", sentence));
    }
    let Some(unit) = text(value, "code") else {
        let sentence = "A Duration needs a code (s, min, h, d or wk); 'unit' is only for people.";
        return Err(("code", "required", sentence.to_owned()));
    };
    let Some((_, factor)) = UNITS.iter().find(|(code, _)| *code == unit) else {
        let sentence = format!("'{unit}' is not s, min, h, d or wk.");
        return Err(("code", "code-invalid", sentence));
    };
    whole(number, *factor).ok_or_else(|| {
        let sentence = format!("{number} {unit} are not a whole number of seconds in range.");
        ("value", "value", sentence)
    })
}

/// `number` × `factor`, if it is whole and not too large.
fn whole(number: &str, factor: i64) -> Option<i64> {
    const LARGEST_POWER: u32 = 12;
    let number = Decimal::parse(number)?.normalised();
    let product = number.coefficient().checked_mul(i128::from(factor))?;
    let power = number.exponent().unsigned_abs();
    if power > LARGEST_POWER {
        return None;
    }
    let power = 10i128.pow(power);
    let whole = match number.exponent() {
        0.. => product.checked_mul(power)?,
        _ if product % power == 0 => product / power,
        _ => return None,
    };
    i64::try_from(whole).ok()
}
