//! The pod that a request goes on to: which it is, on which node, and which of its containers.

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use skein_objects::{StatusError, registry};

use crate::{call::Call, query::Version, service::Service};

/// The pod of that name in the namespace of the target.
pub(super) async fn pod(service: &Service, call: &Call, name: &str) -> Result<Pod, StatusError> {
    let (kind, consistency) = (registry().of::<Pod>(), call.consistency(Version::Latest));
    service.storage.get(kind, call.target.namespace(), name, consistency).await?.decode()
}

/// The node that a pod is bound to.
pub(crate) fn node_of(pod: &Pod) -> Result<String, StatusError> {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    node.filter(|node| !node.is_empty()).ok_or_else(|| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        StatusError::bad_request(format!("pod {name} does not have a host assigned"))
    })
}

/// The container asked for, or the only one there is.
pub(super) fn container(
    spec: &PodSpec,
    pod: &str,
    asked: Option<&str>,
) -> Result<String, StatusError> {
    let init = spec.init_containers.iter().flatten();
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|one| &one.name);
    let mut all = spec.containers.iter().chain(init).map(|one| &one.name).chain(ephemeral);
    let list = || {
        let names: Vec<&str> = spec.containers.iter().map(|one| one.name.as_str()).collect();
        names.join(" ")
    };
    match (asked, spec.containers.as_slice()) {
        (Some(asked), _) if all.any(|name| name == asked) => Ok(asked.to_owned()),
        (Some(asked), _) => {
            Err(StatusError::bad_request(format!("container {asked} is not valid for pod {pod}")))
        }
        (None, [only]) => Ok(only.name.clone()),
        (None, _) => Err(StatusError::bad_request(format!(
            "a container name must be specified for pod {pod}, choose one of: [{}]",
            list()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Container;

    use super::*;

    fn spec(names: &[&str]) -> PodSpec {
        let container = |name: &&str| Container { name: (*name).into(), ..Container::default() };
        PodSpec { containers: names.iter().map(container).collect(), ..PodSpec::default() }
    }

    #[test]
    fn the_container_is_the_one_asked_for_or_the_only_one() {
        assert_eq!(container(&spec(&["a"]), "p", None), Ok("a".to_owned()));
        assert_eq!(container(&spec(&["a", "b"]), "p", Some("b")), Ok("b".to_owned()));
        let message = container(&spec(&["a", "b"]), "p", None).unwrap_err().message;
        let expected = "a container name must be specified for pod p, choose one of: [a b]";
        assert_eq!(message, expected);
        assert_eq!(container(&spec(&["a"]), "p", Some("x")).unwrap_err().code, 400);
    }
}
