//! Vectors in SQL: `diverse`, `cosine_similarity`, `cosine_distance`, `l2_distance`, `inner_product`, `l2_norm`, and pgvector's operators `<=>`, `<->` and `<#>`.
//!
//! A vector is an embedding, a list of numbers, or text such as `'[1, 2, 3]'`. Numbers are float32, as pgvector has them; the answer is float64. A null vector gives null. With a
//! vector of zeros, cosines are NaN, which sorts behind all numbers; so does whatever is computed of a NaN.

mod diverse;
mod kernels;
mod nearest;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Float64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use half::slice::HalfFloatSliceExt;

pub use diverse::diverse;
use kernels::{Sum, products_and_squares, sums};
pub use nearest::{NearestExec, Search};

use super::QueryError;
use super::error::type_name;

/// What is computed of two vectors, or of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// The cosine of the angle between two.
    CosineSimilarity,
    /// 1 less that.
    CosineDistance,
    /// The Euclidean distance.
    L2Distance,
    /// The sum of the products.
    InnerProduct,
    /// The Euclidean length of one.
    L2Norm,
}

use Measure::{CosineDistance, CosineSimilarity, InnerProduct, L2Distance, L2Norm};

const ALL: [Measure; 5] = [CosineSimilarity, CosineDistance, L2Distance, InnerProduct, L2Norm];

impl Measure {
    fn name(self) -> &'static str {
        match self {
            CosineSimilarity => "cosine_similarity",
            CosineDistance => "cosine_distance",
            L2Distance => "l2_distance",
            InnerProduct => "inner_product",
            L2Norm => "l2_norm",
        }
    }

    /// Vectors that it takes.
    fn arity(self) -> usize {
        if self == L2Norm { 1 } else { 2 }
    }

    /// Whether it needs the squares of both vectors.
    fn is_cosine(self) -> bool {
        matches!(self, CosineSimilarity | CosineDistance)
    }

    /// What is added up over two vectors.
    fn sum(self) -> Sum {
        if self == L2Distance { Sum::SquaredDifferences } else { Sum::Products }
    }

    /// Its value, of the sum over two vectors and, for a cosine, the sums of the squares of each.
    fn value(self, sum: f32, squares: Option<(f32, f32)>) -> f64 {
        let sum = f64::from(sum);
        let value = match (self, squares) {
            (L2Distance, _) => sum.sqrt(),
            (CosineSimilarity, Some((x, y))) => cosine(sum, x, y),
            (CosineDistance, Some((x, y))) => 1.0 - cosine(sum, x, y),
            _ => sum,
        };
        // One NaN for all: that of 0 / 0 has a sign, by which it would be sorted before all numbers.
        if value.is_nan() { f64::NAN } else { value }
    }
}

/// All functions on vectors.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let named = |measure| if measure == L2Norm { function(measure).with_aliases(["vector_norm"]) } else { function(measure) };
    ALL.into_iter().map(|measure| Arc::new(named(measure))).collect()
}

fn function(measure: Measure) -> ScalarUDF {
    ScalarUDF::new_from_impl(VectorFunction { measure, signature: Signature::user_defined(Volatility::Immutable) })
}

/// What an operator of pgvector means; `None` for other operators. `<#>` is the inner product with its sign turned, so that the nearest comes first.
pub fn operator(text: &str, left: &Expr, right: &Expr) -> Option<Expr> {
    let of = |measure| function(measure).call(vec![left.clone(), right.clone()]);
    match text {
        "<=>" => Some(of(CosineDistance)),
        "<->" => Some(of(L2Distance)),
        "<#>" => Some(Expr::Negative(Box::new(of(InnerProduct)))),
        _ => None,
    }
}

/// Whether a larger value of an expression means more alike: such an order, ascending, begins with what is least alike.
pub fn is_similarity(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => [CosineSimilarity, InnerProduct].iter().any(|measure| measure.name() == call.name()),
        Expr::Alias(alias) => is_similarity(&alias.expr),
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct VectorFunction {
    measure: Measure,
    signature: Signature,
}

fn refused(why: impl Into<String>) -> datafusion::common::DataFusionError {
    QueryError::Refused(why.into()).into()
}

impl ScalarUDFImpl for VectorFunction {
    fn name(&self) -> &str {
        self.measure.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (name, arity) = (self.name(), self.measure.arity());
        if given.len() != arity {
            let vectors = if arity == 1 { "one vector" } else { "two vectors" };
            return Err(refused(format!("{name} takes {vectors}, not {} arguments", given.len())));
        }
        let types = given.iter().map(|ty| coerced(name, ty)).collect::<Result<Vec<_>>>()?;
        if let [DataType::FixedSizeList(_, a), DataType::FixedSizeList(_, b)] = types.as_slice() {
            same_length(*a as usize, *b as usize)?;
        }
        Ok(types)
    }

    /// A vector written as text is read once, not for each batch.
    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let mut read = false;
        let args: Vec<Expr> = args.into_iter().map(|arg| literal(&arg).inspect(|_| read = true).unwrap_or(arg)).collect();
        Ok(if read { ExprSimplifyResult::Simplified(function(self.measure).call(args)) } else { ExprSimplifyResult::Original(args) })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let vectors = args.args.iter().map(Vectors::of).collect::<Result<Vec<_>>>()?;
        let values = match vectors.as_slice() {
            [one] => measure_one(one, rows)?,
            [a, b] => measure_two(self.measure, a, b, rows)?,
            _ => return Err(refused(format!("{} takes no {} vectors", self.name(), vectors.len()))),
        };
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::Float64(values.iter().next().flatten())));
        }
        Ok(ColumnarValue::Array(Arc::new(values)))
    }
}

/// A literal text as the vector it holds. Text that is none stays: its error is told where a row needs it.
fn literal(expr: &Expr) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = expr else { return None };
    let numbers = parse(text).ok().filter(|numbers| !numbers.is_empty())?;
    let dim = i32::try_from(numbers.len()).ok()?;
    let item = Arc::new(Field::new_list_field(DataType::Float32, false));
    let vector = FixedSizeListArray::try_new(item, dim, Arc::new(Float32Array::from(numbers)), None).ok()?;
    Some(Expr::Literal(ScalarValue::FixedSizeList(Arc::new(vector)), None))
}

/// The type that a function takes vectors of this type as.
fn coerced(name: &str, ty: &DataType) -> Result<DataType> {
    match ty {
        DataType::FixedSizeList(item, _) if matches!(item.data_type(), DataType::Float32 | DataType::Float16) => Ok(ty.clone()),
        DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) if item.data_type().is_numeric() || item.data_type().is_null() => {
            Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Float32, true))))
        }
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(DataType::Utf8),
        other => Err(refused(format!("{name} takes vectors, not {}", type_name(other)))),
    }
}

fn same_length(a: usize, b: usize) -> Result<()> {
    if a == b { Ok(()) } else { Err(refused(format!("vectors of {a} and of {b} numbers cannot be compared"))) }
}

/// One argument: the same vector for all rows, or one for each.
struct Vectors {
    is_scalar: bool,
    numbers: Vec<f32>,
    shared: Option<Float32Array>,
    /// Where each vector starts, and behind the last; without it all are of `dim` numbers.
    offsets: Option<Vec<usize>>,
    dim: usize,
    nulls: Option<NullBuffer>,
}

impl Vectors {
    fn of(arg: &ColumnarValue) -> Result<Vectors> {
        let (is_scalar, array) = match arg {
            ColumnarValue::Array(array) => (false, array.clone()),
            ColumnarValue::Scalar(value) => (true, value.to_array()?),
        };
        let mut out = Vectors { is_scalar, numbers: Vec::new(), shared: None, offsets: None, dim: 0, nulls: array.nulls().cloned() };
        match array.data_type() {
            DataType::FixedSizeList(item, n) => {
                let lists = array.as_fixed_size_list();
                out.dim = *n as usize;
                let values = lists.values().slice(lists.value_offset(0) as usize, lists.len() * out.dim);
                if values.null_count() > 0 && out.nulls.is_none() {
                    return Err(refused("a vector holds no null"));
                }
                match item.data_type() {
                    DataType::Float16 => {
                        out.numbers.resize(values.len(), 0.0);
                        values.as_primitive::<Float16Type>().values().convert_to_f32_slice(&mut out.numbers);
                    }
                    _ => out.shared = Some(values.as_primitive::<Float32Type>().clone()),
                }
            }
            DataType::List(_) => {
                let lists = array.as_list::<i32>();
                let first = lists.value_offsets().first().copied().unwrap_or(0);
                let last = lists.value_offsets().last().copied().unwrap_or(0);
                let values = lists.values().slice(first as usize, (last - first) as usize);
                if values.null_count() > 0 {
                    return Err(refused("a vector holds no null"));
                }
                out.offsets = Some(lists.value_offsets().iter().map(|at| (at - first) as usize).collect());
                out.shared = Some(values.as_primitive::<Float32Type>().clone());
            }
            _ => {
                let texts: ArrayRef = cast(&array, &DataType::Utf8)?;
                let mut offsets = vec![0];
                for text in texts.as_string::<i32>() {
                    if let Some(text) = text {
                        out.numbers.extend(parse(text)?);
                    }
                    offsets.push(out.numbers.len());
                }
                out.nulls = texts.nulls().cloned();
                out.offsets = Some(offsets);
            }
        }
        Ok(out)
    }

    fn numbers(&self) -> &[f32] {
        self.shared.as_ref().map_or(&self.numbers, |array| array.values())
    }

    /// The vector of a row, unless it is null.
    fn row(&self, row: usize) -> Option<&[f32]> {
        let row = if self.is_scalar { 0 } else { row };
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let (start, end) = match &self.offsets {
            Some(offsets) => (*offsets.get(row)?, *offsets.get(row + 1)?),
            None => (row * self.dim, (row + 1) * self.dim),
        };
        self.numbers().get(start..end)
    }
}

/// `[1, 2.5, -3e4]`.
fn parse(text: &str) -> Result<Vec<f32>> {
    let fail = || refused(format!("'{}' is no vector: write '[1, 2.5, 3]'", text.chars().take(60).collect::<String>()));
    let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(fail)?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    inner.split(',').map(|number| number.trim().parse::<f32>().map_err(|_| fail())).collect()
}

fn measure_one(vectors: &Vectors, rows: usize) -> Result<Float64Array> {
    let mut sum = Vec::with_capacity(1);
    Ok((0..rows)
        .map(|row| {
            let vector = vectors.row(row)?;
            sum.clear();
            sums(Sum::Squares, vector, vector, &mut sum);
            // A vector of no numbers has no length to speak of but none.
            Some(sum.first().map_or(0.0, |squares| f64::from(*squares).sqrt()))
        })
        .collect())
}

fn measure_two(measure: Measure, a: &Vectors, b: &Vectors, rows: usize) -> Result<Float64Array> {
    let (sum, is_cosine) = (measure.sum(), measure.is_cosine());
    let squares_of = |vector: &[f32]| {
        let mut out = Vec::with_capacity(1);
        sums(Sum::Squares, vector, vector, &mut out);
        out.first().copied().unwrap_or(0.0)
    };
    // A column of vectors of one length against one vector: all rows at a time.
    let (column, query) = if a.is_scalar { (b, a) } else { (a, b) };
    if query.is_scalar && !column.is_scalar && column.offsets.is_none() && column.dim > 0 {
        let Some(query) = query.row(0) else { return Ok(Float64Array::new_null(rows)) };
        same_length(column.dim, query.len())?;
        let (mut found, mut squares) = (Vec::with_capacity(rows), Vec::new());
        let own = if is_cosine {
            squares.reserve(rows);
            products_and_squares(column.numbers(), query, &mut found, &mut squares);
            squares_of(query)
        } else {
            sums(sum, column.numbers(), query, &mut found);
            0.0
        };
        let values = found.iter().enumerate().map(|(row, sum)| measure.value(*sum, squares.get(row).map(|squares| (*squares, own))));
        return Ok(Float64Array::new(values.collect::<Vec<_>>().into(), column.nulls.clone()));
    }
    let mut out = Vec::with_capacity(rows);
    let mut found = Vec::with_capacity(1);
    for row in 0..rows {
        let (Some(x), Some(y)) = (a.row(row), b.row(row)) else {
            out.push(None);
            continue;
        };
        same_length(x.len(), y.len())?;
        found.clear();
        sums(sum, x, y, &mut found);
        let squares = is_cosine.then(|| (squares_of(x), squares_of(y)));
        out.push(Some(measure.value(found.first().copied().unwrap_or(0.0), squares)));
    }
    Ok(out.into())
}

/// Kept within -1 and 1, which rounding may leave.
fn cosine(products: f64, x: f32, y: f32) -> f64 {
    (products / (f64::from(x) * f64::from(y)).sqrt()).clamp(-1.0, 1.0)
}
