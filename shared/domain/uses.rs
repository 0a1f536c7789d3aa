//! How often something may be used: a pool counts its live claims, in all and for each customer.
//!
//! A claim belongs to one order and is live or released. It carries the fence of the run that wrote it, so a
//! run that was overtaken can neither claim for an order that has given up nor give back what a newer run
//! has claimed. All rules are pure; the caller writes counter, customer and claim in one batch.
use crate::ids::OrderId;

/// How many live claims a pool may have; `None`: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UseLimits {
    pub total: Option<u32>,
    pub per_customer: Option<u32>,
}

/// What a pool has counted, before or after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub total: u32,
    /// By each name of the customer whose claim this is about.
    pub by_customer: Vec<u32>,
}

impl Used {
    fn taken(&self) -> Used {
        let by_customer = self.by_customer.iter().map(|it| it.saturating_add(1)).collect();
        Used { total: self.total.saturating_add(1), by_customer }
    }

    fn given_back(&self) -> Used {
        let by_customer = self.by_customer.iter().map(|it| it.saturating_sub(1)).collect();
        Used { total: self.total.saturating_sub(1), by_customer }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseState {
    Live,
    /// Given back, or refused in advance: no claim of the same or a lower fence comes any more.
    Released,
}

/// One order's use of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseClaim {
    pub order: OrderId,
    /// The customer's keys, each counted: that of the e-mail address, and the account's of who is signed in.
    /// Empty where nobody counts by customer, and for what was released unclaimed.
    pub customers: Vec<String>,
    pub fence: u32,
    pub state: UseState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UseRefusal {
    #[error("every use is taken")]
    Exhausted,
    #[error("this customer has taken every use that is theirs")]
    ExhaustedForCustomer,
    /// A newer run owns this order.
    #[error("a newer run has taken over")]
    Superseded,
}

/// Takes one use for an order. `earlier` is the order's claim as stored; `used.by_customer` stands
/// beside the customers of `wanted`. `None`: the order has it already.
///
/// # Errors
/// [`UseRefusal`].
pub fn claim(
    used: &Used,
    earlier: Option<&UseClaim>,
    wanted: &UseClaim,
    limits: UseLimits,
) -> Result<Option<(Used, UseClaim)>, UseRefusal> {
    if let Some(earlier) = earlier {
        let live = earlier.state == UseState::Live;
        if earlier.fence > wanted.fence || (!live && earlier.fence == wanted.fence) {
            return Err(UseRefusal::Superseded);
        }
        if live && earlier.fence == wanted.fence {
            return Ok(None);
        }
        if live {
            // Counted already; from now on the older run cannot give it back.
            return Ok(Some((used.clone(), UseClaim { fence: wanted.fence, ..earlier.clone() })));
        }
    }
    if limits.total.is_some_and(|most| used.total >= most) {
        return Err(UseRefusal::Exhausted);
    }
    if limits.per_customer.is_some_and(|most| used.by_customer.iter().any(|it| *it >= most)) {
        return Err(UseRefusal::ExhaustedForCustomer);
    }
    Ok(Some((used.taken(), UseClaim { state: UseState::Live, ..wanted.clone() })))
}

/// Gives an order's use back, and lets no claim of this or an older run come later. `used.by_customer` stands
/// beside the customers of `earlier`. `None`: it is given back already.
///
/// # Errors
/// `Superseded`.
pub fn release(
    used: &Used,
    earlier: Option<&UseClaim>,
    order: OrderId,
    fence: u32,
) -> Result<Option<(Used, UseClaim)>, UseRefusal> {
    let Some(earlier) = earlier else {
        let claim = UseClaim { order, customers: Vec::new(), fence, state: UseState::Released };
        return Ok(Some((used.clone(), claim)));
    };
    if earlier.fence > fence {
        return Err(UseRefusal::Superseded);
    }
    let after = UseClaim { fence, state: UseState::Released, ..earlier.clone() };
    Ok(match earlier.state {
        UseState::Released if earlier.fence == fence => None,
        UseState::Released => Some((used.clone(), after)),
        UseState::Live => Some((used.given_back(), after)),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::ids::CartId;

    fn order(n: u64) -> OrderId {
        CartId::new(Ulid::from_parts(1, u128::from(n))).checkout().order()
    }

    fn wanted(n: u64, customers: &str, fence: u32) -> UseClaim {
        let customers = customers.split('+').map(str::to_owned).collect();
        UseClaim { order: order(n), customers, fence, state: UseState::Live }
    }

    fn nobody() -> Used {
        Used { total: 0, by_customer: vec![0] }
    }

    #[test]
    fn a_use_is_taken_once_and_given_back_once() {
        let limits = UseLimits { total: Some(1), per_customer: None };
        let (used, mine) = claim(&nobody(), None, &wanted(1, "a", 1), limits).unwrap().unwrap();
        assert_eq!(used, Used { total: 1, by_customer: vec![1] });
        assert_eq!(claim(&used, Some(&mine), &wanted(1, "a", 1), limits), Ok(None));
        assert_eq!(claim(&used, None, &wanted(2, "b", 1), limits), Err(UseRefusal::Exhausted));
        let (used, mine) = release(&used, Some(&mine), order(1), 1).unwrap().unwrap();
        assert_eq!(used, nobody());
        assert_eq!(release(&used, Some(&mine), order(1), 1), Ok(None));
        assert!(claim(&used, None, &wanted(2, "b", 1), limits).unwrap().is_some());
    }

    #[test]
    fn either_name_of_a_customer_that_is_used_up_refuses() {
        let limits = UseLimits { total: None, per_customer: Some(1) };
        let used = |by_customer: [u32; 2]| Used { total: 1, by_customer: by_customer.to_vec() };
        for taken in [[1, 0], [0, 1]] {
            let done = claim(&used(taken), None, &wanted(1, "a+x", 1), limits);
            assert_eq!(done, Err(UseRefusal::ExhaustedForCustomer));
        }
        let (after, mine) = claim(&used([0, 0]), None, &wanted(1, "a+x", 1), limits).unwrap().unwrap();
        assert_eq!(after, Used { total: 2, by_customer: vec![1, 1] });
        assert_eq!(release(&after, Some(&mine), order(1), 1).unwrap().unwrap().0, used([0, 0]));
    }

    #[test]
    fn a_run_that_was_overtaken_changes_nothing() {
        let limits = UseLimits::default();
        // Given back before the claim arrives: the claim is late.
        let (used, gone) = release(&nobody(), None, order(1), 3).unwrap().unwrap();
        assert_eq!(used, nobody());
        for fence in [1, 3] {
            assert_eq!(claim(&used, Some(&gone), &wanted(1, "a", fence), limits), Err(UseRefusal::Superseded));
        }
        // The next attempt claims; the older run cannot give that back.
        let (used, mine) = claim(&used, Some(&gone), &wanted(1, "a", 4), limits).unwrap().unwrap();
        assert_eq!(release(&used, Some(&mine), order(1), 3), Err(UseRefusal::Superseded));
        // A run that takes over keeps the use and shuts the older one out.
        let (same, mine) = claim(&used, Some(&mine), &wanted(1, "a", 5), limits).unwrap().unwrap();
        assert_eq!((same, mine.fence), (used.clone(), 5));
        assert_eq!(release(&used, Some(&mine), order(1), 4), Err(UseRefusal::Superseded));
    }

    proptest! {
        /// Whatever runs do in whatever order, the counters say how many claims are live, within the limits.
        #[test]
        fn counters_are_the_number_of_live_claims(
            acts in proptest::collection::vec((0_u64..6, 0_usize..4, 1_u32..6, any::<bool>()), 0..80),
            total in proptest::option::of(0_u32..5),
            per_customer in proptest::option::of(0_u32..3),
        ) {
            let limits = UseLimits { total, per_customer };
            let mut all = 0;
            let mut by: BTreeMap<String, u32> = BTreeMap::new();
            let mut claims: BTreeMap<u64, UseClaim> = BTreeMap::new();
            for (n, customer, fence, takes) in acts {
                let wanted = wanted(n, ["a", "b", "a+x", "b+x"][customer], fence);
                let earlier = claims.get(&n).cloned();
                let whose = match &earlier {
                    Some(it) if it.state == UseState::Live || !takes => it.customers.clone(),
                    _ => wanted.customers.clone(),
                };
                let counted = whose.iter().map(|it| by.get(it).copied().unwrap_or(0));
                let used = Used { total: all, by_customer: counted.collect() };
                let done = if takes {
                    claim(&used, earlier.as_ref(), &wanted, limits)
                } else {
                    release(&used, earlier.as_ref(), wanted.order, fence)
                };
                if let Ok(Some((used, after))) = done {
                    all = used.total;
                    by.extend(whose.into_iter().zip(used.by_customer));
                    claims.insert(n, after);
                }
                let live: Vec<_> = claims.values().filter(|it| it.state == UseState::Live).collect();
                prop_assert_eq!(usize::try_from(all).unwrap(), live.len());
                prop_assert!(total.is_none_or(|most| all <= most));
                for (customer, count) in &by {
                    let mine = live.iter().filter(|it| it.customers.contains(customer)).count();
                    prop_assert_eq!(usize::try_from(*count).unwrap(), mine);
                    prop_assert!(per_customer.is_none_or(|most| *count <= most));
                }
            }
        }
    }
}
