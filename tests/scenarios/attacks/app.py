#!/usr/bin/env python3
"""A careless web application: /lookup?host=NAME runs a command with NAME in it. Says when it listens."""
import http.server, subprocess, urllib.parse


class Lookup(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        command = "getent hosts " + asked.get("host", [""])[0]
        answer = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE).stdout
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Lookup)
print("ready", flush=True)
server.serve_forever()
