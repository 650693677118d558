//! The verbs, each written once for all kinds.

mod approval;
mod connect;
mod create;
mod delete;
mod eviction;
mod finalize;
mod kubelet;
mod list;
mod log;
mod patch;
mod pod;
mod proxy;
mod read;
mod scale;
mod token;
mod update;
mod watch;

use http::StatusCode;
use skein_objects::{Part, StatusError};
use skein_storage::Object;

use crate::{
    access::admit,
    call::Call,
    form::Form,
    load::StreamPlace,
    media,
    reply::{self, Reply},
    route::Verb,
    service::Service,
    subresource::Subresource,
};

pub(crate) use kubelet::respond as respond_as_node;
pub(crate) use pod::node_of;
pub(crate) use proxy::ready_endpoints;

/// Serves a request that looks at objects as they are now.
pub(crate) async fn read(service: &Service, call: &Call) -> Result<Reply, StatusError> {
    match (call.verb, call.target.subresource) {
        (
            Verb::Get,
            None
            | Some(
                Subresource::Status
                | Subresource::EphemeralContainers
                | Subresource::Resize
                | Subresource::Approval,
            ),
        ) => read::get(service, call).await,
        (Verb::Get, Some(Subresource::Scale)) => scale::get(service, call).await,
        (Verb::List, None) => list::list(service, call).await,
        (verb, _) => Err(StatusError::method_not_allowed(format!("{verb:?}"))),
    }
}

/// Serves a request that changes objects.
pub(crate) async fn write(service: &Service, call: Call) -> Result<Reply, StatusError> {
    admit(call.verb, &call.target)?;
    match (call.verb, call.target.subresource) {
        (Verb::Create, None) => create::create(service, call).await,
        (Verb::Create, Some(Subresource::Binding)) => create::bind(service, call).await,
        (Verb::Create, Some(Subresource::Eviction)) => eviction::evict(service, call).await,
        (Verb::Create, Some(Subresource::Token)) => token::create(service, call).await,
        (
            Verb::Update,
            None
            | Some(Subresource::Status | Subresource::EphemeralContainers | Subresource::Resize),
        ) => update::update(service, call).await,
        (Verb::Update, Some(Subresource::Approval)) => approval::update(service, call).await,
        (Verb::Update, Some(Subresource::Finalize)) => finalize::update(service, call).await,
        (Verb::Update, Some(Subresource::Scale)) => scale::update(service, call).await,
        (
            Verb::Patch,
            None
            | Some(Subresource::Status | Subresource::EphemeralContainers | Subresource::Resize),
        ) => patch::patch(service, call).await,
        (Verb::Patch, Some(Subresource::Scale)) => scale::patch(service, call).await,
        (Verb::Delete, None) => delete::delete(service, call).await,
        (Verb::DeleteCollection, None) => delete::delete_collection(service, call).await,
        (verb, _) => Err(StatusError::method_not_allowed(format!("{verb:?}"))),
    }
}

/// Serves a request whose answer goes on; the permit ends with the answer.
pub(crate) async fn stream(
    service: &Service,
    call: &Call,
    permit: StreamPlace,
) -> Result<Reply, StatusError> {
    match call.target.subresource {
        Some(Subresource::Log) => log::log(service, call, permit).await,
        Some(Subresource::Proxy) => proxy::proxy(service, call, permit).await,
        Some(subresource) if subresource.connects() => {
            connect::connect(service, call, permit).await
        }
        _ => watch::watch(service, call, permit).await,
    }
}

/// The part of the object an update or patch of this target touches.
fn part_of(call: &Call) -> Part {
    match call.target.subresource {
        Some(Subresource::Status) => Part::Status,
        Some(Subresource::EphemeralContainers) => Part::EphemeralContainers,
        Some(Subresource::Resize) => Part::Resize,
        _ => Part::Main,
    }
}

/// An object as the answer, in the form the client accepts.
fn answer(call: &Call, code: StatusCode, object: &Object) -> Result<Reply, StatusError> {
    let form = Form::new(&call.target.kind, media::shape(&call.headers)?, &call.query)?;
    Ok(reply::json_bytes(code, form.single(&object.record, object.revision())?))
}
