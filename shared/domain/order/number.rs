//! The number that people read out: ten characters and a check character, so a slip of the tongue is
//! noticed before anything is looked up.
use crate::ids::OrderId;

/// Crockford's base 32; the five last are check characters only.
const ALPHABET: &[u8; 37] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";

/// A number whose check character fits, as [`OrderId::number`] writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderNumber(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an order number: the check character does not fit")]
pub struct BadNumber;

impl OrderNumber {
    pub fn of(order: OrderId) -> OrderNumber {
        OrderNumber(order.number())
    }

    /// As people write it: small letters, spaces and hyphens anywhere, `O` for `0`, `I` and `L` for `1`, as
    /// Crockford reads them.
    ///
    /// # Errors
    /// [`BadNumber`].
    pub fn parse(text: &str) -> Result<OrderNumber, BadNumber> {
        let mut digits = Vec::with_capacity(11);
        for byte in text.bytes().filter(|it| !matches!(it, b'-' | b' ')) {
            let byte = match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            if digits.len() == 11 {
                return Err(BadNumber);
            }
            digits.push(ALPHABET.iter().position(|it| *it == byte).ok_or(BadNumber)?);
        }
        let [value @ .., check] = digits.as_slice() else { return Err(BadNumber) };
        if value.len() != 10 || value.iter().any(|it| *it >= 32) {
            return Err(BadNumber);
        }
        if value.iter().fold(0, |rest, digit| (rest * 32 + digit) % 37) != *check {
            return Err(BadNumber);
        }
        let mut text: String = digits.iter().map(|it| char::from(ALPHABET[*it])).collect();
        text.insert(5, '-');
        Ok(OrderNumber(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::ids::CartId;

    fn numbers() -> impl Iterator<Item = String> {
        (0..200_u128).map(|it| CartId::new(Ulid::from_parts(1_700_000_000_000, it)).checkout().order().number())
    }

    #[test]
    fn a_number_is_read_as_people_write_it() {
        for number in numbers() {
            let right = OrderNumber::parse(&number).unwrap();
            assert_eq!(right.as_str(), number);
            let spoken = number.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            assert_eq!(OrderNumber::parse(&spoken).as_ref(), Ok(&right));
        }
    }

    #[test]
    fn one_wrong_character_or_two_swapped_ones_are_noticed() {
        for number in numbers() {
            let plain: Vec<u8> = number.bytes().filter(|it| *it != b'-').collect();
            for place in 0..plain.len() {
                let mut wrong = plain.clone();
                wrong[place] = if wrong[place] == b'7' { b'8' } else { b'7' };
                assert!(OrderNumber::parse(&String::from_utf8(wrong).unwrap()).is_err(), "{number} at {place}");
                let mut swapped = plain.clone();
                if place > 0 && place < 10 && swapped[place - 1] != swapped[place] {
                    swapped.swap(place - 1, place);
                    assert!(OrderNumber::parse(&String::from_utf8(swapped).unwrap()).is_err(), "{number} at {place}");
                }
            }
        }
        for bad in ["", "-", "7", "7Q3ZK-M2V9T55", "U0000-000000", "７Q3ZK-M2V9T5"] {
            assert!(OrderNumber::parse(bad).is_err(), "{bad}");
        }
    }
}
