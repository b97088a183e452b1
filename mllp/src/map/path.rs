//! Paths to elements, as the tables write them: `participant[1].individual(Practitioner)`,
//! `performer[2](PractitionerRole[1].organization(Organization.address))`, `[1].given[2]`.

/// One name of a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// The element; empty for an index that stands alone at the beginning (of data types).
    pub name: String,
    /// `[n]`: which of several, if the tables tell them apart.
    pub index: u8,
    /// `[=n]`: one for all segments and repetitions (ours).
    pub shared: bool,
    /// `[each]`: one for each repetition, if others stand before it.
    pub each: bool,
    /// `(Type …)`: what the element points to, or of which type it is.
    pub link: Option<String>,
}

/// Reads a path.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut step = Step::default();
    let mut open = 0usize;
    // Whether the name that comes is a type: it stands after `(`.
    let mut is_type = false;
    let mut rest = text.trim();
    let wrong = |what: &str| Err(format!("`{text}`: {what}"));
    while let Some(first) = rest.chars().next() {
        match first {
            '[' => {
                let Some(end) = rest.find(']') else {
                    return wrong("`[` is not closed");
                };
                let inner = &rest[1..end];
                if !is_type && !index(&mut step, inner) {
                    return wrong("an index is a number");
                }
                rest = &rest[end + 1..];
            }
            '(' => {
                open += 1;
                is_type = true;
                rest = &rest[1..];
            }
            ')' => {
                if open == 0 {
                    return wrong("`)` without `(`");
                }
                open -= 1;
                is_type = false;
                rest = &rest[1..];
            }
            '.' => {
                if !is_type || step.link.is_some() {
                    steps.push(std::mem::take(&mut step));
                }
                is_type = false;
                rest = &rest[1..];
            }
            _ => {
                let end = rest.find(['[', '(', ')', '.']).unwrap_or(rest.len());
                let name = rest[..end].trim();
                if !name
                    .chars()
                    .all(|character| character.is_ascii_alphanumeric() || character == '$')
                {
                    return wrong("a name has letters and digits only");
                }
                if is_type {
                    step.link = Some(name.to_owned());
                } else if step.name.is_empty() && step.link.is_none() {
                    name.clone_into(&mut step.name);
                } else {
                    return wrong("`.` is missing");
                }
                rest = &rest[end..];
            }
        }
    }
    if open > 0 {
        return wrong("`(` is not closed");
    }
    steps.push(step);
    Ok(steps)
}

fn index(step: &mut Step, inner: &str) -> bool {
    if inner == "each" {
        step.each = true;
        return true;
    }
    let digits = match inner.strip_prefix('=') {
        Some(digits) => {
            step.shared = true;
            digits
        }
        None => inner,
    };
    match digits.parse() {
        Ok(number) => {
            step.index = number;
            true
        }
        Err(_) => false,
    }
}
