//! Why a parameter cannot be searched for.

use resources::outcome::Issue;

/// What is wrong with one parameter, without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    code: &'static str,
    text: String,
    /// A lenient search may go on without the parameter.
    pub ignorable: bool,
}

impl Fault {
    fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            text: shortened(text.into()),
            ignorable: false,
        }
    }

    /// The value is not one of the parameter's type.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new("invalid", text)
    }

    /// The standard allows the value, this server does not.
    pub fn not_supported(text: impl Into<String>) -> Self {
        Self::new("not-supported", text)
    }

    /// There is no such parameter or modifier here.
    pub fn unknown(text: impl Into<String>) -> Self {
        Self {
            ignorable: true,
            ..Self::new("not-supported", text)
        }
    }

    /// More than one search may ask for.
    pub fn too_costly(text: impl Into<String>) -> Self {
        Self::new("too-costly", text)
    }

    /// Whether the search must be refused, whatever its other parts are.
    pub fn is_costly(&self) -> bool {
        self.code == "too-costly"
    }

    /// The error for the parameter called `name`.
    pub fn issue(self, name: &str) -> Issue {
        let name = shortened(name.to_owned());
        Issue::error(
            self.code,
            format!("search parameter '{name}': {}", self.text),
        )
    }

    /// The warning that the parameter called `name` was left out.
    pub fn warning(self, name: &str) -> Issue {
        let name = shortened(name.to_owned());
        let text = format!("search parameter '{name}' was ignored: {}", self.text);
        Issue::warning(self.code, text)
    }
}

/// A text that may hold what came in, cut to a length that can be read.
fn shortened(mut text: String) -> String {
    const START: usize = 300;
    const END: usize = 200;
    if text.len() > START + END {
        let start = text.floor_char_boundary(START);
        let end = text.ceil_char_boundary(text.len() - END);
        text.replace_range(start..end, "…");
    }
    text
}
