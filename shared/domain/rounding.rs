//! How amounts that do not come out even are rounded: where ([`RoundingLevel`]) and which way
//! ([`RoundingMode`]). The policy of a purchase is stored with it, so that whatever is refunded later is
//! rounded as it was charged.
use std::fmt;

/// What tax is rounded on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoundingLevel {
    /// Once per line.
    #[default]
    Line,
    /// Once per unit; a line is the sum of its units.
    Unit,
    /// Once per tax rate over the whole purchase; lines get shares that sum to it.
    Total,
}

/// Which neighbour an amount goes to that lies exactly between two; any other goes to the nearer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoundingMode {
    /// Away from zero.
    #[default]
    HalfUp,
    /// To the even one.
    HalfEven,
    /// Towards zero.
    HalfDown,
}

/// A store's policy; written `line/half_up`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rounding {
    pub level: RoundingLevel,
    pub mode: RoundingMode,
}

impl RoundingLevel {
    pub const ALL: [RoundingLevel; 3] = [RoundingLevel::Line, RoundingLevel::Unit, RoundingLevel::Total];

    pub const fn name(self) -> &'static str {
        match self {
            RoundingLevel::Line => "line",
            RoundingLevel::Unit => "unit",
            RoundingLevel::Total => "total",
        }
    }
}

impl RoundingMode {
    pub const ALL: [RoundingMode; 3] = [RoundingMode::HalfUp, RoundingMode::HalfEven, RoundingMode::HalfDown];

    pub const fn name(self) -> &'static str {
        match self {
            RoundingMode::HalfUp => "half_up",
            RoundingMode::HalfEven => "half_even",
            RoundingMode::HalfDown => "half_down",
        }
    }

    /// The whole number nearest to `dividend / divisor`; `divisor` is positive.
    pub const fn divide(self, dividend: i128, divisor: i128) -> i128 {
        let magnitude = dividend.unsigned_abs();
        let divisor = divisor.unsigned_abs();
        // 64 bits are enough for nearly all money, and divide many times faster.
        let small = u64::MAX as u128;
        let (whole, rest) = if magnitude <= small && divisor <= small {
            let (magnitude, divisor) = (low(magnitude), low(divisor));
            ((magnitude / divisor) as u128, (magnitude % divisor) as u128)
        } else {
            (magnitude / divisor, magnitude % divisor)
        };
        // Not `2 * rest`, which could pass what 128 bits hold.
        let other = divisor - rest;
        let up = if rest == other {
            match self {
                RoundingMode::HalfUp => true,
                RoundingMode::HalfEven => whole % 2 == 1,
                RoundingMode::HalfDown => false,
            }
        } else {
            rest > other
        };
        let rounded = (if up { whole + 1 } else { whole }).cast_signed();
        if dividend < 0 { -rounded } else { rounded }
    }
}

/// The lower half of a number that has no upper half.
#[expect(clippy::cast_possible_truncation, reason = "callers have compared it with what 64 bits hold")]
const fn low(number: u128) -> u64 {
    number as u64
}

impl Rounding {
    /// `None` for anything but what `Display` writes.
    pub fn parse(text: &str) -> Option<Rounding> {
        let (level, mode) = text.split_once('/')?;
        let level = RoundingLevel::ALL.into_iter().find(|it| it.name() == level)?;
        let mode = RoundingMode::ALL.into_iter().find(|it| it.name() == mode)?;
        Some(Rounding { level, mode })
    }

    /// Every policy there is.
    pub fn all() -> impl Iterator<Item = Rounding> {
        RoundingLevel::ALL.into_iter().flat_map(|level| RoundingMode::ALL.map(|mode| Rounding { level, mode }))
    }
}

impl fmt::Display for Rounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level.name(), self.mode.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_goes_where_the_mode_says() {
        let check = |dividend, divisor, want: [i128; 3]| {
            let got = RoundingMode::ALL.map(|mode| mode.divide(dividend, divisor));
            assert_eq!(got, want, "{dividend}/{divisor}");
        };
        check(5, 10, [1, 0, 0]);
        check(15, 10, [2, 2, 1]);
        check(25, 10, [3, 2, 2]);
        check(-25, 10, [-3, -2, -2]);
        check(26, 10, [3, 3, 3]);
        check(24, 10, [2, 2, 2]);
        check(0, 7, [0, 0, 0]);
        check(1, 3, [0, 0, 0]);
        check(i128::MAX, 1, [i128::MAX; 3]);
    }

    #[test]
    fn a_policy_is_read_as_it_is_written() {
        assert_eq!(Rounding::all().count(), 9);
        for policy in Rounding::all() {
            assert_eq!(Rounding::parse(&policy.to_string()), Some(policy));
        }
        assert_eq!(Rounding::default().to_string(), "line/half_up");
        for bad in ["", "line", "line/half", "half_up/line", "line/half_up/x", "LINE/half_up"] {
            assert_eq!(Rounding::parse(bad), None, "{bad}");
        }
    }
}
