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
            text: text.into(),
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

    /// The error for the parameter called `name`.
    pub fn issue(self, name: &str) -> Issue {
        Issue::error(
            self.code,
            format!("search parameter '{name}': {}", self.text),
        )
    }

    /// The warning that the parameter called `name` was left out.
    pub fn warning(self, name: &str) -> Issue {
        let text = format!("search parameter '{name}' was ignored: {}", self.text);
        Issue::warning(self.code, text)
    }
}
