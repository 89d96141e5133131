#!/usr/bin/env python3
"""Honest programs whose lines look like a pool's: language server, MCP, Ethereum node, Electrum, Zabbix, chat, CI.

Plays both ends of each conversation over loopback, then prints "done".
"""
import json, socket, sys, threading

TALKS = {
    "language server": [({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": 7, "rootUri": "file:///src", "capabilities": {}}}, {"jsonrpc": "2.0", "id": 1, "result": {"capabilities": {}}}),
                        ({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": {"uri": "file:///a", "text": "mining.submit"}}}, {"jsonrpc": "2.0", "method": "$/progress", "params": {"token": 1}})],
    "mcp": [({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "submit", "arguments": {"job_id": "7"}}}, {"jsonrpc": "2.0", "id": 1, "result": {"content": []}})],
    "ethereum node": [({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}, {"jsonrpc": "2.0", "id": 1, "result": {"number": "0x1", "difficulty": "0x2", "miner": "0x" + "00" * 20}}),
                      ({"jsonrpc": "2.0", "id": 2, "method": "eth_hashrate", "params": []}, {"jsonrpc": "2.0", "id": 2, "result": "0x0"}),
                      ({"jsonrpc": "2.0", "id": 3, "method": "eth_mining", "params": []}, {"jsonrpc": "2.0", "id": 3, "result": False})],
    "electrum": [({"id": 0, "method": "server.version", "params": ["electrum/4.5", "1.4"]}, {"id": 0, "result": ["ElectrumX 1.16", "1.4"]}),
                 ({"id": 1, "method": "blockchain.scripthash.subscribe", "params": ["00" * 32]}, {"id": 1, "result": None})],
    "zabbix": [({"request": "active checks", "host": "web1"}, {"response": "success", "data": []}),
               ({"jsonrpc": "2.0", "method": "user.login", "params": {"username": "Admin", "password": "x"}, "id": 1}, {"jsonrpc": "2.0", "result": "0424bd59b807674191e7d77572075f33", "id": 1})],
    "chat": [({"method": "login", "params": {"user": "ann", "password": "x"}, "id": 1}, {"id": 1, "result": {"status": "OK"}})],
    "ci": [({"id": 1, "method": "job", "params": {"job_id": "17", "status": "queued"}}, {"id": 1, "result": "ok"}),
           ({"id": 2, "method": "submit", "params": {"job_id": "17", "result": "passed"}}, {"id": 2, "result": True})],
    "bitcoin node": [({"id": 1, "method": "getblockchaininfo", "params": []}, {"id": 1, "result": {"chain": "regtest", "blocks": 0}, "error": None}),
                     ({"id": 2, "method": "getmininginfo", "params": []}, {"id": 2, "result": {"networkhashps": 0}, "error": None})],
}


def answer(server, replies):
    client, _ = server.accept()
    stream = client.makefile("rwb")
    for reply in replies:
        stream.readline()
        stream.write(json.dumps(reply).encode() + b"\n")
        stream.flush()


for name, talk in TALKS.items():
    server = socket.create_server(("127.0.0.1", 0))
    replies = threading.Thread(target=answer, args=(server, [reply for _, reply in talk]))
    replies.start()
    client = socket.create_connection(server.getsockname())
    stream = client.makefile("rwb")
    for request, _ in talk:
        stream.write(json.dumps(request).encode() + b"\n")
        stream.flush()
        assert stream.readline(), name
    replies.join()
    client.close()
print("done", flush=True)
sys.stdin.read()
