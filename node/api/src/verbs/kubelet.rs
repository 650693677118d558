//! What a node answers about itself, behind `/api/v1/nodes/NAME/proxy`: those paths of kubelet's API
//! that only look. For the inside of its pods there are subresources of pods.

use http::Method;
use k8s_openapi::api::core::v1::Pod;
use skein_consensus::Consistency;
use skein_objects::{Reason, StatusError, registry};

use super::list;
use crate::{
    endpoints, filter::Filter, form::Form, media::Shape, query::Query, reply::Reply, route::Route,
    service::Service,
};

/// Answers a request about this node: `/healthz`, `/metrics` or `/pods`.
pub(crate) async fn respond(
    service: &Service,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> Result<Reply, StatusError> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(StatusError::method_not_allowed(method));
    }
    match path.trim_end_matches('/') {
        "/healthz" => service.respond_publicly(&Route::Alive, method, query),
        "/metrics" => endpoints::metrics(service),
        "/pods" => pods(service).await,
        _ => Err(StatusError::new(
            Reason::NotFound,
            format!("a node answers at /healthz, /metrics and /pods, not at {path:?}"),
        )),
    }
}

/// The pods of this node, as its own replica knows them.
async fn pods(service: &Service) -> Result<Reply, StatusError> {
    let kind = registry().of::<Pod>();
    let here = format!("fieldSelector=spec.nodeName%3D{}", service.cluster.node_name());
    let query = Query::parse(Some(&here));
    let filter = Filter::new(kind, None, &query)?;
    let options = list::PageOptions::all(Consistency::Any);
    let page = list::collect(&service.storage, kind, None, &filter, options).await?;
    list::reply(Form::new(kind, Shape::Object, &query)?, page.meta, page.records)
}
