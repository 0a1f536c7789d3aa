//! A model with what happened since it was built laid over it.
//!
//! What must stay true: items of the model keep their numbers; items that only the overlay knows come after them. The
//! overlay's sessions are the newest, so they come first. A session is never its own neighbour.
use super::super::{
    index::{Entry, Item, Model, Posting, SESSION_MAX},
    overlay::Overlay,
};

/// Bit that tells the overlay's sessions from the model's.
const OF_OVERLAY: u32 = SESSION_MAX as u32;

/// What queries are put to.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    model: Model<'a>,
    recent: Option<(&'a Overlay, Model<'a>)>,
    own: Option<u64>,
}

impl<'a> Live<'a> {
    /// A model alone.
    pub const fn new(model: Model<'a>) -> Live<'a> {
        Live { model, recent: None, own: None }
    }

    /// With what happened since; `own` is the key of the session that asks. An overlay of another model is left out.
    pub fn with(model: Model<'a>, overlay: &'a Overlay, own: Option<u64>) -> Live<'a> {
        let recent = overlay.is_of(&model).then(|| (overlay, overlay.model()));
        Live { model, recent, own }
    }

    pub(crate) const fn model(&self) -> &Model<'a> {
        &self.model
    }

    /// The item of this identifier.
    pub fn find(&self, id: &str) -> Option<Item> {
        self.model.find(id).or_else(|| {
            let (overlay, model) = self.recent?;
            Some(Item(overlay.outer(model.find(id)?.0)))
        })
    }

    /// The identifier of an item; empty if there is none.
    pub fn id(&self, item: Item) -> &'a str {
        if item.0 < self.model.items() {
            return self.model.id(item);
        }
        self.inner(item.0).map_or("", |(_, model, inner)| model.id(Item(inner)))
    }

    fn inner(&self, item: u32) -> Option<(&'a Overlay, Model<'a>, u32)> {
        let (overlay, model) = self.recent?;
        Some((overlay, model, overlay.inner(item)?))
    }

    /// Sessions that hold the item.
    pub(crate) fn count(&self, item: u32) -> u32 {
        let since = self.inner(item).map_or(0, |(_, model, inner)| model.count(inner));
        self.model.count(item).saturating_add(since)
    }

    /// Sessions of the item, newest first.
    #[inline]
    pub(crate) fn postings(&self, item: u32) -> impl Iterator<Item = Posting> + use<'a> {
        let own = self.own;
        let since = self.inner(item).into_iter().flat_map(move |(overlay, model, inner)| {
            let others = model.postings(inner).filter(move |it| own.is_none() || overlay.key(it.session()) != own);
            others.map(|it| it.marked())
        });
        since.chain(self.model.postings(item))
    }

    /// Items of a session, oldest first.
    pub(crate) fn session(&self, number: u32) -> Steps<'a> {
        match self.recent {
            Some((overlay, model)) if number & OF_OVERLAY != 0 => {
                Steps { items: model.steps(number & !OF_OVERLAY), overlay: Some(overlay) }
            }
            _ => Steps { items: self.model.steps(number), overlay: None },
        }
    }

    /// What comes around the item. What came since is counted as if it had been there when the list was made.
    #[inline]
    pub(crate) fn follow(&self, item: u32) -> impl Iterator<Item = Entry> + use<'a> {
        let inner = self.inner(item);
        let (of_model, of_overlay) = if inner.is_some() {
            let (sum, norm) = (self.list_sum(item), -self.model.list_norm());
            ((sum / self.model.list_sum(item)).powf(norm), sum.powf(norm))
        } else {
            (1.0, 1.0)
        };
        let since = inner.into_iter().flat_map(move |(overlay, model, inner)| {
            let entry = move |it: Entry| Entry { item: overlay.outer(it.item), weight: it.weight * of_overlay };
            model.follow(inner).map(entry)
        });
        since.chain(self.model.follow(item).map(move |it| Entry { weight: it.weight * of_model, ..it }))
    }

    /// 1 and the counts of the item's list.
    pub(crate) fn list_sum(&self, item: u32) -> f32 {
        let since = self.inner(item).map_or(0.0, |(_, model, inner)| model.list_sum(inner) - 1.0);
        self.model.list_sum(item) + since
    }

    /// What an entry of the item's list is multiplied by to be a share of all that comes around the item.
    pub(crate) fn share(&self, item: u32) -> f32 {
        self.list_sum(item).powf(self.model.list_norm() - 1.0)
    }

    /// What is asked for of late, in the whole shop or in a category: what the model knows and what came since, added up.
    pub(crate) fn trend(&self, category: Option<u32>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.model.trend(category).collect();
        let Some((overlay, model)) = self.recent else { return entries };
        let known = entries.len();
        for since in model.trend(None) {
            let item = overlay.outer(since.item);
            if category.is_some() && self.model.category(item) != category {
                continue;
            }
            match entries[..known].iter_mut().find(|it| it.item == item) {
                Some(entry) => entry.weight += since.weight,
                None => entries.push(Entry { item, weight: since.weight }),
            }
        }
        // What was in order stays so where nothing came since.
        entries.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        entries
    }

    /// The newest session of an item, for ties; 0 if there is none.
    pub(crate) fn recency(&self, item: u32) -> u32 {
        self.postings(item).next().map_or(0, |it| it.session() + 1)
    }
}

/// Items of a session, oldest first, by their numbers in the model.
#[derive(Clone, Debug)]
pub(crate) struct Steps<'a> {
    items: std::slice::Iter<'a, [u8; 4]>,
    overlay: Option<&'a Overlay>,
}

impl Steps<'_> {
    #[inline]
    fn number(&self, word: [u8; 4]) -> u32 {
        let item = u32::from_le_bytes(word);
        self.overlay.map_or(item, |it| it.outer(item))
    }
}

impl Iterator for Steps<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        self.items.next().map(|it| self.number(*it))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl DoubleEndedIterator for Steps<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<u32> {
        self.items.next_back().map(|it| self.number(*it))
    }
}

impl ExactSizeIterator for Steps<'_> {}
