//! What the status of a definition should say. Pure.

use std::sync::Arc;

use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionNames,
        CustomResourceDefinitionStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};

pub(super) type Status = CustomResourceDefinitionStatus;

/// The names of a definition are accepted when no other of its group has one of them; with the
/// first acceptance it is established, and stays so.
pub(super) fn status(
    definition: &CustomResourceDefinition,
    all: &[Arc<CustomResourceDefinition>],
    now: Timestamp,
) -> Status {
    let mut status = definition.status.clone().unwrap_or_default();
    let names = &definition.spec.names;
    let others = all.iter().filter(|other| {
        other.spec.group == definition.spec.group && other.metadata.name != definition.metadata.name
    });
    let taken = others
        .filter_map(|other| other.status.as_ref()?.accepted_names.as_ref())
        .find_map(|accepted| conflict(names, accepted));
    match taken {
        None => {
            status.accepted_names = Some(names.clone());
            set(&mut status, "NamesAccepted", true, "NoConflicts", "no conflicts found", now);
            let message = "the initial names have been accepted";
            set(&mut status, "Established", true, "InitialNamesAccepted", message, now);
        }
        Some((reason, name)) => {
            let message = format!("{name:?} is already in use");
            set(&mut status, "NamesAccepted", false, reason, &message, now);
            let is_established =
                status.conditions.iter().flatten().any(|condition| {
                    condition.type_ == "Established" && condition.status == "True"
                });
            if !is_established {
                let message = "not all names are accepted";
                set(&mut status, "Established", false, "NotAccepted", message, now);
            }
        }
    }
    status
}

/// The status of a definition without objects, which may go.
pub(super) fn emptied(definition: &CustomResourceDefinition, now: Timestamp) -> Status {
    let mut status = definition.status.clone().unwrap_or_default();
    let message = "removed all instances";
    set(&mut status, "Terminating", false, "InstanceDeletionCompleted", message, now);
    status
}

/// The first name that both have, and which of them it is.
fn conflict<'n>(
    names: &'n CustomResourceDefinitionNames,
    accepted: &CustomResourceDefinitionNames,
) -> Option<(&'static str, &'n str)> {
    let short =
        |names: &CustomResourceDefinitionNames| names.short_names.clone().unwrap_or_default();
    let singular = |names: &'_ CustomResourceDefinitionNames| names.singular.clone();
    let resources: Vec<String> = [accepted.plural.clone()]
        .into_iter()
        .chain(singular(accepted))
        .chain(short(accepted))
        .collect();
    let kinds = [Some(&accepted.kind), accepted.list_kind.as_ref()];
    let is_resource = |name: &&str| resources.iter().any(|taken| taken == name);
    let is_kind = |name: &&str| kinds.iter().flatten().any(|taken| taken == name);
    let short_names = names.short_names.iter().flatten().map(String::as_str);
    let first = |reason, name: Option<&'n str>| name.map(|name| (reason, name));
    first("PluralConflict", Some(names.plural.as_str()).filter(is_resource))
        .or_else(|| first("SingularConflict", names.singular.as_deref().filter(is_resource)))
        .or_else(|| first("ShortNamesConflict", short_names.clone().find(is_resource)))
        .or_else(|| first("KindConflict", Some(names.kind.as_str()).filter(is_kind)))
        .or_else(|| first("ListKindConflict", names.list_kind.as_deref().filter(is_kind)))
}

fn set(status: &mut Status, name: &str, holds: bool, reason: &str, message: &str, now: Timestamp) {
    let value = if holds { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let former = conditions.iter_mut().find(|condition| condition.type_ == name);
    let same = former.as_ref().is_some_and(|former| former.status == value);
    let since = former.as_ref().and_then(|former| former.last_transition_time.clone());
    // Kubernetes' times have whole seconds, and so has what is read back.
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let condition = CustomResourceDefinitionCondition {
        type_: name.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: since.filter(|_| same).or(Some(Time(second))),
        ..CustomResourceDefinitionCondition::default()
    };
    match former {
        Some(former) => *former = condition,
        None => conditions.push(condition),
    }
}
