//! Messages of other hosts.

use bytes::Bytes;
use chitchat::{ChitchatMessage, Deserializable, Serializable};
use serde::{Serialize, de::DeserializeOwned};
use skein_net::{JoinRefusal, JoinRequest, JoinResponse, codec};

/// What a host that joins sends, and what it is answered.
pub(crate) fn join(bytes: &[u8]) {
    reads_back(bytes, rewritten::<JoinRequest>);
    reads_back(bytes, rewritten::<Result<JoinResponse, JoinRefusal>>);
}

/// Messages between replicas: Raft's and the store's, and the answers to them. Those of probes,
/// numbers all of them, have a property test of their own.
pub(crate) fn peer(bytes: &[u8]) {
    for rewritten in skein_consensus::fuzzing::MESSAGES {
        reads_back(bytes, rewritten);
    }
}

/// Gossip. What it says of nodes is cut into blocks as chitchat likes, so only what says nothing of
/// them is written as it was read.
pub(crate) fn gossip(bytes: &[u8]) {
    reads_back(bytes, |mut bytes| {
        let message = ChitchatMessage::deserialize(&mut bytes).ok()?;
        let is_plain = matches!(message, ChitchatMessage::Syn { .. } | ChitchatMessage::BadCluster);
        is_plain.then(|| message.serialize_to_vec())
    });
}

/// A state on its way to another replica: what was received whole is sent on as it is.
pub(crate) fn snapshot(bytes: &[u8]) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    reads_back(bytes, |bytes| runtime.block_on(skein_consensus::fuzzing::snapshot(bytes)));
}

fn rewritten<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Bytes> {
    codec::encode(&codec::decode::<T>(bytes).ok()?).ok()
}

/// A message that is read and written is read again, and then written the same.
fn reads_back<B: AsRef<[u8]>>(bytes: &[u8], rewritten: impl Fn(&[u8]) -> Option<B>) {
    let Some(written) = rewritten(bytes) else { return };
    let again = rewritten(written.as_ref()).expect("what was written is read");
    assert_eq!(again.as_ref(), written.as_ref(), "what was written is read as something else");
}
