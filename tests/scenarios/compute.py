#!/usr/bin/env python3
"""Computes real RandomX (PyPI randomx, light mode) and throws the hashes away.

    compute.py [--threads N] [--pool PORT --wallet TEXT]

With --pool it holds a connection to that loopback port. Prints "mining" once the first hash is done; ends with its
input.
"""
import argparse, os, socket, sys, threading

import randomx

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--pool", type=int)
options = parser.parse_args()

held = socket.create_connection(("127.0.0.1", options.pool)) if options.pool else None
# The login stays in memory as a miner's configuration would, and nowhere else.
wallet = os.environ.pop("SCENARIO_WALLET", None)
login = f'{{"url":"127.0.0.1:{options.pool}","user":"{wallet}","algo":"rx/0"}}' if wallet else ""
started = threading.Event()


def mine(number):
    vm, count = randomx.RandomX(b"minesweep test key", full_mem=False, secure=False, large_pages=False), 0
    while True:
        vm(f"{number} {count}".encode())
        count += 1
        started.set()


for number in range(options.threads):
    threading.Thread(target=mine, args=(number,), daemon=True).start()
started.wait()
print("mining", flush=True)
sys.stdin.read()
