//! How patient apps show the organization (SMART App Launch 2.2.0, "User-access Brands").

use serde::{Deserialize, Serialize};

/// The organization whose server it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brand {
    /// The name that its patients know.
    pub name: String,
    /// Other names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alias: Vec<String>,
    /// Its website.
    pub website: String,
    /// Where its logo is, `https:` or `data:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// What the patients' portal is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portal_name: Option<String>,
    /// For whom the portal is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portal_description: Option<String>,
    /// Where the portal is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portal_url: Option<String>,
    /// Where makers of apps register them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub developers_url: Option<String>,
    /// The country, ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// The city.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
}

impl Brand {
    /// The same, with what must be there: without a configuration the server speaks for itself.
    #[must_use]
    pub fn or_server(mut self, issuer: &str) -> Self {
        if self.name.is_empty() {
            "Rotunda".clone_into(&mut self.name);
        }
        if self.website.is_empty() {
            issuer.clone_into(&mut self.website);
        }
        self
    }

    /// What makes no sense, as key and sentence.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        let is_page = |url: &str| url.starts_with("https://");
        let urls = [
            ("website", Some(&self.website).filter(|url| !url.is_empty())),
            ("portal_url", self.portal_url.as_ref()),
            ("developers_url", self.developers_url.as_ref()),
        ];
        for (key, url) in urls {
            if url.is_some_and(|url| !is_page(url)) {
                found.push((key, "must begin with https://"));
            }
        }
        let is_logo = |url: &String| is_page(url) || url.starts_with("data:image/");
        if self.logo.as_ref().is_some_and(|url| !is_logo(url)) {
            found.push(("logo", "must begin with https:// or data:image/"));
        }
        found
    }
}
