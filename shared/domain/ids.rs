//! Ids. Whatever can be derived is not drawn: cart, checkout and order share one ULID, so a cart can
//! make at most one checkout and at most one order.
use std::fmt;

use sha2::{Digest, Sha256};
use ulid::Ulid;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind: expected {prefix} and 26 characters")]
pub struct BadId {
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            pub const fn new(ulid: Ulid) -> $name {
                $name(ulid)
            }

            /// Only the exact text that `Display` writes.
            ///
            /// # Errors
            /// [`BadId`].
            pub fn parse(text: &str) -> Result<$name, BadId> {
                let bad = BadId { prefix: $prefix };
                let ulid = text.strip_prefix($prefix).and_then(|it| Ulid::from_string(it).ok()).ok_or(bad.clone())?;
                let id = $name(ulid);
                if id.to_string() == text { Ok(id) } else { Err(bad) }
            }

            pub const fn ulid(self) -> Ulid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(
    /// `cart_…`, drawn when the cart is created.
    CartId,
    "cart_"
);
id!(
    /// `chk_…`, derived from the cart.
    CheckoutId,
    "chk_"
);
id!(
    /// `ord_…`, derived from the checkout.
    OrderId,
    "ord_"
);

id!(
    /// `job_…`, drawn when a long piece of work begins.
    JobId,
    "job_"
);

impl CartId {
    pub const fn checkout(self) -> CheckoutId {
        CheckoutId(self.0)
    }
}

impl CheckoutId {
    pub const fn cart(self) -> CartId {
        CartId(self.0)
    }

    pub const fn order(self) -> OrderId {
        OrderId(self.0)
    }

    /// The name of one payment attempt: the provider's idempotency key.
    pub fn attempt(self, number: u32) -> String {
        format!("pay_{}_{number}", self.0)
    }

    /// The checkout and the number of an attempt, from exactly what [`CheckoutId::attempt`] writes.
    pub fn parse_attempt(text: &str) -> Option<(CheckoutId, u32)> {
        let (ulid, number) = text.strip_prefix("pay_")?.split_once('_')?;
        let (id, number) = (CheckoutId(Ulid::from_string(ulid).ok()?), number.parse().ok()?);
        (id.attempt(number) == text).then_some((id, number))
    }
}

impl OrderId {
    pub const fn checkout(self) -> CheckoutId {
        CheckoutId(self.0)
    }

    /// What people read out: ten characters of Crockford's base 32 (50 bits of a hash of the id) and one
    /// check character, modulo 37 as Crockford defines it, e.g. `7Q3ZK-M2V9T5`.
    pub fn number(self) -> String {
        const ALPHABET: &[u8; 37] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";
        let hash = Sha256::digest(self.to_string());
        let bits = hash.iter().take(8).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte)) >> 14;
        let character = |index: u64| char::from(ALPHABET[usize::try_from(index).unwrap_or(0)]);
        let mut text: String = (0..10).rev().map(|place| character((bits >> (5 * place)) & 31)).collect();
        text.push(character(bits % 37));
        text.insert(5, '-');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_only_as_it_is_written() {
        let id = CartId::new(Ulid::from_parts(1_700_000_000_000, 42));
        assert_eq!(CartId::parse(&id.to_string()), Ok(id));
        for bad in ["", "cart_", "chk_01HF7YAT00000000000000001A", &id.to_string().to_lowercase(), "cart_x"] {
            assert!(CartId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_attempt_names_its_checkout() {
        let id = CartId::new(Ulid::from_parts(1_700_000_000_000, 42)).checkout();
        assert_eq!(CheckoutId::parse_attempt(&id.attempt(3)), Some((id, 3)));
        let attempt = id.attempt(3);
        for bad in
            ["", "pay_", "pay_x_1", &attempt.to_lowercase(), &format!("{attempt}x"), &attempt.replace("_3", "_03")]
        {
            assert_eq!(CheckoutId::parse_attempt(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_cart_names_one_order_with_a_checkable_number() {
        let cart = CartId::new(Ulid::from_parts(1_700_000_000_000, 42));
        let order = cart.checkout().order();
        assert_eq!(order.to_string()[4..], cart.to_string()[5..]);
        assert_eq!(order.checkout().cart(), cart);
        assert_eq!(order.number(), order.number());
        assert_eq!(order.number().len(), 12);
        let other = CartId::new(Ulid::from_parts(1_700_000_000_000, 43)).checkout().order();
        assert_ne!(order.number(), other.number());
    }
}
