//! What is planted in a simulated market, and what a change of one budget line would really do.
//!
//! ```text
//! cargo run --example a_market_with_known_truth
//! ```

use analytics::market::{PlanRules, World};

fn main() {
    let world = World::planted(1_001);
    let truth = world.truth();
    println!("{} weeks; planted:", world.weeks());
    for (name, cross) in [
        ("cannibalising pair", &truth.cannibal),
        ("halo pair", &truth.halo),
    ] {
        if let Some(cross) = cross {
            println!(
                "  {name}: {} → {}: {:.0} margin for +10 % media (|t| {:.1})",
                cross.driver,
                cross.affected,
                cross.effect,
                cross.oracle_t.abs()
            );
        }
    }
    for (name, line) in [("saturated", &truth.saturated), ("starved", &truth.starved)] {
        if let Some(line) = line {
            println!(
                "  {name}: {} in {}: marginal return {:.2}",
                line.brand, line.channel, line.marginal_return
            );
        }
    }

    let baseline = world.baseline();
    let rules = PlanRules {
        weeks: 12,
        lower: baseline.iter().map(|x| 0.7 * x).collect(),
        upper: baseline.iter().map(|x| 1.3 * x).collect(),
        baseline: baseline.clone(),
    };
    let perfect = world.perfect_plan(&rules);
    println!(
        "the perfect 12-week plan within ±30 % at the same total gains {:.0}; no plan gains more than {:.0}",
        perfect.gain, perfect.bound
    );
}
