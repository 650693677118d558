//! Audit policies (`Policy` of `audit.k8s.io/v1`): which requests are noted, and how much of them.

use serde::{Deserialize, Serialize};
use skein_objects::{MediaType, parse};

use crate::{
    access::{Action, Object},
    identity::Identity,
};

/// How much of a request is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Level {
    /// Nothing.
    None,
    /// Who asked for what, and how it was answered.
    Metadata,
    /// The object of the request as well.
    Request,
    /// The object of the answer as well.
    RequestResponse,
}

/// A moment in the life of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// It is known what is asked, and nothing is done yet.
    RequestReceived,
    /// An answer has begun that goes on.
    ResponseStarted,
    /// The answer is complete.
    ResponseComplete,
    /// In Kubernetes, a request during which the server panicked; here there are none.
    Panic,
}

/// A policy, as its file has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Policy {
    api_version: String,
    kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: serde::de::IgnoredAny,
    rules: Vec<Rule>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    #[serde(default)]
    omit_managed_fields: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    level: Level,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    resources: Vec<Resources>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    omit_managed_fields: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resources {
    #[serde(default)]
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

/// What a policy says about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) level: Level,
    pub(super) omitted: Vec<Stage>,
    pub(super) omit_managed_fields: bool,
}

impl Policy {
    /// Reads a policy in YAML or JSON.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let value = parse(bytes, MediaType::Yaml).map_err(|error| error.message)?;
        let policy: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if (policy.api_version.as_str(), policy.kind.as_str()) != ("audit.k8s.io/v1", "Policy") {
            return Err(format!(
                "it is a {} of {}, not a Policy of audit.k8s.io/v1",
                policy.kind, policy.api_version
            ));
        }
        for (place, rule) in policy.rules.iter().enumerate() {
            let about_objects = !rule.resources.is_empty() || !rule.namespaces.is_empty();
            if about_objects && !rule.non_resource_urls.is_empty() {
                return Err(format!(
                    "rules[{place}].nonResourceURLs: rules cannot apply to both regular resources \
                     and non-resource URLs"
                ));
            }
        }
        Ok(policy)
    }

    /// The first rule that fits decides; what none fits is not noted.
    pub(super) fn decide(&self, identity: &Identity, action: &Action<'_>) -> Decision {
        let rule = self.rules.iter().find(|rule| rule.fits(identity, action));
        let own = rule.map(|rule| rule.omit_stages.as_slice()).unwrap_or_default();
        Decision {
            level: rule.map_or(Level::None, |rule| rule.level),
            omitted: self.omit_stages.iter().chain(own).copied().collect(),
            omit_managed_fields: rule
                .and_then(|rule| rule.omit_managed_fields)
                .unwrap_or(self.omit_managed_fields),
        }
    }
}

impl Rule {
    fn fits(&self, identity: &Identity, action: &Action<'_>) -> bool {
        let names = |list: &[String], one: &str| list.iter().any(|named| named == one);
        if !self.users.is_empty() && !names(&self.users, &identity.user) {
            return false;
        }
        if !self.user_groups.is_empty()
            && !identity.all_groups().any(|group| names(&self.user_groups, group))
        {
            return false;
        }
        if !self.verbs.is_empty() && !names(&self.verbs, action.verb) {
            return false;
        }
        match action.object {
            Object::Path(path) => {
                let about_objects = !self.resources.is_empty() || !self.namespaces.is_empty();
                let covers = |url: &String| match url.strip_suffix('*') {
                    Some(start) => path.starts_with(start),
                    None => url == path,
                };
                let urls = &self.non_resource_urls;
                !about_objects && (urls.is_empty() || urls.iter().any(covers))
            }
            Object::Resource { namespace, .. } => {
                self.non_resource_urls.is_empty()
                    && (self.namespaces.is_empty() || names(&self.namespaces, namespace))
                    && (self.resources.is_empty()
                        || self.resources.iter().any(|one| one.fit(&action.object)))
            }
        }
    }
}

impl Resources {
    fn fit(&self, object: &Object<'_>) -> bool {
        let Object::Resource { group, resource, subresource, name, .. } = *object else {
            return false;
        };
        let covers = |one: &String| match one.split_once('/') {
            None => one == "*" || (one == resource && subresource.is_empty()),
            // Kubernetes takes all parts of a resource for the resource itself, too.
            Some((of, "*")) => of == resource,
            Some((of, part)) => part == subresource && (of == "*" || of == resource),
        };
        let is_named =
            self.resource_names.is_empty() || self.resource_names.iter().any(|one| one == name);
        self.group == group
            && (self.resources.is_empty() || (is_named && self.resources.iter().any(covers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
metadata: {name: usual}
omitStages: [RequestReceived]
rules:
- level: None
  users: ['system:probe']
  verbs: [get, watch]
- level: None
  nonResourceURLs: ['/healthz*', /version]
- level: Metadata
  resources:
  - {resources: [secrets, configmaps]}
- level: Request
  omitStages: [ResponseStarted]
  omitManagedFields: true
  resources:
  - {resources: ['pods/*', '*/scale']}
  - {group: apps, resources: ['*'], resourceNames: [web]}
- level: RequestResponse
  namespaces: [shop]
- level: Metadata
  userGroups: ['system:masters']
";

    fn level(user: &str, verb: &str, object: Object<'_>) -> Level {
        let identity = Identity {
            user: user.to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..Identity::default()
        };
        let policy = Policy::read(POLICY.as_bytes()).unwrap();
        policy.decide(&identity, &Action { verb, object }).level
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let of = |group, resource, subresource, namespace, name| Object::Resource {
            group,
            resource,
            subresource,
            namespace,
            name,
        };
        let cases = [
            ("system:probe", "get", of("", "secrets", "", "shop", "a"), Level::None),
            ("system:probe", "update", of("", "secrets", "", "shop", "a"), Level::Metadata),
            ("jo", "get", Object::Path("/healthz/ping"), Level::None),
            ("jo", "get", Object::Path("/version"), Level::None),
            ("jo", "get", Object::Path("/versions"), Level::Metadata),
            ("jo", "get", of("", "configmaps", "", "shop", "a"), Level::Metadata),
            ("jo", "get", of("x.com", "configmaps", "", "shop", "a"), Level::RequestResponse),
            ("jo", "create", of("", "pods", "exec", "shop", "a"), Level::Request),
            ("jo", "create", of("", "pods", "", "shop", "a"), Level::Request),
            ("jo", "create", of("", "services", "", "shop", "a"), Level::RequestResponse),
            ("jo", "create", of("", "services", "", "other", "a"), Level::Metadata),
            ("jo", "patch", of("apps", "deployments", "", "other", "web"), Level::Request),
            ("jo", "patch", of("apps", "deployments", "scale", "other", "web"), Level::Request),
            ("jo", "patch", of("apps", "deployments", "", "other", "db"), Level::Metadata),
        ];
        for (user, verb, object, expected) in cases {
            assert_eq!(level(user, verb, object), expected, "{user} {verb} {object:?}");
        }
    }

    #[test]
    fn stages_are_omitted_by_the_policy_and_by_the_rule() {
        let policy = Policy::read(POLICY.as_bytes()).unwrap();
        let object = Object::Resource {
            group: "",
            resource: "pods",
            subresource: "log",
            namespace: "other",
            name: "web",
        };
        let decision = policy.decide(&Identity::default(), &Action { verb: "get", object });
        assert_eq!(decision.omitted, [Stage::RequestReceived, Stage::ResponseStarted]);
        assert!(decision.omit_managed_fields);
        let action = Action { verb: "get", object: Object::Path("/metrics") };
        let decision = policy.decide(&Identity::default(), &action);
        assert_eq!(decision.level, Level::None, "no rule fits");
    }

    #[test]
    fn a_policy_that_cannot_be_meant_is_refused() {
        let policy = |rules: &str| format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rules}");
        let cases = [
            ("kind: Policy\nrules: []".to_owned(), "apiVersion"),
            ("apiVersion: v1\nkind: Pod\nrules: []".to_owned(), "it is a Pod of v1"),
            (policy(""), "rules"),
            (policy("rules: [{level: All}]"), "All"),
            (policy("rules: [{level: None, user: [a]}]"), "user"),
            (policy("omitStages: [End]\nrules: []"), "End"),
            (
                policy("rules: [{level: None, namespaces: [a], nonResourceURLs: [/a]}]"),
                "rules[0].nonResourceURLs",
            ),
            ("a: [".to_owned(), ""),
        ];
        for (text, fault) in cases {
            let error = Policy::read(text.as_bytes()).unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
        }
    }
}
