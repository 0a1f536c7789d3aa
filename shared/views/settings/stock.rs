//! Where goods lie and which place serves first, as staff see and send it.
use offpeak_domain::{
    shipping::ShippingRate,
    stock::{FeedCaution, Location, Rule, Shortfall, StockLocation, StockSettings},
};
use serde::{Deserialize, Serialize};

use super::Faults;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StockView {
    locations: Vec<LocationView>,
    /// `priority` or `most_stock`.
    allocation: String,
    /// What becomes of a paid order whose units are gone: `refund`, `backorder` or `hold`.
    shortfall: String,
    /// What is not named has its default.
    #[serde(default)]
    feed: FeedView,
}

/// When an inventory feed is applied without asking a person.
#[derive(Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct FeedView {
    /// Most rows in a hundred that may differ by more than is usual, or be unreadable.
    large_percent: u32,
    /// Most rows in a hundred that may leave a shelf empty.
    zeroed_percent: u32,
    /// A difference up to so many units, or so many in a hundred of what is there, is usual.
    usual_units: u32,
    usual_percent: u32,
}

impl Default for FeedView {
    fn default() -> FeedView {
        FeedView::from(FeedCaution::default())
    }
}

impl From<FeedCaution> for FeedView {
    fn from(caution: FeedCaution) -> FeedView {
        let FeedCaution { large_percent, zeroed_percent, usual_units, usual_percent } = caution;
        FeedView { large_percent, zeroed_percent, usual_units, usual_percent }
    }
}

impl FeedView {
    fn parse(&self, faults: &mut Faults) -> FeedCaution {
        let FeedView { large_percent, zeroed_percent, usual_units, usual_percent } = *self;
        for (name, share) in [("largePercent", large_percent), ("zeroedPercent", zeroed_percent)] {
            if share > 100 {
                faults.add(format!("/stock/feed/{name}"), "0 to 100");
            }
        }
        FeedCaution { large_percent, zeroed_percent, usual_units, usual_percent }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LocationView {
    name: String,
    title: String,
    /// Lower serves first.
    #[serde(default)]
    priority: u32,
    /// Whether buyers may collect here.
    #[serde(default)]
    pickup: bool,
}

impl StockView {
    pub(super) fn parse(&self, faults: &mut Faults) -> StockSettings {
        let mut settings = StockSettings::default();
        let location = |(at, it): (usize, &LocationView)| {
            let field = format!("/stock/locations/{at}");
            let name = faults.check(&format!("{field}/name"), Location::parse(&it.name))?;
            let title = faults.text(&format!("{field}/title"), &it.title);
            Some(StockLocation { name, priority: it.priority, pickup: it.pickup, title })
        };
        let locations: Option<Vec<_>> = self.locations.iter().enumerate().map(location).collect();
        if let Some(locations) = locations {
            settings.locations = locations;
            if let Err(fault) = settings.check() {
                faults.add("/stock/locations", fault.to_string());
            }
        }
        match Rule::parse(&self.allocation) {
            Some(rule) => settings.allocation = rule,
            None => faults.add("/stock/allocation", "priority or most_stock"),
        }
        match Shortfall::parse(&self.shortfall) {
            Some(shortfall) => settings.shortfall = shortfall,
            None => faults.add("/stock/shortfall", "refund, backorder or hold"),
        }
        settings.feed = self.feed.parse(faults);
        settings
    }
}

/// Nobody is sent to a place where nothing is handed out; asked once all of the settings are known.
pub(super) fn check_pickups(shipping: &[ShippingRate], stock: &StockSettings, faults: &mut Faults) {
    for (at, rate) in shipping.iter().enumerate() {
        let Some(pickup) = &rate.pickup else { continue };
        let hands_out = |it: &StockLocation| it.pickup && it.name.as_str() == pickup.location;
        if !stock.locations.iter().any(hands_out) {
            let field = format!("/shipping/{at}/pickup/location");
            faults.add(field, "must be a location of stock.locations with pickup");
        }
    }
}

impl From<&StockSettings> for StockView {
    fn from(settings: &StockSettings) -> StockView {
        let location = |it: &StockLocation| LocationView {
            name: it.name.to_string(),
            title: it.title.clone(),
            priority: it.priority,
            pickup: it.pickup,
        };
        StockView {
            locations: settings.locations.iter().map(location).collect(),
            allocation: settings.allocation.name().to_owned(),
            shortfall: settings.shortfall.name().to_owned(),
            feed: settings.feed.into(),
        }
    }
}
