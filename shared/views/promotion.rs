//! Promotions and price lists as staff read and write them, and a dry run of both.
use offpeak_domain::{
    address::{Country, Destination, Email},
    code::Code,
    pricing::{Discount, Priced},
    promotion::{CouponCode, PromotionId},
    quantity::Quantity,
    sku::Sku,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    cart::{TotalsView, totals_view},
    checkout::{PricedLineView, line_view},
    discounts::SkippedView,
    money::MoneyView,
};
use crate::shared::{
    documents::promotions::Written,
    host::problem::Problem,
    operations::promotions::{
        codes::{CodesError, MadeCodes},
        coupons::CouponError,
        dry_run::{Dry, DryRun, TryError},
        manage::ManageError,
        quote::QuoteError,
    },
};

pub use crate::shared::documents::{price_lists::PriceListForm, promotions::PromotionForm};

/// What is stored, as it was written, with its id and who wrote it last.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenView<F: Serialize> {
    pub id: String,
    #[serde(flatten)]
    pub form: F,
    pub updated_by: String,
    pub updated_at: String,
}

impl<F: Serialize> From<Written<F>> for WrittenView<F> {
    fn from(written: Written<F>) -> WrittenView<F> {
        let updated_at = written.at.format(&Rfc3339).unwrap_or_default();
        WrittenView { id: written.id, form: written.form, updated_by: written.by, updated_at }
    }
}

/// A basket to try promotions on; nothing is stored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TryBody {
    lines: Vec<TryLine>,
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    /// Whose earlier orders and uses count; absent for a stranger.
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    destination: Option<TryDestination>,
    #[serde(default)]
    shipping_method: Option<String>,
    /// The moment to price at; now if absent.
    #[serde(default, with = "time::serde::rfc3339::option")]
    at: Option<OffsetDateTime>,
    /// In place of the stored one.
    #[serde(default)]
    promotion: Option<PromotionForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TryLine {
    sku: String,
    quantity: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TryDestination {
    country: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    postal_code: Option<String>,
}

/// Most lines of a basket that is tried.
const LINES_MAX: usize = 100;

impl TryBody {
    /// # Errors
    /// 422 with the member at fault.
    pub fn parse(self, id: PromotionId) -> Result<DryRun, Problem> {
        if self.lines.len() > LINES_MAX {
            return Err(Problem::invalid("lines", format!("at most {LINES_MAX}")));
        }
        let mut lines = Vec::with_capacity(self.lines.len());
        for (index, line) in self.lines.iter().enumerate() {
            let at = |member: &str| format!("lines[{index}].{member}");
            let sku = Sku::parse(&line.sku).map_err(|err| Problem::invalid(&at("sku"), err.to_string()))?;
            let units =
                Quantity::new(line.quantity).map_err(|err| Problem::invalid(&at("quantity"), err.to_string()))?;
            lines.push((sku, units));
        }
        let code = |text: &String| CouponCode::parse(text).map_err(|err| Problem::invalid("codes", err.to_string()));
        let email = self.email.as_deref().map(Email::parse).transpose();
        Ok(DryRun {
            promotion: id,
            form: self.promotion,
            lines,
            codes: self.codes.iter().map(code).collect::<Result<_, _>>()?,
            groups: self.groups,
            email: email.map_err(|err| Problem::invalid("email", err.to_string()))?,
            destination: self.destination.map(TryDestination::parse).transpose()?,
            method: self.shipping_method,
            at: self.at,
        })
    }
}

impl TryDestination {
    fn parse(self) -> Result<Destination, Problem> {
        let country = Country::parse(&self.country);
        let country = country.map_err(|err| Problem::invalid("destination.country", err.to_string()))?;
        Ok(Destination { country, region: self.region, postal_code: self.postal_code })
    }
}

/// What a dry run found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TryView {
    /// Whether the promotion that was tried takes something off.
    applied: bool,
    lines: Vec<PricedLineView>,
    discounts: Vec<SharesView>,
    /// Everything that takes nothing off, with its reason.
    skipped_promotions: Vec<SkippedView>,
    totals: TotalsView,
}

/// What one promotion takes off, and where.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SharesView {
    promotion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    title: String,
    amount: MoneyView,
    /// For each line, in order.
    lines: Vec<MoneyView>,
    shipping: MoneyView,
}

impl From<&Dry> for TryView {
    fn from(dry: &Dry) -> TryView {
        let priced: &Priced = &dry.priced;
        let shares = |it: &Discount| SharesView {
            promotion: it.promotion.to_string(),
            code: it.code.as_ref().map(ToString::to_string),
            title: it.title.clone(),
            amount: it.amount.into(),
            lines: it.lines.iter().map(|it| (*it).into()).collect(),
            shipping: it.shipping.into(),
        };
        TryView {
            applied: priced.discounts.iter().any(|it| it.promotion == dry.promotion),
            lines: priced.lines.iter().map(line_view).collect(),
            discounts: priced.discounts.iter().map(shares).collect(),
            skipped_promotions: priced.skipped.iter().map(Into::into).collect(),
            totals: totals_view(priced),
        }
    }
}

/// The codes of a batch, or how far it is.
#[derive(Serialize)]
pub struct CodesView {
    pub count: u32,
    pub made: usize,
    pub codes: Vec<String>,
}

impl From<&MadeCodes> for CodesView {
    fn from(made: &MadeCodes) -> CodesView {
        let codes: Vec<String> = made.codes.iter().map(ToString::to_string).collect();
        CodesView { count: made.count, made: codes.len(), codes }
    }
}

impl From<ManageError> for Problem {
    fn from(err: ManageError) -> Problem {
        match err {
            ManageError::Invalid(fault) => Problem::invalid(&fault.field, fault.detail),
            ManageError::Changed => Problem::new(
                Code::EtagMismatch,
                "It is not the version in If-Match. Read it again; send * to create it.",
            ),
            ManageError::TooMany { .. } => {
                Problem::new(Code::ValidationFailed, format!("Replace one that is over: {err}."))
            }
            ManageError::Settings(err) => err.into(),
            ManageError::Store(err) => err.into(),
        }
    }
}

impl From<CodesError> for Problem {
    fn from(err: CodesError) -> Problem {
        match err {
            CodesError::NoPromotion => Problem::new(Code::NotFound, "There is no such promotion. Make it with PUT."),
            CodesError::Automatic => Problem::new(
                Code::ValidationFailed,
                "This promotion is automatic. Give it the trigger `coded` first, with or without shared codes.",
            ),
            CodesError::Invalid { field, detail } => Problem::invalid(field, detail),
            CodesError::OtherBatch { .. } => {
                Problem::new(Code::Conflict, format!("{err}. Repeat it as it was, or name another batch."))
            }
            CodesError::Store(err) => err.into(),
        }
    }
}

impl From<QuoteError> for Problem {
    fn from(err: QuoteError) -> Problem {
        match err {
            QuoteError::Pricing(err) => err.into(),
            QuoteError::Store(err) => err.into(),
        }
    }
}

impl From<TryError> for Problem {
    fn from(err: TryError) -> Problem {
        match err {
            TryError::NoPromotion => {
                Problem::new(Code::NotFound, "There is no such promotion. Send one as `promotion` to try it unstored.")
            }
            TryError::UnknownSku { sku } => {
                Problem::new(Code::UnknownSku, format!("{sku} is not for sale.")).with("sku", json!(sku.as_str()))
            }
            TryError::Invalid(fault) => Problem::invalid(&format!("promotion.{}", fault.field), fault.detail),
            TryError::Settings(err) => err.into(),
            TryError::Quote(err) => err.into(),
            TryError::Store(err) => err.into(),
        }
    }
}

impl From<CouponError> for Problem {
    fn from(err: CouponError) -> Problem {
        match &err {
            CouponError::Refused { reason } => {
                let detail = "The cart is as it was. Check the code; `reason` says what is wrong with it.";
                Problem::new(Code::CouponRefused, detail).with("reason", json!(reason.name()))
            }
            CouponError::TooManyTries { retry_after_s } => {
                let detail = "Too many codes were tried on this cart. Wait before you try another.";
                Problem::new(Code::TooManyAttempts, detail).retry_after(*retry_after_s)
            }
            CouponError::Cart(_) => match err {
                CouponError::Cart(err) => err.into(),
                CouponError::Refused { .. } | CouponError::TooManyTries { .. } => Problem::bare(Code::Internal),
            },
        }
    }
}
