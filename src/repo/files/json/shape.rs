//! The type of a column of JSON values, found from all of them.
//!
//! A type is chosen only if the values come back from it as equal JSON. A place where kinds of values mix, where a number is one
//! that neither int64 nor float64 holds exactly, where objects differ in their names or have none, or that lies more than 16 deep,
//! has the type `json`, which keeps what was written. So a struct is found only where every object has the same names: a missing
//! name and an explicit null would come out alike. (In the rows themselves they do: a missing name is null.)

use super::super::number::{self, Kind};
use super::node::{Node, Value};
use crate::format::Type;

const DEPTH_MAX: usize = 16;
const FIELDS_MAX: usize = 1000;

/// What the values seen so far have in common.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::repo::files) enum Shape {
    /// Nulls alone.
    Nothing,
    Bool,
    Number(Numbers),
    /// Texts; `special` if they are all names of numbers that are none: `NaN`, `Infinity`, `-Infinity`.
    Text {
        special: bool,
    },
    List(Box<Shape>),
    /// The same names everywhere.
    Object(Vec<(String, Shape)>),
    /// Only JSON holds them all.
    Mixed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::repo::files) struct Numbers {
    /// All are integers of 64 bits.
    int: bool,
    /// All are numbers that a float64 holds.
    float: bool,
}

impl Numbers {
    fn of(text: &str) -> Option<Numbers> {
        match text {
            "NaN" | "Infinity" | "-Infinity" => return Some(Numbers { int: false, float: true }),
            _ => {}
        }
        match number::kind(text) {
            Kind::Int { float } => Some(Numbers { int: true, float }),
            Kind::Float => Some(Numbers { int: false, float: true }),
            Kind::Special | Kind::Other => None,
        }
    }

    fn and(self, other: Numbers) -> Option<Numbers> {
        let both = Numbers { int: self.int && other.int, float: self.float && other.float };
        (both.int || both.float).then_some(both)
    }
}

impl Shape {
    /// Takes a value into account.
    pub fn see(&mut self, node: &Node<'_>) {
        self.see_at(node, 0);
    }

    fn see_at(&mut self, node: &Node<'_>, depth: usize) {
        match (&mut *self, &node.value) {
            (Shape::Mixed, _) | (_, Value::Null) => {}
            (Shape::List(item), Value::List(items)) if depth < DEPTH_MAX => {
                items.iter().for_each(|i| item.see_at(i, depth + 1));
            }
            (Shape::Object(fields), Value::Object(found)) if fields.len() == found.len() => {
                // Most objects keep their order.
                for (i, (name, node)) in found.iter().enumerate() {
                    let at = match fields.get(i) {
                        Some((known, _)) if known == name => Some(i),
                        _ => fields.iter().position(|(known, _)| known == name),
                    };
                    match at.and_then(|at| fields.get_mut(at)) {
                        Some((_, shape)) => shape.see_at(node, depth + 1),
                        None => {
                            *self = Shape::Mixed;
                            return;
                        }
                    }
                }
            }
            (Shape::Number(known), Value::Number(text)) => match Numbers::of(text).and_then(|n| known.and(n)) {
                Some(both) => *known = both,
                None => *self = Shape::Mixed,
            },
            (Shape::Bool, Value::Bool(_)) => {}
            (Shape::Text { special: false }, Value::Text(_)) => {}
            _ => {
                let shape = Shape::of(node, depth);
                self.merge(shape);
            }
        }
    }

    fn of(node: &Node<'_>, depth: usize) -> Shape {
        match &node.value {
            Value::Null => Shape::Nothing,
            Value::Bool(_) => Shape::Bool,
            Value::Number(text) => Numbers::of(text).map_or(Shape::Mixed, Shape::Number),
            Value::Text(text) => Shape::Text { special: matches!(text.as_ref(), "NaN" | "Infinity" | "-Infinity") },
            Value::List(_) | Value::Object(_) if depth >= DEPTH_MAX => Shape::Mixed,
            Value::List(items) => {
                let mut item = Shape::Nothing;
                items.iter().for_each(|i| item.see_at(i, depth + 1));
                Shape::List(Box::new(item))
            }
            Value::Object(fields) if fields.is_empty() || fields.len() > FIELDS_MAX => Shape::Mixed,
            Value::Object(fields) => Shape::Object(fields.iter().map(|(name, node)| (name.to_string(), Shape::of(node, depth + 1))).collect()),
        }
    }

    /// What both have in common.
    pub fn merge(&mut self, other: Shape) {
        let mine = std::mem::replace(self, Shape::Mixed);
        *self = match (mine, other) {
            (Shape::Nothing, one) | (one, Shape::Nothing) => one,
            (Shape::Bool, Shape::Bool) => Shape::Bool,
            (Shape::Number(a), Shape::Number(b)) => a.and(b).map_or(Shape::Mixed, Shape::Number),
            (Shape::Number(n), Shape::Text { special: true }) | (Shape::Text { special: true }, Shape::Number(n)) if n.float => {
                Shape::Number(Numbers { int: false, float: true })
            }
            (Shape::Text { special: a }, Shape::Text { special: b }) => Shape::Text { special: a && b },
            (Shape::List(mut a), Shape::List(b)) => {
                a.merge(*b);
                Shape::List(a)
            }
            (Shape::Object(mut a), Shape::Object(mut b)) if a.len() == b.len() => {
                for (name, shape) in &mut a {
                    let Some(at) = b.iter().position(|(n, _)| n == name) else { return };
                    shape.merge(b.swap_remove(at).1);
                }
                Shape::Object(a)
            }
            _ => Shape::Mixed,
        };
    }

    /// The type; `None` if there were nulls alone.
    pub fn resolve(&self) -> Option<Type> {
        Some(match self {
            Shape::Nothing => return None,
            Shape::Bool => Type::BOOL,
            Shape::Number(Numbers { int: true, .. }) => Type::INT64,
            Shape::Number(_) => Type::FLOAT64,
            Shape::Text { .. } => Type::TEXT,
            // A list of mixed things is easier to use whole.
            Shape::List(item) if **item == Shape::Mixed => Type::Json,
            Shape::List(item) => Type::List(Box::new(item.resolve().unwrap_or(Type::TEXT))),
            Shape::Object(fields) => Type::Struct(fields.iter().map(|(name, shape)| (name.clone(), shape.resolve().unwrap_or(Type::TEXT))).collect()),
            Shape::Mixed => Type::Json,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::node;
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[&str]) -> String {
        let mut shape = Shape::Nothing;
        values.iter().for_each(|v| shape.see(&node::parse(v).unwrap()));
        shape.resolve().map_or("none".to_owned(), |t| t.to_string())
    }

    #[test]
    fn types() {
        for (values, want) in [
            (&["null", "null"][..], "none"),
            (&["1", "null", "2"], "int64"),
            (&["1", "2.5"], "float64"),
            (&["9007199254740993", "2.5"], "json"),
            (&["9007199254740993", "2"], "int64"),
            (&["9223372036854775808"], "json"),
            (&["1.00000000000000000001"], "json"),
            (&["1e400"], "json"),
            (&["1.5", "\"NaN\"", "NaN", "-Infinity"], "float64"),
            (&["\"NaN\"", "1.5"], "float64"),
            (&["\"NaN\"", "\"x\""], "text"),
            (&["\"NaN\"", "\"x\"", "1"], "json"),
            (&["\"NaN\"", "1", "\"x\""], "json"),
            (&["\"NaN\""], "text"),
            (&["true", "1"], "json"),
            (&["\"2024-01-31\"", "\"1\""], "text"),
            (&["[]"], "list<text>"),
            (&["[1]", "[]", "[2.5, null]"], "list<float64>"),
            (&["[1, \"a\"]"], "json"),
            (&["[1]", "1"], "json"),
            (&["{\"a\": 1, \"b\": null}", "{\"b\": \"x\", \"a\": 2.5}"], "struct<a: float64, b: text>"),
            (&["{\"a\": 1}", "{}"], "json"),
            (&["{}"], "json"),
            (&["{\"a\": 1}", "{\"b\": 1}"], "json"),
            (&["{\"a\": {\"x\": 1}}", "{\"a\": {\"y\": 1}}"], "struct<a: json>"),
            (&["[{\"a\": [1]}, null, {\"a\": null}]"], "list<struct<a: list<int64>>>"),
        ] {
            assert_eq!(of(values), want, "{values:?}");
        }
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(of(&[&deep]).contains("json") || of(&[&deep]).starts_with("list"));
    }

    proptest! {
        #[test]
        fn merging_is_seeing_both(values in prop::collection::vec(prop_oneof![
            Just("null"), Just("1"), Just("2.5"), Just("\"x\""), Just("\"NaN\""), Just("true"), Just("[1]"), Just("[\"x\"]"), Just("{\"a\":1}"),
            Just("{\"b\":1,\"a\":[]}"), Just("{\"a\":[2.5],\"b\":null}"), Just("9007199254740993"),
        ], 0..5), at in 0usize..5) {
            let (a, b) = values.split_at(at.min(values.len()));
            let (mut left, mut right) = (Shape::Nothing, Shape::Nothing);
            a.iter().for_each(|v| left.see(&node::parse(v).unwrap()));
            b.iter().for_each(|v| right.see(&node::parse(v).unwrap()));
            left.merge(right);
            prop_assert_eq!(left.resolve().map_or("none".to_owned(), |t| t.to_string()), of(&values));
        }
    }
}
