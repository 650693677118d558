//! Webhooks as objects name them: whom to ask, and whom to believe.

use k8s_openapi::ByteString;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::Value;

/// A webhook, as the `clientConfig` of a custom resource definition or of a hook of admission names
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Webhook {
    /// Where it listens.
    pub address: WebhookAddress,
    /// PEM of the authorities that may vouch for it; those that the host trusts if empty.
    pub ca_bundle: Vec<u8>,
}

/// Where a webhook listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WebhookAddress {
    /// At an address of its own, `https://host[:port]/path`.
    Url(String),
    /// Behind a Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
        /// The path that is asked, which begins with a slash.
        path: String,
    },
}

impl Webhook {
    /// Reads a `clientConfig` that has been validated; `None` where it is none.
    pub fn read(client_config: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let service = &client_config["service"];
        let address = match client_config["url"].as_str() {
            Some(url) => WebhookAddress::Url(url.to_owned()),
            None => WebhookAddress::Service {
                namespace: text(&service["namespace"]),
                name: service["name"].as_str()?.to_owned(),
                port: service["port"].as_u64().and_then(|port| port.try_into().ok())?,
                path: match service["path"].as_str() {
                    Some(path) if path.starts_with('/') => path.to_owned(),
                    path => format!("/{}", path.unwrap_or_default()),
                },
            },
        };
        Some(Self { address, ca_bundle: ca_bundle(&client_config["caBundle"]) })
    }
}

/// The bytes of a `caBundle`; none where it is only white space, as if there were none.
pub(crate) fn ca_bundle(bundle: &Value) -> Vec<u8> {
    let bytes = ByteString::deserialize(bundle).map(|bytes| bytes.0).unwrap_or_default();
    if bytes.trim_ascii().is_empty() { Vec::new() } else { bytes }
}

/// The certificates of a bundle, of which there must be one.
///
/// # Errors
/// Says that it is none.
pub fn certificates(ca_bundle: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(ca_bundle).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err("unable to parse bytes as PEM block".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_client_config_leads_to_a_url_or_a_service() {
        let url = Webhook::read(&json!({"url": "https://host/a", "caBundle": "YQ=="})).unwrap();
        assert_eq!(url.address, WebhookAddress::Url("https://host/a".to_owned()));
        assert_eq!(url.ca_bundle, b"a");
        let service = json!({"service": {"namespace": "n", "name": "s", "port": 8443}});
        let expected = WebhookAddress::Service {
            namespace: "n".to_owned(),
            name: "s".to_owned(),
            port: 8443,
            path: "/".to_owned(),
        };
        assert_eq!(Webhook::read(&service).unwrap().address, expected);
        assert_eq!(Webhook::read(&json!({})), None);
    }

    #[test]
    fn a_bundle_of_white_space_is_none() {
        assert!(ca_bundle(&json!("Cg==")).is_empty());
        assert!(certificates(b"nonsense").is_err());
    }
}
