//! Kubeconfig files: finding one, the nodes it knows, and writing one.
//!
//! A kubeconfig for Skein has one context per node, all with the same user and authority, because
//! any node serves the whole API. Which of them is asked is decided in [`crate::connection`].

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::exit::UsageError;

/// Where a node writes the kubeconfig of its administrator, under its data directory.
const LOCAL_NODE: &str = "/var/lib/skein/admin.kubeconfig";

/// A node's API as a kubeconfig names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// The node's name; its context has the same.
    pub name: String,
    /// `https://HOST:PORT`.
    pub server: String,
}

/// A client certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate chain.
    pub certificate_pem: String,
    /// The private key.
    pub key_pem: String,
}

/// Renders a kubeconfig (YAML) with a context per node; the first node is the current one.
///
/// `user` names the entry of the credentials, e.g. `admin`.
pub fn render(
    nodes: &[NodeAddress],
    ca_pem: &str,
    user: &str,
    credentials: &ClientCertificate,
) -> String {
    let credentials = json!({
        "client-certificate-data": BASE64.encode(&credentials.certificate_pem),
        "client-key-data": BASE64.encode(&credentials.key_pem),
    });
    let authority = json!({ "certificate-authority-data": BASE64.encode(ca_pem) });
    render_parts(nodes, &authority, user, &credentials)
}

/// As [`render`], with the authority and the credentials as a kubeconfig holds them.
pub(crate) fn render_parts(
    nodes: &[NodeAddress],
    authority: &Value,
    user: &str,
    credentials: &Value,
) -> String {
    let clusters: Vec<Value> = nodes
        .iter()
        .map(|node| {
            let mut cluster = authority.clone();
            cluster["server"] = json!(node.server);
            json!({ "name": node.name, "cluster": cluster })
        })
        .collect();
    let contexts: Vec<Value> = nodes
        .iter()
        .map(|node| json!({ "name": node.name, "context": { "cluster": node.name, "user": user } }))
        .collect();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": clusters,
        "contexts": contexts,
        "current-context": nodes.first().map(|node| node.name.as_str()).unwrap_or_default(),
        "users": [{ "name": user, "user": credentials }],
    });
    crate::render::yaml(&config)
}

/// Finds and reads the kubeconfig to use; several files in `given` are merged as kubectl does.
pub(crate) fn load(given: Option<&Path>) -> anyhow::Result<Kubeconfig> {
    let paths = match given {
        Some(list) => {
            std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect()
        }
        None => vec![default_path()?],
    };
    let mut merged: Option<Kubeconfig> = None;
    for path in &paths {
        let config = Kubeconfig::read_from(path).map_err(|source| {
            UsageError::new(format!("cannot use the kubeconfig {}: {source}", path.display()))
        })?;
        merged = Some(match merged {
            Some(earlier) => {
                earlier.merge(config).context("the kubeconfig files do not go together")?
            }
            None => config,
        });
    }
    merged.ok_or_else(|| UsageError::new("--kubeconfig names no file").into())
}

fn default_path() -> anyhow::Result<PathBuf> {
    let home = std::env::home_dir().map(|home| home.join(".kube/config"));
    let candidates: Vec<PathBuf> =
        [Some(PathBuf::from(LOCAL_NODE)), home].into_iter().flatten().collect();
    if let Some(found) = candidates.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
    Err(UsageError::new(format!(
        "no kubeconfig found (looked for {}); on a node run this as root, elsewhere copy the output \
         of `skein kubeconfig` there or name a file with --kubeconfig",
        looked.join(" and ")
    ))
    .into())
}

/// The contexts to try, in order: the one asked for or the current one, then its siblings.
///
/// Siblings are contexts of the same authority: a kubeconfig may also hold other clusters, and
/// asking one of those instead would be worse than failing.
pub(crate) fn candidates(
    config: &Kubeconfig,
    server: Option<&str>,
) -> anyhow::Result<Vec<KubeConfigOptions>> {
    let first = match server {
        Some(name) => name,
        None => config
            .current_context
            .as_deref()
            .or_else(|| config.contexts.first().map(|context| context.name.as_str()))
            .ok_or_else(|| UsageError::new("the kubeconfig has no context"))?,
    };
    let Some(authority) = authority_of(config, first) else {
        let known: Vec<&str> =
            config.contexts.iter().map(|context| context.name.as_str()).collect();
        bail!(UsageError::new(format!(
            "the kubeconfig has no context {first:?}; it has: {}",
            known.join(", ")
        )));
    };
    let siblings = config.contexts.iter().map(|context| context.name.as_str()).filter(|name| {
        *name != first
            && authority.is_some()
            && authority_of(config, name) == Some(authority.clone())
    });
    Ok(std::iter::once(first)
        .chain(siblings)
        .map(|name| KubeConfigOptions { context: Some(name.to_owned()), cluster: None, user: None })
        .collect())
}

/// The certificate authority of a context: data, or else the file's name; `None` if there is no
/// such context.
fn authority_of(config: &Kubeconfig, context: &str) -> Option<Option<String>> {
    let context = config.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let cluster =
        config.clusters.iter().find(|named| named.name == context.cluster)?.cluster.as_ref()?;
    Some(
        cluster
            .certificate_authority_data
            .clone()
            .or_else(|| cluster.certificate_authority.clone()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> Vec<NodeAddress> {
        names
            .iter()
            .map(|name| NodeAddress {
                name: (*name).into(),
                server: format!("https://{name}:6443"),
            })
            .collect()
    }

    fn credentials() -> ClientCertificate {
        ClientCertificate { certificate_pem: "CERT".into(), key_pem: "KEY".into() }
    }

    fn order(config: &Kubeconfig, server: Option<&str>) -> Vec<String> {
        candidates(config, server)
            .unwrap()
            .into_iter()
            .filter_map(|options| options.context)
            .collect()
    }

    #[test]
    fn a_rendered_kubeconfig_has_a_context_per_node() {
        insta::assert_snapshot!(render(&nodes(&["h1", "h2"]), "CA", "admin", &credentials()));
    }

    #[test]
    fn the_current_context_is_tried_first_then_the_others() {
        let text = render(&nodes(&["h1", "h2", "h3"]), "CA", "admin", &credentials());
        let config = Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(order(&config, None), ["h1", "h2", "h3"]);
        assert_eq!(order(&config, Some("h2")), ["h2", "h1", "h3"]);
    }

    #[test]
    fn a_context_of_another_cluster_is_never_tried() {
        let ours =
            Kubeconfig::from_yaml(&render(&nodes(&["h1"]), "CA", "admin", &credentials())).unwrap();
        let theirs =
            Kubeconfig::from_yaml(&render(&nodes(&["x1"]), "OTHER", "root", &credentials()))
                .unwrap();
        assert_eq!(order(&ours.merge(theirs).unwrap(), None), ["h1"]);
    }

    #[test]
    fn an_unknown_server_is_a_usage_error_that_lists_the_known() {
        let config =
            Kubeconfig::from_yaml(&render(&nodes(&["h1", "h2"]), "CA", "admin", &credentials()))
                .unwrap();
        let error = candidates(&config, Some("h9")).err().unwrap();
        assert_eq!(error.to_string(), "the kubeconfig has no context \"h9\"; it has: h1, h2");
    }
}
