//! The broker's own log lines: to standard error, for people or as JSON.
//!
//! Standard output is kept for what a command was asked to print.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::{LogFormat, LoggingConfig};

/// Sends log lines to standard error from now on. Only the first call in a process has an effect.
pub fn start(config: &LoggingConfig) {
    // The configuration was checked: a filter that is none cannot come here.
    let filter = config.filter.parse().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match config.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Human => lines.with_ansi(false).boxed(),
        LogFormat::Auto => lines.with_ansi(has_colours()).boxed(),
    };
    // Fails where a test has a subscriber already, and then keeps that one.
    let _ = registry().with(lines.with_filter(filter)).try_init();
}

/// Whether lines are coloured: on a terminal that can, unless `NO_COLOR` (<https://no-color.org>) says otherwise.
fn has_colours() -> bool {
    let wants_none = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !wants_none && !is_dumb
}
