//! Known fronts, hypervolumes and limits.

use super::*;
use crate::cancel::never;

fn zdt1(x: &[f64], f: &mut [f64]) -> f64 {
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    f[0] = x[0];
    f[1] = g * (1.0 - (x[0] / g).sqrt());
    0.0
}

fn dtlz2(x: &[f64], f: &mut [f64]) -> f64 {
    let (a, b) = (
        x[0] * std::f64::consts::FRAC_PI_2,
        x[1] * std::f64::consts::FRAC_PI_2,
    );
    let g: f64 = 1.0 + x[2..].iter().map(|v| (v - 0.5).powi(2)).sum::<f64>();
    f[0] = g * a.cos() * b.cos();
    f[1] = g * a.cos() * b.sin();
    f[2] = g * a.sin();
    0.0
}

fn run(
    objectives: usize,
    n: usize,
    evaluate: &(dyn Fn(&[f64], &mut [f64]) -> f64 + Sync),
    settings: &Settings,
) -> Front {
    search(
        &Search {
            lower: &vec![0.0; n],
            upper: &vec![1.0; n],
            objectives,
            evaluate,
            repair: None,
        },
        settings,
        &never,
    )
    .unwrap()
}

fn volume(front: &Front, objectives: usize) -> f64 {
    let points: Vec<Vec<f64>> = front
        .population
        .iter()
        .map(|member| member.objectives.clone())
        .collect();
    hypervolume(&points, &vec![1.1; objectives])
}

fn zdt2(x: &[f64], f: &mut [f64]) -> f64 {
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    f[0] = x[0];
    f[1] = g * (1.0 - (x[0] / g).powi(2));
    0.0
}

fn zdt3(x: &[f64], f: &mut [f64]) -> f64 {
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    let r = x[0] / g;
    f[0] = x[0];
    f[1] = g * (1.0 - r.sqrt() - r * (10.0 * std::f64::consts::PI * x[0]).sin());
    0.0
}

#[test]
fn hypervolumes_of_boxes_are_exact() {
    let two = [
        vec![0.0, 0.5],
        vec![0.5, 0.0],
        vec![0.5, 0.5],
        vec![2.0, 0.0],
    ];
    assert!((hypervolume(&two, &[1.0, 1.0]) - 0.75).abs() < 1e-15);
    let three = [
        vec![0.0, 0.0, 0.5],
        vec![0.0, 0.5, 0.0],
        vec![0.5, 0.0, 0.0],
        vec![0.5, 0.5, 0.5],
    ];
    assert!((hypervolume(&three, &[1.0, 1.0, 1.0]) - 0.875).abs() < 1e-15);
    assert_eq!(hypervolume(&[], &[1.0, 1.0]), 0.0);
    assert_eq!(hypervolume(&[vec![0.25]], &[1.0]), 0.75);
}

#[test]
fn hypervolumes_agree_with_inclusion_and_exclusion() {
    use rand::Rng;
    let mut random = rng::stream(3, &[]);
    for m in 2..=4 {
        for _ in 0..20 {
            let points: Vec<Vec<f64>> = (0..7)
                .map(|_| {
                    (0..m)
                        .map(|_| (random.random::<f64>() * 8.0).floor() / 8.0)
                        .collect()
                })
                .collect();
            let mut expected = 0.0;
            for set in 1u32..1 << points.len() {
                let corner = (0..m).map(|j| {
                    (0..points.len())
                        .filter(|i| set >> i & 1 == 1)
                        .map(|i| points[i][j])
                        .fold(0.0, f64::max)
                });
                let size: f64 = corner.map(|c| 1.0 - c).product();
                expected += if set.count_ones() % 2 == 1 {
                    size
                } else {
                    -size
                };
            }
            let ours = hypervolume(&points, &vec![1.0; m]);
            assert!(
                (ours - expected).abs() < 1e-12,
                "{ours} {expected} {points:?}"
            );
        }
    }
}

#[test]
fn fronts_are_found_with_distinct_evaluations_only() {
    let counted = std::sync::atomic::AtomicUsize::new(0);
    let evaluate = |x: &[f64], f: &mut [f64]| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        zdt1(x, f)
    };
    let settings = Settings {
        evaluations: 10_000,
        ..Settings::default()
    };
    let front = run(2, 30, &evaluate, &settings);
    assert_eq!((front.evaluations, counted.into_inner()), (10_000, 10_000));
    assert!(volume(&front, 2) > 0.95 * 0.8766667);
    assert_eq!(front.population.len(), 100);
    for &i in &front.front {
        assert!(!front.population.iter().any(|other| {
            let (a, b) = (&other.objectives, &front.population[i].objectives);
            a.iter().zip(b).all(|(a, b)| a <= b) && a != b
        }));
    }
}

#[test]
fn standard_fronts_are_found_as_well_as_by_the_best_known_implementation() {
    type Objectives = fn(&[f64], &mut [f64]) -> f64;
    // Share of the exact hypervolume (reference point 1.1) that pymoors 0.2.6 reaches with 25,000 evaluations.
    let cases: [(Objectives, f64, f64); 3] = [
        (zdt1, 1.21 - 1.0 / 3.0, 0.9927),
        (zdt2, 1.21 - 2.0 / 3.0, 0.9883),
        (zdt3, 1.331763, 0.9969),
    ];
    for (number, (objectives, exact, bar)) in cases.into_iter().enumerate() {
        let mut shares: Vec<f64> = (0..5)
            .map(|seed| {
                let settings = Settings {
                    seed,
                    ..Settings::default()
                };
                let front = run(2, 30, &objectives, &settings);
                assert_eq!(front.evaluations, 25_000);
                volume(&front, 2) / exact
            })
            .collect();
        shares.sort_by(f64::total_cmp);
        assert!(shares[2] >= bar, "ZDT{}: {shares:?}", number + 1);
    }
}

#[test]
fn directions_spread_a_front_of_three_objectives() {
    let settings = Settings {
        evaluations: 8_000,
        ..Settings::directions(12)
    };
    let front = run(3, 12, &dtlz2, &settings);
    assert!(volume(&front, 3) > 0.9 * 0.807401, "{}", volume(&front, 3));
}

#[test]
fn constraints_come_first() {
    // x² against (x − 2)², but x may not be below 0.5 of its range.
    let evaluate = |x: &[f64], f: &mut [f64]| {
        f[0] = x[0] * x[0] + x[1];
        f[1] = (x[0] - 2.0).powi(2) + x[1];
        (0.5 - x[0]).max(0.0)
    };
    for settings in [Settings::default(), Settings::directions(20)] {
        let settings = Settings {
            population: 40,
            evaluations: 4000,
            ..settings
        };
        let front = run(2, 2, &evaluate, &settings);
        assert!(front.population.iter().all(|m| m.violation == 0.0));
        assert!(
            front.population[0].objectives[0] < 0.26,
            "{:?}",
            front.population[0]
        );
    }
}

#[test]
fn seeds_threads_and_stops_behave() {
    let short = Settings {
        evaluations: 1500,
        seed: 9,
        ..Settings::default()
    };
    let one = run(2, 30, &zdt1, &short);
    let two = run(
        2,
        30,
        &zdt1,
        &Settings {
            threads: 2,
            ..short.clone()
        },
    );
    let other = run(
        2,
        30,
        &zdt1,
        &Settings {
            seed: 10,
            ..short.clone()
        },
    );
    assert_eq!(one, two);
    assert_ne!(one, other);
    // A seed on the front survives.
    let mut best = vec![0.0; 30];
    best[0] = 0.25;
    let seeded = run(
        2,
        30,
        &zdt1,
        &Settings {
            seeds: vec![best.clone()],
            ..short.clone()
        },
    );
    assert!(
        seeded
            .population
            .iter()
            .any(|m| m.objectives[1] <= 0.5 && m.objectives[0] <= 0.25)
    );
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 20
    };
    let whole = Search {
        lower: &[0.0; 30],
        upper: &[1.0; 30],
        objectives: 2,
        evaluate: &zdt1,
        repair: None,
    };
    assert_eq!(
        search(&whole, &short, &stop).unwrap_err(),
        ParetoError::Cancelled(Cancelled)
    );
}

#[test]
fn searches_that_make_no_sense_are_refused() {
    let none = Search {
        lower: &[],
        upper: &[],
        objectives: 2,
        evaluate: &zdt1,
        repair: None,
    };
    assert!(matches!(
        search(&none, &Settings::default(), &never),
        Err(ParetoError::Shape(_))
    ));
    let crossed = Search {
        lower: &[0.0, 2.0],
        upper: &[1.0, 1.0],
        ..none
    };
    assert!(matches!(
        search(&crossed, &Settings::default(), &never),
        Err(ParetoError::Bounds { variable: 1, .. })
    ));
    let nan = |_: &[f64], f: &mut [f64]| {
        f.fill(f64::NAN);
        0.0
    };
    let nowhere = Search {
        lower: &[0.0],
        upper: &[1.0],
        objectives: 2,
        evaluate: &nan,
        repair: None,
    };
    assert!(matches!(
        search(&nowhere, &Settings::default(), &never),
        Err(ParetoError::NotANumber { .. })
    ));
}

#[test]
fn a_space_with_few_points_ends_by_itself() {
    let evaluate = |x: &[f64], f: &mut [f64]| {
        f[0] = x[0];
        f[1] = -x[0];
        0.0
    };
    let round = |x: &mut [f64]| x[0] = (x[0] * 6.0).round() / 6.0;
    let settings = Settings {
        population: 10,
        ..Settings::default()
    };
    let few = search(
        &Search {
            lower: &[0.0],
            upper: &[1.0],
            objectives: 2,
            evaluate: &evaluate,
            repair: Some(&round),
        },
        &settings,
        &never,
    )
    .unwrap();
    assert_eq!((few.evaluations, few.population.len()), (7, 7));
    let fixed = search(
        &Search {
            lower: &[0.5, 0.5],
            upper: &[0.5, 0.5],
            objectives: 2,
            evaluate: &zdt1,
            repair: None,
        },
        &settings,
        &never,
    )
    .unwrap();
    assert_eq!(fixed.evaluations, 1);
}

#[test]
fn fronts_of_plans_state_their_gap() {
    let problem: crate::allocation::Problem = serde_json::from_value(serde_json::json!({
        "beta": [[120.0, 80.0], [60.0, 200.0]], "a": [[0.7, 0.9], [1.0, 0.6]], "k": [[30.0, 10.0], [25.0, 90.0]],
        "lower": 5.0, "upper": 60.0, "B": 100.0,
        "rules": [{"rule": "brand_cap", "brand": 0, "max": 70.0}],
    }))
    .unwrap();
    let distance: plans::Objective<'_> = &|x| x.iter().map(|v| (v - 20.0).abs()).sum();
    let settings = Settings {
        population: 40,
        evaluations: 3000,
        ..Settings::default()
    };
    let two = plans::front(&problem, 8, &[], &settings, &never).unwrap();
    assert!(two.exact.len() >= 6);
    for plan in &two.plans {
        let tightest = plan.gap / plan.value;
        assert!((0.0..0.15).contains(&tightest), "{plan:?}");
        assert!(plan.spend[0] + plan.spend[1] <= 70.0 * (1.0 + 1e-9));
    }
    let three = plans::front(&problem, 8, &[distance], &settings, &never).unwrap();
    assert!(
        three
            .plans
            .iter()
            .all(|p| p.others.len() == 1 && p.gap >= 0.0)
    );
}

#[test]
fn bounds_of_s_shaped_plans_hold_at_every_total() {
    let one: crate::allocation::Problem = serde_json::from_value(serde_json::json!({
        "beta": [100.0], "a": 3.0, "k": 50.0, "upper": 100.0, "B": 100.0,
    }))
    .unwrap();
    let hill = |x: f64| 100.0 * x.powi(3) / (x.powi(3) + 125_000.0);
    for plan in plans::exact(&one, 11, &never).unwrap() {
        for i in 0..=100 {
            let total = f64::from(i);
            let bound = plan.bound_at(total);
            assert!(
                bound >= hill(total) * (1.0 - 1e-12),
                "{plan:?}: {bound} at {total}"
            );
        }
    }
    // Without an upper bound of its own the total takes its place, and still the bound holds beyond a smaller total.
    let open: crate::allocation::Problem = serde_json::from_value(serde_json::json!({
        "beta": [100.0], "a": 0.9, "k": 50.0, "B": 100.0,
    }))
    .unwrap();
    let concave = |x: f64| 100.0 / (1.0 + (50.0 / x).powf(0.9));
    for plan in plans::exact(&open, 5, &never).unwrap() {
        assert!(
            plan.bound_at(100.0) >= concave(100.0) * (1.0 - 1e-9),
            "{plan:?}"
        );
    }
}

#[test]
fn gaps_of_s_shaped_fronts_hold_against_enumeration() {
    let (beta, k) = ([100.0, 60.0], [50.0, 20.0]);
    let problem: crate::allocation::Problem = serde_json::from_value(serde_json::json!({
        "beta": beta, "a": 3.0, "k": k, "upper": 100.0, "B": 200.0,
    }))
    .unwrap();
    let settings = Settings {
        population: 40,
        evaluations: 2000,
        ..Settings::default()
    };
    let front = plans::front(&problem, 4, &[], &settings, &never).unwrap();
    let hill = |i: usize, x: f64| beta[i] * x.powi(3) / (x.powi(3) + k[i] * k[i] * k[i]);
    for plan in &front.plans {
        let best = (0..=2000)
            .map(|i| f64::from(i) / 20.0)
            .filter(|x| (0.0..=100.0).contains(&(plan.total - x)))
            .map(|x| hill(0, x) + hill(1, plan.total - x))
            .fold(0.0, f64::max);
        assert!(plan.gap >= 0.0);
        assert!(
            plan.value + plan.gap >= best * (1.0 - 1e-8),
            "{plan:?}: {best}"
        );
    }
}

#[test]
fn fronts_obey_rules_on_least_use() {
    let problem: crate::allocation::Problem = serde_json::from_value(serde_json::json!({
        "beta": [120.0, 80.0, 60.0], "k": 30.0, "upper": 60.0, "B": 100.0,
        "rules": [
            {"rule": "minimum_if_used", "brand": 0, "channel": 0, "min": 20.0},
            {"rule": "minimum_if_used", "brand": 0, "channel": 1, "min": 30.0},
        ],
    }))
    .unwrap();
    let settings = Settings {
        population: 40,
        evaluations: 2000,
        ..Settings::default()
    };
    let front = plans::front(&problem, 5, &[], &settings, &never).unwrap();
    assert!(front.plans.len() > 5);
    for plan in &front.plans {
        for (x, least) in plan.spend.iter().zip([20.0, 30.0]) {
            assert!(*x == 0.0 || *x >= least * (1.0 - 1e-9), "{plan:?}");
        }
    }
}

#[test]
fn ranking_a_large_population_can_be_stopped() {
    let count = 2000;
    let mut population = Population::new(1, 3);
    for i in 0..count {
        let v = f64::from(i);
        population.x.push(v);
        population.f.extend([v, -v, v.sin()]);
        population.violation.push(0.0);
    }
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    assert_eq!(survival::ranks(&population, &stop), Err(Cancelled));
}
