//! Who is worth a look, and how often: a look reads memory and files, so it is asked for sparingly.

use minesweep_model::ProcessKey;

use crate::tree::Activity;

/// A process is looked at again after this time at the earliest.
const AGAIN_MS: u64 = 5 * 60_000;
/// Most looks in a minute over all processes; one reads up to some tens of MiB.
const PER_MINUTE: u32 = 60;

/// Looks at the descriptors of one shell before it is let be: the connection may come after it.
const STDIO_LIMIT: u8 = 3;

/// Why to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A weak sign: rounding modes, steady load.
    Hint,
    /// It mines, and pool or wallet are not known.
    Strong,
    /// A shell may have its input from a connection.
    Stdio,
}

/// Looks asked for in this minute.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    minute: u64,
    asked: u32,
    /// Looks for which there was no room.
    pub(crate) lost: u64,
}

impl Looks {
    /// The process, when it is to be looked at now.
    pub(crate) fn ask(
        &mut self,
        key: ProcessKey,
        activity: &mut Activity,
        reason: Reason,
        at_ms: u64,
    ) -> Option<ProcessKey> {
        let last_ms = match reason {
            Reason::Hint => activity.looked.hint_ms.max(activity.looked.strong_ms),
            Reason::Strong => activity.looked.strong_ms,
            Reason::Stdio => activity.looked.stdio_ms.filter(|_| activity.looked.stdio >= STDIO_LIMIT),
        };
        if last_ms.is_some_and(|last_ms| at_ms.saturating_sub(last_ms) < AGAIN_MS) {
            return None;
        }
        if self.minute != at_ms / 60_000 {
            self.minute = at_ms / 60_000;
            self.asked = 0;
        }
        if self.asked >= PER_MINUTE {
            self.lost = self.lost.saturating_add(1);
            return None;
        }
        self.asked = self.asked.saturating_add(1);
        match reason {
            Reason::Hint => activity.looked.hint_ms = Some(at_ms),
            Reason::Strong => activity.looked.strong_ms = Some(at_ms),
            Reason::Stdio => {
                activity.looked.stdio_ms = Some(at_ms);
                activity.looked.stdio = activity.looked.stdio.saturating_add(1);
            }
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ProcessKey = ProcessKey { pid: 7, start_ticks: 7 };

    #[test]
    fn a_process_is_looked_at_once_in_five_minutes_and_once_more_when_it_turns_out_to_mine() {
        let mut looks = Looks::default();
        let mut activity = Activity::default();
        let mut ask = |reason, at_ms| looks.ask(KEY, &mut activity, reason, at_ms).is_some();
        assert!(ask(Reason::Hint, 0));
        assert!(!ask(Reason::Hint, 299_999));
        assert!(ask(Reason::Strong, 299_999));
        assert!(!ask(Reason::Hint, 300_000));
        assert!(!ask(Reason::Strong, 599_998));
        assert!(ask(Reason::Strong, 599_999));
    }

    #[test]
    fn a_flood_of_hints_is_bounded_by_the_minute_and_counted() {
        let mut looks = Looks::default();
        let asked =
            (0..100).filter(|_| looks.ask(KEY, &mut Activity::default(), Reason::Hint, 5).is_some()).count();
        assert_eq!((asked, looks.lost), (60, 40));
        assert!(looks.ask(KEY, &mut Activity::default(), Reason::Hint, 60_000).is_some());
    }
}
