//! The sandbox a pod asks for.

use k8s_openapi::api::core::v1::Pod;
use skein_runtime::SandboxConfig;

use crate::DnsConfig;

/// Resolver options of pods that use the cluster's DNS, as the kubelet's.
const NDOTS: &str = "ndots:5";
/// Longest host name the kernel takes.
const HOSTNAME_CHARS: usize = 63;

/// The sandbox of `pod`.
pub(crate) fn sandbox_config(pod: &Pod, attempt: u32, dns: &DnsConfig) -> SandboxConfig {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let spec = pod.spec.clone().unwrap_or_default();
    let namespace = text(&pod.metadata.namespace);
    let name = text(&pod.metadata.name);
    let host_network = spec.host_network == Some(true);
    let uses_cluster = match spec.dns_policy.as_deref() {
        Some("None" | "Default") => false,
        Some("ClusterFirstWithHostNet") => true,
        _ => !host_network,
    } && !dns.servers.is_empty();
    let mut config = SandboxConfig {
        hostname: spec.hostname.clone().unwrap_or_else(|| hostname(&name)),
        uid: text(&pod.metadata.uid),
        attempt,
        host_aliases: spec
            .host_aliases
            .unwrap_or_default()
            .into_iter()
            .map(|alias| (alias.ip, alias.hostnames.unwrap_or_default()))
            .collect(),
        host_network,
        ..SandboxConfig::default()
    };
    if uses_cluster {
        config.dns_servers.clone_from(&dns.servers);
        let domain = &dns.domain;
        config.dns_searches =
            vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
        config.dns_options = vec![NDOTS.to_owned()];
    }
    if let Some(own) = spec.dns_config {
        config.dns_servers.extend(own.nameservers.unwrap_or_default());
        config.dns_searches.extend(own.searches.unwrap_or_default());
        for option in own.options.unwrap_or_default() {
            let name = option.name.unwrap_or_default();
            config.dns_options.retain(|known| known.split(':').next() != Some(&name));
            config.dns_options.push(match option.value {
                Some(value) => format!("{name}:{value}"),
                None => name,
            });
        }
    }
    config.namespace = namespace;
    config.name = name;
    config
}

fn hostname(pod_name: &str) -> String {
    let short: String = pod_name.chars().take(HOSTNAME_CHARS).collect();
    short.trim_end_matches(['-', '.']).to_owned()
}
