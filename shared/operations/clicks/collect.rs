//! Takes what one session did: into what the session has seen, at once, and to the hub for all that learns from it.
use offpeak_domain::ids::OrderId;
use time::OffsetDateTime;

use super::{ClickEvent, Clicks, What, session_key, sessions::remember};
use crate::shared::{
    documents::clicks::event::texts,
    operations::destinations::CLICKS,
    ports::{Ports, hub::HubError},
};

/// Oldest event that is taken: a client that was without a network for a day.
pub const AGE_MAX: time::Duration = time::Duration::hours(24);

/// When something was done, by our clock, in seconds since 1970; `None` for longer ago than [`AGE_MAX`]. `sent` is what
/// the client's clock showed as it sent this, and tells by how much it is wrong.
pub fn moment(at: Option<OffsetDateTime>, sent: Option<OffsetDateTime>, now: OffsetDateTime) -> Option<u32> {
    let at = match (at, sent) {
        (None, _) => now,
        (Some(at), None) => at,
        (Some(at), Some(sent)) => at.checked_add(now - sent)?,
    };
    let at = at.min(now);
    if now - at > AGE_MAX {
        return None;
    }
    u32::try_from(at.unix_timestamp()).ok()
}

/// Without a session nobody agreed that one event is put beside another.
///
/// # Errors
/// [`HubError`]; what the session has seen is known all the same, so a repeat does no harm.
pub async fn collect(ports: &Ports, session: Option<&str>, events: Vec<ClickEvent>) -> Result<(), HubError> {
    let Some(session) = session else {
        // Under a number that nobody has seen before.
        let session = session_key(&ports.ids.token());
        return send(ports, Clicks { session, consent: false, events }).await;
    };
    let skus: Vec<String> = events.iter().filter_map(|it| it.what.item()).map(|it| it.0.to_owned()).collect();
    let sending = send(ports, Clicks { session: session_key(session), consent: true, events });
    let ((), sent) = tokio::join!(remember(ports, session, &skus), sending);
    sent
}

/// What an order says was bought.
///
/// # Errors
/// [`HubError`].
pub async fn collect_order(ports: &Ports, order: OrderId, placed: u32, skus: Vec<String>) -> Result<(), HubError> {
    let events = skus.into_iter().map(|sku| ClickEvent { at: placed, what: What::Ordered { sku } }).collect();
    send(ports, Clicks { session: session_key(&order.to_string()), consent: true, events }).await
}

/// What was searched for teaches nothing yet, so it is kept nowhere.
async fn send(ports: &Ports, mut clicks: Clicks) -> Result<(), HubError> {
    clicks.events.retain(|it| !matches!(it.what, What::Search { .. }));
    if clicks.events.is_empty() {
        return Ok(());
    }
    let key = format!("{:016x}", clicks.session);
    let texts = texts(clicks).map_err(|err| HubError::Refused(err.to_string()))?;
    ports.hub.send(CLICKS, &key, &texts).await
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_wrong_clock_is_put_right_and_no_event_is_of_the_future() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let seconds = |it: OffsetDateTime| u32::try_from(it.unix_timestamp()).ok();
        let (early, late) = (datetime!(2026-11-23 11:59 UTC), datetime!(2031-01-01 00:00 UTC));
        assert_eq!(moment(None, None, now), seconds(now));
        assert_eq!(moment(Some(early), None, now), seconds(early));
        assert_eq!(moment(Some(late), None, now), seconds(now));
        // A client a year behind, a minute before it sent.
        let (at, sent) = (datetime!(2025-11-23 08:00 UTC), datetime!(2025-11-23 08:01 UTC));
        assert_eq!(moment(Some(at), Some(sent), now), seconds(early));
        assert_eq!(moment(Some(late), Some(early), now), seconds(now));
        assert_eq!(moment(Some(at), None, now), None);
        assert_eq!(moment(Some(now - AGE_MAX), None, now), seconds(now - AGE_MAX));
        assert_eq!(moment(Some(datetime!(9999-12-31 23:59 UTC)), Some(datetime!(-9999-01-01 0:00 UTC)), now), None);
    }
}
