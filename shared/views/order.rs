//! A placed order as the store API shows it.
use offpeak_domain::{money::Money, order::Entry};
use serde::Serialize;

use super::{
    cart::{TotalsView, totals_view},
    checkout::AddressView,
    money::MoneyView,
    order_parts::{
        EntryView, FulfilmentView, OrderLineView, RefundView, ReturnView, entry_view, lines, refund_view, rfc3339,
    },
};
use crate::shared::documents::purchases::Order;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderView {
    pub id: String,
    /// What people read out; the last character checks the others.
    pub number: String,
    pub checkout_id: String,
    pub lifecycle: &'static str,
    pub payment_status: &'static str,
    pub fulfilment_status: &'static str,
    pub email: String,
    pub shipping_address: AddressView,
    pub billing_address: Option<AddressView>,
    pub shipping_method: Option<ShippingView>,
    pub lines: Vec<OrderLineView>,
    pub totals: TotalsView,
    pub payment: OrderPaymentView,
    pub placed_at: Option<String>,
    pub fulfilments: Vec<FulfilmentView>,
    pub returns: Vec<ReturnView>,
    pub refunds: Vec<RefundView>,
    /// Newest first; only where one order is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Vec<EntryView>>,
}

#[derive(Serialize)]
pub struct ShippingView {
    pub method: String,
    pub title: String,
    pub price: MoneyView,
}

#[derive(Serialize)]
pub struct OrderPaymentView {
    pub method: String,
    pub authorised: MoneyView,
    pub captured: MoneyView,
    pub refunded: MoneyView,
}

impl From<&Order> for OrderView {
    fn from(order: &Order) -> OrderView {
        let money = |minor| MoneyView::from(Money::new(minor, order.priced.currency));
        OrderView {
            id: order.id.to_string(),
            number: order.id.number(),
            checkout_id: order.id.checkout().to_string(),
            lifecycle: order.lifecycle.name(),
            payment_status: order.payment_status.name(),
            fulfilment_status: order.fulfilment_status.name(),
            email: order.buyer.email.as_str().to_owned(),
            shipping_address: (&order.buyer.shipping_address).into(),
            billing_address: order.buyer.billing_address.as_ref().map(Into::into),
            shipping_method: order.priced.shipping.as_ref().map(|it| ShippingView {
                method: it.method.clone(),
                title: it.title.clone(),
                price: it.price.into(),
            }),
            lines: lines(order),
            totals: totals_view(&order.priced),
            payment: OrderPaymentView {
                method: order.payment.method.clone(),
                authorised: money(order.payment.authorised),
                captured: money(order.payment.captured),
                refunded: money(order.payment.refunded),
            },
            placed_at: order.placed_at.and_then(rfc3339),
            fulfilments: order.fulfilments.iter().map(FulfilmentView::from).collect(),
            returns: order.returns.iter().map(ReturnView::from).collect(),
            refunds: order.refunds.iter().map(|it| refund_view(order, it)).collect(),
            timeline: None,
        }
    }
}

impl OrderView {
    /// With what happened to it, as its buyer may see it.
    #[must_use]
    pub fn with_timeline(mut self, entries: &[Entry]) -> OrderView {
        self.timeline =
            Some(entries.iter().filter(|it| it.kind.is_for_buyer()).map(|it| entry_view(it, false)).collect());
        self
    }
}
