//! What drives an outcome: gradient-boosted trees and exact Shapley values of their predictions.
//!
//! [`train`] fits boosted trees to a panel; [`xgboost`], [`lightgbm`] and [`forust`] read models that were fitted elsewhere.
//! [`explain`](explain()) splits every prediction into one contribution per feature, which add up to the prediction, and
//! [`interactions`] splits it further into main effects and pairs. [`driver_sentences`] says in words what was found.
//!
//! **Which game.** A Shapley value needs to know what a prediction would be while some features are unknown.
//! [`Reference::TreePaths`] follows both branches of a split on an unknown feature, weighted by the training rows that went
//! each way (Lundberg and others 2020, "path-dependent"). [`Reference::Background`] puts in the values of other rows and
//! averages over all of them ("interventional"); what it says is relative to those rows.
//!
//! **How.** What a leaf gives to a row depends only on *which* of the features on its path agree with the path, so a small table
//! per leaf holds every answer there is (Nadel and Wettenstein 2026), and leaves that lie below one node share one table whose
//! index is the row's agreement with the path to that node and its answers to the questions below it. The entries are Shapley
//! sums written as integrals, ∑ |S|!(n−1−|S|)!/n! ∏ = ∫₀¹ ∏ (tᵒ…) dt, of a polynomial that Gauss–Legendre quadrature of ⌈n/2⌉
//! points integrates exactly; no subtraction of nearly equal numbers occurs (unlike the "unwinding" of the original method).
//! Work on trees is cut into a fixed number of parts that are added in a fixed order: any number of threads gives the same bits.

mod block;
mod boosting;
mod code;
mod deep;
mod explain;
mod features;
pub mod forust;
pub mod lightgbm;
mod model;
pub mod movement;
mod pattern;
mod quadrature;
mod sentence;
mod tree_table;
pub mod xgboost;

pub use boosting::{BoostingOptions, Fitted, TrainError, train};
pub use explain::{
    Contributions, ExplainError, ExplainOptions, Interactions, Reference, explain, interactions,
};
pub use features::{Features, FeaturesError};
pub use model::{Comparison, Model, ModelError, Node, Tree};
pub use sentence::{Driver, DriverOptions, driver_sentences, drivers};

#[cfg(test)]
mod tests;
