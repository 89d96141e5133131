//! Something that is due again and again.

use std::time::{Duration, Instant};

/// A timer that is asked, not awaited. A late one does not make up for lost rounds.
pub struct Timer {
    due: Instant,
    every: Duration,
}

impl Timer {
    /// Due first after `every`.
    pub fn new(now: Instant, every: Duration) -> Self {
        Self { due: now + every, every }
    }

    /// True once a round.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now + self.every;
        }
        is_due
    }

    /// Time until it is due.
    pub fn left(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_due_once_and_a_late_one_is_not_made_up_for() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut timer = Timer::new(start, second);
        assert!(!timer.is_due(start));
        assert_eq!(timer.left(start), second);
        assert!(timer.is_due(start + 5 * second));
        assert!(!timer.is_due(start + 5 * second));
        assert!(timer.is_due(start + 6 * second));
    }
}
