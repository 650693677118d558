//! The pod's own fields and resources as values for its containers (the downward API).

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceFieldSelector},
    apimachinery::pkg::api::resource::Quantity,
};
use skein_objects::quantity;
use skein_runtime::Resources;

use super::ConfigError;

/// What field references may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldContext<'a> {
    /// The pod.
    pub(crate) pod: &'a Pod,
    /// Its address, once it has one.
    pub(crate) pod_ip: Option<IpAddr>,
    /// The host's address.
    pub(crate) host_ip: IpAddr,
    /// What a container without a limit may use.
    pub(crate) host: Resources,
}

impl FieldContext<'_> {
    /// The value of a field path.
    pub(super) fn field(&self, path: &str) -> Result<String, ConfigError> {
        let meta = &self.pod.metadata;
        let spec = self.pod.spec.as_ref();
        let text = |value: Option<&String>| value.cloned().unwrap_or_default();
        if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
            let map = match map {
                "metadata.labels" => &meta.labels,
                "metadata.annotations" => &meta.annotations,
                _ => return Err(ConfigError::UnknownField(path.to_owned())),
            };
            return Ok(text(map.as_ref().and_then(|map| map.get(key))));
        }
        Ok(match path {
            "metadata.name" => text(meta.name.as_ref()),
            "metadata.namespace" => text(meta.namespace.as_ref()),
            "metadata.uid" => text(meta.uid.as_ref()),
            "metadata.labels" => lines(meta.labels.as_ref()),
            "metadata.annotations" => lines(meta.annotations.as_ref()),
            "spec.nodeName" => text(spec.and_then(|spec| spec.node_name.as_ref())),
            "spec.serviceAccountName" => {
                text(spec.and_then(|spec| spec.service_account_name.as_ref()))
            }
            "status.podIP" | "status.podIPs" => {
                self.pod_ip.map(|ip| ip.to_string()).unwrap_or_default()
            }
            "status.hostIP" | "status.hostIPs" => self.host_ip.to_string(),
            _ => return Err(ConfigError::UnknownField(path.to_owned())),
        })
    }

    /// The value of a resource of `container`, or of the container the selector names.
    pub(super) fn resource(
        &self,
        selector: &ResourceFieldSelector,
        container: Option<&Container>,
    ) -> Result<String, ConfigError> {
        let container = match &selector.container_name {
            Some(name) => {
                self.find(name).ok_or_else(|| ConfigError::UnknownContainer(name.clone()))?
            }
            None => container.ok_or_else(|| ConfigError::UnknownContainer(String::new()))?,
        };
        let (list, name) = selector
            .resource
            .split_once('.')
            .ok_or_else(|| ConfigError::UnknownResource(selector.resource.clone()))?;
        let requirements = container.resources.clone().unwrap_or_default();
        let listed = match list {
            "limits" => requirements.limits,
            "requests" => requirements.requests,
            _ => None,
        };
        let set = listed.as_ref().and_then(|list| list.get(name));
        let divisor = selector.divisor.as_ref().filter(|divisor| !matches!(&*divisor.0, "" | "0"));
        let (value, unit) = if name == "cpu" {
            let unset = if list == "limits" { self.host.cpu_limit_millis } else { 0 };
            (set.map_or(Ok(unset), millis)?, divisor.map_or(Ok(1000), millis)?)
        } else {
            let unset = if list == "limits" { self.host.memory_limit_bytes } else { 0 };
            (set.map_or(Ok(unset), whole)?, divisor.map_or(Ok(1), whole)?)
        };
        Ok(value.div_ceil(unit.max(1)).to_string())
    }

    fn find(&self, name: &str) -> Option<&Container> {
        let spec = self.pod.spec.as_ref()?;
        let all = spec.init_containers.iter().flatten().chain(&spec.containers);
        all.into_iter().find(|container| container.name == name)
    }
}

/// Labels or annotations as a file of `key="value"` lines.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn millis(quantity: &Quantity) -> Result<u64, ConfigError> {
    checked(quantity, quantity::cpu_millis(&quantity.0).ok())
}

fn whole(quantity: &Quantity) -> Result<u64, ConfigError> {
    checked(quantity, quantity::bytes(&quantity.0).ok())
}

fn checked(quantity: &Quantity, value: Option<i64>) -> Result<u64, ConfigError> {
    let value = value.and_then(|value| u64::try_from(value).ok());
    value.ok_or_else(|| ConfigError::Invalid { what: "quantity", value: quantity.0.clone() })
}

/// The limits and requests of a container as the runtime takes them.
pub(crate) fn container_resources(container: &Container) -> Result<Resources, ConfigError> {
    let requirements = container.resources.clone().unwrap_or_default();
    let of = |list: &Option<BTreeMap<String, Quantity>>, name: &str| {
        list.as_ref().and_then(|list| list.get(name)).cloned()
    };
    let cpu_limit = of(&requirements.limits, "cpu");
    let cpu_request = of(&requirements.requests, "cpu").or_else(|| cpu_limit.clone());
    let memory_limit = of(&requirements.limits, "memory");
    Ok(Resources {
        cpu_limit_millis: cpu_limit.as_ref().map_or(Ok(0), millis)?,
        cpu_request_millis: cpu_request.as_ref().map_or(Ok(0), millis)?,
        memory_limit_bytes: memory_limit.as_ref().map_or(Ok(0), whole)?,
    })
}
