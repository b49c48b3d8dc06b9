//! How series of brands move together: correlation in its plain, ranked, lagged, partial and shrunk forms, what runs
//! ahead of what, which links are direct, how stable they are, and which brands belong together.
//!
//! All of it starts from a [`SeriesBlock`], equally long series without gaps. Brands share a market, so plain measures
//! find links everywhere: on a panel whose common factor holds most of the variance, two thirds of all unrelated pairs
//! pass a plain Granger test at one percent. What is shown to people as a link is therefore [`granger`](mod@granger) with
//! cross-section averages, [`graphical_lasso`](mod@graphical_lasso) or [`partial`](mod@partial), under
//! [false-discovery control](crate::inference::benjamini_hochberg) and with its [`stability`](mod@stability).
//!
//! Work on more than one thread is cut into the same pieces whatever the number of threads, and each piece is computed
//! by one of them: the result has the same bits on one thread and on many.

mod blocks;
pub mod cluster;
pub mod granger;
pub mod graphical_lasso;
pub mod known;
mod lagged;
mod matrix;
pub mod partial;
mod series;
pub mod stability;
pub mod study;

use thiserror::Error;

use crate::cancel::{Cancel, Cancelled};

pub use cluster::{Clusters, clusters};
pub use granger::{GrangerParams, GrangerTest, granger};
pub use graphical_lasso::{GraphicalLasso, GraphicalLassoParams, graphical_lasso};
pub use lagged::{Lagged, lagged, prewhitened};
pub use matrix::{Correlations, pearson, spearman};
pub use partial::{Partial, Shrunk, partial, shrunk};
pub use series::SeriesBlock;
pub use stability::{Stability, StabilityParams, stability};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CorrelationError {
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// There is nothing to compare.
    #[error("{what} needs at least {least} series, and there are {got}")]
    TooFewSeries {
        /// What was asked for.
        what: &'static str,
        /// Smallest number of series.
        least: usize,
        /// Number of series given.
        got: usize,
    },
    /// The series are too short for what was asked.
    #[error("{what} needs at least {least} periods, and there are {got}")]
    TooShort {
        /// What was asked for.
        what: &'static str,
        /// Smallest number of periods.
        least: usize,
        /// Number of periods given.
        got: usize,
    },
    /// Series that shall be compared are not equally long.
    #[error("series of {expected} and of {got} periods cannot be compared")]
    Unequal {
        /// Length of the first.
        expected: usize,
        /// Length of the other.
        got: usize,
    },
    /// A series has absent values or does not vary, where every series is needed.
    #[error("series {series} has absent values or does not vary")]
    Unusable {
        /// Its position.
        series: usize,
    },
    /// A parameter is outside its range.
    #[error("{parameter} must be {range}")]
    Parameter {
        /// Which.
        parameter: &'static str,
        /// What it may be.
        range: &'static str,
    },
}

/// A cancellation check that threads can share.
pub type SharedCancel<'a> = &'a (dyn Cancel + Sync);
