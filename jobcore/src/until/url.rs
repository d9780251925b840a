//! The address of an HTTP request.

use std::fmt;

use super::condition::is_host;

const EXAMPLE: &str = "write it as `http://localhost:3000/health`";

/// A host, a port and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Url {
    /// The name or the address of the host; an IPv6 address is in brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The path, with its query.
    pub path: String,
}

impl Url {
    /// Parses what follows `http:`.
    ///
    /// # Errors
    /// Says what is wrong with it, in words for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("//").ok_or(EXAMPLE)?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| is_port(port)) {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0).ok_or(EXAMPLE)?),
            None => (authority, 80),
        };
        // Other characters could inject lines into the request.
        if !is_host(host) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EXAMPLE.to_owned());
        }
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }

    /// Returns the host and the port as written in a request.
    pub(crate) fn authority(&self) -> String {
        match self.port {
            80 => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}
