//! What the worker process and its parent say to each other: one JSON document per line.

use analytics::ingest::{Summary, Value};
use chrono::NaiveDate;
use domain::{
    Error, ErrorKind, brand::BrandRole, ingest::Reject, mapping::Mapping, metric::Granularity,
};
use serde::{Deserialize, Serialize};

use super::Limits;

/// The first line the worker reads; the bytes of the file follow it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// How the file is read.
    pub(super) mapping: Mapping,
    /// What the worker may use.
    pub(super) limits: Limits,
    /// Number of items at the start that are durable already and are not sent again.
    pub(super) skip: u64,
}

/// One value of the file, by names; ids are made by whoever knows the organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NamedValue {
    /// Name of the project.
    #[serde(rename = "p")]
    pub(super) project: String,
    /// Name of the brand.
    #[serde(rename = "b")]
    pub(super) brand: String,
    /// Whose brand it is.
    #[serde(rename = "r")]
    pub(super) role: BrandRole,
    /// Key of the metric.
    #[serde(rename = "m")]
    pub(super) metric: String,
    /// First day of the period.
    #[serde(rename = "d")]
    pub(super) period: NaiveDate,
    /// Length of the period.
    #[serde(rename = "g")]
    pub(super) granularity: Granularity,
    /// The value.
    #[serde(rename = "v")]
    pub(super) value: f64,
}

impl From<Value<'_>> for NamedValue {
    fn from(value: Value<'_>) -> Self {
        let Value {
            project,
            brand,
            role,
            metric,
            period,
            granularity,
            value,
        } = value;
        Self {
            project: project.to_owned(),
            brand: brand.to_owned(),
            role,
            metric: metric.to_owned(),
            period,
            granularity,
            value,
        }
    }
}

/// One line from the worker. The items of a file, values and refusals together, are numbered from 0 in an order that
/// depends on the bytes and the mapping alone; `end` is the number of the item after the last one of the frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub(super) enum Frame {
    /// Items.
    Items {
        /// Values, in order.
        values: Vec<NamedValue>,
        /// Refusals, in order.
        rejects: Vec<Reject>,
        /// Number of the next item.
        end: u64,
    },
    /// The file is read; nothing follows.
    End {
        /// What was in it.
        summary: Summary,
    },
    /// The file cannot be read on; nothing follows.
    Failed {
        /// From the caller's point of view.
        kind: ErrorKind,
        /// Stable code.
        code: String,
        /// What happened.
        message: String,
        /// What to do.
        advice: Option<String>,
    },
}

impl Frame {
    /// The frame that tells of `error`.
    pub(super) fn failed(error: &Error) -> Self {
        Self::Failed {
            kind: error.kind,
            code: error.code.to_owned(),
            message: error.message.clone(),
            advice: error.advice.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_pipe_bit_for_bit() {
        let value = NamedValue {
            project: "north".into(),
            brand: "Aurora".into(),
            role: BrandRole::Primary,
            metric: "sales".into(),
            period: NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date"),
            granularity: Granularity::Week,
            value: 0.1 + 0.2,
        };
        let frame = Frame::Items {
            values: vec![value.clone()],
            rejects: vec![],
            end: 1,
        };
        let line = serde_json::to_string(&frame).expect("plain data");
        assert!(!line.contains('\n'));
        let Frame::Items { values, .. } = serde_json::from_str(&line).expect("own line") else {
            panic!("items")
        };
        assert_eq!(values[0].value.to_bits(), value.value.to_bits());
    }
}
