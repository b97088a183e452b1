//! The language of `_text` and `_content`: words, AND, OR, parentheses.

use resources::outcome::Issue;

/// The words of a text: lower case, cut at everything that is neither letter nor digit.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}
