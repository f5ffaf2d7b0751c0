//! How many different values: exact while they are few, an estimate (HyperLogLog) beyond.

use std::collections::HashSet;

/// Different values that are counted exactly.
const EXACT_MAX: usize = 1 << 17;
/// The first bits of a hash choose a register.
const REGISTER_BITS: u32 = 14;
const REGISTERS: usize = 1 << REGISTER_BITS;

#[derive(Debug, Default)]
pub struct Distinct {
    exact: HashSet<u64>,
    registers: Option<Vec<u8>>,
}

impl Distinct {
    pub fn add(&mut self, value: &[u8]) {
        let hash = blake3::hash(value);
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        self.add_hash(u64::from_le_bytes(first));
    }

    fn add_hash(&mut self, hash: u64) {
        if let Some(registers) = &mut self.registers {
            note(registers, hash);
            return;
        }
        self.exact.insert(hash);
        if self.exact.len() > EXACT_MAX {
            let mut registers = vec![0; REGISTERS];
            self.exact.drain().for_each(|hash| note(&mut registers, hash));
            self.registers = Some(registers);
        }
    }

    /// The count, and whether it is exact.
    pub fn count(&self) -> (u64, bool) {
        let Some(registers) = &self.registers else { return (self.exact.len() as u64, true) };
        let m = REGISTERS as f64;
        let sum: f64 = registers.iter().map(|r| 2f64.powi(-i32::from(*r))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = registers.iter().filter(|r| **r == 0).count();
        // Many empty registers: counting these is the better estimate.
        let estimate = if empty > 0 && raw < 5.0 * m { m * (m / empty as f64).ln() } else { raw };
        (estimate.round() as u64, false)
    }
}

fn note(registers: &mut [u8], hash: u64) {
    let rank = ((hash << REGISTER_BITS).leading_zeros().min(64 - REGISTER_BITS) + 1) as u8;
    if let Some(register) = registers.get_mut((hash >> (64 - REGISTER_BITS)) as usize) {
        *register = (*register).max(rank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_then_close() {
        let mut distinct = Distinct::default();
        for round in 0..2 {
            for i in 0u64..100_000 {
                distinct.add(&i.to_le_bytes());
            }
            assert_eq!(distinct.count(), (100_000, true), "round {round}");
        }
        for i in 0u64..400_000 {
            distinct.add(&i.to_le_bytes());
        }
        let (count, exact) = distinct.count();
        assert!(!exact && (count as f64 / 400_000.0 - 1.0).abs() < 0.03, "{count}");
    }
}
