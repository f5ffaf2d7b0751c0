//! What changed in tables, in words and as JSON: for `status`, `commit` and `show`.

use serde_json::{Map, Value, json};

use super::diff::count::{Counts, count};
use super::diff::{Differing, key_names};
use super::error::CliError;
use super::ui::format::{self, one_line, plural};
use super::ui::paint::Paint;
use crate::base::{CommitId, TableObjectId};
use crate::format::check::Check;
use crate::history::short;
use crate::repo::{Change, NameChange, Repo, RowDiff};
use crate::table::diff::{SchemaChange, schema_changes};

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
    schema: Vec<SchemaChange>,
    counts: Counts,
    /// Where nothing was counted: columns with other contents, and whether other rows are there.
    touched: Option<(Vec<String>, bool)>,
}

/// Describes the tables that differ; reads as much of them as it takes to count what changed.
pub fn tables(repo: &Repo, changes: &[NameChange<TableObjectId>]) -> Result<Vec<TableChange>, CliError> {
    let describe = |entry: &NameChange<TableObjectId>| {
        let rows = states(repo, &entry.change)?;
        let counts = match &entry.change {
            Change::Changed(..) => count(&rows, None, 0)?.0,
            _ => Counts::default(),
        };
        table(repo, entry, &rows, counts)
    };
    changes.iter().map(describe).collect()
}

/// The two states of a table.
pub fn states(repo: &Repo, change: &Change<TableObjectId>) -> Result<RowDiff, CliError> {
    let (old, new) = match change {
        Change::Added(new) => (None, Some(*new)),
        Change::Removed(old) => (Some(*old), None),
        Change::Changed(old, new) => (Some(*old), Some(*new)),
        Change::Renamed(_, same) => (Some(*same), Some(*same)),
    };
    Ok(repo.row_diff(old, new)?)
}

/// Describes one table, of which that was counted.
pub fn table(repo: &Repo, entry: &NameChange<TableObjectId>, rows: &RowDiff, counts: Counts) -> Result<TableChange, CliError> {
    let total = |table: Option<&std::sync::Arc<crate::table::Table>>| table.map(|t| t.rows(repo.objects())).transpose();
    let mut out = TableChange {
        what: "table",
        name: entry.name.clone(),
        change: "",
        from: None,
        rows_before: total(rows.old())?,
        rows_after: total(rows.new_state())?,
        columns: None,
        key: None,
        schema: Vec::new(),
        counts,
        touched: None,
    };
    match &entry.change {
        Change::Added(_) => (out.change, out.columns) = ("added", rows.new_state().map(|t| t.schema.columns.len())),
        Change::Removed(_) => out.change = "removed",
        Change::Renamed(from, _) => (out.change, out.from) = ("renamed", Some(from.clone())),
        Change::Changed(..) => out.change = "changed",
    }
    if let (Some(old), Some(new)) = (rows.old(), rows.new_state()) {
        out.schema = schema_changes(old, new);
        if old.schema.key != new.schema.key {
            out.key = Some(key_names(new));
        }
        let is_other = matches!(&entry.change, Change::Changed(old, new) if old != new);
        if is_other && out.counts == Counts::default() && old.schema == new.schema {
            out.change = "rewritten";
        }
    }
    Ok(out)
}

/// Describes one table as `dsv diff` compares it, of which that was counted: where not all of it is wanted, by what was found alone.
pub fn compared(repo: &Repo, found: &Differing, counts: Counts) -> Result<TableChange, CliError> {
    let mut out = table(repo, &found.entry, &found.rows, counts)?;
    if !found.whole {
        (out.rows_before, out.rows_after, out.key) = (None, None, None);
        out.schema.clone_from(&found.schema);
        out.counts.reordered = false;
    }
    Ok(out)
}

/// Describes one table by its ropes' hashes alone: nothing is read or counted, and values that were only written anew count as others.
pub fn summary(repo: &Repo, found: &Differing) -> Result<TableChange, CliError> {
    let mut out = table(repo, &found.entry, &found.rows, Counts::default())?;
    out.schema.clone_from(&found.schema);
    if !found.whole {
        out.key = None;
    }
    if let (Some(old), Some(new), Change::Changed(..)) = (found.rows.old(), found.rows.new_state(), &found.entry.change) {
        (out.change, out.rows_after) = ("changed", None);
        let columns =
            found.compared().into_iter().filter(|c| !matches!((old.columns.get(c.index.0), new.columns.get(c.index.1)), (Some(a), Some(b)) if a.is_same(b)));
        out.touched = Some((columns.map(|c| c.name).collect(), !(old.spine.is_same(&new.spine) && old.live.is_same(&new.live))));
    }
    Ok(out)
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
        schema: Vec::new(),
        counts: Counts::default(),
        touched: None,
    }
}

impl TableChange {
    /// True where anything differs that this tells of.
    pub fn is_any(&self) -> bool {
        let touched = self.touched.as_ref().is_some_and(|(columns, rows)| *rows || !columns.is_empty());
        touched || self.counts != Counts::default() || !self.schema.is_empty() || self.key.is_some()
    }

    /// True where the table was written anew, and no value of it differs.
    pub fn is_rewritten(&self) -> bool {
        self.change == "rewritten"
    }

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

    /// The same as a row of a Markdown table: change, name, details. Nothing in a name can break out of its cell.
    pub fn markdown(&self) -> String {
        let plain = |text: &str| one_line(text).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace('`', "&#96;");
        let what = if self.what == "table" { String::new() } else { format!("{} ", self.what) };
        let name = match &self.from {
            Some(from) => format!("{} → {}", plain(from), plain(&self.name)),
            None => plain(&self.name),
        };
        format!("| {} | {what}{name} | {} |", self.word(), plain(&self.details().join(", ")))
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
        // Of a whole table that came or went, its size was said.
        let is_said = [(self.change, self.rows_after.is_some()) == ("added", true), (self.change, self.rows_before.is_some()) == ("removed", true)];
        for ((n, word), is_said) in [(self.counts.added, "added"), (self.counts.removed, "removed")].into_iter().zip(is_said) {
            if n > 0 && !is_said {
                out.push(format!("{} {word}", plural(n, "row")));
            }
        }
        for (name, cells) in &self.counts.cells {
            out.push(format!("{} changed in {}", plural(*cells, "cell"), one_line(name)));
        }
        for change in &self.schema {
            out.push(match change {
                SchemaChange::Added { name, ty } => format!("column {} {ty} added", one_line(name)),
                SchemaChange::Dropped { name, .. } => format!("column {} dropped", one_line(name)),
                SchemaChange::Renamed { from, to } => format!("column {} renamed to {}", one_line(from), one_line(to)),
                SchemaChange::Retyped { name, from, to } => format!("column {} retyped from {from} to {to}", one_line(name)),
            });
        }
        if let Some((columns, rows)) = &self.touched {
            if *rows {
                out.push("other rows".to_owned());
            }
            if !columns.is_empty() {
                out.push(format!("other values in {}", one_line(&columns.join(", "))));
            }
        }
        match self.key.as_deref() {
            None => {}
            Some([]) => out.push("no key any more".to_owned()),
            Some(names) => out.push(format!("key is {} now", one_line(&names.join(", ")))),
        }
        if self.counts.reordered {
            out.push("rows in another order".to_owned());
        }
        if self.change == "rewritten" {
            out.push("no value differs".to_owned());
        }
        if let ("changed", Some(before), Some(after)) = (self.change, self.rows_before, self.rows_after)
            && before != after
        {
            out.push(format!("{} rows now", format::count(after)));
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
        match &self.touched {
            Some((columns, rows)) => {
                line.insert("other_rows".to_owned(), json!(rows));
                line.insert("other_values".to_owned(), json!(columns));
            }
            None => {
                line.insert("rows_before".to_owned(), json!(self.rows_before));
                line.insert("rows_after".to_owned(), json!(self.rows_after));
                line.insert("rows_added".to_owned(), json!(self.counts.added));
                line.insert("rows_removed".to_owned(), json!(self.counts.removed));
                let cells: Map<String, Value> = self.counts.cells.iter().map(|(name, cells)| (name.clone(), json!(cells))).collect();
                line.insert("cells_changed".to_owned(), Value::Object(cells));
                line.insert("reordered".to_owned(), json!(self.counts.reordered));
            }
        }
        let schema = self.schema.iter().map(|change| match change {
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
