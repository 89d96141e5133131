#!/usr/bin/env python3
"""Honest work of every kind beside the agent: what it says that it should not.

    honest.py BINARY [--minutes N] [--only TEXT] [--keep FILE] [--record FILE]

Runs the loads below two at a time, over and over, for N minutes (25), with `watch --json` on the whole machine, and
prints each line of severity 3 (medium) or more, then how often each load ran and the lines by severity and rule. It
needs root and changes the machine as its owner would: packages are installed again, a cron table and a unit come and
go. A load whose tools are not here is named and left out. Exit code 1 if there was a line of medium or more, or if a
load failed. `--only` takes a part of a load's name; `--keep` also writes every line to a file, `--record`
every event, so that other rules can be tried on the same work (`minesweep replay`).
"""
import argparse, collections, json, os, queue, shutil, signal, subprocess, sys, tempfile, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SCRIPTS = os.path.join(ROOT, "target", "honest")

# Name: (tools it needs, script). Each runs in an empty folder of its own, $W, below /tmp. $ROOT is the checkout.
LOADS = {
    "cargo build": ("cargo", """
        cargo init -q --vcs none --name honest . && echo 'fn main() { println!("{:?}", std::env::args()); }' > build.rs
        cargo build -q --release --offline && cargo test -q --offline && cargo run -q --offline -- a b"""),
    "own tests": ("cargo", "cd $ROOT && cargo test -q --locked --offline -p minesweep-model -p minesweep-traffic"),
    "npm ci": ("npm", "cp $ROOT/console/package.json $ROOT/console/package-lock.json . && npm ci --silent --no-audit --no-fund"),
    "gcc, configure and make": ("gcc make", r"""
        cat > configure <<'X'
#!/bin/sh
# What autoconf's tests do: small programs compiled and run where the configure script is.
set -e
for name in stdio stdlib string unistd sys/mman netinet/in; do
    printf '#include <%s.h>\nint main(void) { return 0; }\n' $name > conftest.c
    ${CC-cc} -o conftest conftest.c >/dev/null 2>&1 && ./conftest && echo "checking for $name.h... yes"
    rm -f conftest conftest.c
done
echo '#! /bin/sh' > config.status; echo 'echo all: > Makefile.head' >> config.status; chmod +x config.status; ./config.status
X
        chmod +x configure && ./configure
        printf '#include <stdio.h>\nint main(int c, char **v) { puts(v[0]); return 0; }\n' > hello.c
        printf 'all: hello\n\t./hello\nhello: hello.o\n\tcc -o $@ $<\ninstall: hello\n\tinstall -D -m755 hello $(DESTDIR)/usr/local/bin/hello\n' > Makefile
        make -j2 CFLAGS='-O2 -pipe' && make install DESTDIR=$W/stage && strip stage/usr/local/bin/hello && stage/usr/local/bin/hello"""),
    "go build": ("go", "printf 'module honest\n' > go.mod; printf 'package main\nfunc main() { println(1) }\n' > main.go; GOFLAGS=-mod=mod go run . && go build -o out . && ./out"),
    "apt": ("apt-get", """
        exec 9>/run/lock/minesweep-honest; flock 9; export DEBIAN_FRONTEND=noninteractive
        apt-get install -qq -y --reinstall cron logrotate man-db rsyslog openssh-server procps >/dev/null
        apt-get install -qq -y hello sl >/dev/null && apt-get remove -qq -y hello >/dev/null && apt-get purge -qq -y sl >/dev/null"""),
    "package of one's own": ("dpkg-deb dpkg", """
        exec 9>/run/lock/minesweep-honest; flock 9; mkdir -p p/DEBIAN p/usr/bin p/etc/cron.d p/lib/systemd/system
        printf 'Package: minesweep-honest\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: a test\n' > p/DEBIAN/control
        printf '#!/bin/sh\nset -e\nadduser --system --group --no-create-home --quiet honest-svc\nif [ -d /run/systemd/system ]; then systemctl daemon-reload; fi\n' > p/DEBIAN/postinst
        printf '#!/bin/sh\nset -e\nif [ "$1" = purge ]; then deluser --quiet --system honest-svc; fi\n' > p/DEBIAN/postrm
        chmod 755 p/DEBIAN/post*; printf '#!/bin/sh\necho honest\n' > p/usr/bin/minesweep-honest; chmod 755 p/usr/bin/minesweep-honest
        printf '17 3 * * * root test -x /usr/bin/minesweep-honest && /usr/bin/minesweep-honest >/dev/null\n' > p/etc/cron.d/minesweep-honest
        printf '[Service]\nExecStart=/usr/bin/minesweep-honest\n[Install]\nWantedBy=multi-user.target\n' > p/lib/systemd/system/minesweep-honest.service
        dpkg-deb --build --root-owner-group p p.deb >/dev/null && dpkg -i p.deb >/dev/null && minesweep-honest && dpkg -P minesweep-honest >/dev/null"""),
    "git": ("git", """
        git clone -q --no-local $ROOT clone && cd clone && git log --oneline | head -50 >/dev/null && git grep -q rule && git gc -q
        git config user.email a@example.org; git config user.name a; printf '#!/bin/sh\nexec true\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
        echo x > x && git add x && git commit -q -m x && git bundle create ../b.bundle HEAD && git fsck --no-progress >/dev/null 2>&1; git archive HEAD | tar -tf - | wc -l"""),
    "postgres": ("su /usr/lib/postgresql", """
        p=$(ls -d /usr/lib/postgresql/*/bin | tail -1); chown postgres $W; o="-k $W -p 54331 -c listen_addresses="
        su postgres -c "$p/initdb -D $W/d -A trust >/dev/null && $p/pg_ctl -D $W/d -l $W/log -o '$o' -w start >/dev/null"
        su postgres -c "$p/createdb -h $W -p 54331 app && $p/psql -qh $W -p 54331 app -c 'create table t as select g, md5(g::text) from generate_series(1,200000) g' -c 'create index on t(md5)' -c 'vacuum analyze t'"
        su postgres -c "$p/pg_dump -h $W -p 54331 -Fc app > $W/app.dump && $p/pg_restore -l $W/app.dump >/dev/null && $p/pg_dump -h $W -p 54331 app | gzip > $W/app.sql.gz"
        su postgres -c "$p/psql -qh $W -p 54331 app -c \\"copy t to program 'gzip > $W/t.gz'\\""
        su postgres -c "$p/pg_ctl -D $W/d -m fast stop >/dev/null\""""),
    "backup": ("tar gzip", """
        tar -C / -czf etc.tar.gz etc 2>/dev/null || true; tar -tzf etc.tar.gz | wc -l; tar -C /usr/share -cf - doc 2>/dev/null | gzip -1 | sha256sum
        mkdir r && tar -C r -xzf etc.tar.gz; cp -a /root/.ssh ssh-copy 2>/dev/null || true; find /usr/lib /etc -xdev -type f -newer /etc/hostname 2>/dev/null | wc -l
        find r -type f -print0 | xargs -0 md5sum > sums && if command -v rsync >/dev/null; then rsync -a --delete /etc/ mirror/; fi"""),
    "python": ("/usr/bin/python3", """
        mkdir -p pkg/honest && echo 'def main(): print(1)' > pkg/honest/__init__.py
        printf '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "honest"\nversion = "1"\n[project.scripts]\nhonest = "honest:main"\n' > pkg/pyproject.toml
        /usr/bin/python3 -m venv --system-site-packages v && v/bin/pip install -q --no-index --no-build-isolation --no-deps ./pkg && v/bin/honest
        v/bin/python -c 'import base64,zlib,json; print(len(zlib.compress(base64.b64decode(base64.b64encode(b"x"*9999)))))'
        v/bin/python -m compileall -q pkg; v/bin/python - <<'X'
import concurrent.futures, multiprocessing, subprocess
def f(n): return sum(i * i for i in range(n))
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool: pool.map(f, [10**5] * 8)
    subprocess.run(["sh", "-c", "uname -a; id; df -h / | tail -1"], check=True, stdout=subprocess.DEVNULL)
X"""),
    "ssh by key": ("/usr/sbin/sshd ssh ssh-keygen", """
        mkdir -p /run/sshd h && ssh-keygen -q -t ed25519 -N '' -f h/host && ssh-keygen -q -t ed25519 -N '' -f h/me && cp h/me.pub h/keys
        printf 'Port 22022\nListenAddress 127.0.0.1\nHostKey %s/h/host\nAuthorizedKeysFile %s/h/keys\nStrictModes no\nPidFile %s/h/pid\nUsePAM no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n' $W $W $W > h/conf
        /usr/sbin/sshd -f $W/h/conf && trap 'kill $(cat $W/h/pid)' EXIT && sleep 0.3
        s="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i h/me"
        for n in 1 2 3; do ssh -p 22022 $s root@127.0.0.1 'uptime; df -h /; systemctl is-system-running 2>/dev/null; tail -1 /etc/passwd' >/dev/null; done
        tar -C /etc -cf - default | ssh -p 22022 $s root@127.0.0.1 'cat > /tmp/honest.tar && rm /tmp/honest.tar' && scp -q -P 22022 $s /etc/hostname root@127.0.0.1:/tmp/honest.name && rm -f /tmp/honest.name
        git init -q --bare g.git && git clone -q $ROOT c && cd c && GIT_SSH_COMMAND="ssh -p 22022 ${s/h\\/me/$W/h/me}" git push -q ssh://root@127.0.0.1$W/g.git HEAD:refs/heads/main"""),
    "ansible": ("/usr/bin/python3", """
        a=$HOME/.ansible/tmp/ansible-tmp-1764040000.0-$$-1; /bin/sh -c 'echo ~root && sleep 0'
        /bin/sh -c "( umask 77 && mkdir -p \\"` echo $HOME/.ansible/tmp `\\"&& mkdir \\"` echo $a `\\" && echo ansible-tmp=\\"` echo $a `\\" ) && sleep 0" >/dev/null
        printf '#!/usr/bin/python3\nimport os,subprocess,tempfile,shutil\nsubprocess.run(["/usr/bin/dpkg-query","-W","cron"],check=False,stdout=-3)\nfor to in ("/etc/cron.d/honest-ansible","/etc/logrotate.d/honest-ansible","/etc/sysctl.d/99-honest.conf"):\n  f=tempfile.NamedTemporaryFile("w",dir=os.path.dirname(to),prefix=".ansible_tmp",delete=False);f.write("# managed");f.close();os.chmod(f.name,0o644);os.rename(f.name,to)\n  os.remove(to)\n' > $a/AnsiballZ_copy.py
        /bin/sh -c "chmod u+rwx $a/ $a/AnsiballZ_copy.py && sleep 0" && /bin/sh -c "/usr/bin/python3 $a/AnsiballZ_copy.py && sleep 0" && /bin/sh -c "rm -f -r $a/ > /dev/null 2>&1 && sleep 0\""""),
    "accounts and keys": ("useradd", """
        useradd -m -s /bin/bash honest-user && mkdir -m700 /home/honest-user/.ssh && ssh-keygen -q -t ed25519 -N '' -C honest@example.org -f k
        su honest-user -c 'id; crontab -l 2>/dev/null; bash -lc "ls -la ~; umask"' >/dev/null; userdel -r honest-user 2>/dev/null"""),
    "cron": ("cron crontab", """
        printf 'SHELL=/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n* * * * * root cd / && run-parts --test /etc/cron.hourly >/dev/null; date > %s/ran\n' $W > /etc/cron.d/honest-cron
        trap 'rm -f /etc/cron.d/honest-cron; kill $c' EXIT; cron -f & c=$!; for n in $(seq 70); do [ -e $W/ran ] && break; sleep 1; done; [ -e $W/ran ]
        for f in /etc/cron.daily/*; do [ -x $f ] && case $f in *apt*) ;; *) $f >/dev/null 2>&1 ;; esac; done; true"""),
    "logrotate": ("logrotate", """
        mkdir log && chmod 755 . log && for n in 1 2 3; do head -c 300000 /dev/zero | tr '\\0' x > log/app.log
        printf '%s/log/*.log {\n su root root\n rotate 3\n compress\n create 640 root adm\n sharedscripts\n postrotate\n  [ -s /run/honest.pid ] && kill -USR1 $(cat /run/honest.pid) || true\n endscript\n}\n' $W > conf
        logrotate -f -s $W/state conf; done; logrotate -d /etc/logrotate.conf >/dev/null 2>&1"""),
    "nginx": ("nginx", """
        printf 'pid %s/pid;\nerror_log %s/err;\nevents {}\nhttp { access_log %s/acc; server { listen 127.0.0.1:28080; root /usr/share/doc; autoindex on; } }\n' $W $W $W > conf; chmod 755 $W
        nginx -t -q -c $W/conf && nginx -c $W/conf && trap 'nginx -c $W/conf -s quit' EXIT; for n in $(seq 30); do curl -fsS http://127.0.0.1:28080/ -o page; done; nginx -c $W/conf -s reload
        wget -q -O page2 http://127.0.0.1:28080/ && curl -s http://127.0.0.1:28080/ | grep -c href && openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 9 -subj /CN=honest 2>/dev/null"""),
    "redis": ("redis-server redis-cli", """
        redis-server --port 26379 --bind 127.0.0.1 --dir $W --daemonize yes --pidfile $W/pid >/dev/null; sleep 0.5
        for n in $(seq 20); do redis-cli -p 26379 ping >/dev/null; done; redis-cli -p 26379 info >/dev/null; redis-cli -p 26379 config get maxmemory >/dev/null
        redis-benchmark -q -p 26379 -n 20000 -t set,get >/dev/null; redis-cli -p 26379 bgsave >/dev/null; redis-cli -p 26379 shutdown"""),
    "containers": ("runc busybox", """
        mkdir -p b/rootfs/bin b/rootfs/proc b/rootfs/dev b/rootfs/sys && cp $(command -v busybox) b/rootfs/bin/sh && cd b && runc spec
        python3 - <<'X'
import json
c = json.load(open("config.json")); c["process"]["terminal"] = False; c["process"]["args"] = ["sh", "-c", "echo hi; cat /proc/1/status | head -3"]
c["linux"].pop("resources", None); c["mounts"] = [m for m in c["mounts"] if m["type"] != "cgroup"]; c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "cgroup"]
json.dump(c, open("config.json", "w"))
X
        runc --root $W/run run honest-$$ >/dev/null"""),
    "system tools": ("ps", """
        set +e; ps auxwwf >/dev/null; ss -tulpn >/dev/null 2>&1; lsmod >/dev/null 2>&1; df -h >/dev/null; dmesg 2>/dev/null | tail -1 >/dev/null; last -n 3 >/dev/null 2>&1; lsof -n 2>/dev/null | wc -l
        mount >/dev/null; sysctl -a 2>/dev/null | wc -l; id; w >/dev/null; uname -a; cat /etc/passwd /etc/group >/dev/null; crontab -l 2>/dev/null; find /etc -perm -4000 2>/dev/null; ip addr >/dev/null 2>&1; logger -t honest done
        systemd-tmpfiles --create --prefix=/run/lock >/dev/null 2>&1; systemd-sysusers --dry-run >/dev/null 2>&1; systemctl list-units >/dev/null 2>&1; journalctl -n 1 >/dev/null 2>&1; ldconfig; mandb -q 2>/dev/null; updatedb 2>/dev/null; nft list ruleset >/dev/null 2>&1; true"""),
    "compiled in a temporary folder and shipped": ("gcc", r"""
        printf 'int main(void) { return 0; }\n' > tool.c && cc -o tool tool.c && ./tool && install -m755 tool /usr/local/bin/honest-tool && /usr/local/bin/honest-tool; rm -f /usr/local/bin/honest-tool
        printf '#!/bin/sh\nhere=$(dirname $0)\ntail -n +5 $0 | tar -xzf - -C $here\nexec $here/tool\n' > sfx.sh && tar -czf - tool >> sfx.sh && chmod +x sfx.sh && ./sfx.sh && sh -c 'for i in 1 2 3; do ./tool; done'"""),
    "own agent in a temporary folder": ("cp", "cp $BINARY ./minesweep && ./minesweep --version >/dev/null && ./minesweep rules list >/dev/null"),
}


def has(tool):
    return os.path.exists(tool) if tool.startswith("/") else shutil.which(tool) is not None


class Worker(threading.Thread):
    """Runs loads from the queue until the time is up; each in a session of its own."""

    def __init__(self, work, until, names, runs, failures):
        super().__init__()
        self.work, self.until, self.names, self.runs, self.failures = work, until, names, runs, failures

    def run(self):
        while time.time() < self.until:
            name = self.names.get()
            folder = tempfile.mkdtemp(dir="/tmp", prefix="honest-")
            environment = dict(os.environ, W=folder, ROOT=ROOT, BINARY=os.path.abspath(options.binary))
            script = os.path.join(SCRIPTS, name.replace(" ", "-").replace("'", "") + ".sh")
            with open(script, "w") as out:
                out.write("set -e\n" + LOADS[name][1])
            done = subprocess.run(["bash", script], cwd=folder, env=environment, start_new_session=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
            shutil.rmtree(folder, ignore_errors=True)
            self.runs[name] += 1
            if done.returncode:
                self.failures.append((name, done.returncode, done.stderr[-300:]))
            self.names.put(name)


def follow(stream, lines, keep):
    for line in stream:
        lines.append(json.loads(line))
        if keep:
            keep.write(line)
            keep.flush()


def rule_of(line):
    return line.get("finding_info", {}).get("analytic", {}).get("uid", line["class_uid"])


def report(lines, runs, failures):
    counts = collections.Counter((line["severity_id"], rule_of(line)) for line in lines)
    for line in lines:
        if line["severity_id"] >= 3:
            process = (line.get("evidences") or [{}])[0].get("process", {})
            parent = process.get("parent_process", {})
            print(f"    {rule_of(line)} {line['severity_id']}: {line.get('message', '')}; {line.get('finding_info', {}).get('desc', '')[:200]}"
                  f" | {process.get('pid')} {process.get('file', {}).get('path')} {process.get('cmd_line', '')[:160]!r} below {parent.get('file', {}).get('path')}")
    print("loads:", ", ".join(f"{name} {count}" for name, count in sorted(runs.items())))
    for name, code, text in failures:
        print(f"failed: {name}: code {code}: {text.strip()}")
    for (severity, rule), count in sorted(counts.items(), key=lambda entry: (-entry[0][0], str(entry[0][1]))):
        print(f"severity {severity}: {rule}: {count}")
    loud = sum(count for (severity, _), count in counts.items() if severity >= 3)
    print(f"{options.minutes:g} minutes, {sum(runs.values())} runs of {len(runs)} loads, {len(failures)} failed; {loud} lines of medium or more, {len(lines) - loud} below")
    return not loud and not failures


def main():
    names = queue.Queue()
    for name, (tools, _) in LOADS.items():
        if options.only and options.only not in name:
            continue
        missing = [tool for tool in tools.split() if not has(tool)]
        if missing:
            print(f"left out: {name}: no {', '.join(missing)}")
        else:
            names.put(name)
    os.makedirs(SCRIPTS, exist_ok=True)
    lines, runs, failures = [], collections.Counter(), []
    keep = open(options.keep, "w") if options.keep else None
    watch = subprocess.Popen([options.binary, "watch", "--json"] + (["--record", options.record] if options.record else []), stdout=subprocess.PIPE, text=True)
    follower = threading.Thread(target=follow, args=(watch.stdout, lines, keep))
    follower.start()
    time.sleep(3)
    until = time.time() + options.minutes * 60
    workers = [Worker("/tmp", until, names, runs, failures) for _ in range(min(2, names.qsize()))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    time.sleep(5)
    watch.send_signal(signal.SIGTERM)
    watch.wait()
    follower.join()
    return 0 if report(lines, runs, failures) else 1


parser = argparse.ArgumentParser()
parser.add_argument("binary")
parser.add_argument("--minutes", type=float, default=25)
parser.add_argument("--only")
parser.add_argument("--keep")
parser.add_argument("--record")
options = parser.parse_args()
sys.exit(main())
