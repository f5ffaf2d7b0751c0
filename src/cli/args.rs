//! From the words of arguments to what they mean: lists, pairs, names of columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};

use super::error::CliError;
use crate::format::Type;

/// Splits at each top-level `separator`: not within brackets or double quotes. Pieces are trimmed; an empty text has no piece.
pub fn split(text: &str, separator: char) -> Vec<String> {
    let (mut depth, mut quoted) = (0usize, false);
    let mut pieces = vec![String::new()];
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '<' | '[' | '{' if !quoted => depth += 1,
            ')' | '>' | ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == separator && depth == 0 && !quoted {
            pieces.push(String::new());
        } else if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
    }
    if pieces.len() == 1 && pieces.iter().all(|p| p.trim().is_empty()) {
        return Vec::new();
    }
    pieces.into_iter().map(|p| p.trim().to_owned()).collect()
}

/// A name as it was meant: in double quotes, with `""` for a quote, or bare.
pub fn unquote(text: &str) -> String {
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_owned(),
    }
}

/// A command as the operation log keeps it: words that a shell would take apart stand in quotes.
pub fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./,:=@%+~^".contains(c);
    let quoted = words.into_iter().map(|word| match word {
        word if !word.is_empty() && word.chars().all(plain) => word.to_owned(),
        word if word.contains('\'') => format!("\"{word}\""),
        word => format!("'{word}'"),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Names from arguments such as `a,b` or `"odd, name"`. Errors on an empty one.
pub fn names(option: &str, texts: &[String]) -> Result<Vec<String>, CliError> {
    let names: Vec<String> = texts.iter().flat_map(|t| split(t, ',')).map(|t| unquote(&t)).collect();
    if names.iter().any(String::is_empty) {
        return Err(CliError::usage(format!("{option}: an empty name between commas")));
    }
    Ok(names)
}

/// `COL=TYPE,...` as names and types, in order.
pub fn types(option: &str, texts: &[String]) -> Result<Vec<(String, Type)>, CliError> {
    let mut out: Vec<(String, Type)> = Vec::new();
    for piece in texts.iter().flat_map(|t| split(t, ',')) {
        let (name, ty) = pair(option, &piece, "COLUMN=TYPE")?;
        let ty = ty.parse().map_err(|e: crate::format::TypeError| CliError::usage(format!("{option}: column '{name}': {e}")).hint(TYPES_HINT))?;
        if out.iter().any(|(other, _)| *other == name) {
            return Err(CliError::usage(format!("{option}: column '{name}' is named twice")));
        }
        out.push((name, ty));
    }
    Ok(out)
}

/// The types there are, for hints.
pub const TYPES_HINT: &str = "types are bool, int8 to int64, uint8 to uint64, float16 to float64, decimal(P,S), text, binary, date, time, timestamp, duration, json, \
                              uuid, enum, list<T>, struct<a: T>, map<K, V>, embedding(N), tensor(28x28,uint8), image, audio, video";

/// An age such as `30d`, `12h` or `0s`, in milliseconds. Units are s, m, h, d and w.
pub fn age(option: &str, text: &str) -> Result<u64, CliError> {
    let fail = || CliError::usage(format!("{option}: '{text}' is not an age")).hint("write it as 30d, 12h, 90m or 0s");
    let unit = match text.chars().next_back() {
        Some('s') => 1000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        Some('w') => 604_800_000,
        _ => return Err(fail()),
    };
    let count: u64 = text.get(..text.len() - 1).and_then(|digits| digits.parse().ok()).ok_or_else(fail)?;
    count.checked_mul(unit).ok_or_else(fail)
}

/// What stands before and after the first `mark` that is not in double quotes.
pub fn halves(text: &str, mark: char) -> Option<(&str, &str)> {
    let mut quoted = false;
    let at = text.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == mark && !quoted
    });
    at.and_then(|(i, c)| Some((text.get(..i)?, text.get(i + c.len_utf8()..)?)))
}

/// `NAME=VALUE`; the name may be quoted, the value is kept as it is.
pub fn pair(option: &str, text: &str, form: &str) -> Result<(String, String), CliError> {
    let (name, value) = halves(text, '=').ok_or_else(|| CliError::usage(format!("{option}: '{text}' is not {form}")))?;
    let name = unquote(name.trim());
    if name.is_empty() {
        return Err(CliError::usage(format!("{option}: '{text}' names nothing before the '='")));
    }
    Ok((name, value.to_owned()))
}

/// One value of a type from its text, as an array of one cell of the type's storage type. `null` is null, except as text.
pub fn value(text: &str, ty: &Type) -> Result<ArrayRef, CliError> {
    let storage = ty.storage();
    let is_text = matches!(ty, Type::Enum(_)) || *ty == Type::TEXT;
    let misfit = || CliError::usage(format!("'{text}' is not {ty}"));
    if text == "null" && !is_text {
        return Ok(arrow::array::new_null_array(&storage, 1));
    }
    match ty {
        Type::Json if serde_json::from_str::<serde_json::Value>(text).is_err() => return Err(misfit()),
        Type::Enum(labels) if !labels.is_empty() && !labels.iter().any(|l| l == text) => return Err(misfit()),
        Type::Plain(t) if !t.is_binary() => {}
        Type::Json | Type::Enum(_) => {}
        _ => return Err(CliError::usage(format!("a default of type {ty} cannot be typed")).hint("give an SQL expression with --as")),
    }
    let cell: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let cast = cast_with_options(&cell, &storage, &CastOptions { safe: false, ..CastOptions::default() }).map_err(|_| misfit())?;
    if cast.is_null(0) { Err(misfit()) } else { Ok(cast) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_type() {
        for (ty, text, shown) in [
            ("int8", "-3", "-3"),
            ("bool", "true", "true"),
            ("date", "2026-01-31", "2026-01-31"),
            ("decimal(5,2)", "1.5", "1.50"),
            ("text", "null", "null"),
            ("enum(a,b)", "b", "b"),
            ("json", "{\"a\": 1}", "{\"a\": 1}"),
            ("float32", "null", ""),
        ] {
            let ty: Type = ty.parse().unwrap();
            let cell = value(text, &ty).unwrap();
            assert_eq!((cell.len(), cell.data_type()), (1, &ty.storage()));
            assert_eq!(arrow::util::display::array_value_to_string(&cell, 0).unwrap(), shown);
        }
        for (ty, text) in [("int8", "300"), ("int8", "x"), ("enum(a,b)", "c"), ("json", "{"), ("image", "x"), ("embedding(2)", "[1,2]"), ("bool", "maybe")] {
            assert_eq!(value(text, &ty.parse().unwrap()).unwrap_err().exit, 2, "{ty} {text}");
        }
    }

    #[test]
    fn commas_within_types_do_not_split() {
        let parsed = types("--types", &["a=decimal(10,2), b=struct<x: int32, y: list<text>>".to_owned(), "\"c,=\"=text".to_owned()]).unwrap();
        let texts: Vec<String> = parsed.iter().map(|(n, t)| format!("{n}: {t}")).collect();
        assert_eq!(texts, ["a: decimal(10,2)", "b: struct<x: int32, y: list<text>>", "c,=: text"]);
    }

    #[test]
    fn wrong_use_is_told() {
        for bad in ["a", "=int32", "a=nonsense", "a=int32,a=text", "a=decimal(99,1)", "a=list<"] {
            assert_eq!(types("--types", &[bad.to_owned()]).unwrap_err().exit, 2, "{bad}");
        }
        assert!(names("--key", &["a,,b".to_owned()]).is_err());
        assert_eq!(names("--key", &["a, \"b \"\"x\"\"\"".to_owned(), "c".to_owned()]).unwrap(), ["a", "b \"x\"", "c"]);
        assert!(split("", ',').is_empty());
    }

    #[test]
    fn commands_are_quoted_where_a_shell_needs_it() {
        assert_eq!(command(["column", "rename", "b", "Cost Total $", "cost"]), "column rename b 'Cost Total $' cost");
        assert_eq!(command(["import", "", "it's.csv", "--key", "a,b"]), "import '' \"it's.csv\" --key a,b");
    }

    #[test]
    fn ages() {
        assert_eq!(age("--grace", "0s").unwrap(), 0);
        assert_eq!(age("--grace", "2w").unwrap(), 14 * 86_400_000);
        for bad in ["", "d", "5", "-1d", "1.5h", "5é", "99999999999999999w"] {
            assert_eq!(age("--grace", bad).unwrap_err().exit, 2, "{bad}");
        }
    }

    #[test]
    fn values_are_kept_as_they_are() {
        assert_eq!(pair("-p", "x= a=b ", "NAME=VALUE").unwrap(), ("x".to_owned(), " a=b ".to_owned()));
    }
}
