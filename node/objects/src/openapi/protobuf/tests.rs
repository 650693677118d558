//! What was written can be read back, field by field, by a reader that knows no tables.

use serde_json::{Value, json};

use super::messages::{DOCUMENT, Form, Others};
use crate::openapi::{v2, v2_protobuf};
use crate::registry::registry;

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().expect("the number goes on");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number of more than 64 bits");
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (field, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(field)
            }
            other => panic!("wire type {other}"),
        };
        out.push((tag >> 3, field));
    }
    out
}

/// Every field a path of numbers leads to.
fn at<'a>(message: &'a [u8], path: &[u64]) -> Vec<&'a [u8]> {
    let Some((number, rest)) = path.split_first() else { return vec![message] };
    let here = fields(message).into_iter().filter(|(found, _)| found == number);
    here.flat_map(|(_, field)| match field {
        Field::Bytes(inner) => at(inner, rest),
        Field::Number(number) => panic!("{number} is no message"),
    })
    .collect()
}

fn texts<'a>(message: &'a [u8], path: &[u64]) -> Vec<&'a str> {
    at(message, path).into_iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect()
}

/// The value of the pair of this name, among the pairs a field holds.
fn named<'a>(message: &'a [u8], number: u64, name: &str) -> &'a [u8] {
    let pairs = at(message, &[number]);
    let pair = pairs.into_iter().find(|pair| texts(pair, &[1]) == [name]);
    at(pair.unwrap_or_else(|| panic!("there is no {name}")), &[2])[0]
}

/// A vendor extension, read as the JSON it holds.
fn extension(message: &[u8], number: u64, name: &str) -> Value {
    serde_json::from_str(texts(named(message, number, name), &[2])[0]).unwrap()
}

fn definition<'a>(document: &'a [u8], name: &str) -> &'a [u8] {
    named(at(document, &[9])[0], 1, name)
}

fn property<'a>(schema: &'a [u8], name: &str) -> &'a [u8] {
    named(at(schema, &[25])[0], 1, name)
}

#[test]
fn a_document_names_its_version_and_all_definitions_and_paths() {
    let json: Value = serde_json::from_slice(&v2(registry())).unwrap();
    let document = v2_protobuf(registry());
    assert_eq!(texts(&document, &[1]), ["2.0"]);
    assert_eq!(texts(&document, &[2, 1]), ["Skein"]);
    let names = |member: &str| -> Vec<String> {
        json[member].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(texts(&document, &[9, 1, 1]), names("definitions"));
    assert_eq!(texts(&document, &[8, 2, 1]), names("paths"));
}

#[test]
fn a_kind_says_which_it_is() {
    let document = v2_protobuf(registry());
    let deployment = definition(&document, "io.k8s.api.apps.v1.Deployment");
    let kinds = extension(deployment, 31, "x-kubernetes-group-version-kind");
    assert_eq!(kinds, json!([{"group": "apps", "version": "v1", "kind": "Deployment"}]));
    assert_eq!(texts(deployment, &[22, 1]), ["object"]);
    let spec = property(deployment, "spec");
    assert_eq!(texts(spec, &[1]), ["#/definitions/io.k8s.api.apps.v1.DeploymentSpec"]);
}

#[test]
fn schemas_carry_types_formats_items_maps_and_what_is_required() {
    let document = v2_protobuf(registry());
    let spec = definition(&document, "io.k8s.api.core.v1.PodSpec");
    assert_eq!(texts(spec, &[19]), ["containers"]);
    let containers = property(spec, "containers");
    assert_eq!(texts(containers, &[22, 1]), ["array"]);
    assert_eq!(texts(containers, &[23, 1, 1]), ["#/definitions/io.k8s.api.core.v1.Container"]);
    assert_eq!(extension(containers, 31, "x-kubernetes-patch-merge-key"), "name");
    assert_eq!(extension(containers, 31, "x-kubernetes-patch-strategy"), "merge");
    assert!(texts(containers, &[4])[0].len() > 10);
    let selector = property(spec, "nodeSelector");
    assert_eq!(texts(selector, &[21, 1, 22, 1]), ["string"]);
    let replicas = definition(&document, "io.k8s.api.apps.v1.DeploymentSpec");
    assert_eq!(texts(property(replicas, "replicas"), &[2]), ["int32"]);
}

#[test]
fn an_operation_names_its_kind_and_its_parameters() {
    let document = v2_protobuf(registry());
    let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    let item = named(at(&document, &[8])[0], 2, path);
    assert_eq!(texts(item, &[9, 1, 2, 4, 4]), ["name", "namespace"]);
    let patch = at(item, &[8])[0];
    assert_eq!(extension(patch, 13, "x-kubernetes-group-version-kind")["kind"], "Deployment");
    assert!(texts(patch, &[7]).contains(&"application/strategic-merge-patch+json"));
    assert!(texts(patch, &[8, 1, 2, 3, 4]).contains(&"fieldValidation"));
    assert_eq!(texts(patch, &[8, 1, 1, 2]), ["body"]);
    let body = at(patch, &[8, 1, 1])[0];
    assert!(fields(body).contains(&(4, Field::Number(1))), "a body is required");
    let answer = named(at(patch, &[9])[0], 1, "200");
    let schema = "#/definitions/io.k8s.api.apps.v1.Deployment";
    assert_eq!(texts(answer, &[1, 2, 1, 1]), [schema]);
}

/// The members of a JSON value that no table has a place for.
fn uncovered(json: &Value, form: &Form, path: &str, out: &mut Vec<String>) {
    match (form, json) {
        (Form::Text | Form::Texts, Value::String(_)) | (Form::Flag, Value::Bool(_)) => {}
        (Form::Texts, Value::Array(items)) if items.iter().all(Value::is_string) => {}
        (Form::Within(_, inner), json) => uncovered(json, inner, path, out),
        (Form::Chosen(choose), json) => uncovered(json, choose(json), path, out),
        (Form::Each(inner), Value::Array(items)) => {
            items.iter().for_each(|item| uncovered(item, inner, path, out));
        }
        (Form::One(message), Value::Object(members)) => {
            for (name, member) in members {
                let path = format!("{path}/{name}");
                let field = message.fields.iter().find(|field| field.name == name);
                match (field, &message.others) {
                    (Some(field), _) => uncovered(member, &field.form, &path, out),
                    (None, Others::Extensions(_) | Others::Named(_, _, Some(_)))
                        if name.starts_with("x-") => {}
                    (None, Others::Named(_, form, _)) => uncovered(member, form, &path, out),
                    (None, Others::Extensions(_)) => out.push(path),
                }
            }
        }
        _ => out.push(path.to_owned()),
    }
}

#[test]
fn the_tables_have_a_place_for_every_member() {
    let json: Value = serde_json::from_slice(&v2(registry())).unwrap();
    let mut missing = Vec::new();
    uncovered(&json, &Form::One(&DOCUMENT), "", &mut missing);
    assert_eq!(missing, [""; 0]);
}
