//! What a replay shows of itself: a line once a second, rewritten in place on a terminal, and a summary.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::meter::{Latencies, Meter};

/// Whether standard output is a terminal on which a line can be rewritten.
pub(super) fn in_place() -> bool {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_dumb
}

/// Writes progress to `out`.
#[derive(Debug)]
pub(super) struct Progress<W> {
    out: W,
    in_place: bool,
    /// How many records there will be.
    total: u64,
    /// What the line before said of the whole.
    shown: u64,
}

impl<W: Write> Progress<W> {
    /// `in_place`: `out` is a terminal, and each line replaces the one before.
    pub(super) fn new(out: W, in_place: bool, total: u64) -> Self {
        Self { out, in_place, total, shown: 0 }
    }

    /// Shows the last interval; if nothing was delivered in it, `trouble` says why.
    pub(super) fn line(
        &mut self,
        interval: &Meter,
        elapsed: Duration,
        trouble: Option<&dyn Display>,
    ) -> io::Result<()> {
        self.shown += interval.records;
        let percent = u128::from(self.shown) * 100 / u128::from(self.total.max(1));
        let news = match trouble.filter(|_| interval.records == 0) {
            Some(trouble) => format!("waiting: {trouble}"),
            None => format!("{}  {}", speeds(interval, elapsed), quantiles(&interval.latencies)),
        };
        self.put(&format!("{:>13} records  {percent:>3} %  {news}", grouped(self.shown)))
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        let text = text.trim_end();
        let done = if self.in_place {
            // Back to the first column, and clear what the longer line before left.
            write!(self.out, "\r{text}\x1b[K")
        } else {
            writeln!(self.out, "{text}")
        };
        unless_gone(done.and_then(|()| self.out.flush()))
    }

    /// Shows the whole. `stopped`: somebody ended it early.
    pub(super) fn summary(&mut self, whole: &Meter, elapsed: Duration, stopped: bool) -> io::Result<()> {
        let start = if self.in_place { "\r\x1b[K" } else { "" };
        let latency = match quantiles(&whole.latencies) {
            none if none.is_empty() => none,
            some => format!("Latency until acknowledged: {some}\n"),
        };
        let done = write!(
            self.out,
            "{start}{} {} records, {}, in {}: {}\n{latency}",
            if stopped { "Stopped after" } else { "Wrote" },
            grouped(whole.records),
            megabytes(whole.bytes),
            seconds(elapsed),
            speeds(whole, elapsed).split_whitespace().collect::<Vec<_>>().join(" ").replace("/s ", "/s, "),
        );
        unless_gone(done.and_then(|()| self.out.flush()))
    }

    /// Leaves the line that is rewritten in place, so that what follows has its own.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if self.in_place && self.shown > 0 { unless_gone(writeln!(self.out)) } else { Ok(()) }
    }
}

/// A reader that went away is no failure: the records still go where they should.
fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn speeds(meter: &Meter, elapsed: Duration) -> String {
    let per_second = |amount: u64| u128::from(amount) * 1_000_000 / elapsed.as_micros().max(1);
    let narrow = |rate: u128| u64::try_from(rate).unwrap_or(u64::MAX);
    let (records, bytes) = (narrow(per_second(meter.records)), narrow(per_second(meter.bytes)));
    format!("{:>9} records/s  {:>10}/s", grouped(records), megabytes(bytes))
}

/// Percentiles, or nothing where nothing was delivered.
fn quantiles(latencies: &Latencies) -> String {
    if latencies.is_empty() {
        return String::new();
    }
    let [p50, p99] = [50, 99].map(|percent| milliseconds(latencies.percentile(percent)));
    format!("p50 {p50}  p99 {p99}  max {}", milliseconds(latencies.max()))
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Millions of bytes with one decimal.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", grouped(tenths / 10), tenths % 10)
}

/// Milliseconds with one decimal.
pub(super) fn milliseconds(latency: Duration) -> String {
    let tenths = u64::try_from(latency.as_micros() / 100).unwrap_or(u64::MAX);
    format!("{}.{} ms", grouped(tenths / 10), tenths % 10)
}

/// Seconds with two decimals.
pub(super) fn seconds(elapsed: Duration) -> String {
    format!("{}.{:02} s", grouped(elapsed.as_secs()), elapsed.subsec_millis() / 10)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::client::Delivery;

    fn meter(records: u32, latency: Duration) -> Meter {
        let due = Instant::now();
        let mut meter = Meter::default();
        meter.add(&Delivery {
            topic: Arc::from("t"),
            partition: 0,
            base_offset: 0,
            records,
            payload_bytes: u64::from(records) * 100,
            due,
            acknowledged: due + latency,
        });
        meter
    }

    fn written(in_place: bool) -> String {
        let mut out = Vec::new();
        let mut progress = Progress::new(&mut out, in_place, 2_000_000);
        let interval = meter(123_456, Duration::from_micros(4_250));
        progress.line(&interval, Duration::from_secs(1), None).unwrap();
        progress.line(&Meter::default(), Duration::from_secs(1), Some(&"no broker")).unwrap();
        progress.line(&Meter::default(), Duration::from_secs(1), None).unwrap();
        progress.line(&interval, Duration::from_secs(1), Some(&"over by now")).unwrap();
        progress.summary(&meter(246_912, Duration::from_millis(3)), Duration::from_secs(2), false).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_lines_where_nobody_watches() {
        let lines = [
            "      123,456 records    6 %    123,456 records/s     12.3 MB/s  p50 4.2 ms  p99 4.2 ms  max 4.2 ms",
            "      123,456 records    6 %  waiting: no broker",
            "      123,456 records    6 %          0 records/s      0.0 MB/s",
            "      246,912 records   12 %    123,456 records/s     12.3 MB/s  p50 4.2 ms  p99 4.2 ms  max 4.2 ms",
            "Wrote 246,912 records, 24.6 MB, in 2.00 s: 123,456 records/s, 12.3 MB/s",
            "Latency until acknowledged: p50 3.0 ms  p99 3.0 ms  max 3.0 ms",
            "",
        ];
        assert_eq!(written(false), lines.join("\n"));
    }

    #[test]
    fn on_a_terminal_lines_are_rewritten_in_place() {
        let text = written(true);
        assert_eq!(text.matches('\n').count(), 2, "only the summary has lines");
        assert_eq!(text.matches('\r').count(), 5);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        Progress::new(Gone, false, 1).line(&Meter::default(), Duration::from_secs(1), None).unwrap();
    }
}
