"""Reads a dsv repository, following docs/format.md and nothing else.

It shares no code with dsv: where the two disagree, the page or dsv is wrong. Every hash that the page
defines is verified on the way to a value, so a damaged repository gives an error (`Fault`), never other data.

    reader.py REPO refs              the names in the repository's state, one JSON array a line
    reader.py REPO log [REV]         commits, newest first (default: HEAD)
    reader.py REPO tables REV        the tables, their columns and types
    reader.py REPO rows REV TABLE    the rows; with --json as JSON lines; with --ids each with its id, as `_row`

REV is a branch, a tag, a commit id or the first digits of one, `HEAD`, or `working:BRANCH`.
Values: None, bool, int, float (`Float`, which keeps its bits), Decimal, str, bytes, list, dict (structs); dates, times,
timestamps and durations are the stored integers, maps are lists of {key, value}, embeddings and tensors flat lists.
With --json, bytes are {"hex": ...}, floats {"bits": ...} (big-endian hexadecimal), decimals {"decimal": ...}; text or
bytes of more than 1,024 bytes are {"blake3": ..., "length": ...}.
"""

import io
import json
import math
import struct
import sys
from collections import OrderedDict
from decimal import Decimal
from pathlib import Path

import cbor2
from blake3 import blake3
from values import EXACT, Fault, Float, Type, bits, block_bytes, cast_all, check, decode, flat, le, parse_type, storage, unzstd

CHUNK, NODE, TABLE, SNAPSHOT, COMMIT, OPERATION = range(1, 7)
VALUES, SPINE, LIVE, MAP = range(4)


def digest(*parts):
    return blake3(b"".join(parts)).digest()


def cbor(data):
    """The one CBOR item that `data` is."""
    stream = io.BytesIO(data)
    try:
        item = cbor2.load(stream)
    except Exception as error:
        raise Fault(f"not CBOR: {error}") from error
    check(stream.tell() == len(data), "bytes after the CBOR item")
    return item


class Varints:
    """A byte string of unsigned LEB128 numbers (section 1)."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def more(self):
        return self.at < len(self.data)

    def next(self):
        value = shift = 0
        while True:
            check(self.at < len(self.data), "a varint is cut short")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value


# ---- sections 2, 3 and 7 to 9: the repository -------------------------------------------------------------------


class Repo:
    def __init__(self, path):
        path = Path(path)
        self.path = path / ".dsv" if (path / ".dsv").is_dir() else path
        self.index, self.frames, self.contents, self.chunks, self.sound = {}, {}, OrderedDict(), OrderedDict(), set()
        head = self.file("head")
        check(head[:7] == b"DSVHEAD", "head: not a head pointer")
        check(head[7] == 1, f"head: version {head[7]} is not known")
        check(digest(head[:-32]) == head[-32:], "head: its hash does not hold")
        version, self.operation_id, self.generation, packs, older, self.condemned = cbor(head[8:-32])[:6]
        check(version == 1, f"head: version {version} is not known")
        while True:
            for entry in packs:
                self.read_index(*entry[:4])
            if older is None:
                break
            data = self.file(f"catalogs/{older.hex()}")
            check(digest(data) == older, f"catalogue {older.hex()}: its hash does not hold")
            packs, older = cbor(data)[:2]
        self.operation = self.parsed(OPERATION, self.operation_id)
        self.state = dict(self.map_entries(self.operation[5]))

    def file(self, name, start=0, length=-1):
        try:
            with open(self.path / name, "rb") as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise Fault(f"{name}: {error}") from error

    def read_index(self, pack, length, index_length, objects):
        name = f"packs/{pack.hex()}.pack"
        check(self.file(name, 0, 8) == b"DSVPACK\x01", f"{name}: not a pack")
        tail = self.file(name, length - index_length - 48)
        check(len(tail) == index_length + 48 and tail[-8:] == b"DSVPEND\x01", f"{name}: its end is not there")
        index = tail[:index_length]
        check(le(tail[index_length : index_length + 8]) == index_length, f"{name}: the index has another length")
        check(digest(index) == pack == tail[-40:-8], f"{name}: the hash of its index does not hold")
        _nonce, frames, entries = cbor(index)[:3]
        self.frames[name] = [tuple(frame[:4]) for frame in frames]
        ids = [entry[0] for entry in entries]
        check(len(ids) == objects and ids == sorted(ids), f"{name}: the index is not what the catalogue says")
        for entry in entries:
            if entry[0] not in self.index:
                self.index[entry[0]] = (name, *entry[1:6])

    def frame(self, name, number):
        """What a frame of a pack holds."""
        if (name, number) not in self.contents:
            check(number < len(self.frames[name]), f"{name}: frame {number} is not there")
            offset, stored, length, _check = self.frames[name][number]
            data = self.file(name, offset, stored)
            check(len(data) == stored, f"{name}: frame {number} is cut short")
            data = unzstd(data)
            check(len(data) == length, f"{name}: frame {number} does not hold what the index says")
            self.contents[name, number] = data
            if len(self.contents) > 8:
                self.contents.popitem(last=False)
        return self.contents[name, number]

    def stored(self, kind, id):
        check(id in self.index, f"object {id.hex()} is in no pack")
        name, found, frame, offset, length, header = self.index[id]
        check(found == kind, f"object {id.hex()}: kind {found} instead of {kind}")
        data = self.file(name, offset, length) if frame is None else self.frame(name, frame)[offset : offset + length]
        check(len(data) == length, f"object {id.hex()} is cut short")
        return data, frame, offset, header

    def object(self, kind, id):
        """The content of an object of kind 2 to 6."""
        data = self.stored(kind, id)[0]
        check(digest(bytes([kind]), data) == id, f"object {id.hex()}: its hash does not hold")
        return data

    def parsed(self, kind, id):
        return cbor(self.object(kind, id))

    def chunk(self, id):
        """The storage type as text and all values of a chunk."""
        if id in self.chunks:
            self.chunks.move_to_end(id)
            return self.chunks[id]
        data, frame, offset, length = self.stored(CHUNK, id)
        a, b = struct.unpack("<II", data[:8])
        check(frame is None and offset % 64 == 0 and length == 8 + a + b, f"chunk {id.hex()}: its index entry is wrong")
        identity = data[8 : 8 + a]
        check(digest(bytes([CHUNK]), identity) == id, f"chunk {id.hex()}: its hash does not hold")
        text, rows, blocks = cbor(identity)[:3]
        codecs, kind, parts, at = cbor(data[8 + a : length]), parse_type(text), [], length
        check(len(codecs) == len(blocks) and sum(block[0] for block in blocks) == rows, f"chunk {id.hex()}: its headers disagree")
        for (n, validity, size, hash, *_), (block_codec, stored, parameter, *_) in zip(blocks, codecs):
            start = -(-at // 64) * 64
            check(not any(data[at:start]), f"chunk {id.hex()}: padding that is not zero")
            at = start + stored
            canonical = block_bytes(block_codec, parameter, data[start:at], kind, n, validity)
            check(len(canonical) == size and digest(canonical) == hash, f"chunk {id.hex()}: the hash of a block does not hold")
            parts.append(decode(kind, n, validity, canonical, 64))
        check(at == len(data), f"chunk {id.hex()}: its length is wrong")
        values = b"".join(parts) if all(isinstance(p, bytes) for p in parts) else [v for part in parts for v in part]
        self.chunks[id] = (text, values)
        if len(self.chunks) > 8:
            self.chunks.popitem(last=False)
        return text, values

    def leaves(self, reference, kind, height=None):
        """The leaves below a reference, in order, each a parsed array; counts are checked on the way."""
        check(reference[0] in (0, 1), "an unknown kind of reference")
        node = cbor(reference[1]) if reference[0] else self.parsed(NODE, reference[1])
        check(node[0] == kind, "a node of another kind of rope")
        check(height is None or node[1] == height, "a node at the wrong height")
        if node[1] == 0:
            yield node
            return
        total = 0
        for id, rows, summary in node[3]:
            child = self.parsed(NODE, id)
            check(child[2] == rows, f"node {id.hex()}: another number of rows than its parent says")
            if kind == MAP:
                leaf = self.last_key(child)
                check(leaf == summary, f"node {id.hex()}: another last key than its parent says")
            if kind == LIVE:
                check(self.trues(child) == summary, f"node {id.hex()}: another number of true rows than its parent says")
            yield from self.leaves([0, id], kind, node[1] - 1)
            total += rows
        check(total == node[2], "the entries of a node do not add up")

    def last_key(self, node):
        return node[3][-1][0] if node[1] == 0 else node[3][-1][2]

    def trues(self, node):
        return node[3] if node[1] == 0 else sum(entry[2] for entry in node[3])

    def map_entries(self, reference):
        entries = [tuple(pair) for leaf in self.leaves(reference, MAP) for pair in leaf[3]]
        keys = [key.encode() for key, _ in entries]
        check(all(a < b for a, b in zip(keys, keys[1:])), "the keys of a map are not ascending")
        return entries

    def live(self, reference):
        out = []
        for _, _, rows, true_rows, encoding, data in (leaf[:6] for leaf in self.leaves(reference, LIVE)):
            if encoding == 1:
                check(len(data) == -(-rows // 8), "a bitmap of live rows of the wrong length")
                part = bits(data, rows)
            else:
                check(encoding == 0, f"live rows: encoding {encoding}")
                part, runs, truth = [], Varints(data), True
                while runs.more():
                    part += [truth] * runs.next()
                    truth = not truth
            check(len(part) == rows and sum(part) == true_rows, "a leaf of live rows does not add up")
            out += part
        return out

    def row_ids(self, reference):
        """(origin, number) of each row."""
        out = []
        for _, _, rows, origins, data in (leaf[:5] for leaf in self.leaves(reference, SPINE)):
            runs, before = Varints(data), len(out)
            while runs.more():
                origin, first, count = runs.next(), runs.next(), runs.next()
                out += [(origins[origin], first + k) for k in range(count)]
            check(len(out) - before == rows, "a leaf of row ids does not add up")
        return out

    def column(self, reference, kind):
        """The values of a rope, cast to the storage type `kind`."""
        out = []
        for leaf in self.leaves(reference, VALUES):
            _, _, rows, types, chunks, literals, large, slices = leaf[:8]
            cells = (
                cast_all(decode(parse_type(types[t]), n, validity, data, 1), parse_type(types[t]), kind)
                for t, n, validity, data in literals
            )
            cells = iter([cell for run in cells for cell in run])
            numbers, before = Varints(slices), len(out)
            while numbers.more():
                tag, n = (lambda v: (v & 7, v >> 3))(numbers.next())
                if tag in (0, 1):
                    which, first = (n, 0) if tag else (numbers.next(), numbers.next())
                    id, chunk_rows, t, stats = chunks[which][:4]
                    text, values = self.chunk(id)
                    check(text == types[t] and len(values) == chunk_rows, f"chunk {id.hex()} is not what its leaf says")
                    if (id, repr(stats)) not in self.sound:
                        check_stats(stats, values, id)
                        self.sound.add((id, repr(stats)))
                    part = values[first : chunk_rows if tag else first + n]
                    check(tag or len(part) == n, "a slice passes the end of its chunk")
                    out += cast_all(part, parse_type(text), kind)
                elif tag in (2, 3):
                    part = [next(cells, check) for _ in range(n if tag == 2 else 1)]
                    check(check not in part, "more literals than there are")
                    out += part if tag == 2 else part * n
                else:
                    check(tag == 4, f"a slice with tag {tag}")
                    rope, length, t = large[n][:3]
                    data = self.bytes(rope)
                    check(len(data) == length, "a large value has another length")
                    out.append(flat(types[t], data))
            check(next(cells, check) is check and len(out) - before == rows, "a leaf of values does not add up")
        return out

    def bytes(self, reference):
        return bytes(self.column(reference, Type("uint8")))

    # -- what people ask for --

    def commit(self, id):
        return self.parsed(COMMIT, id)

    def resolve(self, name):
        """The commit id of a branch, a tag, a commit id or its first digits."""
        if name == "HEAD":
            kind, value = cbor(self.state["HEAD"])[:2]
            return self.resolve(value) if kind == "branch" else value
        if f"heads/{name}" in self.state:
            return self.state[f"heads/{name}"]
        if f"tags/{name}" in self.state:
            return cbor(self.state[f"tags/{name}"])[0]
        found = [i for i, e in self.index.items() if e[1] == COMMIT and i.hex().startswith(name)]
        check(len(found) == 1 and name, f"{name!r} names no commit, or several")
        return found[0]

    def snapshot(self, name):
        if name.startswith("working:"):
            key = "working/" + name.removeprefix("working:")
            check(key in self.state, f"{key}: nothing is uncommitted")
            id = cbor(self.state[key])[1]
        else:
            id = self.commit(self.resolve(name))[0]
        return self.parsed(SNAPSHOT, id)

    def tables(self, name):
        """{table: [table id, key, columns, spine, live, ropes]}"""
        return {table: self.parsed(TABLE, id) for table, id in self.snapshot(name)[0]}

    def refs(self):
        """(key, value) of the state: what the CBOR of a value says; commit ids, and values of unknown keys, as bytes."""
        known = ("HEAD", "tags/", "working/")
        return [(key, cbor(value) if key.startswith(known) else value) for key, value in self.state.items()]

    def log(self, name="HEAD"):
        """(id, commit) of every ancestor, newest first."""
        seen, todo = {}, [self.resolve(name)]
        while todo:
            id = todo.pop()
            if id not in seen:
                seen[id] = self.commit(id)
                todo += seen[id][1]
        return sorted(seen.items(), key=lambda pair: (-pair[1][3], pair[0]))

    def rows(self, name, table):
        """The column names and the live rows, each a list of values; and the row ids of these rows."""
        tables = self.tables(name)
        check(table in tables, f"there is no table {table!r}")
        _, _, columns, spine, live, ropes = tables[table][:6]
        ids, present = self.row_ids(spine), self.live(live)
        check(len(columns) == len(ropes) and len(ids) == len(present), "the ropes of a table differ in length")
        values = [self.column(rope, storage(parse_type(column[2]))) for column, rope in zip(columns, ropes)]
        check(all(len(v) == len(ids) for v in values), "the ropes of a table differ in length")
        rows = [[v[k] for v in values] for k, p in enumerate(present) if p]
        return [column[1] for column in columns], rows, [i for i, p in zip(ids, present) if p]


def check_stats(stats, values, id):
    """Statistics are bounds (section 7)."""
    if stats is None:
        return
    nulls, low, high, flags = stats[:4]
    there = [v for v in values if v is not None]
    check(len(values) - len(there) <= nulls, f"chunk {id.hex()}: more nulls than its statistics say")
    if there and isinstance(there[0], Float):
        check(flags & 4 or not any(v != v for v in there), f"chunk {id.hex()}: NaNs that its statistics deny")
    there = [int(v.scaleb(-v.as_tuple().exponent, EXACT)) if isinstance(v, Decimal) else v for v in there if v == v]
    if low is None and flags & 1 or high is None and flags & 2:
        check(not there, f"chunk {id.hex()}: values that its statistics deny")
    if not there or low is None and high is None:
        return
    order = lambda v: v
    if isinstance(there[0], str):
        order = str.encode
    elif isinstance(there[0], float):
        order = lambda v: (v, math.copysign(1, v))
    least, most = min(there, key=order), max(there, key=order)
    check(low is None or order(low) <= order(least), f"chunk {id.hex()}: a value below its minimum")
    check(high is None or order(most) <= order(high), f"chunk {id.hex()}: a value above its maximum")
    check(not flags & 1 or order(low) == order(least), f"chunk {id.hex()}: its minimum is not exact")
    check(not flags & 2 or order(high) == order(most), f"chunk {id.hex()}: its maximum is not exact")


# ---- the command line -------------------------------------------------------------------------------------------


def plain(value):
    """A value as JSON that loses nothing (see the top of the file)."""
    if isinstance(value, Float):
        return {"bits": value.bits.hex()}
    if isinstance(value, Decimal):
        return {"decimal": format(value, "f")}
    if isinstance(value, (bytes, str)):
        data = value.encode() if isinstance(value, str) else value
        if len(data) > 1024:
            return {"blake3": digest(data).hex(), "length": len(data)}
        return value if isinstance(value, str) else {"hex": value.hex()}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value


def line(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main(arguments):
    as_json, with_ids = "--json" in arguments, "--ids" in arguments
    arguments = [a for a in arguments if a not in ("--json", "--ids")]
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    repo, verb, rest = Repo(arguments[0]), arguments[1], arguments[2:]
    if verb == "refs":
        for name, value in repo.refs():
            print(line([name, plain(value)]))
    elif verb == "log":
        for id, commit in repo.log(*rest):
            print(line(plain([id, *commit])) if as_json else f"{id.hex()} {commit[2][0]}: {commit[4]}")
    elif verb == "tables":
        for name, table in repo.tables(*rest).items():
            print(line([name, [[c[1], c[2], c[3]] for c in table[2]]]))
    elif verb == "rows":
        names, rows, ids = repo.rows(*rest)
        lines = []
        for (origin, number), row in zip(ids, rows):
            cells = {"_row": f"{origin.hex()}:{number}"} if with_ids else {}
            cells.update(zip(names, row))
            lines.append(f"{line(plain(cells)) if as_json else cells}\n")
        sys.stdout.write("".join(lines))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Fault, ArithmeticError, LookupError, TypeError, ValueError, struct.error) as fault:
        sys.exit(f"reader.py: {type(fault).__name__}: {fault}")
