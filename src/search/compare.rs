//! The comparisons of `_filter`, per type of parameter.

use resources::{
    index::{
        Kind, Param,
        key::{self, space},
    },
    model::ResourceType,
};

use super::{
    compile::{Compiler, boolean, date_of, ids, updated},
    date::{self, Span},
    expression::Operand,
    fault::Fault,
    filter::Filter,
    plan::{Clause, KeyRange, KeyTest, successor},
    prefix::Prefix,
    query::Need,
    reference,
    string::{self, Match},
    text::escape,
    token::Token,
};

/// The condition `code operator value` on resources of type `kind`.
pub(super) fn compare(
    compiler: &Compiler<'_>,
    kind: ResourceType,
    code: &str,
    operator: &str,
    value: &Operand<'_>,
) -> Result<Filter, Fault> {
    if let Some(filter) = own_columns(compiler, code, operator, value)? {
        return Ok(filter);
    }
    let param = compiler.param(kind, code)?;
    if operator == "pr" {
        let present = Filter::Ready(Clause::HasParam(param.id));
        return Ok(if boolean(&value.text)? {
            present
        } else {
            present.negated()
        });
    }
    let text = value.text.as_ref();
    let ranges = match param.kind {
        Kind::String => strings(operator, text),
        Kind::Token => return tokens(compiler, param, operator, text),
        Kind::Date => dates(compiler, operator, text).map(|spans| date::ranges(&spans)),
        Kind::Number | Kind::Quantity => {
            numbers(operator, text).and_then(|text| compiler.keys(param, &text))
        }
        Kind::Reference => references(compiler, param, operator, text),
        Kind::Uri => uris(operator, text),
        Kind::Composite | Kind::Special => Err(wrong(operator, "composite and special", "pr")),
    };
    Ok(Filter::keys(param.id, ranges?))
}

/// `_id` and `_lastUpdated`, which are no rows of the index, and parameters that are none of a
/// filter.
fn own_columns(
    compiler: &Compiler<'_>,
    code: &str,
    operator: &str,
    value: &Operand<'_>,
) -> Result<Option<Filter>, Fault> {
    let present = || {
        let everything = Filter::everything();
        Ok(if boolean(&value.text)? {
            everything
        } else {
            everything.negated()
        })
    };
    Ok(Some(match (code, operator) {
        ("_id" | "_lastUpdated", "pr") => present()?,
        ("_id", "eq") => ids(&[value.text.as_ref()]),
        ("_id", "ne") => ids(&[value.text.as_ref()]).negated(),
        ("_id", _) => return Err(wrong(operator, "_id", "eq, ne, pr")),
        ("_lastUpdated", _) => updated(&dates(compiler, operator, &value.text)?),
        ("_text" | "_content" | "_list" | "_filter" | "_query" | "_type", _) => {
            return Err(Fault::not_supported(format!(
                "'{code}' cannot stand in a filter; give it as a parameter of its own"
            )));
        }
        _ => return Ok(None),
    }))
}

fn wrong(operator: &str, what: &str, has: &str) -> Fault {
    Fault::not_supported(format!(
        "'{operator}' does not go with {what} parameters in a filter; they have {has}"
    ))
}

fn strings(operator: &str, text: &str) -> Result<Vec<KeyRange>, Fault> {
    let text = escape(text);
    match operator {
        "eq" => string::string(&text, Match::Whole),
        "co" => string::string(&text, Match::Contains),
        "sw" => string::string(&text, Match::Start),
        "ew" => string::string(&text, Match::End),
        "ne" => {
            let equal = string::string(&text, Match::Whole)?;
            others(equal, space::STRING, space::STRING)
        }
        "lt" => string::ordered(&text, true, false),
        "le" => string::ordered(&text, true, true),
        "gt" => string::ordered(&text, false, false),
        "ge" => string::ordered(&text, false, true),
        _ => Err(wrong(
            operator,
            "string",
            "eq, ne, co, sw, ew, gt, lt, ge, le, pr",
        )),
    }
}

fn tokens(
    compiler: &Compiler<'_>,
    param: &Param,
    operator: &str,
    text: &str,
) -> Result<Filter, Fault> {
    let folded = compiler.registry.traits(param).folded;
    let cased = |text: &str| {
        if folded {
            key::fold(text)
        } else {
            text.to_owned()
        }
    };
    let keys = |ranges| Ok(Filter::keys(param.id, ranges));
    let need = |need| Filter::Codes {
        param: param.id,
        need,
    };
    match operator {
        "eq" => keys(vec![Token::parse(text)?.codes(folded)]),
        "ne" => keys(others(
            vec![Token::parse(text)?.codes(folded)],
            space::TOKEN,
            space::TOKEN,
        )?),
        "sw" => {
            let mut start = vec![space::TOKEN];
            start.extend(cased(text).as_bytes());
            keys(vec![KeyRange::prefix(start)])
        }
        "ew" => {
            let mut end = cased(text).as_bytes().to_vec();
            end.push(0);
            let test = KeyTest::Contains(1, end);
            keys(vec![KeyRange::prefix(vec![space::TOKEN]).with(test)])
        }
        "in" => Ok(need(Need::ValueSet(text.to_owned()))),
        "ni" => Ok(need(Need::ValueSet(text.to_owned())).negated()),
        "ss" | "sb" => {
            let token = Token::parse(text)?;
            let Some(code) = token.code else {
                return Err(Fault::invalid(format!("'{text}' names no code")));
            };
            let (system, code) = (token.system.map(Into::into), code.into_owned());
            Ok(need(if operator == "ss" {
                Need::Above { system, code }
            } else {
                Need::Below { system, code }
            }))
        }
        _ => Err(wrong(
            operator,
            "token",
            "eq, ne, sw, ew, in, ni, ss, sb, pr",
        )),
    }
}

fn dates(compiler: &Compiler<'_>, operator: &str, text: &str) -> Result<Vec<Span>, Fault> {
    let date = date_of(text)?;
    if operator == "po" {
        return Ok(vec![date::overlapping(date.lo, date.hi)]);
    }
    match Prefix::from_name(operator) {
        Some(prefix) => Ok(date::spans(prefix, date, compiler.now)),
        None => Err(wrong(
            operator,
            "date",
            "eq, ne, gt, lt, ge, le, sa, eb, ap, po, pr",
        )),
    }
}

/// The same comparison as the value of a parameter.
fn numbers(operator: &str, text: &str) -> Result<String, Fault> {
    if Prefix::from_name(operator).is_none() {
        let has = "eq, ne, gt, lt, ge, le, sa, eb, ap, pr";
        return Err(wrong(operator, "number and quantity", has));
    }
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Fault::invalid(format!("'{text}' is not a number")));
    }
    Ok(format!("{operator}{text}"))
}

fn references(
    compiler: &Compiler<'_>,
    param: &Param,
    operator: &str,
    text: &str,
) -> Result<Vec<KeyRange>, Fault> {
    let equal = reference::reference(text, &param.targets, compiler.base_url)?;
    match operator {
        "eq" | "re" => Ok(equal),
        "ne" => others(equal, space::REFERENCE, space::REFERENCE_URL),
        _ => Err(wrong(operator, "reference", "eq, ne, re, pr")),
    }
}

fn uris(operator: &str, text: &str) -> Result<Vec<KeyRange>, Fault> {
    let equal = || vec![KeyRange::exact(key::uri(text))];
    let every = |test| Ok(vec![KeyRange::prefix(vec![space::URI]).with(test)]);
    match operator {
        "eq" => Ok(equal()),
        "ne" => others(equal(), space::URI, space::URI),
        "sw" => Ok(vec![KeyRange::prefix(key::uri(text))]),
        "co" => every(KeyTest::Contains(1, text.as_bytes().to_vec())),
        "ew" => every(KeyTest::EndsWith(text.as_bytes().to_vec())),
        "sb" => string::uri_below(&escape(text)),
        "ss" => string::uri_above(&escape(text)),
        _ => Err(wrong(operator, "uri", "eq, ne, co, sw, ew, ss, sb, pr")),
    }
}

/// What lies between `ranges` in the spaces from `first` to `last`.
fn others(mut ranges: Vec<KeyRange>, first: u8, last: u8) -> Result<Vec<KeyRange>, Fault> {
    if ranges.iter().any(|range| !range.test.is_empty()) {
        return Err(Fault::not_supported(
            "'ne' needs a code: code or system|code",
        ));
    }
    ranges.sort_by(|a, b| a.low.cmp(&b.low));
    let mut out = Vec::with_capacity(ranges.len() + 1);
    let mut from = Some(vec![first]);
    for range in ranges {
        let Some(low) = from else { break };
        if low < range.low {
            out.push(KeyRange::between(low.clone(), Some(range.low)));
        }
        from = range.high.map(|high| high.max(low));
    }
    if let Some(low) = from {
        out.push(KeyRange::between(low, successor(&[last])));
    }
    Ok(out)
}
