//! Parameters of the index: per type and modifier, the keys of their values.

use resources::{
    index::{Kind, Param, Traits},
    model::ResourceType,
};

use super::{
    compile::{Compiler, boolean},
    composite::composite,
    date,
    fault::Fault,
    filter::Filter,
    hops::check_target,
    near::near,
    number,
    plan::{Clause, KeyRange},
    query::Need,
    reference,
    string::{self, Match},
    text::unescape,
    token::{self, Token},
};

impl Compiler<'_> {
    /// A parameter of the index.
    pub fn plain(
        &self,
        param: &Param,
        modifier: Option<&str>,
        value: &str,
    ) -> Result<Filter, Fault> {
        if modifier == Some("missing") {
            let present = Filter::Ready(Clause::HasParam(param.id));
            return Ok(if boolean(value)? {
                present.negated()
            } else {
                present
            });
        }
        let ranges = match (param.kind, modifier) {
            (Kind::Token, modifier) => return self.token(param, modifier, value),
            (Kind::Reference, Some("below")) => return self.family(param, value, true),
            (Kind::Reference, Some("above")) => return self.family(param, value, false),
            (Kind::Reference, modifier) => self.reference(param, modifier, value)?,
            (Kind::String, Some("exact")) => {
                self.ranges(value, |text| string::string(text, Match::Exact))?
            }
            (Kind::String, Some("contains")) => {
                self.ranges(value, |text| string::string(text, Match::Contains))?
            }
            (Kind::Uri, Some("below")) => self.ranges(value, string::uri_below)?,
            (Kind::Uri, Some("above")) => self.ranges(value, string::uri_above)?,
            (Kind::Composite, None) => self.ranges(value, |text| composite(self, param, text))?,
            (Kind::Special, None) if param.code == "near" => self.ranges(value, near)?,
            (Kind::Special, None) => {
                return Err(Fault::unknown("this server cannot search by it"));
            }
            (_, None) => self.ranges(value, |text| self.keys(param, text))?,
            (kind, Some(other)) => return Err(no_modifier(kind, other)),
        };
        Ok(Filter::keys(param.id, ranges))
    }

    /// The keys of one value of a parameter without modifier that is no composite.
    pub fn keys(&self, param: &Param, text: &str) -> Result<Vec<KeyRange>, Fault> {
        let traits = self.registry.traits(param);
        self.typed_keys(param.kind, traits, &param.targets, text)
    }

    /// The same for a parameter, or a component of one, of which this is known.
    pub fn typed_keys(
        &self,
        kind: Kind,
        traits: Traits,
        targets: &[ResourceType],
        text: &str,
    ) -> Result<Vec<KeyRange>, Fault> {
        match kind {
            Kind::Token => token::token(text, traits.folded),
            Kind::String => string::string(text, Match::Start),
            Kind::Reference => reference::reference(text, targets, self.base_url),
            Kind::Date => Ok(date::ranges(&self.span(text)?)),
            Kind::Number => number::number(text, traits.ranges),
            Kind::Quantity => number::quantity(text, traits.ranges),
            Kind::Uri => Ok(string::uri(text)),
            Kind::Composite | Kind::Special => Err(Fault::unknown(
                "this server cannot search by it as a part of another",
            )),
        }
    }

    fn token(&self, param: &Param, modifier: Option<&str>, value: &str) -> Result<Filter, Fault> {
        let keys = |ranges| Filter::keys(param.id, ranges);
        let folded = self.registry.traits(param).folded;
        let token = |text: &str| token::token(text, folded);
        let coded = |need: &dyn Fn(&str) -> Result<Need, Fault>| {
            let code = |value| {
                Ok(Filter::Codes {
                    param: param.id,
                    need: need(value)?,
                })
            };
            let parts: Result<Vec<Filter>, Fault> =
                self.values(value)?.into_iter().map(code).collect();
            Ok(Filter::any(parts?))
        };
        let value_set = |text: &str| Ok(Need::ValueSet(unescape(text).into_owned()));
        match modifier {
            None => Ok(keys(self.ranges(value, token)?)),
            Some("not") => Ok(keys(self.ranges(value, token)?).negated()),
            Some("text") => Ok(keys(self.ranges(value, string::token_text)?)),
            Some("of-type") => Ok(keys(self.ranges(value, token::of_type)?)),
            Some("in") => coded(&value_set),
            Some("not-in") => Ok(coded(&value_set)?.negated()),
            Some("below") => coded(&|text| hierarchy(text, true)),
            Some("above") => coded(&|text| hierarchy(text, false)),
            Some(other) => Err(no_modifier(Kind::Token, other)),
        }
    }

    fn reference(
        &self,
        param: &Param,
        modifier: Option<&str>,
        value: &str,
    ) -> Result<Vec<KeyRange>, Fault> {
        match modifier {
            None => self.ranges(value, |text| {
                reference::reference(text, &param.targets, self.base_url)
            }),
            Some("identifier") => self.ranges(value, reference::identifier),
            Some(name) => {
                let Some(kind) = ResourceType::from_name(name) else {
                    return Err(no_modifier(Kind::Reference, name));
                };
                check_target(param, kind)?;
                self.ranges(value, |text| reference::typed(text, kind, self.base_url))
            }
        }
    }
}

/// The parameters by which resources refer to others of their type that they are a part of (R4
/// `search.html#hierarchy`).
const PARENT: [&str; 3] = ["partof", "part-of", "parent"];

impl Compiler<'_> {
    /// `:below` and `:above`: a place in the hierarchy of a type, or versions of a canonical.
    fn family(&self, param: &Param, value: &str, below: bool) -> Result<Filter, Fault> {
        let mut parts = Vec::new();
        for text in self.values(value)? {
            if let Some(ranges) = reference::below_version(text).filter(|_| below) {
                parts.push(Filter::keys(param.id, ranges));
                continue;
            }
            let named = reference::resources(text, &param.targets, self.base_url)?;
            let before = parts.len();
            for (kind, id) in &named {
                let parent = self.parent(*kind);
                parts.extend(parent.map(|parent| Filter::Codes {
                    param: param.id,
                    need: Need::Family {
                        param: parent.id,
                        kind: *kind,
                        id: id.clone(),
                        below,
                    },
                }));
            }
            if parts.len() == before {
                return Err(Fault::not_supported(format!(
                    "'{text}' is of a type without a hierarchy, so nothing is above or below it"
                )));
            }
        }
        Ok(Filter::any(parts))
    }

    fn parent(&self, kind: ResourceType) -> Option<&Param> {
        let of = |code: &&str| self.registry.param(kind, code);
        let is_own = |param: &&Param| {
            param.kind == Kind::Reference
                && (param.targets.is_empty() || param.targets.contains(&kind))
        };
        PARENT.iter().filter_map(of).find(is_own)
    }
}

fn hierarchy(text: &str, below: bool) -> Result<Need, Fault> {
    let token = Token::parse(text)?;
    let Some(code) = token.code else {
        return Err(Fault::invalid(format!("'{text}' names no code")));
    };
    let (system, code) = (token.system.map(Into::into), code.into_owned());
    Ok(if below {
        Need::Below { system, code }
    } else {
        Need::Above { system, code }
    })
}

/// What can follow a colon after a parameter of each type.
fn no_modifier(kind: Kind, modifier: &str) -> Fault {
    let (name, has) = match kind {
        Kind::Token => (
            "token",
            "missing, text, not, above, below, in, not-in and of-type",
        ),
        Kind::String => ("string", "missing, exact and contains"),
        Kind::Reference => (
            "reference",
            "missing, identifier, above, below and the name of a resource type",
        ),
        Kind::Uri => ("uri", "missing, above and below"),
        Kind::Date => ("date", "missing"),
        Kind::Number => ("number", "missing"),
        Kind::Quantity => ("quantity", "missing"),
        Kind::Composite => ("composite", "missing"),
        Kind::Special => ("special", "missing"),
    };
    Fault::unknown(format!(
        "modifier ':{modifier}' does not go with {name} parameters; they have {has}"
    ))
}
