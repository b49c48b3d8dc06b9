//! What the simulated market is made of: projects, brands, channels and metric definitions.
//!
//! These tables are constants so that the documentation, the demo's import mapping and the tests read the same list.

use domain::metric::{MetricRole as Role, Section};

/// One metric definition of the simulated market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Stable key, also the column name of the import.
    pub key: &'static str,
    /// Name shown to people.
    pub name: &'static str,
    /// Section of the metric tree.
    pub section: Section,
    /// Platform the number comes from.
    pub platform: &'static str,
    /// What the metric is to the models.
    pub role: Role,
    /// Unit of the values.
    pub unit: &'static str,
    /// Whether a larger value is better (for outcomes, exposures and health).
    pub higher_is_better: bool,
    /// Weight in the brand score, out of 100 over all metrics.
    pub weight: f64,
    /// Channel of a spend metric.
    pub channel: Option<&'static str>,
    /// Whether a portfolio value is the sum over projects (otherwise their mean).
    pub additive: bool,
    /// Whether the metric is observed for competitors too.
    pub rivals: bool,
}

/// One brand of the simulated market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brand {
    /// Stable key.
    pub key: &'static str,
    /// Name shown to people.
    pub name: &'static str,
    /// Own brand or competitor.
    pub own: bool,
}

/// Number of own brands.
pub const OWN: usize = 8;
/// Number of competitors.
pub const RIVALS: usize = 4;
/// Number of media channels.
pub const CHANNEL_COUNT: usize = 6;
/// Number of budget lines (own brand × channel).
pub const LINES: usize = OWN * CHANNEL_COUNT;

/// The media channels: key and name.
pub const CHANNELS: [(&str, &str); CHANNEL_COUNT] = [
    ("search", "Paid search"),
    ("social", "Paid social"),
    ("video", "Online video"),
    ("display", "Display"),
    ("marketplace_ads", "Marketplace ads"),
    ("connected_tv", "Connected TV"),
];

/// The projects: key and name. They hold disjoint slices of every brand, so the portfolio is their sum.
pub const PROJECTS: [(&str, &str); 3] = [
    ("north", "Region North"),
    ("south", "Region South"),
    ("online", "Online retail"),
];

/// Own brands first, then competitors.
pub const BRANDS: [Brand; OWN + RIVALS] = [
    Brand {
        key: "alder",
        name: "Alder",
        own: true,
    },
    Brand {
        key: "birch",
        name: "Birch",
        own: true,
    },
    Brand {
        key: "cedar",
        name: "Cedar",
        own: true,
    },
    Brand {
        key: "elm",
        name: "Elm",
        own: true,
    },
    Brand {
        key: "fern",
        name: "Fern",
        own: true,
    },
    Brand {
        key: "hazel",
        name: "Hazel",
        own: true,
    },
    Brand {
        key: "juniper",
        name: "Juniper",
        own: true,
    },
    Brand {
        key: "linden",
        name: "Linden",
        own: true,
    },
    Brand {
        key: "basalt",
        name: "Basalt",
        own: false,
    },
    Brand {
        key: "flint",
        name: "Flint",
        own: false,
    },
    Brand {
        key: "granite",
        name: "Granite",
        own: false,
    },
    Brand {
        key: "slate",
        name: "Slate",
        own: false,
    },
];

const fn spend(
    key: &'static str,
    name: &'static str,
    platform: &'static str,
    channel: &'static str,
) -> Metric {
    Metric {
        key,
        name,
        section: Section::DigitalSpends,
        platform,
        role: Role::Spend,
        unit: "EUR",
        higher_is_better: true,
        weight: 1.0,
        channel: Some(channel),
        additive: true,
        rivals: false,
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "a table row, spelt once per metric below"
)]
const fn metric(
    key: &'static str,
    name: &'static str,
    section: Section,
    platform: &'static str,
    role: Role,
    unit: &'static str,
    higher_is_better: bool,
    weight: f64,
    additive: bool,
    rivals: bool,
) -> Metric {
    Metric {
        key,
        name,
        section,
        platform,
        role,
        unit,
        higher_is_better,
        weight,
        channel: None,
        additive,
        rivals,
    }
}

/// The metric definitions, 25 in four sections. Weights sum to 100.
pub const METRICS: [Metric; 25] = [
    metric(
        "units_sold",
        "Units sold",
        Section::Marketplace,
        "Retail panel",
        Role::Outcome,
        "units",
        true,
        16.0,
        true,
        true,
    ),
    metric(
        "average_price",
        "Average price paid",
        Section::Marketplace,
        "Retail panel",
        Role::Price,
        "EUR",
        false,
        4.0,
        false,
        true,
    ),
    metric(
        "promotion_depth",
        "Promotion depth",
        Section::Marketplace,
        "Retail panel",
        Role::Promotion,
        "%",
        true,
        2.0,
        false,
        true,
    ),
    metric(
        "promotion_cost",
        "Promotion cost",
        Section::Marketplace,
        "Ledger",
        Role::Promotion,
        "EUR",
        false,
        1.0,
        true,
        false,
    ),
    metric(
        "availability",
        "On-shelf availability",
        Section::Marketplace,
        "Amazon",
        Role::Health,
        "%",
        true,
        6.0,
        false,
        true,
    ),
    metric(
        "bestseller_rank",
        "Bestseller rank",
        Section::Marketplace,
        "Amazon",
        Role::Health,
        "rank",
        false,
        6.0,
        false,
        true,
    ),
    metric(
        "review_rating",
        "Review rating",
        Section::Marketplace,
        "Amazon",
        Role::Health,
        "stars",
        true,
        6.0,
        false,
        true,
    ),
    metric(
        "category_demand",
        "Category demand index",
        Section::Marketplace,
        "Retail panel",
        Role::Context,
        "index",
        true,
        0.0,
        false,
        true,
    ),
    spend("spend_search", "Paid search spend", "Google Ads", "search"),
    spend("spend_social", "Paid social spend", "Meta", "social"),
    spend("spend_video", "Online video spend", "YouTube", "video"),
    spend("spend_display", "Display spend", "DV360", "display"),
    spend(
        "spend_marketplace_ads",
        "Marketplace ads spend",
        "AMS",
        "marketplace_ads",
    ),
    spend(
        "spend_connected_tv",
        "Connected TV spend",
        "DV360",
        "connected_tv",
    ),
    metric(
        "ad_impressions",
        "Ad impressions",
        Section::DigitalSpends,
        "Ad servers",
        Role::Exposure,
        "impressions",
        true,
        5.0,
        true,
        false,
    ),
    metric(
        "media_pressure",
        "Observed media pressure",
        Section::DigitalSpends,
        "Ad monitor",
        Role::Exposure,
        "GRP",
        true,
        4.0,
        true,
        true,
    ),
    metric(
        "branded_search",
        "Branded search interest",
        Section::OrganicPerformance,
        "Search Console",
        Role::Health,
        "index",
        true,
        7.0,
        false,
        true,
    ),
    metric(
        "organic_rank",
        "Organic rank",
        Section::OrganicPerformance,
        "Search Console",
        Role::Health,
        "rank",
        false,
        6.0,
        false,
        true,
    ),
    metric(
        "site_visits",
        "Site visits",
        Section::OrganicPerformance,
        "Web analytics",
        Role::Health,
        "visits",
        true,
        5.0,
        true,
        false,
    ),
    metric(
        "conversion_rate",
        "Conversion rate",
        Section::OrganicPerformance,
        "Web analytics",
        Role::Health,
        "%",
        true,
        5.0,
        false,
        false,
    ),
    metric(
        "page_load",
        "Largest contentful paint",
        Section::OrganicPerformance,
        "Web vitals",
        Role::Health,
        "seconds",
        false,
        3.0,
        false,
        true,
    ),
    metric(
        "net_sentiment",
        "Net sentiment",
        Section::Socialwatch,
        "Social listening",
        Role::Health,
        "points",
        true,
        6.0,
        false,
        true,
    ),
    metric(
        "brand_mentions",
        "Brand mentions",
        Section::Socialwatch,
        "Social listening",
        Role::Health,
        "mentions",
        true,
        5.0,
        true,
        true,
    ),
    metric(
        "engagement_rate",
        "Engagement rate",
        Section::Socialwatch,
        "Facebook",
        Role::Health,
        "%",
        true,
        5.0,
        false,
        true,
    ),
    metric(
        "complaint_rate",
        "Complaint rate",
        Section::Socialwatch,
        "Social listening",
        Role::Health,
        "per 1,000 posts",
        false,
        2.0,
        false,
        true,
    ),
];

/// Position of a metric in [`METRICS`].
///
/// # Panics
/// When the key is not in the catalogue, which is a programming error of this crate.
#[must_use]
pub fn metric_index(key: &str) -> usize {
    METRICS
        .iter()
        .position(|m| m.key == key)
        .expect("metric keys of the simulator come from its own catalogue")
}
