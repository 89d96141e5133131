//! Use of graphics processors, from what DRM drivers tell in `/proc/PID/fdinfo`.
//!
//! Read are `drm-engine-*` times (amdgpu, i915, msm, panfrost, v3d and more; kernel doc `drm-usage-stats`). NVIDIA's
//! driver tells them only through its library: that is `nvml`. Drivers that count cycles and no time (xe) are not read.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    path::Path,
};

use minesweep_model::{GpuUse, ProcessKey};
use rustix::fs::OFlags;

use crate::proc::{
    self,
    root::{self, Folder},
    since_boot_ms,
};

/// Most descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 1024;
/// Most bytes of one fdinfo.
const FDINFO_BYTES: usize = 4096;
/// Most clients that are remembered.
const MAX_CLIENTS: usize = 4096;
/// How often all processes are asked whether they hold a device; in between only those that did.
const SEARCH_MS: u64 = 30_000;

/// Takes samples of graphics processor use.
#[derive(Debug, Default)]
pub struct Sampler {
    searched_ms: Option<u64>,
    sampled_ms: Option<u64>,
    holders: Vec<u32>,
    known: HashMap<Client, u64>,
}

/// One open context of a device; descriptors that were copied share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Client {
    process: ProcessKey,
    device: String,
    id: String,
}

impl Sampler {
    /// Use since the last call, one entry for each process and device that was used. Nothing at the first call, and
    /// nothing without `/dev/dri`.
    ///
    /// # Errors
    /// When /proc can no longer be listed.
    pub fn sample(&mut self) -> io::Result<Vec<GpuUse>> {
        if !Path::new("/dev/dri").exists() {
            return Ok(Vec::new());
        }
        let now_ms = since_boot_ms();
        let over_ms = self.sampled_ms.replace(now_ms).map_or(0, |before| now_ms.saturating_sub(before));
        let is_search = self.searched_ms.is_none_or(|before| now_ms.saturating_sub(before) >= SEARCH_MS);
        let pids = if is_search { proc::list()? } else { std::mem::take(&mut self.holders) };
        if is_search {
            self.searched_ms = Some(now_ms);
        }
        let found: HashMap<Client, u64> =
            pids.iter().flat_map(|&pid| clients(pid)).take(MAX_CLIENTS).collect();
        self.holders =
            found.keys().map(|client| client.process.pid).collect::<HashSet<_>>().into_iter().collect();
        let used = used(&self.known, &found, over_ms);
        self.known = found;
        Ok(used)
    }
}

fn used(known: &HashMap<Client, u64>, found: &HashMap<Client, u64>, over_ms: u64) -> Vec<GpuUse> {
    let mut sums: BTreeMap<(ProcessKey, &str), u64> = BTreeMap::new();
    for (client, &ns) in found {
        let Some(before) = known.get(client) else { continue };
        *sums.entry((client.process, &client.device)).or_default() += ns.saturating_sub(*before);
    }
    sums.into_iter()
        .map(|((process, device), ns)| GpuUse {
            process,
            device: device.to_owned(),
            busy_ms: ns / 1_000_000,
            over_ms,
        })
        .filter(|gpu| gpu.busy_ms > 0)
        .collect()
}

/// The contexts that a process holds, with their engine time in nanoseconds.
fn clients(pid: u32) -> Vec<(Client, u64)> {
    held(pid).unwrap_or_default()
}

fn held(pid: u32) -> io::Result<Vec<(Client, u64)>> {
    let folder = Folder::open(pid)?;
    let descriptors = folder.folder("fd")?;
    let mut found = Vec::new();
    for descriptor in descriptors.numbers(MAX_DESCRIPTORS)?.0 {
        let name = descriptor.to_string();
        if !descriptors.link(&name).is_ok_and(|path| path.starts_with(b"/dev/dri/")) {
            continue;
        }
        let Ok(file) = folder.file(&format!("fdinfo/{name}"), OFlags::RDONLY) else { continue };
        let mut text = Vec::new();
        root::fill(&file, FDINFO_BYTES, &mut text)?;
        let Some((device, id, ns)) = usage(&text) else { continue };
        found.push((Client { process: proc::key(pid)?, device, id }, ns));
    }
    Ok(found)
}

/// Device, client and engine time of an fdinfo. An engine of several units gives the sum of their times; it is divided
/// so that a fully used engine is as long as the clock.
fn usage(text: &[u8]) -> Option<(String, String, u64)> {
    let text = String::from_utf8_lossy(text);
    let fields: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect();
    let driver = fields.get("drm-driver")?;
    let place = fields.get("drm-pdev").copied().unwrap_or_default();
    let id = fields.get("drm-client-id")?;
    let mut ns = 0_u64;
    for (name, value) in &fields {
        let Some(engine) = name.strip_prefix("drm-engine-").filter(|name| !name.starts_with("capacity-"))
        else {
            continue;
        };
        let Some(time) = value.strip_suffix(" ns").and_then(|digits| digits.parse::<u64>().ok()) else {
            continue;
        };
        let units = fields.get(format!("drm-engine-capacity-{engine}").as_str());
        let units = units.and_then(|units| units.parse::<u64>().ok()).unwrap_or(1).max(1);
        ns = ns.saturating_add(time / units);
    }
    Some((format!("{driver} {place}").trim_end().to_owned(), (*id).to_owned(), ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"pos:\t0\nflags:\t02100002\ndrm-driver:\tamdgpu\ndrm-pdev:\t0000:03:00.0\ndrm-client-id:\t7\n\
        drm-engine-gfx:\t9000000 ns\ndrm-engine-compute:\t40000000 ns\ndrm-engine-capacity-compute:\t4\n\
        drm-memory-vram:\t12 KiB\n";

    #[test]
    fn engine_times_are_summed_by_their_units() {
        assert_eq!(usage(TEXT), Some(("amdgpu 0000:03:00.0".to_owned(), "7".to_owned(), 19_000_000)));
    }

    #[test]
    fn a_file_that_is_no_device_has_no_use() {
        assert_eq!(usage(b"pos:\t0\nflags:\t0\n"), None);
        assert_eq!(usage(b"\xff\xfe"), None);
    }

    #[test]
    fn a_client_counts_from_its_second_sight_and_copies_count_once() {
        let process = ProcessKey { pid: 1, start_ticks: 1 };
        let client = |id: &str| Client { process, device: "amdgpu".to_owned(), id: id.to_owned() };
        let before = HashMap::from([(client("1"), 1_000_000)]);
        let after = HashMap::from([(client("1"), 501_000_000), (client("2"), 9_000_000_000)]);
        let want = GpuUse { process, device: "amdgpu".to_owned(), busy_ms: 500, over_ms: 1000 };
        assert_eq!(used(&before, &after, 1000), [want]);
    }
}
