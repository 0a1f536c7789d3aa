//! What a process remembers of promotions: of many who find that something is new, one reads it.
use std::time::Duration;

use futures_util::future::join_all;
use offpeak::shared::operations::{
    Shop,
    promotions::{book::Book, manage::put_promotion},
};
use offpeak_domain::promotion::PromotionId;

use super::till::percent_off;
use crate::catalogue::stand::Stand;

#[tokio::test]
async fn of_many_who_find_promotions_changed_one_reads_them() {
    let stand = Stand::new();
    stand.load("sku,title,price\nMUG,Mug,5.00\n").await;
    let shop = Shop::new(stand.ports.clone());
    let documents = stand.ports.documents.as_ref();
    let looks = async |book: &Book, many: usize| {
        let before = stand.store.reads();
        let found = join_all((0..many).map(|_| book.latest(documents))).await;
        let titles = found.iter().map(|it| it.as_ref().unwrap().promotions[0].title.clone()).collect::<Vec<_>>();
        assert!(titles.windows(2).all(|it| it[0] == it[1]), "{titles:?}");
        (stand.store.reads() - before, titles[0].clone())
    };
    let crowded = Book::keeping(Duration::ZERO);
    for percent in [10, 20] {
        let form = serde_json::from_value(percent_off(percent, "CODE")).unwrap();
        put_promotion(&shop, &PromotionId::parse("off").unwrap(), &form, "*", "staff").await.unwrap();
        let (alone, title) = looks(&Book::keeping(Duration::ZERO), 1).await;
        assert!(alone > 1, "there is something to read beside the mark");
        // Each looks at the mark.
        assert_eq!(looks(&crowded, 50).await, (alone + 49, title));
        assert_eq!(looks(&crowded, 50).await.0, 50, "and nothing is new");
    }
}
