//! Decomposition into a trend and several seasons.

mod loess;
mod stl;

pub use loess::Degree;
pub(in crate::forecast) use stl::seasonal_strength;
pub use stl::{Change, Stl};
