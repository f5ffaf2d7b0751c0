//! CREATE, ALTER and DROP of tables and views.

use std::sync::Arc;

use arrow::array::new_null_array;
use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, CreateTable, CreateView, DataType, EnumMember, Expr, Ident, IndexColumn,
    ObjectName, ObjectType, RenameTableNameKind, SelectItem, TableConstraint,
};

use crate::format::Type;
use crate::table::edit::Fill;
use crate::table::key::KeyIndex;
use crate::table::{Table, TableError};

use super::{QueryError, Writing, Written, normal, not_supported, select};
use crate::query::expression::{constant, evaluate};

impl Writing<'_> {
    pub(super) fn create_table(&self, create: CreateTable) -> Result<Written, QueryError> {
        let (name, _) = self.target(&create.name)?;
        if create.temporary || create.external || create.like.is_some() || create.clone.is_some() {
            return Err(not_supported("CREATE TABLE other than of columns or of a query"));
        }
        let done = |rows, note| Ok(Written { statement: "CREATE TABLE", name: name.clone(), rows, note });
        let snapshot = self.repo.snapshot(None)?;
        if create.if_not_exists && (snapshot.tables.contains_key(&name) || snapshot.views.contains_key(&name)) {
            return done(None, "it is there already".to_owned());
        }
        if let Some(query) = create.query {
            if !create.columns.is_empty() || !create.constraints.is_empty() {
                return Err(not_supported("CREATE TABLE with columns and a query: name the columns in the query; it"));
            }
            let (answer, batch) = self.ask(*query)?;
            let fields: Vec<_> = answer.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
            let rows = self.repo.create_table_of(&name, &fields, &mut answer.map(batch), create.or_replace, self.command)?;
            return done(Some(rows), String::new());
        }
        if create.or_replace {
            return Err(not_supported("CREATE OR REPLACE TABLE without a query: DROP TABLE first; it"));
        }
        let (mut columns, mut key) = (Vec::new(), Vec::new());
        for column in &create.columns {
            let (name, ty, options) = self.column(column)?;
            if options.key {
                key.push(name.clone());
            }
            if options.default.is_some() {
                return Err(not_supported("DEFAULT for rows to come"));
            }
            columns.push((name, ty));
        }
        for constraint in &create.constraints {
            key.extend(key_of(constraint)?);
        }
        self.repo.create_table(&name, &columns, &key, self.command)?;
        done(None, String::new())
    }

    pub(super) fn create_view(&self, create: CreateView) -> Result<Written, QueryError> {
        let (name, _) = self.target(&create.name)?;
        if create.materialized || create.temporary || !create.columns.is_empty() {
            return Err(not_supported("CREATE VIEW other than NAME AS SELECT"));
        }
        let written = |note| Written { statement: "CREATE VIEW", name: name.clone(), rows: None, note };
        if create.if_not_exists && self.repo.snapshot(None)?.views.contains_key(&name) {
            return Ok(written("it is there already".to_owned()));
        }
        let sql = create.query.to_string();
        self.session.try_view(self.repo, &name, &sql)?;
        self.repo.create_view(&name, &sql, create.or_replace, self.command)?;
        Ok(written(String::new()))
    }

    pub(super) fn drop(&self, kind: ObjectType, if_exists: bool, names: &[ObjectName]) -> Result<Written, QueryError> {
        let [name] = names else { return Err(not_supported("DROP of several at once")) };
        let (name, _) = self.target(name)?;
        let snapshot = self.repo.snapshot(None)?;
        let (statement, there) = match kind {
            ObjectType::Table => ("DROP TABLE", snapshot.tables.contains_key(&name)),
            ObjectType::View => ("DROP VIEW", snapshot.views.contains_key(&name)),
            other => return Err(not_supported(&format!("DROP {other}"))),
        };
        let mut note = String::new();
        match kind {
            _ if !there && if_exists => note = "it is not there".to_owned(),
            ObjectType::View => self.repo.drop_view(&name, self.command)?,
            _ => {
                let checks = self.repo.drop_table(&name, self.command)?;
                if !checks.is_empty() {
                    note = format!("and its checks {}", checks.join(", "));
                }
            }
        }
        Ok(Written { statement, name, rows: None, note })
    }

    pub(super) fn alter_table(&self, alter: AlterTable) -> Result<Written, QueryError> {
        let (name, _) = self.target(&alter.name)?;
        let written = |note| Ok(Written { statement: "ALTER TABLE", name: name.clone(), rows: None, note });
        if alter.if_exists && !self.repo.snapshot(None)?.tables.contains_key(&name) {
            return written("it is not there".to_owned());
        }
        if let [AlterTableOperation::RenameTable { table_name: RenameTableNameKind::To(to) | RenameTableNameKind::As(to) }] = alter.operations.as_slice() {
            let (to, _) = self.target(to)?;
            self.repo.rename_table(&name, &to, self.command)?;
            return written(format!("now {to}"));
        }
        self.repo.edit_table(&name, self.command, |mut table| -> Result<Table, QueryError> {
            for operation in &alter.operations {
                table = Arc::new(self.altered(&table, operation)?);
            }
            Ok(Arc::unwrap_or_clone(table))
        })?;
        written(String::new())
    }

    fn altered(&self, table: &Arc<Table>, operation: &AlterTableOperation) -> Result<Table, QueryError> {
        let objects = self.repo.objects();
        match operation {
            AlterTableOperation::AddColumn { if_not_exists, column_def, column_position: None, .. } => {
                let (name, ty, options) = self.column(column_def)?;
                if *if_not_exists && table.schema.index(&name).is_ok() {
                    return Ok((**table).clone());
                }
                if options.key {
                    return Err(not_supported("a new column as the key: add it, fill it, then ADD PRIMARY KEY; it"));
                }
                let fill = match options.default {
                    None => Fill::Constant(new_null_array(&ty.storage(), 1)),
                    Some(expr) => self.values(table, &expr, &ty)?,
                };
                Ok(table.add_column(objects, &name, ty, fill)?)
            }
            AlterTableOperation::DropColumn { column_names, if_exists, .. } => {
                let mut table = (**table).clone();
                for name in column_names.iter().map(normal) {
                    if !(*if_exists && table.schema.index(&name).is_err()) {
                        table = table.drop_column(&name)?;
                    }
                }
                Ok(table)
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                Ok(table.rename_column(&normal(old_column_name), &normal(new_column_name))?)
            }
            AlterTableOperation::AlterColumn { column_name, op: AlterColumnOperation::SetDataType { data_type, using, .. } } => {
                let (name, ty) = (normal(column_name), self.type_of(data_type)?);
                let Some(expr) = using else { return Ok(table.retype_column(objects, &name, ty)?) };
                if table.schema.key_indices().iter().any(|i| table.schema.columns[*i].name == name) {
                    return Err(not_supported("USING for a column of the key"));
                }
                let values = evaluate(objects, table, &expr.to_string(), self.params, Some(&ty))?.map(|values| values.map_err(table_error));
                Ok(table.refill_column(objects, &name, ty, Box::new(values))?)
            }
            AlterTableOperation::AddConstraint { constraint, .. } => {
                let key = key_of(constraint)?;
                let indices = key.iter().map(|name| table.schema.index(name)).collect::<Result<Vec<_>, TableError>>()?;
                KeyIndex::build(objects, table, indices.clone())?;
                let mut table = (**table).clone();
                table.schema.key = indices.iter().map(|i| table.schema.columns[*i].id).collect();
                Ok(table)
            }
            AlterTableOperation::DropPrimaryKey { .. } => {
                let mut table = (**table).clone();
                table.schema.key.clear();
                Ok(table)
            }
            AlterTableOperation::RenameTable { .. } => Err(not_supported("RENAME TO beside other changes")),
            other => Err(not_supported(&format!("ALTER TABLE {other}"))),
        }
    }

    /// What fills a new column: one value for all rows where it is the same for all, which costs nothing.
    fn values(&self, table: &Arc<Table>, expr: &Expr, ty: &Type) -> Result<Fill, QueryError> {
        let text = expr.to_string();
        Ok(match constant(table, &text, self.params, ty)? {
            Some(value) => Fill::Constant(value),
            None => evaluate(self.repo.objects(), table, &text, self.params, Some(ty))?.fill(),
        })
    }

    /// A column as a statement describes it.
    fn column(&self, column: &ColumnDef) -> Result<(String, Type, Options), QueryError> {
        let name = normal(&column.name);
        let mut options = Options::default();
        for option in &column.options {
            match &option.option {
                ColumnOption::Null => {}
                ColumnOption::PrimaryKey(_) => options.key = true,
                ColumnOption::Default(expr) => options.default = Some(expr.clone()),
                ColumnOption::NotNull => {
                    return Err(QueryError::Refused(format!("NOT NULL is a check in dsv: dsv check add NAME --table T --not-null {name}")));
                }
                ColumnOption::Unique(_) => return Err(QueryError::Refused(format!("UNIQUE is a check in dsv: dsv check add NAME --table T --unique {name}"))),
                ColumnOption::Check(check) => {
                    return Err(QueryError::Refused(format!("CHECK is written: dsv check add NAME --table T \"{}\"", check.expr)));
                }
                other => return Err(not_supported(&format!("'{other}' of a column"))),
            }
        }
        Ok((name, self.type_of(&column.data_type)?, options))
    }

    /// A type by its name in SQL, or in dsv where SQL has none: `embedding(384)`, `image`. `int8` is SQL's, of eight bytes.
    fn type_of(&self, written: &DataType) -> Result<Type, QueryError> {
        let text = written.to_string();
        let lower = text.to_lowercase();
        if let DataType::Custom(name, size) = written
            && let Some((_, half)) = [("vector", ""), ("halfvec", ", float16")].iter().find(|(known, _)| name.to_string().eq_ignore_ascii_case(known))
        {
            return Ok(format!("embedding({}{half})", size.join(", ")).parse()?);
        }
        if let DataType::Custom(name, parts) = written
            && name.to_string().eq_ignore_ascii_case("map")
        {
            return Ok(format!("map<{}>", parts.join(", ")).parse()?);
        }
        if let DataType::Enum(members, _) = written {
            let label = |member: &EnumMember| match member {
                EnumMember::Name(label) | EnumMember::NamedValue(label, _) => label.clone(),
            };
            return Ok(Type::Enum(members.iter().map(label).collect()));
        }
        let sql = ["int2", "int4", "int8", "float4", "float8", "float"].iter().any(|known| lower.starts_with(known) && !lower.starts_with("float64"));
        if !sql && let Ok(ty) = text.parse::<Type>().or_else(|_| lower.parse()) {
            return Ok(ty);
        }
        let cast = Expr::Cast {
            kind: datafusion::sql::sqlparser::ast::CastKind::Cast,
            expr: Box::new(Expr::value(datafusion::sql::sqlparser::ast::Value::Null)),
            data_type: written.clone(),
            array: false,
            format: None,
        };
        let item = SelectItem::ExprWithAlias { expr: cast, alias: Ident::new("x") };
        let (answer, _) = self.ask(select(vec![item], Vec::new(), None)?)?;
        match answer.columns()?.into_iter().next() {
            Some((_, ty)) => Ok(ty),
            None => Err(QueryError::Refused(format!("{text} is not a type"))),
        }
    }
}

#[derive(Default)]
struct Options {
    key: bool,
    default: Option<Expr>,
}

/// The columns of a PRIMARY KEY.
fn key_of(constraint: &TableConstraint) -> Result<Vec<String>, QueryError> {
    let TableConstraint::PrimaryKey(key) = constraint else {
        return Err(QueryError::Refused("of constraints SQL makes PRIMARY KEY alone; the others are checks: 'dsv check add --help'".into()));
    };
    let column = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(ident) => Ok(normal(ident)),
        other => Err(QueryError::Refused(format!("{other} is not a column"))),
    };
    key.columns.iter().map(column).collect()
}

fn table_error(error: QueryError) -> TableError {
    match error {
        QueryError::Table(error) => error,
        QueryError::Interrupted => TableError::Interrupted,
        other => TableError::Schema(other.to_string()),
    }
}
