//! What hops and includes lead to.

use super::*;

on_both_databases!(hops_and_includes_see_what_a_search_sees,);

/// Rules, a search, what it finds and includes.
const HOPS: &str = "
user/*.rs                                       | Observation?subject:Patient.family=Bb                                   | about-a by-a lab-b
a/*.rs                                          | Observation?subject:Patient.family=Bb                                   |
user/Observation.rs                             | Observation?subject:Patient.family=Bb                                   |
user/Observation.rs user/Patient.r              | Observation?subject:Patient.family=Bb                                   |
user/Observation.rs user/Patient.s              | Observation?subject:Patient.family=Bb                                   | about-a by-a lab-b
user/Observation.rs user/Patient.s?family=Aa    | Observation?subject:Patient.family=Bb                                   |
user/Patient.rs                                 | Patient?_has:Observation:patient:category=lab                           |
user/Patient.rs user/Observation.s?category=own | Patient?_has:Observation:patient:category=lab                           |
user/Patient.rs user/Observation.s?category=lab | Patient?_has:Observation:patient:category=lab                           | a b
a/*.rs                                          | Patient?_has:Observation:patient:category=own                           |
a/*.rs                                          | Patient?_has:Group:member:_id=ab                                        |
a/*.rs                                          | Observation?_list=ab                                                    |
a/*.rs                                          | Observation?_list=a                                                     | lab-a
a/*.rs                                          | Observation?_id=by-a&_include=Observation:subject                       | by-a
a/*.rs                                          | Observation?_id=lab-a&_include=Observation:subject                      | a lab-a
a/Observation.rs a/Patient.r                    | Observation?_id=lab-a&_include=*                                        | a lab-a
a/Observation.rs a/Encounter.s                  | Observation?_id=lab-a&_include=*                                        | ea lab-a
a/Observation.rs                                | Observation?_id=lab-a&_include=*                                        | lab-a
a/*.rs                                          | Observation?_id=lab-a&_include=*&_include:iterate=Encounter:participant | a d ea lab-a
a/*.rs                                          | Observation?_id=lab-a&_revinclude=Observation:has-member                | lab-a
user/*.rs                                       | Observation?_id=lab-a&_revinclude=Observation:has-member                | lab-a lab-b
a/Patient.rs a/Observation.r                    | Patient?_revinclude=Observation:subject                                 | a
a/Patient.rs a/Observation.s                    | Patient?_revinclude=Observation:subject                                 | a lab-a vital-a
a/*.rs                                          | Patient?_revinclude=Group:member&_revinclude=List:subject               | a
a/*.rs                                          | Patient/b/Observation                                                   | by-a
a/*.rs                                          | Patient/never/Observation                                               |
a/*.rs                                          | Patient/a/*?_type=Observation,Patient                                   | a by-a lab-a vital-a
@d/*.rs                                         | Encounter?subject:Patient.family=Aa                                     | ea
@d/*.rs                                         | Observation?subject:Patient.family=Bb                                   |
@d/*.rs                                         | Observation?subject=Patient/a&_include=Observation:subject              | a lab-a vital-a
user/ValueSet.rs                                | ValueSet?url=http://hl7.org/fhir/ValueSet/administrative-gender         | administrative-gender
a/*.rs                                          | ValueSet?url=http://hl7.org/fhir/ValueSet/administrative-gender         | administrative-gender
user/ValueSet.rs?status=retired                 | ValueSet?url=http://hl7.org/fhir/ValueSet/administrative-gender         |
";

async fn hops_and_includes_see_what_a_search_sees(on: Database) {
    let f = world(on).await;
    for row in rows(HOPS) {
        let (rules, query, expected) = (row[0], row[1], row[2]);
        let mut ids = found(&f, query, &granted(rules)).await;
        if query.contains("Group:member") {
            // Group and List have ids as patients have.
            ids = ids.split_whitespace().take(1).collect();
        }
        assert_eq!(ids, expected, "{rules}: {query}");
    }
}
