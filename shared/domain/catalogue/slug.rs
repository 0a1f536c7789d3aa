//! The part of an address that names a product or a category for people.
use std::fmt;

use super::id::ProductId;

/// Longest slug, in characters.
pub const SLUG_MAX: usize = 120;

/// Longest part that is made from a title; leaves room for what tells namesakes apart.
const FROM_TITLE_MAX: usize = 80;

/// 1 to [`SLUG_MAX`] of `a-z0-9` in words joined by single hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a slug is words of a-z and 0-9 joined by hyphens, at most {SLUG_MAX} characters")]
pub struct BadSlug;

impl Slug {
    /// # Errors
    /// [`BadSlug`].
    pub fn parse(text: &str) -> Result<Slug, BadSlug> {
        let word = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        if text.len() <= SLUG_MAX && text.split('-').all(word) { Ok(Slug(text.to_owned())) } else { Err(BadSlug) }
    }

    /// A slug that reads like the title; `None` if no letter of it has a plain form.
    pub fn from_title(title: &str) -> Option<Slug> {
        let mut slug = String::with_capacity(title.len());
        for letter in title.chars().flat_map(char::to_lowercase) {
            match letter {
                'a'..='z' | '0'..='9' => slug.push(letter),
                // "Baker's" reads better as "bakers" than as "baker-s".
                '\'' | '’' => {}
                '&' => push_word(&mut slug, "and"),
                _ => match plain(letter) {
                    "" => push_word(&mut slug, ""),
                    letters => slug.push_str(letters),
                },
            }
        }
        let mut slug = slug.trim_matches('-');
        if slug.len() > FROM_TITLE_MAX {
            slug = slug[..FROM_TITLE_MAX].rsplit_once('-').map_or(&slug[..FROM_TITLE_MAX], |(words, _)| words);
        }
        Slug::parse(slug.trim_matches('-')).ok()
    }

    /// Slugs for a new product, best first. The last is unique to the product, so one is always free.
    pub fn candidates(title: &str, source: &str, id: ProductId) -> Vec<Slug> {
        let base = Slug::from_title(title);
        let stem = base.as_ref().map_or("product", Slug::as_str).to_owned();
        let mut slugs: Vec<Slug> = base.into_iter().collect();
        let endings = [Slug::from_title(source).map(|it| it.0), Some(id.to_string().to_lowercase().replace('_', "-"))];
        slugs.extend(endings.into_iter().flatten().filter_map(|ending| {
            let room = SLUG_MAX.saturating_sub(ending.len() + 1);
            let stem = &stem[..stem.len().min(room)];
            Slug::parse(&format!("{}-{ending}", stem.trim_end_matches('-'))).ok()
        }));
        slugs
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ends the word before, adds this one (if any) and ends it too.
fn push_word(slug: &mut String, word: &str) {
    let hyphen = |slug: &mut String| {
        if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    };
    hyphen(slug);
    if !word.is_empty() {
        slug.push_str(word);
        hyphen(slug);
    }
}

/// The usual Latin letters without their marks; anything else parts words.
fn plain(letter: char) -> &'static str {
    match letter {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' | '\u{307}' => "i",
        'ł' | 'ľ' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' => "o",
        'ö' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ț' | 'ţ' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::id::SourceKey;
    use proptest::prelude::*;

    #[test]
    fn a_slug_reads_like_its_title() {
        let check = |title: &str, want: &str| assert_eq!(Slug::from_title(title).unwrap().as_str(), want);
        check("WHITE HANGING HEART T-LIGHT HOLDER", "white-hanging-heart-t-light-holder");
        check("  Baker's tin, 2 lb  ", "bakers-tin-2-lb");
        check("Salt & pepper", "salt-and-pepper");
        check("Crème brûlée / Größe Ł", "creme-brulee-groesse-l");
        check("50% off!!", "50-off");
        assert_eq!(Slug::from_title("茶碗"), None);
        assert_eq!(Slug::from_title("—"), None);
    }

    #[test]
    fn namesakes_get_different_slugs() {
        let slugs = |title: &str, source: &str| {
            let id = ProductId::derived(&SourceKey::parse(source).unwrap());
            Slug::candidates(title, source, id).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let one = slugs("Mug", "M.1");
        assert_eq!(one[..2], ["mug", "mug-m-1"]);
        assert!(one[2].starts_with("mug-prd-"));
        assert_ne!(slugs("Mug", "A1")[2], slugs("Mug", "a1")[2], "codes that differ by case only");
        assert_eq!(slugs("茶碗", "t1")[0], "product-t1");
        assert!(slugs(&"long title ".repeat(40), &"s".repeat(64)).iter().all(|it| it.len() <= SLUG_MAX));
    }

    proptest! {
        #[test]
        fn every_title_has_slugs_that_parse(title in ".{1,200}", source in "[A-Za-z0-9._-]{1,64}") {
            let id = ProductId::derived(&SourceKey::parse(&source).unwrap());
            let slugs = Slug::candidates(&title, &source, id);
            prop_assert!(slugs.iter().all(|it| Slug::parse(it.as_str()) == Ok(it.clone())));
            prop_assert!(slugs.last().unwrap().as_str().contains("prd-"));
        }
    }
}
