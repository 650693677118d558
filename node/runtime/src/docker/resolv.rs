//! Name servers for a pod that names none: the host's, without those only the host can reach.
//!
//! Docker does this for its own networks, but copies the host's file into a pause that starts in
//! the host's network.

use std::{fs, io, net::IpAddr};

use crate::SandboxConfig;

/// The file systemd-resolved keeps for programs that ask the real servers, then everybody's.
const FILES: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];

/// The parts of a `resolv.conf` a pod is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Resolver {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

/// Gives a pod that has a network of its own and no name servers those of the host. Where the host
/// has none that a pod can reach, nothing is changed.
pub(super) fn complete(config: &SandboxConfig) -> io::Result<SandboxConfig> {
    let mut config = config.clone();
    if config.host_network || !config.dns_servers.is_empty() {
        return Ok(config);
    }
    for path in FILES {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            text => text?,
        };
        let host = parse(&text);
        if !host.servers.is_empty() {
            config.dns_servers = host.servers;
            config.dns_searches.extend(host.searches);
            config.dns_options.extend(host.options);
            break;
        }
    }
    Ok(config)
}

/// Reads a `resolv.conf` as resolv.conf(5) has it: the last `search` line holds.
fn parse(text: &str) -> Resolver {
    let mut resolver = Resolver::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let keyword = words.next().unwrap_or_default();
        let values = words.map(str::to_owned);
        match keyword {
            "nameserver" => resolver.servers.extend(values.take(1).filter(|server| {
                server.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback())
            })),
            "search" | "domain" => resolver.searches = values.collect(),
            "options" => resolver.options.extend(values),
            _ => {}
        }
    }
    resolver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_only_the_host_reaches_are_left_out() {
        let parsed = parse(
            "# comment\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\n\
             search old\nsearch corp.example lan\noptions edns0 trust-ad\n",
        );
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let expected = Resolver {
            servers: words(&["192.0.2.1"]),
            searches: words(&["corp.example", "lan"]),
            options: words(&["edns0", "trust-ad"]),
        };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn a_pod_with_name_servers_keeps_them() {
        let config = SandboxConfig {
            dns_servers: vec!["10.43.0.10".to_owned()],
            ..SandboxConfig::default()
        };
        assert_eq!(complete(&config).unwrap(), config);
    }
}
