use skein_objects::registry;

use super::*;

fn objects(path: &str) -> Target {
    match route(path, registry()) {
        Ok(Route::Objects(target)) => target,
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn paths_name_collections_objects_and_parts() {
    let cases = [
        ("/api/v1/pods", "Pod", None, None, None),
        ("/api/v1/namespaces", "Namespace", None, None, None),
        ("/api/v1/namespaces/a", "Namespace", None, Some("a"), None),
        ("/api/v1/namespaces/a/status", "Namespace", None, Some("a"), Some(Subresource::Status)),
        ("/api/v1/namespaces/a/pods", "Pod", Some("a"), None, None),
        ("/api/v1/namespaces/a/pods/b", "Pod", Some("a"), Some("b"), None),
        ("/api/v1/namespaces/a/pods/b/log", "Pod", Some("a"), Some("b"), Some(Subresource::Log)),
        ("/apis/apps/v1/deployments", "Deployment", None, None, None),
        (
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            "Deployment",
            Some("a"),
            Some("b"),
            Some(Subresource::Scale),
        ),
        ("/api/v1/nodes/h1", "Node", None, Some("h1"), None),
        ("/api/v1/nodes/a%3Ab", "Node", None, Some("a:b"), None),
    ];
    for (path, kind, namespace, name, subresource) in cases {
        let target = objects(path);
        assert_eq!(target.kind.kind, kind, "{path}");
        assert_eq!(target.namespace.as_deref(), namespace, "{path}");
        assert_eq!(target.name.as_deref(), name, "{path}");
        assert_eq!(target.subresource, subresource, "{path}");
    }
}

#[test]
fn what_is_not_served_is_not_found() {
    for path in [
        "/",
        "/nothing",
        "/api/v1/unicorns",
        "/api/v2/pods",
        "/apis/apps/v1/pods",
        "/api/v1/pods/without-namespace",
        "/api/v1/namespaces/a/nodes",
        "/api/v1/namespaces/a/pods/b/unknown",
        "/api/v1/namespaces/a/configmaps/b/status",
        "/api/v1/namespaces/a/pods/b/log/more",
    ] {
        assert_eq!(route(path, registry()).map_err(|error| error.code), Err(404), "{path}");
    }
}

#[test]
fn methods_do_what_their_target_allows() {
    let cases = [
        (Method::GET, "/api/v1/pods", false, Some(Verb::List)),
        (Method::GET, "/api/v1/pods", true, Some(Verb::Watch)),
        (Method::GET, "/api/v1/namespaces/a/pods/b", false, Some(Verb::Get)),
        (Method::GET, "/api/v1/namespaces/a/pods/b", true, Some(Verb::Watch)),
        (Method::POST, "/api/v1/namespaces/a/pods", false, Some(Verb::Create)),
        (Method::POST, "/api/v1/pods", false, None),
        (Method::POST, "/api/v1/nodes", false, Some(Verb::Create)),
        (Method::POST, "/api/v1/namespaces/a/pods/b", false, None),
        (Method::POST, "/api/v1/namespaces/a/pods/b/binding", false, Some(Verb::Create)),
        (Method::PUT, "/api/v1/namespaces/a/pods/b/log", false, None),
        (Method::PUT, "/api/v1/namespaces/a/pods", false, None),
        (Method::PATCH, "/apis/apps/v1/namespaces/a/deployments/b/scale", false, Some(Verb::Patch)),
        (Method::DELETE, "/api/v1/namespaces/a/pods/b/status", false, None),
        (Method::DELETE, "/api/v1/namespaces/a/pods", false, Some(Verb::DeleteCollection)),
        (Method::OPTIONS, "/api/v1/pods", false, None),
    ];
    for (method, path, is_watch, expected) in cases {
        assert_eq!(verb(&method, &objects(path), is_watch), expected, "{method} {path}");
    }
}
