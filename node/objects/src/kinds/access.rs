//! Roles and who has them.

use serde_json::Value;

use super::selectors;
use crate::field::{Errors, Field};
use crate::podspec::{items, member, require_text, set_text};
use crate::strategy::{NameRule, Strategy};

const RBAC: &str = "rbac.authorization.k8s.io";

/// Roles and cluster roles.
pub(crate) struct RoleStrategy;

impl Strategy for RoleStrategy {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let metadata = object.get("metadata");
        let namespaced = metadata.get("namespace").is_set();
        let rules = object.get("rules");
        for rule in rules.items() {
            validate_rule(&rule, namespaced, errors);
        }
        let aggregation = object.get("aggregationRule");
        let chosen = aggregation.get("clusterRoleSelectors");
        if aggregation.is_set() && chosen.is_empty() {
            errors.required(
                &chosen,
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            );
        }
        for selector in chosen.items() {
            selectors::validate(&selector, errors);
        }
    }
}

fn validate_rule(rule: &Field<'_>, namespaced: bool, errors: &mut Errors) {
    let (verbs, urls) = (rule.get("verbs"), rule.get("nonResourceURLs"));
    let (groups, resources) = (rule.get("apiGroups"), rule.get("resources"));
    if verbs.is_empty() {
        errors.required(&verbs, "verbs must contain at least one value");
    }
    if urls.is_empty() {
        if groups.is_empty() {
            errors.required(&groups, "resource rules must supply at least one api group");
        }
        if resources.is_empty() {
            errors.required(&resources, "resource rules must supply at least one resource");
        }
        return;
    }
    if namespaced {
        errors.invalid(&urls, "namespaced rules cannot apply to non-resource URLs");
    }
    let names = rule.get("resourceNames");
    if [&groups, &resources, &names].into_iter().any(|list| !list.is_empty()) {
        let fault = "rules cannot apply to both regular resources and non-resource URLs";
        errors.invalid(&urls, fault);
    }
}

/// Role bindings and cluster role bindings.
pub(crate) struct BindingStrategy;

impl Strategy for BindingStrategy {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn default(&self, object: &mut Value) {
        let Some(binding) = object.as_object_mut() else { return };
        if let Some(role) = member(binding, "roleRef") {
            set_text(role, "apiGroup", RBAC);
        }
        for subject in items(binding, "subjects") {
            if subject.get("kind").is_some_and(|kind| kind == "User" || kind == "Group") {
                set_text(subject, "apiGroup", RBAC);
            }
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let (metadata, role) = (object.get("metadata"), object.get("roleRef"));
        let group = role.get("apiGroup");
        if group.text() != RBAC {
            errors.not_supported(&group, &[RBAC]);
        }
        let kind = role.get("kind");
        let kinds: &[&str] = if metadata.get("namespace").is_set() {
            &["Role", "ClusterRole"]
        } else {
            &["ClusterRole"]
        };
        if !kinds.contains(&kind.text()) {
            errors.not_supported(&kind, kinds);
        }
        require_text(&role.get("name"), errors);
        let subjects = object.get("subjects");
        for subject in subjects.items() {
            require_text(&subject.get("name"), errors);
            let (kind, group) = (subject.get("kind"), subject.get("apiGroup"));
            match kind.text() {
                "ServiceAccount" => {
                    if !group.text().is_empty() {
                        errors.not_supported(&group, &[""]);
                    }
                    if !metadata.get("namespace").is_set() {
                        require_text(&subject.get("namespace"), errors);
                    }
                }
                "User" | "Group" => {
                    if group.text() != RBAC {
                        errors.not_supported(&group, &[RBAC]);
                    }
                }
                _ => errors.not_supported(&kind, &["ServiceAccount", "User", "Group"]),
            }
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (role, before) = (new.get("roleRef"), old.get("roleRef"));
        if role.value != before.value {
            errors.invalid(&role, "cannot change roleRef");
        }
    }
}
