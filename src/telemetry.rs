//! Log lines to standard error: readable for people or one JSON object per line. Results go to standard output, so the
//! two never mix.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogConfig;

/// Starts logging. A second call changes nothing.
pub(crate) fn start(config: &LogConfig) {
    let filter = EnvFilter::new(&config.filter);
    let base = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Whoever started a subscriber first keeps it; only tests do so twice.
    let _already = if config.json {
        base.json()
            .flatten_event(true)
            .with_current_span(true)
            .try_init()
    } else {
        base.with_ansi(std::io::stderr().is_terminal())
            .with_target(true)
            .try_init()
    };
}
