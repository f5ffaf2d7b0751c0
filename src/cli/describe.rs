//! What changed in tables, in words and as JSON: for `status`, `commit` and `show`.

use serde_json::{Map, Value, json};

use super::error::CliError;
use super::ui::format::{count, one_line, plural};
use super::ui::paint::Paint;
use crate::base::{CommitId, TableObjectId};
use crate::format::check::Check;
use crate::history::short;
use crate::repo::{Change, NameChange, Repo};
use crate::table::Table;
use crate::table::diff::{SchemaChange, TableDiff, diff};

/// A commit's short id and first line.
pub fn subject(repo: &Repo, id: CommitId) -> Result<String, CliError> {
    Ok(format!("{} {}", short(&id), one_line(repo.commit_of(id)?.subject())))
}

/// How one table, view or check differs.
#[derive(Debug)]
pub struct TableChange {
    what: &'static str,
    name: String,
    change: &'static str,
    from: Option<String>,
    rows_before: Option<u64>,
    rows_after: Option<u64>,
    columns: Option<usize>,
    /// The names of the key's columns, where the key is another than before.
    key: Option<Vec<String>>,
    diff: TableDiff,
    /// Names of the changed columns, in the order of `diff.changed`.
    changed: Vec<String>,
}

/// Describes the tables that differ; reads as much of them as it takes to count what changed.
pub fn tables(repo: &Repo, changes: &[NameChange<TableObjectId>]) -> Result<Vec<TableChange>, CliError> {
    let objects = repo.objects();
    let load = |id: &TableObjectId| -> Result<(Table, u64), CliError> {
        let table = Table::load(objects, *id)?;
        let rows = table.rows(objects)?;
        Ok((table, rows))
    };
    let describe = |entry: &NameChange<TableObjectId>| {
        let mut out = TableChange {
            what: "table",
            name: entry.name.clone(),
            change: "",
            from: None,
            rows_before: None,
            rows_after: None,
            columns: None,
            key: None,
            diff: TableDiff::default(),
            changed: Vec::new(),
        };
        match &entry.change {
            Change::Added(id) => {
                let (table, rows) = load(id)?;
                (out.change, out.rows_after, out.columns) = ("added", Some(rows), Some(table.schema.columns.len()));
            }
            Change::Removed(id) => (out.change, out.rows_before) = ("removed", Some(load(id)?.1)),
            Change::Renamed(from, id) => {
                let rows = load(id)?.1;
                (out.change, out.from, out.rows_before, out.rows_after) = ("renamed", Some(from.clone()), Some(rows), Some(rows));
            }
            Change::Changed(old, new) => {
                let ((old, before), (new, after)) = (load(old)?, load(new)?);
                (out.change, out.rows_before, out.rows_after) = ("changed", Some(before), Some(after));
                out.diff = diff(objects, &old, &new)?;
                if old.schema.key != new.schema.key {
                    let names = new.schema.key_indices().into_iter().filter_map(|i| new.schema.columns.get(i));
                    out.key = Some(names.map(|c| c.name.clone()).collect());
                }
                if out.diff.is_empty() && old.schema == new.schema {
                    out.change = "rewritten";
                }
                let name = |i: usize| new.schema.columns.get(i).map(|c| c.name.clone()).unwrap_or_default();
                out.changed = out.diff.changed.iter().map(|c| name(c.new)).collect();
            }
        }
        Ok(out)
    };
    changes.iter().map(describe).collect()
}

/// Describes the views and the checks that differ.
pub fn others(views: &[NameChange<String>], checks: &[NameChange<Check>]) -> Vec<TableChange> {
    views.iter().map(|view| other("view", view)).chain(checks.iter().map(|check| other("check", check))).collect()
}

fn other<T>(what: &'static str, entry: &NameChange<T>) -> TableChange {
    let (change, from) = match &entry.change {
        Change::Added(_) => ("added", None),
        Change::Removed(_) => ("removed", None),
        Change::Changed(..) => ("changed", None),
        Change::Renamed(from, _) => ("renamed", Some(from.clone())),
    };
    TableChange {
        what,
        name: entry.name.clone(),
        change,
        from,
        rows_before: None,
        rows_after: None,
        columns: None,
        key: None,
        diff: TableDiff::default(),
        changed: Vec::new(),
    }
}

impl TableChange {
    /// "table", "view" or "check".
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// One indented line: `  changed:  birds  3 rows added, 12 cells changed (label)`.
    pub fn line(&self, paint: Paint) -> String {
        let (word, name) = (format!("{:<9}", format!("{}:", self.word())), one_line(&self.name));
        let name = match &self.from {
            Some(from) => format!("{} -> {name}", one_line(from)),
            None => name,
        };
        let what = if self.what == "table" { String::new() } else { format!("{} ", self.what) };
        let details = self.details();
        let start = format!("{word} {what}{name}");
        let start = match self.change {
            "added" => paint.added(start),
            "removed" => paint.removed(start),
            _ => paint.changed(start),
        };
        if details.is_empty() { format!("  {start}") } else { format!("  {start}  {}", details.join(", ")) }
    }

    /// A letter and the name, as `git status --short` has it.
    pub fn short(&self, paint: Paint) -> String {
        let name = one_line(&self.name);
        match self.change {
            "added" => format!("{} {name}", paint.added("A")),
            "removed" => format!("{} {name}", paint.removed("D")),
            "renamed" => format!("{} {} -> {name}", paint.changed("R"), one_line(self.from.as_deref().unwrap_or(""))),
            _ => format!("{} {name}", paint.changed("M")),
        }
    }

    fn word(&self) -> &'static str {
        match self.change {
            "added" => "new",
            "removed" => "dropped",
            other => other,
        }
    }

    fn details(&self) -> Vec<String> {
        let mut out = Vec::new();
        match self.change {
            "added" => {
                out.extend(self.rows_after.map(|n| plural(n, "row")));
                out.extend(self.columns.map(|n| plural(n as u64, "column")));
            }
            "removed" => out.extend(self.rows_before.map(|n| plural(n, "row"))),
            _ => {}
        }
        let diff = &self.diff;
        for (n, word) in [(diff.rows_added(), "added"), (diff.rows_removed(), "removed")] {
            if n > 0 {
                out.push(format!("{} {word}", plural(n, "row")));
            }
        }
        for (column, name) in diff.changed.iter().zip(&self.changed) {
            out.push(format!("{} changed in {}", plural(column.cells.len() as u64, "cell"), one_line(name)));
        }
        for change in &diff.schema {
            out.push(match change {
                SchemaChange::Added { name, ty } => format!("column {} {ty} added", one_line(name)),
                SchemaChange::Dropped { name, .. } => format!("column {} dropped", one_line(name)),
                SchemaChange::Renamed { from, to } => format!("column {} renamed to {}", one_line(from), one_line(to)),
                SchemaChange::Retyped { name, from, to } => format!("column {} retyped from {from} to {to}", one_line(name)),
            });
        }
        match self.key.as_deref() {
            None => {}
            Some([]) => out.push("no key any more".to_owned()),
            Some(names) => out.push(format!("key is {} now", one_line(&names.join(", ")))),
        }
        if diff.reordered {
            out.push("rows in another order".to_owned());
        }
        if self.change == "rewritten" {
            out.push("no value differs".to_owned());
        }
        if let ("changed", Some(before), Some(after)) = (self.change, self.rows_before, self.rows_after)
            && before != after
        {
            out.push(format!("{} rows now", count(after)));
        }
        out
    }

    /// The same as one JSON object.
    pub fn json(&self) -> Value {
        let mut line = Map::new();
        line.insert(self.what.to_owned(), json!(self.name));
        line.insert("change".to_owned(), json!(self.change));
        line.insert("from".to_owned(), json!(self.from));
        if self.what != "table" {
            return Value::Object(line);
        }
        line.insert("rows_before".to_owned(), json!(self.rows_before));
        line.insert("rows_after".to_owned(), json!(self.rows_after));
        line.insert("rows_added".to_owned(), json!(self.diff.rows_added()));
        line.insert("rows_removed".to_owned(), json!(self.diff.rows_removed()));
        let cells: Map<String, Value> = self.diff.changed.iter().zip(&self.changed).map(|(c, name)| (name.clone(), json!(c.cells.len()))).collect();
        line.insert("cells_changed".to_owned(), Value::Object(cells));
        line.insert("reordered".to_owned(), json!(self.diff.reordered));
        let schema = self.diff.schema.iter().map(|change| match change {
            SchemaChange::Added { name, ty } => json!({"change": "added", "column": name, "type": ty.to_string()}),
            SchemaChange::Dropped { name, ty } => json!({"change": "dropped", "column": name, "type": ty.to_string()}),
            SchemaChange::Renamed { from, to } => json!({"change": "renamed", "column": to, "from": from}),
            SchemaChange::Retyped { name, from, to } => json!({"change": "retyped", "column": name, "from": from.to_string(), "type": to.to_string()}),
        });
        line.insert("schema".to_owned(), schema.collect());
        line.insert("key".to_owned(), json!(self.key));
        Value::Object(line)
    }
}
