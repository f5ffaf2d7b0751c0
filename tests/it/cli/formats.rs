//! Every format there and back, as text files and as typed ones.

use crate::support::Sandbox;

const ALL: &str = "key,flag,small,big,half,number,money,words,day,moment,zoned,label,vector,doc
1,true,-128,9223372036854775807,0.5,0.1,12.30,plain,2026-02-28,2026-02-28T12:00:00.000001,2026-02-28T12:00:00Z,a,\"[1.5,-2.0]\",\"{\"\"k\"\":[1,null]}\"
2,false,127,-9223372036854775808,-0.0,-0.0,-0.01,\"two
lines, \"\"quoted\"\"\",1969-12-31,1900-01-01T00:00:00,1999-12-31T23:59:59Z,b,\"[0.0,0.0]\",[]
3,,,,,NaN,,,,,,,,
4,true,0,0,65504,1e300,99999999.99,\"\",0001-01-01,9999-12-31T23:59:59,2026-02-28T12:00:00.5Z,b,\"[NaN,-1.5]\",\"{\"\"n\"\":null}\"
";

const TYPES: &str = "key=int64,flag=bool,small=int8,big=int64,half=float16,number=float64,money=decimal(10,2),words=text,day=date,moment=timestamp(us),\
                     zoned=timestamp(ms,UTC),label=enum(a,b),vector=embedding(2),doc=json";

fn filled() -> Sandbox {
    let s = Sandbox::repo();
    s.file("all.csv", ALL);
    s.ok(["import", "t", "all.csv", "--types", TYPES, "--key", "key"]);
    s
}

#[test]
fn typed_formats_keep_everything() {
    let s = filled();
    let whole = s.ok(["export", "t", "-", "--format", "csv"]);
    for name in ["t.parquet", "t.arrow"] {
        s.ok(["export", "t", name]);
        let table = name.replace('.', "_");
        s.ok(["import", &table, name, "--key", "key"]);
        assert_eq!(s.ok(["table", "describe", &table, "--json"]), s.ok(["table", "describe", "t", "--json"]), "{name}");
        assert_eq!(s.ok(["export", &table, "-", "--format", "csv"]), whole, "{name}");
    }
}

#[test]
fn text_formats_come_back_with_their_types() {
    let s = filled();
    let whole = s.ok(["export", "t", "-", "--format", "csv"]);
    for name in ["t.csv", "t.tsv", "t.jsonl", "t.json", "t.csv.gz", "t.tsv.zst", "t.jsonl.zst", "t.json.gz"] {
        s.ok(["export", "t", name]);
        let table = name.replace('.', "_");
        s.ok(["import", &table, name, "--types", TYPES, "--key", "key"]);
        assert_eq!(s.ok(["table", "describe", &table, "--json"]), s.ok(["table", "describe", "t", "--json"]), "{name}");
        assert_eq!(s.ok(["export", &table, "-", "--format", "csv"]), whole, "{name}");
    }
}

#[test]
fn replacing_by_ones_own_export_changes_nothing() {
    let s = filled();
    s.ok(["commit", "-m", "all"]);
    for name in ["t.csv", "t.jsonl", "t.parquet", "t.arrow"] {
        s.ok(["export", "t", name]);
        let done = s.ok(["import", "t", name, "--replace", "--json"]);
        assert!(done.contains("\"rows_added\":0,\"rows_removed\":0,\"rows_changed\":0"), "{name}: {done}");
        assert!(s.ok(["status", "--json"]).contains("\"clean\":true"), "{name}: {}", s.ok(["status"]));
    }
}

#[test]
fn nothing_is_guessed_wrongly() {
    let s = Sandbox::repo();
    s.file("odd.csv", "zeros,plus,long,mixed,price,flag,date\n007,+1,12345678901234567890123,1,1.50,yes,2026-01-31\n010,+2,1,x,2.25,no,2026-02-30\n");
    s.ok(["import", "odd", "odd.csv"]);
    let types = s.ok(["query", "select * from odd", "--format", "csv"]);
    assert_eq!(types, "zeros,plus,long,mixed,price,flag,date\n007,+1,12345678901234567890123,1,1.5,yes,2026-01-31\n010,+2,1,x,2.25,no,2026-02-30\n");
}

#[test]
fn a_file_is_not_written_over_unasked() {
    let s = filled();
    s.file("there.csv", "precious");
    s.refused(2, ["export", "t", "there.csv"]);
    assert_eq!(s.read("there.csv"), "precious");
    s.ok(["export", "t", "there.csv", "--force", "--columns", "key"]);
    assert_eq!(s.read("there.csv"), "key\n1\n2\n3\n4\n");
    // A failed export leaves the target as it was.
    s.refused(2, ["export", "t", "there.csv", "--force", "--where", "nonsense > 1"]);
    s.refused(2, ["export", "t", "there.csv", "--force", "--where", "key + 1"]);
    assert_eq!(s.read("there.csv"), "key\n1\n2\n3\n4\n");
}

#[test]
fn past_versions_are_exported() {
    let s = filled();
    s.ok(["commit", "-m", "all"]);
    s.ok(["column", "drop", "t", "doc"]);
    s.ok(["commit", "-m", "less"]);
    s.ok(["export", "t", "old.jsonl", "--at", "HEAD~1", "--where", "key = 2", "--columns", "doc,key"]);
    assert_eq!(s.read("old.jsonl"), "{\"doc\":[],\"key\":2}\n");
}

#[test]
fn an_answer_is_not_written_over_a_file() {
    let s = Sandbox::birds();
    s.ok(["query", "SELECT 1 AS x", "-o", "x.csv"]);
    assert!(s.refused(2, ["query", "SELECT 2 AS x", "-o", "x.csv"]).contains("--force writes over it"));
    assert_eq!(s.read("x.csv"), "x\n1\n");
    s.ok(["query", "SELECT 2 AS x", "-o", "x.csv", "--force"]);
    assert_eq!(s.read("x.csv"), "x\n2\n");
}
