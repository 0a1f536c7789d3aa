//! A shop with promotions in one process: carts, checkouts and completions through the real operations.
use std::sync::Arc;

use offpeak::shared::{
    documents::promotions::PromotionForm,
    operations::{
        Shop,
        carts::{PricedCart, create_cart, get_cart, set_cart_line},
        checkouts::{Choices, PricedCheckout, get_checkout, start_checkout},
        kept_answers::Rendered,
        merge_cart::{Customer, merge_cart},
        promotions::{
            coupons::{CouponError, add_code},
            manage::{ManageError, put_promotion},
        },
    },
};
use offpeak_domain::{
    address::{Address, Email},
    ids::CartId,
    merge::MergeStrategy,
    money::Money,
    promotion::{CouponCode, PromotionId},
    quantity::Quantity,
    sku::Sku,
};
use serde_json::{Value, json};

use super::check::check_uses;
use crate::saga::{
    acts::{buy, settle},
    effects::Effects,
    world::{Buyer, Planted, World},
};

pub(super) struct Till {
    pub(super) world: Arc<World>,
    pub(super) shop: Shop,
}

/// Two SKUs, `A` and `B`, at this price, so many on the shelf.
pub(super) async fn till(on_hand: i64, price: &str) -> Till {
    let world = World::new(Planted::Nothing, on_hand, price).await;
    let shop = world.process(&Effects::all_well());
    Till { world, shop }
}

pub(super) fn code(text: &str) -> CouponCode {
    CouponCode::parse(text).unwrap()
}

pub(super) fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// So many per cent off the order, for this code.
pub(super) fn percent_off(percent: u32, code: &str) -> Value {
    json!({
        "title": format!("{percent} % off"),
        "trigger": { "coded": { "codes": [code] } },
        "effect": { "order_percent": { "millionths": percent * 10_000 } },
        "combinesWith": ["product", "order", "shipping"],
    })
}

/// The same with more members.
pub(super) fn with(mut form: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        form[name] = value.clone();
    }
    form
}

/// Somebody's open cart.
#[derive(Clone, Debug)]
pub(super) struct Basket {
    pub(super) id: CartId,
    pub(super) token: String,
}

impl Till {
    pub(super) fn sku(&self, name: char) -> Sku {
        self.world.sku(name)
    }

    /// A process that has seen nothing yet.
    pub(super) fn other_process(&self) -> Shop {
        self.world.process(&Effects::all_well())
    }

    pub(super) async fn try_put(&self, id: &str, form: &Value) -> Result<(), ManageError> {
        let form: PromotionForm = serde_json::from_value(form.clone()).unwrap();
        put_promotion(&self.shop, &PromotionId::parse(id).unwrap(), &form, "*", "staff").await.map(drop)
    }

    pub(super) async fn put(&self, id: &str, form: &Value) {
        self.try_put(id, form).await.unwrap();
    }

    pub(super) async fn cart(&self, lines: &[(char, u32)]) -> Basket {
        let (cart, token) = create_cart(&self.shop, None).await.unwrap();
        let basket = Basket { id: cart.cart.id, token };
        for (name, units) in lines {
            self.set(&basket, *name, *units).await;
        }
        basket
    }

    /// The account's cart, with what was in the guest's.
    pub(super) async fn sign_in(&self, guest: &Basket, customer: &Customer) -> Basket {
        let strategy = MergeStrategy::default();
        let merged = merge_cart(&self.shop, guest.id, &guest.token, customer, strategy).await.unwrap().0;
        Basket { id: merged.cart.cart.id, token: merged.token }
    }

    pub(super) async fn set(&self, basket: &Basket, name: char, units: u32) -> PricedCart {
        let units = Quantity::new(units).ok();
        set_cart_line(&self.shop, basket.id, &basket.token, &self.sku(name), units, None).await.unwrap()
    }

    pub(super) async fn show(&self, basket: &Basket) -> PricedCart {
        get_cart(&self.shop, basket.id, &basket.token).await.unwrap()
    }

    pub(super) async fn enter(&self, basket: &Basket, text: &str) -> Result<PricedCart, CouponError> {
        Box::pin(add_code(&self.shop, basket.id, &basket.token, &code(text), None)).await
    }

    pub(super) async fn start(&self, basket: &Basket, email: &Email) -> PricedCheckout {
        let choices = Choices {
            email: Some(email.clone()),
            shipping_address: Some(Address::parse("Ada", "1 Mill Lane", None, "Leeds", None, "LS1 1AA", "GB").unwrap()),
            billing_address: None,
            shipping_method: Some("standard".to_owned()),
        };
        Box::pin(start_checkout(&self.shop, basket.id, &basket.token, &choices)).await.unwrap().1
    }

    /// The total at the checkout, as the buyer sees it now.
    pub(super) async fn total(&self, basket: &Basket) -> Money {
        let seen = Box::pin(get_checkout(&self.shop, basket.id.checkout(), &basket.token)).await.unwrap();
        seen.priced.totals.total
    }

    /// Buys at the total that the checkout shows.
    pub(super) async fn buy(&self, shop: &Shop, basket: &Basket, key: &str, method: &str) -> Rendered {
        let total = self.total(basket).await;
        self.buy_at(shop, basket, key, method, total).await
    }

    /// Buys at a total that was shown some time ago.
    pub(super) async fn buy_at(&self, shop: &Shop, basket: &Basket, key: &str, method: &str, total: Money) -> Rendered {
        let (cart, checkout, token) = (basket.id, basket.id.checkout(), basket.token.clone());
        let buyer = Buyer { cart, token, checkout, total, lines: Vec::new() };
        Box::pin(buy(&self.world, shop, &buyer, key, (method, None))).await.unwrap()
    }

    /// Everything comes to rest, and I5 must hold.
    pub(super) async fn rest(&self) {
        Box::pin(settle(&self.world, &self.shop, 1)).await.unwrap();
        let found = check_uses(self.world.documents.as_ref()).await.unwrap();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// The members of a problem or an order.
pub(super) fn body(answer: &Rendered) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}
