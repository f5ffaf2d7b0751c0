//! Columns that names and `*` can mean, and the names that a SELECT gives.

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, ObjectName, ObjectNamePart, SelectItem, SetExpr, TableFactor, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::base::name::nearest;

use super::super::QueryError;
use super::super::error::as_written;
use super::QUALIFIER;

/// A column that a name without qualifier, or `*`, can mean.
#[derive(Clone)]
pub struct Column {
    pub qualifier: Vec<Ident>,
    pub name: String,
    /// It is of both sides of a join.
    pub merged: bool,
}

impl Column {
    /// It written out.
    pub fn expr(&self, span: Span) -> Expr {
        let name = Ident { value: self.name.clone(), quote_style: Some('"'), span };
        if self.qualifier.is_empty() { Expr::Identifier(name) } else { Expr::CompoundIdentifier(self.qualifier.iter().cloned().chain([name]).collect()) }
    }
}

/// An identifier of that very name.
pub fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// An identifier as it is looked up.
pub fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Where an identifier stands, if that is known.
pub fn place(ident: &Ident) -> Option<(u64, u64)> {
    (ident.span.start.line > 0).then_some((ident.span.start.line, ident.span.start.column))
}

/// A name of one part.
pub fn single(name: &ObjectName) -> Result<Ident, QueryError> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Ok(ident.clone()),
        _ => Err(QueryError::Refused(format!("USING takes names of columns, not {name}"))),
    }
}

/// The column of that name on one side of a join.
pub fn one<'a>(columns: &'a [Column], ident: &Ident, side: &str) -> Result<&'a Column, QueryError> {
    let name = normal(ident);
    let mut found = columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (None, _) => {
            let near = nearest(&name, columns.iter().map(|column| column.name.as_str())).into_iter().map(as_written).collect();
            Err(QueryError::NoColumn { name, at: place(ident), near })
        }
        _ => Err(QueryError::Plan { at: place(ident), why: format!("column '{name}' is there more than once on the {side} side of the join: write ON") }),
    }
}

/// The names that a SELECT's list gives, and whether each is that of a merged column.
pub fn outputs(projection: &[SelectItem]) -> Vec<(String, bool)> {
    let merged = |expr: &Expr| match expr {
        Expr::CompoundIdentifier(parts) => parts.first().is_some_and(|first| first.value.split(' ').next() == Some(QUALIFIER)),
        _ => false,
    };
    let named = projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((normal(alias), merged(expr))),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some((normal(ident), false)),
        SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts)) => parts.last().map(|last| (normal(last), merged(expr))),
        _ => None,
    });
    named.collect()
}

/// `*` as the columns that it stands for.
pub fn expanded(projection: Vec<SelectItem>, columns: &[Column]) -> Result<Vec<SelectItem>, QueryError> {
    let mut items = Vec::with_capacity(projection.len());
    for item in projection {
        let SelectItem::Wildcard(options) = item else {
            items.push(item);
            continue;
        };
        let WildcardAdditionalOptions { opt_ilike, opt_exclude, opt_except, opt_replace, opt_rename, opt_alias, .. } = options;
        if opt_ilike.is_some() || opt_replace.is_some() || opt_rename.is_some() || opt_alias.is_some() {
            return Err(QueryError::Refused("beside a join with USING or NATURAL, * takes EXCLUDE alone".into()));
        }
        let excluded = match opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => vec![single(&name)?],
            Some(ExcludeSelectItem::Multiple(names)) => names.iter().map(single).collect::<Result<_, _>>()?,
            None => opt_except.map(|except| std::iter::once(except.first_element).chain(except.additional_elements).collect()).unwrap_or_default(),
        };
        for ident in &excluded {
            let name = normal(ident);
            if !columns.iter().any(|column| column.name == name) {
                let near = nearest(&name, columns.iter().map(|column| column.name.as_str())).into_iter().map(as_written).collect();
                return Err(QueryError::NoColumn { name, at: place(ident), near });
            }
        }
        let kept = columns.iter().filter(|column| !excluded.iter().any(|ident| normal(ident) == column.name));
        items.extend(kept.map(|column| SelectItem::UnnamedExpr(column.expr(Span::empty()))));
    }
    Ok(items)
}

/// The columns of a table that reads those of others, as far as its text tells them.
pub fn named_columns(factor: &TableFactor) -> Option<Vec<Column>> {
    let (alias, subquery) = match factor {
        TableFactor::Derived { lateral: true, alias, subquery, .. } => (alias.as_ref()?, Some(subquery)),
        TableFactor::UNNEST { alias, .. } | TableFactor::Function { alias, .. } => (alias.as_ref()?, None),
        _ => return None,
    };
    let names: Vec<String> = match subquery.map(|subquery| &*subquery.body) {
        _ if !alias.columns.is_empty() => alias.columns.iter().map(|column| normal(&column.name)).collect(),
        Some(SetExpr::Select(select)) => {
            let named = outputs(&select.projection);
            (named.len() == select.projection.len()).then(|| named.into_iter().map(|(name, _)| name).collect())?
        }
        _ => return None,
    };
    Some(names.into_iter().map(|name| Column { qualifier: vec![alias.name.clone()], name, merged: false }).collect())
}
