//! The environment of a container.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVarSource};

use super::{ConfigError, FieldContext, SourceKind, Sources, expand::expand};

/// Environment, command and arguments with every reference replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Names and values, each name once, in order.
    pub(crate) env: Vec<(String, String)>,
    /// Command.
    pub(crate) command: Vec<String>,
    /// Arguments.
    pub(crate) args: Vec<String>,
}

/// Whether the environment of a container holds the address of its pod.
pub(crate) fn needs_pod_ip(container: &Container) -> bool {
    container.env.iter().flatten().any(|var| {
        let field = var.value_from.as_ref().and_then(|source| source.field_ref.as_ref());
        field.is_some_and(|field| field.field_path.starts_with("status.podIP"))
    })
}

/// Resolves the environment of `container`: `envFrom` first, then `env`, a later value of a name
/// replacing the earlier; `$(NAME)` sees what came before it.
pub(crate) fn resolve(
    container: &Container,
    sources: &Sources,
    fields: &FieldContext<'_>,
) -> Result<Resolved, ConfigError> {
    let mut env = Environment::default();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let source = if let Some(map) = &from.config_map_ref {
            Some((SourceKind::ConfigMap, &map.name, map.optional))
        } else {
            let secret = from.secret_ref.as_ref();
            secret.map(|secret| (SourceKind::Secret, &secret.name, secret.optional))
        };
        let Some((kind, name, optional)) = source else { continue };
        for (key, value) in sources.all(kind, name, optional == Some(true))?.into_iter().flatten() {
            env.set(&format!("{prefix}{key}"), text(value, "environment value")?);
        }
    }
    for var in container.env.iter().flatten() {
        let value = match &var.value_from {
            Some(source) => referred(source, container, sources, fields)?,
            None => {
                let value = var.value.as_deref().unwrap_or_default();
                Some(expand(value, |name| env.get(name)))
            }
        };
        if let Some(value) = value {
            env.set(&var.name, value);
        }
    }
    let expand_all = |list: &Option<Vec<String>>| -> Vec<String> {
        list.iter().flatten().map(|item| expand(item, |name| env.get(name))).collect()
    };
    let (command, args) = (expand_all(&container.command), expand_all(&container.args));
    Ok(Resolved { env: env.into_pairs(), command, args })
}

fn referred(
    source: &EnvVarSource,
    container: &Container,
    sources: &Sources,
    fields: &FieldContext<'_>,
) -> Result<Option<String>, ConfigError> {
    if let Some(field) = &source.field_ref {
        return fields.field(&field.field_path).map(Some);
    }
    if let Some(resource) = &source.resource_field_ref {
        return fields.resource(resource, Some(container)).map(Some);
    }
    let value = if let Some(key) = &source.config_map_key_ref {
        sources.key(SourceKind::ConfigMap, &key.name, &key.key, key.optional == Some(true))?
    } else if let Some(key) = &source.secret_key_ref {
        sources.key(SourceKind::Secret, &key.name, &key.key, key.optional == Some(true))?
    } else {
        return Err(ConfigError::Invalid { what: "valueFrom", value: String::new() });
    };
    value.map(|value| text(value, "environment value")).transpose()
}

fn text(value: &[u8], what: &'static str) -> Result<String, ConfigError> {
    String::from_utf8(value.to_vec()).map_err(|error| ConfigError::Invalid {
        what,
        value: String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Names in the order they were first set.
#[derive(Default)]
struct Environment {
    values: Vec<(String, String)>,
    index: BTreeMap<String, usize>,
}

impl Environment {
    fn set(&mut self, name: &str, value: String) {
        match self.index.get(name) {
            Some(at) => self.values[*at].1 = value,
            None => {
                self.index.insert(name.to_owned(), self.values.len());
                self.values.push((name.to_owned(), value));
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.index.get(name).map(|at| self.values[*at].1.as_str())
    }

    fn into_pairs(self) -> Vec<(String, String)> {
        self.values
    }
}

#[cfg(test)]
mod tests;
