//! Join tokens, the one kind of Skein's own: group `skein.dev`, cluster-scoped.
//!
//! The object holds the hash of the secret, never the secret.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::{ClusterResourceScope, ListableResource, Metadata, Resource};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Lets a machine that has the secret join the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinToken {
    /// `skein.dev/v1`.
    #[serde(default = "api_version")]
    api_version: Cow<'static, str>,
    /// `JoinToken`.
    #[serde(default = "kind")]
    kind: Cow<'static, str>,
    /// Standard metadata; the name is the token's id.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the token allows.
    #[serde(default)]
    pub spec: JoinTokenSpec,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<JoinTokenStatus>,
}

/// What a token allows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JoinTokenSpec {
    /// SHA-256 of the secret, in hexadecimal.
    pub secret_hash: String,
    /// When it stops to be accepted; never when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// True when somebody revoked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<bool>,
}

/// What became of a token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JoinTokenStatus {
    /// How many machines joined with it.
    pub uses: i64,
    /// When one last did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Time>,
}

impl JoinToken {
    /// A token of that id.
    pub fn new(name: &str, spec: JoinTokenSpec) -> Self {
        Self {
            api_version: api_version(),
            kind: kind(),
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            spec,
            status: None,
        }
    }
}

fn api_version() -> Cow<'static, str> {
    Cow::Borrowed(JoinToken::API_VERSION)
}

fn kind() -> Cow<'static, str> {
    Cow::Borrowed(JoinToken::KIND)
}

impl Resource for JoinToken {
    const API_VERSION: &'static str = "skein.dev/v1";
    const GROUP: &'static str = "skein.dev";
    const KIND: &'static str = "JoinToken";
    const VERSION: &'static str = "v1";
    const URL_PATH_SEGMENT: &'static str = "jointokens";
    type Scope = ClusterResourceScope;
}

impl ListableResource for JoinToken {
    const LIST_KIND: &'static str = "JoinTokenList";
}

impl Metadata for JoinToken {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl JsonSchema for JoinToken {
    fn schema_name() -> Cow<'static, str> {
        "dev.skein.v1.JoinToken".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let metadata = generator.subschema_for::<ObjectMeta>();
        json_schema!({
            "description": "JoinToken lets a machine that has the secret join the cluster.",
            "type": "object",
            "properties": {
                "apiVersion": {"description": "Always skein.dev/v1.", "type": "string"},
                "kind": {"description": "Always JoinToken.", "type": "string"},
                "metadata": metadata,
                "spec": {
                    "description": "What the token allows.",
                    "type": "object",
                    "properties": {
                        "secretHash": {"description": "SHA-256 of the secret, in hexadecimal.", "type": "string"},
                        "expires": {"description": "When it stops to be accepted; never when absent.", "type": "string", "format": "date-time"},
                        "description": {"description": "What it is for.", "type": "string"},
                        "revoked": {"description": "True when somebody revoked it.", "type": "boolean"}
                    },
                    "required": ["secretHash"]
                },
                "status": {
                    "description": "What became of it.",
                    "type": "object",
                    "properties": {
                        "uses": {"description": "How many machines joined with it.", "type": "integer", "format": "int64"},
                        "lastUsed": {"description": "When one last did.", "type": "string", "format": "date-time"}
                    }
                }
            },
            "required": ["spec"]
        })
    }
}
