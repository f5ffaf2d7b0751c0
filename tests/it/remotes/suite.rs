//! What every store must do, whichever it is: one suite, held against each of them.

use crate::support::{Ran, Sandbox};

const ROWS: &str = "SELECT id, name FROM birds ORDER BY id";

/// Two people with a remote between them.
pub struct Suite<'a> {
    /// Has a repository with a table `birds`, and made the remote.
    pub ada: &'a Sandbox,
    /// Has an empty folder, and clones.
    pub grace: &'a Sandbox,
    /// Where nothing is yet.
    pub url: &'a str,
    /// How a push is asked for: `push`, or more where the store needs it.
    pub push: &'a [&'a str],
}

impl Suite<'_> {
    /// Grace, in her clone.
    fn there(&self, args: &[&str]) -> Ran {
        self.grace.run([&["-C", "work"], args].concat())
    }

    #[track_caller]
    fn there_ok(&self, args: &[&str]) -> String {
        self.grace.ok([&["-C", "work"], args].concat())
    }

    fn push(&self, args: &[&str]) -> Ran {
        self.ada.run([self.push, args].concat())
    }

    fn push_there(&self, args: &[&str]) -> Ran {
        self.there(&[self.push, args].concat())
    }

    /// A commit of Ada's that gives a bird another name.
    fn edit(&self, id: u32, name: &str) {
        self.ada.ok(["query", &format!("UPDATE birds SET name = '{name}' WHERE id = {id}")]);
        self.ada.ok(["commit", "-m", &format!("a {name}")]);
    }

    fn edit_there(&self, id: u32, name: &str) {
        self.there_ok(&["query", &format!("UPDATE birds SET name = '{name}' WHERE id = {id}")]);
        self.there_ok(&["commit", "-m", &format!("a {name}")]);
    }

    /// All of it.
    pub fn run(&self) {
        self.shared();
        self.raced();
        self.tags();
        self.taken_back();
        self.ada.ok(["verify"]);
        self.there_ok(&["verify"]);
    }

    /// What one pushes another clones, changes, and pulls.
    fn shared(&self) {
        self.ada.ok(["tag", "v1"]);
        self.ada.ok(["remote", "add", "origin", self.url]);
        let told = self.push(&["--tags"]);
        assert!(told.code == 0 && told.stderr.contains("Made a repository on origin"), "{told:?}");
        let listed = self.ada.ok(["ls-remote", "--json"]);
        assert!(listed.contains(r#""ref":"main","kind":"branch""#) && listed.contains(r#""default":true"#) && listed.contains(r#""ref":"v1""#), "{listed}");
        self.grace.ok(["clone", self.url, "work"]);
        assert_eq!(self.there_ok(&["query", ROWS, "--format", "csv"]), self.ada.ok(["query", ROWS, "--format", "csv"]));
        assert_eq!(self.there_ok(&["log", "--oneline", "v1"]), self.ada.ok(["log", "--oneline", "v1"]));
        self.edit_there(1, "gull");
        self.edit(2, "crow");
        let pushed = self.push(&[]);
        assert!(pushed.code == 0 && pushed.stderr.contains("1 commit,"), "{pushed:?}");
        let refused = self.push_there(&[]);
        assert!(refused.code == 1 && refused.stderr.contains("fetch first") && refused.stderr.contains("dsv pull"), "{refused:?}");
        // Once it is known what is there, it still does not fit.
        self.there_ok(&["fetch"]);
        let refused = self.push_there(&[]);
        assert!(refused.code == 1 && refused.stderr.contains("this branch lacks: 'dsv pull' merges them"), "{refused:?}");
        self.there_ok(&["pull"]);
        let pushed = self.push_there(&[]);
        assert_eq!(pushed.code, 0, "{pushed:?}");
        self.ada.ok(["pull"]);
        assert_eq!(self.ada.ok(["query", "SELECT name FROM birds WHERE id <= 2 ORDER BY id", "--format", "csv"]), "name\ngull\ncrow\n");
        assert_eq!(self.ada.ok(["log", "--oneline"]), self.there_ok(&["log", "--oneline"]));
        assert!(self.push(&[]).stderr.contains("up to date") && self.there(&["fetch"]).stderr.contains("Nothing new"));
        // Read where it is, without a clone.
        let at = format!("{}{}#v1", if self.url.contains("://") { "" } else { "file://" }, self.url);
        let (read, own) = (self.grace.ok(["query", ROWS, "--at", &at, "--format", "csv"]), self.ada.ok(["query", ROWS, "--at", "v1", "--format", "csv"]));
        assert_eq!(read, own);
    }

    /// Of two that push at the same time one wins, and the other is told to fetch first, whatever he saw when he began.
    fn raced(&self) {
        self.edit(3, "ibis");
        self.edit_there(4, "lark");
        let start = |sandbox: &Sandbox, args: &[&str]| {
            let mut command = sandbox.command(args);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        };
        let both = [start(self.ada, self.push), start(self.grace, &[&["-C", "work"], self.push].concat())];
        let both = both.map(|child| Ran::from(child.wait_with_output().unwrap()));
        let codes = [both[0].code, both[1].code];
        assert!(codes == [0, 1] || codes == [1, 0], "{both:?}");
        let loser = usize::from(both[1].code == 1);
        assert!(both[loser].stderr.contains("fetch first") && both[loser].stderr.contains("origin/main: refused"), "{both:?}");
        // The loser pulls and pushes; then both have both.
        if loser == 0 {
            self.ada.ok(["pull"]);
            assert_eq!(self.push(&[]).code, 0);
        } else {
            self.there_ok(&["pull"]);
            assert_eq!(self.push_there(&[]).code, 0);
        }
        self.ada.ok(["pull"]);
        self.there_ok(&["pull"]);
        let names = "SELECT name FROM birds WHERE id IN (3, 4) ORDER BY id";
        assert_eq!(self.ada.ok(["query", names, "--format", "csv"]), "name\nibis\nlark\n");
        assert_eq!(self.there_ok(&["query", names, "--format", "csv"]), "name\nibis\nlark\n");
    }

    /// A tag does not move: one that is there under another commit stays, unless it is forced.
    fn tags(&self) {
        let commit_of = |name: &str| {
            let listed = self.ada.ok(["ls-remote", "--json"]);
            let line = listed.lines().find(|line| line.contains(&format!(r#""ref":"{name}","kind":"tag""#))).map(str::to_owned);
            line.unwrap_or_else(|| panic!("{listed}"))
        };
        let before = commit_of("v1");
        self.there_ok(&["tag", "--force", "v1"]);
        self.there_ok(&["tag", "v2", "-m", "two"]);
        let refused = self.push_there(&["--tags", "--json"]);
        assert!(refused.code == 1 && refused.stdout.contains("a tag of that name is there, and names another commit"), "{refused:?}");
        assert!(refused.stdout.contains(r#""change":"new""#) && commit_of("v1") == before, "{refused:?}");
        self.ada.ok(["fetch"]);
        assert!(self.ada.ok(["tag", "--list"]).contains("v2"));
        let forced = self.push_there(&["--tags", "--force"]);
        assert!(forced.code == 0 && commit_of("v1") != before, "{forced:?}");
    }

    /// Commits that are taken back go over those that are there only on purpose, and with a lease only where nobody has pushed since. A branch can be deleted.
    fn taken_back(&self) {
        self.ada.ok(["switch", "-c", "review"]);
        self.edit(5, "swan");
        assert_eq!(self.push(&["origin", "review"]).code, 0);
        self.there_ok(&["fetch"]);
        self.there_ok(&["branch", "review", "origin/review"]);
        self.there_ok(&["switch", "review"]);
        self.ada.ok(["commit", "--amend", "-m", "a black swan"]);
        let refused = self.push(&["origin", "review"]);
        assert!(refused.code == 1 && refused.stderr.contains("this branch lacks"), "{refused:?}");
        let forced = self.push(&["--force-with-lease", "origin", "review"]);
        assert!(forced.code == 0 && forced.stderr.contains("forced"), "{forced:?}");
        // Grace has seen nothing of it.
        self.edit_there(5, "goose");
        let refused = self.push_there(&["--force-with-lease", "origin", "review"]);
        assert!(refused.code == 1 && refused.stderr.contains("it has moved there since it was fetched last"), "{refused:?}");
        let fetched = self.there(&["fetch"]);
        assert!(fetched.code == 0 && fetched.stderr.contains("somebody took commits back"), "{fetched:?}");
        let forced = self.push_there(&["--force-with-lease", "origin", "review"]);
        assert!(forced.code == 0 && forced.stderr.contains("forced"), "{forced:?}");
        self.ada.ok(["fetch"]);
        let told = self.ada.ok(["query", "SELECT name FROM birds WHERE id = 5", "--at", "origin/review", "--format", "csv"]);
        assert_eq!(told, "name\ngoose\n");
        let deleted = self.push(&["origin", "--delete", "review"]);
        assert!(deleted.code == 0 && deleted.stderr.contains("deleted"), "{deleted:?}");
        let listed = self.ada.ok(["ls-remote", "--json"]);
        assert!(!listed.contains("review") && listed.contains(r#""ref":"main""#), "{listed}");
        let again = self.push(&["origin", "--delete", "review"]);
        assert!(again.code == 1 && again.stderr.contains("there is no such branch"), "{again:?}");
        // A lease on a branch that is gone holds nothing.
        let gone = self.push_there(&["--force-with-lease", "origin", "review"]);
        assert!(gone.code == 1 && gone.stderr.contains("it is gone there"), "{gone:?}");
        self.there_ok(&["fetch", "--prune"]);
        assert_ne!(self.there(&["log", "origin/review"]).code, 0);
    }
}
