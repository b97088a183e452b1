#!/usr/bin/env python3
"""Writes hospital.ndjson.gz: the demo hospital, one FHIR R4 resource a line.

    python3 demo/generate.py

The same script gives the same lines. All people, places and identifiers are invented; codes are
real ones of LOINC, SNOMED CT, RxNorm, CVX and UCUM, used as examples.
"""
import gzip
import json
import random
from datetime import date, datetime, timedelta
from pathlib import Path

RNG = random.Random(20261123)
LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
RXNORM, CVX = "http://www.nlm.nih.gov/research/umls/rxnorm", "http://hl7.org/fhir/sid/cvx"
HL7 = "http://terminology.hl7.org/CodeSystem/"
OURS = "http://demo.rotunda.example/"
ZONE = "-05:00"
FIRST_DAY, LAST_DAY = date(2026, 11, 23), date(2027, 1, 29)
HOLIDAYS = {date(2026, 11, 26), date(2026, 12, 24), date(2026, 12, 25), date(2027, 1, 1)}
TOWNS = [("Northfield", "MA", "01360", 42.6959, -72.4529), ("Eastbrook", "ME", "04634", 44.6807, -68.2325),
         ("Westvale", "VT", "05356", 42.8709, -72.8682), ("Midhaven", "RI", "02806", 41.7401, -71.3087)]
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

resources = []


def add(kind, rid, **elements):
    """Adds a resource; returns the reference to it."""
    resources.append({"resourceType": kind, "id": rid, **{k: v for k, v in elements.items() if v is not None}})
    return {"reference": f"{kind}/{rid}"}


def concept(system, code, display, text=None):
    return {"coding": [{"system": system, "code": code, "display": display}], "text": text or display}


def coding(system, code, display):
    return {"system": system, "code": code, "display": display}


def quantity(value, unit, code=None):
    return {"value": value, "unit": unit, "system": UCUM, "code": code or unit}


def at(day, hour=9, minute=0, second=0):
    return datetime(day.year, day.month, day.day, hour, minute, second).isoformat() + ZONE


def town(i):
    name, state, zipcode, _, _ = TOWNS[i % len(TOWNS)]
    return {"city": name, "state": state, "postalCode": zipcode, "country": "US"}


def named(reference, display):
    return {**reference, "display": display}


# --- the hospital -----------------------------------------------------------------------------

HOSPITAL = add("Organization", "rotunda-general", active=True, name="Rotunda General Hospital", alias=["RGH"],
               identifier=[{"system": OURS + "organization", "value": "RGH"}],
               type=[concept(HL7 + "organization-type", "prov", "Healthcare Provider")],
               telecom=[{"system": "phone", "value": "+1 555 0100", "use": "work"}, {"system": "url", "value": "http://rgh.example"}],
               address=[{"use": "work", "line": ["1 Rotunda Square"], **town(0)}])
CLINIC = add("Organization", "eastbrook-clinic", active=True, name="Eastbrook Clinic",
             identifier=[{"system": OURS + "organization", "value": "EBC"}],
             type=[concept(HL7 + "organization-type", "prov", "Healthcare Provider")],
             telecom=[{"system": "phone", "value": "+1 555 0200", "use": "work"}],
             address=[{"use": "work", "line": ["24 Harbor Road"], **town(1)}])
LABORATORY = add("Organization", "rotunda-laboratory", active=True, name="Rotunda Central Laboratory", partOf=HOSPITAL,
                 identifier=[{"system": OURS + "organization", "value": "LAB"}],
                 type=[concept(HL7 + "organization-type", "dept", "Hospital Department")])
DEPARTMENTS = {}
for key, name in [("cardiology", "Department of Cardiology"), ("surgery", "Department of Surgery"),
                  ("pediatrics", "Department of Pediatrics"), ("emergency", "Emergency Department")]:
    DEPARTMENTS[key] = add("Organization", f"rotunda-{key}", active=True, name=name, partOf=HOSPITAL,
                           identifier=[{"system": OURS + "organization", "value": key.upper()[:4]}],
                           type=[concept(HL7 + "organization-type", "dept", "Hospital Department")])


def location(rid, name, kind, parent=None, owner=HOSPITAL, position=None, status=None, **more):
    display = {"bu": "Building", "wa": "Ward", "ro": "Room", "bd": "Bed"}[kind]
    return add("Location", rid, status="active", operationalStatus=status, name=name, mode="instance",
               identifier=[{"system": OURS + "location", "value": rid}],
               physicalType=concept(HL7 + "location-physical-type", kind, display),
               position=position, managingOrganization=owner, partOf=parent, **more)


def position(i):
    return {"longitude": TOWNS[i][4], "latitude": TOWNS[i][3]}


HOUSE = location("main-building", "Rotunda General, main building", "bu", position=position(0),
                 address={"line": ["1 Rotunda Square"], **town(0)},
                 hoursOfOperation=[{"daysOfWeek": WEEKDAYS, "allDay": True}])
OUTPATIENT = location("clinic-building", "Eastbrook Clinic", "bu", owner=CLINIC, position=position(1),
                      address={"line": ["24 Harbor Road"], **town(1)},
                      hoursOfOperation=[{"daysOfWeek": WEEKDAYS[:5], "openingTime": "08:00:00", "closingTime": "18:00:00"}])
BEDS = []
for ward, owner in [("cardiology", "cardiology"), ("surgical", "surgery")]:
    ward_ref = location(f"ward-{ward}", f"{ward.capitalize()} ward", "wa", HOUSE, DEPARTMENTS[owner])
    for room in (1, 2, 3):
        room_ref = location(f"ward-{ward}-room-{room}", f"{ward.capitalize()} ward, room {room}", "ro", ward_ref, DEPARTMENTS[owner])
        for bed in ("a", "b"):
            occupied = len(BEDS) % 2 == 0
            status = coding(HL7 + "v2-0116", "O", "Occupied") if occupied else coding(HL7 + "v2-0116", "U", "Unoccupied")
            reference = location(f"ward-{ward}-room-{room}-bed-{bed}", f"{ward.capitalize()} ward, room {room}, bed {bed.upper()}", "bd",
                                 room_ref, DEPARTMENTS[owner], status=status)
            BEDS.append((reference, occupied, DEPARTMENTS[owner]))
ROOMS = [location(f"consulting-room-{n}", f"Consulting room {n}", "ro", HOUSE if n < 4 else OUTPATIENT, HOSPITAL if n < 4 else CLINIC)
         for n in range(1, 8)]
THEATRE = location("operating-room-1", "Operating room 1", "ro", HOUSE, DEPARTMENTS["surgery"])

# --- the people who work there ----------------------------------------------------------------

SPECIALTIES = {"cardiology": ("394579002", "Cardiology"), "surgery": ("394609007", "General surgery"),
               "pediatrics": ("394537008", "Pediatrics"), "emergency": ("773568002", "Emergency medicine"),
               "general": ("394814009", "General practice")}
SERVICES = {}
for key, code, name, room in [("cardiology", "165", "Cardiology", 0), ("surgery", "221", "Surgery - General", 1),
                              ("pediatrics", "286", "Pediatrics", 2), ("general", "124", "General Practice", 3),
                              ("vaccination", "57", "Immunization", 4)]:
    owner = DEPARTMENTS.get(key, CLINIC)
    kind = concept(HL7 + "service-type", code, name)
    reference = add("HealthcareService", f"service-{key}", active=True, name=f"{name} consultation", providedBy=owner, type=[kind],
                    identifier=[{"system": OURS + "service", "value": key}], location=[ROOMS[room]], appointmentRequired=True,
                    availableTime=[{"daysOfWeek": WEEKDAYS[:5], "availableStartTime": "09:00:00", "availableEndTime": "16:00:00"}],
                    notAvailable=[{"description": "Year end", "during": {"start": "2026-12-24", "end": "2026-12-26"}}])
    SERVICES[key] = (reference, kind, ROOMS[room], owner)

STAFF = [("Ines", "Okafor", "female", "cardiology", "MD"), ("Hugo", "Lindqvist", "male", "cardiology", "MD"),
         ("Mara", "Delacroix", "female", "surgery", "MD"), ("Tomás", "Rivera", "male", "surgery", "MD"),
         ("Aiko", "Brandt", "female", "pediatrics", "MD"), ("Samuel", "Osei", "male", "general", "MD"),
         ("Petra", "Novak", "female", "general", "MD"), ("Jonas", "Weller", "male", "emergency", "MD"),
         ("Grace", "Amadi", "female", "cardiology", "RN"), ("Ruben", "Castel", "male", "surgery", "RN"),
         ("Lena", "Fischbach", "female", "pediatrics", "RN"), ("Omar", "Haddad", "male", "emergency", "RN")]
DOCTORS, NURSES = [], []
for i, (given, family, gender, field, degree) in enumerate(STAFF, 1):
    display = f"Dr. {given} {family}" if degree == "MD" else f"{given} {family}, RN"
    who = named(add("Practitioner", f"practitioner-{i:02}", active=True, gender=gender,
                    identifier=[{"use": "official", "system": OURS + "practitioner", "value": f"P{1000 + i}"}],
                    name=[{"use": "official", "family": family, "given": [given], "prefix": ["Dr."] if degree == "MD" else ["Mr." if gender == "male" else "Ms."]}],
                    telecom=[{"system": "phone", "value": f"+1 555 03{i:02}", "use": "work"},
                             {"system": "email", "value": f"{family.lower()}@rgh.example", "use": "work"}],
                    qualification=[{"code": concept(HL7 + "v2-0360", degree, "Doctor of Medicine" if degree == "MD" else "Registered Nurse")}]), display)
    days = [WEEKDAYS[(i + d) % 5] for d in (0, 1, 3)] if degree == "MD" else WEEKDAYS[:5]
    service = SERVICES.get(field)
    role = add("PractitionerRole", f"role-{i:02}", active=True, practitioner=who, organization=DEPARTMENTS.get(field, CLINIC),
               identifier=[{"system": OURS + "role", "value": f"R{1000 + i}"}],
               code=[concept(HL7 + "practitioner-role", "doctor", "Doctor") if degree == "MD" else concept(HL7 + "practitioner-role", "nurse", "Nurse")],
               specialty=[concept(SNOMED, *SPECIALTIES[field])], location=[service[2]] if service else [HOUSE],
               healthcareService=[service[0]] if service else None,
               availableTime=[{"daysOfWeek": days, "availableStartTime": "09:00:00", "availableEndTime": "12:00:00"},
                              {"daysOfWeek": days, "availableStartTime": "13:00:00", "availableEndTime": "16:00:00"}],
               notAvailable=[{"description": "Year end", "during": {"start": "2026-12-24", "end": "2026-12-26"}}],
               availabilityExceptions="Closed on public holidays")
    (DOCTORS if degree == "MD" else NURSES).append({"who": who, "role": role, "field": field, "days": days, "i": i})

# --- patients ---------------------------------------------------------------------------------

GIVEN_F = "Ada Beatriz Clara Dora Élodie Freya Greta Hana Inés Joana Karin Leila Mira Noor Olga Priya Rosa Siobhán Tove Vera".split()
GIVEN_M = "Aron Bruno Carl Dario Emil Félix Giorgos Hamid Ivo Jakub Kofi Leon Mateo Nils Otto Paul Quentin Rolf Sven Zoltán".split()
FAMILY = ("Abellard Bergström Calloway Dunmore Eastman Fairweather Grüner Hollander Ibarra Jansson Kowalczyk Larkspur Moreau Nakamura "
          "O'Rourke Petersen Quimby Rasmussen Sørensen Thistlewood").split()
LANGUAGES = [("en", "English"), ("es", "Spanish"), ("fr", "French"), ("de", "German")]
PATIENTS = []
for n in range(1, 41):
    female = n % 2 == 1
    given = (GIVEN_F if female else GIVEN_M)[(n - 1) // 2 % 20]
    family = FAMILY[(n * 7) % 20]
    born = date(1932, 3, 1) + timedelta(days=(n * 811 + RNG.randrange(300)))
    child = n > 36
    if child:
        born = date(2014, 5, 1) + timedelta(days=RNG.randrange(3000))
    doctor = DOCTORS[5 + n % 2] if not child else DOCTORS[4]
    language = LANGUAGES[0] if n % 5 else LANGUAGES[n // 5 % 4]
    reference = add(
        "Patient", f"patient-{n:02}", active=True,
        identifier=[{"use": "usual", "type": concept(HL7 + "v2-0203", "MR", "Medical record number"), "system": OURS + "mrn", "value": f"MRN{70000 + n}",
                     "assigner": named(HOSPITAL, "Rotunda General Hospital")}]
        + ([{"use": "secondary", "system": OURS + "insurance", "value": f"INS-{n * 7919}"}] if n % 3 == 0 else []),
        name=[{"use": "official", "family": family, "given": [given] + (["Maria"] if n % 9 == 0 else [])}]
        + ([{"use": "nickname", "given": [given[:3]]}] if n % 7 == 0 else []),
        telecom=[{"system": "phone", "value": f"+1 555 1{n:03}", "use": "home", "rank": 1}]
        + ([{"system": "email", "value": f"patient{n:02}@mail.example", "use": "home"}] if n % 2 else [{"system": "phone", "value": f"+1 555 2{n:03}", "use": "mobile"}]),
        gender="female" if female else "male", birthDate=born.isoformat(),
        deceasedDateTime=at(date(2026, 3, 14), 4, 20) if n == 13 else None,
        address=[{"use": "home", "line": [f"{n * 3} {['Oak', 'Elm', 'Mill', 'High', 'Lake'][n % 5]} Street"], **town(n)}],
        maritalStatus=None if child else (concept(HL7 + "v3-MaritalStatus", "M", "Married") if n % 3 else concept(HL7 + "v3-MaritalStatus", "S", "Never Married")),
        multipleBirthInteger=n - 36 if n in (37, 38) else None,
        contact=[{"relationship": [concept(HL7 + "v2-0131", "C", "Emergency Contact")], "name": {"family": family, "given": ["Robin"]},
                  "telecom": [{"system": "phone", "value": f"+1 555 3{n:03}"}]}] if n % 4 == 0 else None,
        communication=[{"language": concept("urn:ietf:bcp:47", *language), "preferred": True}],
        generalPractitioner=[doctor["who"]], managingOrganization=HOSPITAL if n % 2 else CLINIC)
    PATIENTS.append({"ref": named(reference, f"{given} {family}"), "born": born, "female": female, "n": n, "doctor": doctor, "child": child})
    if child:
        add("RelatedPerson", f"parent-of-patient-{n}", active=True, patient=reference,
            relationship=[concept(HL7 + "v3-RoleCode", "MTH", "mother")], name=[{"family": family, "given": ["Robin"]}], gender="female",
            telecom=[{"system": "phone", "value": f"+1 555 4{n:03}", "use": "mobile"}])

# --- what happened to them --------------------------------------------------------------------

CONDITIONS = [("44054006", "Diabetes mellitus type 2", "E11.9", 35, ("860975", "metformin hydrochloride 500 MG Extended Release Oral Tablet")),
              ("38341003", "Hypertensive disorder", "I10", 40, ("314076", "lisinopril 10 MG Oral Tablet")),
              ("195967001", "Asthma", "J45.909", 5, ("895994", "fluticasone propionate 0.044 MG/ACTUAT inhaler")),
              ("55822004", "Hyperlipidemia", "E78.5", 30, ("312961", "simvastatin 20 MG Oral Tablet")),
              ("239873007", "Osteoarthritis of knee", "M17.9", 50, ("849574", "naproxen sodium 220 MG Oral Tablet")),
              ("10509002", "Acute bronchitis", "J20.9", 2, None), ("195662009", "Acute viral pharyngitis", "J02.9", 2, None)]
LABS = [("2339-0", "Glucose [Mass/volume] in Blood", 70, 180, "mg/dL", 0), ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", 4.5, 9.5, "%", 1),
        ("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", 130, 260, "mg/dL", 0), ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", 0.5, 1.6, "mg/dL", 2),
        ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", 3.4, 5.3, "mmol/L", 1), ("718-7", "Hemoglobin [Mass/volume] in Blood", 11, 17.5, "g/dL", 1)]
counter = {}


def rid(prefix):
    counter[prefix] = counter.get(prefix, 0) + 1
    return f"{prefix}-{counter[prefix]:03}"


def vital(patient, encounter, when, code, display, value=None, components=None, performer=None, device=None):
    return add("Observation", rid("vital"), status="final", category=[concept(HL7 + "observation-category", "vital-signs", "Vital Signs")],
               code=concept(LOINC, code, display), subject=patient["ref"], encounter=encounter, effectiveDateTime=when, issued=when,
               performer=[performer] if performer else None, device=device, valueQuantity=value,
               component=[{"code": concept(LOINC, c, d), "valueQuantity": quantity(v, "mmHg", "mm[Hg]")} for c, d, v in components] if components else None)


def vitals(patient, encounter, day, hour, nurse, device=None):
    def measure(minute, code, display, value=None, components=None):
        vital(patient, encounter, at(day, hour, minute), code, display, value, components, nurse, device)
    small = patient["child"]
    measure(5, "8867-4", "Heart rate", quantity(RNG.randint(80, 118) if small else RNG.randint(55, 98), "beats/minute", "/min"))
    measure(6, "9279-1", "Respiratory rate", quantity(RNG.randint(18, 26) if small else RNG.randint(12, 20), "breaths/minute", "/min"))
    measure(7, "8310-5", "Body temperature", quantity(round(RNG.uniform(36.2, 38.6), 1), "Cel"))
    measure(8, "2708-6", "Oxygen saturation in Arterial blood", quantity(RNG.randint(92, 99), "%"))
    measure(9, "85354-9", "Blood pressure panel with all children optional",
            components=[("8480-6", "Systolic blood pressure", RNG.randint(95, 165)), ("8462-4", "Diastolic blood pressure", RNG.randint(58, 99))])


def body(patient, encounter, day, nurse):
    height = round((120 if patient["child"] else 162 if patient["female"] else 176) + RNG.uniform(-12, 12), 1)
    weight = round((28 if patient["child"] else 74) + RNG.uniform(-8, 22), 1)
    for minute, code, display, value in [(1, "8302-2", "Body height", quantity(height, "cm")), (2, "29463-7", "Body weight", quantity(weight, "kg")),
                                         (3, "39156-5", "Body mass index (BMI) [Ratio]", quantity(round(weight / (height / 100) ** 2, 1), "kg/m2"))]:
        vital(patient, encounter, at(day, 9, minute), code, display, value, None, nurse)


def laboratory(patient, encounter, day, doctor):
    order = add("ServiceRequest", rid("order"), status="completed", intent="order", category=[concept(SNOMED, "108252007", "Laboratory procedure")],
                code=concept(LOINC, "24323-8", "Comprehensive metabolic 2000 panel - Serum or Plasma"), subject=patient["ref"], encounter=encounter,
                authoredOn=at(day, 9, 12), requester=doctor["who"], performer=[LABORATORY])
    specimen = add("Specimen", rid("specimen"), status="available", type=concept(SNOMED, "119297000", "Blood specimen"), subject=patient["ref"],
                   receivedTime=at(day, 10, 0), collection={"collectedDateTime": at(day, 9, 20)}, request=[order])
    results = []
    for code, display, low, high, unit, digits in RNG.sample(LABS, 4):
        value = round(RNG.uniform(low * 0.9, high * 1.1), digits) if digits else RNG.randint(low, high)
        flag = ("L", "Low") if value < low else ("H", "High") if value > high else ("N", "Normal")
        results.append(add("Observation", rid("lab"), status="final", category=[concept(HL7 + "observation-category", "laboratory", "Laboratory")],
                           basedOn=[order], code=concept(LOINC, code, display), subject=patient["ref"], encounter=encounter, effectiveDateTime=at(day, 9, 20),
                           issued=at(day, 12, 0), performer=[LABORATORY], valueQuantity=quantity(value, unit), specimen=specimen,
                           interpretation=[concept(HL7 + "v3-ObservationInterpretation", *flag)],
                           referenceRange=[{"low": quantity(low, unit), "high": quantity(high, unit)}]))
    add("DiagnosticReport", rid("report"), status="final", basedOn=[order], category=[concept(HL7 + "v2-0074", "LAB", "Laboratory")],
        code=concept(LOINC, "24323-8", "Comprehensive metabolic 2000 panel - Serum or Plasma"), subject=patient["ref"], encounter=encounter,
        effectiveDateTime=at(day, 9, 20), issued=at(day, 12, 5), performer=[LABORATORY], specimen=[specimen], result=results)


def condition(patient, encounter, day, doctor, entry):
    code, display, icd, _, drug = entry
    chronic = drug is not None
    reference = add("Condition", rid("condition"), subject=patient["ref"], encounter=encounter,
                    clinicalStatus=concept(HL7 + "condition-clinical", "active", "Active") if chronic else concept(HL7 + "condition-clinical", "resolved", "Resolved"),
                    verificationStatus=concept(HL7 + "condition-ver-status", "confirmed", "Confirmed"),
                    category=[concept(HL7 + "condition-category", "encounter-diagnosis", "Encounter Diagnosis")],
                    code={"coding": [coding(SNOMED, code, display), coding("http://hl7.org/fhir/sid/icd-10-cm", icd, display)], "text": display},
                    onsetDateTime=day.isoformat(), abatementDateTime=None if chronic else (day + timedelta(days=12)).isoformat(),
                    recordedDate=at(day, 9, 30), recorder=doctor["who"])
    if chronic:
        add("MedicationRequest", rid("prescription"), status="active" if RNG.random() < 0.8 else "stopped", intent="order",
            medicationCodeableConcept=concept(RXNORM, *drug), subject=patient["ref"], encounter=encounter, authoredOn=at(day, 9, 40), requester=doctor["who"],
            reasonReference=[reference],
            dosageInstruction=[{"sequence": 1, "text": "one, once daily", "asNeededBoolean": False, "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "unit"}}]}],
            dispenseRequest={"numberOfRepeatsAllowed": 2, "quantity": {"value": 30, "unit": "unit"}})
    return reference


PROBLEMS = {}
for patient in PATIENTS:
    doctor, nurse = patient["doctor"], NURSES[patient["n"] % 4]
    age = 2026 - patient["born"].year
    for visit in range(1 + patient["n"] % 3):
        if patient["n"] == 13 and visit:
            break
        day = date(2025, 1, 13) + timedelta(days=RNG.randrange(420))
        encounter = add("Encounter", rid("visit"), status="finished", identifier=[{"system": OURS + "visit", "value": f"V{patient['n']:02}{visit}"}],
                        **{"class": coding(HL7 + "v3-ActCode", "AMB", "ambulatory")}, type=[concept(SNOMED, "185349003", "Encounter for check up")],
                        subject=patient["ref"], participant=[{"type": [concept(HL7 + "v3-ParticipationType", "PPRF", "primary performer")], "individual": doctor["who"]}],
                        period={"start": at(day, 9), "end": at(day, 9, 45)}, location=[{"location": ROOMS[patient["n"] % 6]}], serviceProvider=CLINIC)
        if visit == 0:
            body(patient, encounter, day, nurse["who"])
        vitals(patient, encounter, day, 9, nurse["who"])
        if patient["n"] % 2 == 0:
            laboratory(patient, encounter, day, doctor)
        for entry in CONDITIONS:
            if age >= entry[3] and RNG.random() < 0.22:
                PROBLEMS.setdefault(patient["n"], []).append(condition(patient, encounter, day, doctor, entry))
        if patient["n"] % 4 == 1:
            add("Immunization", rid("immunization"), status="completed", vaccineCode=concept(CVX, "140", "Influenza, seasonal, injectable, preservative free"),
                patient=patient["ref"], encounter=encounter, occurrenceDateTime=day.isoformat(), primarySource=True, performer=[{"actor": nurse["who"]}])
    if patient["n"] % 6 == 0:
        add("AllergyIntolerance", rid("allergy"), patient=patient["ref"], type="allergy", category=["medication"], criticality="high",
            clinicalStatus=concept(HL7 + "allergyintolerance-clinical", "active", "Active"),
            verificationStatus=concept(HL7 + "allergyintolerance-verification", "confirmed", "Confirmed"),
            code=concept(SNOMED, "294505008", "Allergy to amoxicillin"), recordedDate=at(date(2024, 6, 3)),
            reaction=[{"manifestation": [concept(SNOMED, "247472004", "Wheal")], "severity": "moderate"}])
add("List", "problems-of-patient-02", status="current", mode="working", title="Problem list", subject=PATIENTS[1]["ref"], date=at(date(2026, 11, 2)),
    code=concept(LOINC, "11450-4", "Problem list - Reported"), entry=[{"item": item} for item in PROBLEMS.get(2, [])] or None)

# In-patients: one in every occupied bed, with a monitor beside it.
ADMITTED = date(2026, 11, 19)
inpatients = iter(PATIENTS[19:])
for n, (bed, occupied, department) in enumerate([b for b in BEDS if b[1]], 1):
    patient = next(inpatients)
    cardiac = department == DEPARTMENTS["cardiology"]
    doctor, nurse = (DOCTORS[n % 2], NURSES[0]) if cardiac else (DOCTORS[2 + n % 2], NURSES[1])
    monitor = add("Device", f"monitor-{n}", status="active", identifier=[{"system": OURS + "device", "value": f"MON-{n:03}"}], manufacturer="Example Devices",
                  serialNumber=f"SN{52000 + n}", modelNumber="VS-8", deviceName=[{"name": f"Bedside monitor {n}", "type": "user-friendly-name"}],
                  type=concept(SNOMED, "469204003", "Patient monitoring system module"), patient=patient["ref"], owner=department, location=bed)
    encounter = add("Encounter", f"stay-{n:02}", status="in-progress", identifier=[{"system": OURS + "visit", "value": f"S{n:03}"}],
                    **{"class": coding(HL7 + "v3-ActCode", "IMP", "inpatient encounter")}, type=[concept(SNOMED, "32485007", "Hospital admission")],
                    priority=concept(HL7 + "v3-ActPriority", "UR", "urgent") if n % 2 else concept(HL7 + "v3-ActPriority", "EL", "elective"),
                    subject=patient["ref"], participant=[{"type": [concept(HL7 + "v3-ParticipationType", "ATND", "attender")], "individual": doctor["who"]}],
                    period={"start": at(ADMITTED, 8 + n)}, hospitalization={"admitSource": concept(HL7 + "admit-source", "emd", "From accident/emergency department")},
                    location=[{"location": bed, "status": "active", "period": {"start": at(ADMITTED, 9 + n)}}], serviceProvider=department)
    for day in range(4):
        for hour in (6, 14, 22):
            if day or hour == 22:
                vitals(patient, encounter, ADMITTED + timedelta(days=day), hour, nurse["who"], monitor)
    laboratory(patient, encounter, ADMITTED + timedelta(days=1), doctor)
    if cardiac:
        condition(patient, encounter, ADMITTED, doctor, CONDITIONS[1])
    else:
        add("Procedure", rid("procedure"), status="completed", code=concept(SNOMED, "80146002", "Appendectomy"), subject=patient["ref"], encounter=encounter,
            performedPeriod={"start": at(date(2026, 11, 20), 7 + n), "end": at(date(2026, 11, 20), 8 + n)}, performer=[{"actor": doctor["who"]}], location=THEATRE)
    add("Flag", f"fall-risk-{n}", status="active", category=[concept(HL7 + "flag-category", "safety", "Safety")], code=concept(SNOMED, "129839007", "At risk for falls"),
        subject=patient["ref"], period={"start": at(ADMITTED, 10)}, encounter=encounter)
for n, (name, code, display) in enumerate([("Infusion pump", "430033006", "Infusion pump"), ("Glucose meter", "337414009", "Blood glucose meter")], 1):
    add("Device", f"device-{n}", status="active", identifier=[{"system": OURS + "device", "value": f"DEV-{n:03}"}], manufacturer="Example Devices",
        deviceName=[{"name": f"{name} {n}", "type": "user-friendly-name"}], type=concept(SNOMED, code, display), owner=HOSPITAL, location=HOUSE)

# --- appointment books ------------------------------------------------------------------------

OUTPATIENTS = [p for p in PATIENTS if p["n"] != 13]
CONSULTED = [d for d in DOCTORS if d["field"] in SERVICES]
TAKEN = set()  # nobody is in two places at a time, and no room has two doctors
for number, doctor in enumerate(CONSULTED):
    service, kind, _, _ = SERVICES[doctor["field"]]
    room = ROOMS[number]
    schedule = add("Schedule", f"schedule-{doctor['i']:02}", active=True, identifier=[{"system": OURS + "schedule", "value": f"S{1000 + doctor['i']}"}],
                   serviceType=[kind], specialty=[concept(SNOMED, *SPECIALTIES[doctor["field"]])], actor=[doctor["who"], doctor["role"], service, room],
                   planningHorizon={"start": at(FIRST_DAY, 0), "end": at(LAST_DAY + timedelta(days=1), 0)}, comment=f"Consultations of {doctor['who']['display']}")
    day = FIRST_DAY
    while day <= LAST_DAY:
        if WEEKDAYS[day.weekday()] in doctor["days"] and day not in HOLIDAYS:
            for step in range(14):
                start = datetime(day.year, day.month, day.day, 9) + timedelta(minutes=30 * step)
                begin, end = start.isoformat() + ZONE, (start + timedelta(minutes=30)).isoformat() + ZONE
                name = f"slot-{doctor['i']:02}-{start:%Y%m%d-%H%M}"
                lunch = start.hour == 12
                booked = not lunch and RNG.random() < (0.25 if day < date(2026, 12, 12) else 0.04)
                slot = add("Slot", name, schedule=schedule, status="busy-unavailable" if lunch else "busy" if booked else "free", start=begin, end=end, serviceType=[kind])
                if booked:
                    patient = RNG.choice([p for p in OUTPATIENTS if (p["n"], begin) not in TAKEN])
                    TAKEN.add((patient["n"], begin))
                    pending = RNG.random() < 0.1
                    add("Appointment", f"appointment-{name[5:]}", status="pending" if pending else "booked", serviceType=[kind],
                        appointmentType=concept(HL7 + "v2-0276", "ROUTINE", "Routine appointment - default if not valued"), description=f"{kind['text']} consultation",
                        start=begin, end=end, minutesDuration=30, slot=[slot], created=at(date(2026, 11, 2) + timedelta(days=RNG.randrange(18)), 11),
                        participant=[{"actor": patient["ref"], "required": "required", "status": "needs-action" if pending else "accepted"},
                                     {"actor": doctor["who"], "required": "required", "status": "accepted"},
                                     {"actor": room, "required": "required", "status": "accepted"}])
        day += timedelta(days=1)

path = Path(__file__).with_name("hospital.ndjson.gz")
text = "".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in resources)
with open(path, "wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=9, mtime=0) as out:
    out.write(text.encode())
counts = {}
for r in resources:
    counts[r["resourceType"]] = counts.get(r["resourceType"], 0) + 1
print(f"{path.name}: {len(resources)} resources, {len(text)} bytes, {path.stat().st_size} compressed")
print(json.dumps(dict(sorted(counts.items()))))
