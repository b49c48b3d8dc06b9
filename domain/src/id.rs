//! Typed identifiers. In text each carries a prefix (`brd_0198…`), so a brand's id cannot be passed as a project's.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::Error;

/// Name space of ids that are derived from names (see [`derive()`]).
const NAMESPACE: Uuid = Uuid::from_u128(0x0b4a_91f2_6c1d_4f0e_9a57_d161_cade_0001);

/// A stable id made from a path of names, for things whose identity *is* their name within an organisation
/// (brands, metrics, channels of an import). The same names give the same id on every machine.
pub fn derive(path: &[&str]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, path.join("\u{1f}").as_bytes())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The prefix of the text form, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A stable id made from a path of names; see [`derive()`].
            pub fn derive(path: &[&str]) -> Self {
                let mut full = vec![Self::PREFIX];
                full.extend_from_slice(path);
                Self(derive(&full))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.strip_prefix($prefix)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .and_then(|rest| Uuid::parse_str(rest).ok())
                    .map(Self)
                    .ok_or_else(|| {
                        Error::invalid("id.malformed", format!("{text:?} is not an id of the form {}_<32 hex digits>", $prefix))
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A tenant.
    OrgId = "org";
    /// A person with an account.
    UserId = "usr";
    /// A sign-in session.
    SessionId = "ses";
    /// A project: a disjoint slice of brands' values (a market, a retail channel, a business unit).
    ProjectId = "prj";
    /// A brand.
    BrandId = "brd";
    /// A media channel.
    ChannelId = "chn";
    /// A metric definition (all its versions).
    MetricId = "met";
    /// A saved mapping from a file's columns to metrics.
    MappingId = "map";
    /// One import.
    BatchId = "bat";
    /// A forecast.
    ForecastId = "fct";
    /// A set of fitted response curves.
    FitId = "fit";
    /// A score of one brand on one date.
    ScoreId = "scr";
    /// A signed effect of one brand on another.
    CrossEffectId = "cfx";
    /// A budget plan.
    PlanId = "pln";
    /// A standing constraint.
    ConstraintId = "con";
    /// A recommendation.
    RecommendationId = "rec";
    /// A measured outcome.
    OutcomeId = "out";
    /// A durable job.
    JobId = "job";
    /// A run of an agent.
    RunId = "run";
    /// A schedule.
    ScheduleId = "sch";
    /// An event in the outbox.
    EventId = "evt";
    /// A metric target.
    TargetId = "tgt";
    /// A correction of ingested data.
    CorrectionId = "cor";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form_and_refuses_anothers_prefix() {
        let brand = BrandId::derive(&["acme", "Aurora"]);
        assert_eq!(brand.to_string().parse::<BrandId>(), Ok(brand));
        assert!(brand.to_string().parse::<ProjectId>().is_err());
        assert!("brd_".parse::<BrandId>().is_err());
    }

    #[test]
    fn names_that_join_alike_give_different_ids() {
        assert_ne!(BrandId::derive(&["a", "bc"]), BrandId::derive(&["ab", "c"]));
    }
}
