//! How much of one thing may be bought, at once and by one customer, as staff see and send it.
use offpeak_domain::{
    allowance::{CUSTOMER_DAYS_MAX, CUSTOMER_UNITS_MAX, CustomerLimit},
    quantity::QUANTITY_MAX,
    sku::Sku,
    store::{QuantityLimits, SKU_LIMITS_MAX, SkuLimit},
};
use serde::{Deserialize, Serialize};

use super::Faults;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LimitsView {
    per_sku: u32,
    per_cart: Option<u32>,
    #[serde(default)]
    skus: Vec<SkuLimitView>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SkuLimitView {
    sku: String,
    min: u32,
    max: u32,
    /// Most units of one customer over several purchases.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_customer: Option<CustomerLimitView>,
}

/// So many units within so many days.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerLimitView {
    units: u32,
    days: u32,
}

impl LimitsView {
    pub(super) fn parse(&self, faults: &mut Faults) -> QuantityLimits {
        faults.between("/limits/perSku", self.per_sku, 1, QUANTITY_MAX);
        if let Some(per_cart) = self.per_cart {
            faults.between("/limits/perCart", per_cart, 1, u32::MAX);
        }
        faults.most("/limits/skus", self.skus.len(), SKU_LIMITS_MAX);
        let mut skus: Vec<SkuLimit> = Vec::with_capacity(self.skus.len());
        for (at, limit) in self.skus.iter().enumerate() {
            let field = format!("/limits/skus/{at}");
            faults.between(&format!("{field}/max"), limit.max, 1, QUANTITY_MAX);
            faults.between(&format!("{field}/min"), limit.min, 1, limit.max.max(1));
            let per_customer = limit.per_customer.as_ref().map(|it| it.parse(&format!("{field}/perCustomer"), faults));
            let Some(sku) = faults.check(&format!("{field}/sku"), Sku::parse(&limit.sku)) else { continue };
            if skus.iter().any(|it| it.sku == sku) {
                faults.add(format!("{field}/sku"), "stands here twice");
            }
            skus.push(SkuLimit { sku, min: limit.min, max: limit.max, per_customer });
        }
        QuantityLimits { per_sku: self.per_sku, per_cart: self.per_cart, skus }
    }
}

impl CustomerLimitView {
    fn parse(&self, field: &str, faults: &mut Faults) -> CustomerLimit {
        faults.between(&format!("{field}/units"), self.units, 1, CUSTOMER_UNITS_MAX);
        faults.between(&format!("{field}/days"), self.days, 1, CUSTOMER_DAYS_MAX);
        CustomerLimit { units: self.units, days: self.days }
    }
}

impl From<&QuantityLimits> for LimitsView {
    fn from(limits: &QuantityLimits) -> LimitsView {
        let sku = |it: &SkuLimit| SkuLimitView {
            sku: it.sku.to_string(),
            min: it.min,
            max: it.max,
            per_customer: it.per_customer.map(|it| CustomerLimitView { units: it.units, days: it.days }),
        };
        let skus = limits.skus.iter().map(sku).collect();
        LimitsView { per_sku: limits.per_sku, per_cart: limits.per_cart, skus }
    }
}
