//! What mapping a message costs: processor time, best of 25 batches.
//!
//! `cargo bench -p mllp --bench map`

#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first error")]

use std::{
    fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mllp::{
    Message,
    map::{Mapper, Site},
    message::Reading,
};

const BATCHES: usize = 25;
const EACH: u32 = 200;

fn best(mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..EACH {
            work();
        }
        best = best.min(start.elapsed() / EACH);
    }
    best
}

fn main() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let start = Instant::now();
    let mapper = Mapper::new(None);
    println!("the plan, once: {:?}", start.elapsed());
    let site = Site::default();
    println!("| Message | Bytes | Resources | Mapping | and as JSON text |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for name in [
        "own/adt_a01.hl7",
        "own/adt_a08.hl7",
        "own/siu_s12.hl7",
        "own/orm_o01_nw.hl7",
        "own/oru_r01_all_value_types.hl7",
        "own/vxu_v04.hl7",
        "own/many_repeats.hl7",
    ] {
        let raw = Bytes::from(fs::read(samples.join(name)).unwrap());
        let message = Message::parse(raw.clone(), &Reading::default()).unwrap();
        let mapped = mapper.map(&message, &site);
        let alone = best(|| {
            black_box(mapper.map(black_box(&message), &site));
        });
        let written = best(|| {
            for made in mapper.map(black_box(&message), &site).resources {
                black_box(made.json.to_string());
            }
        });
        println!(
            "| {name} | {} | {} | {alone:.1?} | {written:.1?} |",
            raw.len(),
            mapped.resources.len()
        );
    }
}
