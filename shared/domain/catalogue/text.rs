//! Texts of the catalogue: bounded, trimmed, without control characters, so that every page, mail and
//! log line that shows them may rely on it.
use super::slug::Slug;

/// Longest texts, in characters.
pub const TITLE_MAX: usize = 200;
pub const DESCRIPTION_MAX: usize = 4_000;
pub const CATEGORY_MAX: usize = 60;
pub const VARIANT_TITLE_MAX: usize = 120;
pub const TAX_CLASS_MAX: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("{field} is empty")]
    Empty { field: &'static str },
    #[error("{field} is longer than {max} characters")]
    TooLong { field: &'static str, max: usize },
    #[error("{field} has a control character")]
    Control { field: &'static str },
    #[error("category `{0}` has no letter that can stand in an address")]
    NoSlug(String),
    #[error("a tax class is 1 to {TAX_CLASS_MAX} of a-z, 0-9 and hyphen")]
    TaxClass,
}

/// One line: runs of white space become one space.
fn line(text: &str, field: &'static str, max: usize) -> Result<String, TextError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    bounded(words.join(" "), field, max)
}

fn bounded(text: String, field: &'static str, max: usize) -> Result<String, TextError> {
    if text.chars().count() > max {
        return Err(TextError::TooLong { field, max });
    }
    if text.chars().any(|it| it.is_control() && it != '\n') {
        return Err(TextError::Control { field });
    }
    Ok(text)
}

macro_rules! text {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

text!(
    /// A product's name: one line, never empty.
    Title
);
text!(
    /// Plain text in paragraphs; may be empty. Never read as HTML.
    #[derive(Default)]
    Description
);
text!(
    /// What tells a variant from its siblings, e.g. `Large, blue`; empty for an only variant.
    #[derive(Default)]
    VariantTitle
);
text!(
    /// Key into the store's tax table.
    TaxClass
);

impl Title {
    /// # Errors
    /// [`TextError`].
    pub fn parse(text: &str) -> Result<Title, TextError> {
        let text = line(text, "title", TITLE_MAX)?;
        if text.is_empty() { Err(TextError::Empty { field: "title" }) } else { Ok(Title(text)) }
    }
}

impl Description {
    /// # Errors
    /// [`TextError`].
    pub fn parse(text: &str) -> Result<Description, TextError> {
        let text = text.replace("\r\n", "\n").replace('\t', " ");
        bounded(text.trim().to_owned(), "description", DESCRIPTION_MAX).map(Description)
    }
}

impl VariantTitle {
    /// # Errors
    /// [`TextError`].
    pub fn parse(text: &str) -> Result<VariantTitle, TextError> {
        line(text, "variantTitle", VARIANT_TITLE_MAX).map(VariantTitle)
    }
}

impl TaxClass {
    /// # Errors
    /// [`TextError::TaxClass`].
    pub fn parse(text: &str) -> Result<TaxClass, TextError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=TAX_CLASS_MAX).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(TaxClass(text.to_owned())) } else { Err(TextError::TaxClass) }
    }
}

impl Default for TaxClass {
    /// What most goods are taxed as.
    fn default() -> TaxClass {
        TaxClass("standard".to_owned())
    }
}

/// A shelf of the shop. Two titles with one slug are one category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    slug: Slug,
    title: String,
}

impl Category {
    /// # Errors
    /// [`TextError`].
    pub fn parse(title: &str) -> Result<Category, TextError> {
        let title = line(title, "category", CATEGORY_MAX)?;
        if title.is_empty() {
            return Err(TextError::Empty { field: "category" });
        }
        let slug = Slug::from_title(&title).ok_or_else(|| TextError::NoSlug(title.clone()))?;
        Ok(Category { slug, title })
    }

    pub fn slug(&self) -> &Slug {
        &self.slug
    }

    pub fn title(&self) -> &str {
        &self.title
    }
}

impl Default for Category {
    /// Where products stand whose source names no category.
    fn default() -> Category {
        Category::parse("Everything else").unwrap_or_else(|_| unreachable!("a plain title is a category"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_tidied_and_bounded() {
        assert_eq!(Title::parse("  White\t metal \n lantern ").unwrap().as_str(), "White metal lantern");
        assert_eq!(Title::parse(" \n"), Err(TextError::Empty { field: "title" }));
        assert!(Title::parse(&"é".repeat(TITLE_MAX)).is_ok());
        assert!(matches!(Title::parse(&"é".repeat(TITLE_MAX + 1)), Err(TextError::TooLong { .. })));
        for bad in ["a\u{0}b", "a\u{1b}[31m", "a\u{7f}"] {
            assert_eq!(Title::parse(bad), Err(TextError::Control { field: "title" }), "{bad:?}");
        }
        assert_eq!(Description::parse(" One.\r\n\r\nTwo.\n").unwrap().as_str(), "One.\n\nTwo.");
        assert_eq!(VariantTitle::parse("").unwrap(), VariantTitle::default());
        assert!(TaxClass::parse("reduced-5").is_ok());
        assert!(TaxClass::parse("Reduced").is_err() && TaxClass::parse("").is_err());
    }

    #[test]
    fn a_category_is_known_by_its_slug() {
        let category = Category::parse(" Tea &  coffee ").unwrap();
        assert_eq!((category.slug().as_str(), category.title()), ("tea-and-coffee", "Tea & coffee"));
        assert!(Category::parse("茶").is_err() && Category::parse("").is_err());
        assert_eq!(Category::default().slug().as_str(), "everything-else");
    }
}
