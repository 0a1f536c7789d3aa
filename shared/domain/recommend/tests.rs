//! Scores of models small enough to be worked out by hand.
use super::{
    ALONE, Builder, Click, Item, Kind, Layout, Live, LiveClick, Model, Overlay, Params, Prepared, Scratch, Seen,
    Segment, Stage, hybrid, vmis,
};

const DAY: u32 = 86_400;

fn model(params: &Params, sessions: &[(u32, &[&str])]) -> Vec<u8> {
    let mut builder = Builder::new(params);
    for (ended, items) in sessions {
        builder.add(*ended, items.iter().map(|it| Click::view(it)));
    }
    builder.finish(Stage::Whole)
}

fn ids(model: &Model<'_>, list: &[super::Scored]) -> Vec<String> {
    list.iter().map(|it| model.id(it.item).to_owned()).collect()
}

fn items(model: &Model<'_>, ids: &[&str]) -> Vec<Item> {
    ids.iter().filter_map(|it| model.find(it)).collect()
}

/// The example that the published code tests itself by.
#[test]
fn vmis_recommends_what_neighbours_hold() {
    let file = model(&Params::default(), &[(1, &["6", "5", "4"]), (1, &["5", "4", "3", "2"])]);
    let model = Layout::read(&file).unwrap().model(&file);
    let prepared = Prepared::new(&model, &Params::default());
    let list = vmis(&model, &prepared, &items(&model, &["5"]), Seen::Shown, 20, &mut Scratch::default());
    assert_eq!(list.len(), 4);
    assert_eq!(model.id(list[0].item), "4");
    // Two neighbours of similarity 1, weight 0.9, of seven events: 2 * 0.9 * ln(7 / 2), and 0.9 * ln(7) for the others.
    assert!((list[0].score - 2.0 * 0.9 * 3.5_f32.ln()).abs() < 1e-5, "{list:?}");
    assert!((list[1].score - 0.9 * 7.0_f32.ln()).abs() < 1e-5, "{list:?}");
}

#[test]
fn vmis_looks_at_the_most_recent_sessions_only() {
    let sessions: &[(u32, &[&str])] =
        &[(1, &["a", "old"]), (2, &["b", "older"]), (3, &["a", "new"]), (4, &["b", "newer"])];
    let params = Params { vmis_recent: 2.0, ..Params::default() };
    let file = model(&params, sessions);
    let model = Layout::read(&file).unwrap().model(&file);
    let prepared = Prepared::new(&model, &params);
    let list = vmis(&model, &prepared, &items(&model, &["a", "b"]), Seen::Hidden, 20, &mut Scratch::default());
    let mut found = ids(&model, &list);
    found.sort();
    assert_eq!(found, ["new", "newer"]);
}

/// Without lists, popularity and rarity, one neighbour gives each item the decay of its distance.
#[test]
fn a_neighbour_counts_forward_more_than_backward() {
    let plain = Params {
        lists: 0.0,
        second_hop: 0.0,
        popularity: 0.0,
        candidate_rarity: 0.0,
        forward: 2.0,
        backward: 1.0,
        backward_share: 0.5,
        ..Params::default()
    };
    let file = model(&plain, &[(1, &["before", "at", "after", "later"]), (2, &["else", "where"])]);
    let model = Layout::read(&file).unwrap().model(&file);
    let prepared = Prepared::new(&model, &plain);
    let list = hybrid(&Live::new(model), &prepared, &items(&model, &["at"]), Seen::Hidden, 20, &mut Scratch::default());
    assert_eq!(ids(&model, &list), ["after", "later", "before"]);
    let scores: Vec<f32> = list.iter().map(|it| it.score).collect();
    for (score, wanted) in scores.iter().zip([1.0, (-0.5_f32).exp(), 0.5]) {
        assert!((score - wanted).abs() < 1e-6, "{scores:?}");
    }
}

/// Without neighbours, a list counts nearness, and what came before a little less.
#[test]
fn a_list_counts_by_distance() {
    let plain = Params {
        list_distance: 1.0,
        list_backward: 0.4,
        list_norm: 0.0,
        list_rarity: 0.0,
        list_age_days: 0.0,
        ..Params::default()
    };
    let file = model(&plain, &[(1, &["before", "at", "after", "later"]), (2, &["at", "after"])]);
    let model = Layout::read(&file).unwrap().model(&file);
    let at = model.find("at").unwrap();
    let list: Vec<(&str, f32)> = model.follow(at.0).map(|it| (model.id(Item(it.item)), it.weight)).collect();
    assert_eq!(list, [("after", 2.0), ("later", 0.5), ("before", 0.4)]);
}

#[test]
fn who_goes_back_often_is_shown_more_of_what_was_seen() {
    let sessions: &[(u32, &[&str])] =
        &[(1, &["a", "b", "a", "c"]), (2, &["c", "d", "e"]), (3, &["a", "b", "d"]), (4, &["b", "e", "b"])];
    let params = Params { seen_bonus: 1.0, ..Params::default() };
    let file = model(&params, sessions);
    let model = Layout::read(&file).unwrap().model(&file);
    let prepared = Prepared::new(&model, &params);
    let score = |session: &[&str]| {
        let session = items(&model, session);
        let list = hybrid(&Live::new(model), &prepared, &session, Seen::Shown, 20, &mut Scratch::default());
        let (item, newest) = (model.find("a").unwrap(), session.last().copied());
        assert!(list.iter().all(|it| Some(it.item) != newest), "the item at hand is never shown");
        list.iter().find(|it| it.item == item).map_or(0.0, |it| it.score)
    };
    assert!(score(&["a", "b", "a", "b", "a", "b"]) > score(&["a", "b"]));
    assert!(score(&["c", "a", "b"]) > score(&["a", "c", "b"]), "nearer counts more");
    let session = items(&model, &["a", "b"]);
    let hidden = hybrid(&Live::new(model), &prepared, &session, Seen::Hidden, 20, &mut Scratch::default());
    assert!(hidden.iter().all(|it| !session.contains(&it.item)));
}

#[test]
fn who_is_back_at_an_item_is_shown_what_came_before_it() {
    let file = model(&Params::default(), &[(1, &["a", "b", "c", "b", "a"]), (2, &["c", "d", "a"])]);
    let model = Layout::read(&file).unwrap().model(&file);
    let session = items(&model, &["a", "b", "c", "b"]);
    let scores = |seen_back: f32| {
        let prepared = Prepared::new(&model, &Params { seen_back, ..Params::default() });
        let list = hybrid(&Live::new(model), &prepared, &session, Seen::Shown, 20, &mut Scratch::default());
        ["a", "c"].map(|id| list.iter().find(|it| model.id(it.item) == id).map_or(0.0, |it| it.score))
    };
    let ([before, other], [doubled, same]) = (scores(0.0), scores(1.0));
    assert!(before > 0.0 && other > before, "what is nearer comes first: {before} {other}");
    assert!((doubled / before - 2.0).abs() < 1e-5 && same == other, "{doubled} {same}");
}

#[test]
fn newer_sessions_count_more() {
    let params = Params { lists: 0.0, second_hop: 0.0, popularity: 0.0, age_days: 10.0, ..Params::default() };
    let file = model(&params, &[(DAY, &["a", "old"]), (40 * DAY, &["a", "new"])]);
    let model = Layout::read(&file).unwrap().model(&file);
    let prepared = Prepared::new(&model, &params);
    let list = hybrid(&Live::new(model), &prepared, &items(&model, &["a"]), Seen::Hidden, 20, &mut Scratch::default());
    assert_eq!(ids(&model, &list), ["new", "old"]);
}

/// Three purchases are needed before two items count as bought together.
#[test]
fn what_is_bought_together_needs_support() {
    let mut builder = Builder::new(&Params::default());
    let buy = |item| Click { item, kind: Kind::Purchase };
    for ended in 1..=3 {
        builder.add(ended, ["printer", "toner"].map(buy));
        builder.add(ended, ["printer", "lamp"].map(Click::view));
    }
    builder.add(4, ["printer", "chair"].map(buy));
    let file = builder.finish(Stage::Whole);
    let model = Layout::read(&file).unwrap().model(&file);
    let printer = model.find("printer").unwrap();
    let bought: Vec<&str> = model.bought(printer.0).map(|it| model.id(Item(it.item))).collect();
    assert_eq!(bought, ["toner"]);
    // In three of the four baskets that hold either.
    let basket: Vec<(&str, f32)> = model.basket(printer.0).map(|it| (model.id(Item(it.item)), it.weight)).collect();
    assert_eq!(basket, [("toner", 0.75)]);
}

#[test]
fn the_small_file_answers_by_its_lists() {
    let mut builder = Builder::new(&Params::default());
    for ended in 1..=3 {
        builder.add(ended, ["a", "b", "c"].map(Click::view));
    }
    let (whole, first) = builder.finish_both().unwrap();
    assert!(first.len() < whole.len());
    let model = Layout::read(&first).unwrap().model(&first);
    assert_eq!((model.sessions(), model.items()), (0, 3));
    let prepared = Prepared::new(&model, &Params::default());
    let list = hybrid(&Live::new(model), &prepared, &items(&model, &["a"]), Seen::Hidden, 20, &mut Scratch::default());
    assert_eq!(ids(&model, &list), ["b", "c"]);
}

#[test]
fn an_overlay_is_of_one_model_only() {
    let (one, other) =
        (model(&Params::default(), &[(1, &["a", "b"])]), model(&Params::default(), &[(9, &["a", "b", "c"])]));
    let (one, other) = (Layout::read(&one).unwrap().model(&one), Layout::read(&other).unwrap().model(&other));
    let click = |(session, at, item): (u64, u32, &str)| LiveClick { session, at, item: item.into(), kind: Kind::View };
    let segment = Segment { clicks: [(1, 10, "a"), (1, 11, "new"), (2, 10, "new")].map(click).into() };
    let overlay = Overlay::new(&one, &Params::default(), [&segment], 0);
    let live = Live::with(one, &overlay, None);
    let new = live.find("new").unwrap();
    assert_eq!((new, live.id(new)), (Item(2), "new"));
    assert_eq!(Live::with(other, &overlay, None).find("new"), None);
    assert_eq!(Overlay::new(&one, &Params::default(), [&segment], 11).sessions(), 0, "what is older is left out");
}

#[test]
fn clicks_of_one_second_are_laid_over_in_the_order_they_came_in() {
    let nothing = Model::empty();
    let click = |session, item: &str| LiveClick { session, at: 10, item: item.into(), kind: Kind::View };
    let clicks = [1, 2].into_iter().flat_map(|it| ["tent", "mat", "lamp"].map(|item| click(it, item))).collect();
    let segment = Segment { clicks };
    let overlay = Overlay::new(&nothing, &Params::default(), [&segment, &segment], 0);
    let live = Live::with(nothing, &overlay, None);
    let tent = live.find("tent").unwrap();
    for posting in live.postings(tent.0) {
        let steps: Vec<&str> = live.session(posting.session()).map(|it| live.id(Item(it))).collect();
        assert_eq!(steps, ["tent", "mat", "lamp"]);
    }
    assert_eq!(live.count(tent.0), 2);
}

#[test]
fn an_item_that_only_one_session_has_heard_of_is_not_laid_over() {
    let file = model(&Params::default(), &[(1, &["a", "b"])]);
    let model = Layout::read(&file).unwrap().model(&file);
    let click = |(session, item): (u64, &str)| LiveClick { session, at: 10, item: item.into(), kind: Kind::View };
    let said = [(1, "a"), (1, "new"), (1, "made-up"), (2, "new"), (3, "made-up-too"), (3, "made-up-too"), (4, "b")];
    let overlay = Overlay::new(&model, &Params::default(), [&Segment { clicks: said.map(click).into() }], 0);
    let live = Live::with(model, &overlay, None);
    assert_eq!(["a", "new", "made-up", "made-up-too"].map(|it| live.find(it).is_some()), [true, true, false, false]);
    assert_eq!(overlay.sessions(), 1, "the others hold one item, or none");
    assert_eq!(live.trend(None).len(), 3, "a, b and what two have heard of");
}

#[test]
fn sessions_of_one_item_push_out_none_that_says_what_goes_with_what() {
    let nothing = Model::empty();
    let click = |session, at, item: &str| LiveClick { session, at, item: item.into(), kind: Kind::View };
    let pattern = (0..3).flat_map(|it| [click(it, 10, "tent"), click(it, 11, "mat")]);
    let flood = (0..60_000).map(|it| click(ALONE | it, 20, "mug"));
    let segment = Segment { clicks: pattern.chain(flood).collect() };
    let overlay = Overlay::new(&nothing, &Params::default(), [&segment], 0);
    assert_eq!(overlay.sessions(), 3);
    let live = Live::with(nothing, &overlay, None);
    assert_eq!(live.count(live.find("tent").unwrap().0), 3);
    assert!(live.find("mug").is_some(), "what is asked for is still known");
}
