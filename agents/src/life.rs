//! Keeps recommendations true to the calendar: what ran out expires, what was put aside wakes, and what an initiative led to
//! goes with it when it is taken back.

use domain::{
    access::{Permission, Principal},
    recommendation::{Move, State},
};
use storage::{Filter, Storage, Transition};

use crate::{Error, calendar::domain_date};

/// Moves everything whose date has come by the domain clock. Doing it again changes nothing. Returns how many moved.
///
/// # Errors
/// When the database cannot be reached.
pub(crate) async fn keep_calendar(
    storage: &Storage,
    principal: &Principal,
) -> Result<usize, Error> {
    let grant = principal.grant(Permission::RecommendationPropose)?;
    let scope = storage.scope(&grant);
    let today = domain_date(scope.organisations(), storage.now().await?).await?;
    let mut moves = Vec::new();
    for open in scope.recommendations().all(&Filter::open()).await? {
        if open.expires_on < today {
            let note = format!("nobody decided by {}", open.expires_on);
            moves.push(
                Transition::by_runtime(open.id, Move::Expire)
                    .expecting(open.version)
                    .note(note),
            );
        } else if open.state == State::Snoozed
            && open.snoozed_until.is_some_and(|until| until <= today)
        {
            moves.push(Transition::by_runtime(open.id, Move::Wake).expecting(open.version));
        } else if let Some(parent) = open.parent
            && scope.recommendations().get(parent).await?.state == State::RolledBack
        {
            moves.push(
                Transition::by_runtime(open.id, Move::Withdraw)
                    .expecting(open.version)
                    .note("its initiative was taken back"),
            );
        }
    }
    let count = moves.len();
    for step in moves {
        let moved = storage
            .unit(&grant, move |u| {
                let step = step.clone();
                Box::pin(async move { u.recommendations().transition(&step).await })
            })
            .await;
        match moved {
            // A person was quicker.
            Err(storage::Error::Domain(error)) if error.code.starts_with("recommendation.") => {}
            other => {
                other?;
            }
        }
    }
    Ok(count)
}
