//! Image archives in the format of `docker save`: a tar of `manifest.json`, a configuration and one
//! tar per layer. Pure: bytes in, bytes out.
//!
//! The format is the "Docker Image Specification v1.2"; every engine that loads images takes it.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use tar::{Builder, EntryType, Header};

/// Names one image of an archive.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// One file of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageFile<'a> {
    /// Path inside, without the leading slash.
    pub(crate) path: &'a str,
    /// Permission bits.
    pub(crate) mode: u32,
    /// What is in it.
    pub(crate) content: &'a [u8],
}

/// An image of a single layer to be packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image<'a> {
    /// Name and tag.
    pub(crate) tag: &'a str,
    /// `amd64`, `arm64`.
    pub(crate) architecture: &'a str,
    /// Program and arguments.
    pub(crate) entrypoint: &'a [&'a str],
    /// Everything in it.
    pub(crate) files: &'a [ImageFile<'a>],
}

/// Packs an image into an archive; the same image always gives the same bytes.
pub(crate) fn pack(image: &Image<'_>) -> io::Result<Vec<u8>> {
    const CONFIG: &str = "config.json";
    const LAYER: &str = "layer.tar";
    let mut layer = Builder::new(Vec::new());
    for file in image.files {
        append(&mut layer, file.path, file.mode, file.content)?;
    }
    let layer = layer.into_inner()?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &layer);
    let diff_id =
        digest.as_ref().iter().fold("sha256:".to_owned(), |hex, byte| format!("{hex}{byte:02x}"));
    let config = serde_json::json!({
        "architecture": image.architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": { "Entrypoint": image.entrypoint },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "skein" }],
    });
    let manifest = [Manifest {
        config: CONFIG.to_owned(),
        repo_tags: Some(vec![image.tag.to_owned()]),
        layers: vec![LAYER.to_owned()],
    }];
    let mut tar = Builder::new(Vec::new());
    append(&mut tar, CONFIG, 0o644, &serde_json::to_vec(&config)?)?;
    append(&mut tar, LAYER, 0o644, &layer)?;
    append(&mut tar, "manifest.json", 0o644, &serde_json::to_vec(&manifest)?)?;
    tar.into_inner()
}

/// The names of the images in an archive.
pub(crate) fn repo_tags(archive: &[u8]) -> io::Result<Vec<String>> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.path()?.as_os_str() == "manifest.json" {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            let manifests: Vec<Manifest> = serde_json::from_slice(&bytes)?;
            return Ok(manifests
                .into_iter()
                .flat_map(|m| m.repo_tags.unwrap_or_default())
                .collect());
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "no manifest.json in the archive"))
}

fn append(tar: &mut Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content)
}
