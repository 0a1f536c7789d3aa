//! A shop in this process and a buyer in it: what the programs that place orders have in common. Nothing is left out
//! that a buyer's HTTP calls would do, but HTTP itself.
use std::{
    error::Error,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use offpeak::shared::{
    adapters::{
        http_client::HttpClient,
        memory::hub::MemoryHub,
        memory_cache::MemoryCache,
        object_storage::StoredObjects,
        sandbox_payments::SandboxPayments,
        system::{RandomIds, SystemClock},
        tax_http::{self, TaxHttp},
    },
    operations::{
        Shop,
        carts::{create_cart, set_cart_line},
        checkouts::{Choices, start_checkout},
        complete_checkout::{CompleteCheckout, Outcome, complete_checkout},
        import_catalogue::{ImportOptions, import_catalogue, rows::Format},
        kept_answers::Rendered,
    },
    ports::{
        Ports,
        bus::{Bus, BusError, Message},
        documents::Documents,
        mail::{Letter, Mail, MailError},
    },
};
use offpeak_domain::{
    address::{Address, Email},
    checkout::PaymentChoice,
    ids::CartId,
    money::{Currency, Money},
    quantity::Quantity,
    sku::Sku,
};

use crate::provider;

/// SKUs in the shop; a buyer takes two of them.
const SKUS: usize = 200;
const ON_HAND: i64 = 1_000_000;

/// A broker and a mail server that take everything.
#[derive(Default)]
pub struct Taken {
    /// What was sent, if it is to be kept.
    pub sent: Option<Mutex<Vec<Message>>>,
}

#[async_trait]
impl Bus for Taken {
    async fn send(&self, message: &Message) -> Result<(), BusError> {
        if let Some(sent) = &self.sent {
            sent.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl Mail for Taken {
    async fn send(&self, _: &Letter) -> Result<(), MailError> {
        Ok(())
    }
}

/// A stocked shop on this store, with the sandbox provider's own durable books in `folder`, over loopback.
///
/// # Errors
/// Whatever keeps it from opening.
pub async fn open(documents: Arc<dyn Documents>, bus: Arc<Taken>, folder: &Path) -> Result<Shop, Box<dyn Error>> {
    let address = provider::serve(folder).await?;
    let payments = SandboxPayments::new(HttpClient::default(), &address, "")?;
    let shop = Shop::new(Ports {
        documents,
        bus,
        hub: Arc::new(MemoryHub::default()),
        objects: Arc::new(StoredObjects::in_memory()),
        cache: Arc::new(MemoryCache::new(Arc::new(SystemClock))),
        payments: Arc::new(payments),
        mail: Arc::new(Taken::default()),
        taxes: Arc::new(TaxHttp::new(HttpClient::default(), tax_http::PATIENCE)),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
    });
    stock_up(&shop).await?;
    Ok(shop)
}

fn sku(n: usize) -> String {
    format!("SKU-{n:04}")
}

async fn stock_up(shop: &Shop) -> Result<(), Box<dyn Error>> {
    use std::fmt::Write as _;
    let mut csv = String::from("sku,title,price\n");
    for n in 0..SKUS {
        writeln!(csv, "{},Thing {n},{}.99", sku(n), 1 + n % 50)?;
    }
    let currency = Some(Currency::parse("GBP")?);
    let options = ImportOptions { currency, on_hand: Some(ON_HAND), ..ImportOptions::default() };
    let report = Box::pin(import_catalogue(&shop.ports, csv.as_bytes(), Format::Csv, &options)).await?;
    if report.refused > 0 { Err(format!("{report:?}").into()) } else { Ok(()) }
}

/// One buyer, step by step; `n` decides what is bought.
pub struct Buyer {
    n: usize,
    pub cart: CartId,
    token: String,
}

impl Buyer {
    /// With an empty cart.
    ///
    /// # Errors
    /// What the shop refuses, as text; so do the others.
    pub async fn arrive(shop: &Shop, n: usize) -> Result<Buyer, String> {
        let (cart, token) = create_cart(shop, None).await.map_err(|err| said(n, &err))?;
        Ok(Buyer { n, cart: cart.cart.id, token })
    }

    /// One of the two lines, `0` or `1`.
    ///
    /// # Errors
    /// As [`Buyer::arrive`].
    pub async fn add(&self, shop: &Shop, line: usize) -> Result<(), String> {
        let Buyer { n, cart, token } = self;
        let sku = Sku::parse(&sku((n + line * 7) % SKUS)).map_err(|err| said(*n, &err))?;
        let quantity = Quantity::new(1 + u32::try_from(n % 3).unwrap_or(0)).map_err(|err| said(*n, &err))?;
        set_cart_line(shop, *cart, token, &sku, Some(quantity), None).await.map_err(|err| said(*n, &err))?;
        Ok(())
    }

    /// Goes to checkout; answers the total.
    ///
    /// # Errors
    /// As [`Buyer::arrive`].
    pub async fn start(&self, shop: &Shop) -> Result<Money, String> {
        let n = self.n;
        let address = Address::parse("Ada Byron", "1 Mill Lane", None, "Leeds", None, "LS1 1AA", "GB");
        let choices = Choices {
            email: Some(Email::parse(&format!("buyer-{n}@example.org")).map_err(|err| said(n, &err))?),
            shipping_address: Some(address.map_err(|err| said(n, &err))?),
            billing_address: None,
            shipping_method: Some("standard".to_owned()),
        };
        let begun = Box::pin(start_checkout(shop, self.cart, &self.token, &choices)).await;
        Ok(begun.map_err(|err| said(n, &err))?.1.priced.totals.total)
    }

    /// Pays.
    ///
    /// # Errors
    /// As [`Buyer::arrive`]; also if no order was placed.
    pub async fn complete(&self, shop: &Shop, expected_total: Money) -> Result<(), String> {
        let command = CompleteCheckout {
            checkout: self.cart.checkout(),
            token: self.token.clone(),
            idempotency_key: "once".to_owned(),
            expected_total,
            payment: PaymentChoice { method: "sandbox_approve".to_owned(), ..PaymentChoice::default() },
        };
        let done = Box::pin(complete_checkout(shop, &command, render)).await.map_err(|err| said(self.n, &err))?;
        if done.rendered.status == 200 {
            Ok(())
        } else {
            Err(said(self.n, &String::from_utf8_lossy(&done.rendered.body)))
        }
    }
}

fn said(n: usize, error: &dyn std::fmt::Display) -> String {
    format!("order {n}: {error}")
}

fn render(outcome: &Outcome) -> Rendered {
    match outcome {
        Outcome::Placed(order) => Rendered { status: 200, body: Bytes::from(order.id.to_string()) },
        other => Rendered { status: 409, body: Bytes::from(format!("{other:?}")) },
    }
}
