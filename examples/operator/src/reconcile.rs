//! From a website to what serves it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{
        controller::Action,
        events::{Event, EventType, Recorder},
        finalizer::{Event as Stage, finalizer},
    },
};
use serde_json::{Value, json};

use crate::{
    MANAGER,
    website::{Website, WebsiteStatus},
};

/// What a website holds until it has said good-bye.
const FINALIZER: &str = "examples.skein.dev/website";

/// When to look again at a website for which something failed.
const RETRY: Duration = Duration::from_secs(5);

/// What all reconciliations share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) recorder: Recorder,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The cluster refused something.
    #[error(transparent)]
    Cluster(#[from] kube::Error),
    /// An object could not be made of its description.
    #[error(transparent)]
    Description(#[from] serde_json::Error),
    /// The finalizer could not be kept.
    #[error(transparent)]
    Finalizer(#[from] Box<kube::runtime::finalizer::Error<Error>>),
}

/// Brings a website to what it should be, or lets it go.
pub(crate) async fn reconcile(
    website: Arc<Website>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let websites: Api<Website> =
        Api::namespaced(context.client.clone(), &website.namespace().unwrap_or_default());
    finalizer(&websites, FINALIZER, website, |stage| async {
        match stage {
            Stage::Apply(website) => serve(&websites, &website, &context).await,
            Stage::Cleanup(website) => {
                // What the website owns is collected by the cluster.
                tell(&website, &context, "Ended", "the website is gone").await?;
                Ok(Action::await_change())
            }
        }
    })
    .await
    .map_err(|error| Error::Finalizer(Box::new(error)))
}

pub(crate) fn on_error(_: Arc<Website>, _: &Error, _: Arc<Context>) -> Action {
    Action::requeue(RETRY)
}

async fn serve(
    websites: &Api<Website>,
    website: &Website,
    context: &Context,
) -> Result<Action, Error> {
    let (name, namespace) = (website.name_any(), website.namespace().unwrap_or_default());
    let by = PatchParams::apply(MANAGER).force();
    let pages: Api<ConfigMap> = Api::namespaced(context.client.clone(), &namespace);
    pages.patch(&name, &by, &Patch::Apply(&page(website))).await?;
    let deployments: Api<Deployment> = Api::namespaced(context.client.clone(), &namespace);
    let wanted = Patch::Apply(deployment(website));
    let deployment = deployments.patch(&name, &by, &wanted).await?;
    let status = WebsiteStatus {
        ready: deployment.status.and_then(|status| status.ready_replicas).unwrap_or(0),
        observed_generation: website.metadata.generation.unwrap_or(0),
    };
    if website.status.as_ref() != Some(&status) {
        let is_first = website.status.is_none();
        let patch = Patch::Merge(json!({"status": status}));
        websites.patch_status(&name, &PatchParams::default(), &patch).await?;
        if is_first {
            tell(website, context, "Started", "the website is being served").await?;
        }
    }
    Ok(Action::await_change())
}

async fn tell(website: &Website, context: &Context, reason: &str, note: &str) -> Result<(), Error> {
    let event = Event {
        type_: EventType::Normal,
        reason: reason.to_owned(),
        note: Some(note.to_owned()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    Ok(context.recorder.publish(&event, &website.object_ref(&())).await?)
}

fn metadata(website: &Website) -> Value {
    json!({
        "name": website.name_any(),
        "labels": {"website": website.name_any()},
        "ownerReferences": website.controller_owner_ref(&()).into_iter().collect::<Vec<_>>(),
    })
}

fn page(website: &Website) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(website),
        "data": {"text": website.spec.text},
    })
}

fn deployment(website: &Website) -> Value {
    let name = website.name_any();
    let mut hasher = DefaultHasher::new();
    website.spec.text.hash(&mut hasher);
    let serve = "mkdir -p /www && printf %s \"$TEXT\" > /www/index.html && \
                 exec httpd -f -p 8080 -h /www";
    let text = json!({"configMapKeyRef": {"name": name, "key": "text"}});
    let container = json!({
        "name": "web",
        "image": website.spec.image,
        "command": ["sh", "-c", serve],
        "env": [{"name": "TEXT", "valueFrom": text}],
        "ports": [{"containerPort": 8080}],
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(website),
        "spec": {
            "replicas": website.spec.replicas,
            "selector": {"matchLabels": {"website": name}},
            "template": {
                "metadata": {
                    "labels": {"website": name},
                    // Another text is another template, and rolls out.
                    "annotations": {"examples.skein.dev/text": format!("{:x}", hasher.finish())},
                },
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    })
}
