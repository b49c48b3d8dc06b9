//! Projects of a brand beside each other: what is true stays, and nothing is invented where a project was not there.

use chrono::Days;

use super::*;

const NONE: f64 = f64::NAN;

fn panel(role: MetricRole, parts: &[Vec<f64>]) -> Panel {
    let start = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap();
    let weeks = (0..parts[0].len()).map(|t| start + Days::new(7 * t as u64));
    let brand = BrandInfo {
        key: "a".into(),
        own: true,
        margin: 1.0,
    };
    let metric = MetricInfo {
        key: "m".into(),
        role,
        channel: None,
        higher_is_better: true,
        additive: role.adds_up(domain::metric::MetricUnit::Count),
    };
    let slices = parts.iter().enumerate().map(|(p, values)| Slice {
        project: format!("p{p}"),
        brand: 0,
        metric: 0,
        values: values.clone(),
    });
    Panel::from_slices(weeks.collect(), vec![brand], vec![metric], slices.collect())
}

/// What every week adds up to, with -1 for a week that is not known.
fn total(panel: &Panel) -> Vec<f64> {
    let series = panel.series(0, 0).unwrap();
    series
        .iter()
        .map(|v| if v.is_nan() { -1.0 } else { *v })
        .collect()
}

/// Three projects of about 100, in whose sixth week only the third has anything.
fn one_goes_on_alone() -> Vec<Vec<f64>> {
    let usual = [100.0, 102.0, 99.0, 101.0, 98.0, 0.0, 100.0, 103.0];
    let mut third = usual.to_vec();
    third[5] = 80.0;
    vec![usual.to_vec(), usual.to_vec(), third]
}

#[test]
fn a_project_that_sells_while_the_others_pause_keeps_its_sales() {
    let panel = panel(MetricRole::Outcome, &one_goes_on_alone());
    assert_eq!(total(&panel)[5], 80.0);
    assert_eq!(panel.quality().outliers, 0);
}

#[test]
fn what_people_set_is_not_compared_across_projects() {
    let mut parts = one_goes_on_alone();
    // A burst in one project, and a week of another that nobody delivered.
    parts[0][2] = 900.0;
    parts[1][3] = NONE;
    for role in [
        MetricRole::Spend,
        MetricRole::Exposure,
        MetricRole::Promotion,
    ] {
        let panel = panel(role, &parts);
        let total = total(&panel);
        assert_eq!(
            (total[2], total[3], total[5]),
            (900.0 + 2.0 * 99.0, -1.0, 80.0)
        );
        let quality = panel.quality();
        assert_eq!(
            (quality.absent, quality.outliers, quality.filled),
            (1, 0, 0)
        );
    }
    let sold = panel(MetricRole::Outcome, &parts);
    assert_eq!((sold.quality().outliers, sold.quality().filled), (1, 2));
}

#[test]
fn nothing_is_invented_before_a_launch_and_after_a_delisting() {
    let usual = vec![10.0; 12];
    let mut launched = vec![20.0; 12];
    launched[..4].fill(NONE);
    let mut delisted = vec![5.0; 12];
    delisted[7..].fill(NONE);
    delisted[3] = NONE;
    let panel = panel(MetricRole::Outcome, &[usual, launched, delisted]);
    let mut expected = vec![15.0; 4];
    expected.extend([35.0; 3]);
    expected.extend([30.0; 5]);
    assert_eq!(total(&panel), expected);
    // Only the gap inside the third project's time was absent, and was filled.
    let quality = panel.quality();
    assert_eq!((quality.absent, quality.filled), (1, 1));
}

#[test]
fn a_gap_at_the_edge_of_the_calendar_is_not_taken_for_a_launch_or_a_delisting() {
    let usual = vec![10.0; 12];
    let mut late = vec![20.0; 12];
    late[0] = NONE;
    late[11] = NONE;
    let sold = panel(MetricRole::Outcome, &[usual.clone(), late.clone()]);
    assert_eq!(total(&sold), vec![30.0; 12]);
    let spent = panel(MetricRole::Spend, &[usual, late]);
    assert_eq!(total(&spent)[..2], [-1.0, 30.0]);
    assert_eq!(total(&spent)[10..], [30.0, -1.0]);
}

#[test]
fn an_average_is_that_of_the_projects_that_are_there() {
    let mut launched = vec![3.0; 12];
    launched[..5].fill(NONE);
    let panel = panel(
        MetricRole::Price,
        &[vec![1.0; 12], launched, vec![NONE; 12]],
    );
    let mut expected = vec![1.0; 5];
    expected.extend([2.0; 7]);
    assert_eq!(total(&panel), expected);
}
