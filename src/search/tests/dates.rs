use proptest::prelude::*;
use resources::{index::key, primitive::DateRange};

use crate::search::{
    date::{self, Span},
    plan::KeyRange,
    prefix::Prefix,
};

const PREFIXES: [Prefix; 9] = [
    Prefix::Eq,
    Prefix::Ne,
    Prefix::Gt,
    Prefix::Lt,
    Prefix::Ge,
    Prefix::Le,
    Prefix::Sa,
    Prefix::Eb,
    Prefix::Ap,
];

/// R4 `search.html#prefix`, word by word: `search` and `target` are ranges of time.
fn by_the_standard(prefix: Prefix, search: DateRange, target: DateRange, now: i64) -> bool {
    let within = search.contains(&target);
    let above_meets = target.hi > search.hi;
    let below_meets = target.lo < search.lo;
    match prefix {
        Prefix::Eq => within,
        Prefix::Ne => !within,
        Prefix::Gt => above_meets,
        Prefix::Lt => below_meets,
        Prefix::Ge => above_meets || within,
        Prefix::Le => below_meets || within,
        Prefix::Sa => !search.overlaps(&target) && target.lo > search.hi,
        Prefix::Eb => !search.overlaps(&target) && target.hi < search.lo,
        Prefix::Ap => DateRange {
            lo: search.lo - (now - search.lo).abs() / 10,
            hi: search.hi + (now - search.hi).abs() / 10,
        }
        .overlaps(&target),
    }
}

fn found(ranges: &[KeyRange], target: DateRange) -> bool {
    let keys = [Some(key::date(target)), key::date_wide(target)];
    let mut keys = keys.iter().flatten();
    keys.any(|key| ranges.iter().any(|range| range.holds(key)))
}

fn date(text: &str) -> DateRange {
    DateRange::parse(text).unwrap()
}

/// A period from the start of one date to the end of another; `..` is open.
fn target(text: &str) -> DateRange {
    match text.split_once("..") {
        None => date(text),
        Some((from, to)) => DateRange {
            lo: if from.is_empty() {
                i64::MIN
            } else {
                date(from).lo
            },
            hi: if to.is_empty() { i64::MAX } else { date(to).hi },
        },
    }
}

#[test]
fn each_prefix_compares_ranges_as_the_standard_says() {
    let search = "2013-03";
    for (value, matching) in [
        ("2013-03-15", "eq ge le ap"),
        ("2013-03", "eq ge le ap"),
        ("2013-03-01T00:00:00Z", "eq ge le ap"),
        ("2013-03-31T23:59:59.999Z", "eq ge le ap"),
        ("2013-04-01T00:00:00Z", "ne gt ge sa ap"),
        ("2013-02-28", "ne lt le eb ap"),
        ("2013", "ne gt lt ge le ap"),
        ("2013-02-01..2013-03-15", "ne lt le ap"),
        ("2013-03-15..2013-04-15", "ne gt ge ap"),
        ("2013-03-20..", "ne gt ge ap"),
        ("..2013-03-20", "ne lt le ap"),
        ("2020..", "ne gt ge sa"),
        ("..2000", "ne lt le eb"),
        ("..", "ne gt lt ge le ap"),
        ("2025", "ne gt ge sa"),
        ("1990", "ne lt le eb"),
    ] {
        for (prefix, name) in PREFIXES
            .into_iter()
            .zip(["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
        {
            let ranges = date::ranges(&date::spans(prefix, date(search), super::NOW));
            let expected = matching.split(' ').any(|matching| matching == name);
            assert_eq!(
                found(&ranges, target(value)),
                expected,
                "{name}{search} and {value}"
            );
        }
    }
}

fn any_date() -> impl Strategy<Value = DateRange> {
    const HOUR: i64 = 3_600_000;
    let start = -400_000i64..400_000;
    let width = prop_oneof![0i64..3, 20i64..30, 0i64..20_000];
    (start, width, 0..HOUR, 0..8u8).prop_map(|(start, width, more, open)| DateRange {
        lo: if open == 0 { i64::MIN } else { start * HOUR },
        hi: if open == 1 {
            i64::MAX
        } else {
            (start + width) * HOUR + more
        },
    })
}

fn closed(range: DateRange) -> bool {
    range.lo > i64::MIN && range.hi < i64::MAX
}

proptest! {
    #[test]
    fn keys_find_what_the_standard_defines(
        search in any_date().prop_filter("closed", |range| closed(*range)),
        target in any_date(),
        now in -10_000_000_000i64..10_000_000_000,
    ) {
        for prefix in PREFIXES {
            let spans = date::spans(prefix, search, now);
            let expected = by_the_standard(prefix, search, target, now);
            prop_assert_eq!(spans.iter().any(|span| span.holds(target)), expected);
            prop_assert_eq!(found(&date::ranges(&spans), target), expected, "{:?}", prefix);
        }
    }

    #[test]
    fn two_conditions_met_in_one_are_both_conditions(
        a in any_date().prop_filter("closed", |range| closed(*range)),
        b in any_date().prop_filter("closed", |range| closed(*range)),
        target in any_date(),
    ) {
        for first in PREFIXES {
            for second in PREFIXES {
                let (one, other) = (date::spans(first, a, 0), date::spans(second, b, 0));
                let holds = |spans: &[Span]| spans.iter().any(|span| span.holds(target));
                let both = date::ranges(&date::meet(&one, &other));
                prop_assert_eq!(found(&both, target), holds(&one) && holds(&other));
            }
        }
    }
}
