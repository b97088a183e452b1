//! Coded elements, identifiers' systems, and what else is known by a URI.

use std::borrow::Cow;

use super::{
    names,
    part::Part,
    run::{Context, Run},
    tables::SYSTEMS,
    tree::{Node, Object},
};

/// Code and text, and where the code is from: components of CWE.
const TRIPLES: [(u16, u16); 3] = [(1, 7), (4, 8), (10, 13)];

impl<'m> Run<'m> {
    /// A coded element (CE, CWE, CNE, CF, IS, ID) as a CodeableConcept.
    pub(super) fn concept(
        &mut self,
        part: Part<'m>,
        codes: Option<u16>,
        context: &Context<'m>,
    ) -> Option<Node> {
        let mut codings = Vec::new();
        for (first, version) in TRIPLES {
            let (code, display) = (part.part(first), part.part(first + 1));
            if part.depth > 0 && first > 1 {
                break;
            }
            if !code.is_valued() {
                continue;
            }
            let code = code.text();
            let display = if display.is_valued() {
                display.text()
            } else {
                "".into()
            };
            let system = part.part(first + 2).text();
            let version = if part.depth == 0 {
                part.part(version).text()
            } else {
                "".into()
            };
            if first == 1 {
                self.translated(
                    &code,
                    &display,
                    &system,
                    &version,
                    codes,
                    context,
                    &mut codings,
                );
            } else {
                codings.push(self.coding(code, display, &system, version, ""));
            }
        }
        let mut object = Object::default();
        if !codings.is_empty() {
            let items = codings.into_iter().enumerate();
            let items = items.map(|(at, coding)| (at as u64, Node::Object(coding)));
            object.0.push((names::CODING, Node::List(items.collect())));
        }
        let text = part.part(9);
        let text = match part.depth == 0 && text.is_valued() {
            true => text.text(),
            // A text without a code is all there is.
            false if object.is_empty() && part.part(2).is_valued() => part.part(2).text(),
            false => "".into(),
        };
        if !text.is_empty() {
            object.0.push((names::TEXT, Node::Text(text.into_owned())));
        }
        (!object.is_empty()).then_some(Node::Object(object))
    }

    /// A coded element as a Coding.
    pub(super) fn one_coding(
        &mut self,
        part: Part<'m>,
        codes: Option<u16>,
        context: &Context<'m>,
    ) -> Option<Node> {
        let code = part.part(1);
        if !code.is_valued() {
            return None;
        }
        let mut codings = Vec::new();
        let (display, system, version) = (
            part.part(2).text(),
            part.part(3).text(),
            part.part(7).text(),
        );
        let version = if part.depth == 0 { version } else { "".into() };
        self.translated(
            &code.text(),
            &display,
            &system,
            &version,
            codes,
            context,
            &mut codings,
        );
        codings.into_iter().next().map(Node::Object)
    }

    /// The code of a table's translation, and the code as it came if that is another.
    #[allow(clippy::too_many_arguments, reason = "the parts of a coded element")]
    fn translated(
        &mut self,
        code: &Cow<'m, str>,
        display: &Cow<'m, str>,
        system: &str,
        version: &Cow<'m, str>,
        codes: Option<u16>,
        context: &Context<'m>,
        codings: &mut Vec<Object>,
    ) {
        let Some(table) = codes.map(|table| &self.plan.codes[table as usize]) else {
            codings.push(self.coding(code.clone(), display.clone(), system, version.clone(), ""));
            return;
        };
        // A code of a system of its own is not the table's.
        let is_own = !system.is_empty() && !is_table(system, &table.system) && !is_local(system);
        match table.find(code).filter(|_| !is_own) {
            Some(found) if !found.code.is_empty() => {
                let mut coding = Object::default();
                let texts = [
                    (names::SYSTEM, &found.system),
                    (names::CODE, &found.code),
                    (names::DISPLAY, &found.display),
                ];
                for (name, text) in texts {
                    if !text.is_empty() {
                        coding.0.push((name, Node::Text(text.to_string())));
                    }
                }
                codings.push(coding);
                if *found.code != **code {
                    let own = self.coding(
                        code.clone(),
                        display.clone(),
                        system,
                        version.clone(),
                        &table.system,
                    );
                    codings.push(own);
                }
            }
            found => {
                if found.is_none() && !is_own && !table.is_open {
                    let note = format!("`{code}` is not in the table {}", table.name);
                    let place = self.place(context);
                    self.note(place, note);
                }
                codings.push(self.coding(
                    code.clone(),
                    display.clone(),
                    system,
                    version.clone(),
                    &table.system,
                ));
            }
        }
    }

    fn coding(
        &self,
        code: Cow<'m, str>,
        display: Cow<'m, str>,
        system: &str,
        version: Cow<'m, str>,
        table: &str,
    ) -> Object {
        let mut coding = Object::default();
        let system = if system.is_empty() { table } else { system };
        if let Some(uri) = self.code_system(system) {
            coding.0.push((names::SYSTEM, Node::Text(uri.into_owned())));
        }
        if !version.is_empty() {
            coding
                .0
                .push((names::VERSION, Node::Text(version.into_owned())));
        }
        let code = match code.contains(char::is_whitespace) {
            true => code.split_whitespace().collect::<Vec<_>>().join(" "),
            false => code.into_owned(),
        };
        coding.0.push((names::CODE, Node::Text(code)));
        if !display.is_empty() {
            coding
                .0
                .push((names::DISPLAY, Node::Text(display.into_owned())));
        }
        coding
    }

    /// The URI of a coding system as table 0396 or a site calls it.
    pub(super) fn code_system<'t>(&self, name: &'t str) -> Option<Cow<'t, str>> {
        if name.is_empty() {
            return None;
        }
        if let Some(known) = self.site.authorities.get(name) {
            return Some(Cow::Owned(known.clone()));
        }
        let digits = name
            .strip_prefix("HL7")
            .map(|rest| rest.trim_start_matches(['-', '_']));
        if let Some(digits) = digits.filter(|digits| {
            (3..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        }) {
            return Some(Cow::Owned(format!(
                "http://terminology.hl7.org/CodeSystem/v2-{digits:0>4}"
            )));
        }
        if let Ok(at) = SYSTEMS.binary_search_by(|[known, _, _]| (*known).cmp(name)) {
            return Some(Cow::Borrowed(SYSTEMS[at][1]));
        }
        if is_oid(name) {
            return Some(Cow::Owned(format!("urn:oid:{name}")));
        }
        if (name.contains("://") || name.starts_with("urn:")) && !name.contains(char::is_whitespace)
        {
            return Some(Cow::Borrowed(name));
        }
        match is_local(name) && name.len() <= 1 {
            true => None,
            false => Some(Cow::Owned(format!("urn:rotunda:codes:{}", escaped(name)))),
        }
    }

    /// The system that an assigning authority stands for: an HD, as the subcomponents of one
    /// component or as three components from one on.
    pub(super) fn authority(&self, part: Part<'m>, number: u16) -> String {
        let hd = part.part(number);
        let (namespace, id, kind) = match number == 2 && part.depth == 0 {
            // EI: its second to fourth component.
            true => (part.part(2), part.part(3), part.part(4)),
            // EI as a component (EIP): its subcomponents.
            false if number == 2 => (part.part(2), part.part(3), part.part(4)),
            false => (hd.part(1), hd.part(2), hd.part(3)),
        };
        let text = |part: Part<'m>| match part.is_valued() {
            true => part.text(),
            false => Cow::Borrowed(""),
        };
        let (namespace, id, kind) = (text(namespace), text(id), text(kind));
        for key in [&namespace, &id] {
            if let Some(known) = self
                .site
                .authorities
                .get(&**key)
                .filter(|_| !key.is_empty())
            {
                return known.clone();
            }
        }
        if !id.is_empty() {
            let lower = id.to_ascii_lowercase();
            match &*kind {
                _ if is_oid(&id) => return format!("urn:oid:{id}"),
                "UUID" | "GUID" => return format!("urn:uuid:{lower}"),
                "URI" | "URL" if !id.contains(char::is_whitespace) => return id.into_owned(),
                "DNS" => return format!("urn:rotunda:dns:{}", escaped(&lower)),
                _ if id.starts_with("http://") || id.starts_with("https://") => {
                    return id.into_owned();
                }
                _ if namespace.is_empty() => {
                    return format!("urn:rotunda:authority:{}", escaped(&id));
                }
                _ => {}
            }
        }
        match namespace.is_empty() {
            false => format!("urn:rotunda:authority:{}", escaped(&namespace)),
            true => self.default_system(),
        }
    }

    /// The system of identifiers that name no authority: the sender's.
    pub(super) fn default_system(&self) -> String {
        if let Some(system) = &self.site.default_system {
            return system.clone();
        }
        self.sender.get_or_init(|| self.sender_system()).clone()
    }

    fn sender_system(&self) -> String {
        let msh = self.message.msh();
        let (application, facility) = (msh.field(3).text(), msh.field(4).text());
        format!(
            "urn:rotunda:sender:{}:{}",
            escaped(facility.trim()),
            escaped(application.trim())
        )
    }

    /// `assigner` with the namespace as its display.
    pub(super) fn assigner(&self, namespace: Part<'m>) -> Option<Node> {
        if !namespace.is_valued() {
            return None;
        }
        let display = Node::Text(namespace.text().into_owned());
        Some(Node::Object(Object(vec![(names::DISPLAY, display)])))
    }
}

/// `1.2.840.113619`.
fn is_oid(text: &str) -> bool {
    let mut parts = text.split('.');
    text.contains('.')
        && matches!(parts.next(), Some("0" | "1" | "2"))
        && parts.all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'))
        })
}

/// Whether a name of a coding system means a table of HL7's.
fn is_table(name: &str, table: &str) -> bool {
    let digits = |name: &str| -> String {
        let digits = name
            .trim_start_matches("HL7")
            .trim_start_matches(['-', '_']);
        digits.trim_start_matches('0').to_owned()
    };
    name.starts_with("HL7") && digits(name) == digits(table)
}

/// `L` and `99…`: of the site.
fn is_local(name: &str) -> bool {
    name == "L" || name.starts_with("99")
}

/// What a URN may not hold, in percents.
pub fn escaped(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                made.push(char::from(byte));
            }
            _ => made.push_str(&format!("%{byte:02X}")),
        }
    }
    made
}
