"""The official Python client against a running cluster: read, write, watch, patch, apply, pages,
exec, port-forward and custom resources, as programs written with it do.

Needs KUBECONFIG and, on every host, the image busybox:local. What it makes goes with a namespace of
its own.
"""

import json
import os
import sys
import threading
import time

import kubernetes
from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.stream import portforward, stream

IMAGE = "busybox:local"
DEADLINE_SECONDS = 60
GROUP = "python.skein.dev"


def refused(code, call, *args, **kwargs):
    """The error of a call that must fail with this code."""
    try:
        call(*args, **kwargs)
    except ApiException as error:
        assert error.status == code, f"{error.status} instead of {code}: {error.body}"
        return json.loads(error.body)
    raise AssertionError(f"it should be refused with {code}")


def eventually(what, probe):
    """The first true answer of a probe."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"not in time: {what}; last seen: {probe()!r}")


def config_map(name, **data):
    metadata = client.V1ObjectMeta(name=name, labels={"test": "python"})
    return client.V1ConfigMap(metadata=metadata, data=data)


def versions(_core, _namespace):
    assert client.VersionApi().get_code().git_version.startswith("v1.")
    groups = client.ApisApi().get_api_versions().groups
    assert {"apps", "batch", "apiextensions.k8s.io"} <= {group.name for group in groups}


def objects(core, namespace):
    made = core.create_namespaced_config_map(namespace, config_map("one", a="1"))
    assert made.metadata.uid and made.metadata.creation_timestamp
    error = refused(409, core.create_namespaced_config_map, namespace, config_map("one"))
    assert error["reason"] == "AlreadyExists", error
    merged = core.patch_namespaced_config_map("one", namespace, {"data": {"b": "2"}})
    assert merged.data == {"a": "1", "b": "2"}
    operations = [{"op": "remove", "path": "/data/a"}]
    patched = core.patch_namespaced_config_map("one", namespace, operations)
    assert patched.data == {"b": "2"}, "a list is sent as a JSON patch"
    stale = made
    stale.data = {"c": "3"}
    error = refused(409, core.replace_namespaced_config_map, "one", namespace, stale)
    assert error["reason"] == "Conflict", error
    patched.data = {"c": "3"}
    assert core.replace_namespaced_config_map("one", namespace, patched).data == {"c": "3"}
    dry = core.create_namespaced_config_map(namespace, config_map("dry"), dry_run="All")
    assert dry.metadata.uid
    error = refused(404, core.read_namespaced_config_map, "dry", namespace)
    assert error["details"] == {"name": "dry", "kind": "configmaps"}, error
    invalid = refused(422, core.create_namespaced_config_map, namespace, config_map("No"))
    assert invalid["details"]["causes"][0]["field"] == "metadata.name", invalid


def apply(_core, namespace):
    configmaps = DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"},
            "data": {"a": "1"}}
    by = {"namespace": namespace, "field_manager": "python"}
    applied = configmaps.server_side_apply(body, **by)
    assert applied.metadata.managedFields[0].manager == "python"
    body["data"]["a"] = "2"
    other = {"namespace": namespace, "field_manager": "other"}
    refused(409, configmaps.server_side_apply, body, **other)
    forced = configmaps.server_side_apply(body, force_conflicts=True, **other)
    assert forced.data.a == "2"


def pages(core, namespace):
    names = [f"page-{number}" for number in range(7)]
    for name in names:
        core.create_namespaced_config_map(namespace, config_map(name))
    found, token, revision = [], None, None
    selector = {"label_selector": "test=python", "limit": 3}
    while True:
        page = core.list_namespaced_config_map(namespace, _continue=token, **selector)
        found += [one.metadata.name for one in page.items]
        revision = revision or page.metadata.resource_version
        assert page.metadata.resource_version == revision, "all pages are of one moment"
        token = page.metadata._continue
        if not token:
            break
        # What happens between pages does not show in them.
        core.delete_namespaced_config_map(names[len(names) - len(found)], namespace)
        core.create_namespaced_config_map(namespace, config_map(f"zz-{len(found)}"))
    assert found == ["one", *names], found


def watching(core, namespace):
    start = core.list_namespaced_config_map(namespace).metadata.resource_version

    def change():
        core.create_namespaced_config_map(namespace, config_map("watched", a="1"))
        core.patch_namespaced_config_map("watched", namespace, {"data": {"a": "2"}})
        core.delete_namespaced_config_map("watched", namespace)

    worker = threading.Thread(target=change)
    worker.start()
    seen = []
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_config_map, namespace,
                                field_selector="metadata.name=watched",
                                resource_version=start, timeout_seconds=DEADLINE_SECONDS):
        seen.append(event["type"])
        if event["type"] == "DELETED":
            watcher.stop()
    worker.join()
    assert seen == ["ADDED", "MODIFIED", "DELETED"], seen
    expired = watch.Watch().stream(core.list_namespaced_config_map, namespace,
                                   resource_version="1", timeout_seconds=5)
    try:
        next(iter(expired), None)
    except ApiException as error:
        assert error.status == 410, error


def pods(core, namespace):
    script = ("mkdir /www; echo served > /www/index.html; httpd -p 8080 -h /www; "
              "echo started; sleep 86400")
    container = client.V1Container(name="main", image=IMAGE, command=["sh", "-c", script])
    spec = client.V1PodSpec(containers=[container], termination_grace_period_seconds=0)
    pod = client.V1Pod(metadata=client.V1ObjectMeta(name="talk"), spec=spec)
    core.create_namespaced_pod(namespace, pod)

    def is_ready():
        status = core.read_namespaced_pod("talk", namespace).status
        return any(one.type == "Ready" and one.status == "True" for one in status.conditions or [])

    eventually("the pod is ready", is_ready)
    eventually("a log", lambda: core.read_namespaced_pod_log("talk", namespace) == "started\n")

    said = stream(core.connect_get_namespaced_pod_exec, "talk", namespace,
                  command=["sh", "-c", "echo out; echo err >&2"], stdout=True, stderr=True)
    assert sorted(said.split()) == ["err", "out"], said
    talk = stream(core.connect_get_namespaced_pod_exec, "talk", namespace,
                  command=["sh", "-c", "read word; echo heard $word; exit 7"],
                  stdin=True, stdout=True, stderr=True, _preload_content=False)
    talk.write_stdin("hello\n")
    talk.run_forever(timeout=DEADLINE_SECONDS)
    assert (talk.read_stdout(), talk.returncode) == ("heard hello\n", 7)
    refused_exec = None
    try:
        stream(core.connect_get_namespaced_pod_exec, "talk", namespace, container="none",
               command=["true"], stdout=True)
    except ApiException as error:
        refused_exec = error
    assert refused_exec is not None and refused_exec.status in (0, 400), refused_exec

    forward = portforward(core.connect_get_namespaced_pod_portforward, "talk", namespace,
                          ports="8080")
    socket = forward.socket(8080)
    socket.settimeout(DEADLINE_SECONDS)
    socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b""
    while b"served" not in answer:
        more = socket.recv(4096)
        assert more, f"it ends before it is served: {answer!r} {forward.error(8080)}"
        answer += more
    socket.close()

    assert core.connect_get_namespaced_pod_proxy_with_path(
        "talk:8080", namespace, "index.html") == "served\n"
    core.delete_namespaced_pod("talk", namespace)


def custom(_core, namespace):
    schema = {"type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"],
                 "properties": {"size": {"type": "integer", "minimum": 1}}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
               "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "boxes", "singular": "box", "kind": "Box"}
    definition = {"metadata": {"name": f"boxes.{GROUP}"},
                  "spec": {"group": GROUP, "scope": "Namespaced", "names": names,
                           "versions": [version]}}
    definitions = client.ApiextensionsV1Api()
    definitions.create_custom_resource_definition(definition)
    try:
        boxes(namespace)
    finally:
        definitions.delete_custom_resource_definition(f"boxes.{GROUP}")


def boxes(namespace):
    api = client.CustomObjectsApi()
    where = (GROUP, "v1", namespace, "boxes")

    def box(size):
        return {"apiVersion": f"{GROUP}/v1", "kind": "Box", "metadata": {"name": "a"},
                "spec": {"size": size}}

    made = api.create_namespaced_custom_object(*where, box(2))
    assert made["metadata"]["generation"] == 1
    invalid = refused(422, api.patch_namespaced_custom_object, *where, "a", {"spec": {"size": 0}})
    assert invalid["details"]["causes"][0]["field"] == "spec.size", invalid
    status = {"status": {"full": True}}
    patched = api.patch_namespaced_custom_object_status(*where, "a", status)
    assert patched["status"] == {"full": True} and patched["metadata"]["generation"] == 1
    assert len(api.list_namespaced_custom_object(*where)["items"]) == 1
    api.delete_namespaced_custom_object(*where, "a")


def main():
    config.load_kube_config()
    core = client.CoreV1Api()
    namespace = f"python-{os.getpid()}"
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
    try:
        for part in (versions, objects, apply, pages, watching, pods, custom):
            begun = time.monotonic()
            part(core, namespace)
            print(f"{part.__name__:10} {time.monotonic() - begun:5.1f} s", flush=True)
    finally:
        core.delete_namespace(namespace)
    print(f"passed with the Python client {kubernetes.__version__}")


if __name__ == "__main__":
    sys.exit(main())
