"""Runs a server, in a folder of its own, until the input of this program ends; then ends it and takes the folder away. So nothing outlives the tests, however they end.

usage: keep.py PROGRAM ARGUMENT...    `{dir}` in an argument is the folder. Its path is written first; what the server writes goes to `log` there.
"""

import subprocess
import sys
import tempfile
import threading


def main():
    with tempfile.TemporaryDirectory(prefix="dsv-server-", ignore_cleanup_errors=True) as folder:
        with open(f"{folder}/log", "wb") as log:
            command = [argument.replace("{dir}", folder) for argument in sys.argv[1:]]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            print(folder, flush=True)
            # One that ends on its own is told by the end of this program's output.
            threading.Thread(target=lambda: (server.wait(), sys.stdout.close()), daemon=True).start()
            try:
                sys.stdin.buffer.read()
            except KeyboardInterrupt:
                pass
            server.kill()
            server.wait()


main()
