//! The agents' thresholds: named numbers with a range, kept as a setting of the organisation and validated on every change.

use std::collections::BTreeMap;

use domain::{Error, access::AgentKind};
use serde_json::{Map, Value};
use storage::Scope;

/// One threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Name, as in the API.
    pub name: &'static str,
    /// Value when nobody set another.
    pub default: f64,
    /// Least allowed value.
    pub least: f64,
    /// Largest allowed value.
    pub most: f64,
    /// Whether only whole numbers are allowed.
    pub whole: bool,
}

const fn real(name: &'static str, default: f64, least: f64, most: f64) -> Parameter {
    Parameter {
        name,
        default,
        least,
        most,
        whole: false,
    }
}

const fn whole(name: &'static str, default: f64, least: f64, most: f64) -> Parameter {
    Parameter {
        name,
        default,
        least,
        most,
        whole: true,
    }
}

const OPTIMISATION: &[Parameter] = &[
    // Weeks a plan covers.
    whole("horizon_weeks", 12.0, 4.0, 26.0),
    // Largest change of a line, as a share of what is spent now.
    real("max_change", 0.5, 0.05, 0.9),
    // Least P(effect > 0) of a plan. The best of very many plans always looks good, so better than even is not enough.
    real("min_confidence", 0.9, 0.5, 0.99),
    // Least expected gain of a plan, as a share of what is spent over its weeks: below it the work of moving is not repaid.
    real("min_gain", 0.01, 0.0, 0.5),
    // Largest q-value of a line's marginal return against break-even for a rule of its own.
    real("false_discovery", 0.05, 0.01, 0.2),
];

const METRICS: &[Parameter] = &[
    // Largest q-value of a cross-brand effect that is acted on.
    real("false_discovery", 0.05, 0.01, 0.2),
    // Change of the driver's media that a pair's rule makes, as a share.
    real("media_step", 0.1, 0.02, 0.5),
    // Weeks over which an effect is stated.
    whole("horizon_weeks", 12.0, 4.0, 26.0),
    // Data fixes put before people in one cycle at most.
    whole("max_data_fixes", 4.0, 0.0, 50.0),
    // How old data may be, in weeks, before nothing is proposed from it.
    whole("max_data_age_weeks", 8.0, 1.0, 52.0),
];

const FORECASTING: &[Parameter] = &[
    // Least gain in backtest error over the forecast of record, as a share.
    real("min_improvement", 0.02, 0.0, 0.5),
    // Weeks ahead.
    whole("horizon_weeks", 13.0, 4.0, 26.0),
    // Revisions put before people in one cycle at most.
    whole("max_revisions", 6.0, 1.0, 50.0),
];

const STRATEGY: &[Parameter] = &[
    // Least gap to the reference, as a share of it.
    real("min_gap", 0.05, 0.0, 1.0),
    // Weeks until a target is due.
    whole("target_weeks", 12.0, 4.0, 52.0),
    // Targets put before people in one cycle at most.
    whole("max_targets", 4.0, 0.0, 50.0),
    // Share of a saturated line's spend that an initiative moves.
    real("reallocation_step", 0.3, 0.05, 0.5),
    // Largest q-value of a finding that is acted on.
    real("false_discovery", 0.05, 0.01, 0.2),
];

/// The thresholds of an agent.
pub fn catalogue(agent: AgentKind) -> &'static [Parameter] {
    match agent {
        AgentKind::Optimisation => OPTIMISATION,
        AgentKind::Metrics => METRICS,
        AgentKind::Forecasting => FORECASTING,
        AgentKind::Strategy => STRATEGY,
    }
}

/// Key of the setting that holds an agent's thresholds.
pub fn setting_key(agent: AgentKind) -> String {
    format!("agents.{}.parameters", agent.name())
}

/// An agent's thresholds with their values.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters(BTreeMap<&'static str, f64>);

impl Parameters {
    /// The defaults.
    pub fn defaults(agent: AgentKind) -> Self {
        Self(
            catalogue(agent)
                .iter()
                .map(|p| (p.name, p.default))
                .collect(),
        )
    }

    /// The defaults changed by what is stored; a stored value that is no longer legal falls back to the default.
    pub fn stored(agent: AgentKind, stored: Option<&Value>) -> Self {
        let mut parameters = Self::defaults(agent);
        if let Some(Value::Object(fields)) = stored {
            for (name, value) in fields {
                if let Ok((name, value)) = checked(agent, name, value) {
                    parameters.0.insert(name, value);
                }
            }
        }
        parameters
    }

    /// These changed by `patch`.
    ///
    /// # Errors
    /// `agent.parameter_invalid` for a name the agent does not have, or a value outside its range.
    pub fn patched(&self, agent: AgentKind, patch: &Value) -> Result<Self, Error> {
        let Value::Object(fields) = patch else {
            return Err(Error::invalid(
                "agent.parameter_invalid",
                "parameters are an object of numbers",
            ));
        };
        let mut parameters = self.clone();
        for (name, value) in fields {
            let (name, value) = checked(agent, name, value)?;
            parameters.0.insert(name, value);
        }
        Ok(parameters)
    }

    /// The value of a threshold.
    ///
    /// # Panics
    /// When the agent has no threshold of that name, which is a defect of the caller.
    pub fn get(&self, name: &str) -> f64 {
        *self
            .0
            .get(name)
            .expect("rules ask for thresholds of their own agent's catalogue")
    }

    /// The value of a whole threshold.
    pub fn count(&self, name: &str) -> u32 {
        self.get(name) as u32
    }

    /// As JSON, for the API and the setting.
    pub fn to_json(&self) -> Value {
        Value::Object(
            self.0
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
                .collect::<Map<_, _>>(),
        )
    }
}

fn checked(agent: AgentKind, name: &str, value: &Value) -> Result<(&'static str, f64), Error> {
    let Some(parameter) = catalogue(agent).iter().find(|p| p.name == name) else {
        let names: Vec<&str> = catalogue(agent).iter().map(|p| p.name).collect();
        return Err(Error::invalid(
            "agent.parameter_invalid",
            format!("the {} agent has no parameter {name:?}", agent.name()),
        )
        .advise(format!("it has {}", names.join(", "))));
    };
    let refuse = || {
        let sort = if parameter.whole {
            "a whole number"
        } else {
            "a number"
        };
        Error::invalid(
            "agent.parameter_invalid",
            format!(
                "{name} must be {sort} from {} to {}",
                parameter.least, parameter.most
            ),
        )
    };
    let number = value.as_f64().ok_or_else(refuse)?;
    let legal = (parameter.least..=parameter.most).contains(&number)
        && (!parameter.whole || number.fract() == 0.0);
    if legal {
        Ok((parameter.name, number))
    } else {
        Err(refuse())
    }
}

/// An agent's thresholds as they are set.
pub(crate) async fn of(scope: &Scope, kind: AgentKind) -> Result<Parameters, storage::Error> {
    let stored = scope.settings().get::<Value>(&setting_key(kind)).await?;
    Ok(Parameters::stored(
        kind,
        stored.as_ref().map(|setting| &setting.value),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let before = Parameters::defaults(AgentKind::Optimisation);
        let after = before
            .patched(AgentKind::Optimisation, &json!({"horizon_weeks": 8}))
            .expect("legal");
        assert_eq!(after.get("horizon_weeks"), 8.0);
        assert_eq!(after.get("max_change"), before.get("max_change"));
    }

    #[test]
    fn unknown_names_values_out_of_range_and_fractions_of_whole_numbers_are_refused() {
        let defaults = Parameters::defaults(AgentKind::Optimisation);
        for patch in [
            json!({"speed": 1}),
            json!({"max_change": 3}),
            json!({"horizon_weeks": 8.5}),
            json!({"max_change": "x"}),
            json!(3),
        ] {
            let error = defaults
                .patched(AgentKind::Optimisation, &patch)
                .expect_err("refused");
            assert_eq!(error.code, "agent.parameter_invalid", "{patch}");
        }
    }

    #[test]
    fn every_default_is_legal() {
        for agent in AgentKind::ALL {
            let defaults = Parameters::defaults(agent);
            assert_eq!(
                defaults.patched(agent, &defaults.to_json()),
                Ok(defaults.clone())
            );
        }
    }

    #[test]
    fn a_stored_value_that_is_no_longer_legal_falls_back() {
        let stored = json!({"horizon_weeks": 900, "gone": 1, "max_change": 0.3});
        let parameters = Parameters::stored(AgentKind::Optimisation, Some(&stored));
        assert_eq!(
            (
                parameters.get("horizon_weeks"),
                parameters.get("max_change")
            ),
            (12.0, 0.3)
        );
    }
}
