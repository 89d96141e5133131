# The plainest infection: a miner, its guard, a cron line, a unit with timer, a hiding preload, and locks on all of them;
# among honest lines, units, keys and libraries. Runs in the machine of enter.sh; /srv/shared holds the program and takes
# the results. Everything is a harmless stand-in.
set -u
exec > /srv/shared/log 2>&1
set -x
minesweep=/srv/shared/minesweep
cron=/var/spool/cron/crontabs/root

# Honest things.
mkdir -p /opt/vendor /opt/own /root/.ssh
cc -shared -fPIC -o /opt/vendor/libfast.so -x c - <<'C'
int minesweep_range_fast(void) { return 1; }
C
echo /opt/vendor/libfast.so > /etc/ld.so.preload
printf '#!/bin/sh\n: > /run/backup.ran\n' > /opt/own/backup.sh
chmod 755 /opt/own/backup.sh
printf '# of the administrator\n* * * * * /opt/own/backup.sh\n' > $cron
chmod 600 $cron
printf '[Service]\nExecStart=/opt/own/backup.sh\n' > /etc/systemd/system/own.service
echo 'ssh-ed25519 AAAAC3Nzarangekey admin@range' > /root/.ssh/authorized_keys
echo '30 5 * * * root /opt/own/backup.sh --full' > /etc/cron.d/own
honest="/opt/vendor/libfast.so /opt/own/backup.sh /etc/systemd/system/own.service /root/.ssh/authorized_keys /etc/cron.d/own"
sha256sum $honest $cron /etc/ld.so.preload > /srv/shared/honest.before

# The infection.
mkdir -p /tmp/.x
cp "$(python3 -c "import os, sys; print(os.path.realpath(sys.executable))")" /tmp/.x/kworkerd
cp /srv/shared/miner.py /tmp/.x/m.py
cat > /tmp/.x/guard.sh <<'GUARD'
#!/bin/sh
while :; do
    [ -e /tmp/.x/pid ] && [ -d "/proc/$(cat /tmp/.x/pid)" ] || {
        /tmp/.x/kworkerd /tmp/.x/m.py -o stratum+tcp://127.0.0.1:3333 -u 48TestWalletNotReal$(printf 'x%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76) -a rx/0 --donate-level 1 -t 2 &
        echo $! > /tmp/.x/pid
    }
    sleep 1
done
GUARD
chmod 755 /tmp/.x/guard.sh
cc -shared -fPIC -DHIDE_FILE='"/tmp/.x/pid"' -o /usr/local/lib/libsystem.so -x c /srv/shared/hide.c -ldl
# The intruder's line goes after the honest one.
echo '* * * * * /bin/sh /tmp/.x/guard.sh >/dev/null 2>&1' >> $cron
printf '[Service]\nExecStart=/bin/sh /tmp/.x/guard.sh\nRestart=always\n' > /etc/systemd/system/net-update.service
printf '[Timer]\nOnCalendar=*:*\n' > /etc/systemd/system/net-update.timer
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s /etc/systemd/system/net-update.service /etc/systemd/system/multi-user.target.wants/net-update.service

mkfifo /run/ready.in
python3 /srv/shared/pool.py --port 3333 < /run/ready.in > /run/pool.port &
exec 9> /run/ready.in
while [ ! -s /run/pool.port ]; do :; done
setsid /bin/sh /tmp/.x/guard.sh < /dev/null > /dev/null 2>&1 9>&- &
while [ ! -s /tmp/.x/pid ]; do :; done
cron
echo /usr/local/lib/libsystem.so >> /etc/ld.so.preload
chattr +i /tmp/.x/guard.sh /etc/systemd/system/net-update.service $cron /etc/ld.so.preload || echo "no locks here"
find / -xdev \( -path /proc -o -path /srv -o -path /var/lib/minesweep \) -prune -o -newer /srv/shared/miner.py -type f -print 2>/dev/null | sort > /srv/shared/changed

# Plan only: nothing changes.
PATH= $minesweep clean --plan-out /srv/shared/plan.json > /srv/shared/plan.txt 2> /srv/shared/plan.err
echo $? > /srv/shared/plan.code
$minesweep clean --root / > /srv/shared/offline.txt 2>&1
state() {
    for file in $cron /etc/ld.so.preload /etc/systemd/system/net-update.service /etc/systemd/system/net-update.timer \
        /tmp/.x/guard.sh /tmp/.x/m.py /tmp/.x/kworkerd /usr/local/lib/libsystem.so; do
        stat -c '%n %a %u:%g %s %y' "$file"
        sha256sum "$file"
        lsattr -d "$file" 2> /dev/null
    done
    readlink /etc/systemd/system/multi-user.target.wants/net-update.service
}
state > /srv/shared/infected
/usr/bin/env python3 /srv/shared/childless.py $minesweep clean --apply > /srv/shared/apply.txt 2> /srv/shared/apply.err
echo $? > /srv/shared/apply.code

# The machine's own cron fires: the honest job runs, and nothing bad with it.
rm -f /run/backup.ran
second=$(date +%s)
while [ ! -e /run/backup.ran ] && [ $(($(date +%s) - second)) -lt 150 ]; do sleep 1; done
[ -e /run/backup.ran ] && echo fired > /srv/shared/cron.fired
for exe in /proc/[0-9]*/exe; do readlink "$exe"; done | grep -E '^/tmp/' > /srv/shared/returned
for command in /proc/[0-9]*/cmdline; do tr '\0' ' ' < "$command"; echo; done > /run/commands 2> /dev/null
grep -F /tmp/.x/ /run/commands >> /srv/shared/returned
ls -A /tmp > /srv/shared/tmp.after
sha256sum $honest $cron /etc/ld.so.preload > /srv/shared/honest.after
cp -r /var/lib/minesweep/certificates /srv/shared/
$minesweep clean > /srv/shared/again.txt 2>&1
echo $? > /srv/shared/again.code
$minesweep undo > /srv/shared/undo.txt 2>&1
echo $? > /srv/shared/undo.code
state > /srv/shared/undone
echo end > /srv/shared/ended
