"""Serves one folder by HTTP, with ranges: httpd.py FOLDER PORTFILE. Ends with its parent's test.

/live/FILE does not tell its length, /once/FILE only from the second time on.
"""

import http.server
import os
import re
import sys


was_asked = set()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            with open(os.path.join(sys.argv[1], os.path.basename(self.path)), "rb") as file:
                body = file.read()
        except FileNotFoundError:
            self.send_error(404)
            return
        if self.path.startswith("/live/") or self.path.startswith("/once/") and not was_asked:
            was_asked.add(self.path)
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            return
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        begin = int(wanted[1]) if wanted else 0
        end = int(wanted[2]) + 1 if wanted and wanted[2] else len(body)
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - begin))
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(body)}")
        self.end_headers()
        try:
            self.wfile.write(body[begin:end])
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[2] + ".new", "w", encoding="ascii") as file:
    file.write(str(server.server_port))
os.rename(sys.argv[2] + ".new", sys.argv[2])
server.serve_forever()
