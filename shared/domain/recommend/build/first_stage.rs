//! The small file for the moment before the whole one is there: the items that are asked for most, with the heads of
//! their lists.
//!
//! What must stay true: it is small however large the shop is, so that it is fetched while a first request waits.
use super::{
    super::index::{Entry, Item, Model, SECTIONS, Section},
    NONE,
    lists::Lists,
    slots, texts,
};

/// Items that are in it. Where every list is full, they take 8 MB.
const ITEMS_MAX: usize = 1 << 14;
/// Entries of what comes around an item.
const FOLLOW_MAX: usize = 20;
/// Entries of any other list of an item.
const OTHERS_MAX: usize = 10;
/// Bytes of an item's record.
const RECORD: usize = 16;

/// The parts of the small file, from those of the whole one.
pub(super) fn of(whole: &[Vec<u8>; SECTIONS]) -> [Vec<u8>; SECTIONS] {
    let model = Model::new(|section| whole[section as usize].as_slice());
    let kept = most_asked_for(&model);
    let mut number = vec![NONE; model.items() as usize];
    for (new, old) in (0..).zip(&kept) {
        number[*old as usize] = new;
    }
    let mut parts: [Vec<u8>; SECTIONS] = std::array::from_fn(|_| Vec::new());
    for same in [Section::Facts, Section::Params, Section::CategoryEnds, Section::Categories] {
        parts[same as usize].clone_from(&whole[same as usize]);
    }
    let ids: Vec<(Box<str>, u32)> = kept.iter().map(|it| (model.id(Item(*it)).into(), *it)).collect();
    parts[Section::Slots as usize] = slots(&ids);
    (parts[Section::IdEnds as usize], parts[Section::Ids as usize]) = texts(ids.iter().map(|(id, _)| &**id));
    let records: Vec<&[u8]> = whole[Section::Items as usize].chunks_exact(RECORD).collect();
    parts[Section::Items as usize] = kept.iter().flat_map(|it| records[*it as usize]).copied().collect();
    let renumbered = |mut it: Entry| {
        it.item = number.get(it.item as usize).copied().filter(|it| *it != NONE)?;
        Some(it)
    };
    let mut put = |ends: Section, all: Section, rows: &mut dyn Iterator<Item = Vec<Entry>>| {
        let mut lists = Lists::new();
        rows.for_each(|row| lists.push(row.into_iter().filter_map(renumbered)));
        (parts[ends as usize], parts[all as usize]) = lists.bytes();
    };
    let items = || kept.iter().copied();
    put(Section::FollowEnds, Section::Follow, &mut items().map(|it| model.follow(it).take(FOLLOW_MAX).collect()));
    put(Section::BoughtEnds, Section::Bought, &mut items().map(|it| model.bought(it).take(OTHERS_MAX).collect()));
    put(Section::BasketEnds, Section::Basket, &mut items().map(|it| model.basket(it).take(OTHERS_MAX).collect()));
    put(Section::AlikeEnds, Section::Alike, &mut items().map(|it| model.alike(it).take(OTHERS_MAX).collect()));
    let trends = std::iter::once(None).chain((0..model.categories()).map(Some));
    put(Section::TrendEnds, Section::Trend, &mut trends.map(|it| model.trend(it).collect()));
    parts
}

/// Numbers of items, in their order.
fn most_asked_for(model: &Model<'_>) -> Vec<u32> {
    let mut items: Vec<u32> = (0..model.items()).collect();
    items.sort_by(|one, other| model.heat(*other).total_cmp(&model.heat(*one)));
    items.truncate(ITEMS_MAX);
    items.sort_unstable();
    items
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::{
                click::{Click, Kind},
                index::Layout,
                params::Params,
            },
            Builder, Stage,
        },
        *,
    };

    /// Some more items than there is room for: each is asked for with the next ones, the first of all most.
    fn large() -> Builder {
        let items = ITEMS_MAX + 2_000;
        let mut builder = Builder::new(&Params::default());
        for item in 0..items {
            builder.describe(&format!("sku-{item:05}"), "all", []);
            let around: Vec<String> = (item..item + 30).map(|it| format!("sku-{:05}", it % items)).collect();
            let at = 1_700_000_000 + u32::from(item < 1_000) * 3_600;
            builder.add(at, around.iter().map(|item| Click { item, kind: Kind::Purchase }));
        }
        builder
    }

    #[test]
    fn the_small_file_has_what_is_asked_for_most_and_stays_small() {
        let small = large().finish(Stage::First);
        assert!(small.len() < 8_000_000, "{} bytes", small.len());
        let layout = Layout::read(&small).unwrap();
        layout.verify(&small).unwrap();
        let model = layout.model(&small);
        assert_eq!(model.items() as usize, ITEMS_MAX);
        assert_eq!(model.sessions(), 0);
        for asked_for in ["sku-00000", "sku-00999"] {
            assert!(model.find(asked_for).is_some(), "{asked_for}");
        }
        let lists = |item: u32| [model.follow(item).count(), model.bought(item).count(), model.basket(item).count()];
        assert!((0..model.items()).all(|it| lists(it) <= [FOLLOW_MAX, OTHERS_MAX, OTHERS_MAX]));
        assert!((0..model.items()).flat_map(|it| model.follow(it)).all(|it| it.item < model.items()));
    }

    #[test]
    fn its_lists_begin_as_those_of_the_whole_file() {
        let mut builder = Builder::new(&Params::default());
        for session in 0..60_u32 {
            let items: Vec<String> = (session..session + 5).map(|it| format!("sku-{it:02}")).collect();
            builder.add(1_700_000_000 + session, items.iter().map(|item| Click { item, kind: Kind::View }));
        }
        let (whole, small) = builder.finish_both().unwrap();
        let (of_whole, of_small) = (Layout::read(&whole).unwrap(), Layout::read(&small).unwrap());
        let (whole, small) = (of_whole.model(&whole), of_small.model(&small));
        assert_eq!(whole.items(), small.items());
        for item in 0..whole.items() {
            assert_eq!(small.id(Item(item)), whole.id(Item(item)));
            assert!(small.follow(item).eq(whole.follow(item).take(FOLLOW_MAX)));
            assert_eq!((small.heat(item), small.list_sum(item)), (whole.heat(item), whole.list_sum(item)));
        }
    }
}
