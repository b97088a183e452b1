//! The conditions of the tables, as their authors write them
//! ([grammar](https://build.fhir.org/ig/HL7/v2-to-fhir/antlr_condition_syntax.html), and what
//! they write beside it): `IF PID-7 LENGTH GREATER THAN 8`, `IF TQ1-7 AND TQ1-8 NOT VALUED`,
//! `IF IAM-15 VALUED AND NOT "SEL"`.

/// A place in a message, as the tables name it: `PID-11.9`, `CWE.3`, `PID`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// A segment or a data type; empty for the field of the row itself.
    pub name: String,
    /// Field of a segment or component of a data type; 0 for all of it.
    pub number: u16,
    /// Component of a field, or subcomponent of a component; 0 for all of it.
    pub part: u16,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// There is a value.
    Valued(Place),
    /// The value is one of these.
    In(Place, Vec<String>),
    /// The value is a number (ours: `OBX-5 IS NUMERIC`).
    Numeric(Place),
    /// Two places have the same value.
    Same(Place, Place),
    /// How many repetitions there are.
    Count(Place, Ordering, usize),
    /// How many characters the value has.
    Length(Place, Ordering, usize),
    /// Not so.
    Not(Box<Condition>),
    /// All of them.
    All(Vec<Condition>),
    /// One of them.
    Any(Vec<Condition>),
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
}

impl Ordering {
    /// Whether `left` and `right` are so.
    pub fn holds(self, left: usize, right: usize) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Greater => left > right,
            Self::Less => left < right,
            Self::AtLeast => left >= right,
            Self::AtMost => left <= right,
        }
    }
}

impl Place {
    /// Reads `PID-11.9`, `CWE.3`, `PID`.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(['-', '.']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let is_name = (2..=3).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_uppercase())
            && name
                .chars()
                .all(|character| character.is_ascii_uppercase() || character.is_ascii_digit());
        if !is_name {
            return None;
        }
        let mut numbers = rest.trim_start_matches(['-', '.']).split('.');
        let mut number = || match numbers.next() {
            None | Some("") => Some(0),
            Some(digits) => digits.parse().ok(),
        };
        Some(Self {
            name: name.to_owned(),
            number: number()?,
            part: number()?,
        })
    }
}

/// Reads a condition.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Condition, String> {
    let mut reader = Reader {
        tokens: tokens(text)?,
        at: 0,
        last: Place::default(),
    };
    let condition = reader.any()?;
    match reader.tokens.get(reader.at) {
        None => Ok(condition),
        Some(token) => Err(format!("`{token}` is not expected in `{text}`")),
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => {
                let end = rest[1..].find(first);
                end.ok_or_else(|| format!("a quote does not end in `{text}`"))? + 2
            }
            '(' | ')' | ',' | '=' => 1,
            '<' | '>' | '!' => 1 + usize::from(rest[1..].starts_with('=')),
            _ => rest
                .find(|character: char| {
                    character.is_whitespace() || "(),=<>!\"".contains(character)
                })
                .unwrap_or(rest.len()),
        };
        found.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(found)
}

struct Reader {
    tokens: Vec<String>,
    at: usize,
    /// The place last named, which a predicate without one is about.
    last: Place,
}

impl Reader {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn is(&self, word: &str) -> bool {
        self.peek().eq_ignore_ascii_case(word)
    }

    fn take(&mut self, word: &str) -> bool {
        let is = self.is(word);
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut all = vec![self.all()?];
        while self.take("OR") {
            all.push(self.all()?);
        }
        Ok(one_or(all, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut all = vec![self.one()?];
        while self.take("AND") {
            all.push(self.one()?);
        }
        Ok(one_or(all, Condition::All))
    }

    fn one(&mut self) -> Result<Condition, String> {
        while self.take("IF") {}
        if self.take("(") {
            let inner = self.any()?;
            return match self.take(")") {
                true => Ok(inner),
                false => Err(format!("`)` is missing before `{}`", self.peek())),
            };
        }
        if self.is("NOT") && self.tokens.get(self.at + 1).is_some_and(|next| next == "(") {
            self.at += 1;
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        let places = self.places();
        if let Some((_, place)) = places.last() {
            self.last = place.clone();
        }
        let about = match places.is_empty() {
            true => vec![(false, self.last.clone())],
            false => places,
        };
        self.predicate(about)
    }

    /// `A`, or `A AND B OR C` before one predicate: each with whether `OR` stands before it.
    fn places(&mut self) -> Vec<(bool, Place)> {
        let mut places = Vec::new();
        let mut or = false;
        while let Some(place) = Place::parse(self.peek()) {
            self.at += 1;
            places.push((or, place));
            let joined = self.is("AND") || self.is("OR") || self.is(",");
            let after = self.tokens.get(self.at + 1);
            if !joined || after.and_then(|token| Place::parse(token)).is_none() {
                break;
            }
            or = self.is("OR");
            self.at += 1;
        }
        places
    }

    fn predicate(&mut self, about: Vec<(bool, Place)>) -> Result<Condition, String> {
        let mut negative = false;
        loop {
            if self.take("NOT") || self.take("!") {
                negative = !negative;
            } else if !(self.take("IS") || self.take("ARE") || self.take("DOES")) {
                break;
            }
        }
        let make: Box<dyn Fn(Place) -> Condition> = if ["VALUED", "VALUE", "EXIST", "EXISTS"]
            .iter()
            .any(|word| self.take(word))
        {
            Box::new(Condition::Valued)
        } else if self.take("EMPTY") {
            negative = !negative;
            Box::new(Condition::Valued)
        } else if self.take("NUMERIC") {
            Box::new(Condition::Numeric)
        } else if self.take("IN") {
            let list = self.list()?;
            Box::new(move |place| Condition::In(place, list.clone()))
        } else if self.is("LST.COUNT") || self.is("COUNT") {
            self.at += 1;
            let (negated, ordering, number) = self.comparison()?;
            negative ^= negated;
            Box::new(move |place| Condition::Count(place, ordering, number))
        } else if self.take("LENGTH") {
            let (negated, ordering, number) = self.comparison()?;
            negative ^= negated;
            Box::new(move |place| Condition::Length(place, ordering, number))
        } else {
            let named = ["EQUAL", "EQUALS", "=", "!="];
            let sign = named.iter().any(|word| self.is(word));
            negative ^= self.is("!=");
            self.at += usize::from(sign);
            self.take("TO");
            if let Some(other) = Place::parse(self.peek()).filter(|_| sign) {
                self.at += 1;
                Box::new(move |place| Condition::Same(place, other.clone()))
            } else if let Some(text) = unquoted(self.peek()) {
                self.at += 1;
                Box::new(move |place| Condition::In(place, vec![text.clone()]))
            } else if !sign && !negative && about.len() == 1 && self.ends() {
                Box::new(Condition::Valued)
            } else {
                return Err(format!("what is said of `{}`?", about[0].1.name));
            }
        };
        let mut any: Vec<Vec<Condition>> = vec![Vec::new()];
        for (or, place) in about {
            let condition = make(place);
            let condition = match negative {
                true => Condition::Not(Box::new(condition)),
                false => condition,
            };
            if or {
                any.push(Vec::new());
            }
            if let Some(all) = any.last_mut() {
                all.push(condition);
            }
        }
        let any = any
            .into_iter()
            .map(|all| one_or(all, Condition::All))
            .collect();
        Ok(one_or(any, Condition::Any))
    }

    fn ends(&self) -> bool {
        self.at == self.tokens.len() || self.is(")") || self.is("AND") || self.is("OR")
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        let mut list = Vec::new();
        if !self.take("(") {
            return Err("a list in parentheses is missing after IN".to_owned());
        }
        while !self.take(")") {
            match unquoted(self.peek()) {
                Some(text) => list.push(text),
                None => return Err(format!("`{}` in a list", self.peek())),
            }
            self.at += 1;
            self.take(",");
        }
        Ok(list)
    }

    /// `GREATER THAN OR EQUALS 1`, `>1`, `NOT EQUALS 1`.
    fn comparison(&mut self) -> Result<(bool, Ordering, usize), String> {
        let negative = self.take("NOT");
        let mut ordering = Ordering::Equal;
        if self.take("GREATER") || self.take(">") {
            ordering = Ordering::Greater;
        } else if self.take("LESS") || self.take("<") {
            ordering = Ordering::Less;
        } else if self.take(">=") {
            ordering = Ordering::AtLeast;
        } else if self.take("<=") {
            ordering = Ordering::AtMost;
        }
        self.take("THAN");
        let or = self.take("OR");
        let equal = self.take("EQUAL") || self.take("EQUALS") || self.take("=");
        self.take("TO");
        if or && equal {
            ordering = match ordering {
                Ordering::Greater => Ordering::AtLeast,
                _ => Ordering::AtMost,
            };
        }
        let number = self.peek().parse();
        self.at += 1;
        number
            .map(|number| (negative, ordering, number))
            .map_err(|_| "a number is missing".to_owned())
    }
}

fn unquoted(token: &str) -> Option<String> {
    let inner = token
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .or_else(|| token.strip_prefix('\'')?.strip_suffix('\''))?;
    Some(inner.to_owned())
}

fn one_or(mut all: Vec<Condition>, make: fn(Vec<Condition>) -> Condition) -> Condition {
    match (all.len(), all.pop()) {
        (1, Some(one)) => one,
        (_, Some(last)) => {
            all.push(last);
            make(all)
        }
        (_, None) => make(all),
    }
}
