//! The address of a webhook, taken apart.

use http::{Uri, uri::Scheme};
use rustls_pki_types::ServerName;
use skein_objects::WebhookAddress;

use super::Fault;

/// The port of HTTPS.
const PORT: u16 = 443;

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    /// The name that the certificate must have.
    pub(super) name: ServerName<'static>,
    /// Host and port as the request names them.
    pub(super) authority: String,
    pub(super) path: String,
}

/// The URL of a webhook; that of a Service is the name it has inside the cluster, which its
/// certificate has, too.
pub(super) fn url(address: &WebhookAddress) -> String {
    match address {
        WebhookAddress::Url(url) => url.clone(),
        WebhookAddress::Service { namespace, name, port, path } => {
            format!("https://{name}.{namespace}.svc:{port}{path}")
        }
    }
}

impl Place {
    pub(super) fn parse(url: &str) -> Result<Self, Fault> {
        let unusable = |why: String| Fault::Address(why);
        let uri: Uri =
            url.parse().map_err(|error: http::uri::InvalidUri| unusable(error.to_string()))?;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(unusable("it does not begin with https://".to_owned()));
        }
        let authority = uri.authority().ok_or_else(|| unusable("it has no host".to_owned()))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone())
            .map_err(|_| unusable(format!("{host:?} is no name of a host")))?;
        Ok(Self {
            port: authority.port_u16().unwrap_or(PORT),
            name,
            authority: authority.to_string(),
            path: uri.path().to_owned(),
            host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_whom_to_expect() {
        let cases = [
            ("https://hooks.example.com/a/b", "hooks.example.com", 443, "/a/b"),
            ("https://localhost:8443", "localhost", 8443, "/"),
            ("https://[::1]:8443/a", "::1", 8443, "/a"),
        ];
        for (url, host, port, path) in cases {
            let place = Place::parse(url).unwrap();
            assert_eq!((&*place.host, place.port, &*place.path), (host, port, path));
        }
        for bad in ["https://", "nonsense", "http://host/", "https://a b/"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_service_has_its_name_in_the_cluster() {
        let service = WebhookAddress::Service {
            namespace: "n".to_owned(),
            name: "s".to_owned(),
            port: 443,
            path: "/convert".to_owned(),
        };
        let place = Place::parse(&url(&service)).unwrap();
        assert_eq!(place.name.to_str(), "s.n.svc");
        assert_eq!((&*place.authority, &*place.path), ("s.n.svc:443", "/convert"));
    }
}
