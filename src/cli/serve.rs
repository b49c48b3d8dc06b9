//! `serve`: the whole product on one database.

use clap::Args;

use super::{Outcome, say};
use crate::{
    app::{Database, Node},
    config::{Config, Overrides},
};

/// `digi-cadence serve`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Address and port of HTTP [default: 127.0.0.1:8080]; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Redis that shortens waits between nodes
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

impl Arguments {
    /// The settings these flags stand for.
    pub(super) fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::new();
        if let Some(listen) = &self.listen {
            overrides.push(("http.listen", "--listen", listen.clone()));
        }
        if let Some(redis) = &self.redis {
            overrides.push(("bus.redis", "--redis", redis.clone()));
        }
        overrides
    }
}

/// Runs the command until it is asked to stop.
pub(super) async fn run(config: Config) -> Outcome {
    let database = Database::open(&config).await?;
    let node = Node::start(&config, &database).await?;
    say(&format!("listening on http://{}", node.address))?;
    node.until_stopped().await
}
