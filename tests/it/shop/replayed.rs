//! A price list and its invoices, both our own and in the form of real ones, by the commands that a person
//! would type: the list is loaded while the shop is open, every invoice becomes an order, every sum is right.
use std::process::Command;

use super::{Goods, Options, Shop, buyer};
use crate::given;

fn fixture(name: &str) -> String {
    format!("{}/tests/it/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What `xtask` prints; it must succeed.
fn xtask(words: &[&str]) -> String {
    let output = Command::new(given::path(given::XTASK)).args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{words:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn a_price_list_and_its_invoices_become_orders() {
    given::path(given::STAGE);
    let shop = Shop::start(&Options { goods: Goods::None, ..Options::default() });
    let folder = shop.data();
    let data = folder.path().to_str().unwrap();
    let list = fixture("pricelist.csv");
    let import = || xtask(&["import", "--staged", "--data", data, "--currency", "GBP", "--on-hand", "100000", &list]);
    let told = import();
    assert!(told.contains("\nline 9: HANDLING FEE: a SKU is "), "{told}");
    assert!(told.ends_with("read 12 rows: loaded 7 (7 created, 0 updated, 0 unchanged), refused 5\n"), "{told}");
    let told = import();
    assert!(told.ends_with("read 12 rows: loaded 7 (0 created, 0 updated, 7 unchanged), refused 5\n"), "{told}");

    let journal = folder.path().join("journal");
    let journal = journal.to_str().unwrap();
    let invoices = fixture("invoices.csv");
    let sums = "3 orders, 7 lines, subtotals of 759394 minor units\n";
    let words = ["replay", "--url", &shop.url, "--catalogue", &list, "--journal", journal, &invoices];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        assert_eq!(xtask(&words), format!("taken: {sums}placed: {sums}"));
        assert_eq!(runtime.block_on(buyer::payments(&shop.client)).len(), 3, "the second run asks for the same orders");
    }
    // What was sold stays sold when the list is loaded again.
    assert!(import().contains("7 unchanged"));
}
