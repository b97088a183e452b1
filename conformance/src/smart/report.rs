//! What was checked, and what came of it.

use std::fmt;

/// Number and name of each check; the groups are those of Inferno.
pub const CHECKS: [(&str, &str); 49] = [
    (
        "1.1",
        "smart-configuration is there as JSON, whatever is accepted",
    ),
    (
        "1.2",
        "it has the required elements, and S256 without plain",
    ),
    ("1.3", "it has the capabilities of (g)(10)"),
    ("1.4", "pages of any origin may read it"),
    (
        "1.5",
        "metadata needs no token, and pages of any origin may read it",
    ),
    (
        "1.6",
        "nothing is read without a token, or with one that is none",
    ),
    ("2.1", "authorize and token are reached with TLS"),
    ("2.2", "authorize leads back with a code and the same state"),
    ("2.3", "token takes the code"),
    ("2.4", "the answer has what it must, of the right types"),
    ("2.5", "the answer is not to be kept"),
    ("2.6", "pages of the app's origin may read the answer"),
    ("2.7", "the patient in context can be read"),
    ("3.1", "the EHR opens the app with iss and launch"),
    (
        "3.2",
        "the launch becomes a token with patient, without a choice",
    ),
    ("3.3", "need_patient_banner is there"),
    ("3.4", "smart_style_url leads to JSON"),
    ("4.1", "the id_token is a JWT"),
    (
        "4.2",
        "openid-configuration is at iss, with the required elements",
    ),
    (
        "4.3",
        "the id_token is signed with RS256 by a key of jwks_uri",
    ),
    ("4.4", "its claims are for this app, now"),
    ("4.5", "fhirUser can be read with the access token"),
    ("5.1", "a refresh token without scope gives the same scopes"),
    ("5.2", "a refresh token with less scope gives less"),
    ("5.3", "what is no refresh token is refused"),
    ("6.1", "introspection says what a good token means"),
    (
        "6.2",
        "of what is no token it says that it is not active, and no more",
    ),
    ("7.1", "token is reached with TLS"),
    ("7.2", "another grant_type is refused"),
    ("7.3", "another client_assertion_type is refused"),
    ("7.4", "an assertion with a wrong signature is refused"),
    ("7.5", "an assertion by the registered key gives a token"),
    ("7.6", "the same assertion is not taken twice"),
    (
        "8.1",
        "the brands are public, shared with every page, and have an ETag",
    ),
    (
        "8.2",
        "each Endpoint belongs to an Organization and has an address",
    ),
    ("8.3", "each Endpoint answers metadata"),
    ("9.1", "a wrong aud gives no code"),
    ("9.2", "what is no code gives no token"),
    ("9.3", "another client gets no token for a code"),
    ("9.4", "a code without its verifier gives no token"),
    ("9.5", "a code with an empty verifier gives no token"),
    ("9.6", "a code with another verifier gives no token"),
    (
        "9.7",
        "a code with its challenge as the verifier gives no token",
    ),
    (
        "10.1",
        "the user can leave a type out, and then it cannot be read",
    ),
    (
        "10.2",
        "scopes of version 1 are granted as they are written",
    ),
    ("10.3", "a granular scope gives its category only"),
    ("10.4", "authorize takes a form"),
    ("11.1", "with a revoked token nothing can be read"),
    ("11.2", "a revoked refresh token is not taken"),
];

/// What was seen, or why that is wrong.
pub type Seen = Result<String, Wrong>;

/// Why a check does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The server does something else.
    Fail(String),
    /// It cannot be told.
    Skip(String),
}

impl From<String> for Wrong {
    fn from(text: String) -> Self {
        Self::Fail(text)
    }
}

impl From<&str> for Wrong {
    fn from(text: &str) -> Self {
        Self::Fail(text.to_owned())
    }
}

/// A check that was made.
#[derive(Debug, Clone)]
pub struct Line {
    /// `2.4`
    pub number: &'static str,
    /// What must be so.
    pub name: &'static str,
    /// What was seen.
    pub seen: Seen,
}

impl Line {
    /// `pass`, `fail` or `skip`.
    pub fn word(&self) -> &'static str {
        match self.seen {
            Ok(_) => "pass",
            Err(Wrong::Fail(_)) => "fail",
            Err(Wrong::Skip(_)) => "skip",
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Ok(text) | Err(Wrong::Fail(text) | Wrong::Skip(text))) = &self.seen;
        write!(
            f,
            "{}  {:<5} {}: {text}",
            self.word(),
            self.number,
            self.name
        )
    }
}

/// All that was checked.
#[derive(Debug, Default)]
pub struct Report {
    /// In order.
    pub lines: Vec<Line>,
    /// Whether each is printed when it is known.
    pub prints: bool,
}

impl Report {
    /// Notes what came of a check.
    pub fn note(&mut self, number: &'static str, seen: Seen) {
        let known = CHECKS.iter().find(|(known, _)| *known == number);
        let name = known.map_or("", |(_, name)| name);
        let line = Line { number, name, seen };
        if self.prints {
            println!("{line}");
        }
        self.lines.push(line);
    }

    /// Notes that what is left of a group cannot be checked.
    pub fn rest(&mut self, group: &str, why: &str) {
        let of_group = |number: &str| number.split('.').next() == Some(group);
        for (number, _) in CHECKS.iter().filter(|(number, _)| of_group(number)) {
            if !self.lines.iter().any(|line| line.number == *number) {
                self.note(number, Err(Wrong::Skip(why.to_owned())));
            }
        }
    }

    /// How many have this word.
    pub fn count(&self, word: &str) -> usize {
        self.lines.iter().filter(|line| line.word() == word).count()
    }
}
