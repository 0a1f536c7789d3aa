//! What a test may order while the account serves.
use std::time::Duration;

use url::Url;

use crate::{
    Failure,
    serve::{Refusal, Service},
};

/// - `budget CONTAINER UNITS`: what each of its partition keys may use in a second; 0 for no limit.
/// - `refuse STATUS SUBSTATUS [REGION]`: every request for documents is turned away so, there or everywhere, until
///   `serve`.
/// - `failover REGION`: writes move there; none that was answered is lost, as with a planned one.
/// - `offline REGION`: nothing listens there any more. If writes went there, they move to the next region, with all
///   that was answered.
/// - `mute REGION`: as if the network lost all that is sent there: connections stay and nothing is answered. Writes move
///   as with `offline`.
/// - `slow REGION MILLISECONDS`: it answers requests for documents only so much later.
/// - `rollback COUNT STATUS WAIT`: so many batches are answered that their first operation was refused with STATUS, to
///   be asked for again after WAIT milliseconds. COUNT `left` answers how many are still to come.
/// - `turned`: answers how many requests were turned away because of their budget.
/// - `spent CONTAINER`: answers request units used there so far, in thousandths.
pub(crate) async fn obey(service: &Service, line: &str) -> Result<String, Failure> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "budget" => {
            let (container, units) = rest.split_once(' ').ok_or("budget CONTAINER UNITS")?;
            service.budget.limit(container, units.parse()?);
        }
        "refuse" => {
            let words: Vec<_> = rest.splitn(3, ' ').collect();
            let [status, sub, region @ ..] = &words[..] else { return Err("refuse STATUS SUBSTATUS [REGION]".into()) };
            let region = region.first().map(|it| url_of(service, it)).transpose()?;
            service.refuse(Some(Refusal { status: status.parse()?, sub: sub.parse()?, region }));
        }
        "serve" => service.refuse(None),
        "rollback" if rest == "left" => return Ok(service.rolled_back.left().to_string()),
        "rollback" => {
            let words: Vec<_> = rest.split(' ').collect();
            let [count, status, wait] = words[..] else { return Err("rollback COUNT STATUS WAIT".into()) };
            service.rolled_back.order(count.parse()?, status.parse()?, wait.parse()?);
        }
        "failover" | "offline" | "mute" => {
            // Nobody writes while what is on its way arrives.
            let _closed = service.gate.write().await;
            let store = service.emulator.store();
            store.drain_pending_replications().await;
            match word {
                "failover" => store.set_write_region(rest)?,
                _ => {
                    let regions = store.config().active_regions();
                    let lost = regions.iter().find(|it| it.name() == rest).map(|it| it.gateway_url().clone());
                    store.set_region_offline(rest)?;
                    let gone = if word == "mute" { &service.mute } else { &service.lost };
                    gone.send_replace(lost);
                }
            }
        }
        "slow" => {
            let (region, ms) = rest.rsplit_once(' ').ok_or("slow REGION MILLISECONDS")?;
            service.slow(url_of(service, region)?, Duration::from_millis(ms.parse()?));
        }
        "turned" => return Ok(service.budget.turned().to_string()),
        "spent" => return Ok(service.budget.spent(rest).to_string()),
        _ => return Err(format!("`{line}` is no order").into()),
    }
    Ok("done".to_owned())
}

fn url_of(service: &Service, region: &str) -> Result<Url, Failure> {
    let regions = service.emulator.store().config().active_regions();
    Ok(regions.iter().find(|it| it.name() == region).ok_or("no such region")?.gateway_url().clone())
}
