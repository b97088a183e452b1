//! What the tables leave to code: numbers, names, data, locations, times.

use std::borrow::Cow;

use resources::model::ResourceType;

use super::{
    compile::names,
    leaf::number,
    native::{Native, base64},
    part::Part,
    plan::{Name, Row},
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
    /// What a function makes.
    pub(super) fn native(
        &mut self,
        native: Native,
        codes: Option<u16>,
        row: &'m Row,
        context: &Context<'m>,
    ) -> Vec<(u8, Node)> {
        let own = context.own;
        let node = match native {
            Native::Concept => self.concept(own, codes, context),
            Native::Coding => self.one_coding(own, codes, context),
            Native::Location => self.location(own, context),
            Native::Telecom => self.telecom(own, context),
            Native::NameText => Some(Node::Text(self.name_text(own))).filter(has_text),
            Native::Data => self.data(own, context),
            Native::Pointer => self.pointer(own),
            Native::Authority(number) => Some(Node::Text(self.authority(own, number.into()))),
            Native::Assigner => self.assigner(own.part(1)),
            Native::AssignerOfEi => self.assigner(own),
            Native::Street => {
                let parts = [2, 3, 1].map(|at| own.part(at));
                let split = parts[0].is_valued() || parts[1].is_valued();
                let text = match split && own.depth == 1 {
                    // The dwelling number stands before or after the street by country; the whole
                    // (SAD.1) already has it where senders fill it.
                    true if !own.part(1).is_valued() => join(&[parts[1], parts[0]], " "),
                    _ => own.part(1).text().into_owned(),
                };
                Some(Node::Text(text)).filter(has_text)
            }
            Native::Number => return self.number(own, row, context),
            Native::Time => match crate::time::time_of_day(&own.text()) {
                Ok(text) => Some(Node::Text(text)),
                Err(problem) => {
                    let place = self.place(context);
                    self.note(place, problem);
                    None
                }
            },
            Native::MinutesFrom => self.minutes_from(context),
            Native::Lines => self.lines(context),
            Native::Minutes => self.minutes(context),
            Native::Timing => super::timing::timing(self, context),
            Native::Bounds => super::timing::bounds(self, context),
            Native::Resource => super::timing::resource_period(self, context),
            Native::Plain => Some(Node::Text(self.plain(context))).filter(has_text),
            Native::Quantity => self.quantity(own),
            Native::Patient => {
                let role = super::plan::Role {
                    kind: ResourceType::PATIENT,
                    number: 1,
                };
                self.in_scope(role, context.instance).map(Node::Link)
            }
            Native::Days => number(&own.text()).map(|digits| {
                Node::Object(Object(vec![
                    (names::VALUE, Node::Number(digits)),
                    (names::UNIT, Node::Text("d".to_owned())),
                    (
                        names::SYSTEM,
                        Node::Text("http://unitsofmeasure.org".to_owned()),
                    ),
                    (names::CODE, Node::Text("d".to_owned())),
                ]))
            }),
            Native::DocumentText => self.document_text(row, context),
            Native::NotNumber => {
                let text = self.whole(own).into_owned();
                let place = self.place(context);
                self.note(
                    place,
                    format!("`{text}` is not a number, so it is kept as text"),
                );
                Some(Node::Text(text)).filter(has_text)
            }
            Native::NumberUnit => number(&own.text()).map(|digits| {
                let mut object = Object(vec![(names::VALUE, Node::Number(digits))]);
                let unit = context.segment.field(6);
                self.unit(Part::repetition(unit), &mut object);
                Node::Object(object)
            }),
            Native::Sender => Some(Node::Text(self.default_system())),
            Native::ItemSystem => {
                let name = own.part(3).text();
                let known = self.code_system(&name).map(Cow::into_owned);
                Some(Node::Text(known.unwrap_or_else(|| {
                    format!("{}:item", self.default_system())
                })))
            }
            Native::Component => {
                let of = |number: usize| Part::repetition(context.segment.field(number));
                let unit = of(4);
                let unit = if unit.part(2).is_valued() {
                    unit.part(2)
                } else {
                    unit.part(1)
                };
                let name = if own.part(2).is_valued() {
                    own.part(2)
                } else {
                    own.part(1)
                };
                let kind = match &*of(1).text() {
                    "A" => "Additive: ",
                    "B" => "Base: ",
                    _ => "",
                };
                let words = join(&[name, of(3), unit], " ");
                Some(Node::Text(format!("{kind}{words}")))
            }
            Native::Whole => Some(Node::Text(self.whole(own).into_owned())).filter(has_text),
            Native::Event => {
                let codes = codes.map(|table| &self.plan.codes[table as usize]);
                let found = codes.and_then(|codes| codes.find(&own.part(2).text()));
                let code = found
                    .map(|found| &*found.code)
                    .filter(|code| !code.is_empty());
                code.map(|code| Node::Text(code.to_owned()))
            }
            Native::SocialSecurity => {
                let digits = own.text().bytes().filter(u8::is_ascii_digit).count();
                let country = self.message.msh().field(17).text();
                let is_us = digits == 9 && matches!(&*country, "USA" | "US" | "840");
                Some(Node::Text(match is_us {
                    true => "http://hl7.org/fhir/sid/us-ssn".to_owned(),
                    false => format!("{}:ssn", self.default_system()),
                }))
            }
            Native::Content => media(&own.text(), "").map(Node::Text),
            Native::CodeSystem => {
                let name = own.text();
                self.code_system(&name)
                    .map(|uri| Node::Text(uri.into_owned()))
            }
            Native::Unit => {
                let mut object = Object::default();
                self.unit(own, &mut object);
                (!object.is_empty()).then_some(Node::Object(object))
            }
            Native::Used => None,
            Native::Append => {
                let text = self.whole(own).into_owned();
                let name = row.path.last.last().map(|step| step.name);
                if let (Some(name), false) = (name, text.is_empty())
                    && let Node::Text(known) = self.out[context.resource].root.slot(name)
                {
                    known.push('\n');
                    known.push_str(&text);
                    return vec![(0, Node::Text(known.clone()))];
                }
                Some(Node::Text(text)).filter(has_text)
            }
            Native::Offset => super::timing::offset(self, context),
            Native::Service => super::timing::service(self, context),
            Native::Base64 => {
                let text = self.whole(own);
                (!text.is_empty()).then(|| Node::Text(base64(text.as_bytes())))
            }
        };
        node.map(|node| (0, node)).into_iter().collect()
    }

    /// A number, or what is none as text beside it.
    fn number(&mut self, own: Part<'m>, row: &'m Row, context: &Context<'m>) -> Vec<(u8, Node)> {
        let text = own.text();
        let is_whole = matches!(row.path.leaf, super::plan::Leaf::Complex(..));
        match number(&text) {
            Some(digits) if is_whole => {
                let object = Object(vec![(names::VALUE, Node::Number(digits))]);
                vec![(0, Node::Object(object))]
            }
            Some(digits) => vec![(0, Node::Number(digits))],
            None => {
                let place = self.place(context);
                self.note(place, format!("`{text}` is not a number"));
                Vec::new()
            }
        }
    }

    /// CQ: number and unit.
    fn quantity(&mut self, own: Part<'m>) -> Option<Node> {
        let mut object = Object::default();
        if let Some(digits) = number(&own.part(1).text()) {
            object.0.push((names::VALUE, Node::Number(digits)));
        }
        let unit = own.part(2);
        self.unit(unit, &mut object);
        (!object.is_empty()).then_some(Node::Object(object))
    }

    /// A unit: its text, and its code if it is of UCUM.
    pub(super) fn unit(&self, unit: Part<'m>, object: &mut Object) {
        if !unit.is_valued() {
            return;
        }
        let (code, text, system) = (
            unit.part(1).text(),
            unit.part(2).text(),
            unit.part(3).text(),
        );
        let shown = if text.is_empty() { code.clone() } else { text };
        if !shown.is_empty() {
            object.0.push((names::UNIT, Node::Text(shown.into_owned())));
        }
        if &*system == "UCUM" && !code.is_empty() && resources::ucum::is_valid(&code) {
            let uri = "http://unitsofmeasure.org".to_owned();
            object.0.push((names::SYSTEM, Node::Text(uri)));
            object.0.push((names::CODE, Node::Text(code.into_owned())));
        }
    }

    /// XTN as a ContactPoint.
    fn telecom(&mut self, own: Part<'m>, context: &Context<'m>) -> Option<Node> {
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
        let find = |table: &str, code: &str| {
            let mut tables = self.plan.codes.iter();
            let table = tables.find(|one| &*one.name == table)?;
            let found = table.find(code)?;
            (!found.code.is_empty()).then(|| found.code.to_string())
        };
        let system = find("TelecommunicationEquipmentType", &equipment).unwrap_or_else(|| {
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
        if let Some(code) = find("TelecommunicationUseCode", &usage)
            .filter(|code| ["home", "work", "temp", "old", "mobile"].contains(&&**code))
        {
            object.0.push((names::USE, Node::Text(code)));
        } else if !usage.is_empty()
            && find("TelecommunicationUseCode", &usage).is_none()
            && &*usage != "NET"
        {
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

    /// XPN as one text.
    fn name_text(&self, own: Part<'m>) -> String {
        let family = own.part(1);
        join(
            &[own.part(5), own.part(2), own.part(3), family, own.part(4)],
            " ",
        )
    }

    /// ED as an Attachment.
    fn data(&mut self, own: Part<'m>, context: &Context<'m>) -> Option<Node> {
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
    fn pointer(&mut self, own: Part<'m>) -> Option<Node> {
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
    fn location(&mut self, own: Part<'m>, context: &Context<'m>) -> Option<Node> {
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

    /// A period from the field's time for the minutes of the next field but one (PR1-5 and 7).
    fn minutes_from(&mut self, context: &Context<'m>) -> Option<Node> {
        let minutes = context.segment.field(context.field as usize + 2).text();
        let minutes = minutes.trim().parse::<i64>().ok();
        super::timing::period(
            self,
            &context.own.text(),
            minutes.map(|minutes| minutes * 60),
            context,
        )
    }

    /// All repetitions as lines.
    fn lines(&mut self, context: &Context<'m>) -> Option<Node> {
        if context.number > 0 {
            return None;
        }
        let field = context.segment.field(context.field as usize);
        let lines: Vec<String> = field
            .repetitions()
            .map(|one| self.whole(Part::repetition(one)).into_owned())
            .collect();
        let text = lines.join("\n");
        Some(Node::Text(text.trim().to_owned())).filter(has_text)
    }

    /// The text of a document, of this segment after those before it.
    fn document_text(&mut self, row: &'m Row, context: &Context<'m>) -> Option<Node> {
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

    /// A duration and the unit in the next field, as minutes.
    fn minutes(&mut self, context: &Context<'m>) -> Option<Node> {
        let unit = context.segment.field(context.field as usize + 1);
        let seconds = super::timing::seconds(&context.own.text(), &unit.text())?;
        (seconds >= 60).then(|| Node::Number((seconds / 60).to_string()))
    }

    fn plain(&self, context: &Context<'m>) -> String {
        let field = context.segment.field(context.field as usize);
        let mut lines = Vec::new();
        for repetition in field.repetitions() {
            let part = Part::repetition(repetition);
            let count = repetition
                .raw()
                .split(char::from(self.message.delimiters().component))
                .count();
            let texts: Vec<_> = (1..=count as u16)
                .map(|at| part.part(at).text().into_owned())
                .filter(|text| !text.is_empty())
                .collect();
            lines.push(texts.join(" "));
        }
        lines.join("\n")
    }
}

fn has_text(node: &Node) -> bool {
    !matches!(node, Node::Text(text) if text.is_empty())
}

fn join(parts: &[Part<'_>], between: &str) -> String {
    let texts = parts.iter().filter(|part| part.is_valued());
    texts
        .map(|part| part.text().into_owned())
        .collect::<Vec<_>>()
        .join(between)
}

/// The media type of a type and subtype of data: `application` and `pdf`, `AP` and `PDF`.
fn media(kind: &str, sub: &str) -> Option<String> {
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

/// A text under a name.
pub fn text(name: Name, text: &str) -> (Name, Node) {
    (name, Node::Text(text.to_owned()))
}
