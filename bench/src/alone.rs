//! Ports of a shop that sends nothing and takes no money: what is measured needs only its store and its cache.
use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use offpeak::shared::{
    adapters::{
        http_client::HttpClient,
        memory::hub::MemoryHub,
        object_storage::StoredObjects,
        sandbox_payments::SandboxPayments,
        system::{RandomIds, SystemClock},
        tax_http::{self, TaxHttp},
    },
    ports::{
        Ports,
        bus::{Bus, BusError, Message},
        cache::Cache,
        documents::Documents,
        mail::{Letter, Mail, MailError},
    },
};

struct Nobody;

#[async_trait]
impl Bus for Nobody {
    async fn send(&self, _: &Message) -> Result<(), BusError> {
        Err(BusError::Refused("nobody is here".to_owned()))
    }
}

#[async_trait]
impl Mail for Nobody {
    async fn send(&self, _: &Letter) -> Result<(), MailError> {
        Err(MailError::Refused("nobody is here".to_owned()))
    }
}

/// # Errors
/// None in practice: the address of no provider is an address.
pub fn ports(
    documents: Arc<dyn Documents>,
    cache: Arc<dyn Cache>,
    clock: Arc<SystemClock>,
) -> Result<Ports, Box<dyn Error>> {
    Ok(Ports {
        documents,
        bus: Arc::new(Nobody),
        hub: Arc::new(MemoryHub::default()),
        cache,
        payments: Arc::new(SandboxPayments::new(HttpClient::default(), &"http://127.0.0.1:9/".parse()?, "")?),
        mail: Arc::new(Nobody),
        objects: Arc::new(StoredObjects::in_memory()),
        taxes: Arc::new(TaxHttp::new(HttpClient::default(), tax_http::PATIENCE)),
        clock,
        ids: Arc::new(RandomIds),
    })
}
