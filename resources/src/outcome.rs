//! What is wrong with a resource or a request, in the terms of OperationOutcome.

use crate::doc::write_json_string;

/// How bad it is (value set issue-severity).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For the reader's information.
    Information,
    /// The request went on, but not quite as asked.
    Warning,
    /// The request failed.
    Error,
    /// The request failed and could not be looked at further.
    Fatal,
}

impl Severity {
    /// The code as it stands in `OperationOutcome.issue.severity`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

/// One `OperationOutcome.issue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad.
    pub severity: Severity,
    /// A code of the value set issue-type, such as `structure`, `required`, `value`,
    /// `code-invalid`, `invariant`, `not-found`, `conflict`, `duplicate`, `too-costly`.
    pub code: &'static str,
    /// FHIRPath of the element, like `Patient.name[0].given[1]`.
    pub expression: Option<String>,
    /// A sentence that says what is wrong and what to do. Never stored data of anyone else.
    pub diagnostics: String,
    /// What a program needs beside it, where `code` is too coarse.
    pub detail: Option<Box<Detail>>,
}

/// What a program can read of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// A code of [`Detail::SYSTEM`], for `details.coding`.
    pub code: &'static str,
    /// A time that could be had instead: start and end, as instants.
    pub alternative: Option<(String, String)>,
}

impl Detail {
    /// The system of the codes.
    pub const SYSTEM: &str = "urn:rotunda:outcome";
    /// The extension of an issue that has an alternative, a Period.
    pub const ALTERNATIVE: &str = "urn:rotunda:StructureDefinition:alternative";
}

impl Issue {
    /// An error with a code and a sentence.
    pub fn error(code: &'static str, diagnostics: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            expression: None,
            diagnostics: diagnostics.into(),
            detail: None,
        }
    }

    /// The same issue, with a code of [`Detail::SYSTEM`].
    #[must_use]
    pub fn because(mut self, code: &'static str) -> Self {
        self.detail = Some(Box::new(Detail {
            code,
            alternative: None,
        }));
        self
    }

    /// A warning with a code and a sentence.
    pub fn warning(code: &'static str, diagnostics: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, diagnostics)
        }
    }

    /// The same issue, placed at an element.
    #[must_use]
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }
}

/// The JSON of an OperationOutcome over these issues.
pub fn operation_outcome(issues: &[Issue]) -> String {
    let mut out = String::from(r#"{"resourceType":"OperationOutcome","issue":["#);
    for (i, issue) in issues.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push('{');
        if let Some((start, end)) = issue.detail.as_ref().and_then(|d| d.alternative.as_ref()) {
            out.push_str(&format!(
                r#""extension":[{{"url":"{}","valuePeriod":{{"start":"{start}","end":"{end}"}}}}],"#,
                Detail::ALTERNATIVE
            ));
        }
        out.push_str(r#""severity":""#);
        out.push_str(issue.severity.code());
        out.push_str(r#"","code":""#);
        out.push_str(issue.code);
        if let Some(detail) = &issue.detail {
            out.push_str(&format!(
                r#"","details":{{"coding":[{{"system":"{}","code":"{}"}}]}},"diagnostics":"#,
                Detail::SYSTEM,
                detail.code
            ));
        } else {
            out.push_str(r#"","diagnostics":"#);
        }
        write_json_string(&mut out, &issue.diagnostics);
        if let Some(expression) = &issue.expression {
            out.push_str(r#","expression":["#);
            write_json_string(&mut out, expression);
            out.push(']');
        }
        out.push('}');
    }
    out.push_str("]}");
    out
}
