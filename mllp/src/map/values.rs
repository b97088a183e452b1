//! What the tables leave to code: numbers, names, data, locations, times.

use std::borrow::Cow;

use resources::model::ResourceType;

use super::{
    leaf::number,
    names,
    native::{Native, base64},
    part::Part,
    plan::Row,
    run::{Context, Run},
    things::media,
    tree::{Node, Object},
};

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

    /// XPN as one text.
    fn name_text(&self, own: Part<'m>) -> String {
        let family = own.part(1);
        join(
            &[own.part(5), own.part(2), own.part(3), family, own.part(4)],
            " ",
        )
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
    pub(super) fn lines(&mut self, context: &Context<'m>) -> Option<Node> {
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
