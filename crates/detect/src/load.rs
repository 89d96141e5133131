//! How much is used, how evenly, and by whom: the weak signs, and the one strong one, time that nobody shows.
//!
//! Load is a feature and never a verdict: build machines, rendering and BOINC look the same.

use std::collections::{BTreeMap, VecDeque};

use minesweep_model::{CpuSample, GpuUse, ProcessCpu, ProcessKey};

use crate::settings::{Metric, SustainedThreshold};

/// Steadiness is judged over this time; shorter fires on every long compile.
const STEADY_OVER_MS: u64 = 5 * 60_000;
/// Samples within this time share a slot, which bounds the history to 61 slots and evens out the sampling.
const STEADY_SLOT_MS: u64 = 5_000;
/// Largest coefficient of variation of the slots, percent. Miners that loop over one hash stay under 2 on a quiet
/// machine; work that reads files is above 10.
const STEADY_VARIATION_PERCENT: f64 = 5.0;
/// Least share of each busy processor.
const STEADY_SHARE: f64 = 0.9;
/// Least ratio of forced to chosen waits; RandomX was measured at 1501 to 3.
const STEADY_FORCED_RATIO: u64 = 50;
/// Under this share of a processor a process has no history.
const STEADY_LEAST_SHARE: f64 = 0.5;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    over_ms: u64,
    cpu_ms: u64,
    voluntary: u64,
    involuntary: u64,
}

/// CPU use of one process over the last five minutes.
#[derive(Debug, Default)]
pub(crate) struct CpuHistory {
    slots: VecDeque<Slot>,
    last_ms: u64,
    /// CPU time since it started, milliseconds.
    pub(crate) total_ms: u64,
    /// Processors it kept busy in the last sample.
    pub(crate) busy_now: f64,
    /// Time used since it was last thought worth a look, milliseconds.
    unlooked_ms: u64,
}

/// A steady load, in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Steady {
    /// Processors kept busy, mean.
    pub(crate) processors: f64,
    /// Coefficient of variation, percent.
    pub(crate) variation_percent: f64,
    /// Forced waits.
    pub(crate) forced: u64,
    /// Chosen waits.
    pub(crate) chosen: u64,
}

impl CpuHistory {
    /// Adds a sample; the answer when the last five minutes were steady.
    pub(crate) fn add(&mut self, at_ms: u64, over_ms: u64, use_of: &ProcessCpu) -> Option<Steady> {
        self.total_ms = use_of.total_ms.max(self.total_ms);
        self.unlooked_ms = self.unlooked_ms.saturating_add(use_of.cpu_ms);
        self.busy_now = use_of.cpu_ms as f64 / over_ms.max(1) as f64;
        let has_gap = at_ms.saturating_sub(self.last_ms) > over_ms.saturating_mul(2).max(STEADY_SLOT_MS * 2);
        if has_gap || self.busy_now < STEADY_LEAST_SHARE {
            self.slots.clear();
        }
        self.last_ms = at_ms;
        if self.busy_now < STEADY_LEAST_SHARE {
            return None;
        }
        match self.slots.back_mut() {
            Some(slot) if slot.over_ms < STEADY_SLOT_MS => slot.add(over_ms, use_of),
            Some(_) | None => {
                let mut slot = Slot::default();
                slot.add(over_ms, use_of);
                self.slots.push_back(slot);
            }
        }
        let mut covered_ms: u64 = self.slots.iter().map(|slot| slot.over_ms).sum();
        while let Some(first) = self.slots.front()
            && covered_ms.saturating_sub(first.over_ms) >= STEADY_OVER_MS
        {
            covered_ms = covered_ms.saturating_sub(first.over_ms);
            self.slots.pop_front();
        }
        if covered_ms >= STEADY_OVER_MS { self.judge() } else { None }
    }

    /// True each time it has used as much again.
    pub(crate) fn has_used_again(&mut self, cpu_ms: u64) -> bool {
        let has = self.unlooked_ms >= cpu_ms;
        if has {
            self.unlooked_ms = 0;
        }
        has
    }

    fn judge(&self) -> Option<Steady> {
        // The last slot may be short; a short one varies more.
        let shares: Vec<f64> = self
            .slots
            .iter()
            .filter(|slot| slot.over_ms >= STEADY_SLOT_MS)
            .map(|slot| slot.cpu_ms as f64 / slot.over_ms as f64)
            .collect();
        let count = shares.len() as f64;
        let mean = shares.iter().sum::<f64>() / count;
        let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / count;
        let variation_percent = variance.sqrt() / mean * 100.0;
        let forced = self.slots.iter().map(|slot| slot.involuntary).sum();
        let chosen = self.slots.iter().map(|slot| slot.voluntary).sum::<u64>();
        let is_steady = variation_percent < STEADY_VARIATION_PERCENT
            && mean / mean.round().max(1.0) >= STEADY_SHARE
            && forced > chosen.max(1).saturating_mul(STEADY_FORCED_RATIO);
        is_steady.then_some(Steady { processors: mean, variation_percent, forced, chosen })
    }
}

impl Slot {
    fn add(&mut self, over_ms: u64, use_of: &ProcessCpu) {
        self.over_ms = self.over_ms.saturating_add(over_ms);
        self.cpu_ms = self.cpu_ms.saturating_add(use_of.cpu_ms);
        self.voluntary = self.voluntary.saturating_add(use_of.voluntary);
        self.involuntary = self.involuntary.saturating_add(use_of.involuntary);
    }
}

/// Least hidden share of all processors. Interrupts and sampling error stay under a tenth.
const HIDDEN_SHARE: f64 = 0.2;
/// Samples in a row; one alone may be a process that ended between two readings.
const HIDDEN_SAMPLES: u32 = 3;

/// Time that the machine spent and no visible process did.
#[derive(Debug, Default)]
pub(crate) struct HiddenTime {
    in_a_row: u32,
    /// Processes that ended since the last sample.
    ended: u32,
}

impl HiddenTime {
    /// A process ended.
    pub(crate) fn exit(&mut self) {
        self.ended = self.ended.saturating_add(1);
    }

    /// Adds a sample; processors' worth of hidden time when it fires, once an episode. `times_ended`: the sensor
    /// knows the time of processes that ended.
    pub(crate) fn add(&mut self, sample: &CpuSample, times_ended: bool) -> Option<f64> {
        let ended = std::mem::take(&mut self.ended);
        let shown_ms = sample.visible_ms.saturating_add(sample.ended_ms);
        let hidden = sample.busy_ms.saturating_sub(shown_ms) as f64 / sample.over_ms.max(1) as f64;
        // Where the time of ended processes is not known, a compile would look like a rootkit.
        let is_blind = !times_ended && ended > 0 && sample.ended_ms == 0;
        if is_blind || hidden <= HIDDEN_SHARE * f64::from(sample.cpus.max(1)) {
            self.in_a_row = 0;
            return None;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        (self.in_a_row == HIDDEN_SAMPLES).then_some(hidden)
    }
}

/// Most devices whose load is followed.
const DEVICES_LIMIT: usize = 64;

/// Loads over their threshold, by threshold and device.
#[derive(Debug, Default)]
pub(crate) struct SustainedLoad {
    episodes: BTreeMap<(usize, String), Episode>,
    gpus: BTreeMap<String, GpuSample>,
}

#[derive(Debug)]
struct Episode {
    since_ms: u64,
    is_told: bool,
}

#[derive(Debug, Default)]
struct GpuSample {
    at_ms: u64,
    over_ms: u64,
    busy_ms: u64,
    busiest: Option<(u64, ProcessKey)>,
}

/// A load that lasted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sustained {
    pub(crate) threshold: SustainedThreshold,
    /// `cpu`, or the graphics processor.
    pub(crate) device: String,
    /// Load of the last sample, percent.
    pub(crate) percent: f64,
    /// How long so far, milliseconds.
    pub(crate) lasted_ms: u64,
    /// The process that used most of it.
    pub(crate) busiest: Option<ProcessKey>,
}

impl SustainedLoad {
    /// Adds a sample of the processors.
    pub(crate) fn add_cpu(
        &mut self,
        thresholds: &[SustainedThreshold],
        at_ms: u64,
        sample: &CpuSample,
    ) -> Vec<Sustained> {
        let capacity_ms = sample.over_ms.max(1).saturating_mul(u64::from(sample.cpus.max(1)));
        let percent = sample.busy_ms as f64 / capacity_ms as f64 * 100.0;
        let busiest = sample.processes.first().map(|first| first.process);
        let load =
            Reading { metric: Metric::Cpu, device: "cpu", at_ms, over_ms: sample.over_ms, percent, busiest };
        self.judge(thresholds, &load)
    }

    /// Adds the use of a graphics processor by one process. A sample is whole when the next one begins.
    pub(crate) fn add_gpu(
        &mut self,
        thresholds: &[SustainedThreshold],
        at_ms: u64,
        use_of: &GpuUse,
    ) -> Vec<Sustained> {
        if !self.gpus.contains_key(&use_of.device) && self.gpus.len() >= DEVICES_LIMIT {
            return Vec::new();
        }
        let sample = self.gpus.entry(use_of.device.clone()).or_default();
        let mut whole = None;
        if sample.at_ms != at_ms {
            whole = Some(std::mem::take(sample)).filter(|sample| sample.over_ms > 0);
            sample.at_ms = at_ms;
        }
        sample.over_ms = use_of.over_ms;
        sample.busy_ms = sample.busy_ms.saturating_add(use_of.busy_ms);
        sample.busiest = sample.busiest.max(Some((use_of.busy_ms, use_of.process)));
        let Some(whole) = whole else { return Vec::new() };
        let load = Reading {
            metric: Metric::Gpu,
            device: &use_of.device,
            at_ms: whole.at_ms,
            over_ms: whole.over_ms,
            percent: whole.busy_ms as f64 / whole.over_ms as f64 * 100.0,
            busiest: whole.busiest.map(|(_, process)| process),
        };
        self.judge(thresholds, &load)
    }

    fn judge(&mut self, thresholds: &[SustainedThreshold], load: &Reading<'_>) -> Vec<Sustained> {
        let mut lasting = Vec::new();
        for (index, threshold) in
            thresholds.iter().enumerate().filter(|(_, threshold)| threshold.metric == load.metric)
        {
            let place = (index, load.device.to_owned());
            if load.percent <= threshold.percent {
                self.episodes.remove(&place);
                continue;
            }
            let began_ms = load.at_ms.saturating_sub(load.over_ms);
            let episode =
                self.episodes.entry(place).or_insert(Episode { since_ms: began_ms, is_told: false });
            let lasted_ms = load.at_ms.saturating_sub(episode.since_ms);
            if !episode.is_told && lasted_ms as f64 >= threshold.minutes * 60_000.0 {
                episode.is_told = true;
                lasting.push(Sustained {
                    threshold: threshold.clone(),
                    device: load.device.to_owned(),
                    percent: load.percent,
                    lasted_ms,
                    busiest: load.busiest,
                });
            }
        }
        lasting
    }
}

struct Reading<'a> {
    metric: Metric,
    device: &'a str,
    at_ms: u64,
    over_ms: u64,
    percent: f64,
    busiest: Option<ProcessKey>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    const KEY: ProcessKey = ProcessKey { pid: 5, start_ticks: 5 };

    fn steady(seconds: u64, cpu_ms: impl Fn(u64) -> u64, voluntary: u64) -> Option<Steady> {
        let mut history = CpuHistory::default();
        let mut last = None;
        for at in (2..=seconds).step_by(2) {
            let use_of = ProcessCpu {
                process: KEY,
                cpu_ms: cpu_ms(at),
                total_ms: at * 1000,
                threads: 1,
                voluntary,
                involuntary: 1000,
                rss_kib: 0,
            };
            last = history.add(at * 1000, 2000, &use_of);
        }
        last
    }

    #[test]
    fn five_minutes_of_whole_processors_without_waiting_are_steady() {
        assert!(steady(298, |_| 1980, 2).is_none(), "not yet five minutes");
        assert!(steady(300, |_| 1980, 2).is_some());
        assert!(steady(300, |_| 3900, 2).is_some(), "two threads");
        assert!(steady(300, |_| 1980, 20).is_none(), "50 forced to one chosen is the border");
        assert!(steady(300, |_| 1980, 19).is_some());
        assert!(steady(300, |_| 1700, 2).is_none(), "0.85 of a processor");
        assert!(steady(300, |_| 3200, 2).is_none(), "1.6 processors are two threads that wait");
        assert!(steady(600, |at| if at % 40 < 20 { 1990 } else { 1500 }, 2).is_none(), "a compile varies");
        assert!(steady(400, |at| if at == 200 { 100 } else { 1980 }, 2).is_none(), "a pause begins it anew");
    }

    fn sample(busy_ms: u64, visible_ms: u64, ended_ms: u64) -> CpuSample {
        CpuSample { over_ms: 2000, busy_ms, cpus: 2, ended_ms, processes: Vec::new(), visible_ms }
    }

    #[test]
    fn time_that_nobody_shows_fires_at_the_third_sample_once() {
        let mut hidden = HiddenTime::default();
        let fired: Vec<bool> = (0..6).map(|_| hidden.add(&sample(4000, 3000, 0), true).is_some()).collect();
        assert_eq!(fired, [false, false, true, false, false, false]);
        let mut near = HiddenTime::default();
        assert!((0..9).all(|_| near.add(&sample(4000, 3200, 0), true).is_none()), "20 % exactly");
        let mut ended = HiddenTime::default();
        assert!(
            (0..9).all(|_| ended.add(&sample(4000, 1000, 2500), true).is_none()),
            "a compile, with its ended processes"
        );
        let mut blind = HiddenTime::default();
        for _ in 0..9 {
            blind.exit();
            assert!(
                blind.add(&sample(4000, 1000, 0), false).is_none(),
                "a compile whose ended processes are not timed"
            );
        }
    }

    fn told_at(percents: impl Iterator<Item = u64>, step_ms: u64) -> Vec<u64> {
        let settings = Settings::default();
        let mut load = SustainedLoad::default();
        let mut told = Vec::new();
        for (index, percent) in percents.enumerate() {
            let at_ms = (index as u64 + 1) * step_ms;
            let sample = CpuSample {
                over_ms: step_ms,
                busy_ms: percent * step_ms * 2 / 100,
                cpus: 2,
                ..CpuSample::default()
            };
            if !load.add_cpu(&settings.sustained, at_ms, &sample).is_empty() {
                told.push(at_ms);
            }
        }
        told
    }

    #[test]
    fn five_minutes_over_80_percent_are_told_once_the_time_is_up() {
        assert_eq!(told_at([100].into_iter().cycle().take(299), 1000), [] as [u64; 0]);
        assert_eq!(told_at([100].into_iter().cycle().take(900), 1000), [300_000]);
        assert_eq!(
            told_at([80].into_iter().cycle().take(900), 1000),
            [] as [u64; 0],
            "80 % exactly is not over it"
        );
        let with_pause = (0..700).map(|second| if second == 350 { 50 } else { 90 });
        assert_eq!(told_at(with_pause, 1000), [300_000, 651_000], "a new episode after a pause");
    }

    #[test]
    fn a_graphics_processor_is_summed_over_its_processes() {
        let settings = Settings::default();
        let mut load = SustainedLoad::default();
        let mut told = Vec::new();
        for second in 1..=301_u64 {
            for pid in [1, 2] {
                let process = ProcessKey { pid, start_ticks: 1 };
                let use_of = GpuUse { process, device: "gpu0".to_owned(), busy_ms: 450, over_ms: 1000 };
                told.extend(load.add_gpu(&settings.sustained, second * 1000, &use_of));
            }
        }
        assert_eq!(told.len(), 1);
        assert!((told[0].percent - 90.0).abs() < 0.01);
    }
}
