//! Makes the faults of the plan happen.

use std::time::Duration;

use anyhow::Result;
use skein_net::NodeId;

use super::World;
use crate::{
    host::Host,
    plan::{Fault, Victim},
};

impl World {
    /// Makes one fault happen.
    pub(super) fn inflict(&mut self, fault: &Fault) -> Result<()> {
        self.trace.note(format_args!("fault: {fault:?}"));
        match fault {
            Fault::StartAll => self.start_all()?,
            Fault::Split(side) => self.split(side),
            Fault::Weather(weather) => self.wire.set_weather(*weather),
            Fault::Mend => self.wire.heal(),
            Fault::Cut { victim, peer, one_way } => {
                if let Some(id) = self.victim(*victim) {
                    self.wire.cut(id, NodeId(*peer));
                    if !one_way {
                        self.wire.cut(NodeId(*peer), id);
                    }
                }
            }
            Fault::Crash { victim, .. }
            | Fault::Stop(victim)
            | Fault::Stall { victim, .. }
            | Fault::Clock { victim, .. }
            | Fault::DiskFull { victim, .. }
            | Fault::DiskErrors { victim, .. }
            | Fault::DiskSlow { victim, .. } => {
                if let Some(id) = self.victim(*victim) {
                    self.hit(id, fault);
                }
            }
        }
        Ok(())
    }

    fn hit(&mut self, id: NodeId, fault: &Fault) {
        let now_ms = self.now_ms;
        let Some(host) = self.hosts.get_mut(&id) else { return };
        match fault {
            Fault::Crash { after_effects, power, .. } => {
                host.power_fails = *power;
                host.fail_after(*after_effects);
            }
            Fault::Stop(_) if host.is_up() => {
                host.ask_to_stop();
                self.stopping.push(id);
            }
            Fault::Stall { ms, .. } => host.stalled_until_ms = now_ms + ms,
            Fault::Clock { off_by_ms, .. } => host.skew_ms = *off_by_ms,
            Fault::DiskFull { full, .. } => host.fill_disk(*full),
            Fault::DiskErrors { of_a_thousand, .. } => host.break_disk(*of_a_thousand),
            Fault::DiskSlow { ms, .. } => host.disk.set_sync_latency(Duration::from_millis(*ms)),
            _ => {}
        }
    }

    /// Who is meant; nobody if nobody leads.
    fn victim(&self, victim: Victim) -> Option<NodeId> {
        match victim {
            Victim::Host(id) => Some(NodeId(id)),
            Victim::Leader => self
                .members()
                .filter_map(Host::status)
                .filter(skein_consensus::RaftStatus::is_leader)
                .max_by_key(|status| status.term)
                .map(|status| status.id),
        }
    }

    fn split(&self, side: &[u64]) {
        let all: Vec<NodeId> = self.hosts.keys().copied().collect();
        let inside = |id: &NodeId| side.contains(&id.0);
        for one in all.iter().filter(|id| inside(id)) {
            for other in all.iter().filter(|id| !inside(id)) {
                self.wire.cut(*one, *other);
                self.wire.cut(*other, *one);
            }
        }
    }

    /// Starts every host that is down.
    pub(super) fn start_all(&mut self) -> Result<()> {
        let down: Vec<NodeId> =
            self.hosts.values().filter(|host| !host.is_up()).map(|host| host.id).collect();
        down.into_iter().try_for_each(|id| self.start(id))
    }
}
