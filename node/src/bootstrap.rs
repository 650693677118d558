//! How a node comes to its identity: founds a cluster, joins one, or comes back to its own.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use skein_cli::UpOptions;
use skein_net::{
    CertificateRequest, ClusterCa, Identity, JoinError, JoinParts, JoinRefusal, JoinResponse,
    JoinToken, NodeKey, NodeSubject, PeerAddress, SeedError,
};
use tokio::time::{Instant, sleep};

use crate::{
    authority::{Founding, NODE_CERTIFICATE_LIFETIME},
    core::VERSION,
    data_dir::{DataDir, NodeRecord},
};

/// How long a name that is taken is asked for: longer than it takes to find a silent node dead.
const NAME_PATIENCE: Duration = Duration::from_secs(5);

/// Between two such attempts.
const NAME_INTERVAL: Duration = Duration::from_secs(1);

/// Everything a node must have before it can speak to its peers.
pub(crate) struct Start {
    /// Its key and certificate.
    pub(crate) identity: Identity,
    /// The cluster it belongs to.
    pub(crate) cluster_id: String,
    /// Where peers reach it.
    pub(crate) advertise: SocketAddr,
    /// Addresses that may answer.
    pub(crate) seeds: Vec<SocketAddr>,
    /// Peers it was told of when it joined.
    pub(crate) peers: Vec<PeerAddress>,
}

/// Brings the node of `data` to its identity.
pub(crate) async fn bootstrap(data: &DataDir, options: &UpOptions) -> Result<Start> {
    let advertise = advertised(options)?;
    let key = NodeKey::load_or_generate(&data.join(""))?;
    match (data.record()?, &options.token) {
        (Some(record), _) => come_back(data, options, advertise, key, record).await,
        (None, Some(token)) => join(data, options, advertise, key, token).await,
        (None, None) if options.seeds.is_empty() => found(data, options, advertise, key),
        (None, None) => bail!(
            "--seed needs --token to join: make one with `skein token create` on a node of the \
             cluster"
        ),
    }
}

async fn come_back(
    data: &DataDir,
    options: &UpOptions,
    advertise: SocketAddr,
    key: NodeKey,
    record: NodeRecord,
) -> Result<Start> {
    ensure!(
        record.name == options.name,
        "the data directory {} belongs to node {:?}, not {:?}: give --name {} or another \
         --data-dir",
        options.data_dir.display(),
        record.name,
        options.name,
        record.name
    );
    ensure!(
        record.id == key.id(),
        "the data directory {} belongs to node {}, but its key is node {}'s: restore the key or \
         use an empty directory",
        options.data_dir.display(),
        record.id,
        key.id()
    );
    let identity = Identity::load(&data.join(""), key)?
        .context("the node's certificate is missing from the data directory")?;
    if let Some(token) = &options.token {
        ensure!(
            token.fingerprint() == identity.ca_fingerprint(),
            "the data directory {} belongs to cluster {}, the token to another: use an empty \
             directory to join that one",
            options.data_dir.display(),
            record.cluster_id
        );
    }
    Ok(Start {
        identity,
        cluster_id: record.cluster_id,
        advertise,
        seeds: resolve(&options.seeds).await.0,
        peers: Vec::new(),
    })
}

async fn join(
    data: &DataDir,
    options: &UpOptions,
    advertise: SocketAddr,
    key: NodeKey,
    token: &JoinToken,
) -> Result<Start> {
    let (seeds, unresolved) = resolve(&options.seeds).await;
    ensure!(!seeds.is_empty(), "no seed can be resolved: {}", unresolved.join("; "));
    let parts = JoinParts {
        node_name: options.name.clone(),
        advertise,
        version: VERSION.to_owned(),
        cluster_id: None,
    };
    let joined = ask_for_entry(&seeds, token, &key, parts).await?;
    let identity = Identity::new(key, &joined.cert_pem, &joined.ca_pem)?;
    identity.save(&data.join(""))?;
    let record = NodeRecord::new(joined.cluster_id.clone(), identity.id(), options.name.clone());
    data.write_record(&record)?;
    Ok(Start { identity, cluster_id: joined.cluster_id, advertise, seeds, peers: joined.peers })
}

/// Asks to be let in. A name that is taken is asked for again for a while: a host that lost its
/// disk may be back before the others know its former self dead.
async fn ask_for_entry(
    seeds: &[SocketAddr],
    token: &JoinToken,
    key: &NodeKey,
    parts: JoinParts,
) -> Result<JoinResponse, JoinError> {
    let patience = Instant::now() + NAME_PATIENCE;
    loop {
        match skein_net::join(seeds, token, key, parts.clone()).await {
            Err(error) if is_name_taken(&error) && Instant::now() < patience => {
                tracing::info!(%error, "waiting whether the node of this name is dead");
                sleep(NAME_INTERVAL).await;
            }
            outcome => return outcome,
        }
    }
}

fn is_name_taken(error: &JoinError) -> bool {
    let JoinError::Seeds(seeds) = error else { return false };
    let taken =
        |error: &SeedError| matches!(error, SeedError::Refused(JoinRefusal::NameTaken { .. }));
    seeds.iter().any(|(_, error)| taken(error))
}

fn found(
    data: &DataDir,
    options: &UpOptions,
    advertise: SocketAddr,
    key: NodeKey,
) -> Result<Start> {
    let now = SystemTime::now();
    let ca = ClusterCa::generate(&options.cluster_name, now)?;
    let request = CertificateRequest::parse_from(&key.certificate_request()?, key.id())?;
    let subject = subject(&options.name, advertise.ip());
    let certificate = ca.issue_node(&request, &subject, NODE_CERTIFICATE_LIFETIME, now)?;
    let identity = Identity::new(key, &certificate, ca.cert_pem())?;
    let cluster_id = format!("{}-{:016x}", options.cluster_name, rand::random::<u64>());
    let founding = Founding::new(&ca, &cluster_id);
    founding.save(data)?;
    identity.save(&data.join(""))?;
    data.write_record(&NodeRecord::new(cluster_id.clone(), identity.id(), options.name.clone()))?;
    Ok(Start { identity, cluster_id, advertise, seeds: Vec::new(), peers: Vec::new() })
}

/// What a node's certificate says.
pub(crate) fn subject(name: &str, address: IpAddr) -> NodeSubject {
    NodeSubject { name: name.to_owned(), addresses: vec![address], dns_names: Vec::new() }
}

/// Where peers reach this node: as told, else where it listens, else the address of the route to
/// everywhere.
fn advertised(options: &UpOptions) -> Result<SocketAddr> {
    if let Some(told) = options.advertise {
        return Ok(told);
    }
    if !options.listen.ip().is_unspecified() {
        return Ok(options.listen);
    }
    // Connecting a UDP socket sends nothing; it only picks the route. The address is one that
    // documentation owns (RFC 5737).
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    socket
        .connect("192.0.2.1:9")
        .and_then(|()| socket.local_addr())
        .map(|local| SocketAddr::new(local.ip(), options.listen.port()))
        .context("this host has no default route: say with --advertise where others reach it")
}

/// The addresses behind the seeds' names, and what was wrong with those that have none: one good
/// seed is enough, and a node that comes back knows its peers anyway.
async fn resolve(seeds: &[String]) -> (Vec<SocketAddr>, Vec<String>) {
    let (mut addresses, mut unresolved) = (Vec::new(), Vec::new());
    for seed in seeds {
        match tokio::net::lookup_host(seed.as_str()).await {
            Ok(found) => addresses.extend(found),
            Err(error) => {
                tracing::warn!(seed, %error, "a seed cannot be resolved");
                unresolved.push(format!("{seed}: {error}"));
            }
        }
    }
    (addresses, unresolved)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use skein_cli::UpArgs;

    use super::*;

    fn options(directory: &Path, name: &str, token: Option<JoinToken>) -> UpOptions {
        let args = UpArgs {
            name: Some(name.to_owned()),
            advertise: Some("10.0.0.1".to_owned()),
            data_dir: Some(directory.to_owned()),
            ..UpArgs::default()
        };
        UpOptions { token, ..args.resolve("host").unwrap() }
    }

    async fn start(directory: &Path, name: &str, token: Option<JoinToken>) -> Result<Start> {
        let data = DataDir::open(directory)?;
        bootstrap(&data, &options(directory, name, token)).await
    }

    #[tokio::test]
    async fn a_founded_node_comes_back_to_its_identity_and_its_unfinished_founding() {
        let directory = tempfile::tempdir().unwrap();
        let founded = start(directory.path(), "h1", None).await.unwrap();
        let back = start(directory.path(), "h1", None).await.unwrap();
        assert_eq!(back.identity.id(), founded.identity.id());
        assert_eq!(back.cluster_id, founded.cluster_id);
        let data = DataDir::open(directory.path()).unwrap();
        let founding = Founding::read(&data).unwrap();
        assert!(founding.is_some(), "the store does not have the authority yet");
    }

    #[tokio::test]
    async fn a_directory_of_another_node_or_cluster_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let founded = start(directory.path(), "h1", None).await.unwrap();
        let own = JoinToken::generate(founded.identity.ca_fingerprint());
        assert!(start(directory.path(), "h1", Some(own)).await.is_ok(), "a token left in a script");

        let renamed = start(directory.path(), "h2", None).await.err().unwrap().to_string();
        assert!(renamed.contains("--name h1"), "{renamed}");
        let other = JoinToken::generate([7; 32]);
        let moved = start(directory.path(), "h1", Some(other)).await.err().unwrap().to_string();
        assert!(moved.contains("another") && moved.contains("empty directory"), "{moved}");
        std::fs::remove_file(directory.path().join("node.key")).unwrap();
        let rekeyed = start(directory.path(), "h1", None).await.err().unwrap().to_string();
        assert!(rekeyed.contains("restore the key"), "{rekeyed}");
    }

    #[tokio::test]
    async fn a_seed_that_does_not_resolve_stops_a_joiner_but_not_a_node_that_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let founded = start(directory.path(), "h1", None).await.unwrap();
        let token = JoinToken::generate(founded.identity.ca_fingerprint());
        let lost = |directory: &Path, token| UpOptions {
            seeds: vec!["nowhere.invalid:7600".to_owned()],
            ..options(directory, "h1", token)
        };
        let data = DataDir::open(directory.path()).unwrap();
        assert!(bootstrap(&data, &lost(directory.path(), None)).await.is_ok());
        let empty = tempfile::tempdir().unwrap();
        let data = DataDir::open(empty.path()).unwrap();
        let refused = bootstrap(&data, &lost(empty.path(), Some(token))).await.err().unwrap();
        assert!(refused.to_string().contains("nowhere.invalid"), "{refused}");
    }

    #[tokio::test]
    async fn a_seed_without_a_token_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(directory.path()).unwrap();
        let mut options = options(directory.path(), "h1", None);
        options.seeds = vec!["127.0.0.1:1".to_owned()];
        let refused = bootstrap(&data, &options).await.err().unwrap().to_string();
        assert!(refused.contains("--token"), "{refused}");
    }
}
