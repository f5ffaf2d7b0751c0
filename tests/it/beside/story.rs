//! docs/stories/code-and-data.md, run line by line.

use std::path::Path;

use super::Beside;
use crate::support::BIRDS;

const RULE: &str = "SELECT count(*) AS wrong FROM birds WHERE weight < 0\n";
const STRICTER: &str = "SELECT count(*) AS wrong FROM birds WHERE weight < 0 OR weight > 20000\n";

#[test]
fn code_and_data_are_changed_merged_and_bisected_together() {
    let Some(b) = Beside::empty() else { return };
    b.file("birds.csv", &BIRDS.replace("9.25", "-9.25"));
    b.file("more.csv", "id,name,weight,label,code\n6,robin,18.0,small,011\n7,stork,3400.0,large,012\n");
    b.file("rule.sql", RULE);
    b.file("stricter.sql", STRICTER);
    b.file("README.new", "Birds, and what they weigh.\n");
    b.file("judge.sh", "test \"$(dsv query @rule.sql --format csv | tail -n 1)\" = 0\n");
    let story = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/stories/code-and-data.md")).unwrap();
    let mut ran = Vec::new();
    for line in story.lines().filter_map(|line| line.strip_prefix("$ ")) {
        ran.push((line, b.ok(line)));
    }
    assert!(ran.len() > 40, "the story has lost its lines");
    let counted: Vec<&str> = ran.iter().filter(|(line, _)| *line == "dsv query @rule.sql").map(|(_, out)| out.lines().nth(2).unwrap().trim()).collect();
    assert_eq!(counted, ["1", "0", "2"]);
    let of = |start: &str| ran.iter().find(|(line, _)| line.starts_with(start)).map(|(_, out)| out.as_str()).unwrap();
    assert!(of("git merge").contains("merged the data of"));
    assert!(of("git bisect run").contains("is the first bad commit") && of("git bisect run").contains("grams everywhere"), "{}", of("git bisect run"));
    assert!(of("dsv git status").contains("which is checked out"));
    assert_eq!(b.name(4), "barn owl");
}
