//! Tables and columns: imported, shaped, looked at, asked about.

use crate::scenes;
use crate::support::{BIRDS, Sandbox};

#[test]
fn looks() {
    let s = Sandbox::birds();
    let mut told = String::new();
    for args in [
        &["head", "birds"][..],
        &["head", "birds", "-n", "2", "--columns", "name,id"],
        &["head", "birds", "-n", "2", "--json"],
        &["sample", "birds", "-n", "2", "--seed", "3"],
        &["table", "list"],
        &["table", "list", "--json"],
        &["table", "describe", "birds"],
        &["table", "describe", "birds", "--json"],
        &["stats", "birds"],
        &["stats", "birds", "label", "--json"],
        &["cat", "birds", "name", "4"],
        &["cat", "birds", "weight", "--position", "1"],
        &["cat", "birds", "weight", "4"],
        &["cat", "birds", "name", "77"],
        &["query", "SELECT label, count(*) AS n, max(weight) AS heaviest FROM birds GROUP BY label ORDER BY label"],
        &["query", "SELECT name, code FROM birds WHERE weight > :least ORDER BY weight", "-p", "least=20", "--format", "csv"],
        &["query", "SELECT id, name FROM birds WHERE id IN (1, 4) ORDER BY id", "--format", "markdown"],
        &["query", "SELECT id, code FROM birds WHERE code IS NULL", "--json"],
    ] {
        told.push_str(&format!("$ dsv {}\n{}", args.join(" "), s.run(args).redacted()));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn columns_are_shaped() {
    let s = Sandbox::birds();
    s.ok(["column", "add", "birds", "heavy", "bool", "--as", "weight > 40"]);
    s.ok(["column", "add", "birds", "legs", "int8", "--default", "2"]);
    s.ok(["column", "add", "birds", "note", "text"]);
    s.ok(["column", "rename", "birds", "label", "class"]);
    s.ok(["column", "retype", "birds", "class", "enum(small,large)"]);
    s.ok(["column", "retype", "birds", "weight", "float32", "--as", "weight / 1000"]);
    s.ok(["column", "drop", "birds", "code"]);
    s.ok(["export", "birds", "out.csv"]);
    let expected = "id,name,weight,class,heavy,legs,note
1,sparrow,0.0245,small,false,2,
2,wren,0.00925,small,false,2,
3,eagle,4.3,large,true,2,
4,\"owl, barn\",,large,,2,
5,swift,0.041,small,true,2,
";
    assert_eq!(s.read("out.csv"), expected);
    s.refused(3, ["column", "retype", "birds", "name", "int32"]);
    s.refused(3, ["column", "retype", "birds", "class", "enum(small)"]);
    let told = s.refused(2, ["column", "add", "birds", "legs", "int8"]);
    assert_eq!(told, "error: the table has a column 'legs' already\n");
    assert_eq!(s.refused(2, ["column", "rename", "birds", "heavy", "legs"]), told);
    s.refused(2, ["column", "add", "birds", "x", "int8", "--default", "300"]);
    s.refused(2, ["column", "drop", "birds", "id"]);
    s.refused(2, ["column", "add", "birds", "x", "integer32"]);
}

#[test]
fn modes_of_import() {
    let s = Sandbox::birds();
    let ids = |s: &Sandbox| s.ok(["query", "select id, label from birds order by id", "--format", "csv"]);
    s.refused(2, ["import", "birds", "birds.csv"]);
    s.refused(3, ["import", "birds", "birds.csv", "--append"]);
    s.file("fix.csv", "id,label\n3,huge\n");
    s.ok(["import", "birds", "fix.csv", "--key", "id"]);
    assert_eq!(ids(&s), "id,label\n1,small\n2,small\n3,huge\n4,large\n5,small\n");
    s.file("less.csv", "id,label\n5,small\n3,huge\n7,new\n");
    s.ok(["import", "birds", "less.csv", "--key", "id", "--replace"]);
    s.ok(["export", "birds", "now.csv"]);
    assert_eq!(s.read("now.csv"), "id,label\n5,small\n3,huge\n7,new\n");
    s.ok(["import", "birds", "birds.csv", "--replace"]);
    s.ok(["export", "birds", "again.csv"]);
    assert_eq!(s.read("again.csv"), BIRDS);
    assert_eq!(s.feed(["import", "piped", "-", "--format", "jsonl"], b"{\"a\": 1}\n{\"a\": null, \"b\": \"x\"}\n").code, 0);
    assert_eq!(s.ok(["query", "select * from piped", "--format", "csv"]), "a,b\n1,\n,x\n");
}

#[test]
fn pictures_go_in_and_come_out() {
    let s = Sandbox::repo();
    let drawn = scenes::write(&s.path("scenes"), 1, 30).unwrap();
    s.ok(["import", "scenes", "scenes/captions.jsonl", "--key", "id", "--media", "path"]);
    for scene in drawn.iter().step_by(7) {
        let ran = s.command(["cat", "scenes", "path", &scene.id.to_string()]).output().unwrap();
        assert_eq!(ran.stdout, scene.encode());
    }
    let blue = s.ok(["query", "select id from scenes where caption like '%blue%' order by id", "--format", "csv"]);
    let expected: Vec<String> = drawn.iter().filter(|d| d.objects.iter().any(|o| o.color == "blue")).map(|d| d.id.to_string()).collect();
    assert_eq!(blue.lines().skip(1).collect::<Vec<_>>(), expected);
    s.ok(["export", "scenes", "out/", "--columns", "path,caption"]);
    let mut files: Vec<_> =
        std::fs::read_dir(s.path("out")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "jpg" || e == "png")).collect();
    files.sort();
    assert_eq!(files.len(), drawn.len());
    for (file, scene) in files.iter().zip(&drawn) {
        assert_eq!(std::fs::read(file).unwrap(), scene.encode(), "{}", file.display());
    }
}

#[test]
fn images_by_name() {
    let s = Sandbox::repo();
    let drawn = scenes::write(&s.path("scenes"), 2, 6).unwrap();
    let paths = |s: &Sandbox, table: &str| s.ok(["query", &format!("select path from {table}"), "--format", "csv"]);
    s.ok(["import", "folder", "scenes/"]);
    assert_eq!(paths(&s, "folder").lines().nth(1), Some("pictures/00000.jpg"));
    s.ok(["import", "globbed", "scenes/pictures/*.jpg"]);
    assert_eq!(paths(&s, "globbed"), "path\n00000.jpg\n00001.jpg\n00002.jpg\n00003.jpg\n00004.jpg\n00005.jpg\n");
    std::fs::create_dir(s.path("scenes/other")).unwrap();
    std::fs::copy(s.path("scenes/pictures/00004.jpg"), s.path("scenes/other/a.JPG")).unwrap();
    s.ok(["import", "named", "scenes/pictures/00002.jpg", "scenes/other/a.JPG"]);
    assert_eq!(paths(&s, "named"), "path\npictures/00002.jpg\nother/a.JPG\n");
    s.ok(["-C", "scenes", "import", "elsewhere", "pictures/00001.jpg"]);
    assert_eq!(paths(&s, "elsewhere"), "path\n00001.jpg\n");
    let cell = s.command(["cat", "named", "image", "1"]).output().unwrap().stdout;
    assert_eq!(cell, drawn[4].encode());
    let told = s.refused(3, ["import", "t", "scenes/pictures/0000.jpg"]);
    assert!(told.contains("there is no such file") && told.contains("'00000.jpg'"), "{told}");
    // A broken one is told by its name.
    s.file("scenes/other/b.png", b"\x89PNG but no more");
    let told = s.refused(3, ["import", "t", "scenes/other/*"]);
    assert!(told.contains("'b.png'") && told.contains("--on-error"), "{told}");
}

#[test]
fn a_folder_of_images_keeps_the_other_columns() {
    let s = Sandbox::repo();
    scenes::write(&s.path("scenes"), 1, 12).unwrap();
    s.ok(["import", "scenes", "scenes/captions.csv", "--key", "id", "--media", "path"]);
    s.ok(["column", "rename", "scenes", "path", "picture"]);
    s.ok(["export", "scenes", "out/"]);
    assert!(s.read("out/rows.jsonl").starts_with("{\"id\":0,\"picture\":\"00000001.jpg\",\"caption\":"), "{}", s.read("out/rows.jsonl"));
    s.ok(["import", "again", "out/rows.jsonl", "--key", "id", "--media", "picture"]);
    assert_eq!(s.ok(["export", "again", "-", "--format", "jsonl"]), s.ok(["export", "scenes", "-", "--format", "jsonl"]));
    // Where there is nothing more to say there is no such file.
    s.ok(["import", "folder", "scenes/"]);
    s.ok(["export", "folder", "plain/"]);
    assert!(s.path("plain/pictures/00000.jpg").exists() && !s.path("plain/rows.jsonl").exists());
}

#[test]
fn tables_come_and_go() {
    let s = Sandbox::birds();
    s.ok(["table", "create", "empty", "a=int64", "b=decimal(10,2)", "c=enum(x,y)", "--key", "a"]);
    s.feed(["import", "empty", "-", "--format", "csv", "--append"], b"a,b,c\n1,1.50,x\n");
    assert_eq!(s.ok(["query", "select * from empty", "--format", "csv"]), "a,b,c\n1,1.50,x\n");
    s.ok(["table", "rename", "empty", "full"]);
    s.refused(2, ["table", "create", "full", "a=int64"]);
    s.refused(2, ["table", "rename", "birds", "full"]);
    s.refused(2, ["table", "create", "t", "a=int64", "a=text"]);
    s.refused(2, ["table", "create", "t", "a=int64", "--key", "b"]);
    s.ok(["table", "drop", "full"]);
    let told = s.refused(2, ["table", "drop", "bird"]);
    assert!(told.contains("'birds'"), "{told}");
}

#[test]
fn housekeeping_changes_no_value() {
    let s = Sandbox::birds();
    for i in 0..12 {
        s.feed(["import", "birds", "-", "--format", "csv", "--key", "id"], format!("id,name\n{},bird{i}\n", 1 + i % 5).as_bytes());
        s.ok(["commit", "-q", "-m", &format!("step {i}")]);
    }
    let before = s.ok(["query", "select * from birds", "--format", "csv"]);
    s.ok(["compact", "--purge"]);
    s.ok(["commit", "--allow-empty", "-m", "compacted"]);
    s.ok(["gc", "--horizon", "0s", "--grace", "0s"]);
    let verified = s.ok(["verify", "--json"]);
    assert!(verified.ends_with("\"faults\":0}\n"), "{verified}");
    assert_eq!(s.ok(["query", "select * from birds", "--format", "csv"]), before);
    assert_eq!(s.ok(["query", "select name from \"HEAD~12\".birds where id = 2", "--format", "csv"]), "name\nwren\n");
}
