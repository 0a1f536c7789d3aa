//! Single-use codes, in container `promo_use`. A code has the pool `code:<hash>` to itself: document `code`
//! says which promotion it opens, and the pool's counter whether it is used. Codes are found by the SHA-256 of
//! the code, so nothing is ever compared with what a buyer typed and no time tells how much of it was right.
//!
//! A batch stands in the promotion's pool as `batch:<id>`: the secret that its codes are derived from is drawn
//! once and stored, so making them again makes the same ones.
use offpeak_domain::promotion::{CouponCode, PromotionId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{Seen, Stored, create, parse, promo_use::PoolKey, put};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError};

const CODE: &str = "code";

/// The code number `number` of a promotion's batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CodeEntry {
    r#type: String,
    pub promotion: String,
    pub batch: String,
    pub number: u32,
}

impl Stored for CodeEntry {
    const SCHEMA: &'static str = "coupon_code/1";
}

/// Codes that were asked for together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CodeBatch {
    r#type: String,
    pub id: String,
    /// 256 random bits, hexadecimal.
    pub secret: String,
    /// What every code begins with.
    pub prefix: String,
    pub count: u32,
    /// The codes up to here are stored.
    pub made: u32,
    /// The person's subject.
    pub by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Stored for CodeBatch {
    const SCHEMA: &'static str = "coupon_batch/1";
}

impl CodeBatch {
    pub fn new(id: &str, secret: String, prefix: &str, count: u32, by: &str, at: OffsetDateTime) -> CodeBatch {
        let (id, prefix, by) = (id.to_owned(), prefix.to_owned(), by.to_owned());
        CodeBatch { r#type: "batch".to_owned(), id, secret, prefix, count, made: 0, by, at }
    }
}

/// The pool of one code.
pub fn code_pool(code: &CouponCode) -> PoolKey {
    PoolKey::code(&format!("{:x}", Sha256::digest(code.as_str())))
}

/// # Errors
/// As the port's.
pub async fn read_code(documents: &dyn Documents, code: &CouponCode) -> Result<Option<CodeEntry>, StoreError> {
    let pool = code_pool(code);
    let found = documents.read(Container::PromoUse, pool.as_str(), CODE).await?;
    found.map(|document| parse::<CodeEntry>(document).map(|seen| seen.value)).transpose()
}

/// Makes a code this batch's own; `false` if it is another's. Safe to repeat.
///
/// # Errors
/// As the port's.
pub async fn claim_code(
    documents: &dyn Documents,
    code: &CouponCode,
    promotion: &PromotionId,
    batch: &str,
    number: u32,
) -> Result<bool, StoreError> {
    let (promotion, batch) = (promotion.to_string(), batch.to_owned());
    let entry = CodeEntry { r#type: CODE.to_owned(), promotion, batch, number };
    let write = create(CODE, &entry, None)?;
    match documents.write(Container::PromoUse, code_pool(code).as_str(), vec![write]).await {
        Ok(_) => Ok(true),
        Err(StoreError::Exists { .. }) => Ok(read_code(documents, code).await?.is_some_and(|it| it == entry)),
        Err(err) => Err(err),
    }
}

/// # Errors
/// As the port's.
pub async fn read_batch(
    documents: &dyn Documents,
    promotion: &PromotionId,
    batch: &str,
) -> Result<Option<Seen<CodeBatch>>, StoreError> {
    let pool = PoolKey::promotion(promotion.as_str());
    documents.read(Container::PromoUse, pool.as_str(), &batch_id(batch)).await?.map(parse).transpose()
}

/// Answers the new version.
///
/// # Errors
/// As the port's.
pub async fn write_batch(
    documents: &dyn Documents,
    promotion: &PromotionId,
    batch: &CodeBatch,
    seen: Option<&ETag>,
) -> Result<ETag, StoreError> {
    let pool = PoolKey::promotion(promotion.as_str());
    let write = put(batch_id(&batch.id), batch, seen, None)?;
    let etags = documents.write(Container::PromoUse, pool.as_str(), vec![write]).await?;
    etags.into_iter().next().ok_or_else(|| StoreError::Refused("the store answered no etag".to_owned()))
}

fn batch_id(batch: &str) -> String {
    format!("batch:{batch}")
}
