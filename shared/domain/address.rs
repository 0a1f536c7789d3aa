//! Where goods and mail go.
use std::fmt;

use sha2::{Digest, Sha256};

/// Longest text of one address field, in characters.
pub const FIELD_MAX: usize = 120;
/// Longest e-mail address. Source: RFC 5321, 4.5.3.1.3 (256 octets with the angle brackets).
pub const EMAIL_MAX: usize = 254;

/// An ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

/// Source: ISO 3166-1, officially assigned codes.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT \
BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM \
FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO \
JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT \
MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA \
SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US \
UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    #[error("{field} is missing")]
    Missing { field: &'static str },
    #[error("{field} has more than {FIELD_MAX} characters")]
    TooLong { field: &'static str },
    #[error("{field} has control characters")]
    Unprintable { field: &'static str },
    #[error("country must be an ISO 3166-1 alpha-2 code in capitals, e.g. GB")]
    UnknownCountry,
    #[error("this is not an e-mail address")]
    BadEmail,
}

impl AddressFault {
    /// The member at fault, as the API names it.
    pub fn field(&self) -> &'static str {
        match self {
            AddressFault::Missing { field } | AddressFault::TooLong { field } | AddressFault::Unprintable { field } => {
                field
            }
            AddressFault::UnknownCountry => "country",
            AddressFault::BadEmail => "email",
        }
    }
}

impl Country {
    /// # Errors
    /// `UnknownCountry`.
    pub fn parse(text: &str) -> Result<Country, AddressFault> {
        let code: [u8; 2] = text.as_bytes().try_into().map_err(|_| AddressFault::UnknownCountry)?;
        if COUNTRIES.split(' ').any(|it| it == text) { Ok(Country(code)) } else { Err(AddressFault::UnknownCountry) }
    }

    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_else(|_| unreachable!("a country code is ASCII"))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A postal address; every text is trimmed, printable and within [`FIELD_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub name: String,
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    pub region: Option<String>,
    pub postal_code: String,
    pub country: Country,
}

impl Address {
    /// # Errors
    /// The first [`AddressFault`].
    pub fn parse(
        name: &str,
        line1: &str,
        line2: Option<&str>,
        city: &str,
        region: Option<&str>,
        postal_code: &str,
        country: &str,
    ) -> Result<Address, AddressFault> {
        Ok(Address {
            name: required("name", name)?,
            line1: required("line1", line1)?,
            line2: optional("line2", line2)?,
            city: required("city", city)?,
            region: optional("region", region)?,
            postal_code: required("postalCode", postal_code)?,
            country: Country::parse(country)?,
        })
    }
}

/// As much of an address as prices depend on; a cart may know less of it than a checkout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    pub country: Country,
    /// State or province.
    pub region: Option<String>,
    pub postal_code: Option<String>,
}

impl Destination {
    /// Somewhere in this country.
    pub fn country(country: Country) -> Destination {
        Destination { country, region: None, postal_code: None }
    }
}

impl From<&Address> for Destination {
    fn from(address: &Address) -> Destination {
        let postal_code = Some(address.postal_code.clone());
        Destination { country: address.country, region: address.region.clone(), postal_code }
    }
}

/// Whether two names of places are the same but for case and the spaces around them.
pub fn same_name(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

fn required(field: &'static str, text: &str) -> Result<String, AddressFault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AddressFault::Missing { field });
    }
    if text.chars().count() > FIELD_MAX {
        return Err(AddressFault::TooLong { field });
    }
    if text.chars().any(char::is_control) {
        return Err(AddressFault::Unprintable { field });
    }
    Ok(text.to_owned())
}

fn optional(field: &'static str, text: Option<&str>) -> Result<Option<String>, AddressFault> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => required(field, text).map(Some),
    }
}

/// An address mail can be sent to: one `@`, something on both sides, no space, within [`EMAIL_MAX`].
/// Whether anyone reads it, only a mail tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// # Errors
    /// `BadEmail`.
    pub fn parse(text: &str) -> Result<Email, AddressFault> {
        let text = text.trim();
        let (local, domain) = text.split_once('@').ok_or(AddressFault::BadEmail)?;
        let plain = text.len() <= EMAIL_MAX
            && text
                .chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '(' | ')' | ',' | ';' | ':' | '\\' | '"'));
        let dotted = domain.contains('.')
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && !label.starts_with('-')
            });
        let local_fits = (1..=64).contains(&local.len())
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        if plain && dotted && local_fits { Ok(Email(text.to_owned())) } else { Err(AddressFault::BadEmail) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One name for one person, whether a guest or signed in, without the address itself: SHA-256,
    /// hexadecimal, of the address in lower case without what follows a `+` before the `@`.
    pub fn customer_key(&self) -> String {
        let text = self.0.to_ascii_lowercase();
        let (local, domain) = text.split_once('@').unwrap_or((&text, ""));
        let local = local.split_once('+').map_or(local, |(name, _)| name);
        format!("{:x}", Sha256::digest(format!("{local}@{domain}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_goes_only_to_addresses() {
        for good in ["a@b.co", "first.last+tag@shop.example.com", "o'neil@example.org"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@b.co",
            "a@b",
            "a b@c.de",
            "a@b@c.de",
            "a@b..de",
            "<a@b.co>",
            "a@b.co\nBcc: x@y.zz",
            ".a@b.co",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_person_has_one_key() {
        let key = |text: &str| Email::parse(text).unwrap().customer_key();
        for same in ["Ada@Example.org", "ada+shop@example.org", "ADA+a+b@EXAMPLE.ORG"] {
            assert_eq!(key(same), key("ada@example.org"), "{same}");
        }
        assert_ne!(key("ada@example.com"), key("ada@example.org"));
        assert_ne!(key("a.da@example.org"), key("ada@example.org"));
        assert_eq!(key("ada@example.org").len(), 64);
    }

    #[test]
    fn addresses_are_trimmed_and_bounded() {
        let parse =
            |name: &str, country: &str| Address::parse(name, "1 Road", Some(" "), "Town", None, "AB1 2CD", country);
        let address = parse("  Ada  ", "GB").unwrap();
        assert_eq!((address.name.as_str(), address.line2), ("Ada", None));
        assert_eq!(parse(" ", "GB"), Err(AddressFault::Missing { field: "name" }));
        assert_eq!(parse("a\u{7}b", "GB"), Err(AddressFault::Unprintable { field: "name" }));
        assert_eq!(parse(&"x".repeat(121), "GB"), Err(AddressFault::TooLong { field: "name" }));
        assert_eq!(parse("Ada", "gb"), Err(AddressFault::UnknownCountry));
        assert_eq!(parse("Ada", "XX"), Err(AddressFault::UnknownCountry));
    }
}
