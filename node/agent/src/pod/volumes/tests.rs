//! Volumes on a real disk.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};
use skein_runtime::Resources;
use tempfile::TempDir;

use super::*;
use crate::pod::SourceKind;

struct Disk {
    root: TempDir,
    sources: Sources,
}

impl Disk {
    fn new() -> Self {
        let mut disk =
            Self { root: TempDir::new().expect("a directory"), sources: Sources::default() };
        disk.set(&[("a.conf", "one"), ("b.conf", "two")]);
        disk
    }

    fn set(&mut self, files: &[(&str, &str)]) {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        self.sources.add(SourceKind::ConfigMap, "map", files.collect());
    }

    fn mount(&self, volume: Value, mount: Value) -> Result<Mount, MountError> {
        let pod = json!({
            "metadata": {"name": "p", "uid": "u", "labels": {"app": "web"}},
            "spec": {
                "volumes": [volume],
                "containers": [{"name": "c", "volumeMounts": [mount]}],
            },
        });
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let ip = "10.77.0.1".parse().expect("an address");
        let fields =
            FieldContext { pod: &pod, pod_ip: None, host_ip: ip, host: Resources::default() };
        let directory = PodDirectory::new(self.root.path(), "u");
        let container = &pod.spec.as_ref().expect("a spec").containers[0];
        let env = [("SUB".to_owned(), "deep".to_owned())];
        let mounts = materialise(container, &self.sources, &fields, &env, &directory)?;
        Ok(mounts.into_iter().next().expect("a mount"))
    }

    fn map(&self) -> Mount {
        let mount = json!({"name": "v", "mountPath": "/etc/app"});
        self.mount(json!({"name": "v", "configMap": {"name": "map"}}), mount).expect("mounted")
    }
}

#[test]
fn a_config_map_becomes_files_that_are_replaced_at_once() {
    let mut disk = Disk::new();
    let mount = disk.map();
    assert!(mount.read_only);
    assert_eq!(mount.target, Path::new("/etc/app"));
    let read = |name: &str| fs::read_to_string(mount.source.join(name)).ok();
    assert_eq!(read("a.conf").as_deref(), Some("one"));
    let current = || fs::read_link(mount.source.join("..data")).expect("a link");
    let first = current();
    disk.map();
    assert_eq!(current(), first, "nothing changed, nothing is written");

    disk.set(&[("a.conf", "changed"), ("c.conf", "three")]);
    disk.map();
    assert_eq!(read("a.conf").as_deref(), Some("changed"));
    assert_eq!(read("c.conf").as_deref(), Some("three"));
    assert_eq!(read("b.conf"), None);
    assert!(!mount.source.join(first).exists(), "the old files are removed");
}

#[test]
fn items_choose_paths_and_modes() {
    let disk = Disk::new();
    let items = json!([{"key": "a.conf", "path": "sub/x", "mode": 0o400}]);
    let volume = json!({"name": "v", "configMap": {"name": "map", "items": items}});
    let mount = disk.mount(volume, json!({"name": "v", "mountPath": "/m"})).expect("mounted");
    let file = mount.source.join("sub/x");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "one");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o400);
    assert!(!mount.source.join("a.conf").exists());
}

#[test]
fn projected_volumes_join_their_sources() {
    let disk = Disk::new();
    let label = json!({"path": "app", "fieldRef": {"fieldPath": "metadata.labels['app']"}});
    let volume = json!({"name": "v", "projected": {"sources": [
        {"configMap": {"name": "map"}},
        {"downwardAPI": {"items": [label]}},
    ]}});
    let mount = disk.mount(volume, json!({"name": "v", "mountPath": "/m"})).expect("mounted");
    assert_eq!(fs::read_to_string(mount.source.join("app")).expect("a file"), "web");
    assert!(mount.source.join("b.conf").exists());
}

#[test]
fn an_empty_directory_keeps_what_is_in_it_and_sub_paths_stay_inside() {
    let disk = Disk::new();
    let volume = || json!({"name": "v", "emptyDir": {}});
    let whole = disk.mount(volume(), json!({"name": "v", "mountPath": "/m"})).expect("mounted");
    assert!(!whole.read_only);
    fs::write(whole.source.join("kept"), "x").expect("written");
    let sub = json!({"name": "v", "mountPath": "/m", "subPathExpr": "$(SUB)/er"});
    let sub = disk.mount(volume(), sub).expect("mounted");
    assert!(sub.source.ends_with("deep/er") && sub.source.is_dir());
    assert!(whole.source.join("kept").exists());

    std::os::unix::fs::symlink("/etc", whole.source.join("out")).expect("a link");
    for path in ["../../x", "/etc", "out"] {
        let mount = json!({"name": "v", "mountPath": "/m", "subPath": path});
        assert!(disk.mount(volume(), mount).is_err(), "{path}");
    }
}

#[test]
fn what_cannot_be_provided_is_an_error_that_names_it() {
    let disk = Disk::new();
    let said = |volume: Value| {
        let mount = json!({"name": "v", "mountPath": "/m"});
        disk.mount(volume, mount).map_err(|error| error.to_string())
    };
    let cases = [
        (
            json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}}),
            "volume \"v\" is of a kind this node does not support",
        ),
        (json!({"name": "w", "emptyDir": {}}), "no volume \"v\" in the pod"),
        (json!({"name": "v", "configMap": {"name": "none"}}), "configmap \"none\" not found"),
        (
            json!({"name": "v", "hostPath": {"path": "/no/such", "type": "Directory"}}),
            "hostPath \"/no/such\" is not of type Directory",
        ),
    ];
    for (volume, expected) in cases {
        assert_eq!(said(volume), Err(expected.to_owned()));
    }
}
