//! Ingresses: how requests from outside find a service.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::field::{Errors, Field};
use crate::lifecycle::Stamp;
use crate::names;
use crate::podspec::{member, require_text, set_text, validate_choice, validate_port_number};
use crate::strategy::Strategy;

/// Longest name of a controller, as Kubernetes has it.
const CONTROLLER: usize = 250;

const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
const SCOPES: [&str; 2] = ["Cluster", "Namespace"];

pub(crate) struct IngressStrategy;

impl Strategy for IngressStrategy {
    fn start(&self, object: &mut Value, _stamp: &Stamp) {
        object["status"] = json!({"loadBalancer": {}});
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let (rules, backend) = (spec.get("rules"), spec.get("defaultBackend"));
        if rules.is_empty() && !backend.is_set() {
            errors.invalid(&spec, "either `defaultBackend` or `rules` must be specified");
        }
        if backend.is_set() {
            validate_backend(&backend, errors);
        }
        let class = spec.get("ingressClassName");
        if let Err(rule) = names::subdomain(class.text())
            && class.is_set()
        {
            errors.invalid(&class, rule);
        }
        for rule in rules.items() {
            let host = rule.get("host");
            if host.text().parse::<IpAddr>().is_ok() {
                errors.invalid(&host, "must be a DNS name, not an IP address");
            } else {
                validate_host(&host, errors);
            }
            let http = rule.get("http");
            let paths = http.get("paths");
            if http.is_set() && paths.is_empty() {
                errors.required(&paths, "");
            }
            for path in paths.items() {
                validate_path(&path, errors);
            }
        }
        let parts = spec.get("tls");
        for tls in parts.items() {
            let hosts = tls.get("hosts");
            for host in hosts.items() {
                validate_host(&host, errors);
            }
            let secret = tls.get("secretName");
            if let Err(rule) = names::subdomain(secret.text())
                && !secret.is_empty()
            {
                errors.invalid(&secret, rule);
            }
        }
    }
}

/// Checks the name of a host, which may begin with a wildcard.
fn validate_host(host: &Field<'_>, errors: &mut Errors) {
    let verdict = match host.text() {
        "" => Ok(()),
        text if text.contains('*') => names::wildcard_subdomain(text),
        text => names::subdomain(text),
    };
    if let Err(rule) = verdict {
        errors.invalid(host, rule);
    }
}

fn validate_path(path: &Field<'_>, errors: &mut Errors) {
    let (kind, text) = (path.get("pathType"), path.get("path"));
    if kind.is_empty() {
        errors.required(&kind, "pathType must be specified");
        return;
    }
    validate_choice(&kind, &PATH_TYPES, errors);
    let literal = matches!(kind.text(), "Exact" | "Prefix");
    let absolute = text.text().starts_with('/');
    if !absolute && (literal || !text.is_empty()) {
        errors.invalid(&text, "must be an absolute path");
    }
    if literal {
        for part in ["//", "/./", "/../", "%2f", "%2F"] {
            if text.text().contains(part) {
                errors.invalid(&text, format!("must not contain '{part}'"));
            }
        }
        for end in ["/..", "/."] {
            if text.text().ends_with(end) {
                errors.invalid(&text, format!("cannot end with '{end}'"));
            }
        }
    }
    validate_backend(&path.get("backend"), errors);
}

fn validate_backend(backend: &Field<'_>, errors: &mut Errors) {
    let (service, resource) = (backend.get("service"), backend.get("resource"));
    match (service.is_set(), resource.is_set()) {
        (true, true) => {
            errors.invalid_value(backend, "", "cannot set both resource and service backends");
        }
        (false, false) => {
            errors.invalid_value(backend, "", "resource or service backend is required");
        }
        (false, true) => {
            require_text(&resource.get("kind"), errors);
            require_text(&resource.get("name"), errors);
        }
        (true, false) => {
            let (name, port) = (service.get("name"), service.get("port"));
            if name.is_empty() {
                errors.required(&name, "");
            } else if let Err(rule) = names::service(name.text()) {
                errors.invalid(&name, rule);
            }
            let (named, number) = (port.get("name"), port.get("number"));
            match (!named.is_empty(), number.integer().unwrap_or(0) != 0) {
                (true, true) => {
                    errors.invalid_value(backend, "", "cannot set both port name & port number");
                }
                (false, false) => errors.required(backend, "port name or number is required"),
                (true, false) => {
                    if let Err(rule) = names::port(named.text()) {
                        errors.invalid(&named, rule);
                    }
                }
                (false, true) => validate_port_number(&number, errors),
            }
        }
    }
}

pub(crate) struct IngressClassStrategy;

impl Strategy for IngressClassStrategy {
    fn default(&self, object: &mut Value) {
        let spec = object["spec"].as_object_mut();
        if let Some(parameters) = spec.and_then(|spec| member(spec, "parameters")) {
            set_text(parameters, "scope", "Cluster");
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let (controller, parameters) = (spec.get("controller"), spec.get("parameters"));
        if controller.text().len() > CONTROLLER {
            errors.too_long(&controller, CONTROLLER);
        }
        match controller.text().split_once('/') {
            _ if controller.is_empty() => errors.required(&controller, ""),
            Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
                if let Err(rule) = names::subdomain(domain) {
                    errors.invalid_value(&controller, domain, rule);
                }
            }
            _ => errors
                .invalid(&controller, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
        }
        if parameters.is_set() {
            validate_parameters(&parameters, errors);
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        errors.immutable(&spec.get("controller"), &before.get("controller"));
    }
}

fn validate_parameters(parameters: &Field<'_>, errors: &mut Errors) {
    require_text(&parameters.get("kind"), errors);
    require_text(&parameters.get("name"), errors);
    let (scope, namespace) = (parameters.get("scope"), parameters.get("namespace"));
    match (scope.text(), namespace.is_empty()) {
        ("Namespace", true) => {
            errors.required(&namespace, "`parameters.scope` is set to 'Namespace'");
        }
        ("Cluster", false) => {
            errors.forbidden(&namespace, "`parameters.scope` is set to 'Cluster'");
        }
        _ => validate_choice(&scope, &SCOPES, errors),
    }
}
