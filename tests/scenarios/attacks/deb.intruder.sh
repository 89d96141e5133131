# Only waits for the miner.
. ./intruder.sh
echo ready
read -r _
echo done
read -r _ || true
