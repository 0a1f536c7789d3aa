//! Whether the namespace is there and lets the app send: an event to a hub that is not there, so none is left behind.
use async_trait::async_trait;
use reqwest::StatusCode;

use super::{EventHubs, Failed, Sent};
use crate::shared::ports::{
    chain,
    reach::{Reach, Unreached},
};

/// No hub is called so.
const NOWHERE: &str = "offpeak-check";

#[async_trait]
impl Reach for EventHubs {
    async fn reach(&self) -> Result<(), Unreached> {
        let sent = Sent::new(NOWHERE, &["{}".to_owned()])?;
        match self.try_once(NOWHERE, &sent).await {
            Ok(()) => Err(format!("a hub {NOWHERE} is there and has taken an event").into()),
            // Whoever may not send is refused before.
            Err(Failed::Refused { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. }) => Ok(()),
            Err(Failed::Refused { reason, .. }) => Err(reason.into()),
            Err(Failed::Busy(_)) => Err(super::Busy.into()),
            Err(Failed::Again(error)) => {
                Err(format!("no broker answers as it should; see OFFPEAK_HUB_ENDPOINT: {}", chain(&*error)).into())
            }
        }
    }
}
