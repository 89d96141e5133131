//! What the agent itself costs, for the load report.

use std::{fs, time::Instant};

use rustix::param::{clock_ticks_per_second, page_size};

/// CPU time at the last report.
#[derive(Default)]
pub struct OwnUse {
    last: Option<(Instant, u64)>,
}

impl OwnUse {
    /// Resident memory in KiB, and CPU time in percent of one processor since the last call. Zero where /proc does
    /// not say.
    pub fn since_last(&mut self) -> (u64, f64) {
        let now = Instant::now();
        let ticks = own_ticks().unwrap_or(0);
        let percent = self.last.map_or(0.0, |(then, before)| {
            let seconds = ticks.saturating_sub(before) as f64 / clock_ticks_per_second() as f64;
            seconds / now.duration_since(then).as_secs_f64().max(0.001) * 100.0
        });
        self.last = Some((now, ticks));
        (own_rss_kib().unwrap_or(0), percent)
    }
}

/// User and system time: fields 14 and 15 of stat, counted after the name, which may hold anything.
fn own_ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn own_rss_kib() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_size() as u64 / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_and_time_can_be_read() {
        assert!(own_rss_kib().unwrap() > 100);
        assert!(own_ticks().is_some());
    }
}
