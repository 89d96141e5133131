# Runs one infection (infection.sh) in the machine of enter.sh and has the program plan, apply and undo. /srv/shared holds
# the program and takes the results. Everything is a harmless stand-in; each says in /run/started that it was started.
#
# infection.sh sets HONEST (its honest files, and those that the infection changes too) and BAD (what it adds; folders
# with all in them), may set READS (what is read whenever a program starts), and defines
#   honest   makes the honest things
#   infect   adds the infection and starts it
#   tempt    does what the infection waits for (a login, a shell), after the cleaning; ":" where it waits for nothing
set -u
exec > /srv/shared/log 2>&1
set -x
minesweep=/srv/shared/minesweep
cron=/var/spool/cron/crontabs/root
WALLET=48TestWalletNotReal$(printf '%076d' 0 | tr 0 x)
# What a miner's command says; the pool of `pool` listens there.
MINES="-o stratum+tcp://127.0.0.1:3333 -u $WALLET -a rx/0 --donate-level 1 -t 2"

# A pool on loopback, until the machine ends.
pool() {
    mkfifo /run/ready.in
    python3 /srv/shared/pool.py --port 3333 < /run/ready.in > /run/pool.port &
    exec 9> /run/ready.in
    while [ ! -s /run/pool.port ]; do :; done
}
# A stand-in of a miner, run as: FOLDER/kworkerd FOLDER/m.py $MINES
miner() {
    mkdir -p "$1"
    cp "$(python3 -c "import os, sys; print(os.path.realpath(sys.executable))")" "$1/kworkerd"
    cp /srv/shared/miner.py "$1/m.py"
}
# Starts a command as a program of its own, and waits for a file that it writes.
start() {
    waits=$1
    shift
    setsid "$@" < /dev/null > /dev/null 2>&1 9>&- &
    while [ ! -s "$waits" ]; do :; done
}
state() { python3 /srv/shared/state.py "$@"; }

READS=
. /srv/shared/infection.sh
export READS

# Honest things of every infection.
mkdir -p /opt/own /root/.ssh
printf '#!/bin/sh\necho ran >> /run/backup.ran\n' > /opt/own/backup.sh
chmod 755 /opt/own/backup.sh
printf '# of the administrator\n* * * * * /opt/own/backup.sh\n' > $cron
chmod 600 $cron
printf '[Service]\nExecStart=/opt/own/backup.sh\n' > /etc/systemd/system/own.service
echo 'ssh-ed25519 AAAAC3Nzarangekey admin@range' > /root/.ssh/authorized_keys
echo '30 5 * * * root /opt/own/backup.sh --full' > /etc/cron.d/own
honest
HONEST="$HONEST /opt/own/backup.sh /etc/systemd/system/own.service /root/.ssh/authorized_keys /etc/cron.d/own $cron"
state content $HONEST > /srv/shared/honest.before

infect
cron

# Plan only: nothing changes.
PATH= $minesweep clean --plan-out /srv/shared/plan.json > /srv/shared/plan.txt 2> /srv/shared/plan.err
echo $? > /srv/shared/plan.code
$minesweep clean --root / > /srv/shared/offline.txt 2>&1
# Read once before: a first reading changes the time of access.
state whole $HONEST $BAD > /dev/null
state whole $HONEST $BAD > /srv/shared/infected
/usr/bin/env python3 /srv/shared/childless.py $minesweep clean --apply > /srv/shared/apply.txt 2> /srv/shared/apply.err
echo $? > /srv/shared/apply.code
state content $HONEST > /srv/shared/honest.after

# The machine's own cron fires twice: the honest job runs, and nothing bad with it.
rm -f /run/backup.ran /run/started
tempt
second=$(date +%s)
while [ "$(wc -l < /run/backup.ran)" != 2 ] && [ $(($(date +%s) - second)) -lt 210 ]; do sleep 1; done
wc -l < /run/backup.ran > /srv/shared/cron.fired
cp /run/started /srv/shared/returned || : > /srv/shared/returned
for exe in /proc/[0-9]*/exe; do readlink "$exe"; done | grep -E '^(/tmp|/var/tmp|/dev/shm|/memfd:)' >> /srv/shared/returned
for command in /proc/[0-9]*/cmdline; do tr '\0' ' ' < "$command"; echo; done > /run/commands 2> /dev/null
grep -F -e "$WALLET" /run/commands >> /srv/shared/returned
cp -r /var/lib/minesweep/certificates /srv/shared/
$minesweep clean > /srv/shared/again.txt 2>&1
echo $? > /srv/shared/again.code
$minesweep undo > /srv/shared/undo.txt 2>&1
echo $? > /srv/shared/undo.code
state whole $HONEST $BAD > /srv/shared/undone
echo end > /srv/shared/ended
