//! Records to events: the clock of people, paths of control groups, containers.

use std::time::{SystemTime, UNIX_EPOCH};

use minesweep_model::{
    BigMap, Bytes, Event, FileId, Flow, FlowBytes, MsrWrite, Origin, Process, SettingWrite, What,
};
use rustix::time::{ClockId, clock_gettime};

use super::{
    cgroup::Cgroups,
    files,
    place::Places,
    record::{self, Exec, FlowData, FlowRecord, MapRecord, MsrRecord, Raw, Record},
};

const MAP_POPULATE: u32 = 0x8000;
const MAP_HUGETLB: u32 = 0x40000;

/// Turns records into events.
pub(crate) struct Converter {
    cgroups: Cgroups,
    places: Places,
}

impl Converter {
    /// From the text of `/proc/self/mounts`.
    pub(crate) fn new(mounts: &str) -> Self {
        Self { cgroups: Cgroups::new(mounts), places: Places::new() }
    }

    /// Events of `records`, in the same order.
    pub(crate) fn events(&mut self, records: Vec<Record>, out: &mut impl Extend<Event>) {
        let clock = Clock::now();
        out.extend(records.into_iter().filter_map(|record| {
            let what = self.what(record.raw)?;
            Some(Event { at_ms: clock.unix_ms(record.at_ns), what })
        }));
        self.places.forget();
    }

    /// `None` for bytes that could not be copied and refusals that are no news: they are counted as seen and say
    /// nothing.
    fn what(&mut self, raw: Raw) -> Option<What> {
        Some(match raw {
            Raw::Fork(fork) => What::Fork { parent: fork.parent.known(), child: fork.child.known() },
            Raw::Exec(exec) => What::Exec(Box::new(self.process(&exec))),
            Raw::Exit(who) => What::Exit { process: who.known() },
            Raw::Connect(record) => What::Connect(flow(&record)),
            Raw::Accept(record) => What::Accept(flow(&record)),
            Raw::Closed(cookie) => What::Closed { cookie },
            Raw::Bytes(data) if data.bytes.is_empty() => return None,
            Raw::Bytes(data) => What::Bytes(flow_bytes(data)),
            Raw::Map(map) => What::BigMap(big_map(&map)),
            Raw::Msr(write) => What::MsrWrite(msr_write(&write)),
            Raw::File(data) => What::File(Box::new(files::event(&mut self.places, &data)?)),
            Raw::Setting(who, path) => {
                What::SettingWrite(SettingWrite { process: who.known(), path, value: None })
            }
        })
    }

    fn process(&mut self, exec: &Exec) -> Process {
        let record = &exec.record;
        let key = record.who.known();
        let cgroup = self.cgroups.path(record.cgroup, record.cgroup_v1);
        let mut process = Process {
            parent_pid: record.parent_pid,
            inner_pid: (record.inner_pid != 0).then_some(record.inner_pid),
            uid: record.uid,
            exe: exec.exe(),
            file: Some(FileId { dev: device(record.device), inode: record.inode }),
            origin: origin(record.flags),
            comm: exec.comm(),
            argv: crate::proc::words(&exec.argv),
            cwd: exec.cwd().unwrap_or_default(),
            container: crate::proc::container(&cgroup),
            cgroup,
            started_ms: crate::proc::started_ms(key.start_ticks),
            threads: 1,
            login_uid: (record.login_uid != u32::MAX).then_some(record.login_uid),
            session: record.session,
            ..Process::unknown(key)
        };
        if record.flags & (record::EXEC_PATH_AS_GIVEN | record::EXEC_CWD_CUT) != 0 {
            complete(&mut process);
        }
        process
    }
}

/// Long paths are read from /proc while the process is there.
fn complete(process: &mut Process) {
    match crate::proc::read(process.key.pid) {
        Ok(now) if now.key == process.key => {
            process.exe = now.exe;
            process.cwd = now.cwd;
        }
        Ok(_another) => {}
        Err(cause) => tracing::debug!(pid = process.key.pid, %cause, "ended before its long path was read"),
    }
}

fn origin(flags: u32) -> Origin {
    if flags & record::EXEC_MEMFD != 0 {
        Origin::Memfd
    } else if flags & record::EXEC_UNLINKED != 0 {
        Origin::Deleted
    } else if flags & record::EXEC_OVERLAY_UPPER != 0 {
        Origin::OverlayUpper
    } else {
        Origin::Disk
    }
}

/// The kernel's device number in the form of `stat`.
pub(crate) fn device(kernel: u32) -> u64 {
    libc::makedev(kernel >> 20, kernel & 0xf_ffff)
}

fn flow(record: &FlowRecord) -> Flow {
    let (local, remote) = record.ends.addresses();
    Flow {
        cookie: record.cookie,
        process: record.who.key(),
        local,
        remote,
        protocol: record.ends.transport(),
    }
}

fn flow_bytes(data: FlowData) -> FlowBytes {
    let (local, remote) = data.record.ends.addresses();
    FlowBytes {
        cookie: data.record.cookie,
        process: data.record.who.key(),
        direction: data.direction(),
        sequence: data.record.sequence,
        local,
        remote,
        protocol: data.record.ends.transport(),
        bytes: Bytes(data.bytes),
        cut: data.record.cut,
    }
}

fn big_map(map: &MapRecord) -> BigMap {
    BigMap {
        process: map.who.known(),
        length_bytes: map.length,
        is_huge: map.flags & MAP_HUGETLB != 0,
        is_populated: map.flags & MAP_POPULATE != 0,
        fd: map.fd,
    }
}

fn msr_write(write: &MsrRecord) -> MsrWrite {
    MsrWrite {
        process: write.who.known(),
        register: write.register,
        value: (write.has_value != 0).then_some(write.value),
        is_done: write.is_done != 0,
    }
}

/// The offset between the kernel's clock and people's, taken anew for each batch since people's may be set.
pub(crate) struct Clock {
    unix_ms: u64,
    monotonic_ns: u64,
}

impl Clock {
    /// Both clocks now.
    pub(crate) fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let monotonic = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(monotonic.tv_sec).unwrap_or_default();
        let nanoseconds = u64::try_from(monotonic.tv_nsec).unwrap_or_default();
        Self {
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            monotonic_ns: seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds),
        }
    }

    /// Now, Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.unix_ms
    }

    fn unix_ms(&self, at_ns: u64) -> u64 {
        self.unix_ms.saturating_sub(self.monotonic_ns.saturating_sub(at_ns) / 1_000_000)
    }
}
