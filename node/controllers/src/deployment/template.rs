//! Pod templates: telling them apart and naming them.

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::PodTemplateSpec,
};

/// The label that keeps the pods of one template apart from those of another.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// No vowels and nothing that looks like another character, so that no word is ever spelled.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Digits of a hash: 27^10 is beyond 2^47, far more than one deployment's history needs.
const HASH_DIGITS: usize = 10;

/// The deployment's template; the empty one where it has none.
pub(super) fn of_deployment(deployment: &Deployment) -> PodTemplateSpec {
    deployment.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default()
}

/// Whether the set was made from this template.
pub(super) fn is_from(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let own = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    without_hash(own) == without_hash(template.clone())
}

/// Names a template: equal templates with equal collision counts have equal hashes, on every node
/// and in every release.
pub(super) fn hash(template: &PodTemplateSpec, collisions: i32) -> String {
    // Serialising derived structures of strings, numbers and ordered maps cannot fail; were it to,
    // the template would hash as empty and the collision count would still keep names apart.
    let bytes = serde_json::to_vec(&without_hash(template.clone())).unwrap_or_default();
    let mut state = fnv1a(0xcbf2_9ce4_8422_2325, &bytes);
    if collisions > 0 {
        state = fnv1a(state, &collisions.to_le_bytes());
    }
    let mut digits = String::with_capacity(HASH_DIGITS);
    for _ in 0..HASH_DIGITS {
        digits.push(char::from(ALPHABET[(state % 27) as usize]));
        state /= 27;
    }
    digits
}

/// FNV-1a, 64 bits: stable and small; nothing here needs resistance against attacks, since the
/// worst collision costs one retry under another count.
fn fnv1a(seed: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(seed, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn without_hash(mut template: PodTemplateSpec) -> PodTemplateSpec {
    if let Some(meta) = template.metadata.as_mut() {
        if let Some(labels) = meta.labels.as_mut() {
            labels.remove(HASH_LABEL);
        }
        meta.labels = meta.labels.take().filter(|labels| !labels.is_empty());
        meta.creation_timestamp = None;
    }
    template
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::{
        api::core::v1::{Container, PodSpec},
        apimachinery::pkg::apis::meta::v1::ObjectMeta,
    };

    use super::*;

    fn template(image: &str, labels: &[(&str, &str)]) -> PodTemplateSpec {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let container =
            Container { name: "c".into(), image: Some(image.into()), ..Container::default() };
        PodTemplateSpec {
            metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
            spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
        }
    }

    #[test]
    fn the_hash_depends_on_the_template_and_the_collisions_only() {
        let plain = template("a:1", &[("app", "web")]);
        let labelled = template("a:1", &[("app", "web"), (HASH_LABEL, "x")]);
        assert_eq!(hash(&plain, 0), hash(&labelled, 0));
        assert_ne!(hash(&plain, 0), hash(&plain, 1));
        assert_ne!(hash(&plain, 0), hash(&template("a:2", &[("app", "web")]), 0));
    }

    #[test]
    fn the_hash_never_changes_between_releases() {
        assert_eq!(hash(&template("a:1", &[("app", "web")]), 0), "8zh4jz7mv7");
    }
}
