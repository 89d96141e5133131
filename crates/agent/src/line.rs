//! The line from an event to what it means: `traffic`, then `detect`. Pure, so that a replay is the run.
//!
//! Reads no clock and does no I/O: what a look at a process found comes back as an event of its own. Does not act.

use std::sync::Arc;

use minesweep_detect::{Engine, FieldsRecord, Output, Rules, Settings};
use minesweep_model::{Event, Mode, Plan};
use minesweep_traffic::{Limits, Streams};

/// The engines of one node.
pub struct Line {
    streams: Streams,
    engine: Engine,
}

impl Line {
    /// A line with compiled rules.
    pub fn new(settings: Settings, rules: Arc<Rules>) -> Self {
        Self { streams: Streams::new(Limits::default()), engine: Engine::new(settings, rules) }
    }

    /// What one event means.
    pub fn absorb(&mut self, event: &Event) -> Vec<Output> {
        let said = self.streams.observe(event);
        let mut outputs = self.engine.observe(event);
        for event in &said {
            outputs.extend(self.engine.observe(event));
        }
        outputs
    }

    /// What a record in Sigma's field names means.
    ///
    /// # Errors
    /// When no rule can be about its log source.
    pub fn absorb_fields(&mut self, record: &FieldsRecord, at_ms: u64) -> Result<Vec<Output>, String> {
        self.engine.observe_fields(record, at_ms)
    }

    /// What `mode` allows to be done about an output.
    pub fn plan(&mut self, mode: Mode, output: &Output) -> Plan {
        self.engine.plan(mode, output)
    }

    /// The engine, for its incidents and counters.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}
