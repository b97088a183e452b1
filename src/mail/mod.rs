//! Mail to users, over SMTP. A mail is put into a queue and sent from there, and again for a while
//! if the server does not take it: nobody who asks for one sees how that goes.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::Instant,
};

/// Mails that wait at a time; what comes on top of them is dropped.
const WAITING: usize = 256;
/// Pieces of work that end in a mail, at a time.
const PREPARED: usize = 32;
/// How long a server may take for a mail.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where mail goes, and from whom it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// `smtp://host:25`, `starttls://host:587` or `smtps://host:465`.
    pub smtp: String,
    /// The sender: `Rotunda <rotunda@hospital.example>`.
    pub from: String,
    /// Certificates (PEM) of an authority that is trusted besides the public ones.
    pub authority: Option<String>,
    /// Name and password at the server.
    pub credentials: Option<(String, String)>,
    /// After how long a mail that was not taken is tried again, each time.
    pub again: Vec<Duration>,
}

/// When a mail that was not taken is tried again: some 20 minutes in all, less than what is in
/// them is good for.
pub const AGAIN: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(300),
    Duration::from_secs(600),
];

/// Why mail cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The address of the server is none.
    #[error("mail.smtp '{0}' must be smtp://HOST:25, starttls://HOST:587 or smtps://HOST:465: {1}")]
    Server(String, String),
    /// The sender is no address.
    #[error("mail.from '{0}' must be like 'Rotunda <rotunda@hospital.example>': {1}")]
    Sender(String, String),
    /// What is to be trusted is no certificate.
    #[error("mail.ca_file must hold certificates in PEM: {0}")]
    Authority(String),
}

/// A mail of plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Name and address.
    pub to: (String, String),
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// Sends mail; ends with its last clone, and leaves what waits then.
#[derive(Debug, Clone)]
pub struct Mailer {
    queue: mpsc::Sender<Mail>,
    preparing: Arc<Semaphore>,
    _sending: Arc<Sending>,
}

#[derive(Debug)]
struct Sending(JoinHandle<()>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Mailer {
    /// Begins to send in the background; no connection is made before there is a mail.
    ///
    /// # Errors
    /// [`MailError`] for an address that is none.
    pub fn start(settings: MailSettings) -> Result<Self, MailError> {
        let from = settings
            .from
            .parse::<Mailbox>()
            .map_err(|error| MailError::Sender(settings.from.clone(), error.to_string()))?;
        let transport = transport(&settings)?;
        let (queue, waiting) = mpsc::channel(WAITING);
        let sending = tokio::spawn(send_all(waiting, transport, from, settings.again));
        Ok(Self {
            queue,
            preparing: Arc::new(Semaphore::new(PREPARED)),
            _sending: Arc::new(Sending(sending)),
        })
    }

    /// Puts a mail into the queue.
    pub fn send(&self, mail: Mail) {
        if self.queue.try_send(mail).is_err() {
            tracing::error!("a mail was dropped: {WAITING} wait already");
        }
    }

    /// Does in the background what may end in a mail, so that whoever asked cannot tell from the
    /// time whether it did.
    pub fn prepare(&self, work: impl Future<Output = Option<Mail>> + Send + 'static) {
        let Ok(place) = Arc::clone(&self.preparing).try_acquire_owned() else {
            tracing::warn!("a mail was not made: {PREPARED} are being made already");
            return;
        };
        let mailer = self.clone();
        tokio::spawn(async move {
            if let Some(mail) = work.await {
                mailer.send(mail);
            }
            drop(place);
        });
    }
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

fn transport(settings: &MailSettings) -> Result<Transport, MailError> {
    let refuse = |reason: String| MailError::Server(settings.smtp.clone(), reason);
    let (scheme, rest) = settings.smtp.split_once("://").unwrap_or_default();
    let tls: Option<fn(TlsParameters) -> Tls> = match scheme {
        "smtp" => None,
        "starttls" => Some(Tls::Required),
        "smtps" => Some(Tls::Wrapper),
        _ => return Err(refuse("the scheme is another".to_owned())),
    };
    let url = format!("smtp://{}", rest.trim_end_matches('/'));
    let builder = Transport::from_url(&url).map_err(|error| refuse(error.to_string()))?;
    let builder = match tls {
        None => builder,
        Some(tls) => {
            let url = url::Url::parse(&url).map_err(|error| refuse(error.to_string()))?;
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            builder.tls(tls(trusting(host, settings.authority.as_deref())?))
        }
    };
    let builder = match &settings.credentials {
        None => builder,
        Some((user, password)) => {
            builder.credentials(Credentials::new(user.clone(), password.clone()))
        }
    };
    Ok(builder.timeout(Some(PATIENCE)).build())
}

/// What a server must prove.
fn trusting(host: &str, authority: Option<&str>) -> Result<TlsParameters, MailError> {
    let refuse = |error: lettre::transport::smtp::Error| MailError::Authority(error.to_string());
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(pem) = authority {
        let certificate = Certificate::from_pem(pem.as_bytes()).map_err(refuse)?;
        parameters = parameters.add_root_certificate(certificate);
    }
    parameters.build_rustls().map_err(refuse)
}

/// A mail that was not taken.
struct Late {
    when: Instant,
    tries: usize,
    mail: Mail,
}

async fn send_all(
    mut queue: mpsc::Receiver<Mail>,
    transport: Transport,
    from: Mailbox,
    again: Vec<Duration>,
) {
    let mut late: VecDeque<Late> = VecDeque::new();
    loop {
        let next = late.iter().map(|late| late.when).min();
        let due = async {
            match next {
                Some(when) => tokio::time::sleep_until(when).await,
                None => std::future::pending().await,
            }
        };
        let (mail, tries) = tokio::select! {
            mail = queue.recv() => match mail {
                Some(mail) => (mail, 0),
                None => return,
            },
            () = due => match take_due(&mut late) {
                Some(late) => (late.mail, late.tries),
                None => continue,
            },
        };
        let Err(error) = send(&transport, &from, &mail).await else {
            continue;
        };
        match again.get(tries) {
            Some(after) if !error.is_final && late.len() < WAITING => {
                tracing::warn!(error = %error.text, "a mail was not taken; it is tried again");
                let when = Instant::now() + *after;
                late.push_back(Late {
                    when,
                    tries: tries + 1,
                    mail,
                });
            }
            _ => tracing::error!(error = %error.text, "a mail could not be sent"),
        }
    }
}

fn take_due(late: &mut VecDeque<Late>) -> Option<Late> {
    let now = Instant::now();
    let at = late.iter().position(|late| late.when <= now)?;
    late.remove(at)
}

/// Why a mail was not taken.
struct Untaken {
    text: String,
    /// Trying again makes no sense.
    is_final: bool,
}

async fn send(transport: &Transport, from: &Mailbox, mail: &Mail) -> Result<(), Untaken> {
    let refuse = |text: String| Untaken {
        text,
        is_final: true,
    };
    let (name, address) = &mail.to;
    let address = address
        .parse()
        .map_err(|_| refuse("it has no address".to_owned()))?;
    let name = Some(name.clone()).filter(|name| !name.is_empty());
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(name, address))
        .subject(mail.subject.clone())
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.clone())
        .map_err(|error| refuse(error.to_string()))?;
    match transport.send(message).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => {
            // What the server says may name the recipient.
            let code = error
                .status()
                .map_or(String::new(), |code| format!(" ({code})"));
            Err(refuse(format!("the mail server refuses it{code}")))
        }
        Err(error) => {
            let code = error
                .status()
                .map_or(String::new(), |code| format!(" ({code})"));
            let kind = if error.is_timeout() {
                "the mail server does not answer in time"
            } else if error.is_transient() {
                "the mail server does not take it now"
            } else {
                "the mail server cannot be reached"
            };
            Err(Untaken {
                text: format!("{kind}{code}"),
                is_final: false,
            })
        }
    }
}
