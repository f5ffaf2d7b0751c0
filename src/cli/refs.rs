//! Branches, tags and HEAD as text.

use serde_json::{Value, json};

use super::ui::paint::Paint;
use crate::format::operation::HeadRef;
use crate::history::short;
use crate::repo::{RefKind, RefLabel};

/// What is checked out: `branch main`, or `commit 1a2b3c4d`.
pub fn head_text(head: &HeadRef) -> String {
    match head {
        HeadRef::Branch(name) => format!("branch {name}"),
        HeadRef::Commit(id) => format!("commit {}", short(id)),
    }
}

/// The branch, or null where HEAD is detached, and whether it is.
pub fn head_json(head: &HeadRef) -> (Value, bool) {
    match head {
        HeadRef::Branch(name) => (json!(name), false),
        HeadRef::Commit(_) => (Value::Null, true),
    }
}

/// The names at a commit as Git shows them, `(HEAD -> main, tag: v1.0)`; empty without any.
pub fn labels(refs: &[RefLabel], paint: Paint) -> String {
    if refs.is_empty() {
        return String::new();
    }
    let names: Vec<String> = refs
        .iter()
        .map(|label| match label.kind {
            RefKind::Head => paint.current("HEAD").to_string(),
            RefKind::Branch if label.current => format!("{} {}", paint.current("HEAD ->"), paint.branch(&label.name)),
            RefKind::Branch => paint.branch(&label.name).to_string(),
            RefKind::Tag => paint.tag(format!("tag: {}", label.name)).to_string(),
            RefKind::Remote => paint.removed(&label.name).to_string(),
        })
        .collect();
    format!("({})", names.join(", "))
}

/// The names at a commit as `[{"kind", "name"}]`.
pub fn labels_json(refs: &[RefLabel]) -> Value {
    refs.iter()
        .map(|label| {
            let kind = match label.kind {
                RefKind::Head => "head",
                RefKind::Branch => "branch",
                RefKind::Tag => "tag",
                RefKind::Remote => "remote",
            };
            json!({"kind": kind, "name": label.name})
        })
        .collect()
}
