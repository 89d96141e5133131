"""Measures the time from a line in a log to its detection on stdout: 500 sources fail eight times each.

    python3 tests/long/logins.py dist/minesweep
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

SOURCES = 500
FAILURES = 8


def main():
    with tempfile.TemporaryDirectory() as folder:
        log, config = pathlib.Path(folder, "auth.log"), pathlib.Path(folder, "config.toml")
        log.touch()
        config.write_text(f'[logs]\nfiles = [{{ path = "{log}" }}]\n')
        watch = subprocess.Popen(
            [sys.argv[1], "watch", "--json", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while not watch.stderr.readline().startswith(("watching", "正在监视")):
            pass
        took = sorted(measure(watch, log, number) for number in range(SOURCES))
        watch.terminate()
        watch.communicate()
    print(f"line to detection, ms: median {took[SOURCES // 2]:.2f}, p99 {took[SOURCES * 99 // 100]:.2f}, max {took[-1]:.2f}")


def measure(watch, log, number):
    source = f"198.51.{number // 250}.{number % 250}"
    line = f"Nov 25 02:06:19 host sshd[{100_000 + number}]: Failed password for root from {source} port 4022 ssh2\n"
    time.sleep(0.02)
    with log.open("a") as out:
        out.write(line * FAILURES)
    began = time.monotonic()
    while True:
        told = json.loads(watch.stdout.readline())
        if source in told.get("finding_info", {}).get("desc", "") and "access.brute-force" in json.dumps(told):
            return (time.monotonic() - began) * 1000


main()
