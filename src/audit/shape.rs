//! How what was done looks as an AuditEvent: the codes of IHE BALP (Basic Audit Log Patterns,
//! <https://profiles.ihe.net/ITI/BALP>) and, for what BALP has no pattern of, of DICOM.

use super::event::Code;

/// The parts of an AuditEvent that follow from what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// `type`: system, code, display.
    pub class: (&'static str, &'static str, &'static str),
    /// `subtype`: system, code, display.
    pub subtype: (&'static str, &'static str, &'static str),
    /// `action`: C, R, U, D or E.
    pub action: &'static str,
    /// The name of BALP's profile behind `IHE.BasicAudit.`; with `Patient` before it if a patient
    /// is touched. Empty if there is none.
    pub profile: &'static str,
    /// How data flows.
    pub flow: Flow,
}

/// Who sends what to whom; BALP gives the agents their types by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// From the server to the client.
    ToClient,
    /// From the client to the server: resources, and the conditions of a search.
    ToServer,
    /// No data flows.
    None,
}

const EVENT: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const REST: &str = "http://hl7.org/fhir/restful-interaction";
/// Codes of DICOM's audit messages.
pub const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const BALP_AUTHORIZATION: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType";
const OWN: &str = "urn:rotunda:audit";
const IHE_EVENT: &str = "urn:ihe:event-type-code";

/// The shape of what was done.
pub const fn of(code: Code) -> Shape {
    match code {
        Code::Read => rest("read", "R", "Read", Flow::ToClient),
        Code::Vread => rest("vread", "R", "Read", Flow::ToClient),
        Code::HistoryInstance => rest("history-instance", "E", "Query", Flow::ToServer),
        Code::HistoryType => rest("history-type", "E", "Query", Flow::ToServer),
        Code::HistorySystem => rest("history-system", "E", "Query", Flow::ToServer),
        Code::SearchType => rest("search-type", "E", "Query", Flow::ToServer),
        Code::SearchSystem => rest("search-system", "E", "Query", Flow::ToServer),
        Code::Operation => rest("operation", "E", "", Flow::ToServer),
        Code::Create => rest("create", "C", "Create", Flow::ToServer),
        Code::Update => rest("update", "U", "Update", Flow::ToServer),
        Code::Patch => rest("patch", "U", "Update", Flow::ToServer),
        Code::Delete => rest("delete", "D", "Delete", Flow::None),
        Code::Login | Code::LoginFailed => security(
            ("110114", "User Authentication"),
            (DICOM, "110122", "Login"),
        ),
        Code::Logout => security(
            ("110114", "User Authentication"),
            (DICOM, "110123", "Logout"),
        ),
        Code::TokenIssued => security(
            ("110114", "User Authentication"),
            (OWN, "token-issued", "Access token issued"),
        ),
        Code::TokenRevoked => security(
            ("110114", "User Authentication"),
            (OWN, "token-revoked", "Access token revoked"),
        ),
        Code::Authorization => security(
            ("110113", "Security Alert"),
            (
                BALP_AUTHORIZATION,
                "AuthZ-Consent",
                "Authorization Decision using Roles and Consent",
            ),
        ),
        Code::Denied => security(
            ("110113", "Security Alert"),
            (
                BALP_AUTHORIZATION,
                "AuthZ-Role",
                "Authorization Decision using only Roles",
            ),
        ),
        Code::BreakGlass => security(
            ("110113", "Security Alert"),
            (DICOM, "110127", "Emergency Override Started"),
        ),
        Code::AdminChange => security(
            ("110113", "Security Alert"),
            (DICOM, "110137", "User Security Attributes Changed"),
        ),
        Code::Export => Shape {
            class: (DICOM, "110106", "Export"),
            subtype: (REST, "operation", "operation"),
            action: "R",
            profile: "",
            flow: Flow::ToClient,
        },
        Code::FindAppointment => scheduling("ITI-115", "Find Potential Appointments"),
        Code::HoldAppointment => scheduling("ITI-116", "Hold Appointment"),
        Code::BookAppointment => scheduling("ITI-117", "Book Appointment"),
    }
}

/// A transaction of IHE ITI Scheduling.
const fn scheduling(transaction: &'static str, display: &'static str) -> Shape {
    Shape {
        subtype: (IHE_EVENT, transaction, display),
        ..rest("operation", "E", "", Flow::ToServer)
    }
}

const fn rest(
    interaction: &'static str,
    action: &'static str,
    profile: &'static str,
    flow: Flow,
) -> Shape {
    Shape {
        class: (EVENT, "rest", "RESTful Operation"),
        subtype: (REST, interaction, interaction),
        action,
        profile,
        flow,
    }
}

const fn security(
    (code, display): (&'static str, &'static str),
    subtype: (&'static str, &'static str, &'static str),
) -> Shape {
    Shape {
        class: (DICOM, code, display),
        subtype,
        action: "E",
        profile: "",
        flow: Flow::None,
    }
}
