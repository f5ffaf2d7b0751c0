//! Rows whose cells are nearly alike. Each cell gets a few keys, and only rows that have a key in common are compared, so that the work follows the rows and not their pairs.
//!
//! Pictures are cut by pigeonholes: of two hashes that differ in at most n bits, one of n + 1 parts is equal, so no pair is missed. The keys of vectors are the sides of
//! random planes on which they lie, those of texts are minima of hashed shingles (MinHash): there a pair just at the bound is missed once in ten thousand, and one that is more alike less often.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type};
use rayon::prelude::*;

use crate::base::Progress;
use crate::base::parallel::on_all_cores;
use crate::chunk::Objects;
use crate::format::Type;
use crate::format::check::Likeness;
use crate::format::mix::{mix, mix_bytes};
use crate::repo::files::media::difference_hash;
use crate::table::check::{visit, without};
use crate::table::{Table, TableError};

/// A pair just at the bound may be missed this often.
const MISSED: f64 = 1e-4;
/// Keys of one vector at most, and planes that make one key.
const KEYS_MAX: usize = 64;
const PLANES_MAX: i32 = 16;
/// Minima of one text.
const MINIMA: usize = 128;
/// Characters of a shingle.
const SHINGLE: usize = 5;
/// Candidates of a row that are read at once to be compared.
const COMPARED_AT_ONCE: usize = 16;

/// Two rows that are nearly alike, as slots, and how nearly, in words.
pub(super) type Alike = (u64, u64, String);

/// How cells of a type are compared, and from where on they count as nearly alike, if nothing else is said.
pub(super) fn likeness(ty: &Type) -> Option<(Likeness, f64)> {
    match ty {
        Type::Image => Some((Likeness::Dhash, 4.0)),
        Type::Embedding { .. } => Some((Likeness::Cosine, 0.98)),
        Type::Plain(DataType::Utf8) => Some((Likeness::Jaccard, 0.8)),
        _ => None,
    }
}

/// What stands for a cell.
struct Print {
    /// Equal for equal cells: the hash of a picture itself, else a hash of what is compared.
    whole: u64,
    keys: Vec<u32>,
}

/// Makes prints and compares cells.
struct Judge {
    likeness: Likeness,
    bound: f64,
    /// Planes, `per_key` for each key, as their normals end to end; minima that make one key.
    planes: Vec<f32>,
    keys: usize,
    per_key: usize,
}

impl Judge {
    fn new(likeness: Likeness, bound: f64, dim: usize) -> Judge {
        let enough = |p: f64, per_key: i32| (MISSED.ln() / (1.0 - p.powi(per_key)).ln()).ceil().max(1.0);
        let (keys, per_key) = match likeness {
            Likeness::Dhash => (bound as usize + 1, 0),
            Likeness::Cosine => {
                // So likely do vectors at the bound lie on the same side of a plane.
                let p = 1.0 - bound.clamp(-1.0, 1.0).acos() / std::f64::consts::PI;
                let per_key = (1..=PLANES_MAX).rev().find(|n| enough(p, *n) <= KEYS_MAX as f64).unwrap_or(1);
                ((enough(p, per_key) as usize).clamp(1, KEYS_MAX), per_key as usize)
            }
            Likeness::Jaccard => {
                let per_key = (1..=8).rev().find(|n| enough(bound, *n) <= (MINIMA / *n as usize) as f64).unwrap_or(1) as usize;
                (MINIMA / per_key, per_key)
            }
        };
        let normals = if likeness == Likeness::Cosine { keys * per_key * dim } else { 0 };
        Judge { likeness, bound, planes: (0..normals as u64).map(normal).collect(), keys, per_key }
    }

    /// The prints of cells; null, what does not decode, a vector without a direction and a text without a letter or digit have none.
    fn prints(&self, cells: &ArrayRef) -> Result<Vec<Option<Print>>, TableError> {
        let of = self.cells(cells)?;
        Ok(on_all_cores(|| (0..cells.len()).into_par_iter().map(|i| self.print(&of, i)).collect()))
    }

    fn cells(&self, cells: &ArrayRef) -> Result<ArrayRef, TableError> {
        Ok(match (self.likeness, cells.data_type()) {
            (Likeness::Cosine, DataType::FixedSizeList(item, n)) if *item.data_type() != DataType::Float32 => {
                cast(cells, &DataType::FixedSizeList(crate::format::types::child("item", DataType::Float32), *n))?
            }
            _ => cells.clone(),
        })
    }

    fn print(&self, cells: &ArrayRef, i: usize) -> Option<Print> {
        if cells.is_null(i) {
            return None;
        }
        match self.likeness {
            Likeness::Dhash => {
                let whole = difference_hash(cells.as_binary_opt::<i32>()?.value(i))?;
                let parts = self.keys as u32;
                let keys = (0..parts).map(|n| {
                    let (from, to) = (64 * n / parts, 64 * (n + 1) / parts);
                    let part = whole.checked_shr(from).unwrap_or(0) & u64::MAX.checked_shr(64 - (to - from)).unwrap_or(0);
                    mix(part) as u32
                });
                Some(Print { whole, keys: keys.collect() })
            }
            Likeness::Cosine => {
                let vector = direction(cells, i)?;
                let side = |normal: &[f32]| normal.iter().zip(&vector).map(|(a, b)| a * b).sum::<f32>() >= 0.0;
                let key = |planes: &[f32]| planes.chunks_exact(vector.len()).fold(0u32, |key, normal| key << 1 | u32::from(side(normal)));
                let keys = self.planes.chunks_exact(vector.len() * self.per_key).map(key).collect();
                Some(Print { whole: mix_bytes(bytemuck::cast_slice(&vector)), keys })
            }
            Likeness::Jaccard => {
                let shingles = shingles(cells.as_string_opt::<i32>()?.value(i));
                let minimum = |n: usize| shingles.iter().map(|shingle| mix(shingle ^ mix(n as u64 + 1))).min();
                let minima: Vec<u64> = (0..self.keys * self.per_key).map(minimum).collect::<Option<_>>()?;
                let keys = minima.chunks(self.per_key).map(|minima| minima.iter().fold(0, |key, minimum| mix(key ^ minimum)) as u32).collect();
                let mut sorted: Vec<u64> = shingles.into_iter().collect();
                sorted.sort_unstable();
                Some(Print { whole: sorted.into_iter().fold(0, |all, shingle| mix(all ^ shingle)), keys })
            }
        }
    }

    /// How nearly two cells are alike, in words, if they are.
    fn alike(&self, (a, i): (&ArrayRef, usize), (b, j): (&ArrayRef, usize)) -> Option<String> {
        match self.likeness {
            Likeness::Dhash => None,
            Likeness::Cosine => {
                let (a, b) = (direction(a, i)?, direction(b, j)?);
                let cosine: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                // As exact as the floats that the vectors are made of.
                (cosine >= self.bound - 1e-6).then(|| format!("cosine similarity {:.4}", cosine.min(1.0)))
            }
            Likeness::Jaccard => {
                let (a, b) = (shingles(a.as_string_opt::<i32>()?.value(i)), shingles(b.as_string_opt::<i32>()?.value(j)));
                let both = a.intersection(&b).count();
                let likeness = both as f64 / (a.len() + b.len() - both).max(1) as f64;
                (likeness >= self.bound).then(|| format!("Jaccard similarity {likeness:.3}"))
            }
        }
    }

    /// How nearly pictures with these hashes are alike, in words, if they are.
    fn near(&self, a: u64, b: u64) -> Option<String> {
        let bits = (a ^ b).count_ones();
        (f64::from(bits) <= self.bound).then(|| format!("{bits} of 64 bits of their hashes differ"))
    }

    fn equal(&self) -> String {
        match self.likeness {
            Likeness::Dhash => "0 of 64 bits of their hashes differ".to_owned(),
            Likeness::Cosine => "cosine similarity 1.0000".to_owned(),
            Likeness::Jaccard => "Jaccard similarity 1.000".to_owned(),
        }
    }
}

/// A vector of length 1; none without a direction.
fn direction(cells: &ArrayRef, i: usize) -> Option<Vec<f32>> {
    let list = cells.as_fixed_size_list_opt()?.value(i);
    let values = list.as_primitive_opt::<Float32Type>()?.values();
    let length = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    (length.is_finite() && length > 0.0).then(|| values.iter().map(|x| (f64::from(*x) / length) as f32).collect())
}

/// The n-th of numbers that look drawn from a normal distribution: the sum of four uniform ones is near enough.
fn normal(n: u64) -> f32 {
    let drawn = mix(n ^ 0x6473_765f_6e65_6172);
    (0..4).map(|i| (drawn >> (16 * i) & 0xffff) as f32 / 65_535.0 - 0.5).sum()
}

/// The runs of five characters of a text in lower case, in which whatever is neither letter nor digit is one space; a shorter text is one run.
fn shingles(text: &str) -> HashSet<u64> {
    let mut plain: Vec<char> = Vec::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c.is_alphanumeric() {
            true => plain.push(c),
            false if plain.last().is_some_and(|last| *last != ' ') => plain.push(' '),
            false => {}
        }
    }
    if plain.last() == Some(&' ') {
        plain.pop();
    }
    let hash = |run: &[char]| run.iter().fold(run.len() as u64, |hash, c| mix(hash ^ u64::from(u32::from(*c))));
    match plain.len() {
        0 => HashSet::new(),
        n if n < SHINGLE => HashSet::from([hash(&plain)]),
        _ => plain.windows(SHINGLE).map(hash).collect(),
    }
}

/// The rows that were asked about, and which of them have which key. A key of a row is numbered by the row and its place among the row's keys; those that are equal form a chain, the
/// last first.
#[derive(Default)]
struct Index {
    slots: Vec<u64>,
    wholes: Vec<u64>,
    first: HashMap<u64, u32>,
    last: HashMap<u32, u32>,
    before: Vec<u32>,
}

/// The end of a chain.
const END: u32 = u32::MAX;

/// A key with its place mixed in: two that meet by chance cost a comparison.
fn placed((n, key): (usize, &u32)) -> u32 {
    mix(u64::from(*key) << 32 | n as u64) as u32
}

impl Index {
    /// The rows that have a key in common with a print, each once, in their order.
    fn candidates(&self, print: &Print) -> Vec<u32> {
        let mut found = Vec::new();
        for key in print.keys.iter().enumerate().map(placed) {
            let mut at = self.last.get(&key).copied().unwrap_or(END);
            while let Some(before) = self.before.get(at as usize) {
                found.push(at / print.keys.len() as u32);
                at = *before;
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn insert(&mut self, slot: u64, print: &Print) -> Result<(), TableError> {
        // What is like a row is like any that equals it: the first of those stands for all.
        if self.first.contains_key(&print.whole) {
            return Ok(());
        }
        if self.before.len() + print.keys.len() >= END as usize {
            return Err(TableError::Schema("there are more rows than can be compared with each other".into()));
        }
        self.first.insert(print.whole, self.slots.len() as u32);
        self.slots.push(slot);
        self.wholes.push(print.whole);
        for key in print.keys.iter().enumerate().map(placed) {
            let before = self.last.insert(key, self.before.len() as u32);
            self.before.push(before.unwrap_or(END));
        }
        Ok(())
    }
}

/// Rows whose cell in this column is nearly that of another row. Within `ranges`, which ascend and do not overlap, every such row is found but the first of its kind, and that one too
/// where one that is like it stands outside of them. Keeps a print for each row within `ranges`; the rows outside are read and printed as well, where there are any within.
pub(super) fn near_duplicates(
    objects: &Arc<Objects>,
    table: &Arc<Table>,
    ranges: &[Range<u64>],
    column: usize,
    (likeness, bound): (Likeness, f64),
    progress: &dyn Progress,
) -> Result<Vec<Alike>, TableError> {
    let dim = match table.schema.columns.get(column).map(|c| c.ty.storage()) {
        Some(DataType::FixedSizeList(_, n)) => n.max(1) as usize,
        _ => 1,
    };
    let judge = Judge::new(likeness, bound, dim);
    let (mut index, mut found) = (Index::default(), HashMap::<u64, (u64, String)>::new());
    visit(objects, table, ranges.to_vec(), &[column], progress, &mut |slots, batch| {
        let cells = judge.cells(batch.column(0))?;
        let prints: Vec<Option<Print>> = judge.prints(&cells)?;
        // Rows of one batch may be like each other as well, and so they are taken one after the other; what they are compared with is read together, as far as that goes.
        let mut waiting = Vec::new();
        for (i, print) in prints.into_iter().enumerate() {
            let (Some(print), Some(slot)) = (print, slots.get(i).copied()) else { continue };
            match index.first.get(&print.whole).and_then(|n| index.slots.get(*n as usize)) {
                Some(other) => drop(found.insert(slot, (*other, judge.equal()))),
                None => {
                    let candidates = index.candidates(&print);
                    if likeness == Likeness::Dhash {
                        let near = |n: &u32| Some((*index.slots.get(*n as usize)?, judge.near(print.whole, *index.wholes.get(*n as usize)?)?));
                        found.extend(candidates.iter().find_map(near).map(|near| (slot, near)));
                    } else if !candidates.is_empty() {
                        waiting.push((i, slot, candidates));
                    }
                    index.insert(slot, &print)?;
                }
            }
        }
        let compared = compare(objects, table, column, &judge, &cells, &index, waiting)?;
        found.extend(compared.into_iter().map(|(slot, n, how)| (slot, (index.slots.get(n as usize).copied().unwrap_or_default(), how))));
        Ok(())
    })?;
    if index.slots.is_empty() {
        return Ok(sorted(found));
    }
    visit(objects, table, without(table.slots(objects)?, ranges), &[column], progress, &mut |slots, batch| {
        let cells = judge.cells(batch.column(0))?;
        let prints = judge.prints(&cells)?;
        let mut waiting = Vec::new();
        for (i, print) in prints.into_iter().enumerate() {
            let (Some(print), Some(slot)) = (print, slots.get(i).copied()) else { continue };
            // One that is found already needs no second.
            let open = |n: &u32| index.slots.get(*n as usize).filter(|inside| !found.contains_key(inside)).copied();
            if let Some(inside) = index.first.get(&print.whole).and_then(open) {
                found.insert(inside, (slot, judge.equal()));
            }
            let open = |n: &u32| index.slots.get(*n as usize).is_some_and(|inside| !found.contains_key(inside));
            let candidates: Vec<u32> = index.candidates(&print).into_iter().filter(open).collect();
            if likeness == Likeness::Dhash {
                for n in candidates {
                    let near = index.wholes.get(n as usize).and_then(|whole| judge.near(print.whole, *whole));
                    if let (Some(how), Some(inside)) = (near, index.slots.get(n as usize)) {
                        found.insert(*inside, (slot, how));
                    }
                }
            } else {
                // It may be like several of them, each of which is asked about.
                waiting.extend(candidates.into_iter().map(|n| (i, slot, vec![n])));
            }
        }
        for (outside, n, how) in compare(objects, table, column, &judge, &cells, &index, waiting)? {
            if let Some(inside) = index.slots.get(n as usize) {
                found.entry(*inside).or_insert((outside, how));
            }
        }
        Ok(())
    })?;
    Ok(sorted(found))
}

fn sorted(found: HashMap<u64, (u64, String)>) -> Vec<Alike> {
    let mut found: Vec<Alike> = found.into_iter().map(|(slot, (other, how))| (slot, other, how)).collect();
    found.sort_unstable();
    found
}

/// Compares rows of a batch (their place in it, their slot) with rows of the index; returns for each that is like one its slot, the number of that one, and how alike they are.
fn compare(
    objects: &Arc<Objects>,
    table: &Arc<Table>,
    column: usize,
    judge: &Judge,
    cells: &ArrayRef,
    index: &Index,
    mut waiting: Vec<(usize, u64, Vec<u32>)>,
) -> Result<Vec<(u64, u32, String)>, TableError> {
    let (mut found, mut round) = (Vec::new(), 0);
    while !waiting.is_empty() {
        let part = |candidates: &Vec<u32>| -> Vec<u32> { candidates.iter().skip(round).take(COMPARED_AT_ONCE).copied().collect() };
        let mut numbers: Vec<u32> = waiting.iter().flat_map(|(.., candidates)| part(candidates)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        // Numbers ascend as slots do.
        let slots: Vec<u64> = numbers.iter().filter_map(|n| index.slots.get(*n as usize).copied()).collect();
        let others = judge.cells(table.take(objects, &slots, &[column])?.column(0))?;
        let like = |(i, slot, candidates): &(usize, u64, Vec<u32>)| {
            let one = |n: u32| {
                let j = numbers.binary_search(&n).ok()?;
                Some((*slot, n, judge.alike((cells, *i), (&others, j))?))
            };
            part(candidates).into_iter().find_map(one)
        };
        let results: Vec<Option<(u64, u32, String)>> = on_all_cores(|| waiting.par_iter().map(like).collect());
        round += COMPARED_AT_ONCE;
        let mut results = results.into_iter();
        waiting.retain(|(.., candidates)| match results.next().flatten() {
            Some(result) => {
                found.push(result);
                false
            }
            None => candidates.len() > round,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use arrow::array::{BinaryArray, FixedSizeListArray, Float32Array, RecordBatch, StringArray};

    use super::*;
    use crate::base::{NoProgress, TableId};
    use crate::repo::tests::memory;
    use crate::table::Schema;
    use crate::table::write::RowWriter;

    fn table(objects: &Arc<Objects>, ty: &str, cells: ArrayRef) -> Arc<Table> {
        let columns = vec![("c".to_owned(), ty.parse().unwrap())];
        let id = TableId([3; 16]);
        let empty = Table::create(objects, id, Schema::of(id, &columns)).unwrap();
        let mut writer = RowWriter::new(objects, &empty, &columns).unwrap();
        writer.push(&RecordBatch::try_new(empty.schema.arrow(&[0]), vec![cells]).unwrap(), &[]).unwrap();
        Arc::new(empty.append(objects, writer.finish().unwrap()).unwrap())
    }

    /// What is found within each of these ranges is what a comparison of all pairs finds; returns how many rows were found in the whole table.
    fn agrees(ty: &str, cells: &ArrayRef, how: (Likeness, f64), alike: &dyn Fn(usize, usize) -> bool) -> usize {
        let (_, repo) = memory();
        let table = table(repo.objects(), ty, cells.clone());
        let rows = cells.len() as u64;
        let mut whole = 0;
        for ranges in [vec![0..rows], vec![3..4], vec![rows - 1..rows], vec![0..2, rows / 3..rows / 2, rows - 3..rows]] {
            let inside = |slot: u64| ranges.iter().any(|range| range.contains(&slot));
            let expected = (0..rows).filter(|slot| {
                inside(*slot) && (0..rows).any(|other| (other < *slot || !inside(other)) && other != *slot && alike(*slot as usize, other as usize))
            });
            let found = near_duplicates(repo.objects(), &table, &ranges, 0, how, &NoProgress).unwrap();
            assert!(found.iter().all(|(slot, other, _)| slot != other && alike(*slot as usize, *other as usize)), "{found:?}");
            let slots: Vec<u64> = found.iter().map(|(slot, ..)| *slot).collect();
            if ranges.len() == 1 && slots.len() > whole {
                whole = slots.len();
            }
            assert_eq!(slots, expected.collect::<Vec<_>>(), "{ty} within {ranges:?}");
        }
        whole
    }

    #[test]
    fn texts() {
        let words = ["red", "green", "blue", "cat", "dog", "bird", "sleeps", "runs", "sings", "under", "beside"];
        let text = |n: u64| (0..9).map(|i| words[(mix(n * 31 + i) % 11) as usize]).collect::<Vec<_>>().join(" ");
        let texts: Vec<Option<String>> = (0..400)
            .map(|n| match n % 20 {
                3 => None,
                4 => Some(" !".to_owned()),
                5 => Some(format!("{} again", text(n / 40))),
                6 => Some(text(n / 40).to_uppercase().replace(' ', ", ")),
                _ => Some(text(n)),
            })
            .collect();
        let cells: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        for bound in [0.8, 0.5] {
            let alike = |i: usize, j: usize| {
                let (Some(a), Some(b)) = (&texts[i], &texts[j]) else { return false };
                let (a, b) = (shingles(a), shingles(b));
                !a.is_empty() && a.intersection(&b).count() as f64 >= bound * a.union(&b).count() as f64
            };
            assert!(agrees("text", &cells, (Likeness::Jaccard, bound), &alike) > 20);
        }
    }

    #[test]
    fn vectors() {
        for (half, dim) in [(false, 24usize), (true, 8)] {
            let vector = |n: u64| (0..dim as u64).map(move |i| normal(n * 1000 + i));
            let rows: Vec<Option<Vec<f32>>> = (0..300u64)
                .map(|n| match n % 12 {
                    3 => None,
                    4 => Some(vec![0.0; dim]),
                    5 => Some(vector(n / 24 * 12 + 1).map(|x| x * 7.0).collect()),
                    6 => Some(vector(n / 24 * 12 + 2).zip(vector(n + 9999)).map(|(x, noise)| x + noise * 0.1).collect()),
                    _ => Some(vector(n).collect()),
                })
                .collect();
            let item = crate::format::types::child("item", DataType::Float32);
            let values = Float32Array::from_iter_values(rows.iter().flat_map(|row| row.clone().unwrap_or(vec![0.0; dim])));
            let nulls = arrow::buffer::NullBuffer::from(rows.iter().map(Option::is_some).collect::<Vec<_>>());
            let mut cells: ArrayRef = Arc::new(FixedSizeListArray::new(item, dim as i32, Arc::new(values), Some(nulls)));
            let ty = format!("embedding({dim}{})", if half { ",float16" } else { "" });
            cells = cast(&cells, &ty.parse::<Type>().unwrap().storage()).unwrap();
            let judge = Judge::new(Likeness::Cosine, 0.95, dim);
            let wide = judge.cells(&cells).unwrap();
            let alike = |i: usize, j: usize| wide.is_valid(i) && wide.is_valid(j) && judge.alike((&wide, i), (&wide, j)).is_some();
            assert!(agrees(&ty, &cells, (Likeness::Cosine, 0.95), &alike) > 20);
        }
    }

    #[test]
    fn pictures() {
        let picture = |n: u64| -> Option<Vec<u8>> {
            let (seed, noise) = (n % 40, n / 40);
            if seed == 7 {
                return (noise > 1).then(|| b"no picture".to_vec());
            }
            let grey =
                |x: u32, y: u32| image::Luma([(mix(seed * 100 + u64::from(y * 9 + x)) % 200) as u8 + if (u64::from(x) + noise) % 9 < noise { 25 } else { 0 }]);
            let mut out = Cursor::new(Vec::new());
            image::GrayImage::from_fn(9, 8, grey).write_to(&mut out, image::ImageFormat::Png).unwrap();
            Some(out.into_inner())
        };
        let pictures: Vec<Option<Vec<u8>>> = (0..120).map(picture).collect();
        let hashes: Vec<Option<u64>> = pictures.iter().map(|bytes| difference_hash(bytes.as_ref()?)).collect();
        let cells: ArrayRef = Arc::new(BinaryArray::from_iter(pictures.iter().map(Option::as_ref)));
        for bound in [0u32, 4, 9, 16] {
            let alike = |i: usize, j: usize| hashes[i].zip(hashes[j]).is_some_and(|(a, b)| (a ^ b).count_ones() <= bound);
            let found = agrees("image", &cells, (Likeness::Dhash, f64::from(bound)), &alike);
            assert!(bound < 9 || found > 10, "{bound}: {found}");
        }
    }
}
