//! The kinds the cluster serves, and the words people use for them.

use kube::core::discovery::v2::{
    ACCEPT_AGGREGATED_DISCOVERY_V2, APIGroupDiscoveryList, APIResourceDiscovery,
};

use crate::connection::Connection;
use crate::exit::UsageError;
use crate::request::{RequestError, segment};

/// A kind, and where its objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiKind {
    group: String,
    version: String,
    /// As in a manifest: `Deployment`.
    pub(crate) kind: String,
    plural: String,
    singular: String,
    short_names: Vec<String>,
    categories: Vec<String>,
    /// Whether its objects lie in a namespace.
    pub(crate) namespaced: bool,
    verbs: Vec<String>,
}

/// All kinds of a cluster, in the order it prefers them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kinds(Vec<ApiKind>);

impl ApiKind {
    /// The `apiVersion` of a manifest.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// As kubectl names it before an object's name: `pod`, `deployment.apps`.
    pub(crate) fn label(&self) -> String {
        if self.group.is_empty() {
            self.singular.clone()
        } else {
            format!("{}.{}", self.singular, self.group)
        }
    }

    /// The path of its objects; `None` means every namespace.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/namespaces/{}/{}", segment(namespace), self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    /// The path of one object.
    pub(crate) fn object_path(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.path(Some(namespace)), segment(name))
    }

    /// Whether objects of it can be listed; some kinds are only posted.
    pub(crate) fn is_listed(&self) -> bool {
        self.verbs.iter().any(|verb| verb == "list")
    }

    fn is_called(&self, word: &str) -> bool {
        let (name, group) =
            word.split_once('.').map_or((word, None), |(name, group)| (name, Some(group)));
        let group_fits =
            group.is_none_or(|group| group == self.group || group == self.api_group_version());
        group_fits
            && (name == self.plural
                || name == self.singular
                || name == self.kind.to_lowercase()
                || self.short_names.iter().any(|short| short == name))
    }

    /// As in `deployments.v1.apps`.
    fn api_group_version(&self) -> String {
        format!("{}.{}", self.version, self.group)
    }
}

impl Kinds {
    /// Asks the cluster.
    pub(crate) async fn discover(connection: &Connection) -> Result<Self, RequestError> {
        let mut kinds = Vec::new();
        for path in ["/api", "/apis"] {
            let answer = connection.get_as(path, ACCEPT_AGGREGATED_DISCOVERY_V2).await?;
            let list: APIGroupDiscoveryList =
                serde_json::from_value(answer).map_err(|error| RequestError::Garbled {
                    node: connection.context.clone(),
                    reason: error.to_string(),
                })?;
            kinds.extend(from_document(list));
        }
        Ok(Kinds(kinds))
    }

    /// What `word` names: a plural, singular, short or kind name, perhaps with a group.
    pub(crate) fn find(&self, word: &str) -> Result<&ApiKind, UsageError> {
        let word = word.to_lowercase();
        self.0.iter().find(|kind| kind.is_called(&word)).ok_or_else(|| self.unknown(&word))
    }

    /// As [`Kinds::find`], but a category such as `all` names several.
    pub(crate) fn find_all(&self, word: &str) -> Result<Vec<&ApiKind>, UsageError> {
        let word = word.to_lowercase();
        let of_category: Vec<&ApiKind> = self
            .0
            .iter()
            .filter(|kind| kind.categories.contains(&word) && kind.is_listed())
            .collect();
        if of_category.is_empty() { Ok(vec![self.find(&word)?]) } else { Ok(of_category) }
    }

    /// The kind of a manifest.
    pub(crate) fn of(&self, api_version: &str, kind: &str) -> Result<&ApiKind, UsageError> {
        self.0
            .iter()
            .find(|known| known.kind == kind && known.api_version() == api_version)
            .ok_or_else(|| {
                let elsewhere = self.0.iter().find(|known| known.kind == kind);
                let hint = elsewhere
                    .map(|known| format!("; it has {kind} in {}", known.api_version()))
                    .unwrap_or_default();
                UsageError::new(format!("the cluster knows no {kind} in {api_version}{hint}"))
            })
    }

    fn unknown(&self, word: &str) -> UsageError {
        let known: Vec<String> = self
            .0
            .iter()
            .filter(|kind| kind.is_listed())
            .map(|kind| match kind.short_names.first() {
                Some(short) => format!("{} ({short})", kind.plural),
                None => kind.plural.clone(),
            })
            .collect();
        UsageError::new(format!(
            "the cluster knows no kind {word:?}; it knows: {}",
            known.join(", ")
        ))
    }
}

fn from_document(list: APIGroupDiscoveryList) -> Vec<ApiKind> {
    let mut kinds = Vec::new();
    for group in list.items {
        let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
        for version in group.versions {
            let number = version.version.unwrap_or_default();
            let found = version.resources.into_iter();
            kinds.extend(found.filter_map(|resource| from_resource(&name, &number, resource)));
        }
    }
    kinds
}

fn from_resource(group: &str, version: &str, resource: APIResourceDiscovery) -> Option<ApiKind> {
    let kind = resource.response_kind?.kind?;
    let plural = resource.resource?;
    Some(ApiKind {
        group: group.to_owned(),
        version: version.to_owned(),
        singular: resource
            .singular_resource
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| kind.to_lowercase()),
        kind,
        plural,
        short_names: resource.short_names,
        categories: resource.categories,
        namespaced: resource.scope.as_deref() == Some("Namespaced"),
        verbs: resource.verbs,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resource(kind: &str, plural: &str, short: &[&str], scope: &str) -> Value {
        json!({
            "resource": plural, "responseKind": {"kind": kind}, "scope": scope,
            "singularResource": kind.to_lowercase(), "shortNames": short,
            "categories": if scope == "Namespaced" { vec!["all"] } else { vec![] },
            "verbs": ["get", "list", "watch"],
        })
    }

    /// The kinds that tests of other modules use as well.
    pub(crate) fn kinds() -> Kinds {
        let group = |name: &str, resources: Vec<Value>| {
            json!({
                "metadata": {"name": name}, "versions": [{"version": "v1", "resources": resources}],
            })
        };
        let core = group(
            "",
            vec![
                resource("Pod", "pods", &["po"], "Namespaced"),
                resource("Node", "nodes", &["no"], "Cluster"),
            ],
        );
        let apps =
            group("apps", vec![resource("Deployment", "deployments", &["deploy"], "Namespaced")]);
        let list = serde_json::from_value(json!({"items": [core, apps]})).unwrap();
        Kinds(from_document(list))
    }

    #[test]
    fn a_kind_has_many_names() {
        let kinds = kinds();
        for word in [
            "deployments",
            "deployment",
            "deploy",
            "Deployment",
            "deployments.apps",
            "deploy.v1.apps",
        ] {
            assert_eq!(kinds.find(word).unwrap().label(), "deployment.apps", "{word}");
        }
        assert!(kinds.find("pods.apps").is_err());
    }

    #[test]
    fn a_category_names_all_its_kinds() {
        let labels: Vec<String> =
            kinds().find_all("all").unwrap().into_iter().map(ApiKind::label).collect();
        assert_eq!(labels, ["pod", "deployment.apps"]);
    }

    #[test]
    fn paths_follow_group_and_scope() {
        let kinds = kinds();
        let path = |word, namespace| kinds.find(word).unwrap().path(namespace);
        assert_eq!(path("po", Some("web")), "/api/v1/namespaces/web/pods");
        assert_eq!(path("po", None), "/api/v1/pods");
        assert_eq!(path("no", Some("web")), "/api/v1/nodes");
        assert_eq!(path("deploy", Some("web")), "/apis/apps/v1/namespaces/web/deployments");
    }

    #[test]
    fn unknown_words_are_answered_with_the_known() {
        assert_eq!(
            kinds().find("gadget").unwrap_err().to_string(),
            "the cluster knows no kind \"gadget\"; it knows: pods (po), nodes (no), deployments (deploy)"
        );
        assert_eq!(
            kinds().of("apps/v1beta1", "Deployment").unwrap_err().to_string(),
            "the cluster knows no Deployment in apps/v1beta1; it has Deployment in apps/v1"
        );
    }
}
