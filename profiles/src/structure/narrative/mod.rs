//! Narrative: well-formed XHTML without active content (R4 `narrative.html`).
//!
//! What may stand here is what R4 allows: the formatting elements of HTML 4.0, links and images,
//! and style attributes. All else is refused, since browsers of clients will show it.

mod allowed;
#[cfg(test)]
mod tests;

use allowed::{ATTRIBUTES, ELEMENTS};

/// What is wrong with a narrative.
pub(super) struct Fault {
    /// `value` if it is not well-formed, `invariant` if something stands in it that must not.
    pub code: &'static str,
    /// What, and what to do.
    pub sentence: String,
}

/// Attributes whose value is an address.
const ADDRESSES: &[&str] = &["href", "src", "cite", "longdesc", "usemap"];

const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Elements inside one another.
const MAX_DEPTH: usize = 200;

/// Checks the text of `Narrative.div`.
pub(super) fn check(text: &str) -> Result<(), Fault> {
    let mut reader = Reader {
        rest: text.trim(),
        open: Vec::new(),
    };
    if !reader.rest.starts_with("<div") {
        return Err(malformed("it must be one <div> element"));
    }
    loop {
        reader.step()?;
        if reader.open.is_empty() {
            break;
        }
    }
    if !reader.rest.is_empty() {
        return Err(malformed("there is something after </div>"));
    }
    Ok(())
}

fn malformed(what: &str) -> Fault {
    Fault {
        code: "value",
        sentence: format!("The narrative is not well-formed XHTML: {what}."),
    }
}

fn refused(sentence: impl Into<String>) -> Fault {
    Fault {
        code: "invariant",
        sentence: sentence.into(),
    }
}

struct Reader<'t> {
    rest: &'t str,
    open: Vec<&'t str>,
}

impl<'t> Reader<'t> {
    /// Reads one tag, comment, or stretch of text.
    fn step(&mut self) -> Result<(), Fault> {
        if let Some(rest) = self.rest.strip_prefix("<!--") {
            let (comment, rest) = rest
                .split_once("-->")
                .ok_or_else(|| malformed("a comment has no end"))?;
            if comment.contains("--") || comment.ends_with('-') {
                return Err(malformed("a comment contains '--'"));
            }
            if is_conditional(comment) || comment.starts_with('>') || comment.starts_with("->") {
                return Err(refused(
                    "The narrative contains a comment that some browsers read as content; \
                     remove it.",
                ));
            }
            self.rest = rest;
            return Ok(());
        }
        if self.rest.starts_with("<!") || self.rest.starts_with("<?") {
            return Err(malformed(
                "declarations, CDATA and processing instructions are not allowed",
            ));
        }
        if let Some(rest) = self.rest.strip_prefix("</") {
            return self.end_tag(rest);
        }
        match self.rest.strip_prefix('<') {
            Some(rest) => self.start_tag(rest),
            None => self.text(),
        }
    }

    fn text(&mut self) -> Result<(), Fault> {
        let Some(end) = self.rest.find('<') else {
            return Err(malformed("it ends inside an element"));
        };
        let (text, rest) = self.rest.split_at(end);
        entities(text)?;
        self.rest = rest;
        Ok(())
    }

    fn end_tag(&mut self, rest: &'t str) -> Result<(), Fault> {
        let (name, rest) = rest
            .split_once('>')
            .ok_or_else(|| malformed("a tag has no end"))?;
        let name = name.trim_end();
        match self.open.pop() {
            Some(open) if open == name => {
                self.rest = rest;
                Ok(())
            }
            Some(open) => Err(malformed(&format!(
                "</{}> stands where </{open}> is due",
                short(name)
            ))),
            None => Err(malformed("an end tag without its start tag")),
        }
    }

    fn start_tag(&mut self, rest: &'t str) -> Result<(), Fault> {
        let (name, mut rest) = split_name(rest);
        if ELEMENTS.binary_search(&name).is_err() {
            return Err(refused(format!(
                "The narrative contains the element <{}>, which is not allowed; remove it \
                 (scripts, forms, frames and styles are never allowed).",
                short(name)
            )));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(malformed("too many elements inside one another"));
        }
        let mut namespace = !self.open.is_empty();
        loop {
            let spaced = rest.starts_with([' ', '\t', '\n', '\r']);
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>") {
                rest = after;
                break;
            }
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                self.open.push(name);
                break;
            }
            if !spaced {
                return Err(malformed(&format!("the tag <{name}> is broken")));
            }
            let (attribute, value, after) = split_attribute(rest)
                .ok_or_else(|| malformed(&format!("the tag <{name}> has a broken attribute")))?;
            check_attribute(attribute, value)?;
            namespace |= attribute == "xmlns";
            rest = after;
        }
        if !namespace {
            return Err(refused(format!(
                "The narrative's div must say xmlns=\"{XHTML}\"."
            )));
        }
        self.rest = rest;
        Ok(())
    }
}

/// The name at the beginning, and what follows.
fn split_name(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, ':' | '-' | '_' | '.'))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Name, value and the rest of `name="value"…`.
fn split_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = split_name(text);
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (value, rest) = rest[1..].split_once(quote)?;
    (!name.is_empty() && !value.contains('<')).then_some((name, value, rest))
}

fn check_attribute(name: &str, value: &str) -> Result<(), Fault> {
    entities(value)?;
    if ATTRIBUTES.binary_search(&name).is_err() {
        return Err(refused(format!(
            "The narrative contains the attribute {}, which is not allowed; remove it (event \
             handlers never are).",
            short(name)
        )));
    }
    if name == "xmlns" && value != XHTML {
        return Err(refused(format!(
            "The narrative's namespace must be {XHTML}."
        )));
    }
    if ADDRESSES.contains(&name) && !is_harmless(name, value) {
        return Err(refused(format!(
            "The narrative's {name} \"{}\" is not allowed; use {}.",
            short(value),
            if name == "src" {
                "an image of the resource or of this server: #id, data:image/… or a relative \
                 address like Binary/1"
            } else {
                "http, https, mailto, tel, # or a relative address"
            }
        )));
    }
    if name == "style" && !is_harmless_style(value) {
        return Err(refused(
            "A style in the narrative cannot fetch or run anything; remove absolute url(), \
             @import, expression() and the like.",
        ));
    }
    Ok(())
}

/// Whether an address neither runs anything nor hides what it is. An image is fetched as soon as
/// the narrative is shown, and tells whoever it comes from: it must not be foreign.
fn is_harmless(attribute: &str, address: &str) -> bool {
    let address = address.trim();
    if attribute == "src" && !is_local_image(address) {
        return false;
    }
    if address.bytes().any(|b| b < b' ') {
        return false;
    }
    let end = address.find([':', '/', '?', '#']).unwrap_or(address.len());
    let (scheme, rest) = address.split_at(end);
    if !rest.starts_with(':') {
        // Relative; an entity before any delimiter may hide a scheme.
        return !scheme.contains('&');
    }
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => attribute != "src",
        "data" => {
            attribute == "src"
                && rest[1..]
                    .trim_start()
                    .to_ascii_lowercase()
                    .starts_with("image/")
        }
        "mailto" | "tel" | "urn" => attribute == "href" || attribute == "cite",
        "cid" => attribute == "src",
        _ => false,
    }
}

/// Whether a relative address stays on the server. Browsers read `\` as `/`, and entities may
/// stand for either.
fn is_local_image(address: &str) -> bool {
    let is_slash = |c: char| matches!(c, '/' | '\\');
    let hidden = address.replace("&amp;", "").contains('&');
    !hidden && !(address.starts_with(is_slash) && address[1..].starts_with(is_slash))
}

/// Whether a style stays inside the resource: its images are data or lie beside it.
fn is_harmless_style(style: &str) -> bool {
    const HARM: &[&str] = &[
        "@import",
        "expression",
        "javascript:",
        "vbscript:",
        "behavior",
        "-moz-binding",
        "\\",
        "/*",
        "&#",
    ];
    let style = style.to_ascii_lowercase();
    let local = |image: &str| {
        let end = image.find(')').unwrap_or(image.len());
        let image = image[..end].trim().trim_start_matches("&quot;");
        let image = image.trim_start_matches(['\'', '"']);
        is_harmless("src", image) && !image.starts_with("cid:")
    };
    !HARM.iter().any(|harm| style.contains(harm)) && style.split("url(").skip(1).all(local)
}

/// Each `&` must begin an entity.
fn entities(text: &str) -> Result<(), Fault> {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        rest = &rest[at + 1..];
        let entity = rest.split_once(';').map(|(entity, _)| entity);
        if !entity.is_some_and(is_entity) {
            return Err(malformed(
                "an & does not begin an entity; write it as &amp;",
            ));
        }
    }
    Ok(())
}

fn is_entity(entity: &str) -> bool {
    let number = |digits: &str, radix| {
        u32::from_str_radix(digits, radix)
            .ok()
            .and_then(char::from_u32)
            .is_some_and(|c| c >= ' ' || matches!(c, '\t' | '\n' | '\r'))
    };
    match entity.strip_prefix('#') {
        Some(hex) if hex.starts_with('x') => number(&hex[1..], 16),
        Some(decimal) => number(decimal, 10),
        None => {
            (2..=10).contains(&entity.len()) && entity.bytes().all(|b| b.is_ascii_alphanumeric())
        }
    }
}

/// `[if IE]>…<![endif]`
fn is_conditional(comment: &str) -> bool {
    let comment = comment.trim().to_ascii_lowercase();
    comment.starts_with("[if") || comment.ends_with("endif]")
}

fn short(text: &str) -> &str {
    match text.char_indices().nth(40) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
