"""How things look in a notebook."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import Any

_STYLE = "<style>.dsv td,.dsv th{text-align:left;vertical-align:top;padding:2px 8px}.dsv img{max-height:96px;max-width:160px}.dsv ins{background:#d8f5d8;text-decoration:none}.dsv del{background:#f8dada}</style>"


def _kind(data: bytes) -> str | None:
    """The media type of a picture that browsers show, by its first bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"GIF8"):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def cell_html(value: Any) -> str:
    """A cell: pictures as such, long texts and vectors shortened."""
    if value is None:
        return "<i>null</i>"
    if isinstance(value, bytes):
        kind = _kind(value)
        if kind is not None and len(value) <= 1 << 20:
            return f'<img src="data:{kind};base64,{base64.b64encode(value).decode()}">'
        return f"{len(value)} bytes"
    if isinstance(value, list) and len(value) > 6:
        return html.escape(f"[{', '.join(map(str, value[:4]))}, ... {len(value)} in all]")
    text = str(value)
    return html.escape(text if len(text) <= 200 else text[:200] + "...")


def rows_html(names: Sequence[str], types: Sequence[str], rows: Sequence[dict[str, Any]], count: int | None) -> str:
    """Rows as a table."""
    head = "".join(f"<th>{html.escape(name)}<br><small>{html.escape(ty)}</small></th>" for name, ty in zip(names, types))
    body = "".join("<tr>" + "".join(f"<td>{cell_html(row[name])}</td>" for name in names) + "</tr>" for row in rows)
    more = f"<p>{len(rows)} of {count} rows</p>" if count is not None and count > len(rows) else ""
    return f'{_STYLE}<table class="dsv"><tr>{head}</tr>{body}</table>{more}'


#: Height of a line of the log, and distance between two lanes of its graph, in pixels.
_LINE, _LANE = 26, 14
_COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2")


def lanes(lines: Sequence[dict[str, Any]]) -> list[tuple[int, list[tuple[int, int]]]]:
    """Of each commit its lane, and the lines to the next one: from which lane to which. Commits stand below their children."""
    active: list[str] = []
    drawn = []
    for line in lines:
        if line["commit"] not in active:
            active.append(line["commit"])
        lane = active.index(line["commit"])
        # The first parent goes on in the lane; others come after it.
        below = [commit for at, old in enumerate(active) for commit in (line["parents"] if at == lane else [old])]
        unique = list(dict.fromkeys(below))
        edges = [(at, unique.index(commit)) for at, old in enumerate(active) for commit in (line["parents"] if at == lane else [old])]
        drawn.append((lane, edges))
        active = unique
    return drawn


def _middle(lane: int) -> int:
    return lane * _LANE + _LANE // 2


def log_html(lines: Sequence[dict[str, Any]]) -> str:
    """Commits as a graph, with the names that point at them."""
    graph = lanes(lines)
    width = _LANE * (1 + max((place for lane, edges in graph for place in (lane, *sum(edges, ()))), default=0))
    shapes: list[str] = []
    for row, (lane, edges) in enumerate(graph):
        y = row * _LINE + _LINE // 2
        for start, end in edges:
            bend = f"C{_middle(start)},{y + _LINE // 2} {_middle(end)},{y + _LINE // 2} {_middle(end)},{y + _LINE}"
            shapes.append(f'<path d="M{_middle(start)},{y} {bend}" fill="none" stroke="{_COLOURS[end % len(_COLOURS)]}" stroke-width="2"/>')
    for row, (lane, _) in enumerate(graph):
        colour = _COLOURS[lane % len(_COLOURS)]
        fill = "white" if len(lines[row]["parents"]) > 1 else colour
        shapes.append(f'<circle cx="{_middle(lane)}" cy="{row * _LINE + _LINE // 2}" r="4.5" fill="{fill}" stroke="{colour}" stroke-width="2"/>')
    drawing = f'<svg width="{width}" height="{len(lines) * _LINE}" style="display:block">{"".join(shapes)}</svg>'
    rows = []
    for row, line in enumerate(lines):
        names = " ".join(f"<b>{html.escape(ref['name'])}</b>" for ref in line.get("refs", []))
        message = html.escape((line["message"].splitlines() or [""])[0])
        first = f'<td rowspan="{len(lines)}" style="padding:0">{drawing}</td>' if row == 0 else ""
        cells = f"<td><code>{line['commit'][:8]}</code></td><td>{names} {message}</td><td>{html.escape(line['author']['name'])}</td><td>{line['time'][:16].replace('T', ' ')}</td>"
        rows.append(f'<tr style="height:{_LINE}px;white-space:nowrap">{first}{cells}</tr>')
    return f'{_STYLE}<table class="dsv" style="border-spacing:0">{"".join(rows)}</table>'


def page_html(page: str) -> str:
    """What stands on a page, to stand in another one."""
    body = page.partition("<body>")[2].rpartition("</body>")[0]
    return f'{_STYLE}<div class="dsv">{body}</div>'
