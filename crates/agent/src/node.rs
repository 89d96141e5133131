//! A node: sensor, samplers, engines and response, in one loop.
//!
//! The loop is one thread on purpose: an event is read, understood and answered without a hand-over, so that a pool
//! login is cut before the pool's first job. Only closer looks have a thread of their own.

use std::{
    collections::VecDeque,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use minesweep_detect::{Losses, Output, Rules};
use minesweep_host::{Source, cpu, facts, gpu, hiding::Hunt, logs, memory, nvml, proc};
use minesweep_model::{
    Blind, Event, GpuUse, HookCount, Host, Load, Mode, ProcessCpu, ProcessKey, Report, Scanned, Text, What,
};
use minesweep_respond::{Leftover, Options, Responder};

use crate::{
    AgentError, Config, files::WatchedFiles, hunt::Hunts, looks::Looks, own::OwnUse, recording::Recorder,
    sensor, timer::Timer,
};

/// CPU time of processes is read this often.
const CPU_EVERY: Duration = Duration::from_secs(2);

/// Load is reported this often.
const LOAD_EVERY: Duration = Duration::from_secs(5);

/// Frozen processes are checked this often, while there are any.
const FROZEN_EVERY: Duration = Duration::from_millis(100);

/// Longest wait for the sensor, so that a stop is heard.
const WAIT: Duration = Duration::from_millis(250);

/// Longest wait at the end for looks that are under way.
const LAST_LOOKS: Duration = Duration::from_secs(3);

/// Longest wait at the start for a reader that runs beside us.
pub(crate) const FIRST_WORD: Duration = Duration::from_millis(200);

/// One node.
pub struct Node {
    mode: Mode,
    source: Box<dyn Source>,
    logs: logs::Reader,
    line: crate::Line,
    cpu: cpu::Sampler,
    gpu: gpu::Sampler,
    nvidia: nvml::Feed,
    looks: Looks,
    files: WatchedFiles,
    rules: Arc<Rules>,
    hunts: Hunts,
    responder: Option<Responder>,
    recorder: Option<Recorder>,
    own: OwnUse,
    host: Host,
    queue: VecDeque<Event>,
    busy: Vec<ProcessKey>,
    cpu_percent: f64,
    cpu_due: Timer,
    load_due: Timer,
}

/// Where reports go.
pub type Sink<'a> = dyn FnMut(Report) + 'a;

impl Node {
    /// Starts sensor and engines, and reads what runs already. In observe mode nothing that can change the machine
    /// is even made.
    ///
    /// # Errors
    /// When not root, the rules are refused, no sensor runs, or a wished response cannot be armed.
    pub fn start(config: &Config, record: Option<&Path>) -> Result<Self, AgentError> {
        if !rustix::process::geteuid().is_root() {
            return Err(AgentError::NotRoot);
        }
        memory::keep_lean();
        let own_pid = Some(std::process::id());
        let rules = crate::load_rules(config)?;
        let source = sensor::start(config.sensor)?;
        let responder = armed(config)?;
        let recorder = record.map(|path| Recorder::create(path, config, own_pid)).transpose()?;
        let mut node = Self {
            mode: config.mode,
            line: crate::Line::new(config.engine(own_pid), rules.clone()),
            cpu: cpu::Sampler::new().map_err(|source| AgentError::System { what: "/proc/stat", source })?,
            gpu: gpu::Sampler::default(),
            logs: log_reader(config),
            nvidia: nvml::Feed::new(&config.runtime_dir),
            rules: rules.clone(),
            files: WatchedFiles::start(rules.clone())?,
            looks: Looks::start(rules)?,
            hunts: Hunts::start(Instant::now())?,
            responder,
            recorder,
            own: OwnUse::default(),
            host: facts::host(),
            queue: VecDeque::new(),
            busy: Vec::new(),
            cpu_percent: 0.0,
            cpu_due: Timer::new(Instant::now(), CPU_EVERY),
            load_due: Timer::new(Instant::now(), LOAD_EVERY),
            source,
        };
        node.survey()?;
        node.wake_on_logs();
        Ok(node)
    }

    /// One sentence for the person who started it.
    pub fn greeting(&self) -> Text {
        let (sensor, mode) = (self.source.name(), mode_name(self.mode));
        let mut text = Text::new(
            format!("watching {} ({sensor} sensor, mode {mode})", self.host.name),
            format!("正在监视 {}（传感器 {sensor}，模式 {mode}）", self.host.name),
        );
        for blind in &self.host.blind {
            text.en.push_str(&format!("\nblind: {}: {}", blind.what, blind.why.en));
            text.zh.push_str(&format!("\n盲区：{}：{}", blind.what, blind.why.zh));
        }
        text
    }

    /// Runs until `is_over`; then hands over what is pending.
    ///
    /// # Errors
    /// When no sensor answers any more or the recording cannot be written.
    pub fn run(&mut self, is_over: &mut dyn FnMut() -> bool, sink: &mut Sink<'_>) -> Result<(), AgentError> {
        self.begin(sink)?;
        while !is_over() {
            self.step(sink)?;
        }
        self.finish(sink)
    }

    /// Tells of the machine and passes what runs already through the line.
    pub(crate) fn begin(&mut self, sink: &mut Sink<'_>) -> Result<(), AgentError> {
        if self.responder.is_some() {
            hurry();
        }
        self.drain(sink)?;
        memory::give_back();
        memory::forget_code();
        Ok(())
    }

    /// One round: what the sensor has, what is due, and what follows from it.
    pub(crate) fn step(&mut self, sink: &mut Sink<'_>) -> Result<(), AgentError> {
        self.gather(self.cpu_due.left(Instant::now()).min(WAIT))?;
        self.drain(sink)?;
        let now = Instant::now();
        if self.cpu_due.is_due(now) {
            self.sample();
            self.drain(sink)?;
        }
        if self.load_due.is_due(now) {
            sink(Report::Load(self.load()));
        }
        self.hunts.ask_if_due(now);
        self.hold();
        Ok(())
    }

    /// Stops again what somebody has let go on.
    fn hold(&mut self) {
        let Some(responder) = &mut self.responder else { return };
        match responder.tick(now_ms()) {
            Ok(tick) => {
                for key in tick.stopped_again {
                    tracing::warn!(pid = key.pid, "somebody let a frozen process go on; it is stopped again");
                }
            }
            Err(error) => tracing::error!(%error, "the journal cannot be written"),
        }
    }

    /// Processes that used at least a quarter of one processor in the last sample.
    pub(crate) fn busy(&self) -> &[ProcessKey] {
        &self.busy
    }

    /// Asks for a closer look at a process, and for closer samples of what the processor does.
    pub(crate) fn look(&mut self, key: ProcessKey) {
        if let Err(error) = self.source.sample_closely() {
            tracing::warn!(%error, "the processor cannot be sampled more closely");
        }
        self.looks.ask(key);
    }

    /// Asks for all that the look for hidden things can see.
    pub(crate) fn dig(&mut self) {
        self.hunts.dig(Instant::now());
    }

    /// The look for hidden things is under way.
    pub(crate) fn is_digging(&self) -> bool {
        self.hunts.is_pending()
    }

    /// The compiled rules.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.clone()
    }

    /// Passes files in which rules matched through the line, with the next round.
    pub(crate) fn take_files(&mut self, scanned: Vec<Scanned>) {
        self.queue.extend(scanned.into_iter().map(|scanned| event(What::Scanned(Box::new(scanned)))));
    }

    /// What runs already goes into the line first.
    fn survey(&mut self) -> Result<(), AgentError> {
        let unreadable = |source| AgentError::System { what: "/proc", source };
        self.host.sensor = self.source.name().to_owned();
        self.nvidia.call(FIRST_WORD);
        self.host.blind = self.blind();
        self.queue.push_back(event(What::Host(self.host.clone())));
        self.queue.extend(proc::running().map_err(unreadable)?);
        self.queue.extend(sensor::unlisted(now_ms()).map_err(unreadable)?);
        self.queue.extend(logs::past_logins().into_iter().map(|line| event(What::Log(Box::new(line)))));
        Ok(())
    }

    fn blind(&self) -> Vec<Blind> {
        self.source.blind().into_iter().chain(self.nvidia.blind()).chain(Hunt::blind()).collect()
    }

    /// Says what is blind when that has changed.
    fn tell_blind(&mut self) {
        let blind = self.blind();
        if blind == self.host.blind {
            return;
        }
        tracing::warn!(blind = ?blind.iter().map(|blind| &blind.what).collect::<Vec<_>>(), "what is blind has changed");
        self.host.blind = blind;
        self.queue.push_back(event(What::Host(self.host.clone())));
    }

    /// A new line ends the wait for the sensor.
    fn wake_on_logs(&mut self) {
        match self.logs.wake() {
            Ok(Some(fd)) => self.source.wake_on(fd),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "lines of logs are seen up to a quarter of a second late"),
        }
    }

    /// Waits for the sensor and collects what it saw and what looks have found.
    fn gather(&mut self, wait: Duration) -> Result<(), AgentError> {
        let is_holding = self.responder.as_ref().is_some_and(|responder| responder.frozen() > 0);
        let wait = if is_holding { wait.min(FROZEN_EVERY) } else { wait };
        let mut events = Vec::new();
        if let Err(error) = self.source.next(wait, &mut events) {
            tracing::error!(%error, sensor = self.source.name(), "the sensor failed, falling back");
            self.source = sensor::fall_back(self.source.name(), error)?;
            self.host.sensor = self.source.name().to_owned();
            self.host.blind = self.blind();
            events.push(event(What::Host(self.host.clone())));
            self.wake_on_logs();
        }
        self.queue.extend(events);
        // After the sensor's events: a line is about a process that was started before it was written.
        let mut lines = Vec::new();
        while self.logs.read(&mut lines) && lines.len() < logs::LINES_AT_ONCE {}
        self.queue.extend(lines.into_iter().map(|line| event(What::Log(Box::new(line)))));
        self.queue.extend(self.looks.ended().into_iter().map(|looked| event(What::Looked(Box::new(looked)))));
        let matched = self.files.matched(Instant::now());
        self.take_files(matched);
        self.queue.extend(self.hunts.ended(Instant::now()));
        Ok(())
    }

    /// Passes each waiting event through the line, acts, and tells.
    fn drain(&mut self, sink: &mut Sink<'_>) -> Result<(), AgentError> {
        while let Some(event) = self.queue.pop_front() {
            if let Some(recorder) = &mut self.recorder {
                recorder.event(&event)?;
            }
            if let What::Host(host) = &event.what {
                sink(Report::Host(host.clone()));
            }
            self.files.note(&event, Instant::now());
            for output in self.line.absorb(&event) {
                self.answer(&output);
                self.tell(output, sink);
            }
            if let What::Outcome(outcome) = event.what {
                sink(Report::Outcome(outcome));
            }
        }
        Ok(())
    }

    /// Acts on an output as far as the mode allows; what came of it is the next event.
    fn answer(&mut self, output: &Output) {
        let Some(responder) = &mut self.responder else { return };
        let plan = self.line.plan(self.mode, output);
        if plan.steps.is_empty() {
            return;
        }
        let outcomes = responder.carry_out(&plan, now_ms());
        for outcome in outcomes.into_iter().rev() {
            self.queue.push_front(event(What::Outcome(Box::new(outcome))));
        }
    }

    fn tell(&mut self, output: Output, sink: &mut Sink<'_>) {
        match output {
            Output::Detection(detection) => sink(Report::Detection(detection)),
            Output::Incident { change, incident } => sink(Report::Incident { change, incident }),
            Output::Look(key) => self.look(key),
        }
    }

    fn sample(&mut self) {
        match self.cpu.sample() {
            Ok(Some(sample)) => {
                let room = sample.over_ms.max(1) * u64::from(sample.cpus.max(1));
                self.cpu_percent = (sample.busy_ms as f64 / room as f64 * 100.0).min(100.0);
                let is_busy = |process: &&ProcessCpu| process.cpu_ms * 4 >= sample.over_ms;
                self.busy = sample.processes.iter().filter(is_busy).map(|process| process.process).collect();
                self.queue.push_back(event(What::Cpu(sample)));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "CPU time could not be read"),
        }
        match self.gpu.sample() {
            Ok(uses) => self.used(uses),
            Err(error) => tracing::warn!(%error, "graphics processors could not be read"),
        }
        let uses = self.nvidia.sample();
        self.used(uses);
        self.tell_blind();
    }

    /// The use of one sample has one time: by that it is told from the next.
    fn used(&mut self, uses: Vec<GpuUse>) {
        let at_ms = now_ms();
        self.queue.extend(uses.into_iter().map(|gpu| Event { at_ms, what: What::Gpu(gpu) }));
    }

    fn load(&mut self) -> Load {
        let (rss_kib, cpu_percent) = self.own.since_last();
        Load {
            at_ms: now_ms(),
            cpu_percent: self.cpu_percent,
            cpus: self.host.cpus,
            mode: self.mode,
            agent_rss_kib: rss_kib,
            agent_cpu_percent: cpu_percent,
            counts: self
                .source
                .counts()
                .into_iter()
                .chain(self.nvidia.count())
                .chain([self.logs.count(), self.files.count()])
                .collect(),
            exceptions: self.line.engine().excepted(now_ms()),
        }
    }

    /// The last events and looks, then the end.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), AgentError> {
        self.sample();
        self.files.hasten(Instant::now());
        let until = Instant::now() + LAST_LOOKS;
        loop {
            self.gather(Duration::ZERO)?;
            self.drain(sink)?;
            let is_pending = self.looks.pending() > 0 || self.hunts.is_pending() || self.files.pending() > 0;
            if !is_pending || Instant::now() >= until {
                break;
            }
            self.gather(Duration::from_millis(20))?;
        }
        if self.looks.dropped() > 0 {
            tracing::warn!(
                looks = self.looks.dropped(),
                "closer looks were left out because too many waited"
            );
        }
        let losses = self.line.engine().losses();
        if losses != Losses::default() {
            tracing::warn!(
                ?losses,
                "the tables of the engine were full, and what was thrown out was not judged"
            );
        }
        let load = self.load();
        for count in &load.counts {
            let HookCount { hook, made, seen, lost } = count;
            if *lost > 0 {
                tracing::warn!(
                    hook,
                    made,
                    seen,
                    lost,
                    "records of a hook were lost, and what they told was not judged"
                );
            } else {
                tracing::info!(hook, made, seen, "records of a hook");
            }
        }
        sink(Report::Load(load));
        self.recorder.take().map_or(Ok(()), |recorder| recorder.finish().map_err(AgentError::from))
    }
}

fn log_reader(config: &Config) -> logs::Reader {
    let extra: Vec<logs::Extra> = config
        .logs
        .files
        .iter()
        .map(|file| logs::Extra { path: file.path.clone(), program: file.program.clone() })
        .collect();
    logs::Reader::start(&extra)
}

/// The responder, in the modes that may act.
fn armed(config: &Config) -> Result<Option<Responder>, AgentError> {
    match config.mode {
        Mode::Observe => Ok(None),
        Mode::Block | Mode::Strict => {
            let mut responder = Responder::start(&Options { data_dir: config.data_dir.clone() })?;
            for outcome in responder.recover(Leftover::Thaw, now_ms())? {
                tracing::info!(
                    pid = outcome.target.key.pid,
                    "a process that an earlier run left frozen goes on"
                );
            }
            responder.arm()?;
            Ok(Some(responder))
        }
    }
}

/// Raises our own thread above what it is to stop: a pool answers a login within milliseconds, and a machine that
/// mines has no processor to spare.
fn hurry() {
    if let Err(error) = rustix::process::setpriority_process(None, -20) {
        tracing::warn!(%error, "the agent runs at usual priority; on a loaded machine a share may leave before it acts");
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Block => "block",
        Mode::Strict => "strict",
    }
}

fn event(what: What) -> Event {
    Event { at_ms: now_ms(), what }
}

/// Unix milliseconds; 0 before 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
