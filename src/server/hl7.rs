//! HL7 v2, as it is configured.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use mllp::{map::Overlay, message::Reading};
use tokio::task::{JoinHandle, JoinSet};

use super::{StartError, listen, local};
use crate::{
    config::{Config, ConfigError, Hl7Acknowledge, Hl7Channel, Hl7Tls, Hl7WhenDown},
    engine::Engine,
    hl7::{AckMode, Bounds, Channel, Listener, Pump, Settings, WhenDown},
    limits::Limits,
    tls::{Tls, TlsFiles},
};

/// The pump of a server, its listeners and their addresses.
pub struct Running {
    pub pump: Arc<Pump>,
    pub listeners: Vec<JoinHandle<usize>>,
    pub addresses: Vec<SocketAddr>,
}

/// Listens on all addresses and begins with what was stored before. Nothing runs if there is no
/// listener.
pub async fn start(
    config: &Config,
    engine: &Arc<Engine>,
    upkeep: &mut JoinSet<()>,
) -> Result<Option<Running>, StartError> {
    if config.hl7.listeners.is_empty() {
        return Ok(None);
    }
    let channels = channels(config)?;
    let mut made = Vec::new();
    for listener in &config.hl7.listeners {
        let socket = listen(listener.listen).await?;
        let address = local(&socket, listener.listen)?;
        let tls = listener.tls.as_ref().map(tls).transpose()?.map(Arc::new);
        if let Some(tls) = &tls {
            upkeep.spawn(Arc::clone(tls).keep_current());
        }
        let allowed = channels.iter().filter(|channel| {
            listener.channels.is_empty() || listener.channels.contains(&channel.name)
        });
        let listener = Listener {
            socket,
            tls,
            peers: listener.peers.clone(),
            channels: allowed.cloned().collect(),
            commits: listener.release_2,
            tolerant: listener.tolerant,
        };
        made.push((address, listener));
    }
    let settings = settings(&config.limits);
    let pump = Pump::start(Arc::clone(engine), &channels, settings).await?;
    let mut addresses = Vec::new();
    let mut listeners = Vec::new();
    for (address, listener) in made {
        addresses.push(address);
        listeners.push(pump.listen(listener));
    }
    Ok(Some(Running {
        pump: Arc::new(pump),
        listeners,
        addresses,
    }))
}

/// What is agreed with senders, as it is configured.
///
/// # Errors
/// An overlay cannot be read.
pub fn channels(config: &Config) -> Result<Vec<Arc<Channel>>, StartError> {
    let default = [Hl7Channel::default()];
    let configured = match config.hl7.channels.is_empty() {
        true => &default[..],
        false => &config.hl7.channels,
    };
    let each = configured.iter().enumerate();
    each.map(|(at, channel)| one(config, at, channel).map(Arc::new))
        .collect()
}

fn one(config: &Config, at: usize, from: &Hl7Channel) -> Result<Channel, StartError> {
    let zone = match from.time_zone.as_str() {
        "" => config.scheduling.zone(),
        name => jiff::tz::TimeZone::get(name).ok(),
    };
    let default = Reading::default();
    let overlay = match &from.overlay {
        None => None,
        Some(path) => {
            let refuse = |reason: String| ConfigError {
                place: path.display().to_string(),
                key: format!("hl7.channels[{at}].overlay"),
                reason,
            };
            let text = std::fs::read_to_string(path)
                .map_err(|error| refuse(format!("cannot be read: {error}")))?;
            Overlay::parse(&text).map_err(|lines| refuse(lines.join("; ")))?;
            Some(text)
        }
    };
    Ok(Channel {
        name: from.name.clone(),
        // What makes no sense was refused when the configuration was read.
        certificates: from.pins().unwrap_or_default(),
        applications: from.applications.clone(),
        facilities: from.facilities.clone(),
        types: from.types.clone(),
        processing: from.processing.clone(),
        zone: zone.unwrap_or(jiff::tz::TimeZone::UTC),
        reading: Reading {
            charset: mllp::charset::named_encoding(&from.charset).unwrap_or(default.charset),
            fallback: mllp::charset::named_encoding(&from.fallback_charset)
                .unwrap_or(default.fallback),
        },
        authorities: from.authorities.clone().into_iter().collect(),
        overlay,
        mode: match from.acknowledge {
            Hl7Acknowledge::Auto => AckMode::Auto,
            Hl7Acknowledge::Original => AckMode::Original,
            Hl7Acknowledge::Enhanced => AckMode::Enhanced,
        },
        when_down: match from.when_down {
            Hl7WhenDown::Close => WhenDown::Close,
            Hl7WhenDown::Error => WhenDown::Error,
        },
        duplicates: Duration::from_secs(60 * u64::from(from.duplicate_minutes)),
        block: Duration::from_secs(from.block_seconds.into()),
        sequence: from.sequence,
    })
}

fn tls(files: &Hl7Tls) -> Result<Tls, StartError> {
    let pair = TlsFiles {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    };
    Ok(Tls::load_with_clients(
        pair,
        files.client_authorities.clone(),
    )?)
}

fn settings(limits: &Limits) -> Settings {
    Settings {
        bounds: Bounds {
            connections: limits.mllp_connections,
            frame: limits.mllp_frame_bytes,
            buffered: limits.mllp_buffered_bytes,
            idle: Duration::from_millis(limits.mllp_idle_ms),
            frame_time: Duration::from_millis(limits.mllp_frame_ms),
            pipelined: limits.mllp_pipelined,
        },
        held: limits.mllp_waiting,
        parallel: limits.mllp_parallel,
        shutdown: Duration::from_millis(limits.shutdown_ms),
    }
}
