//! Surveys and orders from the host whose operator recovers the cluster.

use futures::future::join_all;
use skein_net::NodeId;
use skein_store::{StoreError, recovery::Order};

use super::{Ordered, Plan, ReplicaReport, Survey, respond::Responder};
use crate::{
    PeerState, limits,
    store_protocol::{self, Refusal, StoreReply, StoreRequest},
};

/// Asks all of `peers` and this node, all at once.
pub(crate) async fn survey(responder: &Responder, peers: &[PeerState]) -> Vec<Survey> {
    let own = responder.parts.own();
    let name = |id: NodeId| {
        let peer = peers.iter().find(|peer| peer.id == id);
        peer.map_or_else(|| id.to_string(), |peer| peer.name.clone())
    };
    let others = peers.iter().map(|peer| peer.id).filter(|id| *id != own);
    let asked = others.map(async |node| Survey {
        node,
        name: name(node),
        outcome: report_of(responder, node).await,
    });
    let mut surveys = join_all(asked).await;
    surveys.push(Survey { node: own, name: name(own), outcome: Ok(responder.report()) });
    surveys.sort_by(|a, b| a.name.cmp(&b.name));
    surveys
}

async fn report_of(responder: &Responder, node: NodeId) -> Result<ReplicaReport, String> {
    match ask(responder, node, &StoreRequest::Survey).await? {
        StoreReply::Report(report) => Ok(*report),
        other => Err(store_protocol::unexpected(&other).to_string()),
    }
}

async fn ask(
    responder: &Responder,
    node: NodeId,
    request: &StoreRequest,
) -> Result<StoreReply, String> {
    let transport = responder.parts.transport.as_ref();
    store_protocol::ask(transport, None, node, request, limits::RECOVERY_TIMEOUT).await.map_err(
        |refusal| match refusal {
            // The reason alone: that there is no leader is why anybody asks.
            Refusal::Store(StoreError::Unavailable(reason)) => reason,
            other => other.to_string(),
        },
    )
}

/// Orders the chosen one to lead, and the others to follow only if it will.
pub(crate) async fn recover(responder: &Responder, plan: &Plan) -> Vec<Ordered> {
    let own = responder.parts.own();
    let mut orders = vec![(plan.lead, Order::Lead { epoch: plan.epoch })];
    let follow = plan.follow.iter().map(|node| (*node, Order::Follow { epoch: plan.epoch }));
    orders.extend(follow);
    let mut done: Vec<Ordered> = Vec::new();
    let mut obeyed = false;
    for (node, order) in orders {
        let led = done.first().is_none_or(|first| first.outcome.is_ok());
        let outcome = match led {
            true if node == own => {
                let written = responder.obey(order).await.map_err(|error| error.to_string());
                obeyed = written.is_ok();
                written
            }
            true => command(responder, node, order).await,
            false => Err("nobody leads".to_owned()),
        };
        done.push(Ordered { node, outcome });
    }
    if obeyed {
        responder.restart_soon();
    }
    done
}

async fn command(responder: &Responder, node: NodeId, order: Order) -> Result<(), String> {
    match ask(responder, node, &StoreRequest::Order(order)).await? {
        StoreReply::Ordered => Ok(()),
        other => Err(store_protocol::unexpected(&other).to_string()),
    }
}
