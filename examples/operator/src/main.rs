//! An operator: whoever makes a `Website` gets a Deployment that serves its text.
//!
//! Written with kube-rs and nothing else, and the same program wherever the Kubernetes API is:
//! `operator install` brings its definition along, `operator run` works until it is told to end.

mod reconcile;
mod website;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures::StreamExt;
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::ConfigMap},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, CustomResourceExt, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{
        Controller,
        conditions::is_crd_established,
        events::{Recorder, Reporter},
        wait::await_condition,
        watcher,
    },
};
use reconcile::Context;
use website::Website;

/// How long a definition may take to be accepted.
const ESTABLISHED: Duration = Duration::from_secs(30);

/// The name under which this operator applies.
const MANAGER: &str = "website-operator";

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let client = Client::try_default().await.context("no way to the cluster")?;
    match std::env::args().nth(1).as_deref() {
        Some("install") => install(client).await,
        Some("run") => {
            run(client).await;
            Ok(())
        }
        _ => bail!("usage: operator install | run"),
    }
}

/// Applies the definition and waits until its objects are served.
async fn install(client: Client) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let definition = Website::crd();
    let name = definition.name_any();
    let by = PatchParams::apply(MANAGER).force();
    definitions.patch(&name, &by, &Patch::Apply(&definition)).await?;
    let established = await_condition(definitions, &name, is_crd_established());
    tokio::time::timeout(ESTABLISHED, established)
        .await
        .context("the definition was not accepted in time")??;
    tracing::info!(name, "installed");
    Ok(())
}

/// Brings every website to what it should be, until told to end.
async fn run(client: Client) {
    let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(MANAGER.to_owned()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let context = Arc::new(Context { client: client.clone(), recorder });
    let all = watcher::Config::default();
    Controller::new(Api::<Website>::all(client.clone()), all.clone())
        .owns(Api::<Deployment>::all(client.clone()), all.clone())
        .owns(Api::<ConfigMap>::all(client), all)
        .shutdown_on_signal()
        .run(reconcile::reconcile, reconcile::on_error, context)
        .for_each(|outcome| async move {
            match outcome {
                Ok((website, _)) => tracing::debug!(%website, "looked at"),
                Err(error) => tracing::warn!(%error, "not done"),
            }
        })
        .await;
}
