#!/usr/bin/env python3
"""A mining pool of our own on loopback. Speaks every dialect, mines nothing, counts the shares it is sent.

    pool.py [--delay MS] [--host ADDRESS] [--port PORT]     prints its port; on the end of its input prints "shares N" and ends.
"""
import argparse, json, socket, sys, threading, time

parser = argparse.ArgumentParser()
parser.add_argument("--delay", type=float, default=20.0, help="milliseconds before the first job")
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=0)
options = parser.parse_args()
shares, lock = 0, threading.Lock()

CRYPTONOTE_JOB = {"blob": "0707" + "00" * 74, "job_id": "j1", "target": "b88d0600", "algo": "rx/0", "height": 7, "seed_hash": "ab" * 32}
NOTIFY = {"id": None, "method": "mining.notify", "params": ["1", "00" * 32, "01", "02", [], "20000000", "1d00ffff", "5f5e1000", True]}
SHARE_VERBS = {"submit", "mining.submit", "eth_submitWork", "submitblock"}


def answers(message):
    verb, number = message.get("method"), message.get("id")
    if verb == "login":
        return [{"id": number, "jsonrpc": "2.0", "error": None, "result": {"id": "s1", "job": CRYPTONOTE_JOB, "extensions": ["algo", "keepalive"], "status": "OK"}}]
    if verb == "mining.subscribe":
        return [{"id": number, "result": [[["mining.notify", "ae68"]], "08000002", 4], "error": None}]
    if verb == "mining.hello":
        return [{"id": number, "result": {"proto": "EthereumStratum/2.0.0", "encoding": "plain", "resume": "0", "timeout": "b4", "maxerrors": "5", "node": "pool/1"}, "error": None}]
    if verb == "mining.authorize":
        return [{"id": number, "result": True, "error": None}, {"id": None, "method": "mining.set_difficulty", "params": [2048]}, NOTIFY]
    if verb == "eth_submitLogin":
        return [{"id": number, "jsonrpc": "2.0", "result": True}]
    if verb == "eth_getWork":
        return [{"id": number, "jsonrpc": "2.0", "result": ["0x" + "11" * 32, "0x" + "22" * 32, "0x00000000ffff" + "00" * 26]}]
    if verb == "getblocktemplate":
        return [{"id": number, "jsonrpc": "2.0", "result": {"blocktemplate_blob": "0707" + "00" * 74, "difficulty": 100, "height": 7, "status": "OK"}}]
    return [{"id": number, "result": {"status": "OK"}, "error": None}]


def serve(client):
    global shares
    stream, http, length = client.makefile("rwb"), False, 0
    with client:
        for line in stream:
            if line.startswith(b"POST "):
                http = True
                for header in iter(stream.readline, b"\r\n"):
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                line = stream.read(length)
            try:
                message = json.loads(line)
            except ValueError:
                return
            if message.get("method") in SHARE_VERBS:
                with lock:
                    shares += 1
            time.sleep(options.delay / 1000)
            body = b"".join(json.dumps(answer).encode() + b"\n" for answer in answers(message))
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() if http else b""
            stream.write(head + body)
            stream.flush()


def worker(client):
    try:
        serve(client)
    except OSError:
        pass  # the miner was cut or ended: that is what is tested


def accept(server):
    while True:
        client, _ = server.accept()
        threading.Thread(target=worker, args=(client,), daemon=True).start()


server = socket.create_server((options.host, options.port), family=socket.AF_INET6 if ":" in options.host else socket.AF_INET, backlog=256)
threading.Thread(target=accept, args=(server,), daemon=True).start()
print(server.getsockname()[1], flush=True)
sys.stdin.read()
print("shares", shares, flush=True)
