//! Lines that come twice: the journal and the log daemon's files tell of the same logins.
//!
//! Of one program, pid and text, each source may tell as often as it did; only what goes beyond what another source told
//! already is news. Which of the two comes first does not matter.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use minesweep_model::LogLine;

/// Most lines remembered.
const LINES_LIMIT: usize = 8192;
/// A log daemon that is later than this is not told apart from a repetition.
const KEPT: Duration = Duration::from_secs(30);

type Key = (String, Option<u32>, String);

/// What was told lately.
#[derive(Debug, Default)]
pub(super) struct Twice {
    told: BTreeMap<Key, Told>,
    order: VecDeque<(Instant, Key)>,
}

/// How often the journal and files told of one line.
#[derive(Debug, Default)]
struct Told {
    journal: u32,
    files: u32,
}

impl Twice {
    /// True when no other source has told of it.
    pub(super) fn is_news(&mut self, line: &LogLine, is_journal: bool, now: Instant) -> bool {
        while self.order.len() >= LINES_LIMIT
            || self.order.front().is_some_and(|(at, _)| now.duration_since(*at) > KEPT)
        {
            let Some((_, key)) = self.order.pop_front() else { break };
            self.told.remove(&key);
        }
        let (times, text) = unfold(&line.text);
        let key = (line.program.clone(), line.pid, text.to_owned());
        let told = self.told.entry(key.clone()).or_insert_with(|| {
            self.order.push_back((now, key));
            Told::default()
        });
        let (own, other) = match is_journal {
            true => (&mut told.journal, told.files),
            false => (&mut told.files, told.journal),
        };
        *own = own.saturating_add(times);
        *own > other
    }
}

/// `message repeated 3 times: [ text]`, as the log daemon folds lines.
fn unfold(text: &str) -> (u32, &str) {
    let folded = text.strip_prefix("message repeated ").and_then(|rest| {
        let (times, rest) = rest.split_once(" times: [ ")?;
        Some((times.parse().ok()?, rest.strip_suffix(']')?))
    });
    folded.unwrap_or((1, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine { source: String::new(), program: "sshd".to_owned(), pid: Some(7), text: text.to_owned() }
    }

    #[test]
    fn what_the_journal_told_the_file_tells_again_for_nothing_and_the_other_way_round() {
        let (mut twice, now) = (Twice::default(), Instant::now());
        let failed = line("Failed password for root");
        assert!(twice.is_news(&failed, true, now) && twice.is_news(&failed, true, now), "two attempts");
        assert!(!twice.is_news(&failed, false, now) && !twice.is_news(&failed, false, now));
        assert!(twice.is_news(&failed, false, now), "a third");
        assert!(!twice.is_news(&failed, true, now));
        assert!(twice.is_news(&failed, true, now + KEPT * 2), "much later");
    }

    #[test]
    fn a_folded_line_stands_for_what_the_journal_told_one_by_one() {
        let (mut twice, now) = (Twice::default(), Instant::now());
        let failed = line("Failed password for root");
        for _ in 0..3 {
            assert!(twice.is_news(&failed, true, now));
        }
        assert!(!twice.is_news(&failed, false, now));
        let folded = line("message repeated 2 times: [ Failed password for root]");
        assert!(!twice.is_news(&folded, false, now));
    }

    #[test]
    fn lines_without_end_are_bounded() {
        let (mut twice, now) = (Twice::default(), Instant::now());
        for number in 0..LINES_LIMIT + 10 {
            let _ = twice.is_news(&line(&number.to_string()), true, now);
        }
        assert_eq!((twice.told.len(), twice.order.len()), (LINES_LIMIT, LINES_LIMIT));
    }
}
