//! Times that are said by several values: how long, from when, how often.

use super::{
    leaf::number,
    names,
    run::{Context, Run},
    tree::{Node, Object},
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

/// When something is done: TQ, or RPT of TQ1-3, as a Timing.
pub fn timing<'m>(run: &mut Run<'m>, context: &Context<'m>) -> Option<Node> {
    let own = context.own;
    let is_tq = context.segment.name() != "TQ1";
    let mut repeat = Object::default();
    let mut made = Object::default();
    // RPT.1 and the first part of TQ.2 are the pattern; TQ.1 is a quantity.
    let (code, times) = match is_tq {
        true => (own.part(2).part(1), own.part(2).part(2)),
        false => (own.part(1), own.part(3).part(9)),
    };
    if code.is_valued() {
        let text = match code.part(2).is_valued() && !is_tq {
            true => code.part(2).text(),
            false => code.part(1).text(),
        };
        if let Some((frequency, period, unit)) = pattern(&code.part(1).text()) {
            let number = |number: u32| Node::Number(number.to_string());
            repeat.0.push((names::FREQUENCY, number(frequency)));
            repeat.0.push((names::PERIOD, number(period)));
            repeat
                .0
                .push((names::PERIOD_UNIT, Node::Text(unit.to_owned())));
        }
        let concept = Object(vec![(names::TEXT, Node::Text(text.into_owned()))]);
        made.0.push((names::CODE, Node::Object(concept)));
    }
    if is_tq && times.is_valued() {
        let clocks: Vec<(u64, Node)> = times
            .text()
            .split(',')
            .enumerate()
            .filter_map(|(at, clock)| Some((at as u64, Node::Text(time::time_of_day(clock).ok()?))))
            .collect();
        if !clocks.is_empty() {
            repeat.0.push((names::TIME_OF_DAY, Node::List(clocks)));
        }
    }
    if is_tq {
        let mut bounds = Object::default();
        for (number, name) in [(4, names::START), (5, names::END)] {
            let text = own.part(number).text();
            if text.is_empty() {
                continue;
            }
            match time::date_time(&text, &run.site.zone) {
                Ok(read) => bounds.0.push((name, Node::Text(read.text))),
                Err(problem) => {
                    let place = run.place(context);
                    run.note(place, problem);
                }
            }
        }
        if !bounds.is_empty() {
            repeat.0.push((names::BOUNDS_PERIOD, Node::Object(bounds)));
        } else if let Some((digits, unit)) = length_of_tq(&own.part(3).text()) {
            let uri = Node::Text("http://unitsofmeasure.org".to_owned());
            repeat.0.push((
                names::BOUNDS_DURATION,
                Node::Object(Object(vec![
                    (names::VALUE, Node::Number(digits)),
                    (names::UNIT, Node::Text(unit.to_owned())),
                    (names::SYSTEM, uri),
                    (names::CODE, Node::Text(unit.to_owned())),
                ])),
            ));
        }
        if let Ok(count) = own.part(12).text().parse::<u32>()
            && count > 0
        {
            repeat
                .0
                .push((names::COUNT, Node::Number(count.to_string())));
        }
    }
    if !repeat.is_empty() {
        made.0.push((names::REPEAT, Node::Object(repeat)));
    }
    (!made.is_empty()).then_some(Node::Object(made))
}

/// `D10`, `H2`: how TQ.3 says for how long, as a number and a unit of UCUM.
fn length_of_tq(text: &str) -> Option<(String, &'static str)> {
    let (unit, digits) = text.trim().split_at_checked(1)?;
    let unit = match unit {
        "S" => "s",
        "M" => "min",
        "H" => "h",
        "D" => "d",
        "W" => "wk",
        "L" => "mo",
        _ => return None,
    };
    Some((number(digits)?, unit))
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
