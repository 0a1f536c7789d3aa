//! An external tax service over HTTP: one `POST` of the basket, answered with a rate for each line.
//!
//! ```text
//! -> { "currency": "USD", "pricesIncludeTax": false,
//!      "destination": { "country": "US", "region": "NY", "postalCode": "10001" },
//!      "lines": [{ "id": "SKU-1", "taxClass": "standard", "quantity": 2, "amount": "1999" }],
//!      "shipping": { "amount": "500" } }
//! <- { "lines": [{ "id": "SKU-1", "rateMillionths": 88750 }], "shipping": { "rateMillionths": 0, "reason": "exempt" } }
//! ```
//! Amounts are minor units as digits, rates millionths; a rate of zero carries a reason (`zero_rated`, `exempt`,
//! `export`). Asking changes nothing at the service, so whoever gets no answer may ask again.
use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use offpeak_domain::{
    sku::Sku,
    store::Rate,
    tax::{AppliedTax, ProvidedTaxes, TaxReason},
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::http_client::{self, HttpClient};
use crate::shared::ports::taxes::{TaxQuestion, Taxes, TaxesUnavailable};

/// How long one answer may take; a shopper waits for it.
pub const PATIENCE: Duration = Duration::from_secs(2);

pub struct TaxHttp {
    client: HttpClient,
    patience: Duration,
}

#[derive(Deserialize)]
struct Answer {
    lines: Vec<AnsweredLine>,
    shipping: Option<AnsweredRate>,
}

#[derive(Deserialize)]
struct AnsweredLine {
    id: String,
    #[serde(flatten)]
    rate: AnsweredRate,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnsweredRate {
    rate_millionths: u32,
    reason: Option<String>,
}

impl TaxHttp {
    pub fn new(client: HttpClient, patience: Duration) -> TaxHttp {
        TaxHttp { client, patience }
    }

    async fn ask(&self, url: &str, body: String) -> Result<Answer, TaxesUnavailable> {
        let url: Url = url.parse().map_err(unusable)?;
        let request = self.client.get().map_err(unusable)?.post(url).timeout(self.patience);
        let response = request.header("content-type", "application/json").body(body).send().await.map_err(unsent)?;
        let response = response.error_for_status().map_err(unsent)?;
        let bytes = http_client::body(response).await.map_err(unusable)?;
        serde_json::from_slice(&bytes).map_err(unusable)
    }
}

#[async_trait]
impl Taxes for TaxHttp {
    async fn rates(&self, url: &str, question: &TaxQuestion) -> Result<ProvidedTaxes, TaxesUnavailable> {
        let answer = self.ask(url, asked(question).to_string()).await?;
        let mut by_sku = BTreeMap::new();
        for line in &answer.lines {
            by_sku.insert(Sku::parse(&line.id).map_err(unusable)?, line.rate.parse()?);
        }
        let missing = question.lines.iter().find(|it| !by_sku.contains_key(&it.sku));
        if let Some(line) = missing {
            return Err(unusable(format!("no rate for {}", line.sku)));
        }
        let shipping = match (&question.shipping, &answer.shipping) {
            (None, _) => None,
            (Some(_), Some(rate)) => Some(rate.parse()?),
            (Some(_), None) => return Err(unusable("no rate for shipping")),
        };
        Ok(ProvidedTaxes { by_sku, shipping })
    }
}

fn asked(question: &TaxQuestion) -> Value {
    let destination = &question.destination;
    let line = |it: &crate::shared::ports::taxes::TaxedLine| json!({ "id": it.sku.as_str(), "taxClass": it.class, "quantity": it.units, "amount": it.amount.minor().to_string() });
    json!({
        "currency": question.currency.code(),
        "pricesIncludeTax": question.prices_include_tax,
        "destination": {
            "country": destination.country.code(),
            "region": destination.region,
            "postalCode": destination.postal_code,
        },
        "lines": question.lines.iter().map(line).collect::<Vec<_>>(),
        "shipping": question.shipping.map(|it| json!({ "amount": it.minor().to_string() })),
    })
}

impl AnsweredRate {
    fn parse(&self) -> Result<AppliedTax, TaxesUnavailable> {
        let rate = Rate::new(self.rate_millionths).ok_or_else(|| unusable("a rate above 100 %"))?;
        let reason = match self.reason.as_deref() {
            None => None,
            Some(name) => Some(TaxReason::parse(name).ok_or_else(|| unusable(format!("unknown reason {name}")))?),
        };
        if rate == Rate::ZERO && reason.is_none() {
            return Err(unusable("a rate of zero without a reason"));
        }
        Ok(AppliedTax::new(rate, reason))
    }
}

/// The address may carry a key.
fn unsent(err: reqwest::Error) -> TaxesUnavailable {
    unusable(err.without_url())
}

fn unusable(err: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TaxesUnavailable {
    TaxesUnavailable(err.into())
}
