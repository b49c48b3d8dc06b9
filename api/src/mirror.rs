//! How domain types cross the wire. A view has the fields of its domain type, one by one; the conversion takes the
//! domain type apart completely, so a field added there breaks the build here instead of being forgotten.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use domain::id;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToHeader, ToJSON, Type},
};
use rust_decimal::Decimal;
use serde_json::Value;

/// A type of the API that shows a domain type.
pub(crate) trait Mirror: Sized {
    /// The domain type.
    type Of;
    /// From the domain.
    fn of(value: Self::Of) -> Self;
}

/// A type of the API that people also send.
pub(crate) trait Reflect: Mirror {
    /// To the domain.
    fn back(self) -> Self::Of;
}

/// A struct of the API with the fields of a domain struct. `of` shows it; `both_ways` also takes it.
macro_rules! mirror {
    ($(#[$meta:meta])* $name:ident of $domain:ty { $($(#[$field_meta:meta])* $field:ident : $field_type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, poem_openapi::Object)]
        #[oai(skip_serializing_if_is_none)]
        pub(crate) struct $name { $($(#[$field_meta])* pub(crate) $field: $field_type,)* }

        impl $crate::mirror::Mirror for $name {
            type Of = $domain;
            fn of(value: $domain) -> Self {
                type Domain = $domain;
                let Domain { $($field),* } = value;
                Self { $($field: $crate::mirror::Mirror::of($field)),* }
            }
        }
    };
    ($(#[$meta:meta])* $name:ident both_ways $domain:ty { $($(#[$field_meta:meta])* $field:ident : $field_type:ty,)* }) => {
        $crate::mirror::mirror! { $(#[$meta])* $name of $domain { $($(#[$field_meta])* $field: $field_type,)* } }

        impl $crate::mirror::Reflect for $name {
            fn back(self) -> $domain {
                type Domain = $domain;
                let Self { $($field),* } = self;
                Domain { $($field: $crate::mirror::Reflect::back($field)),* }
            }
        }
    };
}

/// An enum of the API with the variants of a domain enum, in `snake_case` on the wire.
macro_rules! mirror_enum {
    ($(#[$meta:meta])* $name:ident of $domain:ty { $($(#[$variant_meta:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, poem_openapi::Enum)]
        #[oai(rename_all = "snake_case")]
        pub(crate) enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $crate::mirror::Mirror for $name {
            type Of = $domain;
            fn of(value: $domain) -> Self {
                type Domain = $domain;
                match value { $(Domain::$variant => Self::$variant),* }
            }
        }

        impl $crate::mirror::Reflect for $name {
            fn back(self) -> $domain {
                type Domain = $domain;
                match self { $(Self::$variant => Domain::$variant),* }
            }
        }
    };
}

pub(crate) use {mirror, mirror_enum};

macro_rules! mirrors_itself {
    ($($name:ty),*) => {$(
        impl Mirror for $name {
            type Of = $name;
            fn of(value: $name) -> Self { value }
        }

        impl Reflect for $name {
            fn back(self) -> $name { self }
        }
    )*};
}

mirrors_itself!(
    bool,
    f64,
    i64,
    u32,
    u64,
    String,
    Value,
    chrono::NaiveDate,
    chrono::DateTime<chrono::Utc>
);

impl<T: Mirror> Mirror for Option<T> {
    type Of = Option<T::Of>;
    fn of(value: Self::Of) -> Self {
        value.map(T::of)
    }
}

impl<T: Reflect> Reflect for Option<T> {
    fn back(self) -> Self::Of {
        self.map(T::back)
    }
}

impl<T: Mirror> Mirror for Vec<T> {
    type Of = Vec<T::Of>;
    fn of(value: Self::Of) -> Self {
        value.into_iter().map(T::of).collect()
    }
}

impl<T: Reflect> Reflect for Vec<T> {
    fn back(self) -> Self::Of {
        self.into_iter().map(T::back).collect()
    }
}

impl<T: Mirror> Mirror for Box<T> {
    type Of = Box<T::Of>;
    fn of(value: Self::Of) -> Self {
        Box::new(T::of(*value))
    }
}

impl<T: Reflect> Reflect for Box<T> {
    fn back(self) -> Self::Of {
        Box::new((*self).back())
    }
}

/// Implements what poem-openapi wants of a type that is a string on the wire.
macro_rules! text_type {
    ([$($generics:tt)*] $type:ty, $name:expr, $schema:expr) => {
        impl<$($generics)*> Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl<$($generics)*> ParseFromJSON for $type {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value.unwrap_or_default() {
                    Value::String(text) => Self::parse_from_parameter(&text),
                    other => Err(ParseError::expected_type(other)),
                }
            }
        }

        impl<$($generics)*> ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                Some(Value::String(self.0.to_string()))
            }
        }

        impl<$($generics)*> ToHeader for $type {
            fn to_header(&self) -> Option<poem::http::HeaderValue> {
                poem::http::HeaderValue::from_str(&self.0.to_string()).ok()
            }
        }
    };
}

/// An id in its text form, such as `brd_0198…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id<T>(pub(crate) T);

/// An id type of the domain.
pub(crate) trait TextId:
    Copy + Display + FromStr<Err = domain::Error> + Send + Sync + 'static
{
    /// Prefix of the text form.
    const PREFIX: &'static str;
}

macro_rules! text_ids {
    ($($name:ident),*) => {$(
        impl TextId for id::$name {
            const PREFIX: &'static str = id::$name::PREFIX;
        }
    )*};
}

text_ids!(
    OrgId,
    UserId,
    SessionId,
    ProjectId,
    BrandId,
    ChannelId,
    MetricId,
    MappingId,
    BatchId,
    ForecastId,
    FitId,
    ScoreId,
    CrossEffectId,
    PlanId,
    ConstraintId,
    RecommendationId,
    OutcomeId,
    JobId,
    RunId,
    ScheduleId,
    EventId,
    TargetId,
    CorrectionId
);

text_type!([T: TextId] Id<T>, format!("id_{}", T::PREFIX).into(), MetaSchema {
    example: Some(Value::String(format!("{}_0193a1b2c3d47e5f8a9b0c1d2e3f4a5b", T::PREFIX))),
    pattern: Some(format!("^{}_[0-9a-f]{{32}}$", T::PREFIX)),
    ..MetaSchema::new("string")
});

impl<T: TextId> ParseFromParameter for Id<T> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        value.parse().map(Self).map_err(ParseError::custom)
    }
}

impl<T> Mirror for Id<T> {
    type Of = T;
    fn of(value: T) -> Self {
        Self(value)
    }
}

impl<T> Reflect for Id<T> {
    fn back(self) -> T {
        self.0
    }
}

/// A decimal amount; a string on the wire, because JSON numbers lose digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount(pub(crate) Decimal);

text_type!([] Amount, "decimal".into(), MetaSchema {
    description: Some("A decimal number as text."),
    example: Some(Value::String("1250.00".into())),
    pattern: Some("^-?[0-9]+([.][0-9]+)?$".into()),
    ..MetaSchema::new_with_format("string", "decimal")
});

impl ParseFromParameter for Amount {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Decimal::from_str(value)
            .map(Self)
            .map_err(ParseError::custom)
    }
}

impl Mirror for Amount {
    type Of = Decimal;
    fn of(value: Decimal) -> Self {
        Self(value)
    }
}

impl Reflect for Amount {
    fn back(self) -> Decimal {
        self.0
    }
}

/// A whole number of up to 64 bits; a string on the wire, because JSON numbers lose digits above 2⁵³.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digits(pub(crate) u64);

text_type!([] Digits, "digits".into(), MetaSchema {
    description: Some("A whole number as text."),
    example: Some(Value::String("42".into())),
    pattern: Some("^[0-9]+$".into()),
    ..MetaSchema::new_with_format("string", "uint64")
});

impl ParseFromParameter for Digits {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        u64::from_str(value).map(Self).map_err(ParseError::custom)
    }
}

impl Mirror for Digits {
    type Of = u64;
    fn of(value: u64) -> Self {
        Self(value)
    }
}

impl Reflect for Digits {
    fn back(self) -> u64 {
        self.0
    }
}
