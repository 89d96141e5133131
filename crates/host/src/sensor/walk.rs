//! New and ended processes, by listing /proc: what is left where the process connector is refused.
//!
//! A process that lives shorter than the pause between two lists is not seen.

use std::collections::HashMap;

use minesweep_model::{FileId, ProcessKey, What};

use crate::proc::{self, MAX_PROCESSES};

/// Lists during which a new process is read again: a shell forks first and becomes the program later.
const YOUNG: u8 = 5;

/// Follows the processes in /proc.
#[derive(Default)]
pub(super) struct Walk {
    known: HashMap<u32, Known>,
}

struct Known {
    key: ProcessKey,
    file: Option<FileId>,
    lists_left: u8,
    is_there: bool,
}

impl Walk {
    /// Remembers what is there without telling it; `proc::running` tells it.
    pub(super) fn start() -> Self {
        let mut walk = Self::default();
        for key in proc::list().unwrap_or_default().into_iter().filter_map(|pid| proc::key(pid).ok()) {
            walk.known.insert(key.pid, Known { key, file: None, lists_left: 0, is_there: true });
        }
        walk
    }

    /// Appends what changed since the last list.
    pub(super) fn poll(&mut self, out: &mut Vec<What>) -> std::io::Result<()> {
        let pids = proc::list()?;
        for known in self.known.values_mut() {
            known.is_there = false;
        }
        for pid in pids {
            let Ok(key) = proc::key(pid) else { continue };
            match self.known.get_mut(&pid) {
                Some(known) if known.key == key => {
                    known.is_there = true;
                    if known.lists_left > 0 {
                        known.read_again(out);
                    }
                }
                Some(known) => {
                    out.push(What::Exit { process: known.key });
                    self.greet(pid, out);
                }
                None => self.greet(pid, out),
            }
        }
        self.known.retain(|_, known| {
            if !known.is_there {
                out.push(What::Exit { process: known.key });
            }
            known.is_there
        });
        Ok(())
    }

    fn greet(&mut self, pid: u32, out: &mut Vec<What>) {
        let Ok(process) = proc::read(pid) else {
            self.known.remove(&pid);
            return;
        };
        if self.known.len() < MAX_PROCESSES {
            let known = Known { key: process.key, file: process.file, lists_left: YOUNG, is_there: true };
            self.known.insert(pid, known);
        }
        out.push(What::Running(Box::new(process)));
    }
}

impl Known {
    fn read_again(&mut self, out: &mut Vec<What>) {
        self.lists_left -= 1;
        let Ok(process) = proc::read(self.key.pid) else { return };
        if process.key == self.key && process.file != self.file {
            self.file = process.file;
            out.push(What::Exec(Box::new(process)));
        }
    }
}
