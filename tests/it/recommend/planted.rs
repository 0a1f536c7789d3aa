//! Patterns planted among shoppers come out at every surface: from the batches of the hub through a model to the list.
use offpeak::shared::{documents::recommendations::RefreshOutcome, operations::recommendations::refresh::refresh};
use offpeak_domain::recommend::Kind;
use serde_json::json;

use super::{
    Goods, Server,
    shoppers::{Walk, shopped},
    skus,
};

/// Days of which there are clicks.
const DAYS: i64 = 10;
/// Sessions a day that follow each pattern.
const FOLLOWERS: usize = 12;
const FILLERS: usize = 40;

const PLANTED: &str = "sku,product,title,price,category,onHand\n\
    TENT,,Tent for two,90.00,Camping,9\n\
    MATTRESS,,Mattress,40.00,Camping,9\n\
    COOKER,,Gas cooker,30.00,Camping,9\n\
    PRINTER,,Printer,80.00,Office,9\n\
    TONER,,Toner,60.00,Office,9\n\
    PAPER,,Paper,5.00,Office,9\n\
    FAN,,Table fan,25.00,Climate,9\n\
    ICE-MAKER,,Ice maker,95.00,Climate,9\n\
    SKATES,,Skates,70.00,Sport,9\n\
    GLOVES,,Gloves,15.00,Sport,9\n\
    KNEE-PADS,,Knee pads,18.00,Sport,9\n\
    KETTLE-RED,,Enamel whistle kettle red,35.00,Kettles,9\n\
    KETTLE-BLUE,,Steel cordless kettle blue,45.00,Kettles,9\n\
    KETTLE-GREEN,,Enamel whistle kettle green,35.00,Kettles,9\n\
    TEA,,Black tea,6.00,Groceries,9\n";

/// The same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

async fn shop() -> Goods {
    let fillers: Vec<String> = (0..FILLERS).map(|it| format!("FILLER-{it:02}")).collect();
    let rows: String = fillers.iter().map(|it| format!("{it},,Thing {it},9.00,Things,9\n")).collect();
    let goods = Goods::of(&format!("{PLANTED}{rows}")).await;
    let mut chance = Chance(7);
    for ago in (0..DAYS).rev() {
        let season: &[&str] = if ago >= DAYS / 2 { &["SKATES", "GLOVES"] } else { &["SKATES", "KNEE-PADS"] };
        let mut patterns: Vec<Walk<'_>> = vec![
            (&["TENT", "MATTRESS", "COOKER"], Kind::View),
            (&["PRINTER", "TONER", "PAPER"], Kind::Purchase),
            (season, Kind::View),
            (&["KETTLE-RED", "KETTLE-BLUE"], Kind::View),
            (&["KETTLE-RED", "TEA"], Kind::View),
        ];
        if ago == 0 {
            patterns.extend([(&["FAN", "ICE-MAKER"] as &[&str], Kind::View); 8]);
        }
        // Something else before and after, so that a pattern has to be found.
        let mut walks: Vec<(Vec<&str>, Kind)> = Vec::new();
        for (items, kind) in patterns.iter().flat_map(|it| std::iter::repeat_n(it, FOLLOWERS)) {
            let around = [chance.below(FILLERS), chance.below(FILLERS)].map(|it| fillers[it].as_str());
            walks.push(([&around[..1], items, &around[1..]].concat(), *kind));
        }
        for _ in 0..FOLLOWERS * 4 {
            walks.push(((0..4).map(|_| fillers[chance.below(FILLERS)].as_str()).collect(), Kind::View));
        }
        let walks: Vec<Walk<'_>> = walks.iter().map(|(items, kind)| (items.as_slice(), *kind)).collect();
        shopped(&goods, ago, &walks).await;
    }
    goods
}

async fn first(server: &Server, query: &str) -> (String, serde_json::Value) {
    let list = server.list(query).await;
    (skus(&list).remove(0), list["items"][0]["reason"].clone())
}

#[tokio::test]
async fn planted_patterns_are_recovered_on_every_surface() {
    let goods = shop().await;
    let run = refresh(&goods.shop(goods.ports.clone())).await.unwrap().unwrap();
    assert_eq!(run.outcome, Some(RefreshOutcome::Published), "{run:?}");
    let server = goods.open().await;
    server.until_model(&run.published.unwrap().version).await;
    let why = |kind: &str, of: &str| json!({ "kind": kind, "of": of });
    // A sequence.
    assert_eq!(first(&server, "?surface=next&seen=TENT").await, ("MATTRESS".to_owned(), why("seen_with", "TENT")));
    assert_eq!(first(&server, "?surface=next&seen=TENT,MATTRESS").await.0, "COOKER");
    // A bundle.
    let mut bundle = server.skus("?surface=together&sku=PRINTER&limit=2").await;
    bundle.sort();
    assert_eq!(bundle, ["PAPER", "TONER"]);
    let completed = first(&server, "?surface=cart&cart=PRINTER,PAPER&limit=1").await;
    assert_eq!((completed.0.as_str(), &completed.1["kind"]), ("TONER", &json!("in_cart_with")));
    // A rising trend.
    let mut rising = server.skus("?surface=trending&limit=2").await;
    rising.sort();
    assert_eq!(rising, ["FAN", "ICE-MAKER"]);
    assert_eq!(first(&server, "?surface=trending&category=climate&limit=1").await.1, why("trending_in", "climate"));
    // A season that is over.
    assert_eq!(first(&server, "?surface=next&seen=SKATES").await.0, "KNEE-PADS");
    // An alternative is of the same category; what nobody has looked at is found by its description.
    assert_eq!(first(&server, "?surface=similar&sku=KETTLE-RED").await.0, "KETTLE-BLUE");
    let like = server.list("?surface=similar&sku=KETTLE-GREEN").await;
    assert!(skus(&like)[..2].iter().all(|it| it.starts_with("KETTLE")), "{like}");
    // What was seen.
    assert_eq!(server.skus("?surface=resume&seen=TEA,TENT,FAN").await.len(), 2);
}
