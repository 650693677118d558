//! Resource quantities, exact: `250m`, `1.5Gi`, `2e3`.
//!
//! A quantity is kept as a whole number of billionths, which is Kubernetes' own precision; what
//! is finer is rounded up, away from zero.

/// Billionths in one.
const NANOS: i128 = 1_000_000_000;

/// Longest text worth parsing: sign, 40 digits, suffix.
const TEXT: usize = 64;

/// A text that is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)]
pub struct QuantityError;

/// An exact amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nanos: i128,
}

impl Quantity {
    /// Parses the text of a quantity.
    ///
    /// # Errors
    /// When it is not one, or its magnitude is beyond 2⁶³.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        if text.len() > TEXT {
            return Err(QuantityError);
        }
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end =
            unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let nanos = scale(number, multiplier(suffix)?)?;
        Ok(Self { nanos: if negative { -nanos } else { nanos } })
    }

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Thousandths, rounded up.
    pub fn millis(self) -> i64 {
        self.in_units_of(NANOS / 1000)
    }

    /// Whole units, rounded up.
    pub fn units(self) -> i64 {
        self.in_units_of(NANOS)
    }

    /// Whether it is a whole number.
    pub fn is_whole(self) -> bool {
        self.nanos % NANOS == 0
    }

    fn in_units_of(self, unit: i128) -> i64 {
        let whole = self.nanos / unit;
        let rounded = whole + (self.nanos % unit).signum();
        i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
    }
}

/// A suffix as a fraction: numerator and denominator.
fn multiplier(suffix: &str) -> Result<(i128, i128), QuantityError> {
    let power = |base: i128, exponent: u32| base.checked_pow(exponent).ok_or(QuantityError);
    Ok(match suffix {
        "" => (1, 1),
        "n" => (1, power(10, 9)?),
        "u" => (1, power(10, 6)?),
        "m" => (1, power(10, 3)?),
        "k" => (power(10, 3)?, 1),
        "M" => (power(10, 6)?, 1),
        "G" => (power(10, 9)?, 1),
        "T" => (power(10, 12)?, 1),
        "P" => (power(10, 15)?, 1),
        "E" => (power(10, 18)?, 1),
        "Ki" => (power(2, 10)?, 1),
        "Mi" => (power(2, 20)?, 1),
        "Gi" => (power(2, 30)?, 1),
        "Ti" => (power(2, 40)?, 1),
        "Pi" => (power(2, 50)?, 1),
        "Ei" => (power(2, 60)?, 1),
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E']).ok_or(QuantityError)?;
            let exponent: i32 = digits.parse().map_err(|_| QuantityError)?;
            let size = power(10, exponent.unsigned_abs())?;
            if exponent < 0 { (1, size) } else { (size, 1) }
        }
    })
}

/// `number` (digits with at most one point) times a fraction, in billionths, rounded up.
fn scale(number: &str, (times, over): (i128, i128)) -> Result<i128, QuantityError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(QuantityError);
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let mantissa: i128 =
        if digits.is_empty() { 0 } else { digits.parse().map_err(|_| QuantityError)? };
    let places = u32::try_from(fraction.len()).map_err(|_| QuantityError)?;
    let over =
        10_i128.checked_pow(places).and_then(|p| p.checked_mul(over)).ok_or(QuantityError)?;
    let shared = gcd(NANOS * times.min(1), over).max(1);
    let (nanos, over) = (NANOS / shared, over / shared);
    let product =
        mantissa.checked_mul(nanos).and_then(|n| n.checked_mul(times)).ok_or(QuantityError)?;
    let rounded = product / over + i128::from(product % over != 0);
    if rounded / NANOS > i128::from(i64::MAX) { Err(QuantityError) } else { Ok(rounded) }
}

const fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A CPU quantity in thousandths of a core, rounded up.
///
/// # Errors
/// When the text is no quantity.
pub fn cpu_millis(text: &str) -> Result<i64, QuantityError> {
    Quantity::parse(text).map(Quantity::millis)
}

/// A memory or storage quantity in bytes, rounded up.
///
/// # Errors
/// When the text is no quantity.
pub fn bytes(text: &str) -> Result<i64, QuantityError> {
    Quantity::parse(text).map(Quantity::units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cpu_is_in_thousandths_rounded_up() {
        for (text, millis) in [
            ("1", 1000),
            ("250m", 250),
            ("0.1", 100),
            ("1.5", 1500),
            ("2e3", 2_000_000),
            ("1u", 1),
            ("100n", 1),
            ("-1.5", -1500),
            (".5", 500),
            ("5.", 5000),
        ] {
            assert_eq!(cpu_millis(text), Ok(millis), "{text}");
        }
    }

    #[test]
    fn memory_is_in_bytes() {
        for (text, size) in [
            ("128Mi", 134_217_728),
            ("1.5Gi", 1_610_612_736),
            ("1G", 1_000_000_000),
            ("1E", 1_000_000_000_000_000_000),
            ("1E3", 1000),
            ("1e-1", 1),
            ("100", 100),
            ("7Ei", 8_070_450_532_247_928_832),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "-", ".", "1.2.3", "1 Gi", "1gi", "Mi", "1mm", "e3", "1e", "99Ei", "é"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in ".{0,80}") {
            let _ = Quantity::parse(&text);
        }

        #[test]
        fn plausible_garbage_never_panics(text in "[-+]?[0-9.]{0,45}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,4}") {
            let _ = Quantity::parse(&text);
        }

        #[test]
        fn whole_numbers_are_exact(number in 0_i64..i64::MAX) {
            prop_assert_eq!(bytes(&number.to_string()), Ok(number));
        }
    }
}
