#!/usr/bin/env python3
"""A forward proxy of our own on loopback: HTTP CONNECT, SOCKS4 and SOCKS5. Prints its port; ends with its input."""
import socket, struct, sys, threading


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def exactly(client, count):
    data = b""
    while len(data) < count:
        more = client.recv(count - len(data))
        if not more:
            raise OSError("the client has hung up")
        data += more
    return data


def target(client):
    first = exactly(client, 1)
    if first == b"\x05":
        exactly(client, exactly(client, 1)[0])
        client.sendall(b"\x05\x00")
        exactly(client, 4)
        host, port = socket.inet_ntoa(exactly(client, 4)), struct.unpack(">H", exactly(client, 2))[0]
        return host, port, b"\x05\x00\x00\x01" + b"\0" * 6
    if first == b"\x04":
        _, port, address = struct.unpack(">BH4s", exactly(client, 7))
        while exactly(client, 1) != b"\0":
            pass
        return socket.inet_ntoa(address), port, b"\x00\x5a" + b"\0" * 6
    head = first
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(client, 1)
    host, port = head.split()[1].decode().rsplit(":", 1)
    return host, int(port), b"HTTP/1.1 200 Connection established\r\n\r\n"


def serve(client):
    try:
        host, port, reply = target(client)
        upstream = socket.create_connection((host, port))
        client.sendall(reply)
    except OSError:
        client.close()
        return
    threading.Thread(target=pump, args=(upstream, client), daemon=True).start()
    pump(client, upstream)


def accept(server):
    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


server = socket.create_server(("127.0.0.1", 0), backlog=64)
threading.Thread(target=accept, args=(server,), daemon=True).start()
print(server.getsockname()[1], flush=True)
sys.stdin.read()
