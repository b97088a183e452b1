//! Numbers to call, places to be, and documents.

use resources::model::ResourceType;

use super::{
    names,
    native::base64,
    part::Part,
    plan::Row,
    run::{Context, Run},
    tree::{Keys, Node, Object},
};

/// The MIME types of table 0191 and 0291.
const MEDIA: &[(&str, &str)] = &[
    ("AP", "application"),
    ("AU", "audio"),
    ("FT", "text"),
    ("IM", "image"),
    ("TEXT", "text"),
    ("TX", "text"),
    ("SD", "application"),
    ("SI", "image"),
];

impl<'m> Run<'m> {
    /// XTN as a ContactPoint.
    pub(super) fn telecom(&mut self, own: Part<'m>, context: &Context<'m>) -> Option<Node> {
        let text = |number: u16| match own.part(number).is_valued() {
            true => own.part(number).text(),
            false => "".into(),
        };
        let equipment = text(3);
        let is_mail = matches!(&*equipment, "Internet" | "X.400") || &*text(2) == "NET";
        let (mail, whole, country, area, local, extension) =
            (text(4), text(1), text(5), text(6), text(7), text(8));
        let built = || {
            let mut built = String::new();
            if !country.is_empty() {
                built.push('+');
                built.push_str(country.trim_start_matches('+'));
                built.push(' ');
            }
            if !area.is_empty() {
                built.push_str(&area);
                built.push(' ');
            }
            built.push_str(&local);
            if !extension.is_empty() {
                built.push_str(" X");
                built.push_str(&extension);
            }
            built
        };
        let value = if is_mail && !mail.is_empty() {
            mail.into_owned()
        } else if !text(12).is_empty() {
            text(12).into_owned()
        } else if !local.is_empty() {
            built()
        } else if !whole.is_empty() {
            whole.into_owned()
        } else {
            mail.into_owned()
        };
        let mut object = Object::default();
        let plan = self.plan;
        let find = |table: usize, code: &str| {
            let table = &plan.codes[plan.telecom[table]? as usize];
            let found = table.find(code)?;
            (!found.code.is_empty()).then(|| found.code.to_string())
        };
        let system = find(0, &equipment).unwrap_or_else(|| {
            let is_phone = |text: &str| {
                text.bytes().any(|byte| byte.is_ascii_digit())
                    && text
                        .chars()
                        .all(|character| "0123456789+()-./ xXext".contains(character))
            };
            match value.contains('@') {
                true => "email".to_owned(),
                false if is_phone(&value) => "phone".to_owned(),
                false => "other".to_owned(),
            }
        });
        let codes = ["phone", "fax", "email", "pager", "url", "sms", "other"];
        let system = if codes.contains(&&*system) {
            system
        } else {
            "other".to_owned()
        };
        let usage = text(2);
        if let Some(code) = find(1, &usage)
            .filter(|code| ["home", "work", "temp", "old", "mobile"].contains(&&**code))
        {
            object.0.push((names::USE, Node::Text(code)));
        } else if !usage.is_empty() && find(1, &usage).is_none() && &*usage != "NET" {
            let place = self.place(context);
            self.note(
                place,
                format!("`{usage}` says of no FHIR use what the number is for"),
            );
        }
        if value.is_empty() {
            return (!object.is_empty()).then_some(Node::Object(object));
        }
        object.0.insert(0, (names::SYSTEM, Node::Text(system)));
        object.0.insert(1, (names::VALUE, Node::Text(value)));
        if let Some(rank) = text(18).parse::<u32>().ok().filter(|rank| *rank > 0) {
            object.0.push((names::RANK, Node::Number(rank.to_string())));
        }
        Some(Node::Object(object))
    }

    /// ED as an Attachment.
    pub(super) fn data(&mut self, own: Part<'m>, context: &Context<'m>) -> Option<Node> {
        let mut object = Object::default();
        let (kind, sub) = (own.part(2).text(), own.part(3).text());
        if let Some(media) = media(&kind, &sub) {
            object.0.push((names::CONTENT_TYPE, Node::Text(media)));
        }
        let encoding = own.part(4).text().to_ascii_lowercase();
        let text = match encoding.as_str() {
            "base64" => own.part(5).text().split_whitespace().collect::<String>(),
            "hex" => match unhex(&own.part(5).text()) {
                Some(bytes) => base64(&bytes),
                None => String::new(),
            },
            _ => base64(own.part(5).text().as_bytes()),
        };
        let is_base64 = text.len() % 4 == 0
            && text
                .trim_end_matches('=')
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
        if text.is_empty() || !is_base64 {
            let place = self.place(context);
            self.note(place, "the data are not in the encoding that they name");
            return None;
        }
        object.0.push((names::DATA, Node::Text(text)));
        Some(Node::Object(object))
    }

    /// RP as an Attachment.
    pub(super) fn pointer(&mut self, own: Part<'m>) -> Option<Node> {
        let url = self.whole(own.part(1));
        if url.is_empty() || url.contains(char::is_whitespace) {
            return None;
        }
        let mut object = Object::default();
        if let Some(media) = media(&own.part(3).text(), &own.part(4).text()) {
            object.0.push((names::CONTENT_TYPE, Node::Text(media)));
        }
        object.0.push((names::URL, Node::Text(url.into_owned())));
        Some(Node::Object(object))
    }

    /// PL as Locations in each other; a link to the innermost.
    pub(super) fn location(&mut self, own: Part<'m>, context: &Context<'m>) -> Option<Node> {
        let kind = ResourceType::from_name("Location")?;
        // From the outermost: facility, building, floor, point of care, room, bed.
        let levels: [(u16, &str, &str); 6] = [
            (4, "si", "Site"),
            (7, "bu", "Building"),
            (8, "lvl", "Level"),
            (1, "wa", "Ward"),
            (2, "ro", "Room"),
            (3, "bd", "Bed"),
        ];
        let mut outer: Option<usize> = None;
        let mut key = String::new();
        let status = own.part(5).text();
        for (component, code, display) in levels {
            let hd = own.part(component);
            if !hd.is_valued() {
                continue;
            }
            let name = hd.part(1).text();
            let shown = if name.is_empty() {
                hd.part(2).text()
            } else {
                name
            };
            key.push('|');
            key.push_str(code);
            key.push(':');
            key.push_str(&shown);
            if let Some(known) = self.locations.get(&key) {
                outer = Some(*known);
                continue;
            }
            let at = self.of_value(kind, context);
            self.locations.insert(key.clone(), at);
            let mut root = Object::default();
            let path = key[1..].replace('|', "/");
            let identifier = Object(vec![
                (
                    names::SYSTEM,
                    Node::Text(format!("{}:location", self.default_system())),
                ),
                (names::VALUE, Node::Text(path)),
            ]);
            root.0.push((
                names::IDENTIFIER,
                Node::List(vec![(1, Node::Object(identifier))]),
            ));
            root.0.push((names::NAME, Node::Text(shown.into_owned())));
            root.0
                .push((names::MODE, Node::Text("instance".to_owned())));
            let coding = Object(vec![
                (
                    names::SYSTEM,
                    Node::Text(
                        "http://terminology.hl7.org/CodeSystem/location-physical-type".to_owned(),
                    ),
                ),
                (names::CODE, Node::Text(code.to_owned())),
                (names::DISPLAY, Node::Text(display.to_owned())),
            ]);
            let physical = Object(vec![(
                names::CODING,
                Node::List(vec![(0, Node::Object(coding))]),
            )]);
            root.0.push((names::PHYSICAL_TYPE, Node::Object(physical)));
            if let Some(outer) = outer {
                root.0.push((names::PART_OF, Node::Link(outer)));
            }
            self.out[at].root = root;
            outer = Some(at);
        }
        let at = match outer {
            Some(at) => at,
            // Only a description: that is a place too.
            None if own.part(9).is_valued() => {
                let key = format!("description:{}", own.part(9).text());
                match self.locations.get(&key) {
                    Some(known) => *known,
                    None => {
                        let at = self.of_value(kind, context);
                        self.locations.insert(key, at);
                        let name = Node::Text(own.part(9).text().into_owned());
                        self.out[at].root.0.push((names::NAME, name));
                        at
                    }
                }
            }
            None => return None,
        };
        let _ = status;
        if own.part(9).is_valued() && self.out[at].root.get(names::DESCRIPTION).is_none() {
            let text = Node::Text(own.part(9).text().into_owned());
            self.out[at].root.0.push((names::DESCRIPTION, text));
        }
        Some(Node::Link(at))
    }

    /// The text of a document, of this segment after those before it.
    pub(super) fn document_text(&mut self, row: &'m Row, context: &Context<'m>) -> Option<Node> {
        let Some(Node::Text(lines)) = self.lines(context) else {
            return None;
        };
        let keys = Keys::of(context.segment.at(), 0, 0);
        let root = &self.out[context.resource].root;
        // The text so far is kept as it is until the end; see `finish`.
        let known = match root.find(&row.path.last, &keys) {
            Some(Node::Document(known)) => format!("{known}\n{lines}"),
            _ => lines,
        };
        let node = Node::Document(known);
        if let Some(slot) = self.out[context.resource]
            .root
            .make(&row.path.last, &mut { keys })
        {
            *slot = node.clone();
        }
        Some(node)
    }
}

/// The media type of a type and subtype of data: `application` and `pdf`, `AP` and `PDF`.
pub(super) fn media(kind: &str, sub: &str) -> Option<String> {
    if kind.contains('/') {
        return Some(kind.to_ascii_lowercase());
    }
    let upper = kind.to_ascii_uppercase();
    let known = MEDIA.iter().find(|(name, _)| *name == upper);
    let kind = known.map_or_else(|| kind.to_ascii_lowercase(), |(_, kind)| (*kind).to_owned());
    let sub = match sub.to_ascii_lowercase().as_str() {
        "" if kind == "text" => "plain".to_owned(),
        "" => return None,
        "octet-stream" => "octet-stream".to_owned(),
        "x-hl7-cda-level-one" => "x-hl7-cda-level-one+xml".to_owned(),
        sub => sub.to_owned(),
    };
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
    };
    (is_token(&kind) && is_token(&sub)).then(|| format!("{kind}/{sub}"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    if digits.len() % 2 > 0 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .chunks(2)
        .map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8))
        .collect()
}
