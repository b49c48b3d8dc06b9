//! The analyses as the agents use them: typed questions in, results out, run in the compute pool, computed once per snapshot.
//!
//! The four agents of an organisation look at the same data. Whoever asks first has the table read and the fits made; the others
//! wait for the same result, found by the data's digest and by what the values mean: roles, definitions, names. Only the newest
//! snapshot of an organisation is kept.

pub(crate) mod cleaning;
pub(crate) mod correlations;
pub(crate) mod drivers;
pub(crate) mod forecasts;
pub(crate) mod gaps;
pub(crate) mod levels;
pub(crate) mod mix;
pub(crate) mod model;
pub(crate) mod panel;
pub(crate) mod quality;
pub(crate) mod runs;
pub(crate) mod scan;
pub(crate) mod scores;
pub(crate) mod standing;

use std::{
    collections::BTreeMap,
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex},
};

use analytics::finder::{Findings, ScanError, ScanParams};
use domain::{
    access::Principal,
    id::{BrandId, FitId, MetricId, OrgId},
    metric::MetricDefinition,
    provenance::{DataSlice, Provenance, SOFTWARE},
    response::ResponseCurve,
    series::MetricTable,
};
use futures::future::try_join_all;
use runtime::compute::{Compute, TaskHandle};
use storage::{Scope, Storage};
use tokio::sync::OnceCell;

use crate::{
    Error,
    observe::{Snapshot, observe},
    view::View,
};
use cleaning::Cleaned;
use correlations::Correlations;
use drivers::Drivers;
use forecasts::Forecasts;
use mix::{Mix, MixMethod};
use model::Model;
use panel::Weekly;
use quality::Quality;
use scores::explanation::{Question, ScoreExplanation};
use standing::Standing;

/// Role of the compute pool that fits and scans.
pub(crate) const ANALYSIS: &str = "analysis";
/// Role of the compute pool that optimises.
pub(crate) const OPTIMISATION: &str = "optimisation";

/// Tasks that the check of the data is split into: enough for every processor, few enough for the pool's queue.
const CHECKS: usize = 8;

/// What one snapshot was analysed into.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) weekly: Weekly,
    pub(crate) findings: Findings,
    pub(crate) params: ScanParams,
    pub(crate) seed: u64,
}

/// A result that whoever comes first computes and the others wait for.
type Once<T> = Arc<OnceCell<Arc<T>>>;
/// Answers by question.
type Answers<K, T> = Mutex<BTreeMap<K, Once<T>>>;

/// Everything that is computed from one digest of an organisation's values and one meaning of them.
#[derive(Debug, Default)]
struct Desk {
    digest: String,
    meaning: u64,
    /// The values as they are stored.
    stored: OnceCell<Arc<MetricTable>>,
    cleaned: OnceCell<Cleaned>,
    quality: OnceCell<Arc<Quality>>,
    /// The cleaned table without the values that must not be acted on.
    trusted: OnceCell<Arc<MetricTable>>,
    scan: OnceCell<Option<Arc<Scanned>>>,
    /// By weeks ahead.
    forecasts: Answers<u32, Forecasts>,
    correlations: Answers<MetricId, Correlations>,
    drivers: Answers<BrandId, Drivers>,
    explanations: Answers<Question, ScoreExplanation>,
    mixes: Answers<(BrandId, MixMethod), Mix>,
    /// By brand and the fit whose curves were used.
    standings: Answers<(BrandId, Option<FitId>), Standing>,
}

/// The newest stored fit, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    pub(crate) id: FitId,
    pub(crate) curves: Arc<Vec<ResponseCurve>>,
    pub(crate) model: Arc<Model>,
    pub(crate) provenance: Provenance,
}

/// The way to the analyses. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Analyst {
    storage: Storage,
    compute: Compute,
    seed: u64,
    desks: Arc<Mutex<BTreeMap<OrgId, Arc<Desk>>>>,
    fits: Arc<Mutex<BTreeMap<OrgId, Fit>>>,
}

impl Analyst {
    pub(crate) fn new(storage: Storage, compute: Compute, seed: u64) -> Self {
        Self {
            storage,
            compute,
            seed,
            desks: Arc::default(),
            fits: Arc::default(),
        }
    }

    /// Seed of everything random.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    fn desk(&self, view: &View) -> Arc<Desk> {
        let meaning = meaning(view);
        let mut desks = self
            .desks
            .lock()
            .expect("no thread panics while it holds the desks");
        match desks.get(&view.organisation.id) {
            Some(desk) if desk.digest == view.digest && desk.meaning == meaning => Arc::clone(desk),
            _ => {
                let desk = Arc::new(Desk {
                    digest: view.digest.clone(),
                    meaning,
                    ..Desk::default()
                });
                desks.insert(view.organisation.id, Arc::clone(&desk));
                desk
            }
        }
    }

    /// What is true now. The values are read once per digest, and cleaned once per meaning of them.
    pub(crate) async fn snapshot(&self, principal: &Principal) -> Result<Arc<Snapshot>, Error> {
        let org = principal.org();
        let known = |digest: &str| {
            let desks = self
                .desks
                .lock()
                .expect("no thread panics while it holds the desks");
            desks
                .get(&org)
                .filter(|desk| desk.digest == digest)
                .and_then(|desk| desk.stored.get().cloned())
        };
        let stored = observe(&self.storage, principal, known).await?;
        let desk = self.desk(&stored.view);
        // Whoever was first keeps its table; the others are equal by digest.
        let _ = desk.stored.set(Arc::clone(&stored.table));
        if !cleaning::is_wanted(&stored.view.metrics) {
            return Ok(Arc::new(stored));
        }
        let clean = || async {
            let (table, metrics) = (Arc::clone(&stored.table), stored.view.metrics.clone());
            let work =
                move |task: TaskHandle| cleaning::apply(&table, &metrics, &|| task.is_cancelled());
            let cleaned = self.run(ANALYSIS, "cleaning of the data", work).await?;
            cleaned.map_err(|cancelled| Error::Analysis(cancelled.to_string()))
        };
        let cleaned = desk.cleaned.get_or_try_init(clean).await?.clone();
        Ok(Arc::new(stored.with(cleaned)))
    }

    /// The quality of every series of a snapshot.
    pub(crate) async fn quality(&self, snapshot: &Arc<Snapshot>) -> Result<Arc<Quality>, Error> {
        let desk = self.desk(&snapshot.view);
        let checked = desk
            .quality
            .get_or_try_init(|| self.check_anew(snapshot))
            .await?;
        Ok(Arc::clone(checked))
    }

    async fn check_anew(&self, snapshot: &Arc<Snapshot>) -> Result<Arc<Quality>, Error> {
        let whole = Arc::clone(snapshot);
        let work = self
            .run(ANALYSIS, "series to check", move |_| quality::work(&whole))
            .await?;
        let work = Arc::new(work);
        let share = work.series.len().div_ceil(CHECKS).max(1);
        let parts = (0..work.series.len()).step_by(share).map(|from| {
            let (snapshot, work) = (Arc::clone(snapshot), Arc::clone(&work));
            let check = move |task: TaskHandle| {
                let to = (from + share).min(work.series.len());
                let cancel = || task.is_cancelled();
                quality::check_all(&snapshot, &work.series[from..to], &work, &cancel)
            };
            async move {
                let checked = self.run(ANALYSIS, "quality of the data", check).await?;
                checked.map_err(|cancelled| Error::Analysis(cancelled.to_string()))
            }
        });
        let checked = try_join_all(parts).await?;
        Ok(Arc::new(Quality::new(
            checked.into_iter().flatten().collect(),
        )))
    }

    /// The snapshot without the values that must not be acted on. The rows are looked through once per desk.
    async fn trusted(&self, snapshot: &Arc<Snapshot>) -> Result<Arc<Snapshot>, Error> {
        let desk = self.desk(&snapshot.view);
        let quality = self.quality(snapshot).await?;
        let pick = || async {
            let table = Arc::clone(&snapshot.table);
            self.run(ANALYSIS, "values that can be trusted", move |_| {
                quality.trusted(&table)
            })
            .await
        };
        let table = desk.trusted.get_or_try_init(pick).await?;
        Ok(Arc::new(Snapshot {
            table: Arc::clone(table),
            ..Snapshot::clone(snapshot)
        }))
    }

    /// Fits and scans a snapshot. `None` when the data are too little for it.
    pub(crate) async fn scan(
        &self,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Option<Arc<Scanned>>, Error> {
        let desk = self.desk(&snapshot.view);
        let scanned = desk
            .scan
            .get_or_try_init(|| self.scan_anew(Arc::clone(snapshot)))
            .await?;
        Ok(scanned.clone())
    }

    async fn scan_anew(&self, snapshot: Arc<Snapshot>) -> Result<Option<Arc<Scanned>>, Error> {
        let quality = self.quality(&snapshot).await?;
        let seed = self.seed;
        let work = move |task: TaskHandle| {
            let weekly = panel::weekly(&snapshot, &quality);
            let params = ScanParams::default();
            let cancel = || task.is_cancelled();
            let mut progress = |share: f64| task.progress(share, "fitting and scanning");
            match analytics::finder::scan(&weekly.panel, &params, seed, &cancel, &mut progress) {
                Ok(findings) => Ok(Some(Arc::new(Scanned {
                    weekly,
                    findings,
                    params,
                    seed,
                }))),
                Err(ScanError::TooLittleData) => Ok(None),
                Err(ScanError::Cancelled(cancelled)) => Err(Error::Analysis(cancelled.to_string())),
            }
        };
        self.compute
            .run(ANALYSIS, "scan of the portfolio", work)
            .await?
    }

    /// Forecasts of every own brand's outcome and of what they add up to, `horizon` periods ahead.
    pub(crate) async fn forecasts(
        &self,
        snapshot: &Arc<Snapshot>,
        horizon: u32,
    ) -> Result<Arc<Forecasts>, Error> {
        let desk = self.desk(&snapshot.view);
        let quality = self.quality(snapshot).await?;
        once(&desk.forecasts, horizon, || {
            forecasts::forecast_all(&self.compute, Arc::clone(snapshot), quality, horizon)
        })
        .await
    }

    /// How a metric of the brands moves together.
    pub(crate) async fn correlations(
        &self,
        snapshot: &Arc<Snapshot>,
        metric: &MetricDefinition,
    ) -> Result<Arc<Correlations>, Error> {
        let desk = self.desk(&snapshot.view);
        once(&desk.correlations, metric.id, || async {
            let snapshot = self.trusted(snapshot).await?;
            let (metric, seed) = (metric.clone(), self.seed);
            let work = move |task: TaskHandle| {
                let cancel = || task.is_cancelled();
                correlations::correlations(&snapshot, &metric, seed, &cancel)
            };
            let made = self
                .compute
                .run(ANALYSIS, "correlations of brands", work)
                .await?;
            made.map(Arc::new)
                .map_err(|error| Error::Analysis(error.to_string()))
        })
        .await
    }

    /// What moved a brand's outcome lately.
    pub(crate) async fn drivers(
        &self,
        snapshot: &Arc<Snapshot>,
        outcome: &MetricDefinition,
        brand: BrandId,
    ) -> Result<Arc<Drivers>, Error> {
        let desk = self.desk(&snapshot.view);
        once(&desk.drivers, brand, || async {
            let snapshot = self.trusted(snapshot).await?;
            let (outcome, seed) = (outcome.clone(), self.seed);
            let work = move |task: TaskHandle| {
                let cancel = || task.is_cancelled();
                drivers::drivers(&snapshot, &outcome, brand, seed, &cancel)
            };
            let made = self
                .compute
                .run(ANALYSIS, "drivers of a brand", work)
                .await?;
            made.map(Arc::new)
        })
        .await
    }

    /// A brand's marketing-mix model.
    pub(crate) async fn mix(
        &self,
        snapshot: &Arc<Snapshot>,
        outcome: &MetricDefinition,
        brand: BrandId,
        method: MixMethod,
    ) -> Result<Arc<Mix>, Error> {
        let desk = self.desk(&snapshot.view);
        once(&desk.mixes, (brand, method), || async {
            let snapshot = self.trusted(snapshot).await?;
            let (outcome, seed) = (outcome.clone(), self.seed);
            let work = move |task: TaskHandle| {
                let cancel = || task.is_cancelled();
                mix::mix(&snapshot, &outcome, brand, method, seed, &cancel)
            };
            let made = self
                .compute
                .run(ANALYSIS, "marketing mix of a brand", work)
                .await?;
            made.map(Arc::new)
        })
        .await
    }

    /// Where a brand stands among its rivals, with the curves of a fit where there is one.
    pub(crate) async fn standing(
        &self,
        snapshot: &Arc<Snapshot>,
        fit: Option<Fit>,
        brand: BrandId,
    ) -> Result<Arc<Standing>, Error> {
        let desk = self.desk(&snapshot.view);
        let question = (brand, fit.as_ref().map(|fit| fit.id));
        let quality = self.quality(snapshot).await?;
        once(&desk.standings, question, || async {
            let snapshot = Arc::clone(snapshot);
            let work = move |task: TaskHandle| {
                let curves = fit.map_or_else(Arc::default, |fit| fit.curves);
                let cancel = || task.is_cancelled();
                standing::standing(&snapshot, &quality, &curves, brand, &cancel)
            };
            let made = self
                .compute
                .run(ANALYSIS, "standing of a brand", work)
                .await?;
            made.map(Arc::new)
        })
        .await
    }

    /// Why a score is what it is.
    pub(crate) async fn explanation(
        &self,
        snapshot: &Arc<Snapshot>,
        question: Question,
    ) -> Result<Arc<ScoreExplanation>, Error> {
        let desk = self.desk(&snapshot.view);
        let quality = self.quality(snapshot).await?;
        once(&desk.explanations, question, || async {
            let (snapshot, seed) = (Arc::clone(snapshot), self.seed);
            let work = move |task: TaskHandle| {
                let cancel = || task.is_cancelled();
                scores::explanation::explain(&snapshot, &quality, &question, seed, &cancel)
            };
            let made = self
                .compute
                .run(ANALYSIS, "explanation of a score", work)
                .await?;
            made.map(Arc::new)
        })
        .await
    }

    /// The newest stored fit; decoded once and kept while it is the newest. `None` before the first fit.
    pub(crate) async fn fit(&self, scope: &Scope) -> Result<Option<Fit>, Error> {
        let Some(id) = scope.fits().latest_id().await? else {
            return Ok(None);
        };
        let known = self
            .fits
            .lock()
            .expect("no thread panics while it holds the fits")
            .get(&scope.org())
            .cloned();
        if let Some(fit) = known.filter(|fit| fit.id == id) {
            return Ok(Some(fit));
        }
        let stored = scope.fits().get(id).await?;
        let model = serde_json::from_value(stored.model)
            .map_err(|error| Error::Analysis(format!("the stored fit cannot be read: {error}")))?;
        let fit = Fit {
            id,
            curves: Arc::new(stored.curves),
            model: Arc::new(model),
            provenance: stored.provenance,
        };
        self.fits
            .lock()
            .expect("no thread panics while it holds the fits")
            .insert(scope.org(), fit.clone());
        Ok(Some(fit))
    }

    /// Runs `work` in the pool of `role`.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        role: &'static str,
        label: &'static str,
        work: impl FnOnce(TaskHandle) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> {
        let compute = self.compute.clone();
        async move { Ok(compute.run(role, label, work).await?) }
    }
}

/// What the values mean, in a number. Brands, metrics, projects and channels change without any value changing, and every result
/// with them: which brands are forecast, by which criteria a series is checked, how slices are put together.
fn meaning(view: &View) -> u64 {
    let mut meaning = DefaultHasher::new();
    let View {
        brands,
        metrics,
        projects,
        channels,
        ..
    } = view;
    format!("{brands:?}{metrics:?}{projects:?}{channels:?}").hash(&mut meaning);
    meaning.finish()
}

/// The answer to a question at one desk: whoever asks first has it computed.
async fn once<K: Ord, T, F>(
    cells: &Answers<K, T>,
    question: K,
    compute: impl FnOnce() -> F,
) -> Result<Arc<T>, Error>
where
    F: Future<Output = Result<Arc<T>, Error>>,
{
    let cell = {
        let mut cells = cells
            .lock()
            .expect("no thread panics while it holds the desk");
        Arc::clone(cells.entry(question).or_default())
    };
    cell.get_or_try_init(compute).await.cloned()
}

/// Where the results of a snapshot come from.
pub(crate) fn provenance(
    snapshot: &Snapshot,
    method: &str,
    parameters: serde_json::Value,
    seed: u64,
) -> Provenance {
    let view = &snapshot.view;
    Provenance {
        slice: DataSlice {
            brands: view.brands.iter().map(|b| b.name.clone()).collect(),
            metrics: view.metrics.iter().map(|m| m.key.clone()).collect(),
            from: snapshot.table.period.iter().min().copied(),
            to: view.data_until,
            rows: snapshot.table.len() as u64,
            digest: view.digest.clone(),
        },
        method: method.to_owned(),
        parameters,
        seed,
        software: SOFTWARE.to_owned(),
    }
}
