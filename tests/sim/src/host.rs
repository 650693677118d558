//! A simulated host: a disk, a clock, and the process that runs on it, if one does.
//!
//! A process has a tokio runtime of its own with a clock of its own, so that ending it ends every
//! task of it at once, wherever it was. The simulation steps the runtimes one after the other.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result};
use skein_consensus::{MemoryDisk, RaftStatus};
use skein_net::NodeId;
use tokio::{
    runtime::Runtime,
    task::JoinHandle,
    time::{Instant, advance, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    disk::{self, ErrorRate},
    limits::STEP,
    node::{View, Window},
    pods::Engine,
    power::Power,
    seam,
    wire::{Line, Packet, Wire},
};

/// One host.
pub(crate) struct Host {
    pub(crate) id: NodeId,
    pub(crate) disk: MemoryDisk,
    pub(crate) engine: Engine,
    /// Whether the machine itself loses its power with the process.
    pub(crate) power_fails: bool,
    /// How far its wall clock is off.
    pub(crate) skew_ms: i64,
    /// Until when its process stands still.
    pub(crate) stalled_until_ms: u64,
    /// Whether its disk is full.
    pub(crate) disk_full: bool,
    /// Whether its disk fails now and then, and how often.
    pub(crate) disk_fails: bool,
    errors: ErrorRate,
    /// How often it was started.
    pub(crate) starts: u64,
    running: Option<Running>,
}

struct Running {
    runtime: Runtime,
    main: JoinHandle<Result<()>>,
    line: Arc<Line>,
    power: Power,
    window: Window,
    stop: CancellationToken,
    /// What arrived while it stood still.
    backlog: Vec<Packet>,
    /// Its own clock at its start, and the simulation's.
    began: (Instant, u64),
}

/// How a step of a host ended.
#[derive(Debug)]
pub(crate) enum Stepped {
    /// As usual.
    On,
    /// Its power failed.
    Crashed,
    /// Its process ended by itself.
    Ended(Result<(), String>),
}

/// What starts on a host.
pub(crate) struct Start {
    pub(crate) window: Window,
    pub(crate) stop: CancellationToken,
    pub(crate) line: Arc<Line>,
    pub(crate) power: Power,
}

impl Host {
    /// A host that is down, with an empty disk.
    pub(crate) fn new(id: NodeId) -> Self {
        let disk = MemoryDisk::new();
        Self {
            id,
            disk,
            engine: Engine::new(),
            power_fails: true,
            skew_ms: 0,
            stalled_until_ms: 0,
            disk_full: false,
            disk_fails: false,
            errors: ErrorRate::default(),
            starts: 0,
            running: None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Starts the process that `main` makes.
    pub(crate) fn start<F>(
        &mut self,
        now_ms: u64,
        wire: &Wire,
        main: impl FnOnce(&Start) -> F,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.starts += 1;
        seam::show(Duration::from_millis(now_ms), self.skew_ms);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .context("a runtime of the simulation")?;
        let power = Power::new();
        disk::attach(&self.disk, &power, &self.errors, self.id.0 ^ self.starts << 32);
        let line = wire.connect(self.id, power.clone());
        let start =
            Start { window: Window::default(), stop: CancellationToken::new(), line, power };
        let main = runtime.spawn(main(&start));
        let began = (runtime.block_on(async { Instant::now() }), now_ms);
        let Start { window, stop, line, power } = start;
        self.stalled_until_ms = now_ms;
        let backlog = Vec::new();
        self.running = Some(Running { runtime, main, line, power, window, stop, backlog, began });
        Ok(())
    }

    /// Runs the process for one step from `now_ms`, beginning with what arrives.
    pub(crate) fn step(&mut self, now_ms: u64, arriving: Vec<Packet>) -> Stepped {
        let Some(running) = &mut self.running else { return Stepped::On };
        running.backlog.extend(arriving);
        if now_ms < self.stalled_until_ms {
            return Stepped::On;
        }
        seam::show(Duration::from_millis(now_ms), self.skew_ms);
        let (began, began_ms) = running.began;
        let now = began + Duration::from_millis(now_ms - began_ms);
        let Running { runtime, line, power, backlog, .. } = running;
        runtime.block_on(async {
            // After a stall the clock jumps: nothing ran meanwhile.
            let behind = now.saturating_duration_since(Instant::now());
            if !behind.is_zero() {
                advance(behind).await;
            }
            backlog.drain(..).for_each(|packet| line.receive(packet));
            tokio::select! {
                biased;
                () = power.failed() => {}
                () = sleep_until(now + STEP) => {}
            }
        });
        if power.is_off() {
            return Stepped::Crashed;
        }
        if running.main.is_finished() {
            let outcome = running.runtime.block_on(&mut running.main);
            let outcome = match outcome {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(format!("{error:#}")),
                Err(error) => Err(error.to_string()),
            };
            return Stepped::Ended(outcome);
        }
        Stepped::On
    }

    /// The process is no more. Where power failed, `survives` decides how many bytes of each
    /// unsynced write reached the disk.
    pub(crate) fn end(&mut self, wire: &Wire, survives: Option<&mut dyn FnMut(usize) -> usize>) {
        wire.disconnect(self.id);
        if let Some(running) = self.running.take() {
            running.power.fail_after(0);
            running.line.close();
            drop(running);
        }
        if let Some(survives) = survives {
            self.disk.crash(survives);
        }
    }

    /// Fills the disk, or makes room.
    pub(crate) fn fill_disk(&mut self, full: bool) {
        self.disk_full = full;
        self.disk.set_full(full);
    }

    /// Lets so many of a thousand writes and syncs fail.
    pub(crate) fn break_disk(&mut self, of_a_thousand: u32) {
        self.disk_fails = of_a_thousand > 0;
        self.errors.set(of_a_thousand);
    }

    /// Lets the power fail after so many more effects.
    pub(crate) fn fail_after(&self, effects: u32) {
        if let Some(running) = &self.running {
            running.power.fail_after(effects);
        }
    }

    /// Whether its power has failed and its process has only not been seen to end, for it stood
    /// still.
    pub(crate) fn is_failing(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.power.is_off())
    }

    /// Takes back a failure of its power that has not come yet.
    pub(crate) fn hold_power(&self) {
        if let Some(running) = &self.running {
            running.power.hold();
        }
    }

    /// Asks the process to stop in order.
    pub(crate) fn ask_to_stop(&self) {
        if let Some(running) = &self.running {
            running.stop.cancel();
        }
    }

    /// What the process shows, once it does.
    pub(crate) fn view(&self) -> Option<View> {
        self.running.as_ref()?.window.look()
    }

    /// What its replica is doing now.
    pub(crate) fn status(&self) -> Option<RaftStatus> {
        Some(self.view()?.status?.borrow().clone())
    }

    /// Runs something on the host beside its process; the answer comes there.
    pub(crate) fn run<T: Send + Sync + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<Arc<OnceLock<T>>> {
        let answer = Arc::new(OnceLock::new());
        let place = Arc::clone(&answer);
        let running = self.running.as_ref()?;
        drop(running.runtime.spawn(async move {
            let value = task.await;
            place.get_or_init(|| value);
        }));
        Some(answer)
    }
}
