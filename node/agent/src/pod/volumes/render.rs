//! What a volume holds, decided without touching the disk.

use std::{collections::BTreeMap, path::Path};

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection};

use super::is_inner;
use crate::pod::{ConfigError, FieldContext, SourceKind, Sources};

/// Mode of a projected file that names none, as the API's default.
const DEFAULT_MODE: i32 = 0o644;

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its content.
    pub(super) content: Vec<u8>,
    /// Its permissions.
    pub(super) mode: u32,
}

/// What a volume holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A directory that begins empty.
    Empty,
    /// Files by relative path.
    Files(BTreeMap<String, File>),
    /// A path of the host.
    Host { path: String, type_: String },
}

/// What `volume` holds.
pub(super) fn render(
    volume: &Volume,
    sources: &Sources,
    fields: &FieldContext<'_>,
) -> Result<Content, ConfigError> {
    let mut files = Files { volume: &volume.name, sources, fields, files: BTreeMap::new() };
    if volume.empty_dir.is_some() {
        return Ok(Content::Empty);
    }
    if let Some(host) = &volume.host_path {
        let type_ = host.type_.clone().unwrap_or_default();
        return Ok(Content::Host { path: host.path.clone(), type_ });
    }
    if let Some(map) = &volume.config_map {
        let mode = map.default_mode.unwrap_or(DEFAULT_MODE);
        let optional = map.optional == Some(true);
        files.source(SourceKind::ConfigMap, &map.name, map.items.as_deref(), optional, mode)?;
    } else if let Some(secret) = &volume.secret {
        let mode = secret.default_mode.unwrap_or(DEFAULT_MODE);
        let name = secret.secret_name.as_deref().unwrap_or_default();
        let optional = secret.optional == Some(true);
        files.source(SourceKind::Secret, name, secret.items.as_deref(), optional, mode)?;
    } else if let Some(api) = &volume.downward_api {
        let mode = api.default_mode.unwrap_or(DEFAULT_MODE);
        files.downward(api.items.as_deref().unwrap_or(&[]), mode)?;
    } else if let Some(projected) = &volume.projected {
        let mode = projected.default_mode.unwrap_or(DEFAULT_MODE);
        for source in projected.sources.iter().flatten() {
            files.projection(source, mode)?;
        }
    } else {
        return Err(ConfigError::UnsupportedVolume(volume.name.clone()));
    }
    Ok(Content::Files(files.files))
}

struct Files<'a> {
    volume: &'a str,
    sources: &'a Sources,
    fields: &'a FieldContext<'a>,
    files: BTreeMap<String, File>,
}

impl Files<'_> {
    fn source(
        &mut self,
        kind: SourceKind,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: bool,
        mode: i32,
    ) -> Result<(), ConfigError> {
        let Some(items) = items else {
            let content = self.sources.all(kind, name, optional)?;
            for (key, value) in content.into_iter().flatten() {
                self.add(key, value.clone(), mode)?;
            }
            return Ok(());
        };
        for item in items {
            if let Some(value) = self.sources.key(kind, name, &item.key, optional)? {
                self.add(&item.path, value.to_vec(), item.mode.unwrap_or(mode))?;
            }
        }
        Ok(())
    }

    fn downward(&mut self, items: &[DownwardAPIVolumeFile], mode: i32) -> Result<(), ConfigError> {
        for item in items {
            let value = match (&item.field_ref, &item.resource_field_ref) {
                (Some(field), _) => self.fields.field(&field.field_path)?,
                (None, Some(resource)) => self.fields.resource(resource, None)?,
                (None, None) => {
                    return Err(ConfigError::Invalid { what: "item", value: item.path.clone() });
                }
            };
            self.add(&item.path, value.into_bytes(), item.mode.unwrap_or(mode))?;
        }
        Ok(())
    }

    fn projection(&mut self, source: &VolumeProjection, mode: i32) -> Result<(), ConfigError> {
        if let Some(map) = &source.config_map {
            let optional = map.optional == Some(true);
            self.source(SourceKind::ConfigMap, &map.name, map.items.as_deref(), optional, mode)
        } else if let Some(secret) = &source.secret {
            let optional = secret.optional == Some(true);
            self.source(SourceKind::Secret, &secret.name, secret.items.as_deref(), optional, mode)
        } else if let Some(api) = &source.downward_api {
            self.downward(api.items.as_deref().unwrap_or(&[]), mode)
        } else {
            Err(ConfigError::UnsupportedVolume(self.volume.to_owned()))
        }
    }

    fn add(&mut self, path: &str, content: Vec<u8>, mode: i32) -> Result<(), ConfigError> {
        let reserved = path.is_empty() || path.starts_with("..");
        if reserved || !is_inner(Path::new(path)) {
            let (volume, path) = (self.volume.to_owned(), path.to_owned());
            return Err(ConfigError::BadPath { volume, path });
        }
        let mode = u32::try_from(mode).unwrap_or_default() & 0o777;
        self.files.insert(path.to_owned(), File { content, mode });
        Ok(())
    }
}
