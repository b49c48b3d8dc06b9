//! Keyset paging: the cursor holds the sort key of the last row seen, so that rows added meanwhile shift nothing.

use chrono::{DateTime, Utc};
use domain::page::{MAX_LIMIT, Page, PageRequest};
use uuid::Uuid;

use crate::Error;

/// Position in a list ordered by a time and an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeKey {
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: Uuid,
}

fn malformed() -> Error {
    domain::Error::invalid(
        "page.cursor",
        "the cursor is not one that a page of this list gave out",
    )
    .advise("start again without a cursor")
    .into()
}

impl TimeKey {
    pub(crate) fn encode(self) -> String {
        let mut bytes = self.at.timestamp_micros().to_be_bytes().to_vec();
        bytes.extend_from_slice(self.id.as_bytes());
        hex::encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Result<Self, Error> {
        let bytes: [u8; 24] = hex::decode(text)
            .ok()
            .and_then(|b| b.try_into().ok())
            .ok_or_else(malformed)?;
        let (time, id) = bytes.split_at(8);
        let micros = i64::from_be_bytes(time.try_into().expect("eight bytes were split off"));
        let at = DateTime::from_timestamp_micros(micros).ok_or_else(malformed)?;
        Ok(Self {
            at,
            id: Uuid::from_slice(id).expect("sixteen bytes are left"),
        })
    }
}

/// The number in the cursor of a list that is ordered by a dense number.
pub(crate) fn decode_number(text: &str) -> Result<i64, Error> {
    text.parse().map_err(|_| malformed())
}

/// The number of rows asked for, within the limits.
pub(crate) fn limit(page: &PageRequest) -> i64 {
    i64::from(page.limit.clamp(1, MAX_LIMIT))
}

/// Makes a page of `rows`, of which one more than `limit` was asked for.
pub(crate) fn page<T>(mut rows: Vec<T>, limit: i64, key: impl Fn(&T) -> String) -> Page<T> {
    let limit = usize::try_from(limit).expect("limits are small and positive");
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(key) } else { None };
    Page { rows, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_form_and_rubbish_is_refused() {
        let key = TimeKey {
            at: DateTime::from_timestamp_micros(1_790_000_000_123_456).expect("in range"),
            id: Uuid::from_u128(7),
        };
        assert_eq!(TimeKey::decode(&key.encode()).expect("decodes"), key);
        assert!(TimeKey::decode("zz").is_err());
        assert!(TimeKey::decode("00ff").is_err());
    }
}
