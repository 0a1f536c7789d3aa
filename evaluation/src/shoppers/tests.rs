//! What is planted is found, on every surface, in a model built as the shop builds it.
use offpeak_domain::recommend::{
    Builder, Click, Consent, Layout, Live, LiveClick, Overlay, Params, Query, Reason, Recommended, Scratch, Segment,
    Stage, Surface, Tuning, recommend,
};

use super::{DAY, Kind, START, Shoppers, fill};

const SHOPPERS: Shoppers = Shoppers { sessions: 6_000, items: 1_000, days: 30, seed: 7 };

fn file() -> Vec<u8> {
    fill(Builder::new(&Params::default()), SHOPPERS).finish(Stage::Whole)
}

fn query<'q>(surface: Surface, session: &'q [&'q str]) -> Query<'q> {
    Query { surface, session, cart: &[], category: None, consent: Consent::Given, limit: 10 }
}

fn ask<'a>(live: &Live<'a>, tuning: &Tuning, query: &Query<'_>) -> Vec<Recommended<'a>> {
    recommend(live, tuning, query, &mut Scratch::default())
}

fn check(query: &Query<'_>, first: &[&str]) -> Vec<String> {
    let file = file();
    let model = Layout::read(&file).unwrap().model(&file);
    let found = ask(&Live::new(model), &Tuning::new(&model), query);
    let ids: Vec<String> = found.iter().map(|it| it.id.to_owned()).collect();
    assert_eq!(ids.len(), query.limit, "{ids:?}");
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), ids.len(), "{ids:?}");
    assert_eq!(&ids[..first.len()], first, "{ids:?}");
    ids
}

#[test]
fn a_sequence_is_continued() {
    check(&query(Surface::Next, &["tent", "mattress"]), &["stove"]);
    check(&query(Surface::Next, &["item-000003", "tent"]), &["mattress", "stove"]);
}

#[test]
fn without_consent_only_the_item_at_hand_counts() {
    let file = file();
    let model = Layout::read(&file).unwrap().model(&file);
    let ask = |session: &[&str], consent| {
        let query = Query { consent, ..query(Surface::Next, session) };
        let found = ask(&Live::new(model), &Tuning::new(&model), &query);
        found.iter().map(|it| it.id.to_owned()).collect::<Vec<_>>()
    };
    let alone = ask(&["item-000003"], Consent::Given);
    assert_eq!(ask(&["tent", "mattress", "item-000003"], Consent::Withheld), alone);
    assert_ne!(ask(&["tent", "mattress", "item-000003"], Consent::Given), alone);
}

#[test]
fn a_bundle_completes_the_cart_and_is_bought_together() {
    let cart = Query { cart: &["printer"], ..query(Surface::Cart, &[]) };
    check(&cart, &["paper", "toner"]);
    let cart = Query { cart: &["printer", "paper"], ..query(Surface::Cart, &[]) };
    let ids = check(&cart, &["toner"]);
    assert!(!ids.contains(&"paper".to_owned()), "{ids:?}");
    check(&query(Surface::Together, &["toner"]), &["paper", "printer"]);
}

#[test]
fn alternatives_are_of_the_same_category_and_the_new_one_is_among_them() {
    let ids = check(&query(Surface::Similar, &["kettle-red"]), &["kettle-blue", "kettle-green"]);
    assert!(!ids[..2].contains(&"tea".to_owned()));
    // Nobody has looked at the green kettle: it borrows from the red one, which is described like it.
    let ids = check(&query(Surface::Next, &["kettle-green"]), &[]);
    assert_eq!(ids[0], "kettle-red", "{ids:?}");
    assert!(ids[..3].contains(&"kettle-blue".to_owned()) || ids[..3].contains(&"tea".to_owned()), "{ids:?}");
}

#[test]
fn what_rises_is_trending_and_what_is_out_of_season_goes_down() {
    let ids = check(&query(Surface::Trending, &[]), &[]);
    assert!(ids[..4].contains(&"fan".to_owned()) && ids[..4].contains(&"ice-maker".to_owned()), "{ids:?}");
    let climate = Query { category: Some("climate"), limit: 2, ..query(Surface::Trending, &[]) };
    check(&climate, &["fan", "ice-maker"]);
    let ids = check(&query(Surface::Next, &["skates"]), &["knee-pads"]);
    assert_eq!(ids[1], "gloves", "{ids:?}");
}

#[test]
fn what_was_seen_can_be_resumed_newest_first() {
    let file = file();
    let model = Layout::read(&file).unwrap().model(&file);
    let found = ask(&Live::new(model), &Tuning::new(&model), &query(Surface::Resume, &["tea", "tent", "fan"]));
    assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), ["tent", "tea"]);
    assert!(found.iter().all(|it| it.reason == Reason::Seen));
}

#[test]
fn every_item_has_its_reason() {
    let file = file();
    let model = Layout::read(&file).unwrap().model(&file);
    let (live, tuning) = (Live::new(model), Tuning::new(&model));
    let reason = |query: &Query<'_>, id: &str| ask(&live, &tuning, query).iter().find(|it| it.id == id).unwrap().reason;
    assert_eq!(reason(&query(Surface::Next, &["tent", "mattress"]), "stove"), Reason::SeenWith("mattress"));
    assert_eq!(reason(&query(Surface::Together, &["toner"]), "paper"), Reason::BoughtWith("toner"));
    assert_eq!(reason(&query(Surface::Similar, &["kettle-red"]), "kettle-green"), Reason::Like("kettle-red"));
    let climate = Query { category: Some("climate"), ..query(Surface::Trending, &[]) };
    assert_eq!(reason(&climate, "fan"), Reason::TrendingIn("climate"));
}

#[test]
fn with_nothing_known_there_is_a_list_all_the_same() {
    for surface in Surface::ALL.into_iter().filter(|it| *it != Surface::Resume) {
        check(&query(surface, &[]), &[]);
        check(&query(surface, &["never-heard-of"]), &[]);
    }
    let file = Builder::new(&Params::default()).finish_fitted();
    let model = Layout::read(&file).unwrap().model(&file);
    assert_eq!(ask(&Live::new(model), &Tuning::new(&model), &query(Surface::Next, &["tent"])), []);
}

#[test]
fn fitting_is_the_same_each_time_and_keeps_what_is_planted() {
    let few = Shoppers { sessions: 2_500, ..SHOPPERS };
    let file = || fill(Builder::new(&Params::default()), few).finish_fitted();
    let (file, again) = (file(), file());
    assert!(file == again);
    let model = Layout::read(&file).unwrap().model(&file);
    let found = ask(&Live::new(model), &Tuning::new(&model), &query(Surface::Next, &["tent", "mattress"]));
    assert_eq!(found[0].id, "stove");
}

fn clicks(session: u64, from: u32, items: &[&str]) -> Segment {
    let click = |(item, at): (&&str, u32)| LiveClick { session, at, item: (*item).into(), kind: Kind::View };
    Segment { clicks: items.iter().zip(from..).map(click).collect() }
}

/// What sessions have done since the model was built changes lists at once, also for items the model does not know.
#[test]
fn the_last_hour_is_laid_over_the_model() {
    let file = file();
    let model = Layout::read(&file).unwrap().model(&file);
    let tuning = Tuning::new(&model);
    let now = START + SHOPPERS.days * DAY;
    let segments: Vec<Segment> = (0..60)
        .map(|it| clicks(it, now + 10 * u32::try_from(it).unwrap(), &["tent", "hammock", "item-000500"]))
        .collect();
    let overlay = Overlay::new(&model, &Params::default(), &segments, now);
    assert_eq!(overlay.sessions(), 60);
    let live = Live::with(model, &overlay, None);
    let ids = |live: &Live<'_>, session: &[&str]| {
        ask(live, &tuning, &query(Surface::Next, session)).iter().map(|it| it.id.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&live, &["hammock"])[0], "item-000500");
    assert!(ids(&live, &["tent"])[..5].contains(&"hammock".to_owned()), "{:?}", ids(&live, &["tent"]));
    assert!(!ids(&Live::new(model), &["tent"]).contains(&"hammock".to_owned()));
    let trending = ask(&live, &tuning, &query(Surface::Trending, &[]));
    assert!(trending[..6].iter().any(|it| it.id == "hammock"), "{trending:?}");

    // Their order, and coming twice, change nothing.
    let mut shuffled: Vec<&Segment> = segments.iter().rev().collect();
    shuffled.extend(&segments[2..5]);
    let again = Overlay::new(&model, &Params::default(), shuffled, now);
    assert_eq!(ids(&Live::with(model, &again, None), &["tent"]), ids(&live, &["tent"]));

    // A session's own clicks do not count as others'.
    let own = Overlay::new(&model, &Params::default(), &segments[..1], now);
    let others = ids(&Live::with(model, &own, Some(0)), &["tent", "hammock"]);
    assert_eq!(others.len(), 10);
    let trending = ask(&Live::with(model, &own, None), &tuning, &query(Surface::Trending, &[]));
    assert!(trending.iter().all(|it| it.id != "hammock"), "one session moves nothing: {trending:?}");
    // Of what only one session has heard nobody else is told.
    assert_eq!(Live::with(model, &own, Some(1)).find("hammock"), None);
    let two = Overlay::new(&model, &Params::default(), &segments[..2], now);
    let live = Live::with(model, &two, Some(0));
    assert!(ids(&live, &["tent", "hammock"]).contains(&"item-000500".to_owned()));
}

/// One session that clicks without end moves neither what is trending nor what follows.
#[test]
fn one_session_weighs_as_one() {
    let mut builder = fill(Builder::new(&Params::default()), SHOPPERS);
    let mad: Vec<&str> = std::iter::repeat_n(["spam", "item-000001"], 200_000).flatten().collect();
    builder.add(START + SHOPPERS.days * DAY, mad.iter().map(|it| Click::view(it)));
    let file = builder.finish(Stage::Whole);
    let model = Layout::read(&file).unwrap().model(&file);
    let (live, tuning) = (Live::new(model), Tuning::new(&model));
    let trending = ask(&live, &tuning, &query(Surface::Trending, &[]));
    assert!(trending.iter().all(|it| it.id != "spam"), "{trending:?}");
}
