//! Schedules: which ticks are due is a pure function of (specification, last tick, now); firing one is a unit of the
//! storage with UNIQUE (schedule, tick), so any number of schedulers may race and each tick still starts one run.
//!
//! Daylight saving, for an expression with a fixed hour: a local time that is skipped fires at the first instant after
//! the gap, one that comes twice fires the first time. Expressions with a wildcard hour go by real time: nothing fires
//! in a gap, and the doubled hour fires twice (the rules of Vixie cron, as croner implements them).

mod timetable;

pub use timetable::{Due, Timetable};
