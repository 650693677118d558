//! A snapshot on its way to another node: parts of bounded size, then a count of them.

use serde::{Deserialize, Serialize};
use skein_net::BoxedStream;

use crate::{
    frames::{self, FrameError},
    limits,
};
use skein_store::{
    Epoch, Record, Remembered, RequestMemory, Revision, SnapshotMeta, State, View, Vote,
};

/// The highest number of a request that is believed: no cluster gets there, and counting on from
/// it cannot overflow.
const MAX_SEQUENCE: u64 = u64::MAX / 2;

/// What opens the stream: who sends it, and what it covers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) epoch: Epoch,
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
}

#[derive(Debug, Serialize, Deserialize)]
enum Part<'a> {
    Records(Vec<std::borrow::Cow<'a, Record>>),
    Requests(Vec<Remembered>),
    End { records: usize, requests: usize, revision: Revision, first_request: u64 },
}

/// Why a snapshot did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{received} parts arrived of {sent} sent")]
    Incomplete { received: usize, sent: usize },
    #[error("no request can have the number {0}")]
    Sequence(u64),
}

/// Sends `state`.
pub(crate) async fn send(stream: &mut BoxedStream, state: &State) -> Result<(), SnapshotError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    for record in state.view.records() {
        bytes += record.size();
        records.push(std::borrow::Cow::Borrowed(record));
        if bytes >= limits::PART_BYTES {
            let part = Part::Records(std::mem::take(&mut records));
            frames::write(stream, &part, limits::SNAPSHOT_IDLE).await?;
            bytes = 0;
        }
    }
    frames::write(stream, &Part::Records(records), limits::SNAPSHOT_IDLE).await?;
    let memory = &state.requests;
    let mut from = memory.first_sequence();
    while from < memory.next_sequence() {
        let part: Vec<_> =
            memory.since(from).take(limits::PART_REQUESTS).map(|(_, one)| one).collect();
        from += part.len() as u64;
        frames::write(stream, &Part::Requests(part), limits::SNAPSHOT_IDLE).await?;
    }
    let requests = usize::try_from(memory.next_sequence() - memory.first_sequence());
    let end = Part::End {
        records: state.view.len(),
        requests: requests.unwrap_or(usize::MAX),
        revision: state.view.revision(),
        first_request: memory.first_sequence(),
    };
    frames::write(stream, &end, limits::SNAPSHOT_IDLE).await?;
    Ok(())
}

/// Receives a state, whole or not at all.
pub(crate) async fn receive(stream: &mut BoxedStream) -> Result<State, SnapshotError> {
    let (mut all_records, mut all_requests) = (Vec::new(), Vec::new());
    loop {
        match frames::read::<Part<'static>>(stream, limits::SNAPSHOT_IDLE).await? {
            Part::Records(records) => {
                all_records.extend(records.into_iter().map(std::borrow::Cow::into_owned));
            }
            Part::Requests(requests) => all_requests.extend(requests),
            Part::End { records, requests, revision, first_request } => {
                let received = all_records.len() + all_requests.len();
                if (records, requests) != (all_records.len(), all_requests.len()) {
                    let sent = records.saturating_add(requests);
                    return Err(SnapshotError::Incomplete { received, sent });
                }
                if first_request > MAX_SEQUENCE {
                    return Err(SnapshotError::Sequence(first_request));
                }
                let requests = RequestMemory::restore(first_request, all_requests);
                return Ok(State { view: View::from_records(all_records, revision), requests });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use skein_store::{Key, Operation, Precondition, RequestId, Stamp, Transaction};

    fn state() -> State {
        let mut state = State::default();
        for name in 0..20 {
            let put = Operation::Put {
                key: Key::new("pods", "default", format!("p{name}")),
                value: vec![0; limits::PART_BYTES / 5].into(),
                when: Precondition::Any,
            };
            state.apply(&Transaction::new(vec![put]), Stamp(1), &mut Vec::new()).unwrap();
        }
        state
    }

    fn pipe() -> (BoxedStream, BoxedStream) {
        let (one, other) = tokio::io::duplex(1 << 16);
        (Box::new(one), Box::new(other))
    }

    #[tokio::test]
    async fn what_was_sent_arrives() {
        let (mut near, mut far) = pipe();
        let sent = state();
        let (sending, received) = tokio::join!(send(&mut near, &sent), receive(&mut far));
        sending.unwrap();
        let received = received.unwrap();
        assert!(received.view.records().eq(sent.view.records()));
        assert_eq!(received.view.revision(), sent.view.revision());
        assert!(received.requests.since(0).eq(sent.requests.since(0)));
    }

    #[tokio::test]
    async fn an_end_with_impossible_counts_is_refused() {
        let sequence = |records, requests, first_request| Part::End {
            records,
            requests,
            revision: Revision(1),
            first_request,
        };
        for end in [sequence(usize::MAX, usize::MAX, 0), sequence(0, 1, u64::MAX)] {
            let (mut near, mut far) = pipe();
            let answer = Remembered { id: RequestId(1), stamp: Stamp(1), answer: Ok(Vec::new()) };
            frames::write(&mut near, &Part::Requests(vec![answer]), limits::SNAPSHOT_IDLE)
                .await
                .unwrap();
            frames::write(&mut near, &end, limits::SNAPSHOT_IDLE).await.unwrap();
            assert!(receive(&mut far).await.is_err(), "{end:?}");
        }
    }

    #[tokio::test]
    async fn a_truncated_snapshot_is_refused() {
        let (mut near, mut far) = pipe();
        let sent = state();
        let mut head = vec![0; 300_000];
        let cut = async {
            far.read_exact(&mut head).await.unwrap();
            drop(far);
        };
        let (sending, ()) = tokio::join!(send(&mut near, &sent), cut);
        assert!(sending.is_err());
        let (mut near, mut far) = pipe();
        let replay = async {
            tokio::io::AsyncWriteExt::write_all(&mut near, &head).await.unwrap();
            drop(near);
        };
        let ((), received) = tokio::join!(replay, receive(&mut far));
        assert!(matches!(received, Err(SnapshotError::Frame(FrameError::Broken(_)))));
    }
}
