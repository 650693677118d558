//! The last known pods on disk, so that they run on without the store, also across a reboot.
//!
//! One directory per pod: the pod as JSON, and the ConfigMaps and Secrets its containers were
//! last given; beside them the host's pod range and routes. A file that cannot be read is as good as absent: the store has the truth.

use std::{
    collections::BTreeMap,
    fs, io,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use k8s_openapi::{ByteString, api::core::v1::Pod};

use serde::{Deserialize, Serialize};

use crate::{
    Route, allocation, limits,
    pod::{PodDirectory, Reference, SourceKind, Sources},
    status::ran_once,
};

const POD_FILE: &str = "pod.json";
const SOURCES_FILE: &str = "sources.json";
const NETWORK_FILE: &str = "pod-network.json";

/// Contents of sources by `configmap/NAME` or `secret/NAME`.
type StoredSources = BTreeMap<String, BTreeMap<String, ByteString>>;

/// Whether a newer pod says something that must be kept: restarts and readiness need not.
pub(crate) fn differs(kept: &Pod, newer: &Pod) -> bool {
    let lasting = |pod: &Pod| {
        let status = pod.status.clone().unwrap_or_default();
        let ran: Vec<String> = ran_once(&status).collect();
        let given = allocation::statuses(&status)
            .map(|one| (one.name.clone(), one.allocated_resources.clone(), one.resources.clone()));
        (
            given.collect::<Vec<_>>(),
            ran,
            pod.metadata.deletion_timestamp.clone(),
            status.pod_ip,
            status.phase,
            status.start_time,
        )
    };
    kept.spec != newer.spec || lasting(kept) != lasting(newer)
}

/// Keeps the pod. Blocks on the disk.
pub(crate) fn save_pod(directory: &PodDirectory, pod: &Pod) -> io::Result<()> {
    // The directory of a pod that is being deleted may just have been removed: it stays so.
    if pod.metadata.deletion_timestamp.is_none() {
        directory.create()?;
    } else if !directory.path(POD_FILE).exists() {
        return Ok(());
    }
    replace(&directory.path(POD_FILE), &serde_json::to_vec(pod)?)
}

/// Keeps the sources, beside those kept before. Blocks on the disk.
pub(crate) fn save_sources(directory: &PodDirectory, sources: &Sources) -> io::Result<()> {
    if sources.contents.is_empty() {
        return Ok(());
    }
    directory.create()?;
    let mut stored = read_sources(directory);
    for (reference, content) in &sources.contents {
        let content =
            content.iter().map(|(key, value)| (key.clone(), ByteString(value.clone()))).collect();
        stored.insert(name_of(reference), content);
    }
    replace(&directory.path(SOURCES_FILE), &serde_json::to_vec(&stored)?)
}

/// The content of a source as it was last kept. Blocks on the disk.
pub(crate) fn source(
    directory: &PodDirectory,
    reference: &Reference,
) -> Option<BTreeMap<String, Vec<u8>>> {
    let content = read_sources(directory).remove(&name_of(reference))?;
    Some(content.into_iter().map(|(key, value)| (key, value.0)).collect())
}

/// What this host's network was last given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptNetwork {
    /// Range of this host's pods.
    pub(crate) range: Option<String>,
    /// Routes to the other hosts' pods.
    pub(crate) routes: Vec<Route>,
}

/// Keeps the network. Blocks on the disk.
pub(crate) fn save_network(data_dir: &Path, network: &KeptNetwork) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    replace(&data_dir.join(NETWORK_FILE), &serde_json::to_vec(network)?)
}

/// The network as it was last kept; empty if it never was. Blocks on the disk.
pub(crate) fn network(data_dir: &Path) -> KeptNetwork {
    read(&data_dir.join(NETWORK_FILE)).unwrap_or_default()
}

/// Every pod kept below `data_dir`. Blocks on the disk.
pub(crate) fn pods(data_dir: &Path) -> Vec<Pod> {
    let entries = match fs::read_dir(data_dir.join("pods")) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, "cannot read the last known pods");
            }
            return Vec::new();
        }
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let read = names.filter_map(|uid| {
        let directory = PodDirectory::new(data_dir, &uid);
        let pod: Pod = read(&directory.path(POD_FILE))?;
        (pod.metadata.uid.as_ref() == Some(&uid)).then_some(pod)
    });
    read.collect()
}

fn name_of(reference: &Reference) -> String {
    let kind = match reference.kind {
        SourceKind::ConfigMap => "configmap",
        SourceKind::Secret => "secret",
    };
    format!("{kind}/{}", reference.name)
}

fn read_sources(directory: &PodDirectory) -> StoredSources {
    read(&directory.path(SOURCES_FILE)).unwrap_or_default()
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    let parsed = file
        .take(limits::CHECKPOINT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    match parsed {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!(path = %path.display(), error, "ignored a damaged file");
            None
        }
    }
}

/// Writes a file so that it is there as a whole or not at all, for root only.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&temporary, path)
}
