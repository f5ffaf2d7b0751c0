"""Bytes to values: types, canonical bytes and codecs, after sections 4 to 6 of docs/format.md. Part of reader.py."""

import re
import struct
from decimal import Context, Decimal
from itertools import accumulate

import zstandard

EXACT = Context(prec=100)


class Fault(Exception):
    """The repository breaks the format, or a hash does not hold."""


def check(truth, message):
    if not truth:
        raise Fault(message)


def le(data):
    return int.from_bytes(data, "little")


def unzstd(data):
    try:
        frame = zstandard.ZstdDecompressor().decompressobj()
        out = frame.decompress(data)
    except zstandard.ZstdError as error:
        raise Fault(f"not zstd: {error}") from error
    check(frame.eof and not frame.unused_data, "not one whole zstd frame")
    return out


class Float(float):
    """A float that remembers its stored bits, so that NaNs and -0.0 stay what they are."""

    def __new__(cls, value, bits):
        self = super().__new__(cls, value)
        self.bits = bits  # big-endian
        return self


# ---- section 6: types -------------------------------------------------------------------------------------------

WIDTHS = {f"{s}int{b}": b // 8 for s in ("", "u") for b in (8, 16, 32, 64)} | {"float16": 2, "float32": 4, "float64": 8, "date": 4}
CODES = {1: "b", 2: "h", 4: "i", 8: "q"}
TOKEN = re.compile(r'\s*("(?:[^"]|"")*"|[^\s<>(),:"]+|[<>(),:])')


class Type:
    """`name`, its `args` (numbers, units, zones, labels: text), the types in it and, for a struct, their field names."""

    def __init__(self, name, args=(), inner=(), fields=()):
        self.name, self.args, self.inner, self.fields = name, list(args), list(inner), list(fields)

    def key(self):
        return (self.name, tuple(self.args), tuple(t.key() for t in self.inner), tuple(self.fields))

    @property
    def width(self):
        """Bytes of a value of fixed width, else None."""
        if self.name in WIDTHS:
            return WIDTHS[self.name]
        if self.name == "binary" and self.args:
            return int(self.args[0])
        if self.name == "time":
            return 4 if self.args[0] in ("s", "ms") else 8
        return {"decimal": 16, "decimal256": 32, "timestamp": 8, "duration": 8}.get(self.name)


def parse_type(text):
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = TOKEN.match(text, at)
        check(match, f"type {text!r}")
        tokens.append(match[1])
        at = match.end()
    tokens.append("")
    tokens.reverse()

    def plain(token):
        return token[1:-1].replace('""', '"') if token.startswith('"') else token

    def take(wanted):
        check(tokens.pop() == wanted, f"type {text!r}")

    def one():
        kind = Type(tokens.pop())
        check(re.fullmatch(r"\w+", kind.name), f"type {text!r}")
        if tokens[-1] == "<":
            tokens.pop()
            while tokens[-1] != ">":
                if kind.name == "struct":
                    kind.fields.append(plain(tokens.pop()))
                    take(":")
                if kind.name == "fixed_list" and kind.inner:
                    kind.args.append(tokens.pop())
                else:
                    kind.inner.append(one())
                if tokens[-1] != ">":
                    take(",")
            tokens.pop()
        elif tokens[-1] == "(":
            tokens.pop()
            while tokens[-1] != ")":
                check(tokens[-1], f"type {text!r}")
                if kind.name == "tensor" and kind.args:
                    kind.inner.append(one())
                else:
                    word = ""
                    while tokens[-1] not in (",", ")", ""):  # a zone may hold a colon: +02:00
                        word += plain(tokens.pop())
                    kind.args.append(word)
                if tokens[-1] == ",":
                    tokens.pop()
            tokens.pop()
        return kind

    kind = one()
    take("")
    return kind


def storage(kind):
    """The storage type of a column's type."""
    if kind.name in ("json", "enum"):
        return Type("text")
    if kind.name == "uuid":
        return Type("binary", ["16"])
    if kind.name in ("image", "audio", "video"):
        return Type("binary")
    if kind.name == "embedding":
        return Type("fixed_list", kind.args[:1], [Type(kind.args[1] if len(kind.args) > 1 else "float32")])
    if kind.name == "tensor":
        size = 1
        for side in kind.args[0].split("x"):
            size *= int(side)
        return Type("fixed_list", [str(size)], [storage(kind.inner[0])])
    inner = [storage(t) for t in kind.inner]
    if kind.name == "map":
        return Type("list", [], [Type("struct", [], inner, ["key", "value"])])
    return Type(kind.name, kind.args, inner, kind.fields)


# ---- section 5: canonical bytes ---------------------------------------------------------------------------------


def bits(data, n):
    check(n % 8 == 0 or data[-1] >> n % 8 == 0, "unused bits that are not zero")
    return [data[i >> 3] >> (i & 7) & 1 == 1 for i in range(n)]


class Canonical:
    """Decodes the canonical bytes of `rows` values of one storage type, buffers aligned to `align`."""

    def __init__(self, data, validity, align):
        self.data, self.validity, self.align = data, set(validity), align
        self.at = self.node = 0

    def buffer(self, size):
        start = -(-self.at // self.align) * self.align
        check(not any(self.data[self.at : start]), "padding that is not zero")
        check(start + size <= len(self.data), "canonical bytes are cut short")
        self.at = start + size
        return self.data[start : start + size]

    def values(self, kind, n):
        present = None
        if self.node in self.validity:
            present = bits(self.buffer(-(-n // 8)), n)
        self.node += 1
        out = self.plain(kind, n)
        if present is None:
            return out
        check(not all(present) and all(p or is_empty(v) for v, p in zip(out, present)), "a null with a value, or a bitmap without nulls")
        return [v if p else None for v, p in zip(out, present)]

    def offsets(self, n):
        offsets = struct.unpack(f"<{n + 1}I", self.buffer(4 * (n + 1)))
        check(offsets[0] == 0 and all(a <= b for a, b in zip(offsets, offsets[1:])), "offsets are not ascending")
        return offsets

    def plain(self, kind, n):
        name, width = kind.name, kind.width
        if name == "bool":
            return bits(self.buffer(-(-n // 8)), n)
        if width is not None:
            return fixed(kind, width, n, self.buffer(width * n))
        if name in ("text", "binary"):
            offsets = self.offsets(n)
            return [flat(name, body) for body in cut(self.buffer(offsets[-1]), offsets)]
        if name == "list":
            offsets = self.offsets(n)
            return cut(list(self.values(kind.inner[0], offsets[-1])), offsets)
        if name == "fixed_list":
            k = int(kind.args[0])
            items = list(self.values(kind.inner[0], n * k))
            return [items[i * k : i * k + k] for i in range(n)]
        check(name == "struct", f"storage type {name!r}")
        fields = [self.values(inner, n) for inner in kind.inner]
        return [dict(zip(kind.fields, row)) for row in zip(*fields)] if fields else [{} for _ in range(n)]


def is_empty(value):
    if isinstance(value, Float):
        return not any(value.bits)
    if isinstance(value, dict):
        return all(map(is_empty, value.values()))
    if isinstance(value, list):
        return all(map(is_empty, value))
    return value is not None and not (any(value) if isinstance(value, bytes) else value)


def cut(items, offsets):
    return [items[a:b] for a, b in zip(offsets, offsets[1:])]


def flat(name, body):
    try:
        return bytes(body).decode() if name == "text" else bytes(body)
    except UnicodeDecodeError as error:
        raise Fault("text that is not UTF-8") from error


def fixed(kind, width, n, data):
    name = kind.name
    if name == "uint8":
        return data  # bytes: a sequence of these integers
    if name.startswith("float"):
        numbers = struct.unpack(f"<{n}{ {2: 'e', 4: 'f', 8: 'd'}[width] }", data)
        return [Float(x, data[i * width : i * width + width][::-1]) for i, x in enumerate(numbers)]
    if name == "binary":
        return [bytes(data[i * width : i * width + width]) for i in range(n)]
    if name.startswith("decimal"):
        scale = int(kind.args[1])
        numbers = [int.from_bytes(data[i * width : i * width + width], "little", signed=True) for i in range(n)]
        return [decimal(x, scale) for x in numbers]
    code = CODES[width]
    return list(struct.unpack(f"<{n}{code.upper() if name.startswith('uint') else code}", data))


def decimal(unscaled, scale):
    return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -scale))


def decode(kind, rows, validity, data, align):
    reader = Canonical(data, validity, align)
    out = reader.values(kind, rows)
    check(reader.at == len(data), "bytes after the last canonical buffer")
    check(len(out) == rows and all(v < reader.node for v in validity), "canonical bytes do not fit their header")
    return out


# ---- section 4: chunks ------------------------------------------------------------------------------------------


def unshuffle(data, width):
    m = len(data) // width
    out = bytearray(data)
    for k in range(width):
        out[k : m * width : width] = data[k * m : (k + 1) * m]
    return bytes(out)


def undelta(data, width):
    m, mask = len(data) // width, (1 << 8 * width) - 1
    code = "IQ"[width == 8]
    sums = accumulate(struct.unpack_from(f"<{m}{code}", data), lambda total, x: total + x & mask)
    return struct.pack(f"<{m}{code}", *sums) + data[m * width :]


def canonical_texts(texts, bitmap):
    """The canonical bytes of text or binary values (A = 64), from a bitmap that may be empty."""
    out, offset = bytearray(bitmap), [0]
    for text in texts:
        offset.append(offset[-1] + len(text))
    for buffer in (struct.pack(f"<{len(offset)}I", *offset), b"".join(texts)):
        out += bytes(-len(out) % 64) + buffer
    return bytes(out)


def block_bytes(codec, parameter, body, kind, rows, validity):
    """The canonical bytes of a block."""
    if codec == 0:
        return body
    data = unzstd(body)
    if codec == 1:
        return data
    if codec == 2:
        return unshuffle(data, parameter)
    if codec == 3:
        return undelta(unshuffle(data, parameter), parameter)
    check(codec in (4, 5), f"unknown codec {codec}")
    check(kind.name in ("text", "binary") and kind.width is None, "a codec for text on another type")
    size = -(-rows // 8) if 0 in validity else 0
    bitmap, data = data[:size], data[size:]
    if codec == 4:
        k = le(data[:4])
        lengths = struct.unpack(f"<{k}I", data[4 : 4 + 4 * k])
        at, words = 4 + 4 * k, []
        for length in lengths:
            words.append(data[at : at + length])
            at += length
        indices = struct.unpack(f"<{rows}{'B' if k <= 256 else 'H'}", data[at:])
        check(all(i < k for i in indices), "a dictionary index is out of range")
        return canonical_texts([words[i] for i in indices], bitmap)
    lengths = struct.unpack(f"<{rows}I", unshuffle(data[: 4 * rows], 4))
    texts, at = [], 4 * rows
    for length in lengths:
        texts.append(data[at : at + length])
        at += length
    check(at == len(data), "bytes after the last value")
    return canonical_texts(texts, bitmap)




# ---- section 6: older values of a column that was widened ---------------------------------------------------------


def cast_all(values, source, target):
    if source.key() == target.key():
        return values
    return [None if v is None else cast(v, source, target) for v in values]


def cast(value, source, target):
    to, width = target.name, target.width
    if source.name == to == "list" or source.name == to == "fixed_list" and source.args == target.args:
        return cast_all(value, source.inner[0], target.inner[0])
    if isinstance(value, int) and not isinstance(value, bool) and "int" in to:
        return value
    if isinstance(value, (int, Float)) and to.startswith("float"):
        bits = struct.pack({4: ">f", 8: ">d"}[width], value)
        return Float(value, bits)
    if isinstance(value, Decimal) and to.startswith("decimal"):
        unscaled = int(value.scaleb(-value.as_tuple().exponent, EXACT))
        return decimal(unscaled * 10 ** (int(target.args[1]) - int(source.args[1])), int(target.args[1]))
    raise Fault(f"no cast from {source.name} to {target.name}")
