//! Settings of recommendations.
use std::path::PathBuf;

use super::Reader;

/// Days of clicks that a model is made of, unless it is said.
const DAYS: u16 = 30;
const DAYS_MAX: u16 = 400;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecommendationsConfig {
    /// Where models that were fetched lie; what is in it may be lost.
    pub folder: PathBuf,
    pub days: u16,
}

impl Reader<'_> {
    pub(super) fn recommendations(&mut self) -> RecommendationsConfig {
        let data = self.text("OFFPEAK_DATA").filter(|_| self.local).map(|it| PathBuf::from(it).join("models"));
        let folder = self.text("OFFPEAK_MODEL_FOLDER").map(PathBuf::from).or(data);
        let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("offpeak-models"));
        let days = match self.text("OFFPEAK_RECOMMEND_DAYS").map(|it| it.parse()) {
            None => DAYS,
            Some(Ok(days)) if (1..=DAYS_MAX).contains(&days) => days,
            Some(_) => self.fault(format!("OFFPEAK_RECOMMEND_DAYS is not a whole number from 1 to {DAYS_MAX}")),
        };
        RecommendationsConfig { folder, days }
    }
}
