//! Images through the engine.

use std::future::ready;

use bollard::query_parameters::{CreateImageOptionsBuilder, ImportImageOptionsBuilder};
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};

use super::{
    DockerRuntime,
    client::within,
    pause::{Architecture, image_archive},
};
use crate::{
    ImageInfo, RuntimeError,
    limits::{CALL_DEADLINE, PULL_DEADLINE, TRANSFER_STALL},
    reference::familiar,
};

impl DockerRuntime {
    pub(super) async fn local_image(
        &self,
        reference: &str,
    ) -> Result<Option<ImageInfo>, RuntimeError> {
        let inspected = self
            .client
            .call(CALL_DEADLINE, |docker| async move { docker.inspect_image(reference).await })
            .await;
        match inspected {
            Ok(image) => Ok(Some(ImageInfo {
                id: image.id.unwrap_or_default(),
                tags: image.repo_tags.unwrap_or_default(),
                size_bytes: image
                    .size
                    .and_then(|size| u64::try_from(size).ok())
                    .unwrap_or_default(),
            })),
            Err(RuntimeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn pull(&self, reference: &str) -> Result<ImageInfo, RuntimeError> {
        let failed =
            |message: String| RuntimeError::ImagePull { image: reference.to_owned(), message };
        let docker = self.client.docker().await?;
        // Without a tag the engine would pull every tag there is.
        let options = CreateImageOptionsBuilder::new().from_image(&familiar(reference)).build();
        let progress = docker.create_image(Some(options), None, None);
        let progress = progress.map(|step| step.map(drop).map_err(|e| self.client.classify(e)));
        within(PULL_DEADLINE, finish(progress)).await?.map_err(|error| match error {
            unreachable @ RuntimeError::Unreachable(_) => unreachable,
            RuntimeError::NotFound(message)
            | RuntimeError::Failed(message)
            | RuntimeError::Rejected(message) => failed(message),
            other => failed(other.to_string()),
        })?;
        let image = self.local_image(reference).await?;
        image.ok_or_else(|| failed("the image is not there after the pull".to_owned()))
    }

    pub(super) async fn load(
        &self,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Vec<String>, RuntimeError> {
        let docker = self.client.docker().await?;
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let mut names = Vec::new();
        let progress = docker.import_image_stream(options, archive, None).map(|step| {
            let step = step.map_err(|error| self.client.classify(error))?;
            names.extend(step.stream.as_deref().and_then(loaded_name));
            Ok(())
        });
        within(PULL_DEADLINE, finish(progress)).await?.map_err(|error| match error {
            RuntimeError::Failed(message) => {
                RuntimeError::Rejected(format!("the image archive was refused: {message}"))
            }
            error => error,
        })?;
        if names.is_empty() {
            return Err(RuntimeError::Rejected("no image in the archive".to_owned()));
        }
        Ok(names)
    }

    /// Loads our own pause image; several at once do no harm.
    pub(super) async fn load_pause_image(&self) -> Result<(), RuntimeError> {
        let archive = image_archive(Architecture::host())
            .map_err(|error| RuntimeError::Failed(format!("packing the pause image: {error}")))?;
        self.load(stream::once(ready(Ok(Bytes::from(archive)))).boxed()).await.map(drop)
    }
}

/// Runs a transfer to its end, or until it shows no progress for too long.
async fn finish(
    progress: impl Stream<Item = Result<(), RuntimeError>>,
) -> Result<(), RuntimeError> {
    let mut progress = std::pin::pin!(progress);
    while let Some(step) = within(TRANSFER_STALL, progress.next()).await? {
        step?;
    }
    Ok(())
}

/// The image's name in a line the engine prints after loading it.
fn loaded_name(line: &str) -> Option<String> {
    ["Loaded image: ", "Loaded image ID: "]
        .iter()
        .find_map(|prefix| line.trim().strip_prefix(prefix))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaded_images_are_named_by_tag_or_id() {
        assert_eq!(loaded_name("Loaded image: app:1\n").as_deref(), Some("app:1"));
        assert_eq!(loaded_name("Loaded image ID: sha256:00\n").as_deref(), Some("sha256:00"));
        assert_eq!(loaded_name("Loading layer"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_without_progress_is_given_up() {
        let stalled = stream::once(ready(Ok(()))).chain(stream::pending());
        assert!(matches!(finish(stalled).await, Err(RuntimeError::Timeout(TRANSFER_STALL))));
    }
}
