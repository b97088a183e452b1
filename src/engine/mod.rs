//! The deep module: every read and every write of resources goes through [`Engine`].
//!
//! A write is a list of drafts ([`draft`]); [`resolve`] finds out which resources they mean,
//! [`planner`] makes new versions of them, [`submit`] commits all at once, and [`race`] repeats
//! what lost against somebody else.
//! Reads are answered with stored texts as they are.

mod audit;
mod booking;
mod bundle;
mod bundle_text;
mod computed;
mod concurrent;
mod cursor;
mod definitions;
mod draft;
mod error;
mod following;
mod fulltext;
mod hierarchy;
mod history;
mod includes;
mod indexing;
mod matching;
mod message_desk;
mod messages;
mod narrative;
mod operation;
mod operations;
mod paging;
mod parameters;
mod part;
mod permission;
mod planner;
mod race;
mod read;
mod resolve;
mod search;
mod settings;
mod stamp;
mod submit;
mod subset;
mod terminology;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use resources::index::Registry;

use crate::{audit::Recorder, clock::Clock, search::SearchLimits, store::Store};
use computed::Computed;
use parameters::Parameters;
use race::Queues;

pub use booking::{BookingCall, BookingReply, Published, ScheduleVerified, Tended, Tidied};
pub use bundle::BundleOptions;
pub use error::{Error, ErrorKind};
pub use following::{QueueOrders, Step, Steps, Turn};
pub use message_desk::{MessageDesk, Treatment};
pub use messages::Received;
pub use operation::{
    AccessReportRequest, Done, DoneStatus, EverythingRequest, HistoryRequest, HistoryScope,
    IfMatch, MetaScope, Operation, Resource, Return, SearchRequest, Target, ValidateRequest,
};
pub use part::Part;
pub use settings::Settings;

pub use crate::{
    scheduling::ics::MEDIA_TYPE as CALENDAR,
    search::{Scope, condition, encode as query},
    store::{
        Advanced, Delivered, DeliveryFilter, DeliveryHead, DeliveryState, MessageChange,
        MessageFilter, MessageHead, MessageId, MessageOutcome, MessageState, NewDelivery,
        NewMessage, Settled, StoredDelivery, StoredMessage, VersionRef, WaitingMessage,
        content_hash,
    },
};

/// The key under which the secret of page tokens is kept in the store.
const TOKEN_KEY: &str = "page-token-key";

/// The FHIR server below HTTP.
pub struct Engine {
    store: Arc<Store>,
    settings: Settings,
    search_limits: SearchLimits,
    clock: Arc<dyn Clock>,
    tokens: paging::Tokens,
    computed: Arc<Computed>,
    parameters: Parameters,
    queues: Queues,
    board: booking::Board,
    waitlist: booking::Waitlist,
    recorder: Arc<Recorder>,
    /// How often Consents were written here: they decide about access.
    consent_changes: AtomicU64,
    /// Itself, for work in the background.
    me: Weak<Self>,
}

impl Engine {
    /// An engine over an open store. Search parameters that users posted come back, and the
    /// indexing of those that were not done goes on in the background.
    ///
    /// # Errors
    /// The store does not answer, or the computer has no randomness.
    pub async fn open(
        store: Arc<Store>,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        let fresh = paging::new_key()?;
        let key = store.setting_or(TOKEN_KEY, &fresh).await?;
        let search_limits = search_limits(&settings);
        let recorder = Recorder::start(Arc::clone(&store));
        let engine = Arc::new_cyclic(|me| Self {
            store,
            settings,
            search_limits,
            clock,
            tokens: paging::Tokens::new(&key),
            computed: Arc::new(Computed::new(vec![Box::new(definitions::Definitions)])),
            parameters: Parameters::default(),
            queues: Queues::default(),
            board: booking::Board::default(),
            waitlist: booking::Waitlist::default(),
            recorder,
            consent_changes: AtomicU64::new(0),
            me: me.clone(),
        });
        engine.load_parameters().await?;
        Ok(engine)
    }

    /// The time, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The search parameters in force, those that users posted included, and their generation:
    /// see [`crate::store::Commit::generation`].
    pub fn search_parameters(&self) -> (Arc<Registry>, i64) {
        let known = self.parameters.known();
        (Arc::clone(&known.registry), known.generation)
    }

    /// The search parameters in force, those that users posted included.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.parameters.known().registry)
    }

    /// A number that grows whenever this process has written a Consent.
    pub fn consent_changes(&self) -> u64 {
        self.consent_changes.load(Ordering::Acquire)
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`].
    pub async fn health(&self) -> Result<(), Error> {
        Ok(self.store.health().await?)
    }

    /// False from when the disk refused a write until it takes one.
    pub fn takes_writes(&self) -> bool {
        self.store.takes_writes()
    }

    /// A new logical id; later ones sort behind earlier ones, so that the index grows at its end.
    fn new_id(&self) -> String {
        let now = self.clock.now().max(0).unsigned_abs();
        let time = uuid::Timestamp::from_unix(
            uuid::NoContext,
            now / 1_000,
            (now % 1_000) as u32 * 1_000_000,
        );
        uuid::Uuid::new_v7(time).to_string()
    }
}

fn search_limits(settings: &Settings) -> SearchLimits {
    let limits = &settings.limits;
    SearchLimits {
        params: limits.search_params,
        values: limits.search_values,
        hops: limits.chain_depth,
        includes: limits.includes,
        sorts: limits.sort_keys,
        codes: limits.expansion_codes,
        page: limits.page_default,
        max_page: limits.page_max,
        ..SearchLimits::default()
    }
}
