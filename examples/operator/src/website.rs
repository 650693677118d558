//! What users of this operator write.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A page, and how many pods serve it.
#[derive(CustomResource, Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[kube(
    group = "examples.skein.dev",
    version = "v1",
    kind = "Website",
    namespaced,
    shortname = "site",
    status = "WebsiteStatus",
    scale(spec_replicas_path = ".spec.replicas", status_replicas_path = ".status.ready"),
    printcolumn = r#"{"name":"Replicas","type":"integer","jsonPath":".spec.replicas"}"#,
    printcolumn = r#"{"name":"Ready","type":"integer","jsonPath":".status.ready"}"#
)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebsiteSpec {
    /// The text of the page.
    #[schemars(length(min = 1, max = 10_000))]
    pub(crate) text: String,
    /// How many pods serve it.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub(crate) replicas: i32,
    /// The image whose `httpd` serves it.
    #[serde(default = "busybox")]
    pub(crate) image: String,
}

/// How far a website is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebsiteStatus {
    /// How many pods serve it.
    pub(crate) ready: i32,
    /// Which version of the website this is about.
    pub(crate) observed_generation: i64,
}

fn one() -> i32 {
    1
}

fn busybox() -> String {
    "busybox".to_owned()
}
