//! `diverse(vector, distance) OVER (ORDER BY ...)`: a choice in which no two are near each other. In the order of the window a row is taken if it lies farther than the cosine
//! distance from all rows that were taken before it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{ColumnarValue, LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use datafusion::physical_expr::PhysicalExpr;

use super::{Measure, Vectors, coerced, measure_two, refused};

/// The function.
pub fn diverse() -> WindowUDF {
    WindowUDF::new_from_impl(Diverse { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Diverse {
    signature: Signature,
}

impl WindowUDFImpl for Diverse {
    fn name(&self) -> &str {
        "diverse"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [vector, distance] if distance.is_numeric() => Ok(vec![coerced(self.name(), vector)?, DataType::Float64]),
            _ => Err(refused("diverse takes a vector and a distance: diverse(embedding, 0.05) OVER (ORDER BY ...)")),
        }
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Choice))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Boolean, true)))
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::None
    }
}

#[derive(Debug)]
struct Choice;

impl PartitionEvaluator for Choice {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let [vectors, distances] = values else { return Err(refused("diverse takes a vector and a distance")) };
        let distances = cast(distances, &DataType::Float64)?;
        let distances = distances.as_primitive::<Float64Type>();
        // For each row the distance to the nearest that was taken; all rows are measured against each that is.
        let mut nearest = vec![f64::INFINITY; rows];
        let all = Vectors::of(&ColumnarValue::Array(vectors.clone()))?;
        let mut chosen = Vec::with_capacity(rows);
        for row in 0..rows {
            if vectors.is_null(row) || distances.is_null(row) {
                chosen.push(None);
                continue;
            }
            // A NaN is near nothing.
            let is_taken = nearest.get(row).is_some_and(|nearest| *nearest > distances.value(row));
            chosen.push(Some(is_taken));
            if is_taken {
                let one = Vectors::of(&ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(vectors, row)?))?;
                let measured: Float64Array = measure_two(Measure::CosineDistance, &all, &one, rows)?;
                for (nearest, distance) in nearest.iter_mut().zip(measured.values()) {
                    *nearest = nearest.min(*distance);
                }
            }
        }
        Ok(Arc::new(BooleanArray::from(chosen)))
    }

    fn supports_bounded_execution(&self) -> bool {
        false
    }

    fn uses_window_frame(&self) -> bool {
        false
    }
}
