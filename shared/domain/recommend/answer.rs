//! Answers a question: scores, and fills short lists from the category and then from the whole shop.
use super::{
    index::{Item, Model},
    score::{Live, Prepared, Scored, Scratch, Seen, hybrid},
    surface::{Consent, Query, Reason, Recommended, Surface},
};

/// Longest list.
pub const LIMIT_MAX: usize = 100;
/// Items of a session, or of a cart, that are looked at.
pub const SESSION_MAX: usize = 50;

/// Parameters worked out for one model: for what is new to a session, and for what it has seen.
#[derive(Clone, Debug)]
pub struct Tuning {
    novel: Prepared,
    seen: Prepared,
}

impl Tuning {
    pub fn new(model: &Model<'_>) -> Tuning {
        let prepared = |seen| Prepared::new(model, &model.params(seen));
        Tuning { novel: prepared(Seen::Hidden), seen: prepared(Seen::Shown) }
    }
}

/// The list, at most as long as asked; shorter only if the shop has no more to show.
pub fn recommend<'a>(
    live: &Live<'a>,
    tuning: &Tuning,
    query: &Query<'_>,
    scratch: &mut Scratch,
) -> Vec<Recommended<'a>> {
    let session = query.session.len() - query.session.len().min(SESSION_MAX);
    let session = match query.consent {
        Consent::Given => &query.session[session..],
        Consent::Withheld => &query.session[query.session.len().saturating_sub(1)..],
    };
    let cart = &query.cart[..query.cart.len().min(SESSION_MAX)];
    let find = |ids: &[&str]| ids.iter().filter_map(|it| live.find(it)).collect::<Vec<Item>>();
    // If the model does not know it, no other item stands for it.
    let at_hand = query.session.last().and_then(|it| live.find(it));
    let mut answer = Answer {
        live: *live,
        tuning,
        limit: query.limit.min(LIMIT_MAX),
        at_hand,
        session: find(session),
        cart: find(cart),
        items: Vec::new(),
    };
    let category = query.category.and_then(|it| live.model().find_category(it));
    match query.surface {
        Surface::Next => answer.next(scratch),
        Surface::Cart => answer.completed(scratch),
        Surface::Together => answer.together(scratch),
        Surface::Similar => answer.similar(),
        Surface::Trending => {}
        Surface::Resume => {
            answer.seen(scratch);
            return answer.finish();
        }
    }
    let of_item = || at_hand.and_then(|it| live.model().category(it.0));
    let category = category.or_else(of_item);
    answer.fill(category);
    answer.finish()
}

struct Answer<'a, 'q> {
    live: Live<'a>,
    tuning: &'q Tuning,
    limit: usize,
    at_hand: Option<Item>,
    session: Vec<Item>,
    cart: Vec<Item>,
    items: Vec<(Item, Recommended<'a>)>,
}

impl<'a> Answer<'a, '_> {
    fn id(&self, item: Item) -> &'a str {
        self.live.id(item)
    }

    fn is_full(&self) -> bool {
        self.items.len() >= self.limit
    }

    /// Unless it is there, in the cart or at hand.
    fn push(&mut self, item: Item, score: f32, reason: Reason<'a>) {
        if self.is_full() {
            return;
        }
        let hidden = self.at_hand == Some(item) || self.cart.contains(&item);
        let known = self.items.iter().any(|it| it.0 == item);
        if hidden || known {
            return;
        }
        let id = self.id(item);
        if !id.is_empty() {
            self.items.push((item, Recommended { id, score, reason }));
        }
    }

    fn hybrid(&self, prepared: &Prepared, context: &[Item], seen: Seen, scratch: &mut Scratch) -> Vec<Scored> {
        // What is there already may come again.
        hybrid(&self.live, prepared, context, seen, self.limit + self.items.len(), scratch)
    }

    /// What the sequence of these items leads to.
    fn after(&mut self, context: &[Item], scratch: &mut Scratch) {
        let found = self.hybrid(&self.tuning.novel, context, Seen::Hidden, scratch);
        let sources: Vec<&str> = scratch.context_items().map(|it| self.id(it)).collect();
        for it in found {
            let source = sources.get(usize::from(it.source)).copied().unwrap_or_else(|| self.id(it.item));
            self.push(it.item, it.score, Reason::SeenWith(source));
        }
    }

    fn next(&mut self, scratch: &mut Scratch) {
        self.after(&self.session.clone(), scratch);
    }

    fn seen(&mut self, scratch: &mut Scratch) {
        for it in self.hybrid(&self.tuning.seen, &self.session.clone(), Seen::Only, scratch) {
            self.push(it.item, it.score, Reason::Seen);
        }
    }

    /// What shares the cart's baskets, then what is bought with one of it, then what its items lead to.
    fn completed(&mut self, scratch: &mut Scratch) {
        let cart = self.cart.clone();
        let mut found: Vec<(Item, f32, Item)> = Vec::new();
        for of in &cart {
            for entry in self.live.model().basket(of.0) {
                match found.iter_mut().find(|it| it.0.0 == entry.item) {
                    Some(known) => known.1 += entry.weight,
                    None => found.push((Item(entry.item), entry.weight, *of)),
                }
            }
        }
        found.sort_unstable_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        for (item, score, of) in found {
            let reason = Reason::InCartWith(self.id(of));
            self.push(item, score, reason);
        }
        for of in cart.iter().rev() {
            self.bought_with(*of);
        }
        self.after(&cart, scratch);
    }

    fn bought_with(&mut self, of: Item) {
        for entry in self.live.model().bought(of.0) {
            let reason = Reason::BoughtWith(self.id(of));
            self.push(Item(entry.item), entry.weight, reason);
        }
    }

    fn together(&mut self, scratch: &mut Scratch) {
        let Some(of) = self.at_hand else { return };
        self.bought_with(of);
        for entry in self.live.model().basket(of.0) {
            let reason = Reason::InCartWith(self.id(of));
            self.push(Item(entry.item), entry.weight, reason);
        }
        self.after(&[of], scratch);
    }

    /// What is seen around the item in the same category, then what is described alike.
    fn similar(&mut self) {
        let Some(of) = self.at_hand else { return };
        let model = *self.live.model();
        let category = model.category(of.0);
        let alike = |item: u32| category.is_none() || model.category(item) == category;
        for entry in self.live.follow(of.0).filter(|it| alike(it.item)) {
            let reason = Reason::SeenWith(self.id(of));
            self.push(Item(entry.item), entry.weight, reason);
        }
        for entry in model.alike(of.0) {
            let reason = Reason::Like(self.id(of));
            self.push(Item(entry.item), entry.weight, reason);
        }
    }

    fn fill(&mut self, category: Option<u32>) {
        if let Some(category) = category.filter(|_| !self.is_full()) {
            let name = self.live.model().category_name(category);
            for entry in self.live.trend(Some(category)) {
                self.push(Item(entry.item), entry.weight, Reason::TrendingIn(name));
            }
        }
        if self.is_full() {
            return;
        }
        for entry in self.live.trend(None) {
            self.push(Item(entry.item), entry.weight, Reason::Trending);
        }
    }

    fn finish(self) -> Vec<Recommended<'a>> {
        self.items.into_iter().map(|it| it.1).collect()
    }
}
