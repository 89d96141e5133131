"""Makes a first corpus for the fuzz targets out of tests/fixtures/traffic and the cases of the rules of commands."""
import gzip
import io
import json
import lzma
import pathlib
import tarfile
import zipfile

HERE = pathlib.Path(__file__).parent
for target in ("streams", "tls", "dns", "commands", "journal", "logs"):
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


def journal():
    """Two entries of sshd, as journald writes them."""
    data = bytearray(272)
    data[:8] = b"LPKSHHRH"
    data[88:96] = (272).to_bytes(8, "little")

    def add(kind, body):
        at = len(data)
        data.extend(bytes([kind]) + bytes(7) + (len(body) + 16).to_bytes(8, "little") + body)
        data.extend(bytes(-len(data) % 8))
        data[136:144] = at.to_bytes(8, "little")
        return at

    for number in range(2):
        fields = [b"MESSAGE=Invalid user x from 192.0.2.1 port %d" % number, b"SYSLOG_IDENTIFIER=sshd", b"_PID=7", b"_UID=0"]
        items = [add(1, bytes(48) + field) for field in fields]
        add(3, bytes(48) + b"".join(item.to_bytes(8, "little") + bytes(8) for item in items))
        data[152:160] = (number + 1).to_bytes(8, "little")
    return bytes(data)


(HERE / "corpus/journal/two").write_bytes(journal())
number = 0
for path in sorted((HERE.parent / "content/access").glob("*.yml")):
    for line in path.read_text().splitlines():
        if "text: '" in line:
            number += 1
            said = line.split("text: '")[1].split("', ")[0].removesuffix("'}")
            (HERE / "corpus/logs" / f"{path.stem}-{number}").write_text(f"Nov 25 02:06:19 h sshd[7]: {said}")
SUM = "0123456789abcdef0123456789abcdef"
HIDING = (
    "36 35 98:0 /a\\040b /proc/812 rw shared:1 - ext4 /dev/root rw\n40 36 0:5 / /proc rw - proc proc rw,hidepid=2\n",
    "/.\n/usr\n/usr/bin/ps\n",
    f"{SUM}  usr/bin/ps\n{SUM}  usr/bin/a b\n",
    "/usr/bin/a\n/usr/bin/a.distrib\n:\n",
    "zfs 4218880 6 a,b, Live 0xffffffffc0a00000 (POE)\nnvme 57344 2 - Loading 0x0\n",
    "0 t a\n0 t b\t[zfs]\n0 t c [bpf]\n",
)
(HERE / "corpus/hiding").mkdir(parents=True, exist_ok=True)
for kind, text in enumerate(HIDING):
    (HERE / f"corpus/hiding/{kind}").write_bytes(bytes([kind]) + text.encode())
for target in ("sigma_rule", "sigma_record"):
    (HERE / "corpus" / target).mkdir(parents=True, exist_ok=True)
for path in sorted((HERE.parent / "content/sigma").glob("*/*.yml")):
    if not path.name.endswith(".cases.yml"):
        cases = path.with_name(f"{path.stem}.cases.yml").read_text()
        (HERE / "corpus/sigma_rule" / path.stem).write_text(f"{path.read_text()}\n--------\n{cases}")
RECORDS = (
    {"category": "process_creation", "product": "linux", "Image": "/usr/bin/curl", "CommandLine": "curl http://x -o /tmp/a", "ProcessId": 7},
    {"category": "network_connection", "Image": "/tmp/x", "DestinationIp": "203.0.113.9", "DestinationPort": 3333, "Initiated": True},
    {"product": "linux", "service": "sshd", "Program": "sshd", "Message": "Failed password for root from 203.0.113.9 port 22 ssh2"},
    {"category": "file_event", "TargetFilename": "/etc/ld.so.preload", "AncestorImages": ["/bin/sh", None, {"a": 1.5}]},
)
(HERE / "corpus/sigma_record/lines").write_text("\n".join(json.dumps(record) for record in RECORDS))
(HERE / "corpus/files").mkdir(parents=True, exist_ok=True)
for path in sorted((HERE.parent / "crates/detect/tests/files").iterdir()):
    (HERE / "corpus/files" / path.name).write_bytes(path.read_bytes())


def tar(members, form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members:
            head = tarfile.TarInfo(name)
            head.size = len(data)
            archive.addfile(head, io.BytesIO(data))
    return out.getvalue()


def zipped(members, method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def cpio(members):
    out = b""
    for name, data in (*members, ("TRAILER!!!", b"")):
        fields = (0, 0o100755, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def rpm(payload):
    def header(data):
        return b"\x8e\xad\xe8\x01\0\0\0\0" + (1).to_bytes(4, "big") + len(data).to_bytes(4, "big") + bytes(16) + data

    signature = header(b"signature")
    return b"\xed\xab\xee\xdb".ljust(96, b"\0") + signature + bytes(-len(signature) % 8) + header(b"name") + payload


MEMBERS = (("usr/bin/tool", b"#!/bin/sh\nexit 0\n"), ("folder/" * 20 + "x", b"\x7fELF RandomX dataset " * 8))
PACKAGES = {
    "pax.tar": tar(MEMBERS, tarfile.PAX_FORMAT),
    "old.tar": tar(MEMBERS[:1], tarfile.USTAR_FORMAT),
    "tar.xz": lzma.compress(tar(MEMBERS, tarfile.GNU_FORMAT)),
    "deflated.zip": zipped(MEMBERS, zipfile.ZIP_DEFLATED),
    "bzip2.zip": zipped(MEMBERS, zipfile.ZIP_BZIP2),
    "cpio": cpio(MEMBERS),
    "rpm": rpm(gzip.compress(cpio(MEMBERS), mtime=0)),
    "installer": b"#!/bin/sh\ntail -n +4 $0 | tar xz\nexit 0\n" + gzip.compress(tar(MEMBERS, tarfile.GNU_FORMAT), mtime=0),
    "nested": gzip.compress(tar((("a.zip", zipped(MEMBERS, zipfile.ZIP_STORED)),), tarfile.GNU_FORMAT), mtime=0),
    "library.a": b"!<arch>\n" + b"".join(b"%-16s%-12d%-6d%-6d%-8d%-10d`\n" % (name, 0, 0, 0, 100644, 4) + b"data" for name in (b"a.o", b"b.o")),
}
for name, data in PACKAGES.items():
    (HERE / "corpus/files" / name).write_bytes(data)
