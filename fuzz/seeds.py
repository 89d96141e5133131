"""Makes a first corpus for the fuzz targets out of tests/fixtures/traffic and the cases of the rules of commands."""
import json
import pathlib

HERE = pathlib.Path(__file__).parent
for target in ("streams", "tls", "dns", "commands"):
    (HERE / "corpus" / target).mkdir(parents=True, exist_ok=True)
for path in sorted((HERE.parent / "tests/fixtures/traffic").glob("*.jsonl")):
    head, *lines = map(json.loads, path.read_text().splitlines())
    udp = 12 if head.get("protocol") == "udp" else 0
    port = 2 if head.get("port") == 53 else 0
    stream = b""
    for line in lines:
        (key, value), = line.items()
        data = bytes.fromhex(value) if key.endswith("_hex") else value.encode()
        kind = (1 if key.startswith("in") else 0) | udp | port
        for at in range(0, len(data), 255):
            piece = data[at:at + 255]
            stream += bytes([kind, 0, len(piece)]) + piece
        if path.stem.startswith(("tls", "dns_udp")):
            (HERE / "corpus" / path.stem[:3] / f"{path.stem}-{key}").write_bytes(data)
    (HERE / "corpus/streams" / path.stem).write_bytes(stream)
number = 0
for path in sorted((HERE.parent / "content/behaviour").glob("intrusion_*.cases.yml")):
    for line in path.read_text().splitlines():
        line = line.strip().removeprefix("- ")
        argv = json.loads(line).get("exec", {}).get("argv", []) if line.startswith("{") else []
        if argv:
            number += 1
            (HERE / "corpus/commands" / f"{path.stem}-{number}").write_text(argv[-1])
