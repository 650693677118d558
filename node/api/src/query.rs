//! The query string as parameters.

use std::str::FromStr;

use http::{HeaderMap, header};
use skein_consensus::Revision;
use skein_objects::{FieldValidation, Reason, StatusError};
use skein_storage::{Manager, WriteOptions};

use crate::limits::MANAGER_BYTES;

/// The parameters of a request, decoded; of a repeated one the first counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Whether a parameter is there, empty or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// A parameter that is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value of a parameter, in order.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, StatusError> {
        Ok(self.optional_flag(name)?.unwrap_or(false))
    }

    pub(crate) fn optional_flag(&self, name: &str) -> Result<Option<bool>, StatusError> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "1" | "True" | "TRUE" | "t" | "T") => Ok(Some(true)),
            Some("false" | "0" | "False" | "FALSE" | "f" | "F") => Ok(Some(false)),
            Some(other) => Err(invalid(name, other)),
        }
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, StatusError> {
        let parse = |text: &str| text.parse().map_err(|_| invalid(name, text));
        self.get(name).map(parse).transpose()
    }

    /// `dryRun` and `fieldManager`, which is by default what the client calls itself.
    pub(crate) fn write_options(&self, headers: &HeaderMap) -> Result<WriteOptions, StatusError> {
        let manager = match self.field_manager()? {
            Some(manager) => manager.to_owned(),
            None => client_name(headers).to_owned(),
        };
        let dry_run = dry_run(self.get("dryRun").into_iter())?;
        Ok(WriteOptions { dry_run, manager: Manager::Named(manager) })
    }

    /// `fieldManager`.
    pub(crate) fn field_manager(&self) -> Result<Option<&str>, StatusError> {
        let Some(manager) = self.get("fieldManager") else { return Ok(None) };
        if manager.len() > MANAGER_BYTES {
            let rule =
                format!("fieldManager: Too long: may not be more than {MANAGER_BYTES} bytes");
            return Err(StatusError::new(Reason::Invalid, rule));
        }
        if manager.chars().any(char::is_control) {
            let rule = format!(
                "fieldManager: Invalid value: {manager:?}: should only contain printable characters"
            );
            return Err(StatusError::new(Reason::Invalid, rule));
        }
        Ok(Some(manager))
    }

    /// `fieldValidation`.
    pub(crate) fn field_validation(&self) -> Result<FieldValidation, StatusError> {
        self.get("fieldValidation").unwrap_or_default().parse()
    }

    /// `resourceVersion` as reads use it.
    pub(crate) fn version(&self) -> Result<Version, StatusError> {
        match self.get("resourceVersion") {
            None => Ok(Version::Latest),
            Some("0") => Ok(Version::Any),
            Some(text) => match text.parse() {
                Ok(revision) => Ok(Version::At(Revision(revision))),
                Err(_) => Err(invalid("resourceVersion", text)),
            },
        }
    }
}

/// What a client calls itself: its `User-Agent` up to the version.
fn client_name(headers: &HeaderMap) -> &str {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let name = agent.and_then(|agent| agent.split('/').next()).unwrap_or_default();
    match name.char_indices().nth(MANAGER_BYTES) {
        _ if name.is_empty() => "unknown",
        Some((end, _)) => name.get(..end).unwrap_or("unknown"),
        None => name,
    }
}

/// The `resourceVersion` of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Not given: the most recent state.
    Latest,
    /// `0`: whatever is at hand.
    Any,
    /// This revision, or one no older, as the verb has it.
    At(Revision),
}

/// Reads `dryRun` directives; `All` is the only one there is.
pub(crate) fn dry_run<'a>(directives: impl Iterator<Item = &'a str>) -> Result<bool, StatusError> {
    let mut is_dry = false;
    for directive in directives {
        if directive != "All" {
            return Err(StatusError::bad_request(format!(
                "dryRun: Unsupported value: \"{directive}\": supported values: \"All\""
            )));
        }
        is_dry = true;
    }
    Ok(is_dry)
}

fn invalid(name: &str, value: &str) -> StatusError {
    StatusError::bad_request(format!("{name}: Invalid value: \"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_empty_ones_are_absent() {
        let query = Query::parse(Some("labelSelector=a%3Db%2Cc&limit=&watch=1"));
        assert_eq!(query.get("labelSelector"), Some("a=b,c"));
        assert_eq!(query.get("limit"), None);
        assert!(query.flag("watch").unwrap());
    }

    #[test]
    fn resource_versions_tell_how_fresh_a_read_must_be() {
        let version = |text: &str| Query::parse(Some(text)).version();
        assert_eq!(version("").unwrap(), Version::Latest);
        assert_eq!(version("resourceVersion=0").unwrap(), Version::Any);
        assert_eq!(version("resourceVersion=12").unwrap(), Version::At(Revision(12)));
        assert!(version("resourceVersion=soon").is_err());
    }

    #[test]
    fn a_dry_run_is_all_or_an_error() {
        assert!(dry_run(["All"].into_iter()).unwrap());
        assert!(!dry_run(std::iter::empty()).unwrap());
        assert!(dry_run(["Some"].into_iter()).is_err());
    }
}
