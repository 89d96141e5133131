#!/bin/sh
# Writes the harmless stand-in of $1 in ways that real droppers do, below mounts that nobody else sees. Called as
#   unshare --mount --pid --fork --kill-child --propagation private sh files.sh FOLDER
# A word on its input starts each step; it says when the step is done.
set -eu
from=$1 place=/usr/local
mount -t proc proc /proc
mount -t tmpfs tmpfs "$place"
mkfifo "$place/in" "$place/out"
echo ready

# Writers that are gone at once: a copy, an archive, a package, and a name that is no text.
read -r _
cp "$from/stand-in" "$place/plain"
tar -C "$from" -czf "$place/bundle.tar.gz" stand-in
mkdir -p "$place/package/DEBIAN" "$place/package/usr/lib"
printf 'Package: innocent\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: a\n' > "$place/package/DEBIAN/control"
cp "$from/stand-in" "$place/package/usr/lib/.x"
dpkg-deb --build "$place/package" "$place/package.deb" > "$place/said"
cp "$from/stand-in" "$place/$(printf '\377')"
echo written

# Started as soon as it is there, from a folder of the system, and gone again before it has rested.
read -r _
cp "$from/program" "$place/started"
"$place/started" < "$place/in" > "$place/out" &
exec 3> "$place/in" 4< "$place/out"
echo runs >&3
read -r said <&4
rm "$place/started"
echo "$said"

read -r _ || true
