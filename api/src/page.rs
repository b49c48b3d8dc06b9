//! Paging: `limit` and `cursor` in, `{data, has_more, next_cursor}` and a `Link` to the next page out.

use domain::page::{MAX_LIMIT, Page, PageRequest};
use poem::Request;
use poem_openapi::{
    ApiResponse, Object,
    payload::Json,
    types::{ParseFromJSON, ToJSON, Type},
};

use crate::{
    mirror::Mirror,
    permissions::BASE,
    problem::{Answer, Problem},
};

/// One page of a list.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Paged<T: Type + ParseFromJSON + ToJSON + Send + Sync> {
    /// The rows, in a stable order.
    pub(crate) data: Vec<T>,
    /// Whether there is another page.
    pub(crate) has_more: bool,
    /// The `cursor` of the next page.
    pub(crate) next_cursor: Option<String>,
}

/// `200` with one page.
#[derive(ApiResponse)]
pub(crate) enum Listed<T: Type + ParseFromJSON + ToJSON + Send + Sync + 'static> {
    /// One page.
    #[oai(status = 200)]
    Listed(
        Json<Paged<T>>,
        /// The next page, as `<…>; rel="next"`.
        #[oai(header = "Link")]
        Option<String>,
    ),
}

/// The page that `limit` and `cursor` ask for.
///
/// # Errors
/// `page.limit` when the limit is not between 1 and [`MAX_LIMIT`].
pub(crate) fn request(limit: Option<u32>, cursor: Option<String>) -> Answer<PageRequest> {
    let limit = limit.unwrap_or(PageRequest::default().limit);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::new(
            domain::ErrorKind::Invalid,
            "page.limit",
            format!("a page has 1 to {MAX_LIMIT} rows, not {limit}"),
        )
        .field("?limit", format!("1 to {MAX_LIMIT}")));
    }
    Ok(PageRequest {
        limit,
        after: cursor,
    })
}

/// The page of `rows`, which are all there are, that `wanted` asks for. `key` is unique and names a row's place.
///
/// # Errors
/// `page.cursor` when the row that the cursor names is no longer in the list.
pub(crate) fn cut<T>(
    rows: Vec<T>,
    wanted: &PageRequest,
    key: impl Fn(&T) -> String,
) -> Answer<Page<T>> {
    let start = match &wanted.after {
        None => 0,
        Some(after) => {
            let at = rows
                .iter()
                .position(|row| &key(row) == after)
                .ok_or_else(|| {
                    Problem::new(
                        domain::ErrorKind::Invalid,
                        "page.cursor",
                        "the list has changed since that page",
                    )
                    .advise("start again from the first page")
                    .field("?cursor", "not a row of this list")
                })?;
            at + 1
        }
    };
    let limit = wanted.limit as usize;
    let has_more = rows.len() > start + limit;
    let rows: Vec<T> = rows.into_iter().skip(start).take(limit).collect();
    let next = rows.last().filter(|_| has_more).map(key);
    Ok(Page { rows, next })
}

/// Answers `page` of the list that `request` asked for.
pub(crate) fn listed<T>(request: &Request, page: Page<T::Of>) -> Listed<T>
where
    T: Mirror + Type + ParseFromJSON + ToJSON + Send + Sync + 'static,
{
    listed_as(request, page.map(T::of))
}

/// Answers `page`, whose rows are views already.
pub(crate) fn listed_as<T>(request: &Request, page: Page<T>) -> Listed<T>
where
    T: Type + ParseFromJSON + ToJSON + Send + Sync + 'static,
{
    let link = page
        .next
        .as_deref()
        .map(|cursor| next_link(request, cursor));
    Listed::Listed(
        Json(Paged {
            data: page.rows,
            has_more: page.next.is_some(),
            next_cursor: page.next,
        }),
        link,
    )
}

/// The same address with another cursor.
fn next_link(request: &Request, cursor: &str) -> String {
    // Below the base, which the router has taken off.
    let uri = request.uri();
    let mut query: String = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="))
        .flat_map(|pair| [pair, "&"])
        .collect();
    query.push_str("cursor=");
    for byte in cursor.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            query.push(char::from(byte));
        } else {
            query.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("<{BASE}{}?{query}>; rel=\"next\"", uri.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_keeps_the_filters_and_replaces_the_cursor() {
        let request = Request::builder()
            .uri_str("/runs?agent=metrics&cursor=a&limit=2")
            .finish();
        assert_eq!(
            next_link(&request, "b/c"),
            "</api/v1/runs?agent=metrics&limit=2&cursor=b%2Fc>; rel=\"next\""
        );
    }

    #[test]
    fn the_pages_of_a_list_are_the_list() {
        let rows: Vec<u32> = (0..7).collect();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = cut(
                rows.clone(),
                &PageRequest { limit: 3, after },
                u32::to_string,
            )
            .expect("a page");
            seen.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, rows);
        let gone = PageRequest {
            limit: 3,
            after: Some("99".into()),
        };
        assert!(cut(rows, &gone, u32::to_string).is_err());
    }

    #[test]
    fn a_page_of_none_or_too_many_rows_is_refused() {
        assert!(super::request(Some(0), None).is_err());
        assert!(super::request(Some(MAX_LIMIT + 1), None).is_err());
        assert_eq!(
            super::request(None, None).map(|page| page.limit).ok(),
            Some(50)
        );
    }
}
