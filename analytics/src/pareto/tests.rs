//! Known fronts, hypervolumes and limits.
