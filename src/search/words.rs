//! The language of `_text` and `_content`: words, `AND`, `OR`, parentheses.

use resources::index::key;

use super::fault::Fault;

/// Every inner list has one word that occurs: conditions of alternatives.
pub(super) type Conditions = Vec<Vec<String>>;

/// The most alternatives of all conditions together.
const MAX_WORDS: usize = 256;

/// The words of a text as full-text searches compare them: lower case, without accents, cut at
/// everything that is neither letter nor digit.
pub fn words(text: &str) -> Vec<String> {
    key::normalise(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads an expression such as `(bone OR liver) AND metast*`. Words side by side must all occur.
pub(super) fn parse(text: &str, nesting: usize) -> Result<Conditions, Fault> {
    if text.contains('"') {
        return Err(Fault::not_supported(
            "phrases in quotation marks cannot be searched for; write their words",
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text),
        at: 0,
        nesting,
    };
    let conditions = parser.alternatives()?;
    match parser.next() {
        None if conditions.is_empty() => Err(Fault::invalid(format!("'{text}' has no words"))),
        None => Ok(conditions),
        Some(_) => Err(Fault::invalid(format!("'{text}' has a ')' without a '('"))),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Word(String),
}

fn tokens(text: &str) -> Vec<Token> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut out = Vec::new();
    for piece in spaced.split_whitespace() {
        match piece {
            "(" => out.push(Token::Open),
            ")" => out.push(Token::Close),
            _ if piece.eq_ignore_ascii_case("and") => out.push(Token::And),
            _ if piece.eq_ignore_ascii_case("or") => out.push(Token::Or),
            "NOT" => out.push(Token::Not),
            _ => {
                let from = out.len();
                out.extend(words(piece).into_iter().map(Token::Word));
                if piece.ends_with('*')
                    && out.len() > from
                    && let Some(Token::Word(last)) = out.last_mut()
                {
                    last.push('*');
                }
            }
        }
    }
    out
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    nesting: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn alternatives(&mut self) -> Result<Conditions, Fault> {
        let mut out = self.conditions()?;
        while self.peek() == Some(&Token::Or) {
            self.at += 1;
            out = either(&out, &self.conditions()?)?;
        }
        Ok(out)
    }

    fn conditions(&mut self) -> Result<Conditions, Fault> {
        let mut out = self.unit()?;
        loop {
            match self.peek() {
                Some(Token::And) => self.at += 1,
                Some(Token::Word(_) | Token::Open | Token::Not) => {}
                _ => break,
            }
            out.extend(self.unit()?);
            if out.iter().map(Vec::len).sum::<usize>() > MAX_WORDS {
                return Err(too_many());
            }
        }
        Ok(out)
    }

    fn unit(&mut self) -> Result<Conditions, Fault> {
        match self.next() {
            Some(Token::Word(word)) => Ok(vec![vec![word]]),
            Some(Token::Open) => {
                self.nesting = self
                    .nesting
                    .checked_sub(1)
                    .ok_or_else(|| Fault::too_costly("the parentheses are nested too deeply"))?;
                let inner = self.alternatives()?;
                self.nesting += 1;
                match self.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err(Fault::invalid("a '(' has no ')'")),
                }
            }
            Some(Token::Not) => Err(Fault::not_supported("NOT cannot be used in a text search")),
            Some(Token::Close) => Err(Fault::invalid("a ')' stands where a word is expected")),
            Some(Token::And | Token::Or) | None => Err(Fault::invalid(
                "a word is missing at the beginning, at the end, or beside AND or OR",
            )),
        }
    }
}

/// `a OR b`, multiplied out.
fn either(a: &Conditions, b: &Conditions) -> Result<Conditions, Fault> {
    let size: usize = a
        .iter()
        .map(|a| b.iter().map(|b| a.len() + b.len()).sum::<usize>())
        .sum();
    if size > MAX_WORDS {
        return Err(too_many());
    }
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    Ok(pairs
        .map(|(a, b)| [a.as_slice(), b.as_slice()].concat())
        .collect())
}

fn too_many() -> Fault {
    Fault::too_costly(format!(
        "the text search has more than {MAX_WORDS} words or combinations"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expressions_become_conditions_of_alternatives() {
        for (text, expected) in [
            ("bone", "bone"),
            ("Bone Marrow", "bone & marrow"),
            ("(bone OR liver) and metast*", "bone|liver & metast*"),
            ("a OR b c", "a|b & a|c"),
            ("(a b) or (c d)", "a|c & a|d & b|c & b|d"),
            ("x-ray", "x & ray"),
            ("Größe", "grosse"),
        ] {
            let conditions = parse(text, 4).unwrap();
            let shown: Vec<String> = conditions.iter().map(|choice| choice.join("|")).collect();
            assert_eq!(shown.join(" & "), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "",
            "()",
            "(a",
            "a)",
            "a OR",
            "AND a",
            "NOT a",
            "\"a b\"",
            "((((((a))))))",
            "-",
        ] {
            assert!(parse(text, 4).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|([ab()* ]|OR|AND| ){0,40}") {
            drop(parse(&text, 8));
        }
    }
}
