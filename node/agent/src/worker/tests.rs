//! What a worker does before it knows what the runtime has.

use jiff::Timestamp;
use skein_runtime::SimulatedRuntime;
use skein_storage::{EventRecorder, Storage};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    AgentConfig, SimulatedNetwork,
    host::{Health, NetworkHealth},
    metrics::Metrics,
};

fn host(data: &TempDir) -> Arc<Host> {
    let storage = Storage::new(skein_consensus::MemoryStore::new());
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let address = "10.77.0.1".parse().expect("an address");
    Arc::new(Host {
        room: crate::allocation::Room::new(),
        starts: Arc::new(Semaphore::new(1)),
        pulls: Semaphore::new(1),
        health: watch::Sender::new(Health::Unknown),
        network_health: watch::Sender::new(NetworkHealth::NoRange),
        config: AgentConfig::new("h1", address, data.path().to_owned()),
        recorder: EventRecorder::start(&storage, "agent", "h1", &tasks, cancel),
        storage,
        runtime: Arc::new(SimulatedRuntime::new(Timestamp::UNIX_EPOCH)),
        network: Arc::new(SimulatedNetwork::new()),
        metrics: Metrics::new(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_new_worker_of_a_running_pod_reports_nothing_before_it_has_looked() {
    let data = TempDir::new().expect("a directory");
    let pod = serde_json::json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {
            "nodeName": "h1", "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "app:1"}],
        },
        "status": {
            "phase": "Running", "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [{
                "name": "main", "image": "app:1", "imageID": "sha256:1", "restartCount": 0,
                "containerID": "simulated://c", "ready": true, "started": true,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }],
        },
    });
    let pod: Arc<Pod> = Arc::new(serde_json::from_value(pod).expect("a pod"));
    let (_assign, assignments) = watch::channel(Assignment { pod: Arc::clone(&pod), gone: false });
    let hint = Arc::new(Notify::new());
    let mut worker = Worker::new(host(&data), assignments, hint, Observed::default());
    worker.adopt().await;
    assert!(worker.act().is_some());
    assert_eq!(Some(&worker.report.built), pod.status.as_ref());
    assert_eq!(worker.desired.intent, Intent::Run);
}
