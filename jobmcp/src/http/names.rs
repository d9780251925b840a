//! The host names that the server answers to. Pages of other sites, and other names that resolve to this machine, are
//! refused.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The names, either without a port, such as `localhost` and `[::1]`, or with the only permitted one.
#[derive(Debug, Clone)]
pub(super) struct Names(Arc<[String]>);

impl Names {
    /// Returns the names of this machine, of the served address, and the given ones.
    pub(super) fn of(address: SocketAddr, more: &[String]) -> Self {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        if !address.ip().is_unspecified() {
            names.push(address.ip().to_string());
        }
        names.extend_from_slice(more);
        Self(
            names
                .into_iter()
                .map(|name| if name.parse::<Ipv6Addr>().is_ok() { format!("[{name}]") } else { name })
                .collect(),
        )
    }

    /// Returns whether an authority is one of these names, optionally with a port. The authority is compared and not
    /// parsed, so that it cannot be crafted to be parsed differently elsewhere.
    fn have(&self, authority: &[u8]) -> bool {
        self.0.iter().any(|name| {
            let split = authority.split_at_checked(name.len());
            split.is_some_and(|(host, rest)| {
                host.eq_ignore_ascii_case(name.as_bytes()) && (rest.is_empty() || is_port(rest))
            })
        })
    }

    /// Returns whether an origin is one of these names.
    fn have_origin(&self, origin: &[u8]) -> bool {
        ["http://", "https://"].iter().any(|scheme| {
            let split = origin.split_at_checked(scheme.len());
            split.is_some_and(|(start, rest)| start.eq_ignore_ascii_case(scheme.as_bytes()) && self.have(rest))
        })
    }

    /// Refuses a request for another host, from a page of another origin, or without a host.
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        let (hosts, origins) = (headers.get_all(HOST), headers.get_all(ORIGIN));
        if hosts.iter().count() > 1 || origins.iter().count() > 1 {
            return Err((StatusCode::BAD_REQUEST, "A request has one Host, and one Origin at most.\n"));
        }
        // A request may name its host in two places, which must agree.
        let mut named =
            hosts.iter().map(|host| host.as_bytes()).chain(uri.authority().map(|host| host.as_str().as_bytes()));
        let Some(first) = named.next() else {
            return Err((StatusCode::BAD_REQUEST, "The header Host is missing.\n"));
        };
        if !self.have(first) || !named.all(|host| self.have(host)) {
            return Err((StatusCode::FORBIDDEN, "This Host is not served; `--allow-host` adds one.\n"));
        }
        match origins.iter().all(|origin| self.have_origin(origin.as_bytes())) {
            true => Ok(()),
            false => Err((StatusCode::FORBIDDEN, "Pages of this Origin are not answered; `--allow-host` adds one.\n")),
        }
    }
}

fn is_port(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b":").and_then(|digits| std::str::from_utf8(digits).ok());
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok())
}

/// Passes on requests that are meant for this server.
pub(super) async fn known(State(names): State<Names>, request: Request, next: Next) -> Response {
    match names.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, reason)) => {
            tracing::warn!(reason = reason.trim_end(), "refused");
            (status, reason).into_response()
        }
    }
}
