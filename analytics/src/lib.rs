//! analytics

pub mod cancel;
pub mod forecast;
pub mod gap;
pub mod inference;
pub mod ingest;
pub mod linear;
pub mod market;
pub mod promotion;
pub mod quality;
pub mod rng;
pub mod score;
pub mod series;
