//! What roles allow whom they are bound to (`rbac.authorization.k8s.io/v1`), as Kubernetes reads
//! them.

use k8s_openapi::{
    Resource,
    api::{
        core::v1::ServiceAccount,
        rbac::v1::{
            ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
        },
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use skein_consensus::{Consistency, ListOptions};
use skein_objects::{Reason, StatusError, registry};
use skein_storage::Storage;

use super::{Action, Object};
use crate::{identity::Identity, tokens};

/// Stands for all there are.
const ALL: &str = "*";

/// The group of roles and bindings.
const GROUP: &str = Role::GROUP;

/// What somebody may do in a namespace, or in the cluster as a whole.
#[derive(Debug)]
pub(crate) struct Rules(Vec<PolicyRule>);

impl Rules {
    /// The rules of every role that is bound to the client there. They are those of the nearest
    /// replica, which may be a moment old.
    pub(crate) async fn of(
        storage: &Storage,
        identity: &Identity,
        namespace: &str,
    ) -> Result<Self, StatusError> {
        let mut rules = Vec::new();
        for binding in list::<ClusterRoleBinding>(storage, None).await? {
            if binds(binding.subjects.as_deref(), identity, "") {
                rules.extend(of_role(storage, &binding.role_ref, "").await?);
            }
        }
        if !namespace.is_empty() {
            for binding in list::<RoleBinding>(storage, Some(namespace)).await? {
                if binds(binding.subjects.as_deref(), identity, namespace) {
                    rules.extend(of_role(storage, &binding.role_ref, namespace).await?);
                }
            }
        }
        Ok(Self(rules))
    }

    /// Whether one of them allows this.
    pub(crate) fn allow(&self, action: &Action<'_>) -> bool {
        self.0.iter().any(|rule| allows(rule, action))
    }

    /// The rules as the status of a `SelfSubjectRulesReview`.
    pub(crate) fn review(&self) -> Value {
        let (paths, resources): (Vec<&PolicyRule>, Vec<&PolicyRule>) =
            self.0.iter().partition(|rule| rule.non_resource_urls.is_some());
        let resource = |rule: &&PolicyRule| {
            json!({"verbs": rule.verbs, "apiGroups": rule.api_groups,
                "resources": rule.resources, "resourceNames": rule.resource_names})
        };
        let path = |rule: &&PolicyRule| json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls});
        json!({
            "resourceRules": resources.iter().map(resource).collect::<Vec<_>>(),
            "nonResourceRules": paths.iter().map(path).collect::<Vec<_>>(),
            "incomplete": false,
        })
    }
}

/// What else it takes to do this.
///
/// To write roles and bindings: the verbs that Kubernetes has for giving somebody what one has not
/// oneself. There, who has all that a role allows needs none of them; that is not looked at here.
/// To talk to a process or a port: as much as to make something, whatever the method, as since
/// Kubernetes 1.35.
pub(super) fn beyond<'a>(action: &Action<'a>) -> Vec<Action<'a>> {
    if let Object::Resource { subresource: "exec" | "attach" | "portforward", .. } = action.object {
        return vec![Action { verb: "create", ..*action }];
    }
    let Object::Resource { group: GROUP, resource, namespace, .. } = action.object else {
        return Vec::new();
    };
    if !matches!(action.verb, "create" | "update" | "patch") {
        return Vec::new();
    }
    let (verb, roles): (&str, &[&str]) = match resource {
        "roles" => ("escalate", &["roles"]),
        "clusterroles" => ("escalate", &["clusterroles"]),
        "rolebindings" => ("bind", &["roles", "clusterroles"]),
        "clusterrolebindings" => ("bind", &["clusterroles"]),
        _ => return Vec::new(),
    };
    let needed = |resource: &&'static str| {
        let (group, subresource, name) = (GROUP, "", "");
        Action { verb, object: Object::Resource { group, resource, subresource, namespace, name } }
    };
    roles.iter().map(needed).collect()
}

async fn list<T>(storage: &Storage, namespace: Option<&str>) -> Result<Vec<T>, StatusError>
where
    T: Resource + DeserializeOwned,
{
    let kind = registry().of::<T>();
    let all = storage.list(kind, namespace, ListOptions::default(), Consistency::Any).await?;
    all.objects().map(|object| object.decode()).collect()
}

/// The rules of the role a binding is about; none where there is no such role.
async fn of_role(
    storage: &Storage,
    role: &RoleRef,
    namespace: &str,
) -> Result<Vec<PolicyRule>, StatusError> {
    let rules = if role.kind == Role::KIND {
        get::<Role>(storage, namespace, &role.name).await?.map(|role| role.rules)
    } else {
        get::<ClusterRole>(storage, "", &role.name).await?.map(|role| role.rules)
    };
    Ok(rules.flatten().unwrap_or_default())
}

async fn get<T>(storage: &Storage, namespace: &str, name: &str) -> Result<Option<T>, StatusError>
where
    T: Resource + DeserializeOwned,
{
    match storage.get(registry().of::<T>(), namespace, name, Consistency::Any).await {
        Ok(object) => Ok(Some(object.decode()?)),
        Err(error) if error.reason == Reason::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a binding in a namespace, or of the cluster, is about the client.
fn binds(subjects: Option<&[Subject]>, identity: &Identity, namespace: &str) -> bool {
    subjects.unwrap_or_default().iter().any(|subject| match subject.kind.as_str() {
        "User" => subject.name == identity.user,
        "Group" => identity.all_groups().any(|group| group == subject.name),
        ServiceAccount::KIND => {
            let own = subject.namespace.as_deref().filter(|own| !own.is_empty());
            tokens::user(own.unwrap_or(namespace), &subject.name) == identity.user
        }
        _ => false,
    })
}

fn allows(rule: &PolicyRule, action: &Action<'_>) -> bool {
    let has = |list: &Option<Vec<String>>, wanted: &str| {
        list.iter().flatten().any(|one| one == ALL || one == wanted)
    };
    if !rule.verbs.iter().any(|one| one == ALL || one == action.verb) {
        return false;
    }
    match action.object {
        Object::Path(path) => {
            let covers = |one: &String| match one.strip_suffix(ALL) {
                Some(start) => path.starts_with(start),
                None => one == path,
            };
            rule.non_resource_urls.iter().flatten().any(covers)
        }
        Object::Resource { group, resource, subresource, name, .. } => {
            let is_named = match rule.resource_names.as_deref() {
                None | Some([]) => true,
                Some(names) => names.iter().any(|one| one == name),
            };
            let covers = |one: &String| match one.split_once('/') {
                None => one == ALL || (one == resource && subresource.is_empty()),
                Some((of, part)) => part == subresource && (of == ALL || of == resource),
            };
            has(&rule.api_groups, group) && rule.resources.iter().flatten().any(covers) && is_named
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> Rules {
        let texts = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        Rules(vec![PolicyRule {
            api_groups: Some(texts(groups)),
            non_resource_urls: None,
            resource_names: Some(texts(names)),
            resources: Some(texts(resources)),
            verbs: texts(verbs),
        }])
    }

    fn action<'a>(
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        subresource: &'a str,
        name: &'a str,
    ) -> Action<'a> {
        let namespace = "shop";
        Action { verb, object: Object::Resource { group, resource, subresource, namespace, name } }
    }

    #[test]
    fn a_rule_allows_what_it_names() {
        let reading = rule(&["get", "list"], &[""], &["pods"], &[]);
        let logs = rule(&["get"], &[""], &["pods/log"], &[]);
        let parts = rule(&["*"], &["*"], &["*/scale"], &[]);
        let one = rule(&["update"], &[""], &["configmaps"], &["settings"]);
        let all = rule(&["*"], &["*"], &["*"], &[]);
        let cases = [
            (&reading, action("get", "", "pods", "", "web"), true),
            (&reading, action("delete", "", "pods", "", "web"), false),
            (&reading, action("get", "apps", "pods", "", "web"), false),
            (&reading, action("get", "", "pods", "log", "web"), false),
            (&logs, action("get", "", "pods", "log", "web"), true),
            (&logs, action("get", "", "pods", "", "web"), false),
            (&parts, action("patch", "apps", "deployments", "scale", "web"), true),
            (&parts, action("patch", "apps", "deployments", "", "web"), false),
            (&one, action("update", "", "configmaps", "", "settings"), true),
            (&one, action("update", "", "configmaps", "", "other"), false),
            (&one, action("list", "", "configmaps", "", ""), false),
            (&all, action("create", "", "pods", "exec", "web"), true),
        ];
        for (rules, action, allowed) in cases {
            assert_eq!(rules.allow(&action), allowed, "{rules:?} {action:?}");
        }
    }

    #[test]
    fn paths_are_allowed_by_themselves_or_by_their_beginning() {
        let rules = Rules(vec![PolicyRule {
            non_resource_urls: Some(vec!["/metrics".to_owned(), "/openapi/*".to_owned()]),
            verbs: vec!["get".to_owned()],
            ..PolicyRule::default()
        }]);
        for (verb, path, allowed) in [
            ("get", "/metrics", true),
            ("get", "/metrics/", false),
            ("get", "/openapi/v3", true),
            ("post", "/openapi/v3", false),
            ("get", "/skein/v1/kubeconfig", false),
        ] {
            let action = Action { verb, object: Object::Path(path) };
            assert_eq!(rules.allow(&action), allowed, "{verb} {path}");
        }
    }

    #[test]
    fn nobody_gives_himself_more_than_he_has() {
        let cases: [(&str, &[(&str, &str)]); 4] = [
            ("roles", &[("escalate", "roles")]),
            ("clusterroles", &[("escalate", "clusterroles")]),
            ("rolebindings", &[("bind", "roles"), ("bind", "clusterroles")]),
            ("clusterrolebindings", &[("bind", "clusterroles")]),
        ];
        for (resource, needed) in cases {
            let needed: Vec<_> =
                needed.iter().map(|(verb, of)| action(verb, GROUP, of, "", "")).collect();
            for verb in ["create", "update", "patch"] {
                assert_eq!(beyond(&action(verb, GROUP, resource, "", "mine")), needed);
            }
            assert_eq!(beyond(&action("delete", GROUP, resource, "", "mine")), []);
        }
        assert_eq!(beyond(&action("create", "", "roles", "", "mine")), []);
    }

    #[test]
    fn who_talks_to_a_process_may_make_something() {
        for part in ["exec", "attach", "portforward"] {
            let wanted = action("create", "", "pods", part, "web");
            assert_eq!(beyond(&action("get", "", "pods", part, "web")), [wanted]);
        }
        assert_eq!(beyond(&action("get", "", "pods", "log", "web")), []);
    }

    #[test]
    fn a_binding_is_about_its_subjects() {
        let identity = Identity {
            user: tokens::user("shop", "web"),
            groups: vec!["system:serviceaccounts:shop".to_owned()],
            ..Identity::default()
        };
        let subject = |kind: &str, namespace: Option<&str>, name: &str| Subject {
            api_group: None,
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
        };
        let cases = [
            (subject("ServiceAccount", Some("shop"), "web"), "", true),
            (subject("ServiceAccount", Some("other"), "web"), "shop", false),
            (subject("ServiceAccount", None, "web"), "shop", true),
            (subject("ServiceAccount", None, "web"), "other", false),
            (subject("User", None, "system:serviceaccount:shop:web"), "", true),
            (subject("User", None, "web"), "", false),
            (subject("Group", None, "system:serviceaccounts:shop"), "", true),
            (subject("Group", None, "system:authenticated"), "", true),
            (subject("Group", None, "system:masters"), "", false),
            (subject("User", None, "*"), "", false),
        ];
        for (subject, namespace, expected) in cases {
            let subjects = [subject];
            assert_eq!(binds(Some(&subjects), &identity, namespace), expected, "{subjects:?}");
        }
        assert!(!binds(None, &identity, "shop"));
    }
}
