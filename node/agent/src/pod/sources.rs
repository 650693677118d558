//! The ConfigMaps and Secrets a pod refers to.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};

use super::ConfigError;

/// A ConfigMap or a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SourceKind {
    /// ConfigMap.
    ConfigMap,
    /// Secret.
    Secret,
}

impl SourceKind {
    /// As error messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }
}

/// Names one source in the pod's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    /// Which kind.
    pub(crate) kind: SourceKind,
    /// Its name.
    pub(crate) name: String,
}

/// The contents of the sources that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// Namespace of the pod.
    pub(crate) namespace: String,
    /// Keys and values of each.
    pub(crate) contents: BTreeMap<Reference, BTreeMap<String, Vec<u8>>>,
}

impl Sources {
    /// Takes in a ConfigMap.
    pub(crate) fn add_config_map(&mut self, name: &str, map: ConfigMap) {
        let text = map.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes()));
        let binary = map.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0));
        self.add(SourceKind::ConfigMap, name, text.chain(binary).collect());
    }

    /// Takes in a Secret.
    pub(crate) fn add_secret(&mut self, name: &str, secret: Secret) {
        let data = secret.data.into_iter().flatten().map(|(key, value)| (key, value.0));
        self.add(SourceKind::Secret, name, data.collect());
    }

    /// Takes in the content of a source.
    pub(crate) fn add(&mut self, kind: SourceKind, name: &str, data: BTreeMap<String, Vec<u8>>) {
        self.contents.insert(Reference { kind, name: name.to_owned() }, data);
    }

    /// The content of a source; `None` if it is absent and may be.
    pub(super) fn all(
        &self,
        kind: SourceKind,
        name: &str,
        optional: bool,
    ) -> Result<Option<&BTreeMap<String, Vec<u8>>>, ConfigError> {
        match self.contents.get(&Reference { kind, name: name.to_owned() }) {
            Some(content) => Ok(Some(content)),
            None if optional => Ok(None),
            None => Err(ConfigError::MissingSource { kind: kind.name(), name: name.to_owned() }),
        }
    }

    /// One key of a source; `None` if it is absent and may be.
    pub(super) fn key(
        &self,
        kind: SourceKind,
        name: &str,
        key: &str,
        optional: bool,
    ) -> Result<Option<&[u8]>, ConfigError> {
        let Some(content) = self.all(kind, name, optional)? else { return Ok(None) };
        match content.get(key) {
            Some(value) => Ok(Some(value)),
            None if optional => Ok(None),
            None => Err(ConfigError::MissingKey {
                kind: kind.name(),
                namespace: self.namespace.clone(),
                name: name.to_owned(),
                key: key.to_owned(),
            }),
        }
    }
}

/// Every source one container of a pod refers to, by its environment and its volumes.
pub(crate) fn references(pod: &Pod, container: &Container) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    let mut add = |kind, name: &str| {
        found.insert(Reference { kind, name: name.to_owned() });
    };
    for from in container.env_from.iter().flatten() {
        if let Some(source) = &from.config_map_ref {
            add(SourceKind::ConfigMap, &source.name);
        }
        if let Some(source) = &from.secret_ref {
            add(SourceKind::Secret, &source.name);
        }
    }
    for source in container.env.iter().flatten().filter_map(|var| var.value_from.as_ref()) {
        if let Some(key) = &source.config_map_key_ref {
            add(SourceKind::ConfigMap, &key.name);
        }
        if let Some(key) = &source.secret_key_ref {
            add(SourceKind::Secret, &key.name);
        }
    }
    let mounted: BTreeSet<&str> =
        container.volume_mounts.iter().flatten().map(|mount| mount.name.as_str()).collect();
    let volumes = pod.spec.iter().filter_map(|spec| spec.volumes.as_ref()).flatten();
    for volume in volumes.filter(|volume| mounted.contains(volume.name.as_str())) {
        if let Some(map) = &volume.config_map {
            add(SourceKind::ConfigMap, &map.name);
        }
        if let Some(name) = volume.secret.as_ref().and_then(|secret| secret.secret_name.as_ref()) {
            add(SourceKind::Secret, name);
        }
        let projected = volume.projected.iter().filter_map(|volume| volume.sources.as_ref());
        for source in projected.flatten() {
            if let Some(map) = &source.config_map {
                add(SourceKind::ConfigMap, &map.name);
            }
            if let Some(secret) = &source.secret {
                add(SourceKind::Secret, &secret.name);
            }
        }
    }
    found
}
