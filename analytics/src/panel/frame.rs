//! From a polars frame of imported rows to a [`Panel`].
