# A server with Debian's sshd, whose root has a weak password, and with a rival's process.
. /srv/shared/machine.sh
usermod -p "$(openssl passwd -6 tangerine)" root
mkdir -p /run/sshd /root/.ssh
rsyslogd -i /run/rsyslogd.pid -f /srv/shared/ssh.rsyslog.conf
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/host
/usr/sbin/sshd -f /srv/shared/ssh.sshd.conf
cp /bin/sleep /usr/local/bin/cachewarm
/usr/local/bin/cachewarm 1000 &
echo ready
read -r _
echo done
read -r _ || true
