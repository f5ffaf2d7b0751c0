//! Histograms drawn with block characters.

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One character a bin, its height the bin's share of the fullest; an empty bin is a space.
pub fn spark(bins: &[u64]) -> String {
    let most = bins.iter().copied().max().unwrap_or(0);
    bins.iter()
        .map(|&n| {
            if n == 0 {
                return ' ';
            }
            // A bin with anything in it is seen.
            let level = (n as f64 / most as f64 * 8.0).ceil() as usize;
            LEVELS.get(level.saturating_sub(1)).copied().unwrap_or('█')
        })
        .collect()
}

/// A bar of up to `width` characters for `n` of `most`, to an eighth of a character.
pub fn bar(n: u64, most: u64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if most == 0 {
        return String::new();
    }
    let eighths = (n as f64 / most as f64 * (width * 8) as f64).round() as usize;
    let eighths = eighths.min(width * 8).max(usize::from(n > 0));
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS.get(eighths % 8).copied().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_and_lengths() {
        assert_eq!(spark(&[0, 1, 50, 100]), " ▁▄█");
        assert_eq!(spark(&[]), "");
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(5, 10, 3), "█▌");
        assert_eq!(bar(1, 1_000_000, 4), "▏");
    }
}
