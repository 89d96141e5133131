#!/usr/bin/env python3
"""Serves a folder over HTTP on loopback; says so on stdout when it listens.

    serve.py PORT FOLDER
"""
import functools, http.server, sys

handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[2])
handler.func.log_message = lambda *_: None
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler)
print("ready", flush=True)
server.serve_forever()
