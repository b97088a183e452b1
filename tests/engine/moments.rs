//! No request keeps a thread for long on which others are answered: what takes more than a moment
//! is done elsewhere, or others get their turn in between.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use rotunda::engine::BookingCall;
use rustix::time::{ClockId, clock_gettime};

use crate::fixture::*;

on_both_databases!(hours_are_expanded_where_nobody_waits);

const SCHEDULES: usize = 1_000;
/// Without optimization, and on a machine that is shared, a moment is longer.
const MOMENT: Duration = Duration::from_millis(30);

/// A future, and the most time that a thread had a core for it at once.
struct Timed<F> {
    inner: Pin<Box<F>>,
    longest: Duration,
}

impl<F: Future> Future for Timed<F> {
    type Output = (F::Output, Duration);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let begun = spent();
        let polled = self.inner.as_mut().poll(context);
        self.longest = self.longest.max(spent() - begun);
        polled.map(|out| (out, self.longest))
    }
}

fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let longest = Duration::ZERO;
    let inner = Box::pin(future);
    pin!(Timed { inner, longest }).await
}

fn schedule(n: usize) -> String {
    format!(
        r#"{{"resourceType":"Schedule","id":"m{n}","actor":[{{"reference":"Practitioner/p{n}"}}],
        "extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/timezone","valueCode":"Europe/Berlin"}},
          {{"url":"urn:rotunda:StructureDefinition:scheduling-parameters","extension":[
          {{"url":"duration","valueDuration":{{"value":30,"unit":"min","system":"http://unitsofmeasure.org","code":"min"}}}},
          {{"url":"availableTime","extension":[
            {{"url":"availableStartTime","valueTime":"08:00:00"}},{{"url":"availableEndTime","valueTime":"12:00:00"}}]}},
          {{"url":"availableTime","extension":[
            {{"url":"availableStartTime","valueTime":"13:00:00"}},{{"url":"availableEndTime","valueTime":"17:00:00"}}]}}]}}]}}"#
    )
}

async fn hours_are_expanded_where_nobody_waits(on: Database) {
    let f = Fixture::new(on).await;
    for n in 0..SCHEDULES {
        f.put(&schedule(n)).await;
    }
    let find = BookingCall {
        pairs: vec![("_count".to_owned(), "20".to_owned())],
        body: None,
        id: None,
        key: None,
        strict: true,
    };
    for attempt in 0..3 {
        // After a start.
        let (one, other) = (f.beside().await, f.beside().await);
        let (found, longest_find) = timed(one.engine.find_appointments(&find, &ALL)).await;
        let found = doc(&found.unwrap());
        assert!(found.root().get("entry").unwrap().items().count() >= 20);
        let query = "Slot?status=free&_sort=start&_count=20";
        let (found, longest_search) = timed(other.search(query)).await;
        assert_eq!(identities(&found.unwrap()).len(), 20);
        let longest = longest_find.max(longest_search);
        println!("find {longest_find:?}, search {longest_search:?}");
        if longest < MOMENT {
            return;
        }
        assert!(
            attempt < 2,
            "find {longest_find:?}, search {longest_search:?}"
        );
    }
}
