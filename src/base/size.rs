//! Sizes as people write them.

/// `10MB`, `500k`, `1000`: bytes, in thousands as disks are sold. `None` for what is no size.
pub fn bytes_of(text: &str) -> Option<u64> {
    let lower = text.trim().to_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let unit =
        lower.chars().last().and_then(|last| Some((last, [('k', 1e3), ('m', 1e6), ('g', 1e9), ('t', 1e12)].into_iter().find(|(unit, _)| *unit == last)?.1)));
    let (digits, factor) = match unit {
        Some((unit, factor)) => (lower.strip_suffix(unit).unwrap_or(lower), factor),
        None => (lower, 1.0),
    };
    let number = digits.trim().parse::<f64>().ok().filter(|number| *number >= 0.0 && number.is_finite())?;
    Some((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes_of;

    #[test]
    fn sizes() {
        for (text, expected) in [("1000", 1000), ("500k", 500_000), ("10MB", 10_000_000), ("1.5gb", 1_500_000_000), ("2 TB", 2_000_000_000_000), ("0", 0)] {
            assert_eq!(bytes_of(text), Some(expected), "{text}");
        }
        assert!(["", "-1", "fast", "10XB", "NaN", "b", "kb"].iter().all(|text| bytes_of(text).is_none()));
    }
}
