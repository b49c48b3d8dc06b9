//! A small organisation in a test database: brands, channels, metrics, a project and some weeks of values.

use chrono::{Days, NaiveDate};
use domain::{
    access::{AgentKind, Permission, Principal, Role},
    brand::{Brand, BrandRole, Channel},
    budget::Rule,
    id::{
        BatchId, BrandId, ChannelId, FitId, MetricId, OrgId, ProjectId, RecommendationId, UserId,
    },
    metric::{
        Direction, Granularity, MetricDefinition, MetricRole, MetricUnit, MetricValue, Section,
    },
    project::Project,
    provenance::Provenance,
    quality::{Cleaning, QualityLimits},
    recommendation::{Action, Move, Recommendation, State},
    response::{ResponseCurve, ResponseFit},
    unit::Interval,
};
use runtime::compute::Compute;
use storage::{NewBatch, Storage, Transition, testkit::TestDatabase};

use crate::{
    analyst::Analyst, decisions::Decisions, observe::evidence_digest, plans::Plans,
    proposal::Proposal, view::evidence,
};

/// The last week with values.
pub(crate) fn last_week() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 5).expect("a date")
}

/// The domain date.
pub(crate) fn today() -> NaiveDate {
    last_week() + Days::new(6)
}

/// Ids of one organisation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct House {
    pub(crate) org: OrgId,
    pub(crate) alder: BrandId,
    pub(crate) birch: BrandId,
    pub(crate) search: ChannelId,
    pub(crate) units: MetricId,
    pub(crate) reviews: MetricId,
    pub(crate) spend: MetricId,
    pub(crate) north: ProjectId,
    pub(crate) batch: BatchId,
}

impl House {
    /// Builds it: 60 weeks of units, reviews and spend of two own brands in one project.
    pub(crate) async fn build(db: &TestDatabase) -> Self {
        let org = db.org("house").await;
        let text = org.to_string();
        let house = Self {
            org,
            alder: BrandId::derive(&[&text, "Alder"]),
            birch: BrandId::derive(&[&text, "Birch"]),
            search: ChannelId::derive(&[&text, "search"]),
            units: MetricId::derive(&[&text, "units"]),
            reviews: MetricId::derive(&[&text, "reviews"]),
            spend: MetricId::derive(&[&text, "spend"]),
            north: ProjectId::derive(&[&text, "north"]),
            batch: BatchId::derive(&[&text, "batch"]),
        };
        let grant = db.grant(org, Permission::MetricWrite);
        db.unit(&grant, move |u| {
            Box::pin(async move {
                u.organisations().set_as_of(Some(today())).await?;
                for (id, name) in [(house.alder, "Alder"), (house.birch, "Birch")] {
                    let brand = Brand {
                        id,
                        name: name.to_owned(),
                        role: BrandRole::Primary,
                        category: String::new(),
                        margin: Some(0.4),
                        parent: None,
                    };
                    u.brands().upsert(&brand).await?;
                }
                u.channels()
                    .upsert(&Channel {
                        id: house.search,
                        key: "search".to_owned(),
                        name: "Paid search".to_owned(),
                    })
                    .await?;
                u.projects()
                    .upsert(&Project {
                        id: house.north,
                        name: "North".to_owned(),
                    })
                    .await?;
                for (id, key, role, channel) in [
                    (house.units, "units", MetricRole::Outcome, None),
                    (house.reviews, "reviews", MetricRole::Health, None),
                    (house.spend, "spend", MetricRole::Spend, Some(house.search)),
                ] {
                    u.metrics()
                        .define(&definition(id, key, role, channel))
                        .await?;
                }
                let mapping = u.mappings().save("m", "text").await?;
                u.ingest()
                    .open(&NewBatch {
                        id: house.batch,
                        mapping: mapping.id,
                        source: "s".to_owned(),
                    })
                    .await?;
                u.values()
                    .upsert_chunk(house.batch, "s", &house.values(), None)
                    .await?;
                u.ingest().complete(house.batch, "d").await?;
                Ok(())
            })
        })
        .await
        .expect("the house can be built");
        house
    }

    fn values(&self) -> Vec<MetricValue> {
        let mut values = Vec::new();
        for week in 0..60u64 {
            // A rising line with some unrest; more spend in some weeks than in others.
            let t = (59 - week) as f64;
            let units = 1_000.0 + 4.0 * t + 15.0 * ((t * 5.0) % 7.0);
            let spend = 100.0 + 10.0 * ((t * 3.0) % 5.0);
            for brand in [self.alder, self.birch] {
                for (metric, value) in [
                    (self.units, units),
                    (self.reviews, 4.0),
                    (self.spend, spend),
                ] {
                    values.push(self.value(
                        brand,
                        metric,
                        last_week() - Days::new(7 * week),
                        value,
                    ));
                }
            }
        }
        values
    }

    fn value(
        &self,
        brand: BrandId,
        metric: MetricId,
        period: NaiveDate,
        value: f64,
    ) -> MetricValue {
        MetricValue {
            project: self.north,
            brand,
            metric,
            period,
            granularity: Granularity::Week,
            value,
        }
    }

    /// Gives Alder a second project with half as many units, moving in another rhythm. Returns the project.
    pub(crate) async fn south(&self, storage: &Storage) -> ProjectId {
        let grant = Principal::system(self.org)
            .grant(Permission::MetricWrite)
            .expect("held");
        let south = ProjectId::derive(&[&self.org.to_string(), "south"]);
        let house = *self;
        let values: Vec<MetricValue> = (0..60u64)
            .map(|week| {
                let t = (59 - week) as f64;
                let units = 500.0 + 11.0 * ((t * 3.0) % 8.0);
                let period = last_week() - Days::new(7 * week);
                MetricValue {
                    project: south,
                    ..self.value(self.alder, self.units, period, units)
                }
            })
            .collect();
        storage
            .unit(&grant, move |u| {
                let values = values.clone();
                Box::pin(async move {
                    let project = Project {
                        id: south,
                        name: "South".to_owned(),
                    };
                    u.projects().upsert(&project).await?;
                    u.values()
                        .upsert_chunk(house.batch, "s", &values, None)
                        .await
                })
            })
            .await
            .expect("the project can be added");
        south
    }

    /// Changes one ingested value of a brand's metric.
    pub(crate) async fn change(&self, storage: &Storage, metric: MetricId, value: f64) {
        let grant = Principal::system(self.org)
            .grant(Permission::MetricWrite)
            .expect("held");
        let (house, changed) = (*self, self.value(self.alder, metric, last_week(), value));
        storage
            .unit(&grant, move |u| {
                let changed = [changed.clone()];
                Box::pin(async move {
                    u.values()
                        .upsert_chunk(house.batch, "s", &changed, None)
                        .await
                })
            })
            .await
            .expect("the value can be changed");
    }

    /// Makes the feed of the first brand's metric stand still over its last eight weeks.
    pub(crate) async fn stick(&self, storage: &Storage, metric: MetricId) {
        let grant = Principal::system(self.org)
            .grant(Permission::MetricWrite)
            .expect("held");
        let stuck: Vec<MetricValue> = (0..8)
            .map(|week| {
                let period = last_week() - Days::new(7 * week);
                self.value(self.alder, metric, period, 1_234.0)
            })
            .collect();
        let batch = self.batch;
        storage
            .unit(&grant, move |u| {
                let stuck = stuck.clone();
                Box::pin(async move { u.values().upsert_chunk(batch, "s", &stuck, None).await })
            })
            .await
            .expect("the values can be changed");
    }

    /// Stores a fit of search: both brands spend 100 a week, and the model knows `brands`, each with the coefficient of its curve.
    pub(crate) async fn fit(&self, storage: &Storage, brands: &[(BrandId, f64)]) {
        let mut model = crate::analyst::model::tests::model();
        let known = model.value.lines[0].clone();
        let line = |(brand, coefficient): &(BrandId, f64)| {
            let mut line = known.clone();
            (line.brand, line.channel) = (brand.to_string(), self.search.to_string());
            for draw in &mut line.draws {
                draw.curve.coefficient *= coefficient / 400.0;
            }
            line
        };
        model.value.lines = brands.iter().map(line).collect();
        let fit = ResponseFit {
            id: FitId::derive(&[&self.org.to_string(), &brands.len().to_string()]),
            origin: last_week(),
            curves: [self.alder, self.birch]
                .map(|brand| self.curve(brand))
                .to_vec(),
            model: serde_json::to_value(model).expect("plain data"),
            provenance: Provenance::default(),
        };
        let grant = Principal::system(self.org)
            .grant(Permission::RecommendationPropose)
            .expect("held");
        storage
            .unit(&grant, move |u| {
                let fit = fit.clone();
                Box::pin(async move { u.fits().record(&fit).await })
            })
            .await
            .expect("the fit can be stored");
    }

    fn curve(&self, brand: BrandId) -> ResponseCurve {
        let none = Interval {
            low: 0.0,
            high: 0.0,
        };
        ResponseCurve {
            brand,
            channel: self.search,
            carry_over: 0.4,
            half: 100.0,
            shape: 1.0,
            scale: 400.0,
            current_spend: 100.0,
            marginal_return: 1.0,
            marginal_return80: none,
            marginal_return95: none,
            q_value: 1.0,
            warnings: Vec::new(),
        }
    }

    /// A person who may decide.
    pub(crate) fn manager(&self) -> Principal {
        Principal::user(self.org, UserId::derive(&["manager"]), Role::BrandManager)
    }

    /// The installation.
    pub(crate) fn system(&self) -> Principal {
        Principal::system(self.org)
    }

    /// A guard that is in the inbox.
    pub(crate) async fn guard(&self, storage: &Storage) -> Recommendation {
        let rule = Rule::Cap {
            brand: Some(self.alder),
            channel: Some(self.search),
            weekly: 70.into(),
        };
        self.propose(storage, "line:Alder/search", Action::Guard { rule })
            .await
    }

    /// Puts a proposal of the optimisation agent into the inbox.
    pub(crate) async fn propose(
        &self,
        storage: &Storage,
        subject: &str,
        action: Action,
    ) -> Recommendation {
        let grant = self
            .system()
            .grant(Permission::RecommendationPropose)
            .expect("held");
        let scope = storage.scope(&grant);
        let metrics = scope.metrics().list().await.expect("read");
        let digest = evidence_digest(scope.values(), &action, &metrics)
            .await
            .expect("read");
        let draft = Proposal {
            agent: AgentKind::Optimisation,
            subject: subject.to_owned(),
            title: subject.to_owned(),
            summary: "because".to_owned(),
            brands: vec![self.alder],
            objective: "profit".to_owned(),
            action,
            effect: None,
            confidence: None,
            evidence: vec![evidence("n", 1.0, "", None, "", &Provenance::default())],
            expires_on: today() + Days::new(28),
        }
        .into_draft(
            self.org,
            &digest,
            today(),
            storage.now().await.expect("the database answers"),
        );
        let id = draft.id;
        storage
            .unit(&grant, move |u| {
                let draft = draft.clone();
                Box::pin(async move {
                    u.recommendations().draft(&draft).await?;
                    u.recommendations()
                        .transition(&Transition::by_runtime(draft.id, Move::Propose))
                        .await
                })
            })
            .await
            .expect("it can be proposed");
        self.stored(storage, id).await
    }

    /// A recommendation as it is stored.
    pub(crate) async fn stored(&self, storage: &Storage, id: RecommendationId) -> Recommendation {
        let grant = self
            .system()
            .grant(Permission::RecommendationRead)
            .expect("held");
        storage
            .scope(&grant)
            .recommendations()
            .get(id)
            .await
            .expect("it exists")
    }

    /// The states of all recommendations, by subject.
    pub(crate) async fn states(&self, storage: &Storage) -> Vec<(String, State)> {
        let grant = self
            .system()
            .grant(Permission::RecommendationRead)
            .expect("held");
        let all = storage
            .scope(&grant)
            .recommendations()
            .all(&storage::Filter::default())
            .await
            .expect("read");
        let mut states: Vec<_> = all.into_iter().map(|r| (r.subject, r.state)).collect();
        states.sort();
        states
    }
}

pub(crate) fn definition(
    id: MetricId,
    key: &str,
    role: MetricRole,
    channel: Option<ChannelId>,
) -> MetricDefinition {
    MetricDefinition {
        id,
        version: 1,
        key: key.to_owned(),
        name: key.to_owned(),
        section: Section::Marketplace,
        platform: String::new(),
        role,
        unit: if role == MetricRole::Spend {
            MetricUnit::Currency
        } else {
            MetricUnit::Count
        },
        direction: Direction::Direct,
        weight: 1.0,
        granularity: Granularity::Week,
        channel,
        cleaning: Cleaning::default(),
        quality: QualityLimits::default(),
    }
}

/// Decisions without any actor: what people decide works while every agent is down.
pub(crate) fn decisions(storage: &Storage) -> Decisions {
    let analyst = Analyst::new(storage.clone(), Compute::new(&[]).0, 7);
    Decisions {
        storage: storage.clone(),
        plans: Plans::new(storage.clone(), analyst),
    }
}
