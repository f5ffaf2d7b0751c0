//! Draws the graph of a log: which lane each commit stands in, and the lines that join them.

use std::collections::BTreeSet;

use crate::base::CommitId;

/// The drawing beside one commit of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The commit.
    pub commit: CommitId,
    /// Beside the commit's first line of text; its node is `*`.
    pub node: String,
    /// Beside each further line of its text.
    pub beside: String,
    /// A line of its own below the text, where lanes part or join.
    pub link: Option<String>,
}

/// The characters to draw with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Box-drawing characters.
    Unicode,
    /// For terminals that have no others.
    Ascii,
}

/// Draws commits in the order of a log (each before its parents), given with their parents. Parents that are not among the commits
/// are left out.
pub fn draw(commits: &[(CommitId, Vec<CommitId>)], style: Style) -> Vec<Row> {
    let shown: BTreeSet<CommitId> = commits.iter().map(|(id, _)| *id).collect();
    // What each lane leads down to; no two lead to one commit.
    let mut lanes: Vec<Option<CommitId>> = Vec::new();
    let mut rows = Vec::with_capacity(commits.len());
    let mut drawn = BTreeSet::new();
    for (id, parents) in commits {
        let at = find(&lanes, Some(*id)).unwrap_or_else(|| free(&mut lanes, 0));
        let above: Vec<bool> = lanes.iter().enumerate().map(|(lane, leads)| lane == at || leads.is_some()).collect();
        let mut node = String::new();
        for (lane, occupied) in above.iter().enumerate() {
            node.push_str(if lane == at {
                "* "
            } else if *occupied {
                glyph(style, true, true, false, false)
            } else {
                "  "
            });
            if *occupied && lane != at {
                node.push(' ');
            }
        }
        drawn.insert(*id);
        if let Some(lane) = lanes.get_mut(at) {
            *lane = None;
        }
        let mut targets = BTreeSet::new();
        // A parent that has been drawn already is above: there is no lane down to it.
        for parent in parents.iter().filter(|parent| shown.contains(parent) && !drawn.contains(parent)) {
            let lane = find(&lanes, Some(*parent)).unwrap_or_else(|| free(&mut lanes, at));
            if let Some(slot) = lanes.get_mut(lane) {
                *slot = Some(*parent);
            }
            if lane != at {
                targets.insert(lane);
            }
        }
        let link = (!targets.is_empty()).then(|| link(style, at, &targets, &above, &lanes));
        let mut beside = String::new();
        for (lane, occupied) in above.iter().enumerate() {
            // Below a commit its lane goes on if anything is joined to it.
            let goes_on = if lane == at { lanes.get(at).is_some_and(Option::is_some) || link.is_some() } else { *occupied };
            beside.push_str(if goes_on { glyph(style, true, true, false, false) } else { " " });
            beside.push(' ');
        }
        while lanes.last() == Some(&None) {
            lanes.pop();
        }
        rows.push(Row { commit: *id, node: node.trim_end().to_owned(), beside: beside.trim_end().to_owned(), link });
    }
    rows
}

fn find(lanes: &[Option<CommitId>], wanted: Option<CommitId>) -> Option<usize> {
    lanes.iter().position(|lane| *lane == wanted)
}

/// The first free lane from `from` on; a new one where all are taken.
fn free(lanes: &mut Vec<Option<CommitId>>, from: usize) -> usize {
    let found = lanes.iter().enumerate().skip(from).find(|(_, lane)| lane.is_none()).map(|(i, _)| i);
    found.unwrap_or_else(|| {
        lanes.push(None);
        lanes.len() - 1
    })
}

/// The line that leads from lane `at` to the `targets`.
fn link(style: Style, at: usize, targets: &BTreeSet<usize>, above: &[bool], below: &[Option<CommitId>]) -> String {
    let first = targets.first().copied().unwrap_or(at).min(at);
    let last = targets.last().copied().unwrap_or(at).max(at);
    let mut line = String::new();
    for lane in 0..below.len().max(above.len()) {
        let up = above.get(lane).copied().unwrap_or(false);
        let down = below.get(lane).is_some_and(Option::is_some);
        let joined = lane == at || targets.contains(&lane);
        let inside = lane >= first && lane <= last;
        line.push_str(match (joined, inside) {
            (true, _) => glyph(style, up, down, lane > first, lane < last),
            // A lane that is only crossed is drawn through.
            (false, _) if up => glyph(style, true, true, false, false),
            (false, true) => glyph(style, false, false, true, true),
            (false, false) => " ",
        });
        line.push_str(if lane >= first && lane < last { glyph(style, false, false, true, true) } else { " " });
    }
    line.trim_end().to_owned()
}

fn glyph(style: Style, up: bool, down: bool, left: bool, right: bool) -> &'static str {
    let (unicode, ascii) = match (up, down, left, right) {
        (true, true, false, false) => ("│", "|"),
        (false, false, _, _) => ("─", "-"),
        (true, true, false, true) => ("├", "+"),
        (true, true, true, false) => ("┤", "+"),
        (true, true, true, true) => ("┼", "+"),
        (false, true, false, _) => ("╭", "."),
        (false, true, true, false) => ("╮", "."),
        (false, true, true, true) => ("┬", "."),
        (true, false, false, _) => ("╰", "'"),
        (true, false, true, false) => ("╯", "'"),
        (true, false, true, true) => ("┴", "'"),
    };
    match style {
        Style::Unicode => unicode,
        Style::Ascii => ascii,
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{draw as draw_history, histories, objects};
    use super::super::{Graph, Order};
    use super::*;
    use proptest::prelude::*;

    fn id(n: u8) -> CommitId {
        CommitId([n; 32])
    }

    fn text(commits: &[(u8, &[u8])], style: Style) -> String {
        let commits: Vec<_> = commits.iter().map(|(n, parents)| (id(*n), parents.iter().map(|p| id(*p)).collect())).collect();
        let mut out = String::new();
        for row in draw(&commits, style) {
            out.push_str(&format!("{} {}\n", row.node, row.commit.0[0]));
            out.extend(row.link.map(|link| link + "\n"));
        }
        out
    }

    #[test]
    fn straight_lines_have_one_lane() {
        assert_eq!(text(&[(3, &[2]), (2, &[1]), (1, &[])], Style::Unicode), "* 3\n* 2\n* 1\n");
    }

    #[test]
    fn a_merge_parts_and_joins() {
        let merge: &[(u8, &[u8])] = &[(5, &[4, 3]), (4, &[1]), (3, &[2]), (2, &[1]), (1, &[])];
        assert_eq!(text(merge, Style::Unicode), "* 5\n├─╮\n* │ 4\n│ * 3\n│ * 2\n├─╯\n* 1\n");
        assert_eq!(text(merge, Style::Ascii), "* 5\n+-.\n* | 4\n| * 3\n| * 2\n+-'\n* 1\n");
    }

    #[test]
    fn lanes_are_crossed() {
        let crossed: &[(u8, &[u8])] = &[(9, &[6]), (8, &[5]), (7, &[6, 4]), (6, &[]), (5, &[]), (4, &[])];
        assert_eq!(text(crossed, Style::Unicode), "* 9\n│ * 8\n│ │ * 7\n├─│─┤\n* │ │ 6\n  * │ 5\n    * 4\n");
    }

    /// Follows the drawn lines from each node down and returns the parents that they lead to.
    fn trace(rows: &[Row]) -> Vec<(CommitId, BTreeSet<CommitId>)> {
        let mut open: std::collections::BTreeMap<usize, BTreeSet<CommitId>> = Default::default();
        let mut edges: std::collections::BTreeMap<CommitId, BTreeSet<CommitId>> = Default::default();
        for row in rows {
            edges.entry(row.commit).or_default();
            let node: Vec<char> = row.node.chars().collect();
            let at = node.iter().position(|c| *c == '*').unwrap();
            for child in open.remove(&at).unwrap_or_default() {
                edges.entry(child).or_default().insert(row.commit);
            }
            for (column, c) in node.iter().enumerate() {
                assert!(matches!((c, column % 2), (' ' | '*' | '│', 0) | (' ', 1)), "{row:?}");
                assert_eq!(*c == '│', open.contains_key(&column), "a lane without an end: {row:?}");
            }
            let beside: Vec<char> = row.beside.chars().collect();
            assert!(open.keys().all(|column| beside.get(*column) == Some(&'│')), "{row:?}");
            match &row.link {
                None => {
                    if beside.get(at) == Some(&'│') {
                        open.entry(at).or_default().insert(row.commit);
                    }
                }
                Some(link) => {
                    let link: Vec<char> = link.chars().collect();
                    let mut kept = std::collections::BTreeMap::new();
                    for (column, c) in link.iter().enumerate().step_by(2) {
                        let mut sources = open.remove(&column).unwrap_or_default();
                        match c {
                            '│' | ' ' | '─' => {}
                            '╯' | '╰' | '┴' => assert!(column == at, "{row:?}"),
                            _ => drop(sources.insert(row.commit)),
                        }
                        if "│├┤┼╭╮┬".contains(*c) {
                            kept.insert(column, sources);
                        } else {
                            assert!(sources.is_empty(), "a lane is cut: {row:?}");
                        }
                    }
                    assert!(open.is_empty(), "a lane ends in the air: {row:?}");
                    open = kept;
                }
            }
        }
        assert!(open.is_empty());
        edges.into_iter().collect()
    }

    proptest! {
        #[test]
        fn the_drawing_says_who_follows_whom(history in histories(), keep in prop::collection::vec(prop::bool::weighted(0.9), 40)) {
            let objects = objects();
            let (ids, _) = draw_history(&objects, &history);
            let graph = Graph::new(objects);
            let mut commits: Vec<(CommitId, Vec<CommitId>)> = graph.walk(ids, [], Order::Topological).unwrap().map(|c| c.unwrap()).map(|(id, c)| (id, c.parents.clone())).collect();
            let mut keep = keep.iter();
            commits.retain(|_| *keep.next().unwrap());
            let shown: BTreeSet<CommitId> = commits.iter().map(|c| c.0).collect();
            let expected: Vec<_> = commits.iter().map(|(id, parents)| (*id, parents.iter().copied().filter(|p| shown.contains(p)).collect::<BTreeSet<_>>())).collect::<std::collections::BTreeMap<_, _>>().into_iter().collect();
            prop_assert_eq!(trace(&draw(&commits, Style::Unicode)), expected);
        }
    }
}
