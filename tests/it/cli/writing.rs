//! What SQL writes, views, and branches that are subsets, as a person sees them.

use crate::support::Sandbox;

fn told(s: &Sandbox, runs: &[&[&str]]) -> String {
    runs.iter().map(|args| format!("$ dsv {}\n{}", args.join(" "), s.run(*args).redacted())).collect()
}

#[test]
fn sql_writes_into_the_working_state() {
    let s = Sandbox::birds();
    s.ok(["tag", "v1.0"]);
    s.file("more.sql", "INSERT INTO birds (id, name)\nVALUES (6, 'robin');\n");
    insta::assert_snapshot!(told(
        &s,
        &[
            &[
                "query",
                "INSERT INTO birds (id, name, weight) VALUES (7, 'crow', 500), (1, 'house sparrow', 25) ON CONFLICT (id) DO UPDATE SET name = excluded.name"
            ],
            &["query", "-f", "more.sql", "--json"],
            &["query", "UPDATE birds SET weight = weight / 1000 WHERE weight > :least", "-p", "least=100"],
            &["query", "UPDATE birds SET label = old.label FROM \"v1.0\".birds old WHERE old.id = birds.id"],
            &["query", "DELETE FROM birds WHERE name = 'wren'"],
            &["query", "CREATE TABLE heavy AS SELECT id, weight FROM birds WHERE weight > 20"],
            &["query", "ALTER TABLE heavy ADD COLUMN seen boolean DEFAULT false"],
            &["query", "SELECT * FROM birds b LEFT JOIN heavy h USING (id) ORDER BY id", "--format", "csv"],
            &["diff", "--stat"],
            &["query", "DROP TABLE heavy"],
            &["undo"],
            &["operations", "-n", "3"],
            &["query", "INSERT INTO birds (id) VALUES (7)"],
            &["query", "INSERT INTO birds (id) VALUES ('x')"],
            &["query", "INSERT INTO bird (id) VALUES (8)"],
            &["query", "UPDATE birds SET wieght = 1"],
            &["query", "UPDATE \"v1.0\".birds SET weight = 1"],
            &["query", "DELETE FROM birds", "--at", "v1.0"],
            &["query", "DELETE FROM birds WHERE"],
            &["query", "UPDATE birds SET weight = :w"],
        ]
    ));
}

#[test]
fn views_stand_where_tables_do() {
    let s = Sandbox::birds();
    insta::assert_snapshot!(told(
        &s,
        &[
            &["view", "create", "light", "SELECT id, name, weight FROM birds WHERE weight < 30"],
            &["view", "create", "lightest", "SELECT * FROM light WHERE weight < 20"],
            &["status"],
            &["commit", "-m", "views"],
            &["query", "UPDATE birds SET weight = 12 WHERE name = 'sparrow'"],
            &["query", "SELECT now.name, was.name AS was FROM lightest now LEFT JOIN main.lightest was USING (id) ORDER BY now.id", "--format", "csv"],
            &["head", "lightest", "-n", "1"],
            &["export", "lightest", "-", "--format", "csv", "--where", "id > 1", "--columns", "name,id"],
            &["export", "lightest", "-", "--format", "csv", "--at", "main"],
            &["view", "list"],
            &["view", "list", "--json"],
            &["view", "show", "lightest"],
            &["view", "rename", "lightest", "feathers"],
            &["view", "create", "light", "SELECT * FROM feathers", "--replace"],
            &["view", "create", "light", "SELECT 1 AS x"],
            &["view", "create", "birds", "SELECT 1 AS x"],
            &["view", "create", "odd", "SELECT nmae FROM birds"],
            &["view", "create", "odd", "DELETE FROM birds"],
            &["view", "show", "fethers"],
            &["view", "drop", "feather"],
            &["table", "describe", "feathers"],
            &["import", "light", "birds.csv"],
            &["view", "drop", "feathers"],
            &["diff"],
        ]
    ));
}

#[test]
fn a_subset_hides_rows_and_deletes_none() {
    let s = Sandbox::birds();
    insta::assert_snapshot!(told(
        &s,
        &[
            &["branch", "small", "--table", "birds", "--where", "label = 'small'"],
            &["branch"],
            &["switch", "small"],
            &["query", "SELECT id, name FROM birds", "--format", "csv"],
            &["query", "UPDATE birds SET weight = 1 WHERE name = 'wren'"],
            &["query", "DELETE FROM birds WHERE name = 'sparrow'"],
            &["commit", "-m", "as the model sees them"],
            &["compact", "--purge"],
            &["switch", "main"],
            &["merge", "small"],
            &["query", "SELECT id, name, weight FROM birds", "--format", "csv"],
            &["branch", "none", "--table", "birds", "--where", "lable = 'small'"],
            &["branch", "none", "--table", "bird", "--where", "true"],
            &["branch", "small", "--table", "birds", "--where", "true"],
            &["branch", "none", "--table", "birds"],
        ]
    ));
}
