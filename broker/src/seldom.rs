//! Log lines that are written seldom, however often what they tell of happens.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets a line through once a minute, for what happens, or is made to happen by clients, far more often.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Time without a line, at least.
    const INTERVAL: Duration = Duration::from_mins(1);

    /// One that lets the first line through.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether the line is to be written that came up `now`.
    pub fn lets_through(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= Self::INTERVAL);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_let_through_once_a_minute() {
        let (seldom, start) = (Seldom::new(), Instant::now());
        let at = |seconds| seldom.lets_through(start + Duration::from_secs(seconds));
        assert_eq!([0, 1, 59, 60, 61, 119, 130].map(at), [true, false, false, true, false, false, true]);
    }
}
