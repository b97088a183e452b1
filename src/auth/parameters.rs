//! Parameters of a request to an OAuth endpoint (RFC 6749, section 3).

use super::refusal::OAuthError;

/// Names and values, decoded.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// These pairs. Those without a value count as left out, as the RFC has it.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self(given.collect())
    }

    /// The value of a parameter, if it is there once.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_str())
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request`
    pub fn need(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| {
            OAuthError::new(
                "invalid_request",
                format!("The request has no {name}; send it once."),
            )
        })
    }

    /// Refuses what is there twice: who looks at the first and who at the last would see two
    /// requests.
    ///
    /// # Errors
    /// `invalid_request`
    pub fn check_once(&self) -> Result<(), OAuthError> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if self.0[..at].iter().any(|(before, _)| before == name) {
                let name: String = name
                    .chars()
                    .filter(char::is_ascii_graphic)
                    .take(40)
                    .collect();
                return Err(OAuthError::new(
                    "invalid_request",
                    format!("The parameter {name} is there more than once; send it once."),
                ));
            }
        }
        Ok(())
    }
}
