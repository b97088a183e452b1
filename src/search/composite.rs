//! Composite searches: `code$value`.

use resources::{
    index::{Component, Kind, Param, key},
    primitive::Decimal,
};

use super::{
    compile::Compiler,
    fault::Fault,
    plan::{KeyRange, KeyTest, successor},
    text::{split, unescape},
    token::Token,
};

/// Bytes of the hash at the end of a composite's key.
const TAIL: usize = 8;

/// What is fixed of a composite's key: how it begins, and how it ends if that is known.
struct Frame {
    start: Vec<u8>,
    end: Option<[u8; TAIL]>,
}

/// The keys of a composite parameter.
pub(super) fn composite(
    compiler: &Compiler<'_>,
    param: &Param,
    text: &str,
) -> Result<Vec<KeyRange>, Fault> {
    let values: Vec<&str> = split(text, b'$').collect();
    let components = &param.components;
    if values.len() != components.len() || values.iter().any(|value| value.is_empty()) {
        return Err(Fault::invalid(format!(
            "'{text}' must have {} values with '$' between them; write \\$ for a '$' that is \
             part of a value",
            components.len()
        )));
    }
    let (Some((first, rest)), Some((head, values))) =
        (components.split_first(), values.split_first())
    else {
        return Ok(Vec::new());
    };
    let mut frame = Frame::of(compiler, first, head)?;
    let Some((last, middle)) = rest.split_last() else {
        return Ok(Vec::new());
    };
    for (component, value) in middle.iter().zip(values) {
        frame.start.extend(exact(compiler, component, value)?);
    }
    let ranges = compiler.component(last, values[values.len() - 1])?;
    Ok(ranges
        .into_iter()
        .map(|range| frame.around(range))
        .collect())
}

impl Frame {
    fn of(compiler: &Compiler<'_>, first: &Component, value: &str) -> Result<Self, Fault> {
        if first.kind != Kind::Token {
            let (code, system) = key::composite_first(&exact(compiler, first, value)?);
            return Ok(Self {
                start: key::composite_prefix(&code),
                end: Some(key::composite_suffix(&system)),
            });
        }
        let token = Token::parse(value)?;
        let Some(code) = token.code.as_deref() else {
            return Err(Fault::not_supported(format!(
                "'{value}' names no code; the first part of a composite needs one"
            )));
        };
        Ok(Self {
            start: key::composite_prefix(code),
            end: token.system.as_deref().map(key::composite_suffix),
        })
    }

    /// The keys that have a key of `range` inside the frame.
    fn around(&self, range: KeyRange) -> KeyRange {
        let framed = |bytes: &[u8]| [self.start.as_slice(), bytes].concat();
        let whole = framed(&range.low);
        if range.is_exact() {
            return match self.end {
                Some(end) => KeyRange::exact([whole.as_slice(), &end].concat()),
                // The beginning stands so far from the end only if nothing follows but the tail.
                None => KeyRange::prefix(whole.clone()).with(KeyTest::TailEquals {
                    from_end: whole.len() + TAIL,
                    bytes: self.start.clone(),
                }),
            };
        }
        let high = match &range.high {
            Some(high) => Some(framed(high)),
            None => successor(&self.start),
        };
        let mut out = KeyRange::between(whole, high);
        out.test = range
            .test
            .into_iter()
            .map(|test| self.moved(test))
            .collect();
        if let Some(end) = self.end {
            out.test.push(KeyTest::TailEquals {
                from_end: TAIL,
                bytes: end.to_vec(),
            });
        }
        out
    }

    fn moved(&self, test: KeyTest) -> KeyTest {
        let by = self.start.len();
        match test {
            KeyTest::AtLeast(offset, bytes) => KeyTest::AtLeast(offset + by, bytes),
            KeyTest::Below(offset, bytes) => KeyTest::Below(offset + by, bytes),
            KeyTest::Contains(offset, bytes) => KeyTest::Contains(offset + by, bytes),
            KeyTest::EndsWith(bytes) => KeyTest::TailEquals {
                from_end: bytes.len() + TAIL,
                bytes,
            },
            KeyTest::TailEquals { from_end, bytes } => KeyTest::TailEquals {
                from_end: from_end + TAIL,
                bytes,
            },
        }
    }
}

/// The one key that a component in front of the last must have.
fn exact(compiler: &Compiler<'_>, component: &Component, value: &str) -> Result<Vec<u8>, Fault> {
    if component.kind == Kind::Number {
        let digits = unescape(value.strip_prefix("eq").unwrap_or(value));
        if let Some(number) = Decimal::parse(&digits) {
            return Ok(key::number(&number));
        }
    }
    let ranges = compiler.component(component, value)?;
    match ranges.as_slice() {
        [range] if range.is_exact() && range.test.is_empty() => Ok(range.low.clone()),
        _ => Err(Fault::not_supported(format!(
            "'{value}' must be one exact value; only the last part of this composite can be a \
             range"
        ))),
    }
}

impl Compiler<'_> {
    /// The keys of one component of a composite.
    fn component(&self, component: &Component, value: &str) -> Result<Vec<KeyRange>, Fault> {
        self.keys(component.kind, &component.targets, value)
    }
}
