//! Full-text search: its words are taken from the log when somebody searches, so that writes do
//! not pay for what few use.

use std::time::{Duration, Instant};

use resources::{Doc, doc::Kind};

use super::{
    Engine,
    error::{Error, ErrorKind},
};
use crate::{
    access::Access,
    search::plan::{Clause, Plan},
    store::{LogEntry, Texts},
};

static ACCESS: Access = Access::system("full-text search follows the log");
/// Versions taken together.
const BATCH: usize = 500;
/// How long a search waits for the words of what was written; what is done stays done.
const PATIENCE: Duration = Duration::from_secs(5);

impl Engine {
    /// Brings full-text search up to date if `plan` asks for words.
    pub(super) async fn catch_up_texts(&self, plan: &Plan) -> Result<(), Error> {
        if !asks_for_words(&plan.filter) {
            return Ok(());
        }
        let began = Instant::now();
        while !self.store.fulltext_catch_up(BATCH, texts, &ACCESS).await? {
            if began.elapsed() > PATIENCE {
                return Err(Error {
                    retry_after: Some(1),
                    ..Error::new(
                        ErrorKind::Unavailable,
                        "incomplete",
                        "the words of recent changes are still being indexed; send the search \
                         again after the time in Retry-After",
                    )
                });
            }
        }
        Ok(())
    }

    /// Makes the words for full-text search anew from the log. False if nobody ever searched for
    /// words, so that there are none.
    ///
    /// # Errors
    /// The store fails.
    pub async fn rebuild_texts(&self) -> Result<bool, Error> {
        if !self.store.fulltext_reset().await? {
            return Ok(false);
        }
        while !self.store.fulltext_catch_up(BATCH, texts, &ACCESS).await? {}
        Ok(true)
    }
}

fn asks_for_words(clause: &Clause) -> bool {
    match clause {
        Clause::Text { .. } => true,
        Clause::All(parts) | Clause::Any(parts) => parts.iter().any(asks_for_words),
        Clause::Not(inner) | Clause::Refers { inner, .. } | Clause::ReferredBy { inner, .. } => {
            asks_for_words(inner)
        }
        _ => false,
    }
}

/// What full-text search finds of a version.
fn texts(entry: &LogEntry) -> Texts {
    let text = std::str::from_utf8(&entry.stored.body).unwrap_or_default();
    let Ok(doc) = Doc::parse(text) else {
        return Texts::default();
    };
    let div = doc
        .root()
        .get("text")
        .and_then(|text| text.get("div")?.as_str());
    let narrative = div.map_or(String::new(), |div| without_markup(&div));
    let mut content = narrative.clone();
    for value in doc.root().descendants() {
        if value.kind() == Kind::String
            && value.name() != "div"
            && let Some(text) = value.as_str()
        {
            content.push(' ');
            content.push_str(&text);
        }
    }
    Texts { narrative, content }
}

/// XHTML without its tags; a tag separates words.
fn without_markup(xhtml: &str) -> String {
    let mut text = String::with_capacity(xhtml.len());
    let mut in_tag = false;
    for letter in xhtml.chars() {
        match letter {
            '<' => {
                in_tag = true;
                text.push(' ');
            }
            '>' => in_tag = false,
            _ if !in_tag => text.push(letter),
            _ => {}
        }
    }
    for (entity, letter) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_separate_words_and_are_none() {
        for (xhtml, words) in [
            ("<div xmlns=\"x\">a<b>c</b>d</div>", "a c d"),
            ("<div>one<br/>two &amp; three</div>", "one two & three"),
        ] {
            let text = without_markup(xhtml);
            let found: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(found.join(" "), words);
        }
    }
}
