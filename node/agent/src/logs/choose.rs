//! Which container's log is meant, and which of its runs. Pure.

use k8s_openapi::api::core::v1::{Container, Pod};
use skein_runtime::{ContainerId, ContainerState};

use super::LogError;
use crate::lifecycle::Observed;

/// The container named, or the only one.
pub(super) fn choose_container(pod: &Pod, named: Option<&str>) -> Result<String, LogError> {
    let name = || pod.metadata.name.clone().unwrap_or_default();
    let spec = pod.spec.as_ref();
    let main = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let ephemeral = spec.and_then(|spec| spec.ephemeral_containers.as_ref());
    let has = |named: &str| {
        main.iter().chain(init).any(|container| container.name == named)
            || ephemeral.into_iter().flatten().any(|container| container.name == named)
    };
    match named.filter(|named| !named.is_empty()) {
        Some(named) if has(named) => Ok(named.to_owned()),
        Some(named) => Err(LogError::NoContainer { pod: name(), container: named.to_owned() }),
        None => match main {
            [only] => Ok(only.name.clone()),
            several => Err(LogError::Ambiguous {
                pod: name(),
                choices: names(several),
                init: match init {
                    [] => String::new(),
                    init => format!(" or one of the init containers: [{}]", names(init)),
                },
            }),
        },
    }
}

fn names(containers: &[Container]) -> String {
    containers.iter().map(|container| container.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// The run of a container whose log is meant.
pub(super) fn choose_run<'a>(
    pod: &Pod,
    observed: &'a Observed,
    container: &str,
    previous: bool,
) -> Result<&'a ContainerId, LogError> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let newest = observed.newest(container);
    let made = newest.filter(|info| info.state != ContainerState::Created);
    match (previous, made) {
        (true, _) => observed.previous(container).map(|info| &info.id).ok_or_else(|| {
            LogError::NoPrevious { pod: name.clone(), container: container.to_owned() }
        }),
        // One that is being started again still shows its last run.
        (false, None) => {
            observed.previous(container).map(|info| &info.id).ok_or_else(|| LogError::Waiting {
                pod: name.clone(),
                container: container.to_owned(),
                reason: waiting_for(pod, container),
            })
        }
        (false, Some(info)) => Ok(&info.id),
    }
}

fn waiting_for(pod: &Pod, container: &str) -> String {
    let status = pod.status.as_ref();
    let statuses = status.map(|status| {
        let lists = [
            &status.init_container_statuses,
            &status.container_statuses,
            &status.ephemeral_container_statuses,
        ];
        lists.into_iter().flatten().flatten()
    });
    let reason = statuses
        .into_iter()
        .flatten()
        .find(|status| status.name == container)
        .and_then(|status| status.state.as_ref()?.waiting.as_ref()?.reason.clone());
    reason.unwrap_or_else(|| "ContainerCreating".to_owned())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{EphemeralContainer, PodSpec};

    use super::*;

    fn pod(init: &[&str], main: &[&str]) -> Pod {
        let containers = |names: &[&str]| {
            let named = |name: &&str| Container { name: (*name).to_owned(), ..Default::default() };
            names.iter().map(named).collect::<Vec<_>>()
        };
        let mut pod = Pod::default();
        pod.metadata.name = Some("web".into());
        pod.spec = Some(PodSpec {
            containers: containers(main),
            init_containers: Some(containers(init)),
            ..Default::default()
        });
        pod
    }

    #[test]
    fn errors_name_the_choices_in_the_words_of_kubernetes() {
        let said =
            |pod: &Pod, named| choose_container(pod, named).map_err(|error| error.to_string());
        assert_eq!(said(&pod(&[], &["a"]), None), Ok("a".into()));
        assert_eq!(said(&pod(&["i"], &["a"]), Some("i")), Ok("i".into()));
        let mut visited = pod(&[], &["a"]);
        let shell = EphemeralContainer { name: "shell".into(), ..Default::default() };
        visited.spec.as_mut().expect("a spec").ephemeral_containers = Some(vec![shell]);
        assert_eq!(said(&visited, Some("shell")), Ok("shell".into()));
        assert_eq!(said(&visited, None), Ok("a".into()));
        assert_eq!(
            said(&pod(&["i"], &["a", "b"]), None),
            Err("a container name must be specified for pod web, choose one of: [a b] \
                 or one of the init containers: [i]"
                .into())
        );
        assert_eq!(
            said(&pod(&[], &["a"]), Some("x")),
            Err("container x is not valid for pod web".into())
        );
    }

    #[test]
    fn a_container_that_was_not_made_is_waiting_to_start() {
        let observed = Observed::default();
        let said = |previous| {
            choose_run(&pod(&[], &["a"]), &observed, "a", previous)
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            said(false),
            Err("container \"a\" in pod \"web\" is waiting to start: ContainerCreating".into())
        );
        assert_eq!(
            said(true),
            Err("previous terminated container \"a\" in pod \"web\" not found".into())
        );
    }
}
