#!/usr/bin/env python3
"""Honest heavy work beside the agent, and real RandomX three times: who is named, how sure, how fast.

    quiet.py BINARY [--minutes N] [--only GROUP]

Runs groups of two or three loads, N minutes each (10), with `watch --json` on the whole machine. In each group real
RandomX (PyPI randomx, one thread, renamed) is started once beside the loads, for the last minute. Prints each line
of severity 3 or more and each incident that is not about that process; there should be none. Exit code 1 if there
are, or if a RandomX was missed.
"""
import argparse, json, os, shutil, subprocess, sys, tempfile, threading, time

parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--minutes", type=float, default=10)
parser.add_argument("--only", type=int)
parser.add_argument("--python", default=sys.executable, help="a Python with the package randomx")
options = parser.parse_args()
root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
work = tempfile.mkdtemp(prefix="minesweep-quiet-")

LOOP = "import math\nwhile True:\n  x=0.0\n  for i in range(1,200000): x+=math.sin(i)*math.sqrt(i)/i"
BLAS = "import os\nos.environ['OPENBLAS_NUM_THREADS']='2'\nimport numpy\na=numpy.random.rand(1500,1500)\nwhile True: a=(a@a)%1.0"
LOADS = {
    "release build": f"cd {root} && while :; do CARGO_TARGET_DIR={work}/target cargo build --release -q -p minesweep; rm -rf {work}/target; done",
    "openssl speed": "while :; do openssl speed -seconds 3 rsa2048 aes-256-cbc sha256 >/dev/null 2>&1; done",
    "xz -T0": f"while :; do tar -C /usr -cf - lib bin 2>/dev/null | head -c 400M | xz -T0 -6 >/dev/null; done",
    "ffmpeg x264": "while :; do ffmpeg -v error -f lavfi -i testsrc2=size=1280x720:rate=30 -t 60 -c:v libx264 -preset medium -f null -; done",
    "python loops": f"exec python3 -c \"{LOOP}\"",
    "numpy BLAS": f"exec /usr/bin/python3 -c \"{BLAS}\"",
    "sysbench": "while :; do sysbench cpu --threads=2 --time=30 run >/dev/null; done",
    "pgbench": f"""d={work}/pg; chown postgres {work}; chmod 755 {work}; p=$(ls -d /usr/lib/postgresql/*/bin|tail -1)
        su postgres -c "$p/initdb -D $d -A trust >/dev/null && $p/pg_ctl -D $d -o '-k /tmp -p 54329 -c listen_addresses=' -w start >/dev/null && $p/pgbench -h /tmp -p 54329 -i -s 10 postgres >/dev/null 2>&1"
        trap "su postgres -c '$p/pg_ctl -D $d -m immediate stop >/dev/null'; exit" TERM
        while :; do su postgres -c "$p/pgbench -h /tmp -p 54329 -c 4 -j 2 -T 20 postgres >/dev/null 2>&1" & wait $!; done""",
}
GROUPS = [["release build", "pgbench"], ["openssl speed", "xz -T0", "python loops"], ["ffmpeg x264", "numpy BLAS", "sysbench"]]


def follow(stream, lines):
    for line in stream:
        lines.append((time.time(), json.loads(line)))


def name_of(line):
    process = (line.get("evidences") or [{}])[0].get("process", {})
    return process.get("pid"), process.get("file", {}).get("path"), process.get("cmd_line", "")[:60]


def group(number, names):
    lines, miner_pid, miner_start = [], None, None
    watch = subprocess.Popen([options.binary, "watch", "--json"], stdout=subprocess.PIPE, text=True)
    threading.Thread(target=follow, args=(watch.stdout, lines), daemon=True).start()
    time.sleep(3)
    loads = [subprocess.Popen(["bash", "-c", LOADS[name]], start_new_session=True) for name in names]
    time.sleep(max(options.minutes * 60 - 60, 1))
    disguise = os.path.join(work, "sshd-session")
    shutil.copy(os.path.realpath(options.python), disguise)
    environment = dict(os.environ, PYTHONHOME=sys.base_prefix, PYTHONPATH=subprocess.check_output(
        [options.python, "-c", "import randomx,os;print(os.path.dirname(randomx.__file__))"], text=True).strip())
    miner = subprocess.Popen([disguise, root + "/tests/scenarios/compute.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    miner.stdout.readline()
    miner_start, miner_pid = time.time(), miner.pid
    time.sleep(60)
    miner.stdin.close()
    miner.wait()
    for load in loads:
        os.killpg(load.pid, 15)
        load.wait()
    watch.terminate()
    watch.wait()
    return report(number, names, lines, miner_pid, miner_start)


def report(number, names, lines, miner_pid, miner_start):
    bad, found, margin = 0, None, ""
    for at, line in lines:
        mining = line.get("unmapped", {}).get("mining", {})
        about_miner = miner_pid in (mining.get("pids") or []) or name_of(line)[0] == miner_pid
        rule = line.get("finding_info", {}).get("analytic", {}).get("uid", line["class_uid"])
        if about_miner and rule == "mining.randomx" and found is None:
            found, margin = at - miner_start, line["finding_info"].get("desc", "")
        if not about_miner and (line["class_uid"] == 2005 or line["severity_id"] >= 3):
            bad += 1
            print("   ", rule, line["severity_id"], name_of(line), line.get("message"))
    low = sum(1 for _, line in lines if line["severity_id"] < 3)
    seen = f"{found:.1f} s" if found is not None else "MISSED"
    print(f"group {number}: {', '.join(names)}: {bad} false, {low} low; RandomX seen after {seen}; {margin}", flush=True)
    return bad == 0 and found is not None


chosen = list(enumerate(GROUPS, 1))
if options.only:
    chosen = [entry for entry in chosen if entry[0] == options.only]
right = [group(number, names) for number, names in chosen]
shutil.rmtree(work, ignore_errors=True)
sys.exit(0 if all(right) else 1)
