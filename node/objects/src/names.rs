//! How names may look. Each check answers with Kubernetes' sentence for the rule broken.

/// Longest DNS label.
const LABEL: usize = 63;

/// Longest DNS subdomain.
const SUBDOMAIN: usize = 253;

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const WILDCARD_RULE: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const SERVICE_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

const QUALIFIED_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const LABEL_VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const ENV_RULE: &str = "a valid environment variable name must consist only of printable ASCII characters other than '='";

const CONFIG_KEY_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

const PORT_NAME_RULE: &str = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), with at least one letter";

/// Longest name of a port.
const PORT_NAME: usize = 15;

fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} characters")
}

fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
        && bytes.first().is_some_and(|byte| plain(*byte))
        && bytes.last().is_some_and(|byte| plain(*byte))
}

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

/// An RFC 1123 label.
pub(crate) fn label(text: &str) -> Result<(), String> {
    if text.len() > LABEL {
        return Err(too_long(LABEL));
    }
    if is_label(text) { Ok(()) } else { Err(LABEL_RULE.to_owned()) }
}

/// An RFC 1035 label: one that begins with a letter.
pub(crate) fn service(text: &str) -> Result<(), String> {
    if text.len() > LABEL {
        return Err(too_long(LABEL));
    }
    let lettered = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if lettered && is_label(text) { Ok(()) } else { Err(SERVICE_RULE.to_owned()) }
}

/// A name that can stand in a URL's path as it is.
pub(crate) fn path_segment(text: &str) -> Result<(), String> {
    if matches!(text, "." | "..") {
        return Err(format!("may not be '{text}'"));
    }
    match text.chars().find(|character| matches!(character, '/' | '%')) {
        Some(character) => Err(format!("may not contain '{character}'")),
        None => Ok(()),
    }
}

/// An RFC 1123 subdomain.
pub(crate) fn subdomain(text: &str) -> Result<(), String> {
    if text.len() > SUBDOMAIN {
        return Err(too_long(SUBDOMAIN));
    }
    if text.split('.').all(is_label) { Ok(()) } else { Err(SUBDOMAIN_RULE.to_owned()) }
}

/// A subdomain behind `*.`, for all hosts of a domain.
pub(crate) fn wildcard_subdomain(text: &str) -> Result<(), String> {
    let domain = text.strip_prefix("*.").filter(|_| text.len() <= SUBDOMAIN);
    match domain.map(subdomain) {
        Some(Ok(())) => Ok(()),
        _ => Err(WILDCARD_RULE.to_owned()),
    }
}

/// A label key: a name, or a DNS prefix, `/` and a name.
pub(crate) fn qualified(text: &str) -> Result<(), String> {
    let name = match text.split_once('/') {
        Some(("", _)) => {
            return Err("prefix part must be non-empty".to_owned());
        }
        Some((prefix, name)) => {
            subdomain(prefix).map_err(|rule| format!("prefix part {rule}"))?;
            name
        }
        None => text,
    };
    if name.is_empty() {
        return Err("name part must be non-empty".to_owned());
    }
    if name.len() > LABEL {
        return Err(format!("name part {}", too_long(LABEL)));
    }
    if is_name_part(name) { Ok(()) } else { Err(QUALIFIED_RULE.to_owned()) }
}

/// A label value, may be empty.
pub(crate) fn label_value(text: &str) -> Result<(), String> {
    if text.len() > LABEL {
        return Err(too_long(LABEL));
    }
    if text.is_empty() || is_name_part(text) { Ok(()) } else { Err(LABEL_VALUE_RULE.to_owned()) }
}

/// The name of an environment variable.
pub(crate) fn env(text: &str) -> Result<(), String> {
    let fine = text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=');
    if fine { Ok(()) } else { Err(ENV_RULE.to_owned()) }
}

/// A key of a ConfigMap or Secret.
pub(crate) fn config_key(text: &str) -> Result<(), String> {
    if text.len() > SUBDOMAIN {
        return Err(too_long(SUBDOMAIN));
    }
    let fine = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if text.is_empty() || !fine {
        return Err(CONFIG_KEY_RULE.to_owned());
    }
    if text == "." || text.starts_with("..") {
        return Err("must not be '.', '..' or start with '..'".to_owned());
    }
    Ok(())
}

/// The name of a port.
pub(crate) fn port(text: &str) -> Result<(), String> {
    if text.len() > PORT_NAME {
        return Err(too_long(PORT_NAME));
    }
    let letters = text.bytes().any(|byte| byte.is_ascii_lowercase());
    if letters && is_label(text) && !text.contains("--") {
        return Ok(());
    }
    Err(PORT_NAME_RULE.to_owned())
}
