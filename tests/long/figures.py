#!/usr/bin/env python3
"""Figures of the line on this machine: cost of each hook, memory, idle time, loss in a flood, login to JSON line, and how
fast files are searched, beside yara with the same rules.

    figures.py BINARY [--write FILE] [--only files]

Needs root, bpftool and yara. Turns kernel.bpf_stats_enabled on for the run and back again. Prints a table in Markdown.
"""
import argparse, json, os, re, resource, socket, statistics, subprocess, sys, tempfile, threading, time

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--write")
parser.add_argument("--idle", type=int, default=60, help="seconds of the idle measurement")
parser.add_argument("--only", choices=["files"], help="print the figures of files and no others")
options = parser.parse_args()
root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
rows = []


class Watch:
    def __init__(self):
        environment = dict(os.environ, MINESWEEP_LOG="info", MINESWEEP_LOG_FORMAT="json")
        self.process = subprocess.Popen([options.binary, "watch", "--json", "--lang", "en"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines, self.errors, self.fresh = [], [], threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        while not self.process.stderr.readline().startswith("watching"):
            pass
        self.rest = threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)
        self.rest.start()

    def read(self):
        for line in self.process.stdout:
            with self.fresh:
                self.lines.append((time.perf_counter(), json.loads(line)))
                self.fresh.notify_all()

    def wait(self, fits, limit=10):
        with self.fresh:
            def hit():
                return next((entry for entry in reversed(self.lines) if fits(entry[1])), None)
            self.fresh.wait_for(hit, limit)
            return hit()

    def counts(self):
        self.process.terminate()
        self.process.wait()
        self.rest.join()
        found = {}
        for line in self.errors:
            if line.startswith("{"):
                fields = json.loads(line)["fields"]
                if "made" in fields:
                    found[fields["hook"]] = {"lost": 0, **fields}
        return found


def stat(pid):
    text = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) / 1024


def idle(watch):
    time.sleep(10)
    before, start = stat(watch.process.pid), time.time()
    time.sleep(options.idle)
    percent = (stat(watch.process.pid) - before) / (time.time() - start) * 100
    rows.append(("memory, idle", f"{rss(watch.process.pid):.1f} MB", "<= 24 MB"))
    rows.append((f"CPU, idle for {options.idle} s", f"{percent:.2f} % of one processor", "<= 0.1 %"))


def latencies(watch, rounds=200):
    server = socket.create_server(("127.0.0.1", 0))
    took = []
    for number in range(rounds):
        wallet = f"latency-{number}-not-a-wallet"
        login = json.dumps({"id": 1, "jsonrpc": "2.0", "method": "login", "params": {"login": wallet, "pass": "x", "agent": "XMRig/6", "algo": ["rx/0"]}}) + "\n"
        told, tells = os.pipe()
        # A process of its own each time: the connections of one process are folded after the first few.
        child = os.fork()
        if child == 0:
            client = socket.create_connection(server.getsockname())
            start = time.perf_counter()
            client.sendall(login.encode())
            os.write(tells, f"{start}\n".encode())
            client.close()
            os._exit(0)
        pool, _ = server.accept()
        start = float(os.read(told, 64))
        hit = watch.wait(lambda line: wallet in json.dumps(line), 5)
        took.append((hit[0] - start) * 1000 if hit else float("inf"))
        pool.close()
        os.waitpid(child, 0)
        os.close(told)
        os.close(tells)
    took.sort()
    rows.append((f"login bytes to JSON line, {rounds} logins", f"p50 {statistics.median(took):.2f} ms, p99 {took[int(rounds * 0.99) - 1]:.2f} ms", "p50 <= 5 ms"))


def flood(execs=5000, connects=20000):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["bash", "-c", f"for i in $(seq {execs}); do /bin/true; done"], check=True)
    server = socket.create_server(("127.0.0.1", 0), backlog=1024)
    def accept():
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return
    threading.Thread(target=accept, daemon=True).start()
    code = f"import socket\nfor i in range({connects}):\n  socket.create_connection(('127.0.0.1',{server.getsockname()[1]})).close()"
    subprocess.run([sys.executable, "-c", code], check=True)
    return execs, connects


def cpu_seconds(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, said.stderr


def regular_bytes(folder):
    whole = 0
    for above, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(above, name)
            whole += 0 if os.path.islink(path) or not os.path.isfile(path) else os.path.getsize(path)
    return whole


def searched(folders=("/usr/lib/x86_64-linux-gnu", "/usr/bin")):
    """Bytes that were read, not those of the names: a file of two names is read once, one above 32 MiB in part."""
    rules = os.path.join(root, "content/yara/miners.yar")
    version = subprocess.check_output(["yara", "--version"], text=True).strip()
    with tempfile.TemporaryDirectory() as empty:
        start, _ = cpu_seconds(options.binary, "scan", "--root", empty, "--lang", "en")
    rows.append(("start of a scan: rules loaded", f"{start:.2f} CPU-s", ""))
    for folder in folders:
        scan = (options.binary, "scan", "--root", folder, "--lang", "en")
        cpu_seconds(*scan)  # Everything is in memory then, for both.
        took, said = cpu_seconds(*scan)
        read = int(re.search(r"(\d+) MiB", said).group(1)) * 1.048576
        rows.append((f"files of {folder}, {read:.0f} MB", f"{read / (took - start):.0f} MB per CPU-second, {read / took:.0f} with the start", ">= 600 MB"))
        took, _ = cpu_seconds("yara", "-N", "-w", "-p", "1", "-r", rules, folder)
        whole = regular_bytes(folder) / 1e6
        rows.append((f"the same by yara {version} with the same rules, {whole:.0f} MB", f"{whole / took:.0f} MB per CPU-second", ""))
    begun = time.monotonic()
    took, said = cpu_seconds(options.binary, "scan", "--files", "quick", "--lang", "en")
    counted = next(line for line in said.splitlines() if "files read" in line)
    rows.append(("`scan --files quick`, with the look at what runs", f"{time.monotonic() - begun:.1f} s, {took:.1f} CPU-s; {counted}", ""))


def programs():
    shown = json.loads(subprocess.check_output(["bpftool", "prog", "show", "-j"]))
    return {p["id"]: p for p in shown}


searched()
if options.only:
    print("".join(f"| {a} | {b} | {c} |\n" for a, b, c in rows))
    sys.exit()
stats = "/proc/sys/kernel/bpf_stats_enabled"
was = open(stats).read().strip()
before = set(programs())
watch = Watch()
idle(watch)
latencies(watch)
try:
    open(stats, "w").write("1")
    execs, connects = flood()
    ours = [p for number, p in programs().items() if number not in before]
finally:
    open(stats, "w").write(was)
rows.append(("memory after the flood", f"{rss(watch.process.pid):.1f} MB", ""))
counts = watch.counts()
for program in sorted(ours, key=lambda p: p.get("name", "")):
    runs = program.get("run_cnt", 0)
    if runs:
        rows.append((f"hook `{program.get('name')}`", f"{program['run_time_ns'] / runs:.0f} ns, {runs} runs", ""))
for hook, count in counts.items():
    verdict = "" if count["made"] == count["seen"] + count["lost"] else " UNEXPLAINED"
    rows.append((f"flood of {execs} execs, {connects} connects: `{hook}`", f"made {count['made']}, seen {count['seen']}, lost {count['lost']}{verdict}", "made = seen + lost"))

kernel = os.uname().release
table = f"| figure | measured | goal |\n|---|---|---|\n" + "".join(f"| {a} | {b} | {c} |\n" for a, b, c in rows)
print(table)
if options.write:
    text = f"# Limits\nMeasured by `make bench` (tests/long/figures.py) on Linux {kernel}, {os.cpu_count()} processors. Floors of this machine, not promises.\n\n{table}"
    open(options.write, "w").write(text)
