//! HTTP, and only that: parse, check the grant, make one call, map the answer.

mod actor;
mod agents;
mod answer;
mod audit;
pub mod auth;
mod brands;
mod channels;
mod constraints;
mod correlations;
mod demo;
mod door;
mod drivers;
mod edge;
mod etag;
mod events;
mod forecasts;
mod gaps;
mod headers;
mod health;
mod idempotency;
mod imports;
mod jobs;
mod mappings;
mod metrics;
mod mirror;
mod mix;
mod outcomes;
mod page;
mod permissions;
mod plans;
mod portfolio;
mod problem;
mod projects;
mod quality;
mod quantities;
mod recommendations;
mod responses;
mod runs;
mod schedules;
mod scores;
mod server;
mod session;
mod settings;
mod spa;
mod spec;
mod standing;
mod synergies;
mod tokens;
mod values;

use poem_openapi::Tags;

pub use edge::{AppState, DemoClock, DemoState, HttpConfig, endpoint};
pub use server::serve;
pub use spec::spec;

pub(crate) use edge::App;

/// How the operations are grouped in the documentation.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Signing in and out, and API tokens.
    Session,
    /// The overview, projects, brands and channels.
    Portfolio,
    /// Metric definitions and values.
    Metrics,
    /// Mappings and imports.
    Imports,
    /// Results of the analyses: scores, forecasts, synergies, correlations, drivers, response curves, marketing mix, gaps.
    Analytics,
    /// Budget plans, standing constraints and targets.
    Plans,
    /// The inbox, decisions and outcomes.
    Recommendations,
    /// The agents, their actors, runs and schedules.
    Agents,
    /// Live events, the demo's clock, jobs, settings and the audit trail.
    System,
}
