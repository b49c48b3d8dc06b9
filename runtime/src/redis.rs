//! The one place that configures a Redis client. Everything that fred leaves open by default is set here, because its
//! defaults wait and buffer without end and repeat commands.

use std::time::Duration;

use fred::{
    prelude::*,
    types::config::{Config, ReconnectPolicy, UnresponsiveConfig},
};

use crate::Error;

/// A command that takes longer has failed: nothing here is worth waiting for.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_millis(500);

/// Commands that may wait while the connection is away; more are refused at once.
const COMMAND_BUFFER: usize = 256;

pub(crate) fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::RedisUnavailable {
        message: error.to_string(),
    }
}

/// A client builder for `url` (`redis://[user:password@]host[:port][/database]`).
///
/// # Errors
/// `runtime.redis_unavailable` when the URL cannot be read.
pub(crate) fn builder(url: &str) -> Result<Builder, Error> {
    let mut config = Config::from_url(url).map_err(unavailable)?;
    // A Redis that is away at the start is no different from one that goes away later.
    config.fail_fast = false;
    let mut builder = Builder::from_config(config);
    builder
        .with_connection_config(|connection| {
            connection.connection_timeout = Duration::from_secs(2);
            connection.internal_command_timeout = Duration::from_secs(2);
            // fred would send a command again after a lost connection: a bell rung twice is harmless, a queue of old
            // ones is not.
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = COMMAND_BUFFER;
            connection.reconnect_on_auth_error = true;
            connection.unresponsive = UnresponsiveConfig {
                max_timeout: Some(Duration::from_secs(3)),
                interval: Duration::from_secs(1),
            };
        })
        .with_performance_config(|performance| {
            performance.default_command_timeout = COMMAND_TIMEOUT;
            performance.broadcast_channel_capacity = COMMAND_BUFFER;
        })
        // 0 attempts = without end; 100 ms doubling to 5 s, with fred's own jitter.
        .set_policy(ReconnectPolicy::new_exponential(0, 100, 5_000, 2));
    Ok(builder)
}
