//! Takes over what an earlier run of this process left, and leaves what the next needs.

use std::{net::IpAddr, sync::Arc};

use k8s_openapi::api::core::v1::ContainerStatus;
use skein_runtime::ContainerState;

use super::{
    Worker,
    outcome::{Job, Outcome, StepError},
};
use crate::{
    checkpoint,
    lifecycle::{Cause, Network},
    probe::{ProbeKey, ProbeKind, ProbeState},
    status,
};

impl Worker {
    /// Takes over the sandbox, its address, and what the status says of its containers. Again
    /// does nothing.
    pub(crate) async fn adopt(&mut self) {
        let mut observed = std::mem::take(&mut self.observed);
        self.memory.absorb(&mut observed);
        self.observed = observed;
        self.remember_status();
        self.adopt_network().await;
    }

    async fn adopt_network(&mut self) {
        let Some(sandbox) = self.observed.live_sandbox().cloned() else { return };
        let Some(pid) = sandbox.pid else { return };
        if self.desired.host_network || matches!(self.memory.network, Network::Attached { .. }) {
            return;
        }
        // The status may be behind, or never have been told.
        let told = self.report.built.pod_ip.as_ref().and_then(|ip| ip.parse::<IpAddr>().ok());
        match self.host.network.adopt(self.uid(), pid, told).await {
            Ok(Some(ip)) => self.memory.network = Network::Attached { sandbox: sandbox.id, ip },
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(pod = self.uid(), %error, "cannot adopt the pod's network");
            }
        }
    }

    /// Restart counts, and that an ephemeral container has run, outlive the runtime's containers;
    /// verdicts of probes outlive the agent.
    fn remember_status(&mut self) {
        let status = &self.report.built;
        self.memory.ran.extend(status::ran_once(status));
        let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        for status in all {
            let counted = u32::try_from(status.restart_count).unwrap_or_default();
            let newest = self.observed.newest(&status.name);
            let lost = newest.is_none() && status.container_id.is_some();
            let least = counted + u32::from(lost);
            self.memory.least_attempt.insert(status.name.clone(), least);
            let Some(newest) = newest else { continue };
            if matches!(newest.state, ContainerState::Running { .. }) && is_of(status, &newest.id.0)
            {
                let mut know = |kind| {
                    let key = ProbeKey { id: newest.id.clone(), kind };
                    self.memory.probes.insert(key, ProbeState::known(true));
                };
                if status.started == Some(true) {
                    know(ProbeKind::Startup);
                }
                if status.ready {
                    know(ProbeKind::Readiness);
                }
            }
        }
    }

    /// Keeps the pod on disk, beside what the worker does.
    pub(super) fn save_pod(&mut self) {
        if self.gone {
            return;
        }
        let (directory, pod) = (self.directory.clone(), Arc::clone(&self.assigned));
        let disk = self.host.config.disk_work;
        self.jobs.spawn(async move {
            let saved = disk.run(move || checkpoint::save_pod(&directory, &pod)).await;
            let result = match saved {
                Ok(Ok(())) => Ok(Outcome::Saved),
                Ok(Err(error)) => Err(StepError::new(Cause::Runtime, error.to_string())),
                Err(error) => Err(StepError::new(Cause::Runtime, error.to_string())),
            };
            (Job::Save, result)
        });
    }
}

fn is_of(status: &ContainerStatus, id: &str) -> bool {
    let known = status.container_id.as_deref().and_then(|known| known.split_once("://"));
    known.is_some_and(|(_, known)| known == id)
}
