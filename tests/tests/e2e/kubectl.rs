//! Every verb of kubectl, as `tests/kubectl/run` tries them.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use skein_tests::Cluster;

#[test]
fn every_verb_of_kubectl_does_what_it_should() -> Result<()> {
    let cluster = Cluster::attach()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/kubectl/run");
    let said = Command::new(script)
        .env("KUBECONFIG", cluster.kubeconfig("h2"))
        .output()
        .context("run tests/kubectl/run")?;
    ensure!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(())
}
