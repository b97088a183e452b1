//! Tokens to an expression, by precedence.

use super::{
    Refused,
    ast::{Expr, Literal, TypeName},
    lexer::{Token, tokens},
    types,
};
use crate::primitive::Decimal;

const MAX_TEXT: usize = 8 * 1024;
const MAX_DEPTH: usize = 32;
/// The most operators and calls in one expression: trees are walked recursively.
const MAX_TOKENS: usize = 1024;

pub(super) fn parse(text: &str) -> Result<Expr, Refused> {
    if text.len() > MAX_TEXT {
        return Refused::new(format!("the expression is longer than {MAX_TEXT} bytes"));
    }
    let tokens = tokens(text)?;
    if tokens.len() > MAX_TOKENS {
        return Refused::new("the expression has too many parts");
    }
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
    };
    let expr = parser.or()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some(token) => Refused::new(format!("{} is not supported here", describe(token))),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

type Parsed<T = Expr> = Result<T, Refused>;

impl Parser {
    fn accept(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Name(name)) if name == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.accept(sign) {
            return Ok(());
        }
        match self.tokens.get(self.at) {
            Some(token) => Refused::new(format!("'{sign}' expected before {}", describe(token))),
            None => Refused::new(format!("'{sign}' expected at the end")),
        }
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.accept_word("or") {
            left = Expr::Or(left.into(), self.and()?.into());
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.equality()?;
        while self.accept_word("and") {
            left = Expr::And(left.into(), self.equality()?.into());
        }
        Ok(left)
    }

    fn equality(&mut self) -> Parsed {
        let mut left = self.union()?;
        loop {
            if self.accept("=") {
                left = Expr::Equal(left.into(), self.union()?.into());
            } else if self.accept("!=") {
                let equal = Expr::Equal(left.into(), self.union()?.into());
                left = Expr::Not(equal.into());
            } else {
                return Ok(left);
            }
        }
    }

    fn union(&mut self) -> Parsed {
        let mut left = self.typed()?;
        while self.accept("|") {
            left = Expr::Union(left.into(), self.typed()?.into());
        }
        Ok(left)
    }

    fn typed(&mut self) -> Parsed {
        let mut left = self.path()?;
        loop {
            if self.accept_word("as") {
                left = Expr::OfType(left.into(), self.type_name()?);
            } else if self.accept_word("is") {
                left = Expr::Is(left.into(), self.type_name()?);
            } else {
                return Ok(left);
            }
        }
    }

    fn type_name(&mut self) -> Parsed<TypeName> {
        let mut name = self.name()?;
        if name == "FHIR" && self.accept(".") {
            name = self.name()?;
        }
        types::named(&name).map(TypeName)
    }

    fn name(&mut self) -> Parsed<String> {
        match self.tokens.get(self.at) {
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(name.clone())
            }
            Some(token) => Refused::new(format!("a name expected before {}", describe(token))),
            None => Refused::new("a name expected at the end"),
        }
    }

    fn path(&mut self) -> Parsed {
        let mut expr = self.term()?;
        loop {
            if self.accept(".") {
                let name = self.name()?;
                expr = self.step(expr, name)?;
            } else if self.accept("[") {
                let Some(Token::Number(number)) = self.tokens.get(self.at) else {
                    return Refused::new("only a number can stand in '[]'");
                };
                let Ok(number) = number.parse() else {
                    return Refused::new("only a whole number can stand in '[]'");
                };
                self.at += 1;
                self.expect("]")?;
                expr = Expr::Item(expr.into(), number);
            } else {
                return Ok(expr);
            }
        }
    }

    fn term(&mut self) -> Parsed {
        let Some(token) = self.tokens.get(self.at).cloned() else {
            return Refused::new("the expression ends too early");
        };
        self.at += 1;
        match token {
            Token::Sign("(") => self.nested(|parser| {
                let inner = parser.or()?;
                parser.expect(")")?;
                Ok(inner)
            }),
            Token::Name(name) if name == "true" || name == "false" => {
                Ok(Expr::Literal(Literal::Boolean(name == "true")))
            }
            Token::Name(name) if name.starts_with(|c: char| c.is_ascii_uppercase()) => Ok(
                Expr::OfType(Expr::Focus.into(), TypeName(types::named(&name)?)),
            ),
            Token::Name(name) => self.step(Expr::Focus, name),
            Token::Variable(name) => match name.as_str() {
                "$this" => Ok(Expr::Focus),
                "%resource" | "%context" | "%rootResource" => Ok(Expr::Resource),
                _ => Refused::new(format!("the variable {name} is not supported")),
            },
            Token::Text(text) | Token::Moment(text) => Ok(Expr::Literal(Literal::Text(text))),
            Token::Number(text) => match Decimal::parse(&text) {
                Some(number) => Ok(Expr::Literal(Literal::Number(number))),
                None => Refused::new(format!("{text} is not a number")),
            },
            Token::Sign(_) => Refused::new(format!("{} is not supported here", describe(&token))),
        }
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Refused::new(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        let expr = inner(self)?;
        self.depth -= 1;
        Ok(expr)
    }

    /// A member, or a call if a bracket follows.
    fn step(&mut self, input: Expr, name: String) -> Parsed {
        if !self.accept("(") {
            return Ok(Expr::Member(input.into(), name));
        }
        let input = Box::new(input);
        let expr = match name.as_str() {
            "where" => Expr::Where(input, self.argument()?),
            "exists" if self.peek_end() => Expr::Exists(input),
            "exists" => Expr::Exists(Expr::Where(input, self.argument()?).into()),
            "empty" => Expr::Not(Expr::Exists(input).into()),
            "not" => Expr::Not(input),
            "first" => Expr::Item(input, 0),
            "resolve" => Expr::Resolve(input),
            "as" | "ofType" => Expr::OfType(input, self.type_name()?),
            "is" => Expr::Is(input, self.type_name()?),
            "extension" => {
                let url = Expr::Member(Expr::Focus.into(), "url".into());
                let same = Expr::Equal(url.into(), self.argument()?);
                let extensions = Expr::Member(input, "extension".into());
                Expr::Where(extensions.into(), same.into())
            }
            _ => return Refused::new(format!("the function {name}() is not supported")),
        };
        self.expect(")")?;
        Ok(expr)
    }

    fn argument(&mut self) -> Parsed<Box<Expr>> {
        self.nested(Self::or).map(Box::new)
    }

    fn peek_end(&self) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Sign(")")))
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Name(text) | Token::Variable(text) | Token::Number(text) => format!("'{text}'"),
        Token::Text(text) => format!("'{text}'"),
        Token::Moment(text) => format!("'@{text}'"),
        Token::Sign(sign) => format!("'{sign}'"),
    }
}
