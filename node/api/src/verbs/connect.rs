//! The subresources of pods whose connection becomes one of another protocol: exec and attach talk
//! to a process, portforward to ports.

mod exec;
mod forward;
mod handshake;
mod socket;
mod streams;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use skein_objects::StatusError;

use crate::{
    call::Call, load::StreamPlace, reply::Reply, service::Service, subresource::Subresource,
};
use handshake::Handshake;

/// Hands the connection to whom it is asked to go to; it keeps its place as long as it lasts.
pub(super) async fn connect(
    service: &Service,
    call: &Call,
    permit: StreamPlace,
) -> Result<Reply, StatusError> {
    let cancel = service.cancel.clone();
    let (conversation, reply) = match call.target.subresource {
        Some(Subresource::PortForward) => forward::begin(service, call).await?,
        _ => exec::begin(service, call).await?,
    };
    service.tasks.spawn(async move {
        cancel.run_until_cancelled(conversation).await;
        drop(permit);
    });
    Ok(reply)
}

/// What goes on over a connection once its request is answered.
type Conversation = futures::future::BoxFuture<'static, ()>;

/// The connection, once its request is answered.
fn upgrade(call: &Call) -> Result<OnUpgrade, StatusError> {
    call.take_upgrade()
        .ok_or_else(|| StatusError::bad_request("this connection cannot be upgraded: use HTTP/1.1"))
}

/// Waits until a connection is the other protocol's; `None` if the client left before.
async fn upgraded(upgrade: OnUpgrade) -> Option<TokioIo<Upgraded>> {
    match upgrade.await {
        Ok(upgraded) => Some(TokioIo::new(upgraded)),
        Err(error) => {
            tracing::debug!(%error, "a client left before its connection was upgraded");
            None
        }
    }
}
