//! The nearest rows against a sort of all distances.

use std::sync::Arc;

use arrow::array::{AsArray, FixedSizeListBuilder, PrimitiveBuilder, RecordBatch, UInt64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{ArrowPrimitiveType, Field, Float16Type, Float32Type, Schema, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::{Column, Literal, NegativeExpr};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use half::f16;
use proptest::prelude::*;

use super::super::{ALL, L2Norm, Measure, function};
use super::{Best, Search};

type Plan = Arc<dyn ExecutionPlan>;

/// Vectors of three numbers, nulls and zeros among them, as batches of some rows.
fn batches<T: ArrowPrimitiveType>(rows: &[Option<[i8; 3]>], batch_rows: usize, number: impl Fn(i8) -> T::Native) -> (Arc<Schema>, Vec<RecordBatch>) {
    let item = Arc::new(Field::new_list_field(T::DATA_TYPE, false));
    let mut batches = Vec::new();
    for (n, rows) in rows.chunks(batch_rows).enumerate() {
        let mut vectors = FixedSizeListBuilder::new(PrimitiveBuilder::<T>::new(), 3).with_field(item.clone());
        for row in rows {
            vectors.values().append_slice(&row.unwrap_or_default().map(&number));
            vectors.append(row.is_some());
        }
        let slots = UInt64Array::from_iter_values((n * batch_rows..).take(rows.len()).map(|slot| slot as u64 * 3));
        let schema = schema(&item);
        batches.push(RecordBatch::try_new(schema, vec![Arc::new(vectors.finish()), Arc::new(slots)]).unwrap());
    }
    (schema(&item), batches)
}

fn schema(item: &Arc<Field>) -> Arc<Schema> {
    use arrow::datatypes::DataType;
    let vectors = Field::new("vector", DataType::FixedSizeList(item.clone(), 3), true);
    Arc::new(Schema::new(vec![vectors, Field::new("slot", DataType::UInt64, false)]))
}

fn key(measure: Measure, query: [i8; 3], turned: (bool, bool), schema: &Schema) -> Arc<dyn PhysicalExpr> {
    let text = format!("[{}, {}, {}]", query[0], query[1], query[2]);
    let literal: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::Utf8(Some(text))));
    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new("vector", 0));
    let (swapped, negated) = turned;
    let args = if swapped { vec![literal, column] } else { vec![column, literal] };
    let call: Arc<dyn PhysicalExpr> =
        Arc::new(ScalarFunctionExpr::try_new(Arc::new(function(measure)), args, schema, Arc::new(ConfigOptions::default())).unwrap());
    if negated { Arc::new(NegativeExpr::new(call)) } else { call }
}

/// All of its rows, in order, as they would be printed.
fn run(plan: Plan) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    printed(&runtime.block_on(datafusion::physical_plan::collect(plan, Arc::new(TaskContext::default()))).unwrap())
}

fn sorted_schema() -> Arc<Schema> {
    use arrow::datatypes::DataType;
    Arc::new(Schema::new(vec![Field::new("key 0", DataType::Float64, true), Field::new("slot", DataType::UInt64, false)]))
}

fn printed(batches: &[RecordBatch]) -> Vec<String> {
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| format!("{:?}", batch.slice(row, 1).columns()))).collect()
}

fn vector() -> impl Strategy<Value = Option<[i8; 3]>> {
    // Few different ones, so that many are as near as each other.
    prop_oneof![1 => Just(None), 1 => Just(Some([0; 3])), 8 => [-2i8..3, -2i8..3, -1i8..2].prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_nearest_are_those_of_a_sort(
        rows in prop::collection::vec(vector(), 0..300), batch_rows in 1usize..200, k in 1usize..40, query in [-2i8..3, -2i8..3, -2i8..3],
        measure in 0usize..4, turned in any::<(bool, bool)>(), descending in any::<bool>(), nulls_first in any::<bool>(), is_half in any::<bool>(),
    ) {
        let (schema, batches) = if is_half {
            batches::<Float16Type>(&rows, batch_rows, |n| f16::from_f32(n.into()))
        } else {
            batches::<Float32Type>(&rows, batch_rows, f32::from)
        };
        let (key, options) = (key(ALL[measure], query, turned, &schema), SortOptions { descending, nulls_first });
        let input = || MemorySourceConfig::try_new_exec(std::slice::from_ref(&batches), schema.clone(), None).unwrap() as Plan;
        let search = Search::of(&key, &schema).expect("a measure of a column and a known vector");
        let mut best = Best::new(search, k, options);
        for batch in &batches {
            best.offer(batch.column(0), batch.column(1).as_primitive::<UInt64Type>().values()).unwrap();
        }

        let slot: Arc<dyn PhysicalExpr> = Arc::new(Column::new("slot", 1));
        let exprs = [(key, "key 0"), (slot, "slot")].map(|(expr, alias)| ProjectionExpr { expr, alias: alias.to_owned() });
        let projected: Plan = Arc::new(ProjectionExec::try_new(exprs, input()).unwrap());
        let by_slot = PhysicalSortExpr { expr: Arc::new(Column::new("slot", 1)), options: SortOptions::default() };
        let order = LexOrdering::new([PhysicalSortExpr { expr: Arc::new(Column::new("key 0", 0)), options }, by_slot]).unwrap();
        let sorted: Plan = Arc::new(SortExec::new(order, projected).with_fetch(Some(k)));
        let sorted = run(sorted);
        let found = best.batch(sorted_schema()).unwrap();
        prop_assert_eq!(printed(&[found]), sorted);
    }
}

#[test]
fn other_keys_are_left_to_the_sort() {
    let (schema, _) = batches::<Float32Type>(&[], 1, f32::from);
    let of = |args: Vec<Arc<dyn PhysicalExpr>>, measure| {
        let call = ScalarFunctionExpr::try_new(Arc::new(function(measure)), args, &schema, Arc::new(ConfigOptions::default())).unwrap();
        Search::of(&(Arc::new(call) as Arc<dyn PhysicalExpr>), &schema).is_some()
    };
    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new("vector", 0));
    let literal = |text: Option<&str>| Arc::new(Literal::new(ScalarValue::Utf8(text.map(str::to_owned)))) as Arc<dyn PhysicalExpr>;
    assert!(of(vec![column.clone(), literal(Some("[1, 2, 3]"))], Measure::L2Distance));
    assert!(!of(vec![column.clone(), literal(Some("[1, 2]"))], Measure::L2Distance), "another length is told where it is computed");
    assert!(!of(vec![column.clone(), literal(Some("no vector"))], Measure::L2Distance));
    assert!(!of(vec![column.clone(), literal(None)], Measure::L2Distance));
    assert!(!of(vec![column.clone(), column.clone()], Measure::L2Distance));
    assert!(!of(vec![column], L2Norm));
    let slot: Arc<dyn PhysicalExpr> = Arc::new(Column::new("slot", 1));
    assert!(Search::of(&slot, &schema).is_none());
}
