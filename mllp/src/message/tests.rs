#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

use super::*;

fn parse(raw: impl Into<Vec<u8>>) -> Message {
    Message::parse(Bytes::from(raw.into()), &Reading::default()).unwrap()
}

fn refused(raw: &[u8]) -> String {
    let error = Message::parse(Bytes::copy_from_slice(raw), &Reading::default());
    error.unwrap_err().to_string()
}

#[test]
fn delimiters() {
    let of = |raw: &str| {
        let message = parse(raw);
        let sender = message.msh().field(3).text().into_owned();
        (message.delimiters().marks(), sender, message.notes().len())
    };
    assert_eq!(of(r"MSH|^~\&|A"), (r"^~\&".into(), "A".into(), 0));
    assert_eq!(of(r"MSH|^~\&#|A"), (r"^~\&#".into(), "A".into(), 0));
    assert_eq!(of(r"MSH|^~|A"), ("^~".into(), "A".into(), 0));
    assert_eq!(of(r"MSH|^~\|A"), (r"^~\".into(), "A".into(), 0));
    assert_eq!(of(r"MSH#@*\%#A"), (r"@*\%".into(), "A".into(), 0));
    assert_eq!(of(r"MSH|^~\\&|A"), (r"^~\&".into(), "A".into(), 1));
    assert_eq!(
        of("\u{FEFF} \r\n\u{B}MSH|^~\\&|A"),
        (r"^~\&".into(), "A".into(), 0)
    );
    let message = parse(r"MSH|^~\&|A");
    assert_eq!(message.msh().field(1).text(), "|");
    assert_eq!(message.msh().field(2).text(), r"^~\&");
    assert_eq!(message.msh().field(2).component(1).raw(), r"^~\&");
    for bad in [
        "",
        "MSH",
        "MSH|",
        "MSH|^",
        "MSH|ab|",
        "MSHA^~A",
        "MSH|^~\\&#@!|",
        "PID|1",
        "<x/>",
    ] {
        assert!(!refused(bad.as_bytes()).is_empty());
    }
    assert!(refused(b"EVN|A01").contains("`EVN|A01`"));
}

#[test]
fn parts_and_places() {
    let message = parse("MSH|^~\\&\rPID|||1^^^A&1.2&ISO~2||N^M\rOBX|1\rOBX|2||||\"\"~x^y&z\r");
    let get = |place| message.get(place).unwrap();
    assert_eq!(get("PID-3.1").text(), "1");
    assert_eq!(get("PID-3[2].1").text(), "2");
    assert_eq!(get("PID-3.4.2").text(), "1.2");
    assert_eq!(get("PID-3.4").text(), "A");
    assert_eq!(get("PID-3.9").text(), "");
    assert!(get("OBX[2]-5").repetition(1).is_null());
    assert!(!get("OBX[2]-5").is_null());
    assert_eq!(get("OBX[2]-5[2].2.2").text(), "z");
    assert_eq!(get("OBX[2]-5[2]").full_text(), "x^y&z");
    assert_eq!(get("MSH-1").text(), "|");
    for place in [
        "OBX[3]-1",
        "ZZZ-1",
        "PID",
        "PID-",
        "PID-x",
        "PID-3[",
        "PID-3.0",
        "PID-3.1.1.1",
    ] {
        assert!(message.get(place).is_none(), "{place}");
    }
    let places: Vec<String> = message
        .segments()
        .flat_map(|segment| segment.filled().map(|(_, value)| value).collect::<Vec<_>>())
        .flat_map(|field| field.repetitions().collect::<Vec<_>>())
        .flat_map(|repetition| repetition.components().collect::<Vec<_>>())
        .flat_map(|component| component.subcomponents().collect::<Vec<_>>())
        .map(|value| value.place())
        .collect();
    let expected = "MSH-1 MSH-2 PID-3.1.1 PID-3.4.1 PID-3.4.2 PID-3.4.3 PID-3[2].1.1 PID-5.1.1 \
                    PID-5.2.1 OBX-1.1.1 OBX[2]-1.1.1 OBX[2]-5.1.1 OBX[2]-5[2].1.1 \
                    OBX[2]-5[2].2.1 OBX[2]-5[2].2.2";
    assert_eq!(places.join(" "), expected);
    for place in places {
        assert_eq!(message.get(&place).unwrap().place(), place);
    }
}

#[test]
fn segments_that_are_not() {
    let message = parse("MSH|^~\\&\nPV1\n\n\rPID |1\r\n pid|2\nnte\nand so on|x\rZX1|1\rMSH|^~\\&");
    let names: Vec<_> = message.segments().map(|segment| segment.name()).collect();
    assert_eq!(
        names,
        ["MSH", "PV1", "PID", "PID", "nte", "and so on", "ZX1", "MSH"]
    );
    let notes: Vec<_> = message
        .notes()
        .iter()
        .map(|note| note.place.as_str())
        .collect();
    assert_eq!(
        notes,
        ["PID", "PID[2]", "PID[2]", "line 5", "line 6", "MSH[2]"]
    );
    assert_eq!(message.get("PID[2]-1").unwrap().text(), "2");
    assert_eq!(format!("{:?}", message.segment(5).unwrap()), "line 6");
}

#[test]
fn notes_are_bounded() {
    let mut raw = b"MSH|^~\\&\r".to_vec();
    raw.extend(b"what\r".repeat(100_000 - 1));
    let message = parse(raw.clone());
    assert_eq!(message.notes().len(), Message::MOST_NOTES + 1);
    raw.extend(b"what\r");
    assert!(refused(&raw).contains("100000 segments"));
}

fn charset(name: &[u8], content: &[u8]) -> (String, &'static str, String) {
    let mut raw = b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5||||||".to_vec();
    raw.extend(name);
    raw.extend(b"\rPID|");
    raw.extend(content);
    raw.extend(b"|x");
    let message = parse(raw);
    let text = message.get("PID-1").unwrap().full_text().into_owned();
    assert_eq!(message.get("PID-2").unwrap().text(), "x");
    let notes: Vec<_> = message
        .notes()
        .iter()
        .map(|note| note.text.as_str())
        .collect();
    (text, message.encoding().name(), notes.join("; "))
}

#[test]
fn character_sets() {
    let is = |name: &str, content: &[u8], text: &str, encoding: &str| {
        let expected = (text.to_owned(), encoding, String::new());
        assert_eq!(charset(name.as_bytes(), content), expected, "{name}");
    };
    is("", "Zoë".as_bytes(), "Zoë", "UTF-8");
    is("UNICODE UTF-8", "Zoë".as_bytes(), "Zoë", "UTF-8");
    is("8859/1", b"Zo\xEB", "Zoë", "windows-1252");
    is("8859/7", b"\xD9", "Ω", "ISO-8859-7");
    is("8859/15", b"\xA4", "€", "ISO-8859-15");
    // The second byte of the one is a backslash, of the other a bar.
    is("BIG-5", b"\xB3\x5C\xA4\x7C", "許弋", "Big5");
    is("GB 18030-2000", b"\xD5\xC5", "张", "gb18030");
    is("KS X 1001", b"\xB1\xE8", "김", "EUC-KR");
    is("Shift_JIS", b"\x83\x5C\x83\x7C", "ソポ", "Shift_JIS");
    is("~ISO IR87", b"A\x1B$B;3ED\x1B(BZ", "A山田Z", "ISO-2022-JP");
    is(
        "~ISO IR87~ISO IR159",
        b"\x1B$(D\x30\x21\x1B(B",
        "丂",
        "ISO-2022-JP",
    );
    is("ISO IR14", b"\xD4\xCF\xC0\xDE", "ﾔﾏﾀﾞ", "ISO-2022-JP");
    is(
        "8859/1~8859/5",
        b"\xE9\x1B-L\xB8\x1B-A\xE9",
        "éИé",
        "windows-1252",
    );
    let noted = |name: &str, content: &[u8]| charset(name.as_bytes(), content);
    let (text, encoding, note) = noted("", b"Zo\xEB");
    assert_eq!((text.as_str(), encoding), ("Zoë", "windows-1252"));
    assert_eq!(note, "the bytes are not UTF-8: read as windows-1252");
    let (text, encoding, note) = noted("8859/1", "Zoë".as_bytes());
    assert_eq!((text.as_str(), encoding), ("Zoë", "UTF-8"));
    assert_eq!(note, "the bytes are UTF-8, not Latin-1");
    let (text, _, note) = noted("ASCII", "Zoë".as_bytes());
    assert_eq!(
        (text.as_str(), note.as_str()),
        ("Zoë", "bytes above 127, and MSH-18 says `ASCII`")
    );
    let (_, _, note) = noted("KLINGON", b"abc");
    assert_eq!(note, "no character set `KLINGON` is known here");
    let (text, _, note) = noted("UNICODE UTF-16", b"abc");
    assert_eq!(
        (text.as_str(), note.as_str()),
        ("abc", "the bytes are ASCII, not `UNICODE UTF-16`")
    );
    let (text, _, note) = noted("", b"\x1B$B;3ED\x1B(B");
    assert_eq!(text, "山田");
    assert!(note.contains("ISO 2022"));
    // A set that is not left before the line ends.
    let mut raw =
        b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5||||||~ISO IR87\rPID|\x1B$B;3ED\rPV1|x".to_vec();
    assert_eq!(parse(raw.clone()).get("PV1-1").unwrap().text(), "x");
    raw.truncate(raw.len() - 7);
    assert!(!parse(raw).notes().is_empty());
}

#[test]
fn escapes() {
    let of = |raw: &str| {
        let message = parse(format!("MSH|^~\\&#\rNTE|1||{raw}"));
        let mut notes = Vec::new();
        let text = message
            .get("NTE-3")
            .unwrap()
            .text_noted(&mut notes)
            .into_owned();
        (text, notes.len())
    };
    let plain = |raw, text: &str| assert_eq!(of(raw), (text.to_owned(), 0), "{raw}");
    plain(r"\F\\S\\T\\R\\E\\P\", r"|^&~\#");
    plain(r"山田\S\太郎 \F\", "山田^太郎 |");
    plain(r"Müller \T\ Söhne", "Müller & Söhne");
    plain(r"\XC3A9\", "é");
    plain(r"\XC3\\XA9\", "é");
    plain(r"\X0D0A\", "\r\n");
    plain(r"a\H\bold\N\b", "aboldb");
    plain(
        r"a\.br\b\.sp2\c\.sk3\d\.in+4\e\.ti-2\f\.fi\\.nf\g\.ce\h",
        "a\nb\n\nc   defg\nh",
    );
    plain(r"\Zlocal\", r"\Zlocal\");
    plain(r"\M2442\;3ED\C2842\Z", "山田Z");
    let kept = |raw, notes| assert_eq!(of(raw), (raw.to_owned(), notes), "{raw}");
    kept(r"C:\temp\new", 2);
    kept(r"C:\temp\new file\", 3);
    kept(r"lone \ at the end \", 2);
    kept(r"odd hex \X4\ and \XZZ\", 4);
    kept(r"\", 1);
    kept(r"\\", 2);
    kept(r"\.zz\", 2);
    kept(r"\CXXYY\", 2);
    assert_eq!(of(r"\X80\"), ("€".to_owned(), 1));
    let message = parse("MSH|^~\rNTE|1||a\\F\\b");
    assert_eq!(message.get("NTE-3").unwrap().text(), r"a\F\b");
}
