//! The stories in docs/stories, run line by line.

use std::collections::BTreeSet;
use std::path::Path;

use crate::scenes;
use crate::support::{Sandbox, data};

/// A box of a picture.
struct Drawn {
    picture: String,
    label: String,
    corners: [i64; 4],
}

const WRONG: &str = "WITH judged AS (
  SELECT b.*, p.width, p.height, row_number() OVER (PARTITION BY picture, label, xmin, ymin, xmax, ymax ORDER BY n) AS nth
  FROM boxes b JOIN sizes p ON p.path = b.picture)
SELECT
  sum(CASE WHEN xmin >= xmax OR ymin >= ymax THEN 1 ELSE 0 END) AS empty,
  sum(CASE WHEN xmin < 0 OR ymin < 0 OR xmax > width OR ymax > height THEN 1 ELSE 0 END) AS outside,
  sum(CASE WHEN nth > 1 THEN 1 ELSE 0 END) AS doubled
FROM judged";

const MENDED: &str = "WITH judged AS (
  SELECT b.*, p.width, p.height, row_number() OVER (PARTITION BY picture, label, xmin, ymin, xmax, ymax ORDER BY n) AS nth
  FROM boxes b JOIN sizes p ON p.path = b.picture)
SELECT picture, n, label, greatest(xmin, 0) AS xmin, greatest(ymin, 0) AS ymin, least(xmax, width) AS xmax, least(ymax, height) AS ymax
FROM judged WHERE nth = 1 AND xmin < xmax AND ymin < ymax ORDER BY picture, n";

/// The text between two marks.
fn between<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let start = text.find(&format!("<{tag}>"))? + tag.len() + 2;
    Some(&text[start..start + text[start..].find(&format!("</{tag}>"))?])
}

/// The real pictures' names and sizes, and their boxes.
fn real(folder: &Path) -> (Vec<(String, [i64; 2])>, Vec<Drawn>) {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("BCCD/Annotations")).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let (mut pictures, mut boxes) = (Vec::new(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let number = |text: &str, tag: &str| between(text, tag).unwrap().trim().parse::<i64>().unwrap();
        // The name of the file itself: some annotations name another.
        let picture = format!("{}.jpg", file.file_stem().unwrap().to_string_lossy());
        pictures.push((picture.clone(), [number(&text, "width"), number(&text, "height")]));
        for object in text.split("<object>").skip(1) {
            let corners = ["xmin", "ymin", "xmax", "ymax"].map(|tag| number(object, tag));
            boxes.push(Drawn { picture: picture.clone(), label: between(object, "name").unwrap().to_owned(), corners });
        }
    }
    (pictures, boxes)
}

/// Lays the story's files into a folder; returns the errors of each kind, counted here by the rule alone.
fn lay(s: &Sandbox) -> [usize; 3] {
    let (pictures, boxes) = match data("images-labelled-bccd") {
        Some(folder) => {
            let (pictures, boxes) = real(&folder);
            for (name, _) in &pictures {
                s.file(name, std::fs::read(folder.join("BCCD/JPEGImages").join(name)).unwrap());
            }
            (pictures, boxes)
        }
        None => {
            let scenes = scenes::scenes(3, 40);
            let mut boxes = Vec::new();
            for scene in &scenes {
                s.file(&scene.path, scene.encode());
                for object in &scene.objects {
                    let (x, y, r) = (i64::from(object.x), i64::from(object.y), i64::from(object.radius));
                    boxes.push(Drawn { picture: scene.path.clone(), label: object.shape.to_owned(), corners: [x - r, y - r, x + r, y + r] });
                }
            }
            // Errors as people make them.
            boxes[1].corners[2] = boxes[1].corners[0];
            boxes[4].corners[3] = i64::from(scenes::HEIGHT) + 9;
            let twice = Drawn { picture: boxes[7].picture.clone(), label: boxes[7].label.clone(), corners: boxes[7].corners };
            boxes.push(twice);
            (scenes.iter().map(|scene| (scene.path.clone(), [i64::from(scenes::WIDTH), i64::from(scenes::HEIGHT)])).collect(), boxes)
        }
    };
    let first = pictures.len() * 4 / 5;
    // The path stays the key; the picture is in a column of its own.
    let list = |some: &[(String, [i64; 2])]| some.iter().fold("path,image\n".to_owned(), |csv, (path, _)| csv + &format!("{path},{path}\n"));
    s.file("pictures.csv", list(&pictures[..first]));
    s.file("more.csv", list(&pictures[first..]));
    let (mut csv, mut n, mut last) = ("picture,n,label,xmin,ymin,xmax,ymax\n".to_owned(), 0, "");
    let mut sorted: Vec<&Drawn> = boxes.iter().collect();
    sorted.sort_by_key(|drawn| &drawn.picture);
    for drawn in &sorted {
        n = if drawn.picture == last { n + 1 } else { 1 };
        last = &drawn.picture;
        let [a, b, c, d] = drawn.corners;
        csv.push_str(&format!("{},{n},{},{a},{b},{c},{d}\n", drawn.picture, drawn.label));
    }
    s.file("boxes.csv", csv);
    let sizes = pictures.iter().map(|(path, [width, height])| format!("('{path}', {width}, {height})")).collect::<Vec<_>>().join(", ");
    for (name, sql) in [("wrong.sql", WRONG), ("mended.sql", MENDED)] {
        s.file(name, format!("WITH sizes(path, width, height) AS (VALUES {sizes}), {}", sql.trim_start_matches("WITH ")));
    }
    let size = |drawn: &Drawn| pictures.iter().find(|(path, _)| *path == drawn.picture).unwrap().1;
    let mut seen = BTreeSet::new();
    [
        boxes.iter().filter(|b| b.corners[0] >= b.corners[2] || b.corners[1] >= b.corners[3]).count(),
        boxes.iter().filter(|b| b.corners[0] < 0 || b.corners[1] < 0 || b.corners[2] > size(b)[0] || b.corners[3] > size(b)[1]).count(),
        boxes.iter().filter(|b| !seen.insert((&b.picture, &b.label, b.corners))).count(),
    ]
}

#[test]
fn three_people_mend_one_dataset() {
    let s = Sandbox::empty();
    let errors = lay(&s);
    assert!(errors.iter().sum::<usize>() > 0);
    let story = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/stories/labels.md")).unwrap();
    let mut ran = Vec::new();
    for line in story.lines().filter_map(|line| line.strip_prefix("$ dsv ")) {
        let args = words(line);
        ran.push((args[0].clone(), s.ok(&args)));
    }
    assert!(ran.len() > 20, "the story has lost its lines");
    let wrong: Vec<&str> = ran.iter().filter(|(verb, out)| verb == "query" && out.contains("doubled")).map(|(_, out)| out.as_str()).collect();
    let counted = |out: &str| out.lines().nth(2).unwrap().split('│').map(|n| n.trim().parse::<usize>().unwrap()).collect::<Vec<_>>();
    assert_eq!(counted(wrong[0]), errors);
    assert_eq!(counted(wrong[1]), [0, 0, 0]);
    println!("labels: {errors:?} boxes empty, outside and doubled, mended");
    // All that the three did is there.
    let columns = s.ok(["query", "SELECT count(area) = count(*) FROM boxes", "--format", "csv"]);
    assert!(columns.ends_with("true\n"), "{columns}");
    let pictures = s.read("pictures.csv").lines().count() + s.read("more.csv").lines().count() - 2;
    assert!(s.ok(["query", "SELECT count(*) FROM pictures", "--format", "csv"]).contains(&pictures.to_string()));
    let log = s.ok(["log", "-n", "1", "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(log.trim()).unwrap()["parents"].as_array().unwrap().len(), 4);
    let page = s.read("changes.html");
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("new column area: float64") && page.contains("Removed rows"));
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"), "the page needs nothing else");
}

#[test]
fn a_page_shows_data_as_text_alone() {
    let s = Sandbox::repo();
    s.file("notes.csv", "id,note\n1,plain words here\n2,<b>bold</b>\n");
    s.ok(["import", "notes", "notes.csv", "--key", "id"]);
    s.ok(["commit", "-m", "<script>alert('no')</script>"]);
    s.file("notes.csv", "id,note\n1,plain <script>alert(1)</script> here\n3,\"\"\"quoted\"\" & more\"\n");
    s.ok(["import", "notes", "notes.csv", "--key", "id", "--replace"]);
    assert_eq!(s.run(["diff", "--html", "page.html", "--exit-code"]).code, 1);
    let page = s.read("page.html");
    assert!(page.contains("plain <ins>&lt;script&gt;alert(1)&lt;/script&gt;</ins>") && page.contains("<del>words</del>"), "{page}");
    assert!(page.contains("&lt;b&gt;bold&lt;/b&gt;") && page.contains("&quot;quoted&quot; &amp; more"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    s.ok(["diff", "--html", "none.html", "-n", "0", "--", "notes", "note"]);
    assert!(s.read("none.html").contains("3 rows more not shown"));
    assert_eq!(s.run(["diff", "--html", "no/such/folder.html"]).code, 3);
    assert!(s.refused(2, ["diff", "--html", "page.html"]).contains("--force"));
    s.ok(["diff", "--html", "page.html", "--force"]);
    assert_eq!(s.run(["diff", "--html", "new.html", "--json"]).code, 2);
    // Columns that were not asked about answer nothing.
    s.ok(["commit", "-m", "seen"]);
    s.file("notes.csv", "id,note\n1,other\n");
    s.ok(["import", "notes", "notes.csv", "--key", "id"]);
    s.ok(["diff", "--html", "id.html", "--exit-code", "--", "notes", "id"]);
    assert!(!s.path("id.html.part").exists());
}

#[test]
fn long_texts_bytes_and_vectors_are_told_apart() {
    let s = Sandbox::repo();
    let line = |word: &str, v: &str| format!("{{\"id\": 1, \"note\": \"the quick brown fox {word} over the lazy dog again and again\", \"v\": {v}}}\n");
    s.file("a.jsonl", line("jumps", "[1, 0, 0]"));
    s.ok(["import", "t", "a.jsonl", "--key", "id", "--types", "v=embedding(3)"]);
    s.ok(["commit", "-m", "a"]);
    s.file("a.jsonl", line("leaps", "[0, 1, 0]"));
    s.ok(["import", "t", "a.jsonl", "--key", "id", "--types", "v=embedding(3)"]);
    let shown = s.ok(["diff"]);
    assert!(shown.contains("fox [-jumps-]{+leaps+} over"), "{shown}");
    assert!(shown.contains("moved by 1.41") && shown.contains("1 (cosine distance)"), "{shown}");
    s.file("a.jsonl", line("leaps", "[0, 0, 0]"));
    s.ok(["import", "t", "a.jsonl", "--key", "id", "--types", "v=embedding(3)"]);
    let shown = s.ok(["diff", "--", "t", "v"]);
    assert!(shown.contains("moved by 1 (L2)") && !shown.contains("NaN") && !shown.contains("leaps"), "{shown}");
    // At most so many rows, and a column that is gone can be asked about.
    assert_eq!(s.ok(["diff", "--json", "-n", "1"]).lines().count(), 2);
    assert_eq!(s.ok(["diff", "--json", "-n", "0"]).lines().count(), 0);
    s.ok(["column", "drop", "t", "note"]);
    assert_eq!(
        s.ok(["diff", "--json", "--", "t", "note"]),
        "{\"table\":\"t\",\"change\":\"schema\",\"row\":null,\"column\":\"note\",\"before\":\"text\",\"after\":null}\n"
    );
    assert!(s.refused(2, ["diff", "--", "t", "nota"]).contains("nota"));
}

/// A command line as a shell would cut it: quotes keep words together.
pub fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            '"' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        out.push(word);
    }
    out
}
