//! Settings of what messages and events go out by.
use url::Url;

use super::{Reader, Secret, nowhere};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusConfig {
    /// The Service Bus REST endpoint at `endpoint`.
    ServiceBus { endpoint: Url, access: BrokerAccess },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubConfig {
    /// The Event Hubs REST endpoint at `endpoint`.
    EventHubs { endpoint: Url, access: BrokerAccess },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerAccess {
    /// The app's managed identity; `client_id` if it has several.
    Identity { client_id: Option<String> },
    /// A shared access policy, of an emulator or the dev host.
    Policy { name: String, key: Secret },
}

/// Names of the settings of one broker.
struct Names {
    endpoint: &'static str,
    key_name: &'static str,
    key: &'static str,
}

const BUS: Names = Names { endpoint: "OFFPEAK_BUS_ENDPOINT", key_name: "OFFPEAK_BUS_KEY_NAME", key: "OFFPEAK_BUS_KEY" };
const HUB: Names = Names { endpoint: "OFFPEAK_HUB_ENDPOINT", key_name: "OFFPEAK_HUB_KEY_NAME", key: "OFFPEAK_HUB_KEY" };

impl Reader<'_> {
    pub(super) fn bus(&mut self) -> BusConfig {
        let adapter = self.adapter("OFFPEAK_BUS", "messages out", "servicebus", &["servicebus"]);
        let (endpoint, access) = self.broker(&adapter, &BUS);
        BusConfig::ServiceBus { endpoint, access }
    }

    pub(super) fn hub(&mut self) -> HubConfig {
        let adapter = self.adapter("OFFPEAK_HUB", "events out", "eventhubs", &["eventhubs"]);
        let (endpoint, access) = self.broker(&adapter, &HUB);
        HubConfig::EventHubs { endpoint, access }
    }

    fn broker(&mut self, adapter: &str, names: &Names) -> (Url, BrokerAccess) {
        let identity = BrokerAccess::Identity { client_id: self.text("AZURE_CLIENT_ID") };
        if adapter.is_empty() {
            return (nowhere(), identity);
        }
        let endpoint = self.url_or_devhost(names.endpoint, "/", "https://NAMESPACE.servicebus.windows.net");
        let key = self.text(names.key).map(Secret);
        let access = match key {
            // The dev host checks no key.
            None if self.local && endpoint.scheme() == "http" => {
                BrokerAccess::Policy { name: "local".to_owned(), key: Secret("local".to_owned()) }
            }
            key => {
                self.identity_or_emulator(&endpoint, key.as_ref(), [names.endpoint, names.key]);
                let policy = |key| {
                    let name = self.required(names.key_name, "the name of the policy that the key is of");
                    BrokerAccess::Policy { name, key }
                };
                key.map_or(identity, policy)
            }
        };
        (endpoint, access)
    }
}
