"""Tests of reader.py and rules.py that need no dsv: a small repository is written here by hand, after docs/format.md, and read back.

    python test_reader.py            runs the tests
    python test_reader.py write DIR  writes the small repository into DIR/.dsv, and its rows to DIR/rows.jsonl
"""

import json
import struct
import sys
import tempfile
import unittest
from decimal import Decimal
from pathlib import Path

import cbor2
import reader
import rules
import values
import zstandard
from blake3 import blake3
from reader import CHUNK, COMMIT, NODE, OPERATION, SNAPSHOT, TABLE


def digest(data):
    return blake3(data).digest()


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def zstd(data):
    return zstandard.ZstdCompressor(level=3).compress(data)


def first8(data):
    return int.from_bytes(digest(data)[:8], "little")


def shuffle(data, width):
    m = len(data) // width
    return b"".join(data[k : m * width : width] for k in range(width)) + data[m * width :]


class Pack:
    """Collects objects and writes them as the only pack of a repository."""

    def __init__(self):
        self.body, self.frames, self.entries = bytearray(b"DSVPACK\x01"), [], []

    def put(self, kind, content, zipped=False):
        data = cbor2.dumps(content)
        id = digest(bytes([kind]) + data)
        if zipped:
            # The object stands behind another in its frame.
            stored = zstd(b"before" + data)
            self.entries.append([id, kind, len(self.frames), 6, len(data), 0])
            self.frames.append([len(self.body), len(stored), 6 + len(data), first8(stored)])
        else:
            stored = data
            self.entries.append([id, kind, None, len(self.body), len(data), 0])
        self.body += stored
        return id

    def chunk(self, type, blocks):
        """`blocks`: (rows, validity, canonical bytes, codec, parameter, body)."""
        identity = cbor2.dumps([type, sum(b[0] for b in blocks), [[b[0], b[1], len(b[2]), digest(b[2])] for b in blocks]])
        storage = cbor2.dumps([[b[3], len(b[5]), b[4], first8(b[5]) if b[3] else 0] for b in blocks])
        data = struct.pack("<II", len(identity), len(storage)) + identity + storage
        length = len(data)
        for block in blocks:
            data += bytes(-len(data) % 64) + block[5]
        self.body += bytes(-len(self.body) % 64)
        id = digest(bytes([CHUNK]) + identity)
        self.entries.append([id, CHUNK, None, len(self.body), len(data), length])
        self.body += data
        return id

    def write(self, folder, operation, older=False):
        index = cbor2.dumps([bytes(16), self.frames, sorted(self.entries, key=lambda entry: entry[0])])
        id = digest(index)
        data = bytes(self.body) + index + struct.pack("<Q", len(index)) + id + b"DSVPEND\x01"
        for name in ("packs", "catalogs", "tmp"):
            (folder / name).mkdir(parents=True)
        (folder / "packs" / f"{id.hex()}.pack").write_bytes(data)
        packs, catalogue = [[id, len(data), len(index), len(self.entries)]], None
        if older:
            part = cbor2.dumps([packs, None, bytes(16)])
            packs, catalogue = [], digest(part)
            (folder / "catalogs" / catalogue.hex()).write_bytes(part)
        head = b"DSVHEAD\x01" + cbor2.dumps([1, operation, 0, packs, catalogue, []])
        (folder / "head").write_bytes(head + digest(head))


def texts(items):
    offsets, data = [0], b""
    for item in items:
        data += item.encode()
        offsets.append(len(data))
    return struct.pack(f"<{len(offsets)}I", *offsets), data


def padded(*buffers):
    out = b""
    for buffer in buffers:
        out += bytes(-len(out) % 64) + buffer
    return out


def inline(*node):
    return [1, cbor2.dumps(list(node))]


def small_repository(folder, older=False):
    """Writes a repository with every codec, kind of slice and leaf; returns the rows of table `t` as reader.py gives them."""
    pack = Pack()
    # n: int32 in a chunk of two blocks (shuffle, delta), a slice of it, literals, a constant; widened to int64.
    first, second = struct.pack("<4i", 1, -2, 3, 2**31 - 1), struct.pack("<4i", 10, 20, 30, 25)
    delta = struct.pack("<4i", 10, 10, 10, -5)
    numbers = pack.chunk("int32", [(4, [], first, 2, 4, zstd(shuffle(first, 4))), (4, [], second, 3, 4, zstd(shuffle(delta, 4)))])
    stats = [0, -2, 2**31 - 1, 3]
    whole = [0, 0, 8, ["int32"], [[numbers, 8, 0, stats]], [], [], varint(0 << 3 | 1)]
    literals = [[0, 3, [0], b"\x03" + struct.pack("<3q", 7, -8, 0)]]  # 7, -8, null; the last one also serves as a constant
    rest = [0, 0, 6, ["int64", "int32"], [[numbers, 8, 1, None]], literals, [], varint(2 << 3 | 2) + varint(3 << 3) + varint(0) + varint(5) + varint(1 << 3 | 3)]
    entries = [[pack.put(NODE, whole, True), 8, [["int32"], stats]], [pack.put(NODE, rest), 6, [["int64", "int32"], None]]]
    n = [0, pack.put(NODE, [0, 1, 14, entries])]
    n_values = [1, -2, 3, 2**31 - 1, 10, 20, 30, 25, 7, -8, 20, 30, 25, None]
    # s: text in a raw, a zstd, a dictionary and a lengths block; the last value is a large one.
    blocks, s_values = [], ["a", "b", "", "é"] * 2 + ["x", None, "x", "y", "z"]
    for codec, part in ((0, s_values[0:2]), (1, s_values[2:4]), (4, s_values[4:6] + s_values[8:9]), (4, s_values[6:8]), (5, s_values[9:13])):
        offsets, data = texts([p or "" for p in part])
        nulls = [0] if None in part else []
        bitmap = bytes([sum((p is not None) << i for i, p in enumerate(part))]) if nulls else b""
        canonical = padded(bitmap, offsets, data) if nulls else padded(offsets, data)
        lengths = [len((p or "").encode()) for p in part]
        words = sorted(set(p or "" for p in part))
        body = {
            0: lambda: canonical,
            1: lambda: zstd(canonical),
            4: lambda: zstd(bitmap + struct.pack(f"<{len(words) + 1}I", len(words), *(len(w.encode()) for w in words)) + "".join(words).encode() + bytes(words.index(p or "") for p in part)),
            5: lambda: zstd(bitmap + shuffle(struct.pack(f"<{len(part)}I", *lengths), 4) + data),
        }[codec]()
        blocks.append((len(part), nulls, canonical, codec, 0, body))
    words = pack.chunk("text", blocks)
    big = "large " * 50
    large = pack.chunk("uint8", [(len(big), [], big.encode(), 1, 0, zstd(big.encode()))])
    rope = inline(0, 0, len(big), ["uint8"], [[large, len(big), 0, None]], [], [], varint(1))
    s = inline(0, 0, 14, ["text"], [[words, 13, 0, [1, "", "é", 3]]], [], [[rope, len(big), 0]], varint(1) + varint(4))
    s_order = s_values[0:6] + s_values[8:9] + s_values[6:8] + s_values[9:13] + [big]
    # v: structs, lists and vectors, all literals of one row, as a constant.
    nested = "struct<\"a b\": list<int8>, v: fixed_list<float16,2>, d: decimal(5,2)>"
    cell = struct.pack("<2I", 0, 2) + b"\x01\xff" + struct.pack("<2e", 1.5, float("nan")) + (-12345).to_bytes(16, "little", signed=True)
    v = inline(0, 0, 14, [nested], [], [[0, 1, [], cell]], [], varint(14 << 3 | 3))
    columns = [[bytes([i]) * 16, name, type, True, {}] for i, (name, type) in enumerate(
        [("n", "int64"), ("s", "text"), ("v", 'struct<"a b": list<int8>, v: embedding(2,float16), d: decimal(5,2)>')])]
    spine = inline(1, 0, 14, [b"o" * 16, b"p" * 16], varint(0) + varint(0) + varint(9) + varint(1) + varint(300) + varint(5))
    live_parts = [[2, 0, 8, 6, 0, varint(0) + varint(1) + varint(6) + varint(1)], [2, 0, 6, 5, 1, bytes([0b111101])]]
    live = [0, pack.put(NODE, [2, 1, 14, [[pack.put(NODE, part), part[2], part[3]] for part in live_parts]])]
    table = pack.put(TABLE, [b"t" * 16, [], columns, spine, live, [n, s, v]])
    snapshot = pack.put(SNAPSHOT, [[["t", table]], [["w", "SELECT 1"]]])
    one = pack.put(COMMIT, [snapshot, [], ["Ada", "ada@example.org", 1000, 60], 1000, "first", {}, 0])
    two = pack.put(COMMIT, [snapshot, [one], ["Ada", "ada@example.org", 2000, 60], 2000, "second", {"from": "hand"}, 0])
    keys = {"HEAD": cbor2.dumps(["branch", "main"]), "heads/main": two, "tags/v1": cbor2.dumps([one, "why", "Ada", "ada@example.org", 3000])}
    state = inline(3, 0, len(keys), [[key, keys[key]] for key in sorted(keys)])
    operation = pack.put(OPERATION, [None, bytes(16), "ada@here", 3000, "by hand", state, None])
    pack.write(folder, operation, older)
    cells = {"a b": [1, -1], "v": [1.5, float("nan")], "d": Decimal("-123.45")}
    present = [False] + [True] * 6 + [False] + [bool(0b111101 >> i & 1) for i in range(6)]
    return [[a, b, cells] for a, b, p in zip(n_values, s_order, present) if p]


class Reading(unittest.TestCase):
    def test_a_repository_written_by_hand(self):
        for older in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                wanted = small_repository(Path(folder) / ".dsv", older)
                repo = reader.Repo(folder)
                self.assertEqual([commit[4] for _, commit in repo.log()], ["second", "first"])
                self.assertEqual([key for key, _ in repo.refs()], ["HEAD", "heads/main", "tags/v1"])
                for revision in ("HEAD", "main", "v1", repo.resolve("main").hex()[:12]):
                    names, rows, ids = repo.rows(revision, "t")
                    self.assertEqual(names, ["n", "s", "v"])
                    self.assertEqual(repr(rows), repr(wanted))
                    self.assertEqual([number for _, number in ids], [1, 2, 3, 4, 5, 6, 8, 301, 302, 303, 304])

    def test_a_flipped_bit_never_gives_other_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            wanted = repr(small_repository(Path(folder) / ".dsv"))
            for path in [Path(folder) / ".dsv" / "head", *(Path(folder) / ".dsv" / "packs").iterdir()]:
                good = path.read_bytes()
                for at in range(0, len(good), 3):
                    path.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 7]) + good[at + 1 :])
                    try:
                        rows = reader.Repo(folder).rows("main", "t")[1]
                    except (reader.Fault, ArithmeticError, LookupError, TypeError, ValueError, struct.error):
                        continue
                    # Checks, frame headers, views and other commits are no part of these rows.
                    self.assertEqual(repr(rows), wanted, f"{path} byte {at}")
                path.write_bytes(good)


class Rules(unittest.TestCase):
    """The rules that the page has for writers, on the golden repository."""

    def setUp(self):
        self.repo = reader.Repo(Path(__file__).parents[2] / "fixtures" / "golden" / "v1" / "repo")

    def test_every_rope_is_the_one_tree_of_its_items(self):
        nodes = 0
        for revision in ("types", "wide", "codecs", "edits", "working:main"):
            for table in self.repo.tables(revision):
                nodes += rules.check_trees(self.repo, revision, table)
        self.assertGreater(nodes, 900)

    def test_chunks_and_blocks_end_where_they_have_to(self):
        for revision, table, chunks in (("codecs", "codecs", 12), ("long", "long", 3), ("types", "empty", 0)):
            self.assertEqual(rules.check_table(self.repo, revision, table), chunks)

    def test_checks_hold(self):
        self.assertGreater(rules.check_checks(self.repo), 200)

    def test_other_rules_are_noticed(self):
        limits = dict(rules.LIMITS)
        try:
            for wrong in ((1024, 1500, 8192), (1024, 3072, 4000), (3000, 3072, 8192)):
                rules.LIMITS[rules.LIVE] = rules.LIMITS[rules.VALUES] = wrong
                with self.assertRaises(reader.Fault):
                    rules.check_trees(self.repo, "edits", "long")
        finally:
            rules.LIMITS.update(limits)


class Values(unittest.TestCase):
    def test_types(self):
        for text in ("decimal(10,2)", 'timestamp(us,"odd zone")', 'enum("a","b,c")', "tensor(2x3,uint8)", "map<text, list<int8>>", "struct<>"):
            values.parse_type(text)
        kind = values.storage(values.parse_type('map<text, struct<"a ""b": embedding(3,float16), c: uuid>>'))
        self.assertEqual(kind.key(), values.parse_type('list<struct<key: text, value: struct<"a ""b": fixed_list<float16,3>, c: binary(16)>>>').key())
        for bad in ("", "list<", "int32)", "struct<a int8>", 'enum("a'):
            with self.assertRaises(reader.Fault):
                values.parse_type(bad)

    def test_widened_values(self):
        def widened(value, source, target):
            return values.cast_all([value, None], values.parse_type(source), values.parse_type(target))

        self.assertEqual(widened(-5, "int8", "int64"), [-5, None])
        self.assertEqual(widened(5, "uint8", "float32")[0].bits, struct.pack(">f", 5))
        self.assertEqual(str(widened(Decimal("1.50"), "decimal(3,2)", "decimal256(40,4)")[0]), "1.5000")
        self.assertEqual(widened([1, None], "list<int8>", "list<int16>"), [[1, None], None])
        with self.assertRaises(reader.Fault):
            widened("a", "text", "int8")

    def test_canonical_bytes_are_strict(self):
        kind = values.parse_type("int16")
        self.assertEqual(values.decode(kind, 2, [0], b"\x01" + struct.pack("<2h", 4, 0), 1), [4, None])
        for bad in (b"\x01" + struct.pack("<2h", 4, 1), b"\x05" + struct.pack("<2h", 4, 0), b"\x03" + struct.pack("<2h", 4, 0), b"\x01" + bytes(5)):
            with self.assertRaises(reader.Fault):
                values.decode(kind, 2, [0], bad, 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        target = Path(sys.argv[2])
        small_repository(target / ".dsv", older=True)
        with open(target / "rows.jsonl", "w", encoding="utf-8", newline="\n") as sys.stdout:
            reader.main([str(target), "rows", "main", "t", "--json", "--ids"])
    else:
        unittest.main()
