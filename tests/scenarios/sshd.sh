#!/bin/bash
# A real sshd and a real log daemon, in namespaces of their own: a user `guess` with the password `tangerine`, at
# 198.51.100.7 port 2222. Prints `ready`, then does what its input says, a line each, and prints `done`:
#   hydra FILE    guess the password with the words of a file, in the background
#   login CMD     log in with the right password and run a command
# The log is the file that the first argument names, by rsyslogd; a folder there gets the files of journald instead. Ends with its input; nothing of it outlives it.
set -euo pipefail

if [[ ${1-} != --inside ]]; then
  exec unshare --mount --net -- "$0" --inside "$@"
fi
log=$2
address=198.51.100.7
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf --one-file-system "$work"' EXIT

ip link set lo up
ip address add "$address/32" dev lo

# Accounts, devices and /run of its own: the machine's are not touched, nor is anything of them under $work.
cp /etc/passwd /etc/shadow "$work"
echo "guess:x:4242:4242::/tmp:/bin/sh" >>"$work/passwd"
echo "guess:$(openssl passwd -6 tangerine):19000:0:99999:7:::" >>"$work/shadow"
mount --bind "$work/passwd" /etc/passwd
mount --bind "$work/shadow" /etc/shadow
mount -t tmpfs tmpfs /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
mknod -m 666 /dev/tty c 5 0
mkdir /dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
mount -t tmpfs tmpfs /run
mkdir /run/sshd

if [[ -d $log ]]; then
  mkdir -p /run/systemd/journal /run/log/journal
  mount --bind "$log" /run/log/journal
  setpriv --pdeathsig KILL /lib/systemd/systemd-journald &
  until [[ -S /run/systemd/journal/dev-log ]]; do sleep 0.02; done
  ln -s /run/systemd/journal/dev-log /dev/log
else
  cat >"$work/rsyslog.conf" <<CONF
module(load="imuxsock" SysSock.Name="/dev/log")
auth,authpriv.* action(type="omfile" file="$log" template="RSYSLOG_TraditionalFileFormat")
CONF
  setpriv --pdeathsig KILL rsyslogd -n -i "$work/rsyslog.pid" -f "$work/rsyslog.conf" 2>"$work/rsyslog.err" &
  until [[ -S /dev/log ]]; do sleep 0.02; done
fi

ssh-keygen -q -t ed25519 -N '' -f "$work/host"
cat >"$work/sshd_config" <<CONF
Port 2222
HostKey $work/host
PidFile none
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM no
MaxStartups 100
CONF
setpriv --pdeathsig KILL /usr/sbin/sshd -D -f "$work/sshd_config" &
until (: >"/dev/tcp/$address/2222") 2>/dev/null; do sleep 0.02; done

echo ready
while read -r what rest; do
  case $what in
    # Beside what follows: after its success it may wait half a minute for its other connections.
    hydra) hydra -q -f -t 4 -l guess -P "$rest" -s 2222 "$address" ssh >"$work/hydra.out" 2>&1 & ;;
    login) sshpass -p tangerine ssh -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
             -o LogLevel=ERROR "guess@$address" "$rest" </dev/null ;;
  esac
  echo done
done
