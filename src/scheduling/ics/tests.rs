use proptest::prelude::*;
use resources::Doc;

use super::*;

/// A property as a reader of calendars sees it.
#[derive(Debug, PartialEq)]
struct Property {
    name: String,
    parameters: Vec<(String, String)>,
    value: String,
}

/// Reads a calendar as RFC 5545 has it: lines unfolded, parameters split outside of quotes.
fn read(text: &str) -> Vec<Property> {
    assert!(text.ends_with("\r\n"));
    let bare = text.replace("\r\n", "");
    assert!(
        !bare.contains(['\r', '\n']),
        "a line break that is none: {text:?}"
    );
    for line in text.split_terminator("\r\n") {
        assert!(line.len() <= 75, "{} octets: {line}", line.len());
    }
    let unfolded = text.replace("\r\n ", "");
    unfolded.split_terminator("\r\n").map(property).collect()
}

fn property(line: &str) -> Property {
    let mut quoted = false;
    let mut parts = vec![String::new()];
    let mut rest = line.char_indices();
    let colon = loop {
        let (at, c) = rest.next().unwrap_or_else(|| panic!("no value: {line}"));
        match c {
            '"' => quoted = !quoted,
            ':' if !quoted => break at,
            ';' if !quoted => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    };
    let name = parts.remove(0);
    let parameters = parts.iter().map(|part| {
        let (name, value) = part.split_once('=').unwrap();
        let value = value
            .replace("^'", "\"")
            .replace("^n", "\n")
            .replace("^^", "^");
        (name.to_owned(), value)
    });
    Property {
        name,
        parameters: parameters.collect(),
        value: line[colon + 1..].to_owned(),
    }
}

/// TEXT without its escapes.
fn unescape(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next().unwrap() {
                'n' | 'N' => out.push('\n'),
                c @ ('\\' | ';' | ',') => out.push(c),
                other => panic!("\\{other} is no escape: {value}"),
            },
            ';' | ',' => panic!("{c} must be escaped: {value}"),
            c => out.push(c),
        }
    }
    out
}

fn value<'p>(read: &'p [Property], name: &str) -> Option<&'p str> {
    let found = read.iter().find(|property| property.name == name)?;
    Some(&found.value)
}

fn feed() -> Purpose {
    Purpose::Feed {
        name: "Dr. Weiß; heart".to_owned(),
    }
}

fn event() -> Event {
    Event {
        uid: "a1@clinic.example".to_owned(),
        sequence: 3,
        stamp: 1_795_515_000,
        span: Span::new(1_795_593_600, 1_795_595_400),
        state: State::Confirmed,
        summary: "Appointment".to_owned(),
        description: None,
        location: None,
        url: None,
        attendees: Vec::new(),
    }
}

#[test]
fn a_feed_is_written_as_it_should() {
    assert_eq!(
        write(&feed(), &[event()]),
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Rotunda//Scheduling//EN\r\n\
         CALSCALE:GREGORIAN\r\nNAME:Dr. Weiß\\; heart\r\nX-WR-CALNAME:Dr. Weiß\\; heart\r\n\
         REFRESH-INTERVAL;VALUE=DURATION:PT15M\r\nX-PUBLISHED-TTL:PT15M\r\nBEGIN:VEVENT\r\n\
         UID:a1@clinic.example\r\nSEQUENCE:3\r\nDTSTAMP:20261124T101000Z\r\n\
         LAST-MODIFIED:20261124T101000Z\r\nDTSTART:20261125T080000Z\r\n\
         DTEND:20261125T083000Z\r\nSTATUS:CONFIRMED\r\nTRANSP:OPAQUE\r\nCLASS:PRIVATE\r\n\
         SUMMARY:Appointment\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    );
}

#[test]
fn invitations_and_cancellations() {
    let organizer = Person {
        address: "mailto:desk@clinic.example".to_owned(),
        name: Some("Clinic \"North\": desk^1".to_owned()),
    };
    let mut visit = event();
    visit.attendees.push(Attendee {
        person: Person {
            address: "mailto:ada@home.example".to_owned(),
            name: None,
        },
        acceptance: Acceptance::NeedsAction,
        presence: Presence::Required,
        is_asked: true,
    });
    for (purpose, method, status, transparency) in [
        (
            Purpose::Request {
                organizer: organizer.clone(),
            },
            "REQUEST",
            "CONFIRMED",
            "OPAQUE",
        ),
        (
            Purpose::Cancel { organizer },
            "CANCEL",
            "CANCELLED",
            "TRANSPARENT",
        ),
    ] {
        let text = write(&purpose, &[visit.clone()]);
        let read = read(&text);
        assert_eq!(value(&read, "METHOD"), Some(method));
        assert_eq!(value(&read, "STATUS"), Some(status));
        assert_eq!(value(&read, "TRANSP"), Some(transparency));
        assert_eq!(value(&read, "UID"), Some("a1@clinic.example"));
        let organizer = read.iter().find(|it| it.name == "ORGANIZER").unwrap();
        assert_eq!(organizer.value, "mailto:desk@clinic.example");
        assert_eq!(
            organizer.parameters,
            [("CN".to_owned(), "Clinic \"North\": desk^1".to_owned())]
        );
        let attendee = read.iter().find(|it| it.name == "ATTENDEE").unwrap();
        assert_eq!(attendee.value, "mailto:ada@home.example");
        assert!(
            text.contains("ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto")
        );
    }
}

#[test]
fn nothing_in_a_value_makes_a_line() {
    let mut hostile = event();
    let inject = "x\r\nEND:VEVENT\r\nBEGIN:VALARM\nATTACH:evil";
    hostile.uid = inject.to_owned();
    hostile.summary = inject.to_owned();
    hostile.description = Some(inject.to_owned());
    hostile.location = Some(inject.to_owned());
    hostile.url = Some(inject.to_owned());
    hostile.attendees.push(Attendee {
        person: Person {
            address: inject.to_owned(),
            name: Some(inject.to_owned()),
        },
        acceptance: Acceptance::Accepted,
        presence: Presence::Optional,
        is_asked: false,
    });
    let organizer = Person {
        address: inject.to_owned(),
        name: Some(inject.to_owned()),
    };
    let read = read(&write(&Purpose::Request { organizer }, &[hostile]));
    for name in ["BEGIN", "END"] {
        let found: Vec<_> = read
            .iter()
            .filter(|it| it.name == name)
            .map(|it| it.value.as_str())
            .collect();
        let mut expected = vec!["VCALENDAR", "VEVENT"];
        if name == "END" {
            expected.reverse();
        }
        assert_eq!(found, expected);
    }
    assert!(value(&read, "ATTACH").is_none());
    assert_eq!(
        unescape(value(&read, "SUMMARY").unwrap()),
        "x\nEND:VEVENT\nBEGIN:VALARM\nATTACH:evil"
    );
    assert_eq!(
        value(&read, "URL"),
        Some("x%0D%0AEND:VEVENT%0D%0ABEGIN:VALARM%0AATTACH:evil")
    );
}

const VISIT: &str = r#"{"resourceType":"Appointment","id":"a","status":"booked",
    "serviceType":[{"coding":[{"code":"ecg","display":"ECG"}]}],
    "start":"2026-11-25T09:00:00+01:00","end":"2026-11-25T09:30:00+01:00",
    "participant":[
        {"actor":{"reference":"Patient/p","display":"Ada Lovelace"},"status":"accepted"},
        {"actor":{"reference":"Practitioner/d","display":"Dr Weiß"},"status":"accepted"},
        {"actor":{"reference":"Location/r","display":"Room 5"},"status":"accepted"}]}"#;

fn made(text: &str, version: u32, detail: Detail<'_>) -> Option<Event> {
    let read = Appointment::read(&Doc::parse(text).unwrap(), "").unwrap();
    let identity = Identity {
        id: "a",
        host: "clinic.example",
        version,
        updated: 1_795_515_000,
    };
    Event::of(&read, identity, detail)
}

#[test]
fn an_event_tells_nothing_unless_asked() {
    let plain = made(VISIT, 1, Detail::Time).unwrap();
    let text = write(&feed(), std::slice::from_ref(&plain));
    for word in ["ECG", "Ada", "Lovelace", "Room", "Patient"] {
        assert!(!text.contains(word), "{word}");
    }
    assert_eq!(
        (plain.uid.as_str(), plain.sequence),
        ("a@clinic.example", 0)
    );
    let patients = made(
        VISIT,
        4,
        Detail::All {
            reader: "Patient/p",
        },
    )
    .unwrap();
    assert_eq!(patients.summary, "ECG: Dr Weiß");
    assert_eq!(patients.location.as_deref(), Some("Room 5"));
    // The same event, later.
    assert_eq!(
        (patients.uid.as_str(), patients.sequence),
        ("a@clinic.example", 3)
    );
    let doctors = made(
        VISIT,
        4,
        Detail::All {
            reader: "Practitioner/d",
        },
    )
    .unwrap();
    assert_eq!(doctors.summary, "ECG: Ada Lovelace");
}

#[test]
fn states_follow_from_the_status() {
    for (status, state) in [
        ("proposed", State::Tentative),
        ("pending", State::Tentative),
        ("waitlist", State::Tentative),
        ("booked", State::Confirmed),
        ("arrived", State::Confirmed),
        ("checked-in", State::Confirmed),
        ("fulfilled", State::Confirmed),
        ("noshow", State::Confirmed),
        ("cancelled", State::Cancelled),
        ("entered-in-error", State::Cancelled),
    ] {
        let text = VISIT.replace("booked", status);
        assert_eq!(
            made(&text, 1, Detail::Time).unwrap().state,
            state,
            "{status}"
        );
    }
    let timeless = r#"{"resourceType":"Appointment","status":"waitlist","participant":[]}"#;
    assert_eq!(made(timeless, 1, Detail::Time), None);
    let mut point = event();
    point.span.end = point.span.start;
    assert!(!write(&feed(), &[point]).contains("DTEND"));
}

proptest! {
    #[test]
    fn any_text_is_read_again_as_it_was(
        summary in "\\PC{0,200}",
        lines in "[a-zß€😀;,:\\\\\"\n ]{0,300}",
        name in "[a-zß€😀;,:'\\\\\"\n ^]{0,120}",
    ) {
        let mut visit = event();
        visit.summary.clone_from(&summary);
        visit.description = Some(lines.clone());
        let organizer = Person { address: "mailto:a@b.example".to_owned(), name: Some(name.clone()) };
        let read = read(&write(&Purpose::Request { organizer }, &[visit]));
        prop_assert_eq!(unescape(value(&read, "SUMMARY").unwrap()), summary);
        prop_assert_eq!(unescape(value(&read, "DESCRIPTION").unwrap()), lines);
        let organizer = read.iter().find(|it| it.name == "ORGANIZER").unwrap();
        prop_assert_eq!(&organizer.value, "mailto:a@b.example");
        prop_assert_eq!(organizer.parameters.len(), 1);
    }
}
