//! The requests of each scenario.

use super::State;
use crate::{
    client::{Reply, entries},
    data::{self, Rng},
};

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// `GET /metadata`
    Metadata,
    /// `GET /Patient/id`
    Read,
    /// `GET /Patient/id/_history/1`
    Vread,
    /// `GET /Patient?family=`: about 10 hits
    SearchFamily,
    /// `GET /Patient?identifier=`: one hit
    SearchIdentifier,
    /// One day of one schedule: 17 or 18 hits
    SlotSearch,
    /// `PUT /Patient/id` with changed content
    Update,
    /// `POST /Patient`
    Create,
    /// `POST /` with a transaction of 100 entries
    Transaction,
    /// GET of this path, with random numbers where it has `{limit}`
    Get(&'static str),
}

const NAMES: [(&str, Scenario); 9] = [
    ("metadata", Scenario::Metadata),
    ("read", Scenario::Read),
    ("vread", Scenario::Vread),
    ("search-family", Scenario::SearchFamily),
    ("search-identifier", Scenario::SearchIdentifier),
    ("slot-search", Scenario::SlotSearch),
    ("update", Scenario::Update),
    ("create", Scenario::Create),
    ("transaction", Scenario::Transaction),
];

/// A request to send.
pub(crate) struct Job {
    pub method: &'static str,
    pub path: String,
    pub body: Option<String>,
}

impl Scenario {
    /// The scenario of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.starts_with('/') {
            // A handful for as long as the program runs.
            return Some(Self::Get(name.to_owned().leak()));
        }
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, scenario)| *scenario)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        if let Self::Get(path) = self {
            return path;
        }
        NAMES
            .iter()
            .find(|(_, known)| *known == self)
            .map_or("", |(name, _)| name)
    }

    /// What must have been done before.
    pub(crate) fn check(self, state: &State) -> Result<(), String> {
        let patients = [
            Self::Read,
            Self::Vread,
            Self::SearchIdentifier,
            Self::Update,
        ];
        if patients.contains(&self) && state.patients.is_empty() {
            return Err(format!("{}: do the step seed before", self.name()));
        }
        if self == Self::SlotSearch && (state.schedules.is_empty() || state.days == 0) {
            return Err(format!("{}: do the step seed-slots before", self.name()));
        }
        Ok(())
    }

    pub(crate) fn job(self, entries: usize, state: &mut State, rng: &mut Rng) -> Job {
        let get = |path: String| Job {
            method: "GET",
            path,
            body: None,
        };
        match self {
            Self::Metadata => get("/metadata".to_owned()),
            Self::Get(path) => get(with_numbers(path, rng)),
            Self::Read => get(format!("/Patient/{}", patient(state, rng).0)),
            Self::Vread => get(format!("/Patient/{}/_history/1", patient(state, rng).0)),
            Self::SearchFamily => get(format!(
                "/Patient?family={}&_count=20",
                data::family(rng.below(data::FAMILIES))
            )),
            Self::SearchIdentifier => get(format!(
                "/Patient?identifier=urn:bench:mrn%7C{}",
                data::mrn(patient(state, rng).1)
            )),
            Self::SlotSearch => {
                let schedule = &state.schedules[rng.below(state.schedules.len())];
                let day = rng.below(state.days);
                get(format!(
                    "/Slot?schedule=Schedule/{schedule}&start=ge{}T00:00:00Z\
                     &start=lt{}T00:00:00Z&status=free&_count=50",
                    data::day(day),
                    data::day(day + 1)
                ))
            }
            Self::Update => {
                let (id, number) = patient(state, rng);
                Job {
                    method: "PUT",
                    path: format!("/Patient/{id}"),
                    body: Some(data::patient(
                        number,
                        Some(&id),
                        1 + rng.number() % 1_000_000,
                    )),
                }
            }
            Self::Create => {
                state.last += 1;
                Job {
                    method: "POST",
                    path: "/Patient".to_owned(),
                    body: Some(data::patient(state.last, None, 0)),
                }
            }
            Self::Transaction => {
                state.last += 1;
                Job {
                    method: "POST",
                    path: String::new(),
                    body: Some(data::transaction(state.last, entries, "transaction")),
                }
            }
        }
    }

    /// Whether the answer is what was asked for; the number of entries of a Bundle. Only every
    /// 20th search answer is looked into, since that costs more than the request.
    pub(crate) fn judge(self, reply: &Reply, nth: usize) -> Result<Option<usize>, String> {
        if !reply.status.is_success() {
            return Err(reply.brief());
        }
        let looked_into = match self {
            Self::Transaction => true,
            Self::SearchFamily | Self::SearchIdentifier | Self::SlotSearch => nth % 20 == 1,
            Self::Get(path) => nth % 20 == 1 && path.contains(['?', '$', '_']),
            _ => false,
        };
        if !looked_into {
            return Ok(None);
        }
        entries(&reply.body).map(|entries| Some(entries.len()))
    }
}

/// In the place of `{500}` a number below that.
fn with_numbers(path: &str, rng: &mut Rng) -> String {
    let mut parts = path.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let limit = part.split_once('}').and_then(|(limit, rest)| {
            let limit = limit.parse().ok().filter(|limit| *limit > 0)?;
            Some((limit, rest))
        });
        match limit {
            Some((limit, rest)) => {
                filled.push_str(&rng.below(limit).to_string());
                filled.push_str(rest);
            }
            None => {
                filled.push('{');
                filled.push_str(part);
            }
        }
    }
    filled
}

fn patient(state: &State, rng: &mut Rng) -> (String, u64) {
    state.patients[rng.below(state.patients.len())].clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_their_places_in_a_path() {
        let mut rng = Rng::new(1);
        for path in ["/a", "/a?b={}", "/a?b={c}", "/a{0}", "/a{7"] {
            assert_eq!(with_numbers(path, &mut rng), path);
        }
        assert_eq!(with_numbers("/a/p{1}?b=p{1}", &mut rng), "/a/p0?b=p0");
        let path = with_numbers("/a/p{500}", &mut rng);
        let number: usize = path.strip_prefix("/a/p").unwrap().parse().unwrap();
        assert!(number < 500);
    }
}
