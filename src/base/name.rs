//! Names that people give: branches and tags, tables and columns.

use std::fmt::Display;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not a valid {what} name: {reason}")]
pub struct BadName {
    /// The name.
    pub name: String,
    /// What it was to name.
    pub what: &'static str,
    /// The rule it breaks.
    pub reason: &'static str,
}

/// Checks the name of a branch or tag by the rules of `git check-ref-format --branch`.
pub fn check_ref(what: &'static str, name: &str) -> Result<(), BadName> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "@" || name == "HEAD" {
        "that word has a meaning of its own"
    } else if name.starts_with('-') {
        "it starts with '-'"
    } else if name.starts_with('/') || name.ends_with('/') || name.contains("//") {
        "an empty part between slashes"
    } else if name.split('/').any(|part| part.starts_with('.')) {
        "a part starts with '.'"
    } else if name.split('/').any(|part| part.ends_with(".lock")) {
        "a part ends with '.lock'"
    } else if name.ends_with('.') {
        "it ends with '.'"
    } else if name.contains("..") {
        "it contains '..'"
    } else if name.contains("@{") {
        "it contains '@{'"
    } else if name.contains(|c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c)) {
        "it contains a space, a control character or one of ~ ^ : ? * [ \\"
    } else {
        return Ok(());
    };
    Err(BadName { name: name.to_owned(), what, reason })
}

/// Checks the name of a table or a column: any text that is not empty, is under 256 bytes and has no control characters.
pub fn check_label(what: &'static str, name: &str) -> Result<(), BadName> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > 255 {
        "it is longer than 255 bytes"
    } else if name.contains(char::is_control) {
        "it contains a control character"
    } else {
        return Ok(());
    };
    Err(BadName { name: name.to_owned(), what, reason })
}

/// The up to three of `names` nearest to `wanted`, for a "did you mean".
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let limit = 1 + wanted.chars().count() / 3;
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .map(|name| (if name.eq_ignore_ascii_case(wanted) { 0 } else { edit_distance(wanted, name) }, name))
        .filter(|(distance, name)| *distance <= limit || (wanted.len() > 2 && (name.starts_with(wanted) || wanted.starts_with(name))))
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Names that were perhaps meant, as a hint; `None` without any.
pub fn did_you_mean<T: Display>(near: &[T]) -> Option<String> {
    let quoted: Vec<String> = near.iter().map(|name| format!("'{name}'")).collect();
    match quoted.as_slice() {
        [] => None,
        [one] => Some(format!("did you mean {one}?")),
        [most @ .., last] => Some(format!("did you mean {} or {last}?", most.join(", "))),
    }
}

/// How many characters are to be put in, left out, replaced or swapped with the next: the distance of optimal string alignment.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // The rows of the last two characters of `a`, and of this one.
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions() {
        assert_eq!(did_you_mean::<&str>(&[]), None);
        assert_eq!(did_you_mean(&["a"]).unwrap(), "did you mean 'a'?");
        assert_eq!(did_you_mean(&["a", "b", "c"]).unwrap(), "did you mean 'a', 'b' or 'c'?");
    }

    #[test]
    fn refs_follow_git() {
        for good in ["main", "feature/labels", "v1.0", "ünïcode", "a@b", "x{y}"] {
            assert_eq!(check_ref("branch", good), Ok(()), "{good}");
        }
        for bad in
            ["", "@", "-x", "a b", "a..b", "a~1", "a^", "a:b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a@{1}", "a\\b", "a\tb", "HEAD"]
        {
            assert!(check_ref("branch", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nearest_names() {
        assert_eq!(nearest("mian", ["main", "dev", "training"]), ["main"]);
        assert_eq!(nearest("captoin", ["caption", "captions", "id"]), ["caption", "captions"]);
        assert!(nearest("zzz", ["main", "dev"]).is_empty());
    }
}
