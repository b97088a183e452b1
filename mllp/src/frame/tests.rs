use super::*;

fn events(limits: Limits, bytes: &[u8], chunk: usize) -> Vec<Event> {
    let mut decoder = Decoder::new(limits);
    let mut events = Vec::new();
    for part in bytes.chunks(chunk) {
        decoder.push(part);
        while let Some(event) = decoder.next() {
            events.push(event);
        }
    }
    events.extend(decoder.settle());
    events
}

fn frame(text: &[u8]) -> Event {
    Event::Frame(Bytes::copy_from_slice(text))
}

/// The same however the bytes are cut.
fn always(bytes: &[u8], expected: &[Event]) {
    for chunk in 1..=bytes.len() {
        let found = events(Limits::default(), bytes, chunk);
        assert_eq!(found, expected, "in pieces of {chunk}");
    }
}

#[test]
fn narrow() {
    always(b"\x0BMSH|\x1C\r", &[frame(b"MSH|")]);
    always(b"\x0Ba\x1C\r\x0Bb\x1C\r", &[frame(b"a"), frame(b"b")]);
    always(b"\x0Ba\x1C\x0Bb\x1C\n", &[frame(b"a"), frame(b"b")]);
    always(b"\x0Ba\x1C\r\r\n \x0Bb\x1C", &[frame(b"a"), frame(b"b")]);
    always(b"\x0Ba\x1Cb\x1C\x1C\r", &[frame(b"a\x1Cb\x1C")]);
    always(b"\x0Babc\x0Bd\x1C\r", &[Event::Restarted(3), frame(b"d")]);
    always(b"\x0B\x0B\x0Bd\x1C\r", &[frame(b"d")]);
    always(
        b"\x0B\x1C\r\x0B\x06\x1C\r\x0B\x15\x1C\r",
        &[Event::Empty, Event::Commit(true), Event::Commit(false)],
    );
    always(b"GET /\x0Ba\x1C\r", &[Event::Skipped(5), frame(b"a")]);
    always(b"GET /", &[Event::Skipped(5)]);
    always(b"\x0Bunfinished", &[]);
}

#[test]
fn strict() {
    let limits = Limits {
        tolerant: false,
        ..Limits::default()
    };
    let of = |bytes: &[u8]| events(limits, bytes, 1);
    assert_eq!(of(b"\x0Ba\x1C\nb\x1C\r"), [frame(b"a\x1C\nb")]);
    assert_eq!(
        of(b"\x0Ba\x1C\x0Bb\x1C\r"),
        [Event::Restarted(2), frame(b"b")]
    );
    assert_eq!(of(b"\x0Ba\x1C"), []);
}

fn wide(text: &str, little: bool) -> Vec<u8> {
    let pair = |unit: u16| match little {
        true => unit.to_le_bytes(),
        false => unit.to_be_bytes(),
    };
    text.encode_utf16().flat_map(pair).collect()
}

#[test]
fn utf16() {
    for (little, blocks) in [(true, Blocks::WideLittle), (false, Blocks::WideBig)] {
        // Letters of which one half is VT or FS.
        let text = wide("MSH|\u{0B95}\u{010B}\u{1C0D}\u{0D1C}\u{011C}|\r", little);
        let mut bytes = encode_as(&text, blocks);
        bytes.extend(encode_as(&text, blocks));
        always(&bytes, &[frame(&text), frame(&text)]);
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(&bytes);
        assert!(decoder.next().is_some());
        assert_eq!(decoder.blocks(), blocks);
        let empty = encode_as(&[], blocks);
        always(&empty, &[Event::Empty]);
        let cut = [&encode_as(&text, blocks)[..8], &bytes].concat();
        always(&cut, &[Event::Restarted(6), frame(&text), frame(&text)]);
        // Block characters of one byte, with a byte order mark and without.
        let marked = wide("\u{FEFF}MSH|\u{0B95}|\r", little);
        always(&encode(&marked), &[frame(&marked)]);
        let plain = wide("MSH|\u{0B95}|\r", little);
        let both = [encode(&plain), encode(&plain)].concat();
        always(&both, &[frame(&plain), frame(&plain)]);
    }
}

#[test]
fn overlong_frames_are_not_kept() {
    let limits = Limits {
        frame: 100,
        tolerant: true,
    };
    let at_limit = [b'a'; 100];
    assert_eq!(events(limits, &encode(&at_limit), 7), [frame(&at_limit)]);
    for length in [101, 102, 103, 250, 4097] {
        let long = [&b"MSH|"[..], &b"a\x1Cb".repeat(2000)].concat();
        let bytes = [encode(&long[..length]), encode(b"next")].concat();
        for chunk in [1, 2, 3, 64, 10_000] {
            let expected = [Event::TooLong(length), frame(b"next")];
            assert_eq!(events(limits, &bytes, chunk), expected, "{length} {chunk}");
        }
    }
    let mut decoder = Decoder::new(limits);
    decoder.push(b"\x0BMSH|head|");
    assert_eq!(decoder.next(), None);
    let block = [b'x'; 64 << 10];
    for _ in 0..1600 {
        decoder.push(&block);
        assert_eq!(decoder.next(), None);
        assert!(decoder.buffer.len() <= 4);
        assert!(decoder.buffer.capacity() <= 1 << 20);
    }
    assert_eq!(decoder.pending(), 9 + 1600 * (64 << 10));
    decoder.push(b"\x1C\r\x0Bb\x1C\r");
    assert_eq!(decoder.next(), Some(Event::TooLong(9 + 1600 * (64 << 10))));
    assert!(decoder.head().starts_with(b"MSH|head|xx"));
    assert_eq!(decoder.next(), Some(frame(b"b")));
    // One that begins again is one that is lost.
    let bytes = [&[VT], &block[..300], &encode(b"b")].concat();
    assert_eq!(
        events(limits, &bytes, 50),
        [Event::Restarted(300), frame(b"b")]
    );
}

#[test]
fn what_is_large_is_not_kept_afterwards() {
    let mut decoder = Decoder::new(Limits::default());
    let large = vec![b'a'; 1 << 20];
    decoder.push(&encode(&large));
    assert_eq!(decoder.next(), Some(frame(&large)));
    assert!(decoder.buffer.capacity() <= Decoder::COPIED);
    decoder.push(&vec![b'x'; 1 << 20]);
    assert_eq!(decoder.next(), None);
    assert_eq!(decoder.skipped(), 1 << 20);
    assert!(decoder.buffer.capacity() <= Decoder::COPIED);
}

#[test]
fn a_million_starts() {
    let mut bytes = vec![VT; 1 << 20];
    bytes.extend(b"a\x1C\r");
    assert_eq!(
        events(Limits::default(), &bytes, bytes.len()),
        [frame(b"a")]
    );
    assert_eq!(events(Limits::default(), &bytes, 1000), [frame(b"a")]);
}
