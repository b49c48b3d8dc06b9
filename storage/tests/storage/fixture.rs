//! A small portfolio every test can stand on.

use chrono::NaiveDate;
use domain::{
    access::{AgentKind, Grant, Permission},
    brand::{Brand, BrandRole, Channel},
    budget::Rule,
    id::{BatchId, BrandId, ChannelId, MetricId, OrgId, ProjectId, RecommendationId},
    metric::{
        Direction, Granularity, MetricDefinition, MetricRole, MetricUnit, MetricValue, Section,
    },
    project::{Membership, Project},
    quality::{Cleaning, QualityLimits},
    recommendation::{Action, Kind, Recommendation, State},
    unit::{Effect, Interval},
};
use storage::{NewBatch, testkit::TestDatabase};

pub(crate) struct Portfolio {
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) aurora: BrandId,
    pub(crate) borealis: BrandId,
    pub(crate) channel: ChannelId,
    pub(crate) sales: MetricId,
    pub(crate) spend: MetricId,
    pub(crate) batch: BatchId,
    pub(crate) write: Grant,
    pub(crate) decide: Grant,
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

pub(crate) fn metric(org: &str, key: &str, role: MetricRole) -> MetricDefinition {
    MetricDefinition {
        id: MetricId::derive(&[org, key]),
        version: 1,
        key: key.to_owned(),
        name: key.to_uppercase(),
        section: Section::Marketplace,
        platform: String::new(),
        role,
        unit: MetricUnit::Currency,
        direction: Direction::Direct,
        weight: 1.0,
        granularity: Granularity::Week,
        channel: None,
        cleaning: Cleaning::default(),
        quality: QualityLimits::default(),
    }
}

pub(crate) fn brand(org: &str, name: &str) -> Brand {
    Brand {
        id: BrandId::derive(&[org, name]),
        name: name.to_owned(),
        role: BrandRole::Primary,
        category: "coffee".to_owned(),
        margin: Some(0.3),
        parent: None,
    }
}

impl Portfolio {
    pub(crate) async fn make(db: &TestDatabase, name: &'static str) -> Self {
        let org = db.org(name).await;
        let write = db.grant(org, Permission::IngestWrite);
        let portfolio = Self {
            org,
            project: ProjectId::derive(&[name, "north"]),
            aurora: brand(name, "Aurora").id,
            borealis: brand(name, "Borealis").id,
            channel: ChannelId::derive(&[name, "search"]),
            sales: metric(name, "sales", MetricRole::Outcome).id,
            spend: metric(name, "spend", MetricRole::Spend).id,
            batch: BatchId::derive(&[name, "batch"]),
            write,
            decide: db.grant(org, Permission::RecommendationDecide),
        };
        let (project, channel, batch) = (portfolio.project, portfolio.channel, portfolio.batch);
        db.unit(&write, move |u| {
            Box::pin(async move {
                u.projects()
                    .upsert(&Project {
                        id: project,
                        name: "north".to_owned(),
                    })
                    .await?;
                for brand in [brand(name, "Aurora"), brand(name, "Borealis")] {
                    u.brands().upsert(&brand).await?;
                    u.projects()
                        .set_member(&Membership {
                            project,
                            brand: brand.id,
                            weight: 1.0,
                        })
                        .await?;
                }
                u.channels()
                    .upsert(&Channel {
                        id: channel,
                        key: "search".to_owned(),
                        name: "Search".to_owned(),
                    })
                    .await?;
                u.metrics()
                    .define(&metric(name, "sales", MetricRole::Outcome))
                    .await?;
                u.metrics()
                    .define(&metric(name, "spend", MetricRole::Spend))
                    .await?;
                let mapping = u.mappings().save("weekly", "[columns]").await?;
                u.ingest()
                    .open(&NewBatch {
                        id: batch,
                        mapping: mapping.id,
                        source: "weekly.csv".to_owned(),
                    })
                    .await?;
                Ok(())
            })
        })
        .await
        .expect("a portfolio can be made");
        portfolio
    }

    pub(crate) fn value(
        &self,
        brand: BrandId,
        metric: MetricId,
        week: u32,
        value: f64,
    ) -> MetricValue {
        MetricValue {
            project: self.project,
            brand,
            metric,
            period: Granularity::Week.add(day("2024-01-01"), week),
            granularity: Granularity::Week,
            value,
        }
    }

    pub(crate) fn draft(
        &self,
        id: RecommendationId,
        subject: &str,
        key: &str,
        weekly: i64,
    ) -> Recommendation {
        let action = Action::Guard {
            rule: Rule::CannibalisationCap {
                driver: self.aurora,
                affected: self.borealis,
                weekly: weekly.into(),
            },
        };
        let now = storage::testkit::start_of_time();
        Recommendation {
            id,
            version: 1,
            kind: Kind::Guard,
            agent: AgentKind::Metrics,
            subject: subject.to_owned(),
            title: "Cap Aurora's search".to_owned(),
            summary: "It takes sales from Borealis.".to_owned(),
            brands: vec![self.aurora, self.borealis],
            objective: "profit".to_owned(),
            state: State::Draft,
            action_hash: action.hash(),
            action,
            effect: Some(Effect {
                value: 0.1 + 0.2,
                interval80: Interval {
                    low: -1.0 / 3.0,
                    high: 1e-7,
                },
                base: None,
                unit: "EUR".to_owned(),
                horizon_weeks: 12,
            }),
            confidence: Some(0.83),
            evidence: Vec::new(),
            dedupe_key: key.to_owned(),
            evidence_digest: "d".to_owned(),
            proposed_on: day("2024-06-03"),
            expires_on: day("2024-07-01"),
            snoozed_until: None,
            applies_at: None,
            superseded_by: None,
            parent: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// The stable code of an error.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, storage::Error>) -> &'static str {
    domain::Classify::code(&result.expect_err("this must be refused"))
}
