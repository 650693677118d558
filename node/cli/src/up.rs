//! The options of `skein up`: flags over environment over configuration file over defaults.
//!
//! [`UpArgs`] is what was given, every field optional; [`UpOptions`] is what a node runs with,
//! every field decided and checked. [`UpArgs::resolve`] is the only way from one to the other.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use skein_net::{JoinToken, ParseTokenError};

use crate::limits::{MAX_NAME_LENGTH, MIN_POD_CIDR_BITS};

/// Port of the peer transport (QUIC over UDP).
pub(crate) const DEFAULT_PEER_PORT: u16 = 7600;
/// Port of the Kubernetes API (HTTPS).
pub(crate) const DEFAULT_API_PORT: u16 = 6443;
const DEFAULT_DATA_DIR: &str = "/var/lib/skein";
const DEFAULT_DOCKER_SOCKET: &str = "/var/run/docker.sock";
const DEFAULT_POD_CIDR: &str = "10.42.0.0/16";
const DEFAULT_LOG_LEVEL: &str = "info,openraft=warn";
const DEFAULT_CLUSTER_NAME: &str = "skein";
/// Name of the audit log in the data directory.
const AUDIT_LOG: &str = "audit.log";

/// What runs the containers of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// The Docker engine behind `--docker-socket`.
    Docker,
    /// Nothing real: pods that live in memory only, to try and to measure the control plane.
    Simulated,
}

/// How the scheduler chooses among the nodes that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The least loaded node first.
    Spread,
    /// The fullest node that still fits first.
    Binpack,
    /// Any node that fits.
    Random,
}

/// What was given for `skein up`; a configuration file holds the same names in snake case.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpArgs {
    /// Configuration file (TOML) with the same options, e.g. `name = "h1"`
    #[arg(long, value_name = "FILE", env = "SKEIN_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Address of a node to join through (HOST:PORT); several are tried, one must answer
    #[arg(long = "seed", value_name = "HOST:PORT", env = "SKEIN_SEED", value_delimiter = ',')]
    #[serde(default, rename = "seeds")]
    pub seeds: Vec<String>,

    /// Join token from `skein token create`; needed once, to join
    #[arg(long, env = "SKEIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// Name of this node in the cluster [default: the host name]
    #[arg(long, env = "SKEIN_NAME")]
    pub name: Option<String>,

    /// Where to listen for other nodes (QUIC, UDP) [default: 0.0.0.0:7600]
    #[arg(long, value_name = "IP:PORT", env = "SKEIN_LISTEN")]
    pub listen: Option<SocketAddr>,

    /// Address other nodes reach this one by [default: the address of the default route]
    #[arg(long, value_name = "IP[:PORT]", env = "SKEIN_ADVERTISE")]
    pub advertise: Option<String>,

    /// Where to serve the Kubernetes API (HTTPS) [default: 0.0.0.0:6443]
    #[arg(long, value_name = "IP:PORT", env = "SKEIN_API")]
    pub api: Option<SocketAddr>,

    /// Everything this node keeps [default: /var/lib/skein]
    #[arg(long, value_name = "DIR", env = "SKEIN_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// Label of this node, e.g. `zone=a`; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", env = "SKEIN_LABELS", value_delimiter = ',')]
    #[serde(default, rename = "labels")]
    pub labels: Vec<String>,

    /// What runs the containers [default: docker]
    #[arg(long, value_enum, env = "SKEIN_RUNTIME")]
    pub runtime: Option<Runtime>,

    /// Socket of the Docker engine [default: /var/run/docker.sock]
    #[arg(long, value_name = "PATH", env = "SKEIN_DOCKER_SOCKET")]
    pub docker_socket: Option<PathBuf>,

    /// Only vote: run no pods, need no Docker; a third vote for a cluster of two hosts
    #[arg(long, env = "SKEIN_WITNESS")]
    #[serde(default)]
    pub witness: bool,

    /// How the scheduler chooses among nodes that fit [default: spread]
    #[arg(long, value_enum, env = "SKEIN_STRATEGY")]
    pub strategy: Option<Strategy>,

    /// Addresses of pods; every node gets a /24 of it [default: 10.42.0.0/16]
    #[arg(long, value_name = "CIDR", env = "SKEIN_POD_CIDR")]
    pub pod_cidr: Option<String>,

    /// Name of the cluster, chosen by its first node [default: skein]
    #[arg(long, env = "SKEIN_CLUSTER_NAME")]
    pub cluster_name: Option<String>,

    /// Note requests to the API as this audit policy says (a Policy of audit.k8s.io/v1)
    #[arg(long, value_name = "FILE", env = "SKEIN_AUDIT_POLICY")]
    pub audit_policy: Option<PathBuf>,

    /// Where they are noted, a line of JSON each [default: audit.log in the data directory]
    #[arg(long, value_name = "FILE", env = "SKEIN_AUDIT_LOG")]
    pub audit_log: Option<PathBuf>,

    /// What to log, e.g. `info` or `info,skein_consensus=debug` [default: info,openraft=warn]
    #[arg(long, value_name = "FILTER", env = "SKEIN_LOG")]
    pub log_level: Option<String>,
}

/// What a node runs with: checked, nothing left to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpOptions {
    /// Nodes to join through as `HOST:PORT`; empty on the first node.
    pub seeds: Vec<String>,
    /// The join token, for a node that is not a member yet.
    pub token: Option<JoinToken>,
    /// This node's name: a DNS label.
    pub name: String,
    /// Where the peer transport listens.
    pub listen: SocketAddr,
    /// Where peers reach this node; `None` means: find the address of the default route.
    pub advertise: Option<SocketAddr>,
    /// Where the Kubernetes API listens.
    pub api: SocketAddr,
    /// The directory of everything this node keeps.
    pub data_dir: PathBuf,
    /// Labels of the Node object.
    pub labels: BTreeMap<String, String>,
    /// What runs the containers.
    pub runtime: Runtime,
    /// The Docker engine's socket.
    pub docker_socket: PathBuf,
    /// Whether the node only votes and runs no pods.
    pub witness: bool,
    /// How the scheduler chooses.
    pub strategy: Strategy,
    /// The pod network as `A.B.C.D/N`.
    pub pod_cidr: String,
    /// The cluster's name.
    pub cluster_name: String,
    /// The audit policy and the file that events are written to.
    pub audit: Option<AuditFiles>,
    /// The log filter.
    pub log_level: String,
}

/// The files of an audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFiles {
    /// The policy.
    pub policy: PathBuf,
    /// The log.
    pub log: PathBuf,
}

/// Why the options of `skein up` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {path}")]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The configuration file is not what it should be.
    #[error("the configuration file {path} is not valid")]
    ParseConfig {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The host has no usable name of its own.
    #[error(
        "this host's name {name:?} cannot name a node; give one with --name (lower-case letters, digits and '-')"
    )]
    HostName {
        /// The host's name.
        name: String,
    },
    /// A value does not have the shape it must have.
    #[error("{option} {value:?} is not valid: {expected}")]
    Invalid {
        /// The option's flag.
        option: &'static str,
        /// What was given.
        value: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// The token is no token; its text, a secret, is not repeated.
    #[error("--token is not valid: {0}")]
    Token(ParseTokenError),
    /// A token without anyone to show it to.
    #[error(
        "--token needs --seed: the address of a node of the cluster to join, e.g. --seed 10.0.0.1:7600"
    )]
    TokenWithoutSeed,
    /// An audit log of nothing.
    #[error("--audit-log needs --audit-policy: the file that says what is noted")]
    AuditWithoutPolicy,
}

impl UpArgs {
    /// Decides every option: what was given, else what the file says, else the default.
    ///
    /// `host_name` names the node if nothing else does.
    pub fn resolve(self, host_name: &str) -> Result<UpOptions, UpError> {
        let file = match &self.config {
            Some(path) => read_config(path)?,
            None => UpArgs::default(),
        };
        self.over(file).check(host_name)
    }

    fn over(self, file: UpArgs) -> UpArgs {
        UpArgs {
            config: self.config,
            seeds: if self.seeds.is_empty() { file.seeds } else { self.seeds },
            token: self.token.or(file.token),
            name: self.name.or(file.name),
            listen: self.listen.or(file.listen),
            advertise: self.advertise.or(file.advertise),
            api: self.api.or(file.api),
            data_dir: self.data_dir.or(file.data_dir),
            labels: if self.labels.is_empty() { file.labels } else { self.labels },
            runtime: self.runtime.or(file.runtime),
            docker_socket: self.docker_socket.or(file.docker_socket),
            witness: self.witness || file.witness,
            strategy: self.strategy.or(file.strategy),
            pod_cidr: self.pod_cidr.or(file.pod_cidr),
            cluster_name: self.cluster_name.or(file.cluster_name),
            audit_policy: self.audit_policy.or(file.audit_policy),
            audit_log: self.audit_log.or(file.audit_log),
            log_level: self.log_level.or(file.log_level),
        }
    }

    fn check(self, host_name: &str) -> Result<UpOptions, UpError> {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let listen = self.listen.unwrap_or(SocketAddr::new(any, DEFAULT_PEER_PORT));
        let seeds =
            self.seeds.iter().map(|seed| check_seed(seed)).collect::<Result<Vec<_>, _>>()?;
        if self.token.is_some() && seeds.is_empty() {
            return Err(UpError::TokenWithoutSeed);
        }
        let token = self.token.map(|token| token.parse()).transpose().map_err(UpError::Token)?;
        let cluster_name = self.cluster_name.unwrap_or_else(|| DEFAULT_CLUSTER_NAME.into());
        check_name("--cluster-name", &cluster_name)?;
        let pod_cidr = self.pod_cidr.unwrap_or_else(|| DEFAULT_POD_CIDR.into());
        check_pod_cidr(&pod_cidr)?;
        let data_dir = self.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into());
        let audit = match (self.audit_policy, self.audit_log) {
            (None, None) => None,
            (None, Some(_)) => return Err(UpError::AuditWithoutPolicy),
            (Some(policy), log) => {
                Some(AuditFiles { policy, log: log.unwrap_or_else(|| data_dir.join(AUDIT_LOG)) })
            }
        };
        Ok(UpOptions {
            seeds,
            token,
            name: node_name(self.name, host_name)?,
            listen,
            advertise: self.advertise.map(|given| check_advertise(&given, listen)).transpose()?,
            api: self.api.unwrap_or(SocketAddr::new(any, DEFAULT_API_PORT)),
            data_dir,
            labels: self.labels.iter().map(|label| check_label(label)).collect::<Result<_, _>>()?,
            runtime: self.runtime.unwrap_or(Runtime::Docker),
            docker_socket: self.docker_socket.unwrap_or_else(|| DEFAULT_DOCKER_SOCKET.into()),
            witness: self.witness,
            strategy: self.strategy.unwrap_or(Strategy::Spread),
            pod_cidr,
            cluster_name,
            audit,
            log_level: self.log_level.unwrap_or_else(|| DEFAULT_LOG_LEVEL.into()),
        })
    }
}

fn read_config(path: &PathBuf) -> Result<UpArgs, UpError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| UpError::ReadConfig { path: path.clone(), source })?;
    toml::from_str(&text)
        .map_err(|source| UpError::ParseConfig { path: path.clone(), source: Box::new(source) })
}

/// The name given, or the host's own up to its first dot.
fn node_name(given: Option<String>, host_name: &str) -> Result<String, UpError> {
    if let Some(name) = given {
        check_name("--name", &name)?;
        return Ok(name);
    }
    let short = host_name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    if is_dns_label(&short) {
        Ok(short)
    } else {
        Err(UpError::HostName { name: host_name.to_owned() })
    }
}

fn check_name(option: &'static str, name: &str) -> Result<(), UpError> {
    if is_dns_label(name) {
        return Ok(());
    }
    Err(UpError::Invalid {
        option,
        value: name.to_owned(),
        expected: "at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit",
    })
}

/// RFC 1123, as Kubernetes uses it for names that become host names.
fn is_dns_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=MAX_NAME_LENGTH).contains(&bytes.len())
        && bytes.iter().all(|&byte| plain(byte) || byte == b'-')
        && bytes.first().is_some_and(|&byte| plain(byte))
        && bytes.last().is_some_and(|&byte| plain(byte))
}

/// `HOST:PORT`, or `HOST` with the default port; an IPv6 address without brackets is ambiguous.
fn check_seed(seed: &str) -> Result<String, UpError> {
    let seed = seed.trim();
    let invalid = || UpError::Invalid {
        option: "--seed",
        value: seed.to_owned(),
        expected: "HOST:PORT of a node, e.g. 10.0.0.1:7600 or [fd00::1]:7600",
    };
    if let Ok(address) = seed.parse::<SocketAddr>() {
        return if address.port() == 0 { Err(invalid()) } else { Ok(seed.to_owned()) };
    }
    let (host, port) = match seed.split_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().map_err(|_| invalid())?),
        None => (seed, DEFAULT_PEER_PORT),
    };
    let host_is_plain = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if !host_is_plain || port == 0 {
        return Err(invalid());
    }
    Ok(format!("{host}:{port}"))
}

fn check_advertise(given: &str, listen: SocketAddr) -> Result<SocketAddr, UpError> {
    let invalid =
        |expected| UpError::Invalid { option: "--advertise", value: given.to_owned(), expected };
    let address = match given.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, listen.port()),
        Err(_) => given
            .parse::<SocketAddr>()
            .map_err(|_| invalid("IP or IP:PORT other nodes can reach, e.g. 10.0.0.1"))?,
    };
    if address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err(invalid("other nodes cannot reach this address; give the one of this host"));
    }
    Ok(address)
}

fn check_label(label: &str) -> Result<(String, String), UpError> {
    let invalid = || UpError::Invalid {
        option: "--label",
        value: label.to_owned(),
        expected: "KEY=VALUE, e.g. zone=a",
    };
    let (key, value) = label.trim().split_once('=').ok_or_else(invalid)?;
    let part_is_plain = |part: &str, max: usize| {
        part.len() <= max
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    let (prefix, name) = key.split_once('/').unwrap_or(("", key));
    let valid = !name.is_empty()
        && part_is_plain(name, MAX_NAME_LENGTH)
        && part_is_plain(prefix, 253)
        && part_is_plain(value, MAX_NAME_LENGTH);
    if valid { Ok((key.to_owned(), value.to_owned())) } else { Err(invalid()) }
}

fn check_pod_cidr(cidr: &str) -> Result<(), UpError> {
    let invalid =
        |expected| UpError::Invalid { option: "--pod-cidr", value: cidr.to_owned(), expected };
    let shape = "A.B.C.D/N with N at most 24, e.g. 10.42.0.0/16";
    let (address, bits) = cidr.split_once('/').ok_or_else(|| invalid(shape))?;
    let address: Ipv4Addr = address.parse().map_err(|_| invalid(shape))?;
    let bits: u32 = bits.parse().map_err(|_| invalid(shape))?;
    if !(MIN_POD_CIDR_BITS..=24).contains(&bits) {
        return Err(invalid(shape));
    }
    if address.to_bits() << bits != 0 {
        return Err(invalid("the address has bits set beyond the prefix"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
