//! Forms of a page, as far as somebody needs them who logs in and agrees.

/// A form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent; empty is the page itself.
    pub action: String,
    /// `post` or `get`.
    pub method: String,
    /// What is in it.
    pub controls: Vec<Control>,
}

/// An input or a button.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// `hidden`, `text`, `password`, `checkbox`, `radio`, `submit` …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What stands on it, in lower case.
    pub text: String,
    /// Whether it is ticked.
    pub checked: bool,
}

/// The forms of a page, in order.
pub fn forms(html: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut open = false;
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let Some(end) = end_of_tag(rest) else { break };
        let (tag, behind) = (&rest[..end], &rest[end + 1..]);
        rest = behind;
        let name = tag.split([' ', '\n', '\t', '/']).next().unwrap_or_default();
        let get = |name: &str| attribute(tag, name);
        match name.to_ascii_lowercase().as_str() {
            "form" => {
                open = true;
                forms.push(Form {
                    action: get("action").unwrap_or_default(),
                    method: get("method").unwrap_or_default().to_ascii_lowercase(),
                    controls: Vec::new(),
                });
            }
            "" if tag.eq_ignore_ascii_case("/form") => open = false,
            kind @ ("input" | "button") if open => {
                let of_kind = if kind == "input" { "text" } else { "submit" };
                let text = match kind {
                    "button" => behind.split("</button").next().unwrap_or_default(),
                    _ => "",
                };
                let control = Control {
                    kind: get("type").unwrap_or_else(|| of_kind.to_owned()),
                    name: get("name").unwrap_or_default(),
                    value: get("value").unwrap_or_default(),
                    text: text.to_lowercase(),
                    checked: get("checked").is_some(),
                };
                if let Some(form) = forms.last_mut() {
                    form.controls.push(control);
                }
            }
            _ => {}
        }
    }
    forms
}

/// Where the tag ends that begins here: not in a quoted value.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
    }
    None
}

/// The value of an attribute; empty if it has none.
fn attribute(tag: &str, wanted: &str) -> Option<String> {
    let mut rest = tag.split_once(char::is_whitespace)?.1;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let end = rest.find(|c: char| c.is_whitespace() || c == '=' || c == '/');
        let name = &rest[..end.unwrap_or(rest.len())];
        if name.is_empty() {
            return None;
        }
        rest = rest[name.len()..].trim_start();
        let mut value = "";
        if let Some(behind) = rest.strip_prefix('=') {
            let behind = behind.trim_start();
            (value, rest) = match behind.chars().next() {
                Some(quote @ ('"' | '\'')) => behind[1..].split_once(quote)?,
                _ => behind
                    .split_once(char::is_whitespace)
                    .unwrap_or((behind, "")),
            };
        }
        if name.eq_ignore_ascii_case(wanted) {
            return Some(plain(value));
        }
    }
}

fn plain(text: &str) -> String {
    let named = [
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    let replace = |text: String, (from, to): (&str, &str)| text.replace(from, to);
    named.into_iter().fold(text.to_owned(), replace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_read_them() {
        let page = r#"<!DOCTYPE html><p>a < b</p><input name="outside">
            <form method="POST" action="/go?a=1&amp;b=2"><input type=hidden name='csrf' value="x>y">
            <input name="login" required><input type="checkbox" name="scope" value="a" checked/>
            <button name="answer" value="deny">Do <b>not</b> allow</button></form>
            <form><input type="password" name="p"></form>"#;
        let forms = forms(page);
        assert_eq!(forms.len(), 2);
        let [first, second] = &forms[..] else {
            panic!()
        };
        assert_eq!(
            (first.action.as_str(), first.method.as_str()),
            ("/go?a=1&b=2", "post")
        );
        let short: Vec<String> = (first.controls.iter())
            .map(|one| format!("{} {}={} {}", one.kind, one.name, one.value, one.checked))
            .collect();
        assert_eq!(
            short,
            [
                "hidden csrf=x>y false",
                "text login= false",
                "checkbox scope=a true",
                "submit answer=deny false"
            ]
        );
        assert_eq!(first.controls[3].text, "do <b>not</b> allow");
        assert_eq!(second.controls[0].kind, "password");
    }
}
