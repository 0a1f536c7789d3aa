//! Single-use codes by the thousand. A batch is named by staff; its secret is drawn once and stored, and every
//! code is derived from it, so a call that broke off is repeated until all codes stand, and no code twice.
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use offpeak_domain::promotion::{CODE_MAX, CouponCode, PromotionId, Trigger};
use sha2::{Digest, Sha256};

use crate::shared::{
    documents::{
        Seen,
        coupon_codes::{self, CodeBatch},
    },
    operations::Shop,
    ports::documents::StoreError,
};

/// Codes of one batch.
pub const BATCH_CODES_MAX: u32 = 10_000;
/// Longest name of a batch, and longest prefix of its codes, in characters.
pub const BATCH_ID_MAX: usize = 64;
pub const PREFIX_MAX: usize = 20;

/// Characters drawn for one code: 60 random bits.
const DRAWN: usize = 12;
/// No two of them look alike: Crockford's base 32, without I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Codes stored at the same time.
const WRITES_MAX: usize = 32;
/// How many codes are stored between two notes of how far the batch is.
const STRIDE: u32 = 500;
/// How long one call goes on making codes; then the caller repeats it.
const MAKING: Duration = Duration::from_secs(15);
/// Tries for one code; two codes that are alike are one case in 10^14.
const TRIES_MAX: u32 = 4;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedCodes {
    pub promotion: PromotionId,
    /// Staff's name for the batch; the same name means the same codes.
    pub batch: String,
    pub count: u32,
    /// What every code begins with; may be empty.
    pub prefix: String,
}

/// How far a batch is. `codes` are those that stand, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeCodes {
    pub count: u32,
    pub codes: Vec<CouponCode>,
}

impl MadeCodes {
    pub fn is_complete(&self) -> bool {
        u32::try_from(self.codes.len()).is_ok_and(|it| it == self.count)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CodesError {
    #[error("there is no such promotion")]
    NoPromotion,
    /// Its trigger takes no codes.
    #[error("the promotion is automatic and takes no codes")]
    Automatic,
    #[error("{field}: {detail}")]
    Invalid { field: &'static str, detail: String },
    /// The name stands for other codes.
    #[error("the batch has {count} codes that begin with `{prefix}`")]
    OtherBatch { count: u32, prefix: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the codes of a batch, or as many as there is time for; repeating the call goes on.
///
/// # Errors
/// [`CodesError`].
pub async fn make_codes(shop: &Shop, wanted: &WantedCodes, by: &str) -> Result<MadeCodes, CodesError> {
    check(wanted)?;
    let documents = shop.ports.documents.as_ref();
    let offering = shop.promotions.latest(documents).await?;
    let promotion = offering.promotions.iter().find(|it| it.id == wanted.promotion).ok_or(CodesError::NoPromotion)?;
    if promotion.trigger == Trigger::Automatic {
        return Err(CodesError::Automatic);
    }
    let mut seen = open_batch(shop, wanted, by).await?;
    let mut codes = Vec::new();
    let making = async {
        while !is_made(&codes, wanted.count) {
            let from = u32::try_from(codes.len()).unwrap_or(u32::MAX);
            let upto = (from + STRIDE).min(wanted.count);
            let secret = &seen.value.secret;
            let made = (from..upto).map(|number| make_code(shop, wanted, secret, number + 1));
            let made: Vec<CouponCode> = stream::iter(made).buffered(WRITES_MAX).try_collect().await?;
            codes.extend(made);
            if upto > seen.value.made {
                seen.value.made = upto;
                match coupon_codes::write_batch(documents, &wanted.promotion, &seen.value, Some(&seen.etag)).await {
                    Ok(etag) => seen.etag = etag,
                    // Someone else makes the same codes: their note is as good.
                    Err(StoreError::Changed { .. }) => seen = open_batch(shop, wanted, by).await?,
                    Err(err) => return Err(err.into()),
                }
            }
        }
        Ok::<_, CodesError>(())
    };
    match tokio::time::timeout(MAKING, making).await {
        Ok(done) => done?,
        Err(_) => {
            tracing::info!(promotion.id = %wanted.promotion, "{} of {} codes are made.", codes.len(), wanted.count)
        }
    }
    Ok(MadeCodes { count: wanted.count, codes })
}

fn is_made(codes: &[CouponCode], count: u32) -> bool {
    u32::try_from(codes.len()).is_ok_and(|it| it >= count)
}

fn check(wanted: &WantedCodes) -> Result<(), CodesError> {
    let invalid = |field, detail: String| Err(CodesError::Invalid { field, detail });
    if PromotionId::parse(&wanted.batch).is_err() {
        return invalid("batch", format!("1 to {BATCH_ID_MAX} of the characters a-z 0-9 -"));
    }
    if !(1..=BATCH_CODES_MAX).contains(&wanted.count) {
        return invalid("count", format!("from 1 to {BATCH_CODES_MAX}; make several batches for more"));
    }
    let fits = wanted.prefix.is_empty() || CouponCode::parse(&wanted.prefix).is_ok();
    if !fits || wanted.prefix.len() > PREFIX_MAX.min(CODE_MAX - DRAWN) {
        return invalid("prefix", format!("at most {PREFIX_MAX} of the letters A to Z, digits, - and _"));
    }
    Ok(())
}

/// The batch as stored; drawn and stored now if it is new.
async fn open_batch(shop: &Shop, wanted: &WantedCodes, by: &str) -> Result<Seen<CodeBatch>, CodesError> {
    let documents = shop.ports.documents.as_ref();
    let seen = match coupon_codes::read_batch(documents, &wanted.promotion, &wanted.batch).await? {
        Some(seen) => seen,
        None => {
            let secret = format!("{}{}", shop.ports.ids.token(), shop.ports.ids.token());
            let now = shop.ports.clock.now();
            let value = CodeBatch::new(&wanted.batch, secret, &wanted.prefix, wanted.count, by, now);
            match coupon_codes::write_batch(documents, &wanted.promotion, &value, None).await {
                Ok(etag) => Seen { value, etag },
                Err(StoreError::Exists { id }) => {
                    let other = coupon_codes::read_batch(documents, &wanted.promotion, &wanted.batch).await?;
                    other.ok_or(StoreError::Changed { id })?
                }
                Err(err) => return Err(err.into()),
            }
        }
    };
    if seen.value.count != wanted.count || seen.value.prefix != wanted.prefix {
        let CodeBatch { count, prefix, .. } = seen.value;
        return Err(CodesError::OtherBatch { count, prefix });
    }
    Ok(seen)
}

async fn make_code(shop: &Shop, wanted: &WantedCodes, secret: &str, number: u32) -> Result<CouponCode, CodesError> {
    let documents = shop.ports.documents.as_ref();
    for turn in 0..TRIES_MAX {
        let code = derive(wanted, secret, number, turn)?;
        if coupon_codes::claim_code(documents, &code, &wanted.promotion, &wanted.batch, number).await? {
            return Ok(code);
        }
    }
    Err(StoreError::Refused(format!("no code was free for number {number}")).into())
}

/// SHA-256 over the batch's secret (of a fixed length, so no two inputs run together) and the code's place.
fn derive(wanted: &WantedCodes, secret: &str, number: u32, turn: u32) -> Result<CouponCode, CodesError> {
    let text = format!("coupon\n{secret}\n{}\n{}\n{number}\n{turn}", wanted.promotion, wanted.batch);
    let drawn = Sha256::digest(text).iter().take(DRAWN).fold(wanted.prefix.clone(), |mut code, byte| {
        code.push(char::from(ALPHABET[usize::from(byte & 31)]));
        code
    });
    let invalid =
        |err: offpeak_domain::promotion::BadCode| CodesError::Invalid { field: "prefix", detail: err.to_string() };
    CouponCode::parse(&drawn).map_err(invalid)
}
