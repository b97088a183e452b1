//! Batches: every entry for itself.

use std::collections::HashSet;

use resources::Doc;

use super::{
    BundleOptions,
    entry::{Entry, entries, place},
    fetch::{Fetched, Room},
    references::check_plain,
    response,
};
use crate::{
    access::Access,
    engine::{
        Engine,
        bundle_text::BundleText,
        concurrent::bounded,
        draft::Draft,
        error::Error,
        operation::{Done, Return},
    },
};

/// Entries that are worked on at the same time: independent writes share commits.
const CONCURRENT: usize = 32;

enum Answer {
    Done(Box<Done>),
    Fetched(Fetched),
}

impl Engine {
    pub(super) async fn batch(
        &self,
        doc: &Doc,
        options: &BundleOptions,
        access: &Access,
    ) -> Result<String, Error> {
        let entries: Vec<Result<Entry<'_>, Error>> =
            entries(doc.root(), &self.settings.base_url).collect();
        let full_urls: HashSet<&str> = entries
            .iter()
            .filter_map(|entry| entry.as_ref().ok()?.full_url.as_deref())
            .collect();
        let mut answers: Vec<Option<Result<Answer, Error>>> = Vec::new();
        answers.resize_with(entries.len(), || None);
        let room = Room::new(self.settings.limits.answer_bytes);
        for phase in 0..4 {
            let of_phase: Vec<&Entry<'_>> = entries
                .iter()
                .filter_map(|entry| entry.as_ref().ok())
                .filter(|entry| entry.phase() == phase)
                .collect();
            let one = |number: usize| {
                let (entry, room) = (of_phase[number], &room);
                let answer = self.one_of_batch(entry, &full_urls, options, room, access);
                async move { (entry.at, answer.await) }
            };
            bounded(CONCURRENT, of_phase.len(), one, |(at, answer)| {
                answers[at] = Some(answer);
            })
            .await;
        }
        self.write_batch(entries, answers, options)
    }

    async fn one_of_batch(
        &self,
        entry: &Entry<'_>,
        full_urls: &HashSet<&str>,
        options: &BundleOptions,
        room: &Room,
        access: &Access,
    ) -> Result<Answer, Error> {
        if entry.is_read() {
            let fetched = self.fetch_entry(entry, options, room, access).await?;
            return Ok(Answer::Fetched(fetched));
        }
        let draft = Draft {
            wants_text: options.prefer == Return::Representation,
            given_id: None,
            is_silent: false,
            ..entry.draft()?
        };
        check_plain(&draft, full_urls)?;
        let mut done = self.submit_drafts(&[draft], access).await?;
        let mut done = done
            .pop()
            .ok_or_else(|| Error::invalid("the entry asks for nothing"))?;
        if options.prefer != Return::Representation
            && let Some(resource) = &mut done.resource
        {
            // A batch may hold many.
            resource.body = bytes::Bytes::new();
        }
        Ok(Answer::Done(Box::new(done)))
    }

    fn write_batch(
        &self,
        entries: Vec<Result<Entry<'_>, Error>>,
        answers: Vec<Option<Result<Answer, Error>>>,
        options: &BundleOptions,
    ) -> Result<String, Error> {
        let mut bundle = BundleText::new(
            "batch-response",
            &[],
            None,
            self.clock.now(),
            entries.len() * 300,
        );
        for (entry, answer) in entries.into_iter().zip(answers) {
            match (entry, answer) {
                (Ok(_), Some(Ok(Answer::Done(done)))) => response::done(
                    bundle.entry(),
                    &self.settings.base_url,
                    &done,
                    options.prefer,
                )?,
                (Ok(entry), Some(Ok(Answer::Fetched(fetched)))) => {
                    self.write_fetched(&mut bundle, &entry, &Ok(fetched))?;
                }
                (Ok(entry), Some(Err(error))) => {
                    response::failed(bundle.entry(), &error.inside(&place(entry.at)));
                }
                (Ok(entry), None) => {
                    let error = Error::invalid("the entry was not carried out");
                    response::failed(bundle.entry(), &error.inside(&place(entry.at)));
                }
                (Err(error), _) => response::failed(bundle.entry(), &error),
            }
        }
        Ok(bundle.finish())
    }
}
