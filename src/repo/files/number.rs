//! Numbers as text: which of them a type holds exactly.

use arrow::datatypes::i256;

/// What kind of number a text is, for the inference of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A 64-bit integer; `float` tells if a float64 holds it too.
    Int { float: bool },
    /// A decimal number that a float64 holds: its shortest text has the same value.
    Float,
    /// `NaN`, `inf` or `-inf`, in the spelling that exports use.
    Special,
    /// A text, or a number that no type holds exactly.
    Other,
}

/// Sign, significant digits and the place of the point: `0.DIGITS · 10^point`.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    /// `[+-] digits [. digits] [e [+-] digits]`, leading zeros and all.
    fn parse(text: &str) -> Option<Decimal> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (rest.get(..at)?, rest.get(at + 1..)?.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let mut point = i64::try_from(whole.len()).ok()?.checked_add(i64::from(exponent))?;
        let zeros = digits.iter().take_while(|d| **d == b'0').count();
        digits.drain(..zeros);
        point = point.checked_sub(i64::try_from(zeros).ok()?)?;
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            point = 0;
        }
        Some(Decimal { negative, digits, point })
    }

    /// The number times 10^scale, if that is an integer of at most `precision` digits: as text.
    fn scaled(&self, precision: u8, scale: i8) -> Option<String> {
        let length = i64::try_from(self.digits.len()).ok()?;
        if length == 0 {
            return Some("0".to_owned());
        }
        let zeros = self.point.checked_sub(length)?.checked_add(i64::from(scale))?;
        if zeros < 0 || length.checked_add(zeros)? > i64::from(precision) {
            return None;
        }
        let mut text = String::with_capacity(80);
        if self.negative {
            text.push('-');
        }
        text.extend(self.digits.iter().map(|d| char::from(*d)));
        text.extend(std::iter::repeat_n('0', usize::try_from(zeros).ok()?));
        Some(text)
    }
}

/// True for `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`, where digits before the point may be missing.
fn is_number(text: &str) -> Option<bool> {
    let bytes = text.as_bytes();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let digits = |from: usize| bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(at);
    if whole > 1 && bytes.get(at) == Some(&b'0') {
        return None;
    }
    at += whole;
    let mut integer = true;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
        integer = false;
    } else if whole == 0 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
        integer = false;
    }
    (at == bytes.len()).then_some(integer)
}

/// The kind of number that `text` is. Leading zeros and plus signs make it [`Kind::Other`]: they would be lost.
pub(super) fn kind(text: &str) -> Kind {
    match text {
        "NaN" | "inf" | "-inf" => return Kind::Special,
        // A float keeps its sign.
        "-0" => return Kind::Float,
        _ => {}
    }
    // No number that is kept as one is as long.
    if text.len() > 400 {
        return Kind::Other;
    }
    match is_number(text) {
        None => Kind::Other,
        Some(true) => match text.parse::<i64>() {
            Ok(_) => Kind::Int { float: float_holds(text) },
            Err(_) => Kind::Other,
        },
        Some(false) if float_holds(text) => Kind::Float,
        Some(false) => Kind::Other,
    }
}

/// True if the shortest text of the nearest float64 is the same number.
fn float_holds(text: &str) -> bool {
    // Up to 15 significant digits always survive, away from the ends of the range.
    if text.len() <= 16 && !text.bytes().any(|b| matches!(b, b'e' | b'E')) && text.bytes().filter(u8::is_ascii_digit).count() <= 15 {
        return true;
    }
    let Ok(value) = text.parse::<f64>() else { return false };
    value.is_finite() && Decimal::parse(text) == Decimal::parse(&format!("{value:e}"))
}

/// The integer that a text means where an integer is asked for: leading zeros, a plus sign and an empty fraction are fine.
pub(super) fn integer(text: &str) -> Option<i128> {
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) => Decimal::parse(text)?.scaled(38, 0)?.parse().ok(),
    }
}

/// The float that a text means where a float is asked for: rounded, never overflowing to infinity.
pub(super) fn float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    (value.is_finite() || !text.bytes().any(|b| b.is_ascii_digit())).then_some(value)
}

/// [`float`], for 32 bits.
pub(super) fn float32(text: &str) -> Option<f32> {
    let value: f32 = text.parse().ok()?;
    (value.is_finite() || !text.bytes().any(|b| b.is_ascii_digit())).then_some(value)
}

/// The unscaled integer of a decimal; `None` where digits would be lost.
pub(super) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i256> {
    i256::from_string(&Decimal::parse(text)?.scaled(precision, scale)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds() {
        let int = Kind::Int { float: true };
        for (text, want) in [
            ("0", int),
            ("-12", int),
            ("9007199254740992", int),
            ("9007199254740993", Kind::Int { float: false }),
            ("9223372036854775807", Kind::Int { float: false }),
            ("9223372036854775808", Kind::Other),
            ("-0", Kind::Float),
            ("1.50", Kind::Float),
            (".5", Kind::Float),
            ("-0.0", Kind::Float),
            ("1e5", Kind::Float),
            ("1E+05", Kind::Float),
            ("0.1", Kind::Float),
            ("0.10000000000000000555", Kind::Other),
            ("0.30000000000000004", Kind::Float),
            ("0.300000000000000041", Kind::Other),
            ("1e309", Kind::Other),
            ("1e-400", Kind::Other),
            ("5e-324", Kind::Float),
            ("4.9e-324", Kind::Other),
            ("123456789012345678901234567890", Kind::Other),
            ("NaN", Kind::Special),
            ("nan", Kind::Other),
            ("inf", Kind::Special),
        ] {
            assert_eq!(kind(text), want, "{text}");
        }
        for text in ["", "-", "+1", "007", "00.5", "5.", "1e", "1e+", "e5", ".", "1 ", " 1", "0x10", "1_000", "1,5", "NA", "--1", "1.2.3"] {
            assert_eq!(kind(text), Kind::Other, "{text}");
        }
    }

    #[test]
    fn asked_for() {
        assert_eq!(integer("+007"), Some(7));
        assert_eq!(integer("12.000"), Some(12));
        assert_eq!(integer("1e3"), Some(1000));
        assert_eq!(integer("12.5"), None);
        assert_eq!(integer("1e99"), None);
        assert_eq!(integer("1e999999999999"), None);
        assert_eq!(float("1e400"), None);
        assert_eq!(float("inf"), Some(f64::INFINITY));
        assert_eq!(float32("1e39"), None);
        assert_eq!(decimal("12.30", 10, 2), Some(i256::from(1230)));
        assert_eq!(decimal("12.345", 10, 2), None);
        assert_eq!(decimal("-123000", 3, -3), Some(i256::from(-123)));
        assert_eq!(decimal("123456", 5, 0), None);
        assert_eq!(decimal("-0.00", 5, 2), Some(i256::ZERO));
    }

    proptest! {
        /// Whatever is taken for a float prints as the same number, by a big-decimal comparison of the texts.
        #[test]
        fn floats_keep_their_value(text in "-?[0-9]{1,20}(\\.[0-9]{1,20})?(e-?[0-9]{1,3})?") {
            if kind(&text) == Kind::Float {
                let printed = format!("{:?}", text.parse::<f64>().unwrap());
                prop_assert_eq!(Decimal::parse(&text), Decimal::parse(&printed));
            }
        }

        #[test]
        fn every_float_is_taken(bits: u64) {
            let value = f64::from_bits(bits);
            let text = format!("{value:?}");
            prop_assert!(matches!(kind(&text), Kind::Float | Kind::Special), "{}", text);
        }
    }
}
