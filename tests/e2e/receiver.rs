//! A receiver of webhooks on this machine, which answers as a test says.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Queue, channel};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jobcore::clock::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::PATIENCE;

/// A self-signed certificate for `localhost`, and its key.
pub(crate) const LOCALHOST: &str = include_str!("localhost.pem");

/// An answer: its status, additional headers, and its body.
pub(crate) type Answer = (u16, String, String);

/// Confirms a verification, and accepts everything else.
pub(crate) fn takes(received: &Received) -> Answer {
    let body = match received.body["type"] == "verification" {
        true => json!({ "challenge": received.body["challenge"] }).to_string(),
        false => String::new(),
    };
    (200, String::new(), body)
}

/// Confirms a verification, and answers everything else with this closure.
pub(crate) fn answers(
    mut answer: impl FnMut(&Received) -> Answer + Send + 'static,
) -> impl FnMut(&Received) -> Answer + Send {
    move |received| if received.body["type"] == "verification" { takes(received) } else { answer(received) }
}

/// A request that a receiver got.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    headers: HashMap<String, String>,
    text: String,
    pub(crate) body: Value,
}

impl Received {
    fn read(stream: &mut impl Read) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
            Some(line.trim_end().to_owned())
        };
        let first = line()?;
        let path = first.strip_prefix("POST ")?.split(' ').next()?.to_owned();
        let mut headers = HashMap::new();
        while let Some((name, value)) = line()?.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        let text = String::from_utf8(body).ok()?;
        Some(Self { path, headers, body: serde_json::from_str(&text).ok()?, text })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        &self.headers[name]
    }

    /// Returns whether it is signed with this key, and was sent just now.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let (id, sent) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let age = Timestamp::now().as_second() - sent.parse::<i64>().unwrap();
        assert!((0..300).contains(&age), "it was sent {age} s ago");
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{sent}.{}", self.text).as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|there| there == signature)
    }
}

/// A receiver. It listens for as long as the test runs.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Queue<Received>,
}

impl Receiver {
    pub(crate) fn start(answer: impl FnMut(&Received) -> Answer + Send + 'static) -> Self {
        Self::listen(None, answer)
    }

    /// Starts a receiver that speaks TLS as `localhost`.
    pub(crate) fn with_tls(answer: impl FnMut(&Received) -> Answer + Send + 'static) -> Self {
        let certificate = CertificateDer::from_pem_slice(LOCALHOST.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(LOCALHOST.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        Self::listen(Some(Arc::new(config.unwrap())), answer)
    }

    fn listen(tls: Option<Arc<ServerConfig>>, mut answer: impl FnMut(&Received) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let one = match &tls {
                    None => exchange(&mut stream, &mut answer),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        exchange(&mut StreamOwned::new(connection, stream), &mut answer)
                    }
                };
                if let Some(one) = one
                    && sender.send(one).is_err()
                {
                    return;
                }
            }
        });
        Self { address, received }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the next request.
    pub(crate) fn next(&self) -> Received {
        self.received.recv_timeout(PATIENCE).expect("something is sent")
    }

    /// Returns the next event, without the verifications before it.
    pub(crate) fn event(&self) -> Received {
        loop {
            let received = self.next();
            if received.body.get("type").is_none() {
                return received;
            }
        }
    }

    /// Returns all requests so far.
    pub(crate) fn all(&self) -> Vec<Received> {
        self.received.try_iter().collect()
    }
}

fn exchange<S: Read + Write>(stream: &mut S, answer: &mut impl FnMut(&Received) -> Answer) -> Option<Received> {
    let received = Received::read(stream)?;
    let (status, headers, body) = answer(&received);
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    Some(received)
}
