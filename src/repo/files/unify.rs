//! One type for a column that several files have.

use arrow::datatypes::DataType;

use crate::format::Type;

/// The narrowest type that holds every value of both exactly; `None` where there is none.
pub fn unify(a: &Type, b: &Type) -> Option<Type> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Type::Plain(x), Type::Plain(y)) => plain(x, y).map(Type::Plain),
        (Type::Enum(x), Type::Enum(y)) if x.is_empty() || y.is_empty() => Some(Type::Enum(vec![])),
        (Type::Enum(x), Type::Enum(y)) => Some(Type::Enum(x.iter().chain(y.iter().filter(|label| !x.contains(label))).cloned().collect())),
        (Type::Enum(_), text @ Type::Plain(DataType::Utf8)) | (text @ Type::Plain(DataType::Utf8), Type::Enum(_)) => Some(text.clone()),
        (Type::List(x), Type::List(y)) => Some(Type::List(Box::new(unify(x, y)?))),
        (Type::Map(k, v), Type::Map(l, w)) => Some(Type::Map(Box::new(unify(k, l)?), Box::new(unify(v, w)?))),
        (Type::Struct(x), Type::Struct(y)) if x.len() == y.len() => {
            let fields = x.iter().map(|(name, t)| Some((name.clone(), unify(t, &y.iter().find(|(n, _)| n == name)?.1)?)));
            fields.collect::<Option<_>>().map(Type::Struct)
        }
        (Type::Embedding { dim, .. }, Type::Embedding { dim: other, .. }) if dim == other => Some(Type::Embedding { dim: *dim, half: false }),
        (x, y) if x.is_media() && (y.is_media() || *y == Type::BINARY) || *x == Type::BINARY && y.is_media() => Some(Type::BINARY),
        _ => None,
    }
}

fn plain(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::*;
    // Signed or not, and bits; floats hold integers of their significand.
    let integer = |t: &DataType| match t {
        Int8 => Some((true, 8)),
        Int16 => Some((true, 16)),
        Int32 => Some((true, 32)),
        Int64 => Some((true, 64)),
        UInt8 => Some((false, 8)),
        UInt16 => Some((false, 16)),
        UInt32 => Some((false, 32)),
        UInt64 => Some((false, 64)),
        _ => None,
    };
    let float = |t: &DataType| match t {
        Float16 => Some(11),
        Float32 => Some(24),
        Float64 => Some(53),
        _ => None,
    };
    let float_of = |bits: u32| match bits {
        ..=11 => Some(Float16),
        12..=24 => Some(Float32),
        25..=53 => Some(Float64),
        _ => None,
    };
    match (integer(a), integer(b), float(a), float(b)) {
        (Some((signed, n)), Some((other, m)), ..) => {
            let bits = match (signed, other) {
                (true, false) => n.max(m * 2),
                (false, true) => m.max(n * 2),
                _ => n.max(m),
            };
            return Some(match (signed || other, bits) {
                (true, ..=8) => Int8,
                (true, ..=16) => Int16,
                (true, ..=32) => Int32,
                (true, ..=64) => Int64,
                (false, ..=8) => UInt8,
                (false, ..=16) => UInt16,
                (false, ..=32) => UInt32,
                (false, ..=64) => UInt64,
                _ => return None,
            });
        }
        (Some((_, bits)), _, _, Some(significand)) | (_, Some((_, bits)), Some(significand), _) => return float_of(significand.max(bits)),
        (_, _, Some(n), Some(m)) => return float_of(n.max(m)),
        _ => {}
    }
    match (a, b) {
        (Decimal128(p, s), Decimal128(q, t))
        | (Decimal256(p, s), Decimal256(q, t))
        | (Decimal128(p, s), Decimal256(q, t))
        | (Decimal256(p, s), Decimal128(q, t)) => {
            let scale = *s.max(t);
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            let precision = u8::try_from(whole + i16::from(scale)).ok()?;
            match precision {
                1..=38 => Some(Decimal128(precision, scale)),
                39..=76 => Some(Decimal256(precision, scale)),
                _ => None,
            }
        }
        (Binary, FixedSizeBinary(_)) | (FixedSizeBinary(_), Binary | FixedSizeBinary(_)) => Some(Binary),
        // The finer unit; a value too far away for it is an error where it is met.
        (Timestamp(u, z), Timestamp(v, w)) if z == w => Some(Timestamp(*u.max(v), z.clone())),
        (Duration(u), Duration(v)) => Some(Duration(*u.max(v))),
        (Time32(u) | Time64(u), Time32(v) | Time64(v)) => Some(match u.max(v) {
            unit @ (arrow::datatypes::TimeUnit::Second | arrow::datatypes::TimeUnit::Millisecond) => Time32(*unit),
            unit => Time64(*unit),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        for (a, b, want) in [
            ("int8", "int64", Some("int64")),
            ("uint8", "int8", Some("int16")),
            ("uint64", "int8", None),
            ("int32", "float32", Some("float64")),
            ("int64", "float64", None),
            ("int8", "float16", Some("float16")),
            ("float16", "float64", Some("float64")),
            ("decimal(5,2)", "decimal(4,3)", Some("decimal(6,3)")),
            ("decimal(38,0)", "decimal(38,10)", Some("decimal256(48,10)")),
            ("timestamp(s)", "timestamp(us)", Some("timestamp(us)")),
            ("timestamp(s)", "timestamp(us,UTC)", None),
            ("text", "int64", None),
            ("enum(a,b)", "enum(b,c)", Some("enum(\"a\",\"b\",\"c\")")),
            ("enum(a)", "text", Some("text")),
            ("list<int8>", "list<int32>", Some("list<int32>")),
            ("struct<a: int8, b: text>", "struct<b: text, a: int16>", Some("struct<a: int16, b: text>")),
            ("struct<a: int8>", "struct<b: int8>", None),
            ("embedding(3)", "embedding(3,float16)", Some("embedding(3)")),
            ("embedding(3)", "embedding(4)", None),
            ("image", "video", Some("binary")),
            ("json", "text", None),
        ] {
            let (a, b): (Type, Type) = (a.parse().unwrap(), b.parse().unwrap());
            let found = unify(&a, &b).map(|t| t.to_string());
            assert_eq!(found.as_deref(), want, "{a} and {b}");
            let back = unify(&b, &a);
            assert_eq!(back.is_some(), want.is_some(), "{b} and {a}");
        }
    }
}
