//! The journeys through the whole product, each with the real binary, and the rules that hold the workspace together.

mod analyze_files;
mod approvals;
mod architecture;
mod beside;
mod cli;
mod closed_loop;
mod contract;
mod crash;
mod demo;
mod import;
mod support;
