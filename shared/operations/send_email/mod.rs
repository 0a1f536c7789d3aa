//! Mails to buyers, written from what is stored when they are sent.
//!
//! The broker may deliver an event twice. What was sent stands in the purchase's inbox; between sending and
//! writing that down a crash can repeat a mail, which the adapter drops if it can tell (files) and which
//! carries the same Message-ID if it cannot (SMTP).
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, context};
use offpeak_domain::{ids::OrderId, money::Money, order::Lifecycle};

use super::{SettingsError, Shop};
use crate::shared::{
    documents::purchases::{self, Order},
    ports::{
        documents::StoreError,
        mail::{Letter, MailError},
    },
};

/// A mail about one order; each kind goes out once per order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderMail {
    /// The order is placed.
    Confirmation,
    /// It could not be kept: its goods were sold while its payment was under way.
    Shortfall,
}

impl OrderMail {
    const ALL: [OrderMail; 2] = [OrderMail::Confirmation, OrderMail::Shortfall];

    /// The event behind it, by which a repeat is known.
    pub fn event_id(self, id: OrderId) -> String {
        match self {
            OrderMail::Confirmation => format!("order-confirmation-{id}"),
            OrderMail::Shortfall => format!("order-shortfall-mail-{id}"),
        }
    }

    /// Text and HTML, each with its name.
    const fn templates(self) -> [(&'static str, &'static str); 2] {
        match self {
            OrderMail::Confirmation => [
                ("order_confirmation.txt", include_str!("order_confirmation.txt")),
                ("order_confirmation.html", include_str!("order_confirmation.html")),
            ],
            OrderMail::Shortfall => [
                ("order_shortfall.txt", include_str!("order_shortfall.txt")),
                ("order_shortfall.html", include_str!("order_shortfall.html")),
            ],
        }
    }

    /// Whether an order in this state has such a mail.
    fn fits(self, lifecycle: Lifecycle) -> bool {
        match self {
            OrderMail::Confirmation => lifecycle.was_placed(),
            OrderMail::Shortfall => lifecycle.was_placed() || lifecycle == Lifecycle::Failed,
        }
    }

    fn subject(self, id: OrderId, shop: &str) -> String {
        match self {
            OrderMail::Confirmation => format!("Your order {} at {shop}", id.number()),
            OrderMail::Shortfall => format!("Your order {} at {shop} could not be kept", id.number()),
        }
    }
}

static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates
        .set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    templates.set_trim_blocks(true);
    templates.set_lstrip_blocks(true);
    for (name, text) in OrderMail::ALL.into_iter().flat_map(OrderMail::templates) {
        templates.add_template(name, text)?;
    }
    Ok(templates)
});

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The event came before its order, or for an order that never was.
    #[error("there is no order {0} to write about")]
    NoOrder(OrderId),
    #[error("the mail could not be written: {0}")]
    Template(String),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes to the buyer of an order.
///
/// # Errors
/// [`SendError`]; the message should come again, and after its last try be looked at by a person.
pub async fn send_order_mail(shop: &Shop, mail: OrderMail, id: OrderId) -> Result<(), SendError> {
    let documents = shop.ports.documents.as_ref();
    let event_id = mail.event_id(id);
    if purchases::in_inbox(documents, id.checkout(), &event_id).await? {
        return Ok(());
    }
    let order = purchases::read_order(documents, id.checkout()).await?;
    let order = order.filter(|it| mail.fits(it.value.lifecycle)).ok_or(SendError::NoOrder(id))?.value;
    let settings = shop.settings().await?;
    // minijinja's own text names the template and the line.
    let letter = write_letter(mail, &order, &settings.name, event_id.clone())
        .map_err(|err| SendError::Template(format!("{err:#}")))?;
    shop.ports.mail.send(&letter).await?;
    match purchases::write(documents, id.checkout(), vec![purchases::add_to_inbox(&event_id)?]).await {
        Ok(_) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

fn write_letter(mail: OrderMail, order: &Order, shop: &str, event_id: String) -> Result<Letter, minijinja::Error> {
    let templates = TEMPLATES.as_ref().map_err(|err| minijinja::Error::new(err.kind(), err.to_string()))?;
    let [(text, _), (html, _)] = mail.templates();
    let totals = order.priced.totals;
    let address = &order.buyer.shipping_address;
    let amount = |money: Money| (!money.is_zero()).then(|| money.to_string());
    let lines: Vec<_> = order
        .priced
        .lines
        .iter()
        .map(|line| {
            context! {
                title => line.title,
                variant => line.variant_title,
                quantity => line.quantity.get(),
                subtotal => line.subtotal.to_string(),
            }
        })
        .collect();
    let facts = context! {
        shop,
        number => order.id.number(),
        name => address.name,
        lines,
        subtotal => totals.subtotal.to_string(),
        shipping => totals.shipping.to_string(),
        shipping_title => order.priced.shipping.as_ref().map(|it| it.title.as_str()),
        tax => amount(totals.tax),
        tax_included => amount(totals.tax_included),
        total => totals.total.to_string(),
        charged => order.payment.captured > 0,
        address => [
            Some(address.name.as_str()),
            Some(address.line1.as_str()),
            address.line2.as_deref(),
            Some(address.city.as_str()),
            address.region.as_deref(),
            Some(address.postal_code.as_str()),
            Some(address.country.code()),
        ].into_iter().flatten().collect::<Vec<_>>(),
    };
    Ok(Letter {
        event_id,
        to: order.buyer.email.as_str().to_owned(),
        subject: mail.subject(order.id, shop),
        text: templates.get_template(text)?.render(&facts)?,
        html: templates.get_template(html)?.render(&facts)?,
    })
}
