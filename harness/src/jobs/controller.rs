//! How many labs at a time: what is known of a lab and of the machine goes in, a number comes out.
//!
//! *Assumes* that it is told of every lab that comes up or ends, in that order, and that runs of one
//! campaign are much alike. *Guarantees* a pure answer, never less than one lab, and never more than
//! memory carries by what was last measured of it.
//!
//! Three things bound how many labs a machine carries. *Memory*: each lab has its daemons. *Bring-up*:
//! labs come up one after another, so that labs beyond (time of a run / time of a bring-up) would
//! only wait for their turn. *CPU*: a run costs CPU time, nearly all of it in its bring-up, so labs
//! side by side make a load, and at some load the labs that are being measured wait for a CPU. Which
//! load that is no model knows: it begins at [`FIRST_LOAD`], and what the runs themselves report
//! moves it, by addition upwards and by multiplication downwards.

use results::{Finding, FindingKind, Severity};
use topologies::{FailureKind, ResolvedScenario};

/// The share of all CPUs that labs are to use at first.
pub const FIRST_LOAD: f64 = 0.8;
/// What a generation of undistorted runs adds to that share.
const LOAD_STEP: f64 = 0.05;
/// What is left of the labs after a generation with distorted runs.
const BACK_OFF: f64 = 0.75;
/// More is never asked: the CPU time of a lab is known from others than those to come.
const MOST_LOAD: f64 = 1.5;
/// Below this share of all CPUs labs are in nobody's way: what distorts runs then is something else on
/// the machine, and fewer labs would only make the campaign longer.
const LEAST_LOAD: f64 = 0.1;
/// Of the runs of a generation this share may be distorted: the machine has moods of its own.
const TOLERATED: f64 = 0.1;
/// How much a new measurement counts beside those before.
const NEWS: f64 = 0.125;
/// Memory that labs leave to everything else: a tenth of it, at least this, octets.
const LEAST_RESERVE: u64 = 512 << 20;

/// What one lab costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpectedCost {
    /// Memory of its processes, octets.
    pub memory_bytes: u64,
    /// From its beginning until the next one may begin, seconds.
    pub bring_up_s: f64,
    /// From its beginning to its end, seconds.
    pub run_s: f64,
    /// CPU time in all, seconds.
    pub cpu_s: f64,
}

impl ExpectedCost {
    /// What a lab will cost, before one was seen. Measured with FRR 8.4.4 in cliques of 16 to 128
    /// routers: 20 MiB a router and 0.7 MiB a session end, 0.1 CPU-seconds a router and 3 ms a
    /// session end; bgpd's start timer takes a second of whatever is wanted.
    #[must_use]
    pub fn estimate(scenario: &ResolvedScenario, cpus: usize) -> Self {
        let topology = &scenario.topology;
        let routers = topology.routers().count() as f64;
        let ends = topology.router_session_ends() as f64;
        let bring_up_cpu_s = 0.1 * routers + 0.003 * ends;
        let bring_up_s = 1.0 + bring_up_cpu_s / cpus.max(1) as f64;
        Self {
            memory_bytes: ((30.0 + 20.0 * routers + 0.7 * ends) * f64::from(1 << 20)) as u64,
            bring_up_s,
            run_s: bring_up_s + protocol_s(scenario),
            cpu_s: bring_up_cpu_s,
        }
    }
}

/// The time that a run takes at least, once its sessions are up, seconds.
fn protocol_s(scenario: &ResolvedScenario) -> f64 {
    let failure = &scenario.failure;
    let mrai_s = scenario.router.mrai.as_secs_f64();
    // Before each quiet the network converges, which takes an MRAI where there is one.
    let quiet_s = mrai_s + scenario.quiet_period().as_secs_f64();
    let filler = scenario.injector.filler.as_ref();
    let kills = f64::from(failure.kills.saturating_sub(1));
    let rounds = if failure.kind == FailureKind::MraiProbe {
        f64::from(failure.rounds) * 9.0 * mrai_s
    } else {
        0.0
    };
    2.0 * quiet_s
        + failure.phase.as_secs_f64()
        + failure.restart_delay.as_secs_f64()
        + kills * failure.kill_interval.as_secs_f64()
        + filler.map_or(0.0, |f| f.duration().as_secs_f64())
        + rounds
}

/// The machine, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Number of CPUs.
    pub cpus: usize,
    /// Memory in all, octets.
    pub memory_bytes: u64,
}

impl Machine {
    /// Labs that may come up at the same time. A bring-up keeps a CPU and a half busy for most of
    /// its time: more at once would only share them, and disturb the labs that are being measured
    /// for longer.
    #[must_use]
    pub fn bring_ups(self) -> usize {
        (self.cpus / 2).max(1)
    }

    fn reserve_bytes(self) -> u64 {
        (self.memory_bytes / 10).max(LEAST_RESERVE)
    }
}

/// A decision, and why it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Labs at a time.
    pub labs: usize,
    /// The reason, in words.
    pub why: String,
}

/// Decides how many labs are up at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Controller {
    machine: Machine,
    cost: ExpectedCost,
    /// Whether a lab has come up: what is known of that is then measured.
    any_came_up: bool,
    /// The same of a run that ended.
    any_ended: bool,
    /// Share of all CPUs that labs may use.
    load: f64,
    labs: usize,
    /// Labs that memory carries, those that are up included, when that was last looked at.
    memory_carries: usize,
    /// A run tells of the labs that were beside it. Only one that began after the load was last
    /// changed tells whether that was good.
    generation: u64,
    clean: usize,
    distorted: usize,
}

impl Controller {
    /// One that knows only what the scenario lets expect.
    #[must_use]
    pub fn new(cost: ExpectedCost, machine: Machine, available_bytes: u64) -> Self {
        let mut controller = Controller {
            machine,
            cost,
            any_came_up: false,
            any_ended: false,
            load: FIRST_LOAD,
            labs: 1,
            memory_carries: 1,
            generation: 0,
            clean: 0,
            distorted: 0,
        };
        controller.look_at_memory(0, available_bytes);
        controller.labs = controller.carried();
        controller
    }

    /// Labs at a time, as decided.
    #[must_use]
    pub fn labs(&self) -> usize {
        self.labs
    }

    /// Number of times that the load was changed: a run remembers it from its beginning on.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether one more lab may begin beside `up` that are there, with that much memory available.
    /// The first one always may: whether it fits is better seen than guessed.
    pub fn admits(&mut self, up: usize, available_bytes: u64) -> bool {
        self.look_at_memory(up, available_bytes);
        up < self.labs.min(self.memory_carries)
    }

    fn look_at_memory(&mut self, up: usize, available_bytes: u64) {
        let spare = available_bytes.saturating_sub(self.machine.reserve_bytes());
        let more = spare / self.cost.memory_bytes.max(1);
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        self.memory_carries = up.saturating_add(more).max(1);
    }

    /// A lab has come up: how long that took, and how much memory it has, if that was looked at.
    pub fn came_up(&mut self, bring_up_s: f64, memory_bytes: Option<u64>) -> Option<Decision> {
        let first = !self.any_came_up;
        self.any_came_up = true;
        learn(&mut self.cost.bring_up_s, bring_up_s, first);
        if let Some(bytes) = memory_bytes {
            // The largest counts: where memory runs out, processes are killed.
            let known = if first { 0 } else { self.cost.memory_bytes };
            self.cost.memory_bytes = bytes.max(known);
        }
        first.then(|| self.decide("the first lab is up")).flatten()
    }

    /// A run has ended that began in `generation`: how long it took, how much CPU time, and what
    /// was found.
    pub fn ended(
        &mut self,
        generation: u64,
        run_s: f64,
        cpu_s: Option<f64>,
        findings: &[Finding],
    ) -> Option<Decision> {
        let first = !self.any_ended;
        self.any_ended = true;
        learn(&mut self.cost.run_s, run_s, first);
        if let Some(cpu_s) = cpu_s {
            learn(&mut self.cost.cpu_s, cpu_s, first);
        }
        if generation == self.generation {
            let distortion = findings.iter().find(|f| distorts(f));
            match distortion {
                None => self.clean += 1,
                Some(_) => self.distorted += 1,
            }
            let too_many = (TOLERATED * self.labs as f64).ceil().max(1.0);
            if let Some(finding) = distortion.filter(|_| self.distorted as f64 >= too_many) {
                return self.back_off(finding);
            }
            if self.clean + self.distorted >= self.labs {
                return self.go_on();
            }
        }
        first
            .then(|| self.decide("the first run has ended"))
            .flatten()
    }

    /// A whole generation was bearable.
    fn go_on(&mut self) -> Option<Decision> {
        // More load is allowed only where the CPUs are what binds: otherwise it is not used, and
        // nobody would have tried it.
        let untouched = self.distorted == 0;
        if untouched && self.by_cpu() <= self.by_bring_up().min(self.memory_carries) {
            self.load = (self.load + LOAD_STEP).min(MOST_LOAD);
        }
        let of = self.clean + self.distorted;
        let why = format!("{} of the last {of} runs are distorted", self.distorted);
        self.next_generation();
        self.decide(&why)
    }

    fn back_off(&mut self, finding: &Finding) -> Option<Decision> {
        self.load = (self.load.min(self.load_of(self.labs)) * BACK_OFF).max(LEAST_LOAD);
        let why = format!(
            "{} of the last {} runs are distorted ({})",
            self.distorted,
            self.clean + self.distorted,
            word(finding.kind)
        );
        self.next_generation();
        self.decide(&why)
    }

    fn next_generation(&mut self) {
        self.generation += 1;
        self.clean = 0;
        self.distorted = 0;
    }

    /// Follows what is known now; tells it if that is another number of labs.
    fn decide(&mut self, occasion: &str) -> Option<Decision> {
        let labs = self.carried();
        if labs == self.labs {
            return None;
        }
        self.labs = labs;
        Some(self.decision(occasion))
    }

    /// What holds now, in words.
    #[must_use]
    pub fn decision(&self, occasion: &str) -> Decision {
        let ExpectedCost {
            memory_bytes,
            bring_up_s,
            run_s,
            cpu_s,
        } = self.cost;
        let why = format!(
            "{occasion}. A lab takes {} MiB, and {cpu_s:.1} s of CPU time in {run_s:.0} s, {bring_up_s:.1} s of them to come \
             up: memory carries {}, bring-up in turn {}, {:.0} % of the CPUs {}",
            memory_bytes >> 20,
            self.memory_carries,
            self.by_bring_up(),
            self.load * 100.0,
            self.by_cpu()
        );
        Decision {
            labs: self.labs,
            why,
        }
    }

    fn carried(&self) -> usize {
        let least = self.by_bring_up().min(self.by_cpu());
        least.min(self.memory_carries).max(1)
    }

    fn by_bring_up(&self) -> usize {
        whole(self.cost.run_s / self.cost.bring_up_s * self.machine.bring_ups() as f64)
    }

    fn by_cpu(&self) -> usize {
        whole(self.load / self.load_of(1))
    }

    /// The share of all CPUs that so many labs use.
    fn load_of(&self, labs: usize) -> f64 {
        let of_one = self.cost.cpu_s / (self.cost.run_s * self.machine.cpus.max(1) as f64);
        labs as f64 * of_one.max(f64::EPSILON)
    }
}

/// A number of labs. Rounding must not take one away from what was computed to be exactly it.
fn whole(labs: f64) -> usize {
    (labs + 1e-9) as usize
}

/// Whether a finding says that labs were in each other's way. That somebody on the machine waited
/// (`cpu-pressure`) does not say it: coming up, a lab's own daemons wait for one another.
fn distorts(finding: &Finding) -> bool {
    let of_a_busy_machine = matches!(
        finding.kind,
        FindingKind::RunQueueDelay
            | FindingKind::SchedulingDelay
            | FindingKind::FailureSkew
            | FindingKind::NetlinkOverrun
            | FindingKind::PacketDrop
            | FindingKind::NotEstablished
    );
    of_a_busy_machine && finding.severity >= Severity::Warning
}

/// The word of a kind, as in docs/findings.md.
fn word(kind: FindingKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(word)) => word,
        _ => format!("{kind:?}"),
    }
}

/// Takes a measurement into the mean; the first one takes the estimate's place.
fn learn(mean: &mut f64, value: f64, first: bool) {
    let share = if first { 1.0 } else { NEWS };
    *mean += share * (value - *mean);
}

#[cfg(test)]
mod tests;
