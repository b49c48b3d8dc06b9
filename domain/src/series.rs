//! How metric values cross crates: as columns, never as row objects.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::id::{BrandId, MetricId, ProjectId};

/// A table of values as parallel columns of equal length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricTable {
    /// Project of each row.
    pub project: Vec<ProjectId>,
    /// Brand of each row.
    pub brand: Vec<BrandId>,
    /// Metric of each row.
    pub metric: Vec<MetricId>,
    /// First day of each row's period.
    pub period: Vec<NaiveDate>,
    /// The values.
    pub value: Vec<f64>,
}

impl MetricTable {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Adds a row.
    pub fn push(
        &mut self,
        project: ProjectId,
        brand: BrandId,
        metric: MetricId,
        period: NaiveDate,
        value: f64,
    ) {
        self.project.push(project);
        self.brand.push(brand);
        self.metric.push(metric);
        self.period.push(period);
        self.value.push(value);
    }
}

/// One value of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// First day of the period.
    pub period: NaiveDate,
    /// The value.
    pub value: f64,
}
