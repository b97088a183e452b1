//! Many small pieces of work, some of them at the same time.

use std::future::Future;

use futures_util::{StreamExt, stream::FuturesUnordered};

/// Does `count` pieces of work, up to `limit` at the same time, and gives each result to `done`.
/// Only those under way take memory.
pub async fn bounded<F: Future>(
    limit: usize,
    count: usize,
    begin: impl Fn(usize) -> F,
    mut done: impl FnMut(F::Output),
) {
    let mut running = FuturesUnordered::new();
    let mut next = 0;
    loop {
        while next < count && running.len() < limit {
            running.push(begin(next));
            next += 1;
        }
        match running.next().await {
            Some(output) => done(output),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn all_is_done_and_never_too_much_at_once() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let one = |at: usize| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            let running = &running;
            async move {
                tokio::task::yield_now().await;
                running.set(running.get() - 1);
                at
            }
        };
        let mut seen = Vec::new();
        bounded(3, 10, one, |at| seen.push(at)).await;
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        assert_eq!(most.get(), 3);
    }
}
