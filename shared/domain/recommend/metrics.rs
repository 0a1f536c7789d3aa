//! What a list of recommendations is worth, measured by what the shopper did next.
//!
//! Averages are over events, not over sessions; a target that the model has never seen counts as a miss.

/// Places that count.
pub const PLACES: usize = 20;

/// Sums over events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    events: u32,
    reciprocal_rank: f64,
    hits: f64,
    precision: f64,
    recall: f64,
    ndcg: f64,
}

impl Metrics {
    /// One list, and what came after it: the first is the target.
    pub fn add(&mut self, list: &[u32], rest: &[u32]) {
        let Some(target) = rest.first() else { return };
        let list = &list[..list.len().min(PLACES)];
        self.events += 1;
        if let Some(place) = list.iter().position(|it| it == target) {
            self.reciprocal_rank += 1.0 / (place + 1) as f64;
            self.hits += 1.0;
        }
        let found = list.iter().filter(|it| rest.contains(it)).count() as f64;
        self.precision += found / PLACES as f64;
        self.recall += found / rest.len() as f64;
        let gained: f64 = list.iter().enumerate().filter(|(_, it)| rest.contains(it)).map(|(at, _)| gain(at)).sum();
        let ideal: f64 = (0..rest.len().min(PLACES)).map(gain).sum();
        self.ndcg += gained / ideal;
    }

    fn mean(&self, sum: f64) -> f64 {
        if self.events == 0 { 0.0 } else { sum / f64::from(self.events) }
    }

    pub const fn events(&self) -> u32 {
        self.events
    }

    pub fn mrr(&self) -> f64 {
        self.mean(self.reciprocal_rank)
    }

    pub fn hit_rate(&self) -> f64 {
        self.mean(self.hits)
    }

    pub fn precision(&self) -> f64 {
        self.mean(self.precision)
    }

    pub fn recall(&self) -> f64 {
        self.mean(self.recall)
    }

    pub fn ndcg(&self) -> f64 {
        self.mean(self.ndcg)
    }
}

/// Of a place, counted from 0.
fn gain(place: usize) -> f64 {
    if place == 0 { 1.0 } else { 1.0 / ((place + 1) as f64).log2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-12, "{one} is not {other}");
    }

    /// The example that the published evaluator tests itself by.
    #[test]
    fn gains_are_discounted_by_place() {
        let list: Vec<u32> = (1..=24).collect();
        let mut metrics = Metrics::default();
        metrics.add(&list, &[3, 55, 88, 4]);
        close(metrics.ndcg(), 0.361_212_113_520_401_95);
        close(metrics.mrr(), 1.0 / 3.0);
        close(metrics.precision(), 2.0 / 20.0);
        close(metrics.recall(), 2.0 / 4.0);
    }

    #[test]
    fn means_are_over_events() {
        let mut metrics = Metrics::default();
        metrics.add(&[7, 8], &[8, 7, 7]);
        metrics.add(&[7, 8], &[9]);
        metrics.add(&[], &[1]);
        metrics.add(&[1], &[]);
        assert_eq!(metrics.events(), 3);
        close(metrics.mrr(), 0.5 / 3.0);
        close(metrics.hit_rate(), 1.0 / 3.0);
        close(metrics.precision(), 2.0 / 20.0 / 3.0);
        // Both of the list came, of three events that did.
        close(metrics.recall(), 2.0 / 3.0 / 3.0);
        // Places 0 and 1 gain one each; three places could have gained 2 + 1 / log2(3).
        close(metrics.ndcg(), 2.0 / (2.0 + 1.0 / 3.0_f64.log2()) / 3.0);
    }

    #[test]
    fn only_twenty_places_count() {
        let list: Vec<u32> = (0..30).collect();
        let mut metrics = Metrics::default();
        metrics.add(&list, &[20]);
        close(metrics.hit_rate(), 0.0);
        metrics.add(&list, &[19]);
        close(metrics.hit_rate(), 0.5);
        close(metrics.mrr(), 1.0 / 20.0 / 2.0);
    }
}
