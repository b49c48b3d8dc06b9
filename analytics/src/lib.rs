//! analytics

pub mod cancel;
pub mod forecast;
pub mod inference;
pub mod ingest;
pub mod linear;
pub mod market;
pub mod rng;
