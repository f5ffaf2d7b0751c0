"""Merges three versions of a CSV with doltlite, an engine of its own that merges tables by key and cell.

usage: merge_with_dolt.py FOLDER KEY[,KEY]     FOLDER holds base.csv, ours.csv and theirs.csv

Prints a JSON object: "conflicts", the keys of rows in conflict, and without any, "rows", the merged rows as objects of text.
"""

import csv
import json
import os
import sys
import tempfile

import doltlite  # noqa: F401  Makes sqlite3 speak to it.
import sqlite3


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return rows[0], [row for row in rows[1:] if row]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def main():
    folder, key = sys.argv[1], sys.argv[2].split(",")
    base, ours, theirs = (read(os.path.join(folder, name + ".csv")) for name in ("base", "ours", "theirs"))
    place = tempfile.TemporaryDirectory()
    database = sqlite3.connect(os.path.join(place.name, "merge.db"), isolation_level=None)
    run = lambda sql, values=(): database.execute(sql, values).fetchall()
    def fill(header, rows):
        """Makes the table equal to a file: columns come and go, rows are matched by key."""
        known = [row[1] for row in run("PRAGMA table_info(t)")]
        for name in header:
            if name not in known:
                run(f"ALTER TABLE t ADD COLUMN {quoted(name)} text")
        for name in known:
            if name not in header:
                run(f"ALTER TABLE t DROP COLUMN {quoted(name)}")
        by_key = {tuple(row[header.index(k)] for k in key): row for row in rows}
        where = " AND ".join(f"{quoted(k)} = ?" for k in key)
        names = ", ".join(map(quoted, header))
        now = {tuple(row[header.index(k)] for k in key): list(row) for row in run(f"SELECT {names} FROM t")}
        for gone in now.keys() - by_key.keys():
            run(f"DELETE FROM t WHERE {where}", gone)
        for name, row in by_key.items():
            if name not in now:
                run(f"INSERT INTO t ({names}) VALUES ({', '.join('?' * len(row))})", row)
            elif now[name] != row:
                run(f"UPDATE t SET {', '.join(quoted(h) + ' = ?' for h in header)} WHERE {where}", [*row, *name])

    keys = ", ".join(map(quoted, key))
    run(f"CREATE TABLE t ({', '.join(quoted(h) + ' text' for h in base[0])}, PRIMARY KEY ({keys}))")
    for step, (header, rows) in [("base", base), ("theirs", theirs), ("ours", ours)]:
        if step == "theirs":
            run("SELECT dolt_checkout('-b', 'theirs')")
        elif step == "ours":
            run("SELECT dolt_checkout('main')")
        fill(header, rows)
        run("SELECT dolt_commit('-A', '--allow-empty', '-m', ?)", (step,))
    run("BEGIN")
    try:
        run("SELECT dolt_merge('theirs')")
    except sqlite3.OperationalError as error:
        if "conflict" not in str(error):
            raise
    found = [row for row in run("SELECT * FROM dolt_conflicts") if row[1]]
    conflicts = []
    if found:
        cursor = database.execute("SELECT * FROM dolt_conflicts_t")
        names = [column[0] for column in cursor.description]
        for row in cursor.fetchall():
            cell = dict(zip(names, row))
            conflicts.append([next(cell[side + k] for side in ("base_", "our_", "their_") if cell.get(side + k) is not None) for k in key])
    rows = [] if conflicts else [dict(zip([c[0] for c in cursor.description], row)) for cursor in [database.execute("SELECT * FROM t")] for row in cursor.fetchall()]
    json.dump({"conflicts": sorted(conflicts), "rows": rows}, sys.stdout)


if __name__ == "__main__":
    main()
