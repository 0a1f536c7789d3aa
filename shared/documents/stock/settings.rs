//! The stock section of the store's settings. A settings document without it means one location, `main`.
use offpeak_domain::stock::{FeedCaution, Location, Rule, Shortfall, StockLocation, StockSettings};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::shared::documents) struct StockDocument {
    locations: Vec<LocationDocument>,
    allocation: String,
    shortfall: String,
    /// Absent in settings from before it could be set.
    #[serde(default)]
    feed: FeedDocument,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FeedDocument {
    large_percent: u32,
    zeroed_percent: u32,
    usual_units: u32,
    usual_percent: u32,
}

impl Default for FeedDocument {
    fn default() -> FeedDocument {
        FeedDocument::from(FeedCaution::default())
    }
}

impl From<FeedCaution> for FeedDocument {
    fn from(caution: FeedCaution) -> FeedDocument {
        let FeedCaution { large_percent, zeroed_percent, usual_units, usual_percent } = caution;
        FeedDocument { large_percent, zeroed_percent, usual_units, usual_percent }
    }
}

impl FeedDocument {
    fn into_domain(self) -> FeedCaution {
        let FeedDocument { large_percent, zeroed_percent, usual_units, usual_percent } = self;
        FeedCaution { large_percent, zeroed_percent, usual_units, usual_percent }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LocationDocument {
    name: String,
    priority: u32,
    pickup: bool,
    title: String,
}

impl Default for StockDocument {
    fn default() -> StockDocument {
        StockDocument::from(&StockSettings::default())
    }
}

impl From<&StockSettings> for StockDocument {
    fn from(settings: &StockSettings) -> StockDocument {
        let location = |it: &StockLocation| LocationDocument {
            name: it.name.to_string(),
            priority: it.priority,
            pickup: it.pickup,
            title: it.title.clone(),
        };
        StockDocument {
            locations: settings.locations.iter().map(location).collect(),
            allocation: settings.allocation.name().to_owned(),
            shortfall: settings.shortfall.name().to_owned(),
            feed: settings.feed.into(),
        }
    }
}

impl StockDocument {
    pub(in crate::shared::documents) fn into_domain(self) -> Result<StockSettings, String> {
        let location = |it: LocationDocument| {
            let name = Location::parse(&it.name).map_err(|err| err.to_string())?;
            Ok(StockLocation { name, priority: it.priority, pickup: it.pickup, title: it.title })
        };
        let settings = StockSettings {
            locations: self.locations.into_iter().map(location).collect::<Result<_, String>>()?,
            allocation: Rule::parse(&self.allocation).ok_or("stock.allocation is priority or most_stock")?,
            shortfall: Shortfall::parse(&self.shortfall).ok_or("stock.shortfall is refund, backorder or hold")?,
            feed: self.feed.into_domain(),
        };
        settings.check().map_err(|err| err.to_string())?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_settings_are_read_as_they_were_written_and_bad_ones_are_not() {
        let feed = FeedCaution { large_percent: 1, zeroed_percent: 2, usual_units: 3, usual_percent: 4 };
        let mut settings = StockSettings { allocation: Rule::MostStock, feed, ..StockSettings::default() };
        settings.locations.push(StockLocation { name: Location::parse("b").unwrap(), ..settings.locations[0].clone() });
        assert_eq!(StockDocument::from(&settings).into_domain(), Ok(settings.clone()));
        settings.locations.push(settings.locations[0].clone());
        StockDocument::from(&settings).into_domain().unwrap_err();
        let unknown = StockDocument { allocation: "nearest".to_owned(), ..StockDocument::default() };
        unknown.into_domain().unwrap_err();
        let old = r#"{"locations":[{"name":"main","priority":0,"pickup":false,"title":"Main"}],
            "allocation":"priority","shortfall":"refund"}"#;
        let old: StockDocument = serde_json::from_str(old).unwrap();
        assert_eq!(old.into_domain(), Ok(StockSettings::default()));
    }
}
