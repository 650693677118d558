//! Where a webhook is (`clientConfig`): the same members and rules in definitions that convert and
//! in hooks of admission.

use serde_json::{Map, Value};

use crate::field::{Errors, Field};
use crate::names;
use crate::podspec::{member, set};

/// The port of a service that serves hooks.
const PORT: i64 = 443;

/// What a URL should look like.
const FORM: &str = "; desired format: https://host[/path]";

/// Fills in the port of the service.
pub(super) fn default(client: Option<&mut Map<String, Value>>) {
    if let Some(service) = client.and_then(|client| member(client, "service")) {
        set(service, "port", PORT);
    }
}

/// Checks that it leads to one place, over HTTPS.
pub(super) fn validate(client: &Field<'_>, errors: &mut Errors) {
    let (url, service) = (client.get("url"), client.get("service"));
    if url.is_set() == service.is_set() {
        errors.required(client, "exactly one of url or service is required");
    } else if url.is_set() {
        validate_url(&url, errors);
    } else {
        validate_service(&service, errors);
    }
}

fn validate_url(url: &Field<'_>, errors: &mut Errors) {
    let (rest, fragment) = split(url.text(), '#');
    let (rest, query) = split(rest, '?');
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
    if scheme != "https" {
        let rule = format!("'https' is the only allowed URL scheme{FORM}");
        errors.invalid_value(url, scheme, rule);
    }
    let (authority, _) = split(rest, '/');
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() {
        errors.invalid_value(url, host, format!("host must be provided{FORM}"));
    }
    for (part, what) in [
        (user, "user information is"),
        (fragment, "fragments are"),
        (query, "query parameters are"),
    ] {
        if !part.is_empty() {
            errors.invalid_value(url, part, format!("{what} not permitted in the URL"));
        }
    }
}

/// A text before and after a character, which need not be in it.
fn split(text: &str, at: char) -> (&str, &str) {
    text.split_once(at).unwrap_or((text, ""))
}

fn validate_service(service: &Field<'_>, errors: &mut Errors) {
    let (name, namespace, port) =
        (service.get("name"), service.get("namespace"), service.get("port"));
    if name.is_empty() {
        errors.required(&name, "service name is required");
    }
    if namespace.is_empty() {
        errors.required(&namespace, "service namespace is required");
    }
    if !port.integer().is_some_and(|number| (1..=65535).contains(&number)) {
        errors.invalid(&port, "port is not valid: must be between 1 and 65535, inclusive");
    }
    let path = service.get("path");
    match path.text() {
        "" | "/" => {}
        text => match text.strip_prefix('/') {
            None => errors.invalid(&path, "must start with a '/'"),
            Some(steps) => validate_steps(&path, steps, errors),
        },
    }
}

/// Checks the segments of a path, of which only the last may be followed by a slash.
fn validate_steps(path: &Field<'_>, steps: &str, errors: &mut Errors) {
    let steps = steps.strip_suffix('/').unwrap_or(steps);
    for (index, step) in steps.split('/').enumerate() {
        if step.is_empty() {
            errors.invalid(path, format!("segment[{index}] may not be empty"));
        } else if let Err(rule) = names::subdomain(step) {
            errors.invalid(path, format!("segment[{index}]: {rule}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(client: &Value) -> Vec<String> {
        let mut errors = Errors::default();
        validate(&Field::root(client).get("clientConfig"), &mut errors);
        errors.into_vec().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_url_is_https_and_no_more_than_host_and_path() {
        let of = |url: &str| faults(&json!({"clientConfig": {"url": url}}));
        for good in ["https://host", "https://host:8443/a/b", "https://[::1]:443/"] {
            assert_eq!(of(good), [""; 0], "{good}");
        }
        for (bad, value, rule) in [
            ("http://host", "http", "'https' is the only allowed URL scheme"),
            ("host/path", "", "'https' is the only allowed URL scheme"),
            ("https:///path", "", "host must be provided"),
            ("https://me@host", "me", "user information is not permitted in the URL"),
            ("https://host/#a", "a", "fragments are not permitted in the URL"),
            ("https://host/?a=b", "a=b", "query parameters are not permitted in the URL"),
        ] {
            let expected = format!("clientConfig.url: Invalid value: {value:?}: {rule}");
            assert!(of(bad)[0].starts_with(&expected), "{bad}: {:?}", of(bad));
        }
    }

    #[test]
    fn a_service_has_a_name_a_port_and_a_path_of_names() {
        let of = |service: Value| faults(&json!({"clientConfig": {"service": service}}));
        let with =
            |path: &str| of(json!({"name": "a", "namespace": "b", "port": 443, "path": path}));
        for good in ["", "/", "/convert", "/a/b/"] {
            assert_eq!(with(good), [""; 0], "{good}");
        }
        for (bad, rule) in [
            ("convert", "must start with a '/'"),
            ("//", "segment[0] may not be empty"),
            ("/a//b", "segment[1] may not be empty"),
            ("/a/B", "segment[1]: "),
        ] {
            assert!(with(bad)[0].contains(rule), "{bad}: {:?}", with(bad));
        }
        assert_eq!(
            of(json!({"port": 0})),
            [
                "clientConfig.service.name: Required value: service name is required",
                "clientConfig.service.namespace: Required value: service namespace is required",
                "clientConfig.service.port: Invalid value: 0: port is not valid: must be between 1 \
                 and 65535, inclusive",
            ]
        );
    }

    #[test]
    fn it_leads_to_one_place() {
        let one = "clientConfig: Required value: exactly one of url or service is required";
        let service = json!({"name": "a", "namespace": "b", "port": 443});
        for client in [json!({}), json!({"url": "https://host", "service": service})] {
            assert_eq!(faults(&json!({"clientConfig": client})), [one]);
        }
    }
}
