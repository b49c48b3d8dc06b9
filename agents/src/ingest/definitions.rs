//! Things that files name: projects, brands, channels and metrics. Their ids are derived from organisation and name, so
//! every import of every node means the same thing by the same name.

use std::collections::{HashMap, HashSet};

use domain::{
    Error,
    brand::{Brand, BrandRole, Channel},
    id::{BrandId, ChannelId, MetricId, OrgId, ProjectId},
    mapping::{Mapping, MetricColumn},
    metric::{Granularity, MetricDefinition, MetricValue},
    project::{Membership, Project},
};
use storage::Unit;

use super::frame::NamedValue;

/// The id of the project that files call `name`.
pub fn project_id(org: OrgId, name: &str) -> ProjectId {
    ProjectId::derive(&[&org.to_string(), name])
}

/// The id of the brand that files call `name`.
pub fn brand_id(org: OrgId, name: &str) -> BrandId {
    BrandId::derive(&[&org.to_string(), name])
}

/// The id of the metric with `key`.
pub fn metric_id(org: OrgId, key: &str) -> MetricId {
    MetricId::derive(&[&org.to_string(), key])
}

/// The id of the channel with `key`.
pub fn channel_id(org: OrgId, key: &str) -> ChannelId {
    ChannelId::derive(&[&org.to_string(), key])
}

fn definition(org: OrgId, metric: &MetricColumn, granularity: Granularity) -> MetricDefinition {
    MetricDefinition {
        id: metric_id(org, &metric.key),
        version: 1,
        key: metric.key.clone(),
        name: metric.label().to_owned(),
        section: metric.section,
        platform: metric.platform.clone(),
        role: metric.role,
        unit: metric.unit,
        direction: metric.direction,
        weight: metric.weight,
        granularity,
        channel: metric.channel.as_deref().map(|key| channel_id(org, key)),
        cleaning: metric.cleaning,
        quality: metric.quality,
    }
}

/// `paid_search` for people: `Paid search`.
fn readable(key: &str) -> String {
    let spaced = key.replace('_', " ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Creates the channels and metrics of a mapping that are not there yet.
///
/// # Errors
/// `mapping.conflict` when a metric of that key means something else: another role, unit, direction or period length.
pub(super) async fn define(unit: &Unit, mapping: &Mapping) -> Result<(), storage::Error> {
    let org = unit.org();
    let known: HashSet<ChannelId> = unit
        .channels()
        .list()
        .await?
        .into_iter()
        .map(|c| c.id)
        .collect();
    let named: HashSet<&str> = mapping
        .metric
        .iter()
        .filter_map(|m| m.channel.as_deref())
        .collect();
    for key in named {
        let id = channel_id(org, key);
        if !known.contains(&id) {
            unit.channels()
                .upsert(&Channel {
                    id,
                    key: key.to_owned(),
                    name: readable(key),
                })
                .await?;
        }
    }
    let stored: HashMap<MetricId, MetricDefinition> = unit
        .metrics()
        .list()
        .await?
        .into_iter()
        .map(|m| (m.id, m))
        .collect();
    for metric in &mapping.metric {
        let wanted = definition(org, metric, mapping.granularity);
        match stored.get(&wanted.id) {
            None => {
                unit.metrics().define(&wanted).await?;
            }
            Some(there)
                if (there.role, there.unit, there.direction, there.granularity)
                    != (
                        wanted.role,
                        wanted.unit,
                        wanted.direction,
                        wanted.granularity,
                    ) =>
            {
                return Err(Error::conflict(
                    "mapping.conflict",
                    format!("the metric {:?} exists with another role, unit, direction or period length", metric.key),
                )
                .advise("give the mapping's metric another key, or the same meaning")
                .into());
            }
            // Weight, name, section, rules and limits may have been changed by people since; they stay.
            Some(_) => {}
        }
    }
    Ok(())
}

/// Projects, brands and memberships known to exist, so that each is looked up once per import.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    brands: HashSet<BrandId>,
    members: HashSet<(ProjectId, BrandId)>,
}

impl Known {
    /// Creates what `values` name and is not there yet, and returns the values by id. `self` is only right once the unit
    /// has committed: work on a copy.
    pub(super) async fn resolve(
        &mut self,
        unit: &Unit,
        values: &[NamedValue],
    ) -> Result<Vec<MetricValue>, storage::Error> {
        let org = unit.org();
        let mut ids: HashMap<(&str, &str), (ProjectId, BrandId)> = HashMap::new();
        let mut metrics: HashMap<&str, MetricId> = HashMap::new();
        let mut resolved = Vec::with_capacity(values.len());
        for value in values {
            let (project, brand) = *ids
                .entry((value.project.as_str(), value.brand.as_str()))
                .or_insert_with(|| (project_id(org, &value.project), brand_id(org, &value.brand)));
            let metric = *metrics
                .entry(value.metric.as_str())
                .or_insert_with(|| metric_id(org, &value.metric));
            if !self.members.contains(&(project, brand)) {
                self.create(unit, value, project, brand).await?;
            }
            resolved.push(MetricValue {
                project,
                brand,
                metric,
                period: value.period,
                granularity: value.granularity,
                value: value.value,
            });
        }
        Ok(resolved)
    }

    async fn create(
        &mut self,
        unit: &Unit,
        value: &NamedValue,
        project: ProjectId,
        brand: BrandId,
    ) -> Result<(), storage::Error> {
        if self.members.is_empty() {
            self.brands = unit
                .brands()
                .list()
                .await?
                .into_iter()
                .map(|b| b.id)
                .collect();
            self.members = unit
                .projects()
                .memberships()
                .await?
                .into_iter()
                .map(|m| (m.project, m.brand))
                .collect();
        }
        if self.brands.insert(brand) {
            unit.brands()
                .upsert(&new_brand(brand, &value.brand, value.role))
                .await?;
        }
        if self.members.insert((project, brand)) {
            unit.projects()
                .upsert(&Project {
                    id: project,
                    name: value.project.clone(),
                })
                .await?;
            unit.projects()
                .set_member(&Membership {
                    project,
                    brand,
                    weight: 1.0,
                })
                .await?;
        }
        Ok(())
    }
}

fn new_brand(id: BrandId, name: &str, role: BrandRole) -> Brand {
    Brand {
        id,
        name: name.to_owned(),
        role,
        category: String::new(),
        margin: None,
        parent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_in_two_organisations_is_two_brands() {
        let (a, b) = (OrgId::derive(&["a"]), OrgId::derive(&["b"]));
        assert_eq!(brand_id(a, "Aurora"), brand_id(a, "Aurora"));
        assert_ne!(brand_id(a, "Aurora"), brand_id(b, "Aurora"));
    }

    #[test]
    fn a_metric_is_defined_with_the_rules_and_limits_of_its_mapping() {
        let mapping: Mapping = serde_json::from_value(serde_json::json!({
            "name": "shop", "granularity": "week", "date": { "column": "week" },
            "brand": { "column": "brand" }, "project": { "constant": "Shop" },
            "metric": [{
                "column": "sales", "key": "sales", "section": "marketplace", "role": "outcome", "unit": "currency",
                "cleaning": { "gaps": "seasonal" }, "quality": { "max_absent": 0.2 }
            }]
        }))
        .expect("a mapping");
        let metric = &mapping.metric[0];
        let made = definition(OrgId::derive(&["a"]), metric, mapping.granularity);
        assert_eq!(
            (made.cleaning, made.quality),
            (metric.cleaning, metric.quality)
        );
        assert_eq!(
            (made.cleaning.gaps, made.quality.max_absent),
            (domain::quality::GapRule::Seasonal, Some(0.2))
        );
    }

    #[test]
    fn a_key_becomes_a_name_people_can_read() {
        assert_eq!(readable("paid_search"), "Paid search");
        assert_eq!(readable(""), "");
    }
}
