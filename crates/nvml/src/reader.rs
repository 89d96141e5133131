//! Asks NVIDIA's library who uses which device.
//!
//! Only use by process is asked for (`nvmlDeviceGetProcessUtilization`, Maxwell and newer); a device that does not tell
//! it is counted, not guessed at.

use std::{collections::HashMap, time::Instant};

use minesweep_model::{DEVICE_BYTES, FORMAT, GpuRound, ROUND_USES, RoundUse};
use nvml_wrapper::{Nvml, error::NvmlError, struct_wrappers::device::ProcessUtilizationSample};

/// Most devices that are asked.
const MAX_DEVICES: u32 = 64;

/// The library, and what was asked last.
pub struct Reader {
    nvml: Nvml,
    asked: Option<Instant>,
    /// Time of the newest sample of each device, in the library's own microseconds.
    newest: HashMap<u32, u64>,
}

impl Reader {
    /// Loads the library and starts it.
    ///
    /// # Errors
    /// When the library is missing, or finds no driver.
    pub fn start() -> Result<Self, NvmlError> {
        Ok(Self { nvml: Nvml::init()?, asked: None, newest: HashMap::new() })
    }

    /// Forgets the last round, so that the next one begins anew: nobody listened in between.
    pub fn rest(&mut self) {
        self.asked = None;
    }

    /// What is said to somebody who has just come: the devices, and no use.
    ///
    /// # Errors
    /// When the library no longer knows the devices.
    pub fn hello(&mut self) -> Result<GpuRound, NvmlError> {
        Ok(GpuRound { over_ms: 0, uses: Vec::new(), ..self.ask(false)? })
    }

    /// Use since the last round; none in the first.
    ///
    /// # Errors
    /// When the library no longer knows the devices, as after its driver was unloaded.
    pub fn round(&mut self) -> Result<GpuRound, NvmlError> {
        let now = Instant::now();
        let before = self.asked.replace(now);
        let over_ms = before.map_or(0, |before| now.duration_since(before).as_millis());
        let mut round = self.ask(true)?;
        round.over_ms = u64::try_from(over_ms).unwrap_or(u64::MAX);
        if before.is_none() {
            round.uses.clear();
        }
        let over = round.uses.len().saturating_sub(ROUND_USES);
        round.uses.truncate(ROUND_USES);
        round.lost = u64::try_from(over).unwrap_or(u64::MAX);
        Ok(round)
    }

    /// Asks each device; what it tells counts as told only when `is_kept`.
    fn ask(&mut self, is_kept: bool) -> Result<GpuRound, NvmlError> {
        let devices = self.nvml.device_count()?;
        let mut round = GpuRound { format: FORMAT, devices, ..GpuRound::default() };
        round.unread = devices.saturating_sub(MAX_DEVICES);
        for index in 0..devices.min(MAX_DEVICES) {
            let since = self.newest.get(&index).copied().unwrap_or_default();
            let Ok((name, samples)) = device(&self.nvml, index, since) else {
                round.unread += 1;
                continue;
            };
            if is_kept {
                let newest = samples.iter().map(|sample| sample.timestamp).fold(since, u64::max);
                self.newest.insert(index, newest);
            }
            round.uses.extend(uses(&name, &samples));
        }
        Ok(round)
    }
}

/// Name and samples of a device.
fn device(nvml: &Nvml, index: u32, since: u64) -> Result<(String, Vec<ProcessUtilizationSample>), NvmlError> {
    let device = nvml.device_by_index(index)?;
    let mut name = format!("nvidia {}", device.pci_info()?.bus_id);
    name.truncate(name.floor_char_boundary(DEVICE_BYTES));
    match device.process_utilization_stats(since) {
        Ok(samples) => Ok((name, samples)),
        // Nobody used it since.
        Err(NvmlError::NotFound) => Ok((name, Vec::new())),
        Err(other) => Err(other),
    }
}

/// One use for each process, the mean of its samples.
fn uses(device: &str, samples: &[ProcessUtilizationSample]) -> Vec<RoundUse> {
    let mut sums: HashMap<u32, (u64, u64)> = HashMap::new();
    for sample in samples {
        let (sum, count) = sums.entry(sample.pid).or_default();
        *sum += u64::from(sample.sm_util.min(100));
        *count += 1;
    }
    sums.into_iter()
        .map(|(pid, (sum, count))| RoundUse {
            pid,
            device: device.to_owned(),
            busy_percent: u8::try_from(sum / count.max(1)).unwrap_or(100),
        })
        .filter(|found| found.busy_percent > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pid: u32, sm_util: u32) -> ProcessUtilizationSample {
        ProcessUtilizationSample { pid, timestamp: 1, sm_util, mem_util: 0, enc_util: 0, dec_util: 0 }
    }

    #[test]
    fn a_process_has_the_mean_of_its_samples_and_an_idle_one_none() {
        let mut got = uses("nvidia 0", &[sample(7, 90), sample(7, 70), sample(8, 0), sample(9, u32::MAX)]);
        got.sort_by_key(|found| found.pid);
        let want = |pid, busy_percent| RoundUse { pid, device: "nvidia 0".to_owned(), busy_percent };
        assert_eq!(got, [want(7, 80), want(9, 100)]);
    }
}
