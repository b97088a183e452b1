//! Times that are said by several values: how long, from when, how often.

use super::{
    compile::names,
    leaf::number,
    part::Part,
    run::{Context, Run},
    tree::{Keys, Node, Object},
};
use crate::time;

/// A number and a unit as seconds. Units are those of SCH-10 and AIx (`min`, `MIN^Minutes^…`),
/// of UCUM, and words.
pub fn seconds(digits: &str, unit: &str) -> Option<i64> {
    let digits = number(digits)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let amount = whole.parse::<i64>().ok()?;
    let each = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "min" | "m" | "minute" | "minutes" | "mins" | "mi" => 60,
        "s" | "sec" | "second" | "seconds" => 1,
        "h" | "hr" | "hour" | "hours" | "hrs" => 3600,
        "d" | "day" | "days" => 86_400,
        "wk" | "w" | "week" | "weeks" => 604_800,
        _ => return None,
    };
    let part = match fraction
        .get(..1)
        .and_then(|digit| digit.parse::<i64>().ok())
    {
        Some(tenths) => each * tenths / 10,
        None => 0,
    };
    amount.checked_mul(each)?.checked_add(part)
}

/// A Period from a time, and to one so many seconds later if it is known.
pub fn period<'m>(
    run: &mut Run<'m>,
    start: &str,
    seconds: Option<i64>,
    context: &Context<'m>,
) -> Option<Node> {
    let read = match time::date_time(start, &run.site.zone) {
        Ok(read) => read,
        Err(problem) => {
            let place = run.place(context);
            run.note(place, problem);
            return None;
        }
    };
    let mut object = Object(vec![(names::START, Node::Text(read.text))]);
    if let (Some(from), Some(seconds)) = (read.instant, seconds.filter(|seconds| *seconds >= 0)) {
        let until = from.saturating_add(seconds.saturating_mul(1000));
        let zone = match read.offset {
            Some(offset) => offset.to_time_zone(),
            None => run.site.zone.clone(),
        };
        if let Some(until) = time::of_instant(until, &zone) {
            object.0.push((names::END, Node::Text(until)));
        }
    }
    Some(Node::Object(object))
}

/// The bounds of an appointment (SCH-11 in a message before 2.5, TQ1): start, end and minutes.
/// What the time needs is from TQ1-7, 8 and 6 or TQ.4, 5 and 3, then from SCH-9 and 10.
pub fn bounds<'m>(run: &mut Run<'m>, context: &Context<'m>) -> Option<Node> {
    let segment = context.segment;
    let (start, end, length) = match segment.name() {
        "TQ1" => {
            let duration = segment.field(6);
            let seconds = seconds(&duration.component(1).text(), &duration.component(2).text());
            (segment.field(7).text(), segment.field(8).text(), seconds)
        }
        _ => {
            let own = context.own;
            (
                own.part(4).text(),
                own.part(5).text(),
                of_tq(&own.part(3).text()),
            )
        }
    };
    let length = length.or_else(|| {
        let sch = run.message.first("SCH")?;
        seconds(&sch.field(9).text(), &sch.field(10).text()).filter(|seconds| *seconds > 0)
    });
    let mut made = Object::default();
    if !start.trim().is_empty()
        && let Some(Node::Object(period)) = period(run, &start, length, context)
    {
        made.0 = period.0;
    }
    // What the tables call an instant needs a time of day.
    let is_day = |node: &Node| matches!(node, Node::Text(text) if text.len() <= 10);
    if made.get(names::START).is_some_and(is_day) {
        let place = run.place(context);
        run.note(
            place,
            "an appointment begins at a time of day, not on a day",
        );
        made.0.clear();
    }
    if !end.trim().is_empty() {
        match time::date_time(&end, &run.site.zone) {
            Ok(read) if read.is_instant() => {
                *made.slot(names::END) = Node::Text(read.text);
            }
            Ok(_) => {}
            Err(problem) => {
                let place = run.place(context);
                run.note(place, problem);
            }
        }
    }
    if made.get(names::END).is_some() != made.get(names::START).is_some() {
        // FHIR wants both or none. A start without an end is kept as a period asked for.
        let start = made.0.iter().position(|(name, _)| *name == names::START);
        if start.is_none() {
            made.0.clear();
        }
    }
    (!made.is_empty()).then_some(Node::Object(made))
}

/// `M30`, `H2`, `D1`: how TQ.3 says a duration.
fn of_tq(text: &str) -> Option<i64> {
    let text = text.trim();
    let (unit, digits) = text.split_at_checked(1)?;
    match unit {
        "M" | "H" | "D" | "W" | "S" => seconds(digits, unit),
        _ => None,
    }
}

/// When a resource is needed: start (or offset from the appointment's) and duration of AIS, AIG,
/// AIL and AIP.
pub fn resource_period<'m>(run: &mut Run<'m>, context: &Context<'m>) -> Option<Node> {
    let segment = context.segment;
    // AIS and AIx have the start at different fields; offset, its unit, duration and its unit
    // follow.
    let at = context.field as usize;
    let start = segment.field(at).text();
    let length = seconds(&segment.field(at + 3).text(), &segment.field(at + 4).text());
    if !start.trim().is_empty() {
        return period(run, &start, length, context);
    }
    None
}

/// A Period so long after the appointment's start as AIx-7 (AIG-9, AIS-5) and its unit say.
pub fn offset<'m>(run: &mut Run<'m>, context: &Context<'m>) -> Option<Node> {
    let start = run.out.get(context.resource)?.root.get(names::START)?;
    let Node::Text(start) = start else {
        return None;
    };
    let zone = match start.get(19..).and_then(time::offset) {
        Some(offset) => offset.to_time_zone(),
        None => run.site.zone.clone(),
    };
    let start = start.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    let at = context.field as usize;
    let of = |at: usize| {
        let (digits, unit) = (context.segment.field(at), context.segment.field(at + 1));
        seconds(&digits.text(), &unit.text())
    };
    let from = start.saturating_add(of(at)?.saturating_mul(1000));
    let mut object = Object(vec![(
        names::START,
        Node::Text(time::of_instant(from, &zone)?),
    )]);
    if let Some(length) = of(at + 2) {
        let until = from.saturating_add(length.saturating_mul(1000));
        object
            .0
            .push((names::END, Node::Text(time::of_instant(until, &zone)?)));
    }
    Some(Node::Object(object))
}

/// Start and end of the appointment by its service (AIS), for messages whose SCH-11 and TQ1 say
/// nothing.
pub fn service<'m>(run: &mut Run<'m>, context: &Context<'m>) -> Option<Node> {
    let made = resource_period(run, context)?;
    match &made {
        Node::Object(object) => {
            let is_moment =
                matches!(object.get(names::START), Some(Node::Text(text)) if text.len() > 10);
            is_moment.then_some(made)
        }
        _ => None,
    }
}

/// When something is done: RPT, RI or TQ as a Timing.
pub fn timing<'m>(run: &mut Run<'m>, context: &Context<'m>) -> Option<Node> {
    let own = context.own;
    let mut made = Object::default();
    let code = own.part(1);
    if code.is_valued() {
        let text = code.text();
        if let Some((frequency, period, unit)) = pattern(&text) {
            let slot = made.slot(names::REPEAT);
            *slot = Node::Object(Object(vec![
                (names::FREQUENCY, Node::Number(frequency.to_string())),
                (names::PERIOD, Node::Number(period.to_string())),
                (names::PERIOD_UNIT, Node::Text(unit.to_owned())),
            ]));
        }
        let mut keys = Keys::default();
        let _ = &mut keys;
        let concept = Object(vec![(names::TEXT, Node::Text(text.into_owned()))]);
        *made.slot(names::CODE) = Node::Object(concept);
    }
    let _ = Part::repetition;
    let _ = run;
    (!made.is_empty()).then_some(Node::Object(made))
}

/// Repeat patterns (table 0335) that say how often: `Q6H`, `BID`, `QD`.
fn pattern(text: &str) -> Option<(u32, u32, &'static str)> {
    let upper = text.trim().to_ascii_uppercase();
    Some(match upper.as_str() {
        "QD" | "DAILY" | "ONCE DAILY" | "Q1D" => (1, 1, "d"),
        "BID" => (2, 1, "d"),
        "TID" => (3, 1, "d"),
        "QID" => (4, 1, "d"),
        "QOD" => (1, 2, "d"),
        _ => {
            let inner = upper.strip_prefix('Q')?;
            let unit = match inner.chars().last()? {
                'S' => "s",
                'M' => "min",
                'H' => "h",
                'D' => "d",
                'W' => "wk",
                'L' => "mo",
                _ => return None,
            };
            let digits = &inner[..inner.len() - 1];
            let count = if digits.is_empty() {
                1
            } else {
                digits.parse().ok()?
            };
            (count > 0).then_some((1, count, unit))?
        }
    })
}
