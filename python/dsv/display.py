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


def log_html(lines: Sequence[dict[str, Any]]) -> str:
    """Commits as a list, with the names that point at them."""
    rows = []
    for line in lines:
        names = " ".join(f"<b>{html.escape(ref['name'])}</b>" for ref in line.get("refs", []))
        mark = "&#9675;" if len(line["parents"]) > 1 else "&#9679;"
        rows.append(f"<tr><td>{mark} <code>{line['commit'][:8]}</code></td><td>{names} {html.escape(line['message'])}</td><td>{html.escape(line['author']['name'])}</td><td>{line['time'][:16]}</td></tr>")
    return f'{_STYLE}<table class="dsv">{"".join(rows)}</table>'


def diff_html(lines: Sequence[dict[str, Any]]) -> str:
    """Changes, each with what was before and what is after."""
    rows = []
    for line in lines[:500]:
        place = line.get("key") if line.get("key") is not None else line.get("row")
        shown = ", ".join(map(str, place.values())) if isinstance(place, dict) else str(place or "")
        before, after = line.get("before"), line.get("after")
        rows.append(
            f"<tr><td>{html.escape(line['table'])}</td><td>{html.escape(line['change'])}</td><td>{html.escape(shown)}</td><td>{html.escape(line.get('column') or '')}</td>"
            f"<td>{'' if before is None else f'<del>{cell_html(before)}</del>'}</td><td>{'' if after is None else f'<ins>{cell_html(after)}</ins>'}</td></tr>"
        )
    more = f"<p>500 of {len(lines)} changes</p>" if len(lines) > 500 else ""
    return f'{_STYLE}<table class="dsv"><tr><th>table</th><th>change</th><th>row</th><th>column</th><th>before</th><th>after</th></tr>{"".join(rows)}</table>{more}'
