//! Answers as the lines of .slt files: the letters of types, and cells as text, as DataFusion's own runner writes them.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// A letter for each column.
pub fn types(schema: &Schema) -> String {
    let letter = |ty: &DataType| match ty {
        DataType::Boolean => 'B',
        ty if ty.is_integer() => 'I',
        ty if ty.is_floating() || ty.is_decimal() => 'R',
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 'T',
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => 'D',
        DataType::Timestamp(..) => 'P',
        DataType::Dictionary(_, values) if values.is_string() => 'T',
        _ => '?',
    };
    schema.fields().iter().map(|field| letter(field.data_type())).collect()
}

/// The rows, a line each; a cell of several lines in the last column is told as numbered rows of its own.
pub fn lines(batches: &[RecordBatch]) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let mut cells = batch.columns().iter().map(|column| cell(column, row)).collect::<Result<Vec<_>, _>>()?;
            let last = cells.pop().unwrap_or_default();
            let parts: Vec<&str> = last.split('\n').collect();
            if parts.len() < 2 {
                cells.push(last);
                out.push(cells.join(" ").trim_end().to_owned());
                continue;
            }
            out.push(cells.join(" ").trim_end().to_owned());
            out.extend(parts.iter().enumerate().map(|(at, part)| {
                let text = part.trim_start();
                format!("{:02}){}{text}", at + 1, "-".repeat(part.len() - text.len())).trim_end().to_owned()
            }));
        }
    }
    Ok(out)
}

fn cell(column: &ArrayRef, row: usize) -> Result<String, String> {
    if column.is_null(row) || column.data_type().is_null() {
        return Ok("NULL".into());
    }
    let format = datafusion::config::FormatOptions { null: "NULL".into(), ..Default::default() };
    let options = FormatOptions::try_from(&format).map_err(|e| e.to_string())?;
    let formatted = |column: &ArrayRef| -> Result<String, String> {
        let formatter = ArrayFormatter::try_new(column, &options).map_err(|e| e.to_string())?;
        formatter.value(row).try_to_string().map_err(|e| e.to_string())
    };
    Ok(match column.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            return cell(dictionary.values(), dictionary.normalized_keys()[row]);
        }
        // Shortest text first, as Rust prints a number, then rounded.
        DataType::Float16 => number(&column.as_primitive::<arrow::datatypes::Float16Type>().value(row).to_string()),
        DataType::Float32 => number(&column.as_primitive::<arrow::datatypes::Float32Type>().value(row).to_string()),
        DataType::Float64 => number(&column.as_primitive::<arrow::datatypes::Float64Type>().value(row).to_string()),
        ty if ty.is_decimal() => trimmed(&formatted(column)?),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => match formatted(column)? {
            text if text.is_empty() => "(empty)".into(),
            text => text.trim_end_matches('\n').replace('\0', "\\0"),
        },
        _ => formatted(column)?,
    })
}

/// Digits of a fraction that are shown.
const FRACTION_MAX: usize = 12;

/// A float: at most so many digits behind the point, halves to even, without zeros at the end.
fn number(text: &str) -> String {
    match text {
        "NaN" | "-NaN" => return "NaN".into(),
        "inf" => return "Infinity".into(),
        "-inf" => return "-Infinity".into(),
        _ => {}
    }
    let Some((whole, fraction)) = text.split_once('.') else { return trimmed(text) };
    if fraction.len() <= FRACTION_MAX {
        return trimmed(text);
    }
    let (kept, rest) = fraction.split_at(FRACTION_MAX);
    let mut digits: Vec<u8> = whole.trim_start_matches('-').bytes().chain(kept.bytes()).collect();
    let tie = rest.starts_with('5') && rest[1..].bytes().all(|d| d == b'0');
    let odd = digits.last().is_some_and(|d| (d - b'0') % 2 == 1);
    if if tie { odd } else { rest.as_bytes()[0] >= b'5' } {
        let mut at = digits.len();
        loop {
            if at == 0 {
                digits.insert(0, b'1');
                break;
            }
            at -= 1;
            if digits[at] < b'9' {
                digits[at] += 1;
                break;
            }
            digits[at] = b'0';
        }
    }
    let digits = String::from_utf8(digits).unwrap();
    let (whole, fraction) = digits.split_at(digits.len() - FRACTION_MAX);
    let sign = if text.starts_with('-') { "-" } else { "" };
    trimmed(&format!("{sign}{whole}.{fraction}"))
}

/// A decimal number without zeros at its end, and zero without a sign.
fn trimmed(text: &str) -> String {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text.trim_start_matches('-').is_empty() || text == "-0" { "0".into() } else { text.into() }
}

#[test]
fn numbers_are_rounded_as_the_files_have_them() {
    let cases = [
        ("1", "1"),
        ("-0", "0"),
        ("1.50", "1.5"),
        ("100", "100"),
        ("0.1234567890125", "0.123456789012"),
        ("0.1234567890135", "0.123456789014"),
        ("0.12345678901251", "0.123456789013"),
        ("-9.9999999999999", "-10"),
        ("-0.0000000000001", "0"),
        ("NaN", "NaN"),
        ("-inf", "-Infinity"),
        ("99999999.9999999999996", "100000000"),
    ];
    for (text, expected) in cases {
        assert_eq!(number(text), expected, "{text}");
    }
}
