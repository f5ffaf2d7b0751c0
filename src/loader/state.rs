//! Where a loader stands, to go on from in another process.

use serde::{Deserialize, Serialize};

use super::LoaderError;
use super::order::{ALGORITHM, Shape};

/// Where a loader stands: the samples delivered, and all that the order of the others depends on. Kept as JSON beside a model's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of the order's algorithm.
    pub algorithm: u32,
    /// The commit whose rows are loaded, in hexadecimal.
    pub commit: String,
    /// What is loaded of it: a digest of the query, the columns and the rows, in hexadecimal.
    pub selection: String,
    /// The seed of the order; none where it is sequential.
    pub seed: Option<u64>,
    /// Rows in a block.
    pub block_rows: u64,
    /// Blocks in a window.
    pub window_blocks: u64,
    /// The epoch, counted from 0.
    pub epoch: u64,
    /// Samples of this epoch that were delivered, on all ranks together. What was read ahead does not count.
    pub delivered: u64,
}

impl State {
    /// The shape of the blocks.
    pub fn shape(&self) -> Shape {
        Shape { block_rows: self.block_rows, window_blocks: self.window_blocks }
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From JSON.
    pub fn from_json(text: &str) -> Result<State, LoaderError> {
        serde_json::from_str(text).map_err(|e| LoaderError::NoState(e.to_string()))
    }

    /// Refuses a state that belongs to anything else than what `now` loads, with the first thing that differs.
    pub fn continues(&self, now: &State) -> Result<(), LoaderError> {
        let text = |seed: Option<u64>| seed.map_or("none".to_owned(), |seed| seed.to_string());
        let shape = |state: &State| format!("{} x {}", state.window_blocks, state.block_rows);
        let differs = [
            ("algorithm", self.algorithm.to_string(), ALGORITHM.to_string()),
            ("commit", self.commit.clone(), now.commit.clone()),
            ("selection", self.selection.clone(), now.selection.clone()),
            ("seed", text(self.seed), text(now.seed)),
            ("window", shape(self), shape(now)),
        ];
        match differs.into_iter().find(|(_, was, is)| was != is) {
            Some((what, was, is)) => Err(LoaderError::OtherState { what, was, is }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            algorithm: ALGORITHM,
            commit: "c0".into(),
            selection: "5e".into(),
            seed: Some(u64::MAX),
            block_rows: 512,
            window_blocks: 256,
            epoch: 3,
            delivered: 640,
        }
    }

    #[test]
    fn a_state_reads_as_it_was_written() {
        assert_eq!(State::from_json(&state().to_json()).unwrap(), state());
        assert_eq!(
            state().to_json(),
            r#"{"algorithm":1,"commit":"c0","selection":"5e","seed":18446744073709551615,"block_rows":512,"window_blocks":256,"epoch":3,"delivered":640}"#
        );
        for bad in ["", "{}", "[]", r#"{"algorithm":1}"#, &state().to_json().replace("\"epoch\"", "\"era\"")] {
            assert!(matches!(State::from_json(bad), Err(LoaderError::NoState(_))), "{bad}");
        }
    }

    #[test]
    fn a_state_of_something_else_is_refused_by_name() {
        state().continues(&State { epoch: 0, delivered: 0, ..state() }).unwrap();
        let changed: [(&str, State); 5] = [
            ("algorithm", State { algorithm: 0, ..state() }),
            ("commit", State { commit: "c1".into(), ..state() }),
            ("selection", State { selection: "5f".into(), ..state() }),
            ("seed", State { seed: None, ..state() }),
            ("window", State { window_blocks: 1, ..state() }),
        ];
        for (what, other) in changed {
            match other.continues(&state()) {
                Err(LoaderError::OtherState { what: found, .. }) => assert_eq!(found, what),
                other => panic!("{what}: {other:?}"),
            }
        }
    }
}
