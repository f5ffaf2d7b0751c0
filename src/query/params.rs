//! Parameters: `:name` and `$1` in a query, and the values put in their place.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::base::name::nearest;

use super::QueryError;

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, as it is written in SQL: digits, a sign, a point, an exponent.
    Number(String),
    /// Text.
    Text(String),
    /// Bytes, such as those of a picture's file.
    Bytes(Vec<u8>),
}

/// Values of parameters by name. Positional ones are called `1`, `2`, ...
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params(BTreeMap<String, Param>);

impl Params {
    /// No parameters.
    pub fn new() -> Params {
        Params::default()
    }

    /// Sets one; what it was before is forgotten.
    pub fn set(&mut self, name: impl Into<String>, value: Param) -> &mut Params {
        self.0.insert(name.into(), value);
        self
    }

    /// Sets one from `NAME=VALUE`: numbers, `true`, `false` and `null` are taken as such, `'...'` as text without the quotes (`''` inside being one quote),
    /// everything else as the text it is.
    pub fn set_text(&mut self, assignment: &str) -> Result<&mut Params, QueryError> {
        let fail = |why: &str| QueryError::Parameter { name: assignment.to_owned(), at: None, why: why.to_owned(), near: vec![] };
        let (name, value) = assignment.split_once('=').ok_or_else(|| fail("write NAME=VALUE"))?;
        let name = name.trim().trim_start_matches([':', '$']);
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Err(fail("a name is made of letters, digits and '_'"));
        }
        Ok(self.set(name, Param::of_text(value)))
    }
}

impl Param {
    /// As [`Params::set_text`] reads a value.
    pub fn of_text(text: &str) -> Param {
        match text {
            "null" => Param::Null,
            "true" => Param::Bool(true),
            "false" => Param::Bool(false),
            _ if is_number(text) => Param::Number(text.to_owned()),
            _ => match text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
                Some(quoted) => Param::Text(quoted.replace("''", "'")),
                None => Param::Text(text.to_owned()),
            },
        }
    }

    fn literal(&self, span: Span) -> Expr {
        let value = |value: Value| Expr::Value(ValueWithSpan { value, span });
        match self {
            Param::Null => value(Value::Null),
            Param::Bool(x) => value(Value::Boolean(*x)),
            Param::Number(digits) => match digits.strip_prefix('-') {
                Some(digits) => {
                    Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(value(Value::Number(digits.to_owned(), false))) }))
                }
                None => value(Value::Number(digits.strip_prefix('+').unwrap_or(digits).to_owned(), false)),
            },
            Param::Text(text) => value(Value::SingleQuotedString(text.clone())),
            Param::Bytes(bytes) => value(Value::HexStringLiteral(hex(bytes))),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Digits with perhaps a sign, a point and an exponent. A number that starts with further zeros is an identifier more likely than not, and stays text.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") && !digits.starts_with("0e") && !digits.starts_with("0E");
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'))
        && !leading_zero
        && digits.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Puts literals in the place of parameters, so that they are typed as what is written there would be.
pub fn substitute(statement: &mut Statement, params: &Params) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(inner) => finish(inner.visit(&mut Substitute(params))),
        Statement::Explain(explain) => substitute(&mut explain.statement, params),
        // Refused later: they write or configure.
        _ => Ok(()),
    }
}

/// As [`substitute`], in a single expression.
pub fn substitute_expr(expr: &mut Expr, params: &Params) -> Result<(), QueryError> {
    finish(expr.visit(&mut Substitute(params)))
}

fn finish(flow: ControlFlow<QueryError>) -> Result<(), QueryError> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Substitute<'a>(&'a Params);

impl VisitorMut for Substitute<'_> {
    type Break = QueryError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        let Expr::Value(ValueWithSpan { value: Value::Placeholder(text), span }) = expr else { return ControlFlow::Continue(()) };
        let name = text.trim_start_matches([':', '$', '?', '@']);
        match self.0.0.get(name) {
            Some(param) => {
                *expr = param.literal(*span);
                ControlFlow::Continue(())
            }
            None => {
                let near = nearest(name, self.0.0.keys().map(String::as_str)).into_iter().map(str::to_owned).collect();
                let at = (span.start.line > 0).then_some((span.start.line, span.start.column));
                ControlFlow::Break(QueryError::Parameter { name: name.to_owned(), at, why: "it has no value".into(), near })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_text() {
        for (text, param) in [
            ("1", Param::Number("1".into())),
            ("-2.5e3", Param::Number("-2.5e3".into())),
            ("0", Param::Number("0".into())),
            ("0.5", Param::Number("0.5".into())),
            ("007", Param::Text("007".into())),
            ("1e999", Param::Text("1e999".into())),
            ("2026-01-01", Param::Text("2026-01-01".into())),
            ("-", Param::Text("-".into())),
            ("", Param::Text(String::new())),
            ("inf", Param::Text("inf".into())),
            ("null", Param::Null),
            ("true", Param::Bool(true)),
            ("'true'", Param::Text("true".into())),
            ("'it''s'", Param::Text("it's".into())),
            ("it's", Param::Text("it's".into())),
        ] {
            assert_eq!(Param::of_text(text), param, "{text}");
        }
    }

    #[test]
    fn assignments() {
        let mut params = Params::new();
        params.set_text("least=2").unwrap().set_text(":name=a=b").unwrap().set_text("$1=x").unwrap();
        assert_eq!(params.0["least"], Param::Number("2".into()));
        assert_eq!(params.0["name"], Param::Text("a=b".into()));
        assert_eq!(params.0["1"], Param::Text("x".into()));
        assert_eq!(Param::Bytes(vec![0, 0x9f, 255]).literal(Span::empty()).to_string(), "X'009fff'");
        for bad in ["least", "=2", "a b=2"] {
            assert!(params.set_text(bad).is_err(), "{bad}");
        }
    }
}
