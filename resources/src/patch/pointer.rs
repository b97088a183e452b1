//! JSON Pointer (RFC 6901).

use std::fmt;

/// The names and numbers on the way to a value.
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    /// `None` if the text is no pointer: it must be empty or begin with `/`, and `~` must be
    /// followed by 0 or 1.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let parts = text.strip_prefix('/')?.split('/').map(unescape);
        parts.collect::<Option<_>>().map(Self)
    }

    pub(super) fn parts(&self) -> &[String] {
        &self.0
    }

    /// The pointer of its first `length` parts.
    pub(super) fn beginning(&self, length: usize) -> Self {
        Self(self.0[..length].to_vec())
    }

    /// Whether it points into what `outer` points to.
    pub(super) fn is_inside(&self, outer: &Self) -> bool {
        self.0.len() > outer.0.len() && self.0.starts_with(&outer.0)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            write!(f, "/{}", part.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

fn unescape(part: &str) -> Option<String> {
    let mut out = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}
