//! Sends one message to a receiver: one connection, to an address that was checked, without following redirects.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jobcore::clock::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::callback::Callback;
use super::signature::Secret;

/// How long a receiver may take to answer.
const ANSWERED: Duration = Duration::from_secs(10);
/// How much of the body of an answer is read, in bytes, and for how long.
const READ: usize = 4 << 10;
const READING: Duration = Duration::from_secs(2);
const AGENT: &str = concat!("jobmcp/", env!("CARGO_PKG_VERSION"));

/// A message to a receiver.
#[derive(Debug)]
pub(super) struct Message<'a> {
    /// The same in all attempts.
    pub(super) id: &'a str,
    pub(super) subscription: &'a str,
    pub(super) body: &'a [u8],
}

/// The answer of a receiver.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Nothing if it was too long or not complete in time.
    pub(super) body: Option<Vec<u8>>,
}

/// Why a delivery failed, in the terms of the extension, which reveal nothing about what is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    Connection,
    Timeout,
    Tls,
    Http4xx,
    Http5xx,
    Challenge,
}

impl Failed {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection_refused",
            Self::Timeout => "timeout",
            Self::Tls => "tls_error",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::Challenge => "challenge_failed",
        }
    }
}

impl Answer {
    /// Returns a failure unless the status is a success. Redirects are not followed; the extension has no term for
    /// them.
    pub(super) fn accepted(self) -> Result<Self, (StatusCode, Failed)> {
        match self.status {
            status if status.is_success() => Ok(self),
            status if status.is_server_error() => Err((status, Failed::Http5xx)),
            status => Err((status, Failed::Http4xx)),
        }
    }
}

/// Sends messages.
#[derive(Debug, Default)]
pub(super) struct Post {
    /// The certificate authorities that this machine trusts, read for the first message that needs them.
    trusted: OnceCell<Arc<ClientConfig>>,
}

impl Post {
    /// Sends a message, signed with each of the keys.
    pub(super) async fn send(&self, to: &Callback, message: &Message<'_>, keys: &[Secret]) -> Result<Answer, Failed> {
        timeout(ANSWERED, self.try_to_send(to, message, keys)).await.unwrap_or(Err(Failed::Timeout))
    }

    async fn try_to_send(&self, to: &Callback, message: &Message<'_>, keys: &[Secret]) -> Result<Answer, Failed> {
        let request = request(to, message, keys).ok_or(Failed::Connection)?;
        let addresses = to.addresses().await.map_err(|_| Failed::Connection)?;
        let stream = TcpStream::connect(&*addresses).await.map_err(|_| Failed::Connection)?;
        if !to.is_tls {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(to.host.clone()).map_err(|_| Failed::Tls)?;
        let tls = TlsConnector::from(Arc::clone(self.trusted.get_or_try_init(trusted).await?));
        exchange(tls.connect(name, stream).await.map_err(|_| Failed::Tls)?, request).await
    }
}

/// Builds the request; nothing if the URL is not valid in one.
fn request(to: &Callback, message: &Message<'_>, keys: &[Secret]) -> Option<Request<Body>> {
    let seconds = Timestamp::now().as_second();
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(message.id, seconds, message.body)).collect();
    Request::builder()
        .method(Method::POST)
        .uri(&to.path)
        .header(HOST, &to.authority)
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", message.id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", signatures.join(" "))
        .header("x-mcp-subscription-id", message.subscription)
        .body(Body::from(message.body.to_vec()))
        .ok()
}

async fn exchange<S>(stream: S, request: Request<Body>) -> Result<Answer, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failed::Connection)?;
    let answer = async move {
        let response = sender.send_request(request).await.map_err(|_| Failed::Connection)?;
        let status = response.status();
        let body = timeout(READING, Limited::new(response.into_body(), READ).collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes().to_vec());
        Ok(Answer { status, body })
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection does the I/O, and may end before the whole answer has been processed.
        _ = connection => answer.await,
    }
}

async fn trusted() -> Result<Arc<ClientConfig>, Failed> {
    let read = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await.map_err(|_| Failed::Tls)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(read.certs);
    if roots.is_empty() {
        tracing::warn!("this machine has no certificate authorities: nothing can be sent over TLS");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| Failed::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
