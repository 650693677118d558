//! Makes sure that an image is there, by its pull policy.

use k8s_openapi::api::core::v1::{Container, Pod};
use skein_runtime::{ImageInfo, RuntimeError};
use skein_storage::EventType;

use super::{outcome::StepError, step::runtime_failed};
use crate::{host::Host, lifecycle::Cause};

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PullPolicy {
    /// Before each start.
    Always,
    /// If it is absent.
    IfNotPresent,
    /// Never.
    Never,
}

impl PullPolicy {
    /// The policy of a container; without one, images named `latest` are pulled always.
    pub(super) fn of(container: &Container) -> Self {
        match container.image_pull_policy.as_deref() {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            Some(_) => Self::IfNotPresent,
            None if is_latest(container.image.as_deref().unwrap_or_default()) => Self::Always,
            None => Self::IfNotPresent,
        }
    }
}

fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// The local image of a container, pulled if its policy says so.
pub(super) async fn ensure(
    host: &Host,
    pod: &Pod,
    container: &Container,
) -> Result<ImageInfo, StepError> {
    let image = container.image.as_deref().unwrap_or_default();
    let policy = PullPolicy::of(container);
    if policy != PullPolicy::Always
        && let Some(info) = present(host, image).await?
    {
        let message = format!("Container image {image:?} already present on machine");
        host.recorder.event(pod, EventType::Normal, "Pulled", message);
        return Ok(info);
    }
    if policy == PullPolicy::Never {
        let message = format!("Container image {image:?} is not present with pull policy of Never");
        return Err(StepError::new(Cause::ImageNeverPull, message));
    }
    let place = host.pulls.acquire().await;
    let _place = place.map_err(|error| StepError::new(Cause::Runtime, error.to_string()))?;
    // Another pod may have pulled it while this one waited.
    if policy == PullPolicy::IfNotPresent
        && let Some(info) = present(host, image).await?
    {
        return Ok(info);
    }
    host.recorder.event(pod, EventType::Normal, "Pulling", format!("Pulling image {image:?}"));
    let info = host.runtime.pull_image(image).await.map_err(|error| rejected(&error))?;
    let message = format!("Successfully pulled image {image:?}");
    host.recorder.event(pod, EventType::Normal, "Pulled", message);
    Ok(info)
}

async fn present(host: &Host, image: &str) -> Result<Option<ImageInfo>, StepError> {
    host.runtime.image(image).await.map_err(|error| rejected(&error))
}

fn rejected(error: &RuntimeError) -> StepError {
    match error {
        RuntimeError::Rejected(_) => runtime_failed(Cause::InvalidImage, error),
        error => runtime_failed(Cause::ImagePull, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_policy_only_latest_is_pulled_always() {
        let cases = [
            ("nginx", PullPolicy::Always),
            ("nginx:latest", PullPolicy::Always),
            ("nginx:1.2", PullPolicy::IfNotPresent),
            ("host:5000/nginx", PullPolicy::Always),
            ("host:5000/nginx:1", PullPolicy::IfNotPresent),
            ("nginx@sha256:abc", PullPolicy::IfNotPresent),
        ];
        for (image, expected) in cases {
            let container = Container { image: Some(image.into()), ..Default::default() };
            assert_eq!(PullPolicy::of(&container), expected, "{image}");
        }
    }
}
