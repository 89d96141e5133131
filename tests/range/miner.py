#!/usr/bin/env python3
"""Stand-in of a miner: logs in to a pool on loopback and sends one share a second. Computes nothing; says
in /run/started that it was started.

    miner.py -o stratum+tcp://127.0.0.1:PORT -u WALLET ...
"""
import json, socket, sys, time

with open("/run/started", "a") as started:
    started.write("miner\n")
port, wallet = int(sys.argv[2].rsplit(":", 1)[1]), sys.argv[4]
pool = socket.create_connection(("127.0.0.1", port))
answers = pool.makefile("rb")


def say(number, method, params):
    line = {"id": number, "jsonrpc": "2.0", "method": method, "params": params}
    pool.sendall(json.dumps(line).encode() + b"\n")
    return answers.readline()


say(1, "login", {"login": wallet, "pass": "x", "agent": "XMRig/6.21.0 (Linux x86_64)", "algo": ["rx/0"]})
number = 2
while say(number, "submit", {"id": "s1", "job_id": "j1", "nonce": "%08x" % number, "result": "00" * 32}):
    number += 1
    time.sleep(1)
