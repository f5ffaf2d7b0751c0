//! The commits that changed a file, as `git log --reverse -- PATH` finds them.

use std::collections::{HashMap, HashSet};

use gix::ObjectId;

use super::super::RepoError;
use super::source::{Entry, Source};
use crate::base::Progress;
use crate::base::progress::Unit;

/// One version of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// The commit that made it.
    pub commit: ObjectId,
    /// Where the file is there; another path than the one asked for before it was moved.
    pub path: String,
    /// What it is there; `None` where the commit deleted it.
    pub entry: Option<Entry>,
}

/// What was found.
pub(super) struct Versions {
    /// The versions: parents before children, and the line of a merge's first parent before the others.
    pub all: Vec<Version>,
    /// The first commit at which a shallow clone ends, if a line of the history ended there.
    pub shallow: Option<ObjectId>,
}

/// How to go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ways {
    /// Along the first parents alone.
    pub first_parent: bool,
    /// Past the commits in which the file was moved here, unchanged, from another path.
    pub follow: bool,
}

/// A commit, and the path that is followed there, by its number.
type Node = (ObjectId, usize);

struct Walk<'a> {
    source: &'a Source,
    ways: Ways,
    paths: Vec<String>,
    trees: HashMap<ObjectId, (ObjectId, Vec<ObjectId>)>,
    entries: HashMap<(ObjectId, usize), Option<Entry>>,
    shallow: HashSet<ObjectId>,
    ended: Option<ObjectId>,
}

/// The versions of a file as of a commit. Where a merge has the version of one of its parents, that parent's line alone is followed, as Git does.
pub(super) fn versions(source: &Source, tip: ObjectId, path: &str, ways: Ways, progress: &dyn Progress) -> Result<Versions, RepoError> {
    let shallow = source.repository.shallow_commits().map_err(source.fault())?;
    let shallow = shallow.map(|commits| commits.iter().copied().collect()).unwrap_or_default();
    let paths = vec![path.to_owned()];
    let mut walk = Walk { source, ways, paths, trees: HashMap::new(), entries: HashMap::new(), shallow, ended: None };
    progress.start("reading the history in Git", None, Unit::Objects);
    let all = walk.run(tip, progress);
    progress.finish();
    Ok(Versions { all: all?, shallow: walk.ended })
}

impl Walk<'_> {
    fn run(&mut self, tip: ObjectId, progress: &dyn Progress) -> Result<Vec<Version>, RepoError> {
        let mut found = Vec::new();
        let mut seen: HashSet<Node> = HashSet::from([(tip, 0)]);
        // Each with whether it changed the file, the parents that are left, the next one last.
        let mut stack: Vec<(Node, bool, Vec<Node>)> = Vec::new();
        let mut next = Some((tip, 0));
        loop {
            if let Some(node) = next.take() {
                if progress.interrupted() {
                    return Err(RepoError::Interrupted);
                }
                progress.advance(1);
                let (changed, mut parents) = self.look(node)?;
                parents.reverse();
                stack.push((node, changed, parents));
            }
            let Some((node, changed, parents)) = stack.last_mut() else { return Ok(found) };
            if let Some(parent) = parents.pop() {
                next = seen.insert(parent).then_some(parent);
                continue;
            }
            let (node, changed) = (*node, *changed);
            stack.pop();
            if changed {
                let entry = self.entry(node)?;
                found.push(Version { commit: node.0, path: self.paths.get(node.1).cloned().unwrap_or_default(), entry });
            }
        }
    }

    /// Whether a commit changed the file, and the parents to go on with.
    fn look(&mut self, node: Node) -> Result<(bool, Vec<Node>), RepoError> {
        let mine = self.entry(node)?;
        let mut parents = self.commit(node.0)?.1;
        if self.shallow.contains(&node.0) && !parents.is_empty() {
            self.ended.get_or_insert(node.0);
            parents.clear();
        }
        if self.ways.first_parent {
            parents.truncate(1);
        }
        if parents.is_empty() {
            return Ok((mine.is_some(), Vec::new()));
        }
        let parents: Vec<Node> = parents.into_iter().map(|parent| (parent, node.1)).collect();
        let mut is_new = mine.is_some();
        for parent in &parents {
            let theirs = self.entry(*parent)?;
            if theirs == mine {
                return Ok((false, vec![*parent]));
            }
            is_new &= theirs.is_none();
        }
        if let Some(content) = mine.filter(|_| self.ways.follow && is_new) {
            let tree = self.commit(node.0)?.0;
            for (parent, _) in &parents {
                let before = self.commit(*parent)?.0;
                if let Some(path) = self.source.moved_from(before, tree, content.id)? {
                    let at = self.paths.iter().position(|known| *known == path).unwrap_or(self.paths.len());
                    if at == self.paths.len() {
                        self.paths.push(path);
                    }
                    return Ok((true, vec![(*parent, at)]));
                }
            }
        }
        Ok((true, parents))
    }

    /// The tree and the parents of a commit.
    fn commit(&mut self, id: ObjectId) -> Result<(ObjectId, Vec<ObjectId>), RepoError> {
        if let Some(known) = self.trees.get(&id) {
            return Ok(known.clone());
        }
        let fault = self.source.fault();
        let commit = self.source.repository.find_commit(id).map_err(&fault)?;
        let tree = commit.tree_id().map_err(&fault)?.detach();
        let known = (tree, commit.parent_ids().map(|id| id.detach()).collect());
        self.trees.insert(id, known);
        self.commit(id)
    }

    fn entry(&mut self, (commit, path): Node) -> Result<Option<Entry>, RepoError> {
        let tree = self.commit(commit)?.0;
        if let Some(known) = self.entries.get(&(tree, path)) {
            return Ok(*known);
        }
        let found = self.source.entry(tree, self.paths.get(path).map_or("", String::as_str))?;
        self.entries.insert((tree, path), found);
        Ok(found)
    }
}
