//! Values of settings, from their texts.

use std::time::Duration;

pub(super) fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let kind = if std::any::type_name::<T>().starts_with('u') {
        "a whole number, not negative"
    } else {
        "a whole number"
    };
    text.trim().parse().map_err(|_| kind.to_owned())
}

pub(super) fn at_least<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    least: T,
) -> Result<T, String> {
    let expected = format!("a whole number from {least}");
    match text.trim().parse::<T>() {
        Ok(value) if value >= least => Ok(value),
        _ => Err(expected),
    }
}

pub(super) fn millis(text: &str) -> Result<Duration, String> {
    match text.trim().parse() {
        Ok(millis) => Ok(Duration::from_millis(millis)),
        Err(_) => Err("a number of milliseconds, not negative".to_owned()),
    }
}

/// A size in bytes: a plain number, or one with KiB, MiB or GiB behind it.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let expected = || "a number of bytes, for example 268435456 or 256MiB".to_owned();
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(expected()),
    };
    number.checked_mul(factor).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_units() {
        assert_eq!(bytes("10485760"), Ok(10 << 20));
        assert_eq!(bytes("256 MiB"), Ok(256 << 20));
        assert!(bytes("much").is_err() && bytes("5 apples").is_err() && bytes("99999999999GiB").is_err());
    }
}
