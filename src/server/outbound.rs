//! Messages to engines, as they are configured.

use std::{sync::Arc, time::Duration};

use mllp::{
    header::{Condition, Party},
    out::{self, Authority, Forms, Orders, Pharmacy},
};

use super::StartError;
use crate::{
    config::{
        Config, Hl7AfterFailure, Hl7Asking, Hl7Destination, Hl7Events, Hl7Medications, Hl7Orders,
    },
    engine::Engine,
    hl7::outbound::{
        Destination, Outbound, Scribe,
        destination::{Asking, TlsFiles, Topic},
        write::Clerk,
    },
};

/// Begins to tell all destinations; nothing runs if there is none.
pub async fn start(config: &Config, engine: &Arc<Engine>) -> Result<Option<Outbound>, StartError> {
    if config.hl7.destinations.is_empty() {
        return Ok(None);
    }
    let scribe: Arc<dyn Scribe> = Arc::new(Clerk);
    let started = Outbound::start(engine, destinations(config), &scribe);
    Ok(Some(started.await.map_err(StartError::Outbound)?))
}

/// What is agreed with receivers, as it is configured.
pub fn destinations(config: &Config) -> Vec<Destination> {
    let each = config.hl7.destinations.iter();
    each.map(|one| destination(config, one)).collect()
}

fn destination(config: &Config, from: &Hl7Destination) -> Destination {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    Destination {
        name: from.name.clone(),
        address: from.address.clone(),
        tls: from.tls.clone().map(|tls| TlsFiles {
            authorities: tls.authorities,
            certificate: tls.certificate,
            key: tls.key,
            name: tls.name,
        }),
        form: form(config, from),
        topics: from.events.iter().map(topic).collect(),
        channel: from.channel.clone(),
        asking: match from.acknowledge {
            Hl7Asking::Original => Asking::Original,
            Hl7Asking::Accept => Asking::Accept,
            Hl7Asking::Both => Asking::Both,
        },
        ack_time: seconds(from.ack_seconds),
        application_time: seconds(from.application_ack_seconds),
        retry: seconds(from.retry_seconds),
        retry_most: seconds(from.retry_most_seconds),
        attempts: from.attempts,
        retry_rejected: from.retry_rejected,
        hold: from.after_failure == Hl7AfterFailure::Hold,
        in_flight: from.in_flight as usize,
    }
}

fn topic(from: &Hl7Events) -> Topic {
    match from {
        Hl7Events::Appointments => Topic::Appointments,
        Hl7Events::Blocks => Topic::Blocks,
        Hl7Events::Patients => Topic::Patients,
        Hl7Events::Orders => Topic::Orders,
        Hl7Events::Medications => Topic::Medications,
        Hl7Events::Results => Topic::Results,
    }
}

/// How messages are written.
fn form(config: &Config, from: &Hl7Destination) -> out::Destination {
    let zone = match from.time_zone.as_str() {
        "" => config.scheduling.zone(),
        name => jiff::tz::TimeZone::get(name).ok(),
    };
    let asked = |condition| match from.acknowledge {
        Hl7Asking::Original => None,
        _ => Some(condition),
    };
    let authority = |(system, namespace): (&String, &String)| {
        let named = Authority {
            namespace: namespace.clone(),
            ..Authority::default()
        };
        (system.clone(), named)
    };
    out::Destination {
        version: from.version.clone(),
        sending: Party {
            application: from.sending_application.clone(),
            facility: from.sending_facility.clone(),
        },
        receiving: Party {
            application: from.receiving_application.clone(),
            facility: from.receiving_facility.clone(),
        },
        processing: from.processing.clone(),
        charset: from.charset.clone(),
        zone: zone.unwrap_or(jiff::tz::TimeZone::UTC),
        authorities: from.authorities.iter().map(authority).collect(),
        accept_ack: asked(Condition::Always),
        application_ack: asked(match from.acknowledge {
            Hl7Asking::Both => Condition::Always,
            _ => Condition::Never,
        }),
        forms: Forms {
            orders: match from.orders {
                Hl7Orders::Orm => Orders::Orm,
                Hl7Orders::Oml => Orders::Oml,
            },
            pharmacy: match from.medications {
                Hl7Medications::Rde => Pharmacy::Rde,
                Hl7Medications::Omp => Pharmacy::Omp,
                Hl7Medications::Orm => Pharmacy::Orm,
            },
            ..Forms::default()
        },
    }
}
