use super::*;

/// What may follow, as the reference's table has it: `from: to to`.
const TABLE: &str = "
    proposed: pending booked waitlist cancelled entered-in-error
    pending: booked waitlist cancelled entered-in-error
    waitlist: pending booked cancelled entered-in-error
    booked: arrived checked-in noshow cancelled waitlist entered-in-error
    arrived: checked-in fulfilled noshow cancelled waitlist entered-in-error
    checked-in: fulfilled cancelled waitlist entered-in-error
    noshow: arrived fulfilled entered-in-error
    fulfilled: entered-in-error
    cancelled: entered-in-error
    entered-in-error:";

#[test]
fn every_pair_is_as_the_table_says() {
    let mut rows = 0;
    for row in TABLE.lines().filter(|row| !row.trim().is_empty()) {
        let (from, after) = row.split_once(':').unwrap();
        let from = Status::parse(from.trim()).unwrap();
        let after: Vec<_> = after
            .split_whitespace()
            .map(|code| Status::parse(code).unwrap())
            .collect();
        for to in Status::ALL {
            let is_legal = from == to || after.contains(&to);
            let checked = check_change(Some(from), to, false);
            assert_eq!(checked.is_ok(), is_legal, "{from} -> {to}");
            if let Err(illegal) = checked {
                assert_eq!(illegal.legal, after);
                assert!(!illegal.is_of_time);
            }
        }
        rows += 1;
    }
    assert_eq!(rows, Status::ALL.len());
    for to in Status::ALL {
        assert_eq!(check_change(None, to, true), Ok(()));
    }
}

#[test]
fn time_moves_only_before_somebody_came() {
    for (from, to, is_allowed) in [
        (Booked, Booked, true),
        (Pending, Booked, true),
        (Pending, Pending, true),
        (Proposed, Proposed, true),
        (Waitlist, Pending, true),
        (Booked, Cancelled, true),
        (Cancelled, Cancelled, true),
        (Booked, Arrived, false),
        (Arrived, Arrived, false),
        (CheckedIn, Fulfilled, false),
        (Fulfilled, Fulfilled, false),
        (NoShow, NoShow, false),
        (NoShow, EnteredInError, true),
    ] {
        let checked = check_change(Some(from), to, true);
        assert_eq!(checked.is_ok(), is_allowed, "{from} -> {to}");
        assert_eq!(
            check_change(Some(from), to, false),
            Ok(()),
            "{from} -> {to}"
        );
    }
    let illegal = check_change(Some(Booked), Arrived, true).unwrap_err();
    assert!(illegal.is_of_time);
    assert_eq!(illegal.legal, [Booked, Cancelled, Waitlist, EnteredInError]);
}

#[test]
fn the_sentence_names_what_is_legal() {
    for (from, to, time, sentence) in [
        (
            CheckedIn,
            Booked,
            false,
            "An appointment that is checked-in cannot become booked; it can become: fulfilled, \
             cancelled, waitlist, entered-in-error.",
        ),
        (
            EnteredInError,
            Booked,
            false,
            "An appointment that is entered-in-error stays so; it cannot become booked.",
        ),
        (
            Fulfilled,
            Fulfilled,
            true,
            "The time of an appointment that is fulfilled cannot change as it becomes or stays \
             fulfilled; it can with: entered-in-error.",
        ),
    ] {
        let illegal = check_change(Some(from), to, time).unwrap_err();
        assert_eq!(illegal.to_string(), sentence);
    }
    assert!(is_correction(NoShow, Arrived) && !is_correction(Booked, Arrived));
}

#[test]
fn codes_are_read_as_they_are_written() {
    for status in Status::ALL {
        assert_eq!(Status::parse(status.code()), Some(status));
    }
    for status in SlotStatus::ALL {
        assert_eq!(SlotStatus::parse(status.code()), Some(status));
    }
    assert_eq!(Status::parse("no-show"), None);
    assert_eq!(SlotStatus::parse("Free"), None);
}
