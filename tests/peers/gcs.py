"""gcp-storage-emulator, with what it lacks of the protocol that object stores' clients speak with Google: its XML API answers GET and PUT alone, and names no ETag, generation or time.

usage: gcs.py PORT BUCKET [--bare | --conditions]

As it is, the emulator ignores the conditions of writes. --conditions heeds them here, in front of it, as Google does: `x-goog-if-generation-match`, 0 for none. --bare adds nothing at all.
"""

import sys
import threading
import urllib.parse
from email.utils import formatdate
from functools import partial
from http import server
from xml.sax.saxutils import escape

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import buckets, objects
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

# One request at a time: the generation that was looked at is the one that is replaced, and the one that is told is that of the bytes.
TURN = threading.Lock()


class Google(RequestHandler):
    protocol_version = "HTTP/1.1"

    def parts(self):
        url = urllib.parse.urlsplit(self.path)
        bucket, _, name = url.path.lstrip("/").partition("/")
        return bucket, urllib.parse.unquote(name), urllib.parse.parse_qs(url.query)

    def found(self, bucket, name):
        try:
            return self.storage.get_file_obj(bucket, name)
        except NotFound:
            return None

    def do_GET(self):
        bucket, name, query = self.parts()
        if not name:
            return self.list(bucket, query.get("prefix", [""])[0])
        # The emulator answers it; what it leaves out is added as the head of the answer ends.
        with TURN:
            self.file = self.found(bucket, name)
            super().do_GET()

    def do_HEAD(self):
        bucket, name, _ = self.parts()
        self.file = self.found(bucket, name)
        self.answer(200 if self.file else 404, b"", self.file["size"] if self.file else 0)

    def do_PUT(self):
        bucket, name, _ = self.parts()
        with TURN:
            before = self.found(bucket, name)
            wanted = self.headers.get("x-goog-if-generation-match")
            if CONDITIONS and wanted is not None and wanted != (before["generation"] if before else "0"):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            if self.headers.get("Content-Length") == "0":
                # The emulator stumbles over a file without bytes.
                made = objects._make_object_resource("", bucket, name, "application/octet-stream", "0")
                self.storage.create_file(bucket, name, b"", objects._checksums(b"", made))
                self.file = made
                return self.answer(200, b"")
            self.file = lambda: self.found(bucket, name)
            super().do_PUT()

    def do_DELETE(self):
        bucket, name, _ = self.parts()
        try:
            self.storage.delete_file(bucket, name)
            self.answer(204, b"")
        except NotFound:
            self.answer(404, b"")

    def list(self, bucket, prefix):
        files, folders = self.storage.get_file_list(bucket, prefix, "/")
        rows = "".join(
            f"<Contents><Key>{escape(file['name'])}</Key><Size>{file['size']}</Size><LastModified>{file['updated']}</LastModified><ETag>{escape(tag(file))}</ETag></Contents>"
            for file in files
        )
        rows += "".join(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders)
        self.answer(200, f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>{rows}</ListBucketResult>".encode())

    def answer(self, status, body, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self):
        file = getattr(self, "file", None)
        file = file() if callable(file) else file
        if file:
            self.send_header("ETag", tag(file))
            self.send_header("x-goog-generation", file["generation"])
            self.send_header("Last-Modified", formatdate(int(file["generation"]) / 1e9, usegmt=True))
        self.file = None
        super().end_headers()


def tag(file):
    return f'"{file["generation"]}"'


port, bucket = int(sys.argv[1]), sys.argv[2]
CONDITIONS = "--conditions" in sys.argv
storage = Storage(use_memory_fs=True, data_dir=None)
buckets.create_bucket(bucket, storage)
handler = RequestHandler if "--bare" in sys.argv else Google
server.ThreadingHTTPServer(("127.0.0.1", port), partial(handler, storage)).serve_forever()
