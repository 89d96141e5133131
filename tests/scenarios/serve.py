#!/usr/bin/env python3
"""Serves a folder over HTTP on loopback, or at an address; says so on stdout when it listens.

    serve.py PORT FOLDER [ADDRESS]
"""
import functools, http.server, sys

handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[2])
handler.func.log_message = lambda *_: None
server = http.server.ThreadingHTTPServer((sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1", int(sys.argv[1])), handler)
print("ready", flush=True)
server.serve_forever()
