//! Mails to buyers, written from what is stored when they are sent.
//!
//! The broker may deliver an event twice. What was sent stands in the purchase's inbox; between sending and
//! writing that down a crash can repeat a mail, which the adapter drops if it can tell (files) and which
//! carries the same Message-ID if it cannot (SMTP).
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, Value, context};
use offpeak_domain::{
    ids::OrderId,
    money::Money,
    order::{Entry, EntryKind, Lifecycle, LineAsk, Parcel},
    pricing::PricedLine,
};
use serde_json::json;

use super::{SettingsError, Shop, destinations};
use crate::shared::{
    documents::purchases::{self, Order},
    ports::{
        bus::Message,
        documents::StoreError,
        mail::{Letter, MailError},
    },
};

/// A mail about one order; each goes out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderMail {
    /// The order is placed.
    Confirmation,
    /// It could not be kept: its goods were sold while its payment was under way.
    Shortfall,
    /// What the entry of this number in its timeline says.
    Entry { kind: EntryMail, number: u32 },
}

/// Changes of an order that its buyer hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryMail {
    /// Goods are on their way.
    Shipped,
    /// Money went back.
    Refunded,
    /// All or part of it is cancelled.
    Cancelled,
}

impl EntryMail {
    const ALL: [EntryMail; 3] = [EntryMail::Shipped, EntryMail::Refunded, EntryMail::Cancelled];

    /// The name on the wire.
    const fn name(self) -> &'static str {
        match self {
            EntryMail::Shipped => "order_shipped",
            EntryMail::Refunded => "order_refunded",
            EntryMail::Cancelled => "order_cancelled",
        }
    }
}

impl OrderMail {
    /// The mail that tells of an entry, if one does.
    pub fn of(entry: &Entry) -> Option<OrderMail> {
        let kind = match entry.kind {
            EntryKind::Shipped => EntryMail::Shipped,
            EntryKind::Refunded => EntryMail::Refunded,
            EntryKind::Cancelled => EntryMail::Cancelled,
            _ => return None,
        };
        Some(OrderMail::Entry { kind, number: entry.number })
    }

    fn all() -> impl Iterator<Item = OrderMail> {
        let entries = EntryMail::ALL.into_iter().map(|kind| OrderMail::Entry { kind, number: 0 });
        [OrderMail::Confirmation, OrderMail::Shortfall].into_iter().chain(entries)
    }

    /// The event behind it, by which a repeat is known.
    pub fn event_id(self, id: OrderId) -> String {
        match self {
            OrderMail::Confirmation => format!("order-confirmation-{id}"),
            OrderMail::Shortfall => format!("order-shortfall-mail-{id}"),
            OrderMail::Entry { kind, number } => format!("{}-mail-{id}-{number}", kind.name().replace('_', "-")),
        }
    }

    /// Asks for a mail about an entry; written with the entry.
    pub(super) fn message(self, id: OrderId) -> Option<Message> {
        let OrderMail::Entry { kind, number } = self else { return None };
        Some(Message {
            destination: destinations::MAIL.to_owned(),
            id: self.event_id(id),
            session: None,
            subject: format!("mail.{}", kind.name()),
            scheduled: None,
            body: json!({ "kind": kind.name(), "orderId": id.to_string(), "entry": number }).to_string(),
        })
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
            OrderMail::Entry { kind: EntryMail::Shipped, .. } => [
                ("order_shipped.txt", include_str!("order_shipped.txt")),
                ("order_shipped.html", include_str!("order_shipped.html")),
            ],
            OrderMail::Entry { kind: EntryMail::Refunded, .. } => [
                ("order_refunded.txt", include_str!("order_refunded.txt")),
                ("order_refunded.html", include_str!("order_refunded.html")),
            ],
            OrderMail::Entry { kind: EntryMail::Cancelled, .. } => [
                ("order_cancelled.txt", include_str!("order_cancelled.txt")),
                ("order_cancelled.html", include_str!("order_cancelled.html")),
            ],
        }
    }

    /// Whether an order in this state has such a mail.
    fn fits(self, lifecycle: Lifecycle) -> bool {
        match self {
            OrderMail::Confirmation | OrderMail::Entry { .. } => lifecycle.was_placed(),
            OrderMail::Shortfall => lifecycle.was_placed() || lifecycle == Lifecycle::Failed,
        }
    }

    fn subject(self, id: OrderId, shop: &str) -> String {
        let order = format!("Your order {} at {shop}", id.number());
        match self {
            OrderMail::Confirmation => order,
            OrderMail::Shortfall => format!("{order} could not be kept"),
            OrderMail::Entry { kind: EntryMail::Shipped, .. } => format!("{order} is on its way"),
            OrderMail::Entry { kind: EntryMail::Refunded, .. } => format!("{order}: your refund"),
            OrderMail::Entry { kind: EntryMail::Cancelled, .. } => format!("{order}: cancelled"),
        }
    }
}

static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates
        .set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    templates.set_trim_blocks(true);
    templates.set_lstrip_blocks(true);
    for (name, text) in OrderMail::all().flat_map(OrderMail::templates) {
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
    let entry = match mail {
        OrderMail::Entry { number, .. } => {
            let entry = purchases::read_entry(documents, id.checkout(), number).await?;
            Some(entry.ok_or(SendError::NoOrder(id))?)
        }
        OrderMail::Confirmation | OrderMail::Shortfall => None,
    };
    let settings = shop.settings().await?;
    // minijinja's own text names the template and the line.
    let letter = write_letter(mail, (&order, entry.as_ref()), &settings.name, event_id.clone())
        .map_err(|err| SendError::Template(format!("{err:#}")))?;
    shop.ports.mail.send(&letter).await?;
    match purchases::write(documents, id.checkout(), vec![purchases::add_to_inbox(&event_id)?]).await {
        Ok(_) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

fn write_letter(
    mail: OrderMail,
    (order, entry): (&Order, Option<&Entry>),
    shop: &str,
    event_id: String,
) -> Result<Letter, minijinja::Error> {
    let templates = TEMPLATES.as_ref().map_err(|err| minijinja::Error::new(err.kind(), err.to_string()))?;
    let [(text, _), (html, _)] = mail.templates();
    let changed = entry.map(|it| entry_facts(order, it)).unwrap_or_else(|| context! {});
    let facts = context! { ..context! { shop }, ..changed, ..order_facts(order) };
    Ok(Letter {
        event_id,
        to: order.buyer.email.as_str().to_owned(),
        subject: mail.subject(order.id, shop),
        text: templates.get_template(text)?.render(&facts)?,
        html: templates.get_template(html)?.render(&facts)?,
    })
}

/// What every mail may say.
fn order_facts(order: &Order) -> Value {
    let totals = order.priced.totals;
    let address = &order.buyer.shipping_address;
    let amount = |money: Money| (!money.is_zero()).then(|| money.to_string());
    let lines: Vec<_> = order.priced.lines.iter().map(|it| line_facts(it, it.quantity.get())).collect();
    context! {
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
    }
}

fn line_facts(line: &PricedLine, quantity: u32) -> Value {
    context! {
        title => line.title,
        variant => line.variant_title,
        quantity,
        subtotal => line.subtotal.to_string(),
    }
}

/// What one change adds: the units and the money it is about, and the parcels that are on their way.
fn entry_facts(order: &Order, entry: &Entry) -> Value {
    let line = |it: &LineAsk| Some(line_facts(order.priced.lines.get(it.line)?, it.units));
    let sent = order.fulfilments.iter().filter(|it| entry.subject.as_deref() == Some(it.id.as_str()));
    let parcel = |it: &Parcel| context! { carrier => it.carrier, number => it.tracking_number, url => it.tracking_url };
    context! {
        changed => entry.lines.iter().filter_map(line).collect::<Vec<_>>(),
        amount => entry.amount.map(|it| it.to_string()),
        parcels => sent.flat_map(|it| &it.parcels).map(parcel).collect::<Vec<_>>(),
        whole => order.lifecycle == Lifecycle::Cancelled,
    }
}
