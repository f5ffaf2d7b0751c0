"""Checks what docs/format.md asks of writers alone: where nodes, chunks and blocks end (sections 7 and 10), and the checks of what is compressed.

    rules.py REPO checks                     every check in packs and chunks, and the padding between objects
    rules.py REPO trees REV TABLE            each rope is the one tree of its items
    rules.py REPO chunks REV TABLE [COLUMN]  each chunk of a table written at once ends where it has to, and so does each block

Each prints how many it looked at, or what is wrong.
"""

import math
import struct
import sys

import cbor2
from reader import CHUNK, LIVE, NODE, SPINE, VALUES, Repo, Varints, cbor, digest
from values import Fault, bits, check, decode, le, parse_type, storage

WORD = (1 << 64) - 1
LIMITS = {VALUES: (1024, 3072, 8192), SPINE: (1024, 3072, 8192), LIVE: (1024, 3072, 8192), 3: (256, 1024, 2048)}


def first8(data):
    return le(digest(data)[:8])


# ---- values to canonical bytes -------------------------------------------------------------------------------------


def empty(kind):
    if kind.name == "struct":
        return {name: empty(inner) for name, inner in zip(kind.fields, kind.inner)}
    if kind.name == "fixed_list":
        return [empty(kind.inner[0])] * int(kind.args[0])
    if kind.width is not None:
        return bytes(kind.width)
    return {"bool": False, "text": "", "binary": b"", "list": []}[kind.name]


def fixed_bytes(kind, value):
    """The bytes of a number, decimal, date, time or binary(k)."""
    if isinstance(value, bytes):
        return value
    if hasattr(value, "bits"):
        return value.bits[::-1]
    if kind.name.startswith("decimal"):
        sign, digits, _ = value.as_tuple()
        value = int("".join(map(str, digits))) * (-1 if sign else 1)
    return (value % (1 << 8 * kind.width)).to_bytes(kind.width, "little")


def bitmap(truths):
    out = bytearray(-(-len(truths) // 8))
    for i, truth in enumerate(truths):
        out[i >> 3] |= truth << (i & 7)
    return bytes(out)


def encode(kind, values):
    """The canonical bytes of values, A = 1."""
    out = bitmap([v is not None for v in values]) if any(v is None for v in values) else b""
    values = [empty(kind) if v is None else v for v in values]
    if kind.width is not None:
        return out + b"".join(fixed_bytes(kind, v) for v in values)
    if kind.name == "bool":
        return out + bitmap(values)
    if kind.name == "struct":
        return out + b"".join(encode(inner, [v[name] for v in values]) for name, inner in zip(kind.fields, kind.inner))
    if kind.name == "fixed_list":
        return out + encode(kind.inner[0], [item for v in values for item in v])
    parts = [v.encode() if isinstance(v, str) else v for v in values]
    offsets = [0]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    out += struct.pack(f"<{len(offsets)}I", *offsets)
    return out + (encode(kind.inner[0], [item for part in parts for item in part]) if kind.name == "list" else b"".join(parts))


# ---- section 7: boundaries of nodes --------------------------------------------------------------------------------


def varint_length(number):
    return max(1, -(-number.bit_length() // 7))


def u64(*numbers):
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def leaf_items(kind, leaf):
    """The items of a leaf: (joins, steps); a step is (what the leaf lists of it, bytes hashed, size, size more if not listed yet). Two neighbours that
    `joins` says the same of, with the second's start at the first's end, are one item."""
    items = []
    if kind == SPINE:
        runs = Varints(leaf[4])
        while runs.more():
            origin, first, rows = leaf[3][runs.next()], runs.next(), runs.next()
            items.append(((origin, first, first + rows), [(origin, origin + u64(first, rows), 6, 16)]))
    elif kind == LIVE:
        truth, at, lengths = True, 0, Varints(leaf[5])
        truths = bits(leaf[5], leaf[2]) if leaf[4] else []
        while lengths.more() if not leaf[4] else at < leaf[2]:
            if leaf[4]:
                truth, start = truths[at], at
                while at < leaf[2] and truths[at] == truth:
                    at += 1
                rows = at - start
            else:
                rows = lengths.next()
            if rows:
                items.append(((truth, 0, 0), [(None, bytes([truth]) + u64(rows), varint_length(rows), 0)]))
            truth = not truth
    else:
        _, _, _, types, chunks, literals, large, slices = leaf[:8]
        cells = []
        for t, n, validity, data in literals:
            of = parse_type(types[t])
            cells += [(types[t], encode(of, [value])) for value in decode(of, n, validity, data, 1)]
        numbers, used = Varints(slices), 0
        while numbers.more():
            tag, n = (lambda v: (v & 7, v >> 3))(numbers.next())
            if tag in (0, 1):
                which, first = (n, 0) if tag else (numbers.next(), numbers.next())
                id, rows = chunks[which][0], chunks[which][1] if tag else n
                check(not tag or rows, "an empty chunk")
                check(tag or (first, rows) != (0, chunks[which][1]), "a whole chunk written as a part of one")
                items.append(((id, first, first + rows), [(id, id + u64(first, rows), 8, 80)]))
            elif tag == 2:
                run, used = cells[used : used + n], used + n
                items.append((("cells", run[0][0], run[0][0]), [(None, text.encode() + data, 2 + len(data), 0) for text, data in run]))
            elif tag == 3:
                text, data = cells[used]
                used += 1
                items.append(((text + " constant", data, data), [(None, text.encode() + data + u64(n), 4 + len(data), 0)]))
            else:
                rope, length = large[n][:2]
                items.append((None, [(None, cbor2.dumps(rope) + u64(length), 48, 0)]))
        check(used == len(cells), "cells that no slice uses")
    return items


def ends(kind, total, hash, size):
    least, mean, _ = LIMITS[kind]
    return total >= least and hash % (1 << 32) < (size << 32) // mean


def check_level(kind, nodes, inner):
    """`nodes`: the nodes of one level, each a list of steps; `inner` of inner nodes."""
    cap = LIMITS[kind][2]
    for number, node in enumerate(nodes):
        total, listed = 0, set()
        following = nodes[number + 1][0] if number + 1 < len(nodes) else None
        for place, (name, hashed, size, more) in enumerate(node):
            size += 0 if name in listed else more
            listed.add(name)
            check(total == 0 or total + size <= cap, "a node over its cap")
            total += size
            over = ends(kind, total, first8(hashed), size) and not (inner and place == 0)
            if place + 1 < len(node):
                check(not over, "a node goes on where it has to end")
            elif following is not None:
                next_size = following[2] + (0 if following[0] in listed else following[3])
                check(over or total + next_size > cap, "a node ends where it has to go on")


def check_tree(repo, kind, reference):
    """The number of nodes."""
    level, count = [cbor(reference[1]) if reference[0] else repo.parsed(NODE, reference[1])], 1
    while level[0][1]:
        check(len(level) > 1 or len(level[0][3]) > 1, "a root with one entry")
        entries = [[(None, id, 48 + len(cbor2.dumps(summary)), 0) for id, _, summary in node[3]] for node in level]
        check_level(kind, entries, True)
        level = [repo.parsed(NODE, entry[0]) for node in level for entry in node[3]]
        count += len(level)
    leaves = [leaf_items(kind, leaf) for leaf in level]
    check(len(leaves) == 1 or all(leaves), "an empty leaf")
    if leaves[0]:
        check_level(kind, [[step for _, steps in leaf for step in steps] for leaf in leaves], False)
    for number, leaf in enumerate(leaves):
        following = leaves[number + 1][:1] if number + 1 < len(leaves) else []
        for place, ((a, _), (b, _)) in enumerate(zip(leaf, leaf[1:] + following)):
            divided = a and a[0] == "cells" and place + 1 == len(leaf)  # cells may be divided between leaves
            check(divided or not (a and b) or (a[0], a[2]) != (b[0], b[1]), "neighbours that continue each other are two items")
    return count


def check_trees(repo, revision, table):
    """The number of nodes of all ropes of a table."""
    _, _, _, spine, live, ropes = repo.tables(revision)[table][:6]
    return sum(check_tree(repo, kind, rope) for kind, rope in [(SPINE, spine), (LIVE, live), *((VALUES, rope) for rope in ropes)])


# ---- section 10: boundaries of chunks and blocks -------------------------------------------------------------------


def mix(x):
    product = (x ^ 0x9E3779B97F4A7C15) * 0xD6E8FEB86659FD93
    return product & WORD ^ product >> 64


def width(kind):
    if kind.name == "fixed_list":
        inner = width(kind.inner[0])
        return inner and inner * int(kind.args[0])
    return kind.width


def row_size(kind, value):
    if value is None:
        value = empty(kind)
    if width(kind):
        return width(kind)
    if kind.name == "bool":
        return 1
    if kind.name == "struct":
        return sum(row_size(inner, value[name]) for name, inner in zip(kind.fields, kind.inner))
    if kind.name == "list":
        return 4 + sum(row_size(kind.inner[0], item) for item in value)
    return 4 + len(value.encode() if isinstance(value, str) else value)


def flat_bytes(kind, value):
    """The canonical bytes of a value of fixed width, nulls as zeros."""
    if value is None:
        value = empty(kind)
    return b"".join(flat_bytes(kind.inner[0], item) for item in value) if kind.name == "fixed_list" else fixed_bytes(kind, value)


def row_mix(kind, value):
    if value is None:
        value = empty(kind)
    if kind.name == "bool":
        return mix(int(value))
    if kind.name == "struct":
        h, parts = 0, [row_mix(inner, value[name]) for name, inner in zip(kind.fields, kind.inner)]
    elif kind.name == "list":
        h = mix(len(value))
        parts = [row_mix(kind.inner[0], item) for item in (value[:8] + value[-8:] if len(value) > 16 else value)]
    else:
        data = flat_bytes(kind, value) if width(kind) else value.encode() if isinstance(value, str) else value
        if width(kind) and len(data) <= 8:
            return mix(le(data))
        if width(kind) and len(data) <= 16:
            return mix(le(data[8:]) ^ mix(le(data[:8])))
        h = mix(len(data))
        data = data[:64] + data[-64:] if len(data) > 128 else data
        parts = [le(data[i : i + 8]) for i in range(0, len(data), 8)]
    for part in parts:
        h = mix(h ^ part)
    return h


def check_chunk(repo, id, last):
    """A chunk of one write ends where it has to; its blocks too. `last`: the write ended with it."""
    text, values = repo.chunk(id)
    kind = parse_type(text)
    total = h = first = size_in_block = 0
    blocks, w = [], width(kind)
    block_rows = min(65536, -(--(-65536 // w) // (64 // math.gcd(w, 64))) * (64 // math.gcd(w, 64))) if w else 65536
    for row, value in enumerate(values):
        size = row_size(kind, value)
        total, size_in_block = total + size, size_in_block + size
        if row + 1 - first == block_rows or not w and kind.name != "bool" and (size_in_block >= 65536 or size >= 16384):
            blocks.append(row + 1 - first)
            first, size_in_block = row + 1, 0
        h = (h << min(64, max(1, size // 1024))) + row_mix(kind, value) & WORD
        drawn = h >> 32 < max((size << 32) // 786432, (1 << 32) // 49152)
        over = (total >= 262144 or row + 1 >= 16384) and drawn or total >= 4194304 or row + 1 >= 262144
        if row + 1 < len(values):
            check(not over, f"chunk {id.hex()} goes on after row {row + 1}, where it has to end")
        else:
            check(over or last, f"chunk {id.hex()} ends after row {row + 1}, where it has to go on")
    blocks += [len(values) - first] if first < len(values) else []
    data, _, _, length = repo.stored(CHUNK, id)
    found = [block[0] for block in cbor(data[8 : 8 + le(data[:4])])[2]]
    check(found == blocks, f"chunk {id.hex()}: blocks of {found} rows where {blocks} are right")


def check_table(repo, revision, table, column=None):
    chunks = 0
    _, _, columns, _, _, ropes = repo.tables(revision)[table][:6]
    for described, rope in zip(columns, ropes):
        if column in (None, described[1]):
            ids = []
            for leaf in repo.leaves(rope, VALUES):
                numbers = Varints(leaf[7])
                while numbers.more():
                    tag_and_n = numbers.next()
                    check(tag_and_n & 7 == 1, f"column {described[1]} is not made of whole chunks")
                    ids.append(leaf[4][tag_and_n >> 3][0])
            for number, id in enumerate(ids):
                check(parse_type(repo.chunk(id)[0]).key() == storage(parse_type(described[2])).key(), "a chunk of another type")
                check_chunk(repo, id, number + 1 == len(ids))
            chunks += len(ids)
    return chunks


def check_checks(repo):
    """Checks of compressed bytes, and the zeros between objects; the number of checks."""
    found, ends_by_pack, by_frame = 0, {}, {}
    for id, (pack, kind, frame, offset, length, header) in repo.index.items():
        if frame is not None:
            by_frame.setdefault((pack, frame), []).append((offset, offset + length))
            continue
        ends_by_pack.setdefault(pack, [(0, 8)]).append((offset, offset + length))
        if kind == CHUNK:
            data = repo.stored(kind, id)[0]
            a, at = le(data[:4]), header
            for codec, size, _, sum in cbor(data[8 + a : header]):
                at = -(-at // 64) * 64
                check(sum == (first8(data[at : at + size]) if codec else 0), f"chunk {id.hex()}: the check of a block does not hold")
                at, found = at + size, found + 1
    for pack, frames in repo.frames.items():
        for number, (offset, stored, length, sum) in enumerate(frames):
            ends_by_pack.setdefault(pack, [(0, 8)]).append((offset, offset + stored))
            check(sum == first8(repo.file(pack, offset, stored)), f"{pack}: the check of frame {number} does not hold")
            found += 1
    for (pack, number), ranges in by_frame.items():
        # An object that stands in several packs is known in one of them alone: the others' frames have gaps here.
        check(max(end for _, end in ranges) <= repo.frames[pack][number][2], f"{pack}: frame {number} is shorter than its objects")
    for pack, ranges in ends_by_pack.items():
        data, ranges = repo.file(pack), sorted(ranges)
        for (_, end), (start, _) in zip(ranges, ranges[1:]):
            check(0 <= start - end < 64 and not any(data[end:start]), f"{pack}: what lies between two objects is not padding")
    return found


def main(arguments):
    repo, verb, rest = Repo(arguments[0]), arguments[1], arguments[2:]
    if verb == "checks":
        print(check_checks(repo))
    elif verb == "chunks":
        print(check_table(repo, *rest))
    else:
        print(check_trees(repo, *rest))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Fault as fault:
        sys.exit(f"rules.py: {fault}")
