//! A customer has one open cart, on every device; a guest's cart goes into it at sign-in.
//!
//! Two carts are two partitions, so a merge is two steps, each one conditional write: first the guest's cart is
//! frozen (`merged` into a named cart, its lines change no more), then the customer's cart takes the lines and
//! notes whose they were, in one write. Whoever repeats the call, on this device or another, goes on where it
//! stands: a guest's cart that the customer's already notes is not taken twice. At last the guest's cart keeps
//! the report; until then the customer's does.
//!
//! A customer's cart is opened by a token that is derived from the account and from a salt in the store, so that
//! every device of the customer has the same one and the guest's opens nothing.
use std::{collections::BTreeMap, time::Duration};

use offpeak_domain::{
    cart::{Cart, CartRefusal, CartState},
    ids::CartId,
    merge::{self, ForSale, MergeReport, MergeStrategy},
    money::Currency,
    sku::Sku,
};

use super::{
    Shop,
    carts::{CartError, PricedCart, open_cart, open_lapsed_lock, price_cart, price_in_store_currency},
    sha256,
};
use crate::shared::{
    documents::{
        Seen,
        carts::{self, MergeRecord, StoredCart},
        customer_carts::{self, CustomerCart},
    },
    ports::{chain, documents::StoreError},
};

/// How often a step looks again because someone else was faster.
const ATTEMPTS_MAX: u64 = 20;
/// Merges a customer's cart notes for guests' carts that do not yet know of them.
const MERGES_KEPT: usize = 3;
/// Characters of a cart's token.
const TOKEN_CHARS: usize = 32;

/// A shopper who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The account's stable subject; stored only as a hash.
    pub subject: String,
    pub groups: Vec<String>,
}

impl Customer {
    /// The account as it is stored.
    pub fn owner(&self) -> String {
        sha256(&format!("customer\n{}", self.subject))
    }

    fn token(&self, cart: CartId, salt: &str) -> String {
        let mut token = sha256(&format!("cart token\n{salt}\n{cart}\n{}", self.subject));
        token.truncate(TOKEN_CHARS);
        token
    }
}

/// A customer's cart, opened.
#[derive(Clone, Debug)]
pub struct CustomersCart {
    pub cart: PricedCart,
    pub token: String,
    /// Made by this call.
    pub new: bool,
}

/// The customer's open cart, made if there is none.
///
/// # Errors
/// [`CartError`].
pub async fn customer_cart(
    shop: &Shop,
    customer: &Customer,
    currency: Option<Currency>,
) -> Result<CustomersCart, CartError> {
    let settings = shop.settings().await?;
    if currency.is_some_and(|it| it != settings.currency) {
        return Err(CartError::WrongCurrency { store: settings.currency });
    }
    let (Seen { value, etag }, token, new) = find_or_make(shop, customer).await?;
    Ok(CustomersCart { cart: price_cart(shop, value.cart, etag).await?, token, new })
}

/// Takes a guest's cart into the customer's. A repeat changes nothing and answers the first report.
///
/// # Errors
/// [`CartError`]: `NotFound` if the token does not open the guest's cart, `Refused` while either is being paid
/// for and once the guest's is an order or another customer's.
pub async fn merge_cart(
    shop: &Shop,
    guest: CartId,
    guest_token: &str,
    customer: &Customer,
    strategy: MergeStrategy,
) -> Result<(CustomersCart, MergeRecord), CartError> {
    for attempt in 0..ATTEMPTS_MAX {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(attempt)).await;
        }
        let seen = open_cart(shop, guest, guest_token).await?;
        let (target, token, new) = find_or_make(shop, customer).await?;
        match merge_once(shop, seen, target, customer, strategy).await {
            Ok(Some((Seen { value, etag }, record))) => {
                let cart = price_cart(shop, value.cart, etag).await?;
                return Ok((CustomersCart { cart, token, new }, record));
            }
            Ok(None) | Err(CartError::Store(StoreError::Changed { .. })) => {}
            Err(err) => return Err(err),
        }
    }
    Err(CartError::Busy)
}

/// One step further, or the end; `None`: look again.
async fn merge_once(
    shop: &Shop,
    mut guest: Seen<StoredCart>,
    target: Seen<StoredCart>,
    customer: &Customer,
    strategy: MergeStrategy,
) -> Result<Option<(Seen<StoredCart>, MergeRecord)>, CartError> {
    let id = guest.value.cart.id;
    let nothing = MergeRecord { guest: id, strategy, report: MergeReport::default() };
    let CartState::Merged { into } = guest.value.cart.state else {
        if guest.value.cart.owner.is_some() {
            // A customer's own cart: there is nothing to merge with itself, and no other's is taken.
            let own = guest.value.cart.owner == Some(customer.owner());
            return if own { Ok(Some((target, nothing))) } else { Err(CartError::NotFound) };
        }
        open_lapsed_lock(shop, &mut guest.value).await?;
        guest.value.cart.must_be_open()?;
        target.value.cart.must_be_open()?;
        freeze(shop, guest, target.value.cart.id, customer).await?;
        return Ok(None);
    };
    if guest.value.cart.owner != Some(customer.owner()) {
        return Err(CartRefusal::Merged { into }.into());
    }
    if let Some(record) = guest.value.merged {
        return Ok(Some((target, record)));
    }
    let documents = shop.ports.documents.as_ref();
    let by_guest = |merges: Vec<MergeRecord>| merges.into_iter().find(|it| it.guest == id);
    let noted = if into == target.value.cart.id {
        // As it is to be written, not read again: whoever is faster is found out by its version.
        by_guest(target.value.merges.clone())
    } else {
        carts::read_cart(documents, into).await?.and_then(|seen| by_guest(seen.value.merges))
    };
    if let Some(record) = noted {
        keep_report(shop, id, &record).await;
        return Ok(Some((target, record)));
    }
    if into != target.value.cart.id {
        // The cart it was meant for is an order or has expired without it.
        freeze(shop, guest, target.value.cart.id, customer).await?;
        return Ok(None);
    }
    take(shop, &guest.value.cart, target, strategy).await.map(Some)
}

/// The guest's cart changes no more, and says where its lines go.
async fn freeze(shop: &Shop, guest: Seen<StoredCart>, into: CartId, customer: &Customer) -> Result<(), CartError> {
    let Seen { value: mut stored, etag } = guest;
    stored.cart.state = CartState::Merged { into };
    stored.cart.owner = Some(customer.owner());
    let now = shop.ports.clock.now();
    carts::write_cart(shop.ports.documents.as_ref(), &stored, Some(&etag), now).await?;
    Ok(())
}

/// The customer's cart takes the lines and notes whose they were, in one write.
async fn take(
    shop: &Shop,
    guest: &Cart,
    target: Seen<StoredCart>,
    strategy: MergeStrategy,
) -> Result<(Seen<StoredCart>, MergeRecord), CartError> {
    let Seen { value: mut stored, etag } = target;
    stored.cart.must_be_open()?;
    price_in_store_currency(shop, &mut stored.cart).await?;
    let settings = shop.settings().await?;
    let for_sale = for_sale(shop, guest, &stored.cart).await?;
    let report = merge::merge(guest, &mut stored.cart, strategy, &for_sale, &settings.limits);
    let record = MergeRecord { guest: guest.id, strategy, report };
    if stored.merges.len() >= MERGES_KEPT {
        let oldest = stored.merges.remove(0);
        store_report(shop, oldest.guest, &oldest).await?;
    }
    stored.merges.push(record.clone());
    let now = shop.ports.clock.now();
    let etag = carts::write_cart(shop.ports.documents.as_ref(), &stored, Some(&etag), now).await?;
    keep_report(shop, guest.id, &record).await;
    Ok((Seen { value: stored, etag }, record))
}

async fn for_sale(shop: &Shop, guest: &Cart, cart: &Cart) -> Result<BTreeMap<Sku, ForSale>, CartError> {
    let skus: Vec<Sku> = guest.lines.iter().chain(&cart.lines).map(|line| line.sku.clone()).collect();
    let offers = shop.catalogue.offers_latest(&skus).await?;
    let units = shop.catalogue.units(&skus).await?;
    let known = skus.into_iter().zip(offers).zip(units);
    Ok(known
        .filter_map(|((sku, offer), units)| Some((sku, ForSale { price: offer?.price, sold_out: units <= 0 })))
        .collect())
}

/// The customer's cart still knows what was done if this fails.
async fn keep_report(shop: &Shop, guest: CartId, record: &MergeRecord) {
    if let Err(err) = store_report(shop, guest, record).await {
        tracing::warn!(error = %chain(&err), cart.id = %guest, "A merged cart does not have its report yet.");
    }
}

async fn store_report(shop: &Shop, guest: CartId, record: &MergeRecord) -> Result<(), StoreError> {
    let documents = shop.ports.documents.as_ref();
    for _ in 0..ATTEMPTS_MAX {
        let Some(Seen { value: mut stored, etag }) = carts::read_cart(documents, guest).await? else { return Ok(()) };
        if stored.merged.is_some() {
            return Ok(());
        }
        stored.merged = Some(record.clone());
        match carts::write_cart(documents, &stored, Some(&etag), shop.ports.clock.now()).await {
            Err(StoreError::Changed { .. }) => {}
            done => return done.map(drop),
        }
    }
    Err(StoreError::Changed { id: guest.to_string() })
}

/// The customer's open cart with its token, and whether it is new. An order or an expired cart is followed by a
/// new one; the cart is written before it is named, so a name never leads to a cart that was not there.
async fn find_or_make(shop: &Shop, customer: &Customer) -> Result<(Seen<StoredCart>, String, bool), CartError> {
    let documents = shop.ports.documents.as_ref();
    let owner = customer.owner();
    for attempt in 0..ATTEMPTS_MAX {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(attempt)).await;
        }
        let named = customer_carts::find(documents, &owner).await?;
        if let Some(Seen { value: CustomerCart { cart, salt }, .. }) = &named
            && let Some(mut seen) = carts::read_cart(documents, *cart).await?
        {
            open_lapsed_lock(shop, &mut seen.value).await?;
            if matches!(seen.value.cart.state, CartState::Open | CartState::Locked { .. }) {
                match note_groups(shop, seen, customer).await {
                    Ok(seen) => return Ok((seen, customer.token(*cart, salt), false)),
                    Err(StoreError::Changed { .. }) => continue,
                    Err(err) => return Err(err.into()),
                }
            }
        }
        let (seen, fresh) = make(shop, customer).await?;
        match customer_carts::name(documents, &owner, &fresh, named.as_ref().map(|it| &it.etag)).await {
            Ok(()) => return Ok((seen, customer.token(fresh.cart, &fresh.salt), true)),
            // Another device was faster; the cart just made is empty and expires.
            Err(StoreError::Exists { .. } | StoreError::Changed { .. }) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Err(CartError::Busy)
}

async fn make(shop: &Shop, customer: &Customer) -> Result<(Seen<StoredCart>, CustomerCart), CartError> {
    let settings = shop.settings().await?;
    let mut cart = Cart::new(CartId::new(shop.ports.ids.ulid()), settings.currency);
    cart.owner = Some(customer.owner());
    cart.groups.clone_from(&customer.groups);
    let fresh = CustomerCart { cart: cart.id, salt: shop.ports.ids.token() };
    let stored = StoredCart::new(cart, sha256(&customer.token(fresh.cart, &fresh.salt)));
    let etag = carts::write_cart(shop.ports.documents.as_ref(), &stored, None, shop.ports.clock.now()).await?;
    Ok((Seen { value: stored, etag }, fresh))
}

/// Groups are those of the latest sign-in; a cart that is being paid for keeps those it was priced with.
async fn note_groups(shop: &Shop, seen: Seen<StoredCart>, customer: &Customer) -> Result<Seen<StoredCart>, StoreError> {
    let Seen { value: mut stored, etag } = seen;
    if stored.cart.groups == customer.groups || stored.cart.state != CartState::Open {
        return Ok(Seen { value: stored, etag });
    }
    stored.cart.groups.clone_from(&customer.groups);
    let now = shop.ports.clock.now();
    let etag = carts::write_cart(shop.ports.documents.as_ref(), &stored, Some(&etag), now).await?;
    Ok(Seen { value: stored, etag })
}
