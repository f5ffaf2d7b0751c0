//! Queries about a real repository.

use std::io::Write;
use std::sync::Arc;

use super::support::*;
use crate::query::*;
use crate::repo::files::{Input, ReadOptions};
use crate::repo::{CommitOptions, ImportMode, ImportOptions, OpenOptions, Repo};

fn import(repo: &Repo, dir: &std::path::Path, text: &str) {
    let path = dir.join("birds.csv");
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    let options = ImportOptions { mode: ImportMode::Replace, read: ReadOptions::default(), ..ImportOptions::default() };
    repo.import("birds", &[Input::Path(path)], &options, "import").unwrap();
}

#[test]
fn revisions_of_a_repository_are_schemas() {
    let dir = tempfile::tempdir().unwrap();
    let repo = Repo::init_with(dir.path(), "main", &OpenOptions::default()).unwrap();
    import(&repo, dir.path(), "id,species\n1,wren\n2,robin\n");
    let identity = CommitOptions { message: Some("two birds".into()), ..CommitOptions::default() };
    repo.commit(&identity).unwrap();
    repo.create_tag("v1.0", None, Some("first"), false).unwrap();
    import(&repo, dir.path(), "id,species\n1,wren\n2,crow\n3,owl\n");
    let session = Session::new(Arc::new(repo), Options::default()).unwrap();
    let changed = "SELECT b.id, a.species AS was, b.species AS now FROM \"v1.0\".birds a RIGHT JOIN birds b ON a.id = b.id WHERE a.species IS DISTINCT FROM b.species ORDER BY b.id";
    assert_eq!(drawn(&ask(&session, changed)), "id|was|now\n2|robin|crow\n3||owl");
    assert_eq!(drawn(&ask(&session, "SELECT count(*) AS c FROM main.birds")), "c\n2");
    assert_eq!(drawn(&ask(&session, "SELECT message FROM dsv.commits")), "message\ntwo birds");
    assert_eq!(
        drawn(&ask(&session, "SELECT t.name, t.message, c.message AS why FROM dsv.tags t JOIN dsv.commits c ON t.commit = c.id")),
        "name|message|why\nv1.0|first|two birds"
    );
    assert_eq!(drawn(&ask(&session, "SELECT name, current FROM dsv.branches")), "name|current\nmain|true");
    assert_eq!(drawn(&ask(&session, "SELECT \"table\", name, type FROM dsv.columns")), "table|name|type\nbirds|id|int64\nbirds|species|text");
    let error = refusal(&session, "SELECT * FROM mian.birds");
    assert_eq!((error.to_string().as_str(), error.near()), ("no revision 'mian'", &["main".to_owned()][..]));
    let error = refusal(&session, "SELECT * FROM \"main~7\".birds");
    assert!(matches!(error, QueryError::Repository(_)), "{error}");
}
