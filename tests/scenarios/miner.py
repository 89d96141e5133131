#!/usr/bin/env python3
"""The words of a miner, without the mining: one stand-in for each dialect.

    miner.py PORT [--dialect NAME] [--via connect|socks4|socks5 --proxy PORT] [--split N] [--share] [--hold]

Prints "in" after the first job. With --share a share is sent the moment the first job comes. With --hold it stays
until its input ends.
"""
import argparse, json, socket, struct, sys

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--dialect", default="cryptonote")
parser.add_argument("--via")
parser.add_argument("--proxy", type=int)
parser.add_argument("--split", type=int, default=0)
parser.add_argument("--share", action="store_true")
parser.add_argument("--hold", action="store_true")
options = parser.parse_args()

WALLET = "48" + "TestWalletNotReal" + "x" * 76  # 95 characters, no valid address
BITCOIN = "bc1qtestwalletnotrealnotrealnotreal00000000"
ETHER = "0x" + "00" * 19 + "42"
LOGIN = {
    "cryptonote": [{"id": 1, "jsonrpc": "2.0", "method": "login", "params": {"login": WALLET, "pass": "x", "agent": "XMRig/6.21.0 (Linux x86_64)", "algo": ["rx/0", "cn/r"]}}],
    "stratum-v1": [{"id": 1, "method": "mining.subscribe", "params": ["cpuminer/2.5.1"]}, {"id": 2, "method": "mining.authorize", "params": [BITCOIN + ".rig1", "x"]}],
    "eth-proxy": [{"id": 1, "jsonrpc": "2.0", "method": "eth_submitLogin", "worker": "rig1", "params": [ETHER, "x"]}, {"id": 2, "jsonrpc": "2.0", "method": "eth_getWork", "params": []}],
    "nicehash": [{"id": 1, "method": "mining.subscribe", "params": ["miner/1.0", "EthereumStratum/1.0.0"]}, {"id": 2, "method": "mining.authorize", "params": [ETHER + ".rig1", "x"]}],
    "eip-1571": [{"id": 0, "method": "mining.hello", "params": {"agent": "ethminer-0.17", "host": "pool.test", "port": "4d", "proto": "EthereumStratum/2.0.0"}}, {"id": 1, "method": "mining.authorize", "params": [ETHER + ".rig1", "x"]}],
    "zcash": [{"id": 1, "method": "mining.subscribe", "params": ["miner/1.0", None, "pool.test", "3333"]}, {"id": 2, "method": "mining.authorize", "params": ["t1TestWalletNotReal.rig1", "x"]}],
    "daemon": [{"id": 1, "jsonrpc": "2.0", "method": "getblocktemplate", "params": {"wallet_address": WALLET, "reserve_size": 8}}],
}
SHARE = {
    "cryptonote": {"id": 3, "jsonrpc": "2.0", "method": "submit", "params": {"id": "s1", "job_id": "j1", "nonce": "00000000", "result": "00" * 32, "algo": "rx/0"}},
    "eth-proxy": {"id": 3, "jsonrpc": "2.0", "method": "eth_submitWork", "params": ["0x01", "0x" + "11" * 32, "0x" + "33" * 32]},
    "daemon": {"id": 3, "jsonrpc": "2.0", "method": "submitblock", "params": ["0707" + "00" * 74]},
}
BITCOIN_SHARE = {"id": 3, "method": "mining.submit", "params": ["rig1", "1", "00000000", "5f5e1000", "00000001"]}


def send(pool, data):
    step = options.split or len(data)
    for start in range(0, len(data), step):
        pool.sendall(data[start : start + step])


def wire(message):
    body = json.dumps(message).encode() + b"\n"
    if options.dialect == "daemon":
        return f"POST /json_rpc HTTP/1.1\r\nHost: pool\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    return body


def connect():
    pool = socket.create_connection((options.host, options.proxy or options.port))
    pool.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if options.via == "connect":
        send(pool, f"CONNECT 127.0.0.1:{options.port} HTTP/1.1\r\nHost: 127.0.0.1:{options.port}\r\n\r\n".encode())
        while b"\r\n\r\n" not in pool.recv(4096):
            pass
    elif options.via == "socks4":
        send(pool, struct.pack(">BBH4sB", 4, 1, options.port, socket.inet_aton("127.0.0.1"), 0))
        pool.recv(8)
    elif options.via == "socks5":
        send(pool, b"\x05\x01\x00")
        pool.recv(2)
        send(pool, b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + struct.pack(">H", options.port))
        pool.recv(10)
    return pool


pool = connect()
stream = pool.makefile("rb")
try:
    for message in LOGIN[options.dialect]:
        send(pool, wire(message))
        if not stream.readline():
            sys.exit("the pool has hung up")
    if options.share:
        send(pool, wire(SHARE.get(options.dialect, BITCOIN_SHARE)))
        stream.readline()
    print("in", flush=True)
except OSError as error:
    sys.exit(f"cut: {error}")
if options.hold:
    sys.stdin.read()
