"""DuckDB and Lance, asked by the benchmark: a request of JSON in each line of stdin, an answer of JSON in each line of stdout. Answers are taken as Arrow, as dsv's are."""

import json
import sys

import duckdb
import lance
import numpy
import pyarrow
import pyarrow.parquet


def vectors(path, rows, dim):
    """Batches of a file of float32, `dim` to a row, with the row's number as `id`."""
    numbers = numpy.memmap(path, dtype="<f4", mode="r", shape=(rows, dim))
    for start in range(0, rows, 16384):
        part = numbers[start : start + 16384]
        flat = pyarrow.array(part.reshape(-1))
        yield pyarrow.record_batch(
            [pyarrow.array(numpy.arange(start, start + len(part))), pyarrow.FixedSizeListArray.from_arrays(flat, dim)], names=["id", "embedding"]
        )


class Peers:
    def __init__(self, threads):
        self.duckdb = duckdb.connect()
        self.duckdb.execute(f"SET threads = {threads}")
        self.datasets = {}

    def dataset(self, path):
        if path not in self.datasets:
            self.datasets[path] = lance.dataset(path)
        return self.datasets[path]

    def sql(self, sql):
        return {"rows": self.duckdb.sql(sql).to_arrow_table().num_rows}

    def lance_from_parquet(self, parquet, to):
        file = pyarrow.parquet.ParquetFile(parquet)
        lance.write_dataset(pyarrow.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches()), to)
        return {}

    def lance_from_vectors(self, numbers, rows, dim, to):
        schema = pyarrow.schema([("id", pyarrow.int64()), ("embedding", pyarrow.list_(pyarrow.float32(), dim))])
        lance.write_dataset(pyarrow.RecordBatchReader.from_batches(schema, vectors(numbers, rows, dim)), to)
        return {}

    def lance(self, path, columns, filter):
        return {"rows": self.dataset(path).to_table(columns=columns, filter=filter).num_rows}

    def nearest(self, path, query, k):
        query = numpy.array(query, dtype="f4")
        near = self.dataset(path).to_table(columns=["id", "_distance"], nearest={"column": "embedding", "q": query, "k": k, "metric": "cosine"})
        return {"rows": near.num_rows, "ids": near["id"].to_pylist()}


def main():
    peers = Peers(int(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(peers, request.pop("do"))(**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
