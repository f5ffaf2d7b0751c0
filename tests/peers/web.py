"""A plain web server for one folder, as any static host is one: files, whole or a range of them, with an ETag; no lists, and nothing can be written.

usage: web.py FOLDER PORT
"""

import http.server
import os
import re
import sys


class Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = os.path.realpath(os.path.join(FOLDER, self.path.split("?")[0].lstrip("/")))
        if not path.startswith(FOLDER + os.sep) or not os.path.isfile(path):
            return self.answer(404, b"not found\n")
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            length = status.st_size
            headers = {"Last-Modified": self.date_time_string(int(status.st_mtime)), "ETag": f'"{status.st_mtime_ns:x}-{length:x}"', "Accept-Ranges": "bytes"}
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked is None:
                return self.answer(200, file.read(), headers)
            first, last = int(asked[1]), min(int(asked[2] or length), length - 1)
            if first >= length:
                return self.answer(416, b"", {"Content-Range": f"bytes */{length}"})
            file.seek(first)
            self.answer(206, file.read(last - first + 1), headers | {"Content-Range": f"bytes {first}-{last}/{length}"})

    do_HEAD = do_GET

    def refuse(self):
        # What was sent is taken, so that the connection can go on.
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(405, b"", {"Allow": "GET, HEAD"})

    do_PUT = do_POST = do_DELETE = refuse

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


FOLDER = os.path.realpath(sys.argv[1])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Files).serve_forever()
