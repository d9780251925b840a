//! The URL of a webhook, and whether it is permitted. A client chooses the URL, and must not use it to reach what it
//! could not reach itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::Uri;
use axum::http::uri::Scheme;

use crate::cli::Webhooks;

/// The longest URL, in bytes.
const LONGEST: usize = 2_048;

/// The places that the operator permits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Permitted {
    /// Public addresses, over TLS.
    public: bool,
    /// Loopback addresses, with or without TLS: nothing leaves the machine.
    loopback: bool,
}

impl Permitted {
    pub(super) fn of(places: &[Webhooks]) -> Self {
        Self { public: places.contains(&Webhooks::Public), loopback: places.contains(&Webhooks::Loopback) }
    }

    /// Returns whether any place is permitted.
    pub(super) fn any(self) -> bool {
        self.public || self.loopback
    }

    fn words(self) -> &'static str {
        match (self.public, self.loopback) {
            (_, false) => "an https URL of a public address",
            (false, true) => "an http or https URL of this machine, such as http://127.0.0.1:8000/hook",
            (true, true) => "an https URL of a public address, or an http or https URL of this machine",
        }
    }
}

/// A URL to send events to.
#[derive(Debug, Clone)]
pub(super) struct Callback {
    /// The URL as the client gave it.
    pub(super) url: String,
    pub(super) is_tls: bool,
    /// The host, without the brackets of an IPv6 address.
    pub(super) host: String,
    port: u16,
    /// The value of the Host header.
    pub(super) authority: String,
    pub(super) path: String,
    permitted: Permitted,
}

impl Callback {
    /// Parses a URL.
    ///
    /// # Errors
    /// If it is not a URL, or its place is not permitted, as far as can be determined without resolving its name.
    pub(super) fn parse(url: &str, permitted: Permitted) -> Result<Self, String> {
        let refused = || format!("the url must be {}", permitted.words());
        if url.len() > LONGEST {
            return Err(format!("the url has {} bytes; at most {LONGEST} are accepted", url.len()));
        }
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(refused()) };
        let is_tls = *scheme == Scheme::HTTPS;
        if !is_tls && *scheme != Scheme::HTTP || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(refused());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let callback = Self {
            url: url.to_owned(),
            is_tls,
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            host,
            permitted,
        };
        let may_be = match (callback.host.parse::<IpAddr>(), callback.is_localhost()) {
            (Ok(address), _) => callback.permits(address),
            (Err(_), true) => permitted.loopback,
            (Err(_), false) => is_tls && permitted.public,
        };
        if may_be { Ok(callback) } else { Err(refused()) }
    }

    fn is_localhost(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
    }

    fn permits(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            address if address.is_loopback() => self.permitted.loopback,
            address => self.is_tls && self.permitted.public && is_public(address),
        }
    }

    /// Resolves the host, and returns the permitted addresses. The sender must use only these: the name may resolve
    /// differently a moment later.
    pub(super) async fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        let of = |address: IpAddr| SocketAddr::new(address, self.port);
        let found: Vec<_> = match self.host.parse::<IpAddr>() {
            Ok(address) => vec![of(address)],
            // This name is not left to the resolver.
            Err(_) if self.is_localhost() => vec![of(Ipv4Addr::LOCALHOST.into()), of(Ipv6Addr::LOCALHOST.into())],
            Err(_) => tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect(),
        };
        Ok(found.into_iter().filter(|address| self.permits(address.ip())).collect())
    }
}

/// Returns whether an address is public, by IANA's registries of special-purpose addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|(net, bits)| {
            let mask = u32::MAX << (32 - bits);
            u32::from(address) & mask == u32::from_be_bytes(*net)
        }),
        IpAddr::V6(address) => {
            let parts = address.segments();
            // Only 2000::/3 is allocated.
            parts[0] & 0xe000 == 0x2000
                // Except protocol assignments, documentation, 6to4, which can embed any IPv4 address, and
                // documentation.
                && !(parts[0] == 0x2001 && (parts[1] < 0x0200 || parts[1] == 0x0db8))
                && parts[0] != 0x2002
                && !(parts[0] == 0x3fff && parts[1] < 0x1000)
        }
    }
}

/// The special-purpose networks of IPv4, with their prefix lengths.
const SPECIAL_V4: [([u8; 4], u32); 14] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3),
];

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const PUBLIC: Permitted = Permitted { public: true, loopback: false };
    const LOOPBACK: Permitted = Permitted { public: false, loopback: true };

    #[test_case("https://hooks.example/a?b=c", true, false)]
    #[test_case("https://8.8.8.8:8443/", true, false)]
    #[test_case("https://[2606:4700::1111]/", true, false)]
    #[test_case("http://hooks.example/", false, false; "public without tls")]
    #[test_case("http://8.8.8.8/", false, false; "public address without tls")]
    #[test_case("http://127.0.0.1:8000/hook", false, true)]
    #[test_case("https://127.8.9.1/", false, true)]
    #[test_case("http://localhost/", false, true)]
    #[test_case("http://LOCALHOST:1/", false, true)]
    #[test_case("http://[::1]:8000/", false, true)]
    #[test_case("https://[::ffff:127.0.0.1]/", false, true)]
    #[test_case("https://10.0.0.1/", false, false)]
    #[test_case("https://[::ffff:10.0.0.1]/", false, false)]
    #[test_case("https://169.254.169.254/latest/", false, false)]
    #[test_case("https://[fe80::1]/", false, false)]
    #[test_case("https://[fd00::1]/", false, false)]
    #[test_case("https://0.0.0.0/", false, false)]
    #[test_case("https://user@hooks.example/", false, false)]
    #[test_case("https://8.8.8.8@127.0.0.1/", false, false)]
    #[test_case("ftp://hooks.example/", false, false)]
    #[test_case("hooks.example", false, false)]
    #[test_case("/hook", false, false)]
    #[test_case("", false, false; "nothing")]
    fn a_url_is_permitted(url: &str, public: bool, loopback: bool) {
        assert_eq!(Callback::parse(url, PUBLIC).is_ok(), public, "{url} if public ones are");
        assert_eq!(Callback::parse(url, LOOPBACK).is_ok(), loopback, "{url} if those of this machine are");
        let both = Permitted { public: true, loopback: true };
        assert_eq!(Callback::parse(url, both).is_ok(), public || loopback, "{url} if both are");
        assert!(Callback::parse(url, Permitted::default()).is_err());
    }

    #[test]
    fn only_public_addresses_are_public() {
        for (address, expected) in [
            ("1.1.1.1", true),
            ("100.63.255.255", true),
            ("100.64.0.0", false),
            ("172.15.0.1", true),
            ("172.31.0.1", false),
            ("172.32.0.1", true),
            ("192.0.0.8", false),
            ("192.0.1.1", true),
            ("198.19.255.1", false),
            ("198.20.0.1", true),
            ("223.255.255.1", true),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2a00:1450::1", true),
            ("::", false),
            ("::7f00:1", false),
            ("64:ff9b::a00:1", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:1ff::1", false),
            ("2001:200::1", true),
            ("2001:db8::1", false),
            ("2002:7f00:1::1", false),
            ("3fff::1", false),
            ("3fff:1000::1", true),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    /// A resolver takes some of these for addresses.
    #[tokio::test]
    async fn unusual_spellings_of_addresses_are_checked() {
        for url in
            ["https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://10.1/"]
        {
            let callback = Callback::parse(url, PUBLIC).unwrap();
            let found = callback.addresses().await.unwrap_or_default();
            assert_eq!(found, [], "{url}");
        }
    }

    #[tokio::test]
    async fn localhost_resolves_to_loopback_addresses_only() {
        let callback = Callback::parse("https://localhost:4433/", LOOPBACK).unwrap();
        let found = callback.addresses().await.unwrap();
        assert!(found.len() == 2 && found.iter().all(|address| address.ip().is_loopback() && address.port() == 4433));
        // With TLS, a name may be public, but one that resolves to this machine is refused.
        let public = Callback { permitted: PUBLIC, ..callback };
        assert_eq!(public.addresses().await.unwrap(), []);
    }
}
