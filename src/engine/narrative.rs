//! The words of a resource: its narrative without markup, and all of its strings.

use resources::{Doc, doc::Kind};

use crate::store::Texts;

/// What full-text search finds of a resource.
pub(super) fn texts(doc: &Doc) -> Texts {
    let div = doc
        .root()
        .get("text")
        .and_then(|text| text.get("div")?.as_str());
    let narrative = div.map_or(String::new(), |div| without_markup(&div));
    let mut content = narrative.clone();
    for value in doc.root().descendants() {
        if value.kind() == Kind::String
            && value.name() != "div"
            && let Some(text) = value.as_str()
        {
            content.push(' ');
            content.push_str(&text);
        }
    }
    Texts { narrative, content }
}

/// XHTML without its tags, which separate words, and with characters for their references.
fn without_markup(xhtml: &str) -> String {
    let mut text = String::with_capacity(xhtml.len());
    let mut rest = xhtml;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('<') {
            text.push(' ');
            rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
        } else if let Some((letter, after)) = reference(rest) {
            text.push(letter);
            rest = after;
        } else {
            text.push('&');
            rest = &rest[1..];
        }
    }
    text + rest
}

/// The character that `text` refers to, which begins with `&`, and what follows. Names beyond
/// XML's are not allowed in narratives, but people write them.
fn reference(text: &str) -> Option<(char, &str)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let (name, rest) = (&text[1..end], &text[end + 1..]);
    let letter = if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        char::from_u32(code.ok()?)?
    } else if let Some(at) = LATIN_1.iter().position(|known| *known == name) {
        char::from_u32(160 + at as u32)?
    } else {
        OTHERS.iter().find(|(known, _)| *known == name)?.1
    };
    Some((letter, rest))
}

const OTHERS: [(&str, char); 18] = [
    ("lt", '<'),
    ("gt", '>'),
    ("amp", '&'),
    ("quot", '"'),
    ("apos", '\''),
    ("OElig", '\u{152}'),
    ("oelig", '\u{153}'),
    ("Scaron", '\u{160}'),
    ("scaron", '\u{161}'),
    ("Yuml", '\u{178}'),
    ("ndash", '\u{2013}'),
    ("mdash", '\u{2014}'),
    ("lsquo", '\u{2018}'),
    ("rsquo", '\u{2019}'),
    ("ldquo", '\u{201c}'),
    ("rdquo", '\u{201d}'),
    ("hellip", '\u{2026}'),
    ("euro", '\u{20ac}'),
];

/// HTML's names of the characters from 160 on.
#[rustfmt::skip]
const LATIN_1: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect",
    "uml", "copy", "ordf", "laquo", "not", "shy", "reg", "macr",
    "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot",
    "cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest",
    "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig", "Ccedil",
    "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml",
    "ETH", "Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times",
    "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute", "THORN", "szlig",
    "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil",
    "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml",
    "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde", "ouml", "divide",
    "oslash", "ugrave", "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_separate_words_and_are_none() {
        for (xhtml, words) in [
            ("<div xmlns=\"x\">a<b>c</b>d</div>", "a c d"),
            ("<div>one<br/>two &amp; three</div>", "one two & three"),
            ("<div>unclosed <b", "unclosed"),
        ] {
            let text = without_markup(xhtml);
            let found: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(found.join(" "), words);
        }
    }

    #[test]
    fn references_stand_for_their_characters() {
        for (xhtml, text) in [
            ("caf&#233;", "café"),
            ("caf&#xE9;", "café"),
            ("caf&eacute; &Ouml;l", "café Öl"),
            ("it&#39;s", "it's"),
            ("a&nbsp;b", "a\u{a0}b"),
            ("&lt;b&gt; &quot;&apos;", "<b> \"'"),
            ("&amp;lt; &amp;#233;", "&lt; &#233;"),
            ("&#x1F600;", "😀"),
            (
                "a & b; &unknown; &#; &#xD800; &#99999999;",
                "a & b; &unknown; &#; &#xD800; &#99999999;",
            ),
        ] {
            assert_eq!(without_markup(xhtml), text, "{xhtml}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[<>&#;xaé0-9 ]{0,30}") {
            without_markup(&text);
        }
    }
}
