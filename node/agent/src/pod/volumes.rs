//! A pod's volumes, as directories under the agent's own.
//!
//! Files from ConfigMaps, Secrets and the pod's fields appear all at once: they are written beside
//! what is there, then one symbolic link is moved. Running containers see the change. `emptyDir`
//! lies on disk whatever its medium.

mod directory;
mod render;
#[cfg(test)]
mod tests;

use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, Volume};
use skein_runtime::Mount;

use super::{ConfigError, FieldContext, Sources, expand::expand};
pub(crate) use directory::PodDirectory;
use render::{Content, render};

/// Why the volumes of a container are not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    /// The pod asks for what is not there.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host's disk refused.
    #[error("cannot prepare volume {volume:?}")]
    Io {
        /// Which volume.
        volume: String,
        /// What the disk said.
        source: std::io::Error,
    },
    /// A `hostPath` that is not what its type says.
    #[error("hostPath {path:?} is not of type {type_}")]
    HostPath {
        /// The path.
        path: String,
        /// Its type.
        type_: String,
    },
}

/// Writes what the volumes of `container` hold and returns where they are mounted. Blocks on the
/// disk. `env` serves `subPathExpr`.
pub(crate) fn materialise(
    container: &Container,
    sources: &Sources,
    fields: &FieldContext<'_>,
    env: &[(String, String)],
    directory: &PodDirectory,
) -> Result<Vec<Mount>, MountError> {
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume = find(fields.pod, &mount.name)
            .ok_or_else(|| ConfigError::UnknownVolume(mount.name.clone()))?;
        let io = |source| MountError::Io { volume: mount.name.clone(), source };
        let root = match render(volume, sources, fields)? {
            Content::Empty => directory.empty(&mount.name).map_err(io)?,
            Content::Files(files) => directory.files(&mount.name, &files).map_err(io)?,
            Content::Host { path, type_ } => host_path(&mount.name, &path, &type_)?,
        };
        let sub_path = match &mount.sub_path_expr {
            Some(expression) => expand(expression, |name| {
                env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
            }),
            None => mount.sub_path.clone().unwrap_or_default(),
        };
        mounts.push(Mount {
            source: inside(&mount.name, &root, &sub_path)?,
            target: PathBuf::from(&mount.mount_path),
            read_only: mount.read_only == Some(true) || is_projection(volume),
        });
    }
    Ok(mounts)
}

fn find<'a>(pod: &'a Pod, name: &str) -> Option<&'a Volume> {
    let spec = pod.spec.as_ref()?;
    spec.volumes.iter().flatten().find(|volume| volume.name == name)
}

fn is_projection(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.projected.is_some()
        || volume.downward_api.is_some()
}

/// Whether a path stays below where it starts.
fn is_inner(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The part of a volume that is mounted; made as a directory if absent.
fn inside(volume: &str, root: &Path, sub_path: &str) -> Result<PathBuf, MountError> {
    if sub_path.is_empty() {
        return Ok(root.to_owned());
    }
    let bad = || ConfigError::BadPath { volume: volume.to_owned(), path: sub_path.to_owned() };
    if !is_inner(Path::new(sub_path)) {
        return Err(bad().into());
    }
    let io = |source| MountError::Io { volume: volume.to_owned(), source };
    let path = root.join(sub_path);
    if !path.exists() {
        std::fs::create_dir_all(&path).map_err(io)?;
    }
    // What a container left in the volume may be a link that leads out of it.
    let (root, path) = (root.canonicalize().map_err(io)?, path.canonicalize().map_err(io)?);
    if path.starts_with(&root) { Ok(path) } else { Err(bad().into()) }
}

fn host_path(volume: &str, path: &str, type_: &str) -> Result<PathBuf, MountError> {
    let io = |source| MountError::Io { volume: volume.to_owned(), source };
    let target = PathBuf::from(path);
    match type_ {
        "DirectoryOrCreate" if !target.exists() => {
            std::fs::create_dir_all(&target).map_err(io)?;
        }
        "FileOrCreate" if !target.exists() => {
            std::fs::OpenOptions::new().create(true).append(true).open(&target).map_err(io)?;
        }
        _ => {}
    }
    let fits = match type_ {
        "Directory" | "DirectoryOrCreate" => target.is_dir(),
        "File" | "FileOrCreate" => target.is_file(),
        "Socket" | "CharDevice" | "BlockDevice" => target.exists(),
        _ => true,
    };
    if fits {
        return Ok(target);
    }
    Err(MountError::HostPath { path: path.to_owned(), type_: type_.to_owned() })
}
