//! Invented FHIR R4 resources, the same for the same numbers.

/// Pseudo-random numbers (splitmix64), the same for the same seed.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A sequence.
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// A number in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.number() % n as u64) as usize
    }
    /// A UUID in version 4's form.
    pub fn uuid(&mut self) -> String {
        let a = self.number();
        let b = self.number();
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            (a >> 32) as u32,
            (a >> 16) as u16,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }
}

const SYL: [&str; 13] = [
    "ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti",
];
/// Number of distinct family names; all have the same length, so none is a prefix of another
/// (FHIR string search is "starts with").
pub const FAMILIES: usize = 2000;

/// A family name by its number.
pub fn family(i: usize) -> String {
    let i = i % FAMILIES;
    let (a, b, c) = (i / 169 % 13, i / 13 % 13, i % 13);
    let first = SYL[a];
    let (initial, rest) = first.split_at(1);
    format!(
        "{}{rest}{}{}n",
        initial.to_ascii_uppercase(),
        SYL[b],
        SYL[c]
    )
}

/// A medical record number.
pub fn mrn(n: u64) -> String {
    format!("MRN{n:09}")
}

/// A Patient of about 1.8 KB. With `id` it is the body of an update; `rev` varies the content.
pub fn patient(n: u64, id: Option<&str>, rev: u64) -> String {
    let mut r = Rng::new(n.wrapping_mul(31).wrapping_add(rev));
    let fam = family(n as usize);
    let g1 = family(r.below(FAMILIES));
    let g2 = family(r.below(FAMILIES));
    let moth = family(r.below(FAMILIES));
    let gender = if n.is_multiple_of(2) {
        "female"
    } else {
        "male"
    };
    let y = 1930 + (n % 90);
    let m = 1 + r.below(12);
    let d = 1 + r.below(28);
    let phone = r.below(10_000_000);
    let street = 1 + r.below(9999);
    let zip = r.below(100_000);
    let idpart = match id {
        Some(i) => format!("\"id\":\"{i}\","),
        None => String::new(),
    };
    format!(
        r#"{{"resourceType":"Patient",{idpart}"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{g1} {fam}, born {y}-{m:02}-{d:02}, record {mrn}</div>"}},"extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"{moth}"}},{{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{{"city":"{g2}ville","state":"MA","country":"US"}}}}],"identifier":[{{"use":"usual","type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical Record Number"}}],"text":"Medical Record Number"}},"system":"urn:bench:mrn","value":"{mrn}"}},{{"type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"SS","display":"Social Security Number"}}],"text":"Social Security Number"}},"system":"urn:bench:ssn","value":"999-{a:02}-{b:04}"}},{{"type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"DL","display":"Driver's License"}}],"text":"Driver's License"}},"system":"urn:bench:dl","value":"S{dl:08}"}}],"active":true,"name":[{{"use":"official","family":"{fam}","given":["{g1}","{g2}"],"prefix":["Mx."]}}],"telecom":[{{"system":"phone","value":"555-{phone:07}","use":"home"}},{{"system":"email","value":"{g1}.{fam}.{rev}@example.org","use":"work"}}],"gender":"{gender}","birthDate":"{y}-{m:02}-{d:02}","deceasedBoolean":false,"address":[{{"use":"home","line":["{street} {g2} Street"],"city":"{moth}ton","state":"MA","postalCode":"{zip:05}","country":"US"}}],"maritalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M","display":"Married"}}],"text":"Married"}},"multipleBirthBoolean":false,"communication":[{{"language":{{"coding":[{{"system":"urn:ietf:bcp:47","code":"en-US","display":"English"}}],"text":"English"}}}}]}}"#,
        mrn = mrn(n),
        a = n % 100,
        b = n % 10_000,
        dl = n % 100_000_000,
    )
}

/// A Practitioner.
pub fn practitioner(n: u64) -> String {
    format!(
        r#"{{"resourceType":"Practitioner","active":true,"identifier":[{{"system":"urn:bench:npi","value":"{n:010}"}}],"name":[{{"family":"{}","given":["{}"]}}]}}"#,
        family(n as usize * 7),
        family(n as usize * 13)
    )
}

/// A Schedule of that practitioner.
pub fn schedule(n: u64, practitioner_id: &str) -> String {
    format!(
        r#"{{"resourceType":"Schedule","active":true,"identifier":[{{"system":"urn:bench:schedule","value":"S{n:06}"}}],"serviceType":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/service-type","code":"124","display":"General Practice"}}]}}],"actor":[{{"reference":"Practitioner/{practitioner_id}"}}],"planningHorizon":{{"start":"2027-01-01T00:00:00Z","end":"2027-12-31T23:59:59Z"}}}}"#
    )
}

/// Slots that [`slot`] puts on a day.
pub const SLOTS_PER_DAY: usize = 25;

/// Day `d` (0-based) after 2027-01-04, as YYYY-MM-DD (proleptic Gregorian, civil-from-days).
pub fn day(d: usize) -> String {
    let z = 20_822i64 + d as i64 + 719_468; // 2027-01-04 is day 20822 of the Unix epoch
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let dd = doy - (153 * mp + 2) / 5 + 1;
    let mm = if mp < 10 { mp + 3 } else { mp - 9 };
    let yy = yoe + era * 400 + i64::from(mm <= 2);
    format!("{yy:04}-{mm:02}-{dd:02}")
}

/// Slot number `k` of a schedule; 70 % are free.
pub fn slot(schedule_id: &str, k: usize) -> String {
    let d = day(k / SLOTS_PER_DAY);
    let start = 8 * 60 + (k % SLOTS_PER_DAY) * 20;
    let end = start + 20;
    let status = if (k * 7 + schedule_id.len()) % 10 < 7 {
        "free"
    } else {
        "busy"
    };
    format!(
        r#"{{"resourceType":"Slot","serviceType":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/service-type","code":"124","display":"General Practice"}}]}}],"appointmentType":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0276","code":"ROUTINE"}}]}},"schedule":{{"reference":"Schedule/{schedule_id}"}},"status":"{status}","start":"{d}T{:02}:{:02}:00Z","end":"{d}T{:02}:{:02}:00Z"}}"#,
        start / 60,
        start % 60,
        end / 60,
        end % 60
    )
}

const CODES: [(&str, &str, &str); 6] = [
    ("8302-2", "Body Height", "cm"),
    ("29463-7", "Body Weight", "kg"),
    ("8867-4", "Heart rate", "/min"),
    ("9279-1", "Respiratory rate", "/min"),
    ("2339-0", "Glucose", "mg/dL"),
    ("2093-3", "Total Cholesterol", "mg/dL"),
];

/// A Bundle of one Patient, `entries / 11` Encounters, the rest Observations, linked by urn:uuid references.
pub fn transaction(n: u64, entries: usize, bundle_type: &str) -> String {
    let mut r = Rng::new(n ^ 0xABCD);
    let enc = (entries / 11).max(1);
    let obs = entries - 1 - enc;
    let pu = r.uuid();
    let mut out = String::with_capacity(entries * 900);
    out.push_str(&format!(
        r#"{{"resourceType":"Bundle","type":"{bundle_type}","entry":["#
    ));
    out.push_str(&format!(
        r#"{{"fullUrl":"urn:uuid:{pu}","resource":{},"request":{{"method":"POST","url":"Patient"}}}}"#,
        patient(n, None, 0)
    ));
    let mut encs = Vec::with_capacity(enc);
    for i in 0..enc {
        let eu = r.uuid();
        let d = day(r.below(300));
        out.push_str(&format!(
            r#",{{"fullUrl":"urn:uuid:{eu}","resource":{{"resourceType":"Encounter","identifier":[{{"system":"urn:bench:enc","value":"E{n}-{i}"}}],"status":"finished","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"}},"type":[{{"coding":[{{"system":"http://snomed.info/sct","code":"162673000","display":"General examination of patient (procedure)"}}],"text":"General examination of patient (procedure)"}}],"subject":{{"reference":"urn:uuid:{pu}"}},"period":{{"start":"{d}T09:00:00Z","end":"{d}T09:30:00Z"}}}},"request":{{"method":"POST","url":"Encounter"}}}}"#
        ));
        encs.push((eu, d));
    }
    for i in 0..obs {
        let (eu, d) = &encs[i % encs.len()];
        let (code, disp, unit) = CODES[i % CODES.len()];
        let ou = r.uuid();
        let v = 10 + r.below(200);
        let f = r.below(100);
        out.push_str(&format!(
            r#",{{"fullUrl":"urn:uuid:{ou}","resource":{{"resourceType":"Observation","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}","display":"{disp}"}}],"text":"{disp}"}},"subject":{{"reference":"urn:uuid:{pu}"}},"encounter":{{"reference":"urn:uuid:{eu}"}},"effectiveDateTime":"{d}T09:{:02}:00Z","issued":"{d}T09:{:02}:00.000Z","valueQuantity":{{"value":{v}.{f:02},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}}},"request":{{"method":"POST","url":"Observation"}}}}"#,
            i % 60,
            i % 60
        ));
    }
    out.push_str("]}");
    out
}

/// A Bundle that posts all `resources`.
pub fn bundle(kind: &str, method_url: &str, resources: &[String]) -> String {
    let mut out = String::with_capacity(resources.iter().map(|r| r.len() + 80).sum());
    out.push_str(&format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","entry":["#
    ));
    for (i, r) in resources.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(r#"{"resource":"#);
        out.push_str(r);
        out.push_str(&format!(
            r#","request":{{"method":"POST","url":"{method_url}"}}}}"#
        ));
    }
    out.push_str("]}");
    out
}
