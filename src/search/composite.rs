//! Composite searches: `code$value`.

use resources::{
    index::{Component, Kind, Param, key},
    primitive::Decimal,
};

use super::{
    compile::Compiler,
    fault::Fault,
    number,
    plan::{KeyRange, KeyTest, successor},
    text::{split, unescape},
    token::Token,
};

/// Bytes of the hash at the end of a composite's key.
const TAIL: usize = 8;

/// What the first component says of a composite's key.
struct Frame {
    /// How it begins.
    start: Vec<u8>,
    /// Where the second component begins.
    second: usize,
    /// How it ends, if that is known.
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
    let parts = Parts { compiler, param };
    let mut each = components.iter().zip(&values);
    let Some((first, value)) = each.next() else {
        return Ok(Vec::new());
    };
    let frame = parts.frame(first, value)?;
    let mut chosen: Vec<Vec<KeyRange>> = vec![Vec::new()];
    for (component, value) in each {
        let ranges = parts.keys(component, value)?;
        let with = |before: &Vec<KeyRange>| {
            let each = ranges.iter().cloned();
            each.map(|range| [before.as_slice(), &[range]].concat())
                .collect::<Vec<_>>()
        };
        chosen = chosen.iter().flat_map(with).collect();
    }
    let rest = values.iter().skip(1).copied();
    let rest: Vec<(&Component, &str)> = components.iter().skip(1).zip(rest).collect();
    chosen
        .into_iter()
        .map(|ranges| frame.around(&parts, &rest, ranges))
        .collect()
}

/// How the values of one composite parameter become keys.
struct Parts<'a> {
    compiler: &'a Compiler<'a>,
    param: &'a Param,
}

impl Parts<'_> {
    /// The keys of one component.
    fn keys(&self, component: &Component, value: &str) -> Result<Vec<KeyRange>, Fault> {
        if self.is_fixed(component) {
            return number::number_fixed(value);
        }
        let traits = self.compiler.registry.traits(self.param);
        self.compiler
            .typed_keys(component.kind, traits, &component.targets, value)
    }

    /// Its keys are numbers of a fixed length.
    fn is_fixed(&self, component: &Component) -> bool {
        component.kind == Kind::Number && self.param.components.len() > 2
    }

    /// How many bytes every key of the component has, if they are of one length.
    fn width(&self, component: &Component) -> Option<usize> {
        match component.kind {
            Kind::Number => self.is_fixed(component).then_some(1 + key::BOUND),
            Kind::Date => Some(1 + 2 * size_of::<i64>()),
            _ => None,
        }
    }

    fn frame(&self, first: &Component, value: &str) -> Result<Frame, Fault> {
        if first.kind != Kind::Token {
            let (code, system) = key::composite_first(&self.exact(first, value)?);
            return Ok(Frame::new(Some(&code), Some(&system)));
        }
        let token = Token::parse(value)?;
        Ok(Frame::new(token.code.as_deref(), token.system.as_deref()))
    }

    /// The one key that a first component must have which is no token.
    fn exact(&self, component: &Component, value: &str) -> Result<Vec<u8>, Fault> {
        if component.kind == Kind::Number {
            let digits = unescape(value.strip_prefix("eq").unwrap_or(value));
            if let Some(number) = Decimal::parse(&digits) {
                return Ok(if self.is_fixed(component) {
                    key::number_fixed(&number)
                } else {
                    key::number(&number)
                });
            }
        }
        let ranges = self.keys(component, value)?;
        match ranges.as_slice() {
            [range] if is_one(range) => Ok(range.low.clone()),
            _ => Err(Fault::not_supported(format!(
                "'{value}' must be one exact value, as the first part of this composite"
            ))),
        }
    }
}

fn is_one(range: &KeyRange) -> bool {
    range.is_exact() && range.test.is_empty()
}

impl Frame {
    fn new(code: Option<&str>, system: Option<&str>) -> Self {
        let any = key::composite_prefix("");
        Self {
            second: any.len(),
            start: match code {
                Some(code) => key::composite_prefix(code),
                // The hash of the code stands in between.
                None => any[..1].to_vec(),
            },
            end: system.map(key::composite_suffix),
        }
    }

    /// The keys that have a key of each range, in their order, inside the frame. The first that is
    /// no exact key makes the range of the whole; what follows is tested.
    fn around(
        &self,
        parts: &Parts<'_>,
        components: &[(&Component, &str)],
        ranges: Vec<KeyRange>,
    ) -> Result<KeyRange, Fault> {
        let mut known = self.start.clone();
        let mut out = (known.len() < self.second).then(|| KeyRange::prefix(known.clone()));
        let mut offset = self.second;
        let count = ranges.len();
        for (at, range) in ranges.into_iter().enumerate() {
            let is_last = at + 1 == count;
            let (component, value) = components[at];
            let width = match parts.width(component) {
                _ if is_last => 0,
                Some(width) => width,
                None if is_one(&range) => range.low.len(),
                None => {
                    return Err(Fault::not_supported(format!(
                        "'{value}' must be one exact value; only the last part of this composite \
                         and numbers can be a range"
                    )));
                }
            };
            match &mut out {
                Some(out) => push_tests(out, offset, range, is_last),
                None if is_one(&range) && !is_last => known.extend(&range.low),
                None if is_one(&range) => return Ok(self.whole(&known, &range.low)),
                None => out = Some(within(&known, range)),
            }
            offset += width;
        }
        let mut out = out.unwrap_or_else(|| KeyRange::prefix(known));
        if let Some(end) = self.end {
            out.test.push(KeyTest::TailEquals {
                from_end: TAIL,
                bytes: end.to_vec(),
            });
        }
        Ok(out)
    }

    /// The keys of which all is known, but perhaps how they end.
    fn whole(&self, known: &[u8], last: &[u8]) -> KeyRange {
        let whole = [known, last].concat();
        match self.end {
            Some(end) => KeyRange::exact([whole.as_slice(), &end].concat()),
            // The beginning stands so far from the end only if nothing follows but the tail.
            None => KeyRange::prefix(whole.clone()).with(KeyTest::TailEquals {
                from_end: whole.len() + TAIL,
                bytes: known.to_vec(),
            }),
        }
    }
}

/// The keys that are `known` and begin a key of `range`.
fn within(known: &[u8], range: KeyRange) -> KeyRange {
    let framed = |bytes: &[u8]| [known, bytes].concat();
    let high = match &range.high {
        Some(high) => Some(framed(high)),
        None => successor(known),
    };
    let mut out = KeyRange::between(framed(&range.low), high);
    let tests = range.test.into_iter();
    out.test = tests.map(|test| moved(test, known.len())).collect();
    out
}

/// Adds that a key of `range` begins at `offset`.
fn push_tests(out: &mut KeyRange, offset: usize, range: KeyRange, is_last: bool) {
    if is_last && is_one(&range) {
        out.test.push(KeyTest::TailEquals {
            from_end: range.low.len() + TAIL,
            bytes: range.low.clone(),
        });
    }
    let high = if is_one(&range) {
        successor(&range.low)
    } else {
        range.high
    };
    out.test.push(KeyTest::AtLeast(offset, range.low));
    out.test
        .extend(high.map(|high| KeyTest::Below(offset, high)));
    let tests = range.test.into_iter();
    out.test.extend(tests.map(|test| moved(test, offset)));
}

/// The test of a component as one of the whole key.
fn moved(test: KeyTest, by: usize) -> KeyTest {
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
