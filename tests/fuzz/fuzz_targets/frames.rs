//! Bytes of a connection: the same frames however they are cut, and no more memory than a frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mllp::{
    batch,
    frame::{Decoder, Event, Limits},
};

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (tolerant, cut, bytes) = input;
    for frame in [usize::from(cut), 1 << 20] {
        let limits = Limits { frame, tolerant };
        let whole = events(limits, bytes, bytes.len().max(1));
        assert_eq!(events(limits, bytes, usize::from(cut).max(1)), whole);
        assert_eq!(events(limits, bytes, 1), whole);
        for event in whole {
            if let Event::Frame(content) = event {
                assert!(content.len() <= frame);
                let total: usize = batch::split(content.clone())
                    .messages
                    .iter()
                    .map(|part| part.raw.len())
                    .sum();
                assert!(total <= content.len());
            }
        }
    }
});

fn events(limits: Limits, bytes: &[u8], chunk: usize) -> Vec<Event> {
    let mut decoder = Decoder::new(limits);
    let mut events = Vec::new();
    for part in bytes.chunks(chunk) {
        decoder.push(part);
        while let Some(event) = decoder.next() {
            events.push(event);
        }
    }
    while let Some(event) = decoder.settle() {
        events.push(event);
    }
    events
}
