//! What a process does that only miners do: rounding modes, memory sizes, registers, huge pages.
//!
//! Each sign is a pure function of what was seen; weights and words are in content and `words`.

use std::collections::VecDeque;

use minesweep_model::{BigMap, Looked, SettingWrite};

/// Window in which rounding modes are summed.
const ROUNDING_WINDOW_MS: u64 = 60_000;
/// Reports within this time share a slot, which bounds the window to 13 slots.
const ROUNDING_SLOT_MS: u64 = 5_000;
/// Fewest samples to judge. With 32, a mode counts from 2 samples (5 % of 32 is 1.6). Measured shares of RandomX:
/// down 17.7 %, up 16.0 %, to zero 15.1 %; the chance that two of the three stay under 2 in 32 samples, and the rule
/// with it, is 0.19 %, and that "to zero" does 3.5 %; the window slides on. With 64 samples (from 4 each) it is 1 %.
const ROUNDING_SAMPLES: u32 = 32;
/// Least share of the samples for a mode to count, percent.
const ROUNDING_SHARE_PERCENT: u64 = 5;
/// Modes that must count, and "to zero" must be one of them: interval arithmetic turns between nearest, down and up
/// and has no use for it. Four modes at a time are set by RandomX alone (73,040 samples of 275 processes: no other had
/// even two).
const ROUNDING_MODES: usize = 3;

/// Rounding modes of one process over the last minute.
#[derive(Debug, Default)]
pub(crate) struct RoundingWindow {
    slots: VecDeque<(u64, [u32; 4])>,
}

/// What the window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoundingSign {
    /// Nearest only, or too little.
    None,
    /// A directed mode was seen: worth a look.
    Directed,
    /// RandomX; samples by mode.
    RandomX([u32; 4]),
}

impl RoundingWindow {
    /// Adds a report and judges the window.
    pub(crate) fn add(&mut self, at_ms: u64, samples: [u32; 4]) -> RoundingSign {
        match self.slots.back_mut() {
            Some((since_ms, sums)) if at_ms.saturating_sub(*since_ms) < ROUNDING_SLOT_MS => {
                add_to(sums, samples)
            }
            Some(_) | None => self.slots.push_back((at_ms, samples)),
        }
        while self
            .slots
            .front()
            .is_some_and(|(since_ms, _)| at_ms.saturating_sub(*since_ms) > ROUNDING_WINDOW_MS)
        {
            self.slots.pop_front();
        }
        let mut sums = [0; 4];
        for (_, samples) in &self.slots {
            add_to(&mut sums, *samples);
        }
        judge_rounding(sums)
    }
}

fn add_to(sums: &mut [u32; 4], samples: [u32; 4]) {
    for (sum, count) in sums.iter_mut().zip(samples) {
        *sum = sum.saturating_add(count);
    }
}

fn judge_rounding(sums: [u32; 4]) -> RoundingSign {
    let all: u64 = sums.iter().copied().map(u64::from).sum();
    let counts = |count: u32| u64::from(count) * 100 >= all * ROUNDING_SHARE_PERCENT;
    let modes = sums.into_iter().filter(|count| counts(*count)).count();
    let [_, _, _, to_zero] = sums;
    if all >= u64::from(ROUNDING_SAMPLES) && modes >= ROUNDING_MODES && counts(to_zero) {
        RoundingSign::RandomX(sums)
    } else if sums.iter().filter(|count| **count > 0).count() >= 2 {
        RoundingSign::Directed
    } else {
        RoundingSign::None
    }
}

const MIB: u64 = 1 << 20;
/// RANDOMX_DATASET_MAX_SIZE, exactly 2080 MiB.
const DATASET_BYTES: u64 = 2080 * MIB;
/// RandomX cache.
const CACHE_BYTES: u64 = 256 * MIB;
/// RandomX scratchpad.
const SCRATCHPAD_BYTES: u64 = 2 * MIB;
/// An allocator may add its header, rounded up to pages; a map that is larger by more is another thing.
const SLACK_BYTES: u64 = 64 * 1024;
/// Headers of two parts.
const HEADERS_BYTES: u64 = 8 * 1024;
/// Most scratchpads, one a thread.
const SCRATCHPADS_LIMIT: u64 = 512;
/// Most scratchpads that may have grown together with the cache without a trace of an allocator's headers: the kernel
/// joins neighbours of a kind. More would take in heaps of 320, 384 and 512 MiB.
const JOINED_LIMIT: u64 = 16;

/// Memory of the sizes and kinds that RandomX takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapSigns {
    /// The data set of the fast mode.
    pub(crate) has_dataset: bool,
    /// The cache of the light mode.
    pub(crate) has_cache: bool,
    /// Scratchpads, alone or grown together with the cache.
    pub(crate) scratchpads: u64,
    /// Writable, executable, anonymous maps.
    pub(crate) rwx_maps: u32,
    /// A huge-page map as xmrig makes it.
    pub(crate) has_odd_map: bool,
}

/// How much of RandomX the memory shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemorySign {
    /// Nothing that others would not have.
    None,
    /// Cache, scratchpad and compiled code: light mode.
    Light,
    /// The data set and one thing more: fast mode.
    Fast,
}

impl MapSigns {
    /// A map as it was made: sizes are exact.
    pub(crate) fn add_map(&mut self, map: &BigMap) {
        self.add_size(map.length_bytes);
        self.has_odd_map |= is_odd_huge_map(map);
    }

    /// Maps as they lie in memory: neighbours have grown together.
    pub(crate) fn set_looked(&mut self, looked: &Looked) {
        for size in &looked.maps_bytes {
            self.add_size(*size);
        }
        self.rwx_maps = looked.rwx_maps;
    }

    fn add_size(&mut self, bytes: u64) {
        // Measured with the randomx library: 2336 MiB + 8 KiB in fast mode, 256 MiB + 4 KiB in light mode.
        if let Some(pads) = joined(bytes, DATASET_BYTES + CACHE_BYTES, JOINED_LIMIT)
            .or_else(|| joined(bytes, DATASET_BYTES, 0))
        {
            self.has_dataset = true;
            self.scratchpads = self.scratchpads.saturating_add(pads);
        } else if let Some(pads) = joined(bytes, CACHE_BYTES, JOINED_LIMIT) {
            self.has_cache = true;
            self.scratchpads = self.scratchpads.saturating_add(pads);
        } else if (SCRATCHPAD_BYTES..=SCRATCHPAD_BYTES + SLACK_BYTES).contains(&bytes) {
            self.scratchpads = self.scratchpads.saturating_add(1);
        }
    }

    pub(crate) fn judge(&self) -> MemorySign {
        let has_code = self.rwx_maps > 0;
        let has_scratchpads = self.scratchpads > 0;
        if self.has_dataset && (has_code || has_scratchpads || self.has_cache || self.has_odd_map) {
            MemorySign::Fast
        } else if self.has_cache && has_scratchpads && has_code {
            // All three: a Java machine with a 256 MiB heap has cache size and code, and no 2 MiB map.
            MemorySign::Light
        } else {
            MemorySign::None
        }
    }
}

/// Scratchpads that have grown together with a part of this size; `None` when the map is another thing. Parts from an
/// allocator bring a page of header each, so a map of several parts has two pages or more over; one big array has one.
/// Without headers at most `bare_limit` scratchpads are believed.
fn joined(bytes: u64, base: u64, bare_limit: u64) -> Option<u64> {
    let over = bytes.checked_sub(base)?;
    let (pads, headers) = (over / SCRATCHPAD_BYTES, over % SCRATCHPAD_BYTES);
    let is_joined = match (pads, headers) {
        (0, headers) => headers <= SLACK_BYTES,
        (pads, 0) => pads <= bare_limit,
        (pads, headers) => pads <= SCRATCHPADS_LIMIT && (HEADERS_BYTES..=SLACK_BYTES).contains(&headers),
    };
    is_joined.then_some(pads)
}

/// xmrig passes descriptor 0 for an anonymous map with huge pages, filled at once; libraries pass -1.
pub(crate) fn is_odd_huge_map(map: &BigMap) -> bool {
    map.is_huge && map.is_populated && map.fd == 0
}

/// The length is one that RandomX takes.
pub(crate) fn is_miner_length(bytes: u64) -> bool {
    bytes == DATASET_BYTES
        || bytes == DATASET_BYTES + CACHE_BYTES
        || bytes == CACHE_BYTES
        || bytes.is_multiple_of(SCRATCHPAD_BYTES)
            && bytes > 0
            && bytes <= SCRATCHPAD_BYTES * SCRATCHPADS_LIMIT
}

/// Registers that switch prefetchers: Intel MISC_FEATURE_CONTROL, AMD LS_CFG to DC_CFG2. Voltage (0x150), energy
/// bias (0x1b0) and power limits (0x610) are other tools' business.
pub(crate) fn is_prefetch_register(register: u64) -> bool {
    register == 0x1a4 || (0xc001_1020..=0xc001_102b).contains(&register)
}

/// What a write to a kernel setting means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SettingSign {
    /// Nothing.
    None,
    /// Processor registers were opened for writing.
    MsrOpened,
    /// The number of huge pages was raised.
    HugePagesRaised,
}

/// Judges a write to a kernel setting. Turning one off is no sign.
pub(crate) fn judge_setting(write: &SettingWrite) -> SettingSign {
    let value = write.value.as_deref().map(str::trim);
    let is_off = matches!(value, Some("0" | "off" | "Off" | "OFF"));
    if is_off {
        SettingSign::None
    } else if write.path.ends_with("/msr/parameters/allow_writes") {
        SettingSign::MsrOpened
    } else if write.path.ends_with("/nr_hugepages") {
        SettingSign::HugePagesRaised
    } else {
        SettingSign::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(samples: [u32; 4]) -> RoundingSign {
        RoundingWindow::default().add(0, samples)
    }

    #[test]
    fn three_modes_of_five_percent_with_to_zero_among_32_samples_are_randomx() {
        assert_eq!(once([28, 2, 0, 2]), RoundingSign::RandomX([28, 2, 0, 2]));
        assert_eq!(once([27, 2, 0, 2]), RoundingSign::Directed, "31 samples are too few");
        assert_eq!(once([29, 2, 0, 1]), RoundingSign::Directed, "3 % is under the share");
        assert_eq!(once([95, 5, 0, 5]), RoundingSign::Directed, "4.8 % is under the share");
        assert_eq!(once([90, 0, 5, 5]), RoundingSign::RandomX([90, 0, 5, 5]));
        assert_eq!(once([211, 95, 105, 85]), RoundingSign::RandomX([211, 95, 105, 85]));
    }

    #[test]
    fn interval_arithmetic_is_no_more_than_worth_a_look() {
        assert_eq!(once([5000, 0, 0, 0]), RoundingSign::None);
        assert_eq!(once([0, 0, 5000, 0]), RoundingSign::None);
        assert_eq!(once([2500, 0, 2500, 0]), RoundingSign::Directed);
        assert_eq!(once([0, 2500, 2500, 0]), RoundingSign::Directed);
        assert_eq!(once([2000, 2000, 2000, 0]), RoundingSign::Directed, "and back to nearest");
    }

    #[test]
    fn samples_add_up_over_a_minute_and_then_leave() {
        let mut window = RoundingWindow::default();
        for second in 0..3 {
            assert_eq!(window.add(second * 20_000, [6, 1, 1, 1]), RoundingSign::Directed);
        }
        assert_eq!(window.add(60_000, [6, 1, 1, 1]), RoundingSign::RandomX([24, 4, 4, 4]));
        assert_eq!(window.add(200_000, [6, 1, 1, 1]), RoundingSign::Directed);
        for at in 0..100_000 {
            window.add(200_000 + at, [1, 1, 1, 1]);
        }
        assert!(window.slots.len() <= 13);
    }

    fn looked(sizes_mib: &[f64], rwx: u32) -> MemorySign {
        let mut signs = MapSigns::default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small test numbers")]
        for size in sizes_mib {
            signs.add_size((size * 1024.0 * 1024.0) as u64);
        }
        signs.rwx_maps = rwx;
        signs.judge()
    }

    #[test]
    fn memory_needs_two_signs_in_fast_mode_and_three_in_light_mode() {
        assert_eq!(looked(&[2080.0], 0), MemorySign::None, "the size alone");
        assert_eq!(looked(&[2080.0], 1), MemorySign::Fast);
        assert_eq!(looked(&[2080.0, 2.0, 2.0], 0), MemorySign::Fast);
        assert_eq!(looked(&[2336.0], 1), MemorySign::Fast, "data set and cache grown together");
        assert_eq!(
            looked(&[2336.0078125, 2.1328125], 1),
            MemorySign::Fast,
            "measured: fast mode of the randomx library"
        );
        assert_eq!(looked(&[2340.015625], 2), MemorySign::Fast, "the same with two threads");
        assert_eq!(looked(&[256.00390625, 2.00390625], 1), MemorySign::Light, "measured: its light mode");
        assert_eq!(looked(&[256.0, 2.0], 1), MemorySign::Light);
        assert_eq!(looked(&[258.0078125], 1), MemorySign::Light, "cache and scratchpad grown together");
    }

    #[test]
    fn memory_of_others_is_quiet() {
        assert_eq!(looked(&[256.0], 3), MemorySign::None, "a Java machine with a heap of 256 MiB");
        assert_eq!(
            looked(&[256.0, 2.0], 0),
            MemorySign::None,
            "a cache and a thread stack, no compiled code"
        );
        assert_eq!(looked(&[512.0], 3), MemorySign::None, "a Java machine with a heap of 512 MiB");
        assert_eq!(
            looked(&[512.00390625, 2560.00390625], 3),
            MemorySign::None,
            "big arrays, one header each"
        );
        assert_eq!(looked(&[2079.0, 2.0], 1), MemorySign::None);
        assert_eq!(looked(&[2081.0, 8.0], 1), MemorySign::None);
        assert_eq!(looked(&[4096.0, 1024.0, 64.0], 5), MemorySign::None);
    }

    #[test]
    fn registers_of_prefetchers_count_and_those_of_power_tools_do_not() {
        for register in [0x1a4, 0xc001_1020, 0xc001_1021, 0xc001_1022, 0xc001_102b] {
            assert!(is_prefetch_register(register), "{register:#x}");
        }
        for register in [0x150, 0x199, 0x1a0, 0x1a3, 0x1a5, 0x1b0, 0x610, 0xc001_101f, 0xc001_102c] {
            assert!(!is_prefetch_register(register), "{register:#x}");
        }
    }

    #[test]
    fn raising_a_setting_counts_and_lowering_it_does_not() {
        let write = |path: &str, value: &str| {
            judge_setting(&SettingWrite {
                process: minesweep_model::ProcessKey { pid: 1, start_ticks: 1 },
                path: path.to_owned(),
                value: Some(value.to_owned()),
            })
        };
        assert_eq!(write("/proc/sys/vm/nr_hugepages", "1168\n"), SettingSign::HugePagesRaised);
        assert_eq!(write("/proc/sys/vm/nr_hugepages", "0\n"), SettingSign::None);
        assert_eq!(write("/proc/sys/vm/swappiness", "1"), SettingSign::None);
        assert_eq!(write("/sys/module/msr/parameters/allow_writes", "on"), SettingSign::MsrOpened);
        assert_eq!(write("/sys/module/msr/parameters/allow_writes", "off"), SettingSign::None);
    }
}
