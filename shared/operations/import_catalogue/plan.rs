//! From rows to products: which rows make one product, and which can be none.
//!
//! Decided in the file's order by one reader, so that the same file always makes the same products with
//! the same slugs, however many of them are then stored at once.
use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::BufRead,
};

use offpeak_domain::{
    catalogue::{
        Incoming, VARIANTS_MAX, Variant,
        id::SourceKey,
        price::parse_price,
        slug::Slug,
        text::{Category, Description, TaxClass, Title, VariantTitle},
    },
    money::Currency,
    sku::Sku,
    stock::{Location, ON_HAND_MAX, StockSettings},
    store::StoreSettings,
};

use super::{
    ImportError, ImportOptions,
    rows::{Field, FileError, ROWS_MAX, RefusedRow, Row, RowRefusal, RowText, Rows},
};

/// One product of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) incoming: Incoming,
    /// One for each variant of `incoming`, in the same order.
    pub(super) rows: Vec<GroupRow>,
    /// For a product that is new: best first.
    pub(super) slugs: Vec<Slug>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupRow {
    pub(super) line: u64,
    pub(super) sku: Sku,
    /// Units to start with.
    pub(super) on_hand: Option<i64>,
    /// Where they lie, if that is said.
    pub(super) location: Option<Location>,
}

pub(super) enum Planned {
    Product(Group),
    Refused(RefusedRow),
}

/// A row that stands for a product with one variant.
struct Parsed {
    incoming: Incoming,
    row: GroupRow,
}

pub(super) struct Plan<R> {
    rows: Rows<R>,
    currency: Currency,
    on_hand: Option<i64>,
    location: Option<Location>,
    stock: StockSettings,
    /// Rows read so far.
    pub(super) read: u64,
    open: Option<Group>,
    ready: VecDeque<Planned>,
    skus: HashMap<Sku, u64>,
    sources: HashSet<SourceKey>,
    slugs: HashSet<Slug>,
    ended: bool,
}

impl<R: BufRead> Plan<R> {
    /// # Errors
    /// `NoLocation`.
    pub(super) fn new(rows: Rows<R>, store: &StoreSettings, options: &ImportOptions) -> Result<Plan<R>, ImportError> {
        if let Some(unknown) = options.location.clone().filter(|it| !store.stock.has(it)) {
            return Err(ImportError::NoLocation(unknown));
        }
        Ok(Plan {
            rows,
            currency: store.currency,
            on_hand: options.on_hand,
            location: options.location.clone(),
            stock: store.stock.clone(),
            read: 0,
            open: None,
            ready: VecDeque::new(),
            skus: HashMap::new(),
            sources: HashSet::new(),
            slugs: HashSet::new(),
            ended: false,
        })
    }

    pub(super) fn ignored(&self) -> Vec<String> {
        self.rows.ignored().iter().cloned().collect()
    }

    /// The next product or refused row; `None` at the end.
    ///
    /// # Errors
    /// [`FileError`].
    pub(super) fn next_planned(&mut self) -> Result<Option<Planned>, FileError> {
        while self.ready.is_empty() && !self.ended {
            match self.rows.next_row()? {
                None => {
                    self.ended = true;
                    self.close();
                }
                Some(row) => self.take(row)?,
            }
        }
        Ok(self.ready.pop_front())
    }

    fn take(&mut self, row: Row) -> Result<(), FileError> {
        self.read += 1;
        if self.read > ROWS_MAX {
            return Err(FileError::TooManyRows);
        }
        let refused = match row {
            Row::Refused(row) => Some(row),
            Row::Text(row) => {
                let sku = row.get(Field::Sku).map(|it| it.chars().take(80).collect());
                let placed = self.parse(&row).and_then(|parsed| self.place(parsed));
                placed.err().map(|reason| RefusedRow { line: row.line, sku, reason })
            }
        };
        self.ready.extend(refused.map(Planned::Refused));
        Ok(())
    }

    fn parse(&self, row: &RowText) -> Result<Parsed, RowRefusal> {
        let need = |field, name| row.get(field).ok_or(RowRefusal::Missing(name));
        let sku = Sku::parse(need(Field::Sku, "sku")?)?;
        if let Some(first) = self.skus.get(&sku) {
            return Err(RowRefusal::SkuTwice { line: *first });
        }
        if let Some(found) = row.get(Field::Currency).filter(|it| *it != self.currency.code()) {
            let found = found.chars().take(8).collect();
            return Err(RowRefusal::OtherCurrency { found, wanted: self.currency });
        }
        let price = parse_price(need(Field::Price, "price")?, self.currency)?;
        let on_hand = row.get(Field::OnHand).map(on_hand).transpose()?.or(self.on_hand);
        let location = self.location_of(row)?;
        let source = SourceKey::parse(row.get(Field::Product).unwrap_or(sku.as_str()))?;
        // Further rows of a product need not repeat its title.
        let title = match (row.get(Field::Title), &self.open) {
            (None, Some(open)) if open.incoming.source == source => open.incoming.title.clone(),
            (None, _) => return Err(RowRefusal::Missing("title")),
            (Some(title), _) => Title::parse(title)?,
        };
        let variant_title = VariantTitle::parse(row.get(Field::VariantTitle).unwrap_or_default())?;
        let incoming = Incoming {
            source,
            title,
            description: row.get(Field::Description).map(Description::parse).transpose()?,
            category: row.get(Field::Category).map(Category::parse).transpose()?,
            tax_class: row.get(Field::TaxClass).map(TaxClass::parse).transpose()?,
            variants: vec![Variant { sku: sku.clone(), title: variant_title, price }],
        };
        Ok(Parsed { incoming, row: GroupRow { line: row.line, sku, on_hand, location } })
    }

    fn location_of(&self, row: &RowText) -> Result<Option<Location>, RowRefusal> {
        let Some(name) = row.get(Field::Location) else { return Ok(self.location.clone()) };
        let found = Location::parse(name).ok().filter(|it| self.stock.has(it));
        found.map(Some).ok_or_else(|| RowRefusal::Location(name.chars().take(80).collect()))
    }

    /// Adds the row to the open product, or closes that one and opens another.
    fn place(&mut self, parsed: Parsed) -> Result<(), RowRefusal> {
        let Parsed { incoming, row } = parsed;
        match &mut self.open {
            Some(open) if open.incoming.source == incoming.source => {
                join(open, incoming, row.clone())?;
            }
            _ => {
                if !self.sources.insert(incoming.source.clone()) {
                    return Err(RowRefusal::ProductApart);
                }
                self.close();
                let slugs = self.slugs_for(&incoming);
                self.open = Some(Group { incoming, rows: vec![row.clone()], slugs });
            }
        }
        self.skus.insert(row.sku, row.line);
        Ok(())
    }

    fn close(&mut self) {
        self.ready.extend(self.open.take().map(Planned::Product));
    }

    /// The plain slug goes to the first of several namesakes in the file.
    fn slugs_for(&mut self, incoming: &Incoming) -> Vec<Slug> {
        let mut slugs = Slug::candidates(incoming.title.as_str(), incoming.source.as_str(), incoming.id());
        while slugs.len() > 1 && self.slugs.contains(&slugs[0]) {
            slugs.remove(0);
        }
        self.slugs.insert(slugs[0].clone());
        slugs
    }
}

/// What belongs to the product as a whole is said in its first row; a later row may repeat it.
fn join(open: &mut Group, incoming: Incoming, row: GroupRow) -> Result<(), RowRefusal> {
    let line = open.rows.first().map_or(0, |it| it.line);
    let have = &mut open.incoming;
    if incoming.title != have.title {
        return Err(RowRefusal::Differs { field: "title", line });
    }
    if incoming.description.is_some() && incoming.description != have.description {
        return Err(RowRefusal::Differs { field: "description", line });
    }
    if incoming.category.is_some() && incoming.category != have.category {
        return Err(RowRefusal::Differs { field: "category", line });
    }
    if incoming.tax_class.is_some() && incoming.tax_class != have.tax_class {
        return Err(RowRefusal::Differs { field: "taxClass", line });
    }
    if have.variants.len() >= VARIANTS_MAX {
        return Err(RowRefusal::TooManyVariants);
    }
    have.variants.extend(incoming.variants);
    open.rows.push(row);
    Ok(())
}

/// A whole number, which data frames like to write as `6.0`.
fn on_hand(text: &str) -> Result<i64, RowRefusal> {
    let bad = || RowRefusal::OnHand(text.chars().take(24).collect());
    let digits = text.split_once('.').map_or(text, |(whole, zeros)| if zeros == "0" { whole } else { "" });
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    digits.parse().ok().filter(|it| *it <= ON_HAND_MAX).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use offpeak_domain::stock::StockLocation;

    use super::{super::rows::Format, *};

    fn place(name: &str) -> Location {
        Location::parse(name).unwrap()
    }

    /// With the locations `main` and `far`.
    fn store() -> StoreSettings {
        let mut store = StoreSettings::plain(Currency::parse("GBP").unwrap());
        let far = StockLocation { name: place("far"), ..store.stock.locations[0].clone() };
        store.stock.locations.push(far);
        store
    }

    fn plan(text: &str) -> (Vec<Group>, Vec<String>) {
        let rows = Rows::open(text.as_bytes(), Format::Csv).unwrap();
        let mut plan =
            Plan::new(rows, &store(), &ImportOptions { on_hand: Some(3), ..ImportOptions::default() }).unwrap();
        let (mut groups, mut refused) = (Vec::new(), Vec::new());
        while let Some(planned) = plan.next_planned().unwrap() {
            match planned {
                Planned::Product(group) => groups.push(group),
                Planned::Refused(row) => {
                    refused.push(format!("{} {}: {}", row.line, row.sku.unwrap_or_default(), row.reason));
                }
            }
        }
        let rows: usize = groups.iter().map(|it| it.rows.len()).sum();
        assert_eq!(plan.read, (rows + refused.len()) as u64, "every row is accounted for");
        (groups, refused)
    }

    #[test]
    fn rows_of_one_product_are_its_variants() {
        let (groups, refused) = plan(
            "sku,product,title,variantTitle,price,category,onHand\n\
            t-s,tee,Tee,Small,9.00,Clothes,\n\
            t-m,tee,,Medium,9.00,,7\n\
            t-l,tee,Tea,Large,9.50,,\n\
            t-x,tee,Tee,Wide,9.50,Shoes,\n\
            mug,,Mug,,4.00,Kitchen,0\n\
            t-z,tee,Tee,Late,1.00,,\n",
        );
        assert_eq!(groups.len(), 2);
        let tee = &groups[0];
        assert_eq!(tee.incoming.variants.len(), 2);
        assert_eq!(tee.rows.iter().map(|it| it.on_hand).collect::<Vec<_>>(), [Some(3), Some(7)]);
        assert_eq!(tee.incoming.source.as_str(), "tee");
        assert_eq!(groups[1].incoming.source.as_str(), "mug");
        assert_eq!(groups[1].rows[0].on_hand, Some(0));
        assert_eq!(
            refused,
            [
                "4 t-l: title differs from the product's first row, line 2",
                "5 t-x: category differs from the product's first row, line 2",
                "7 t-z: rows of one product must stand together",
            ]
        );
    }

    #[test]
    fn each_bad_row_is_refused_for_its_own_reason() {
        let (groups, refused) = plan(
            "StockCode,desc,price,currency,onHand\n\
            a1,Cup,1.00,,\n\
            BANK CHARGES,Bank,15.00,,\n\
            a2,Plate,3.325,,\n\
            a1,Cup again,1.00,,\n\
            ,No code,1.00,,\n\
            a3,,1.00,,\n\
            a4,Bowl,,,\n\
            a5,Jug,1.00,EUR,\n\
            a6,Jar,1.00,GBP,-1\n\
            a7,Tin,1.00,GBP,6.0\n\
            a8,Pot,1.00,GBP,6.5\n",
        );
        assert_eq!(groups.iter().map(|it| it.rows[0].sku.as_str()).collect::<Vec<_>>(), ["a1", "a7"]);
        assert_eq!(
            refused,
            [
                "3 BANK CHARGES: a SKU is 1 to 64 of the characters A-Z a-z 0-9 . _ -",
                "4 a2: price 3.325 is not a whole number of minor units of GBP",
                "5 a1: the SKU stands in line 2 already",
                "6 : sku is missing",
                "7 a3: title is missing",
                "8 a4: price is missing",
                "9 a5: currency `EUR` is not the import's GBP",
                "10 a6: onHand `-1` is not a whole number from 0 to 1000000000",
                "12 a8: onHand `6.5` is not a whole number from 0 to 1000000000",
            ]
        );
    }

    #[test]
    fn a_row_or_the_whole_import_says_where_units_lie() {
        let text = "sku,title,price,onHand,location\na,Mug,1,2,far\nb,Cup,1,2,\nc,Jug,1,2,moon\nd,Jar,1,2,a b\n";
        let (groups, refused) = plan(text);
        assert_eq!(groups.iter().map(|it| it.rows[0].location.clone()).collect::<Vec<_>>(), [Some(place("far")), None]);
        let want = ["4 c: the store has no location `moon`", "5 d: the store has no location `a b`"];
        assert_eq!(refused, want);

        let open = |name| {
            let rows = Rows::open(text.as_bytes(), Format::Csv).unwrap();
            Plan::new(rows, &store(), &ImportOptions { location: Some(place(name)), ..ImportOptions::default() })
        };
        assert!(matches!(open("moon"), Err(ImportError::NoLocation(_))));
        let mut plan = open("far").unwrap();
        let mut opened = Vec::new();
        while let Some(planned) = plan.next_planned().unwrap() {
            if let Planned::Product(group) = planned {
                opened.push(group.rows[0].location.clone());
            }
        }
        assert_eq!(opened, [Some(place("far")), Some(place("far"))]);
    }

    #[test]
    fn namesakes_in_a_file_share_no_slug() {
        let (groups, _) = plan("sku,title,price\nA1,Mug,1\na1,Mug,1\nb1,Mug,1\n");
        let first: Vec<_> = groups.iter().map(|it| it.slugs[0].as_str()).collect();
        assert_eq!(first, ["mug", "mug-a1", "mug-b1"]);
    }
}
