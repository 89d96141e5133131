# Sourced by scenarios: the same deed by the tool, place and name that this run's draw says.
#   NAME, OTHER   invented words           DIR    a folder that anybody may write
#   FETCH         curl, wget or python3    PUT    how a file is written: sh, tee, cp, install or python3
#   PORT          of the server            URL    its address
URL=http://127.0.0.1:$PORT

# fetch PATH: what the server has, on stdout.
fetch() {
    case $FETCH in
        curl) curl -fsSL "$URL/$1" ;;
        wget) wget -qO- "$URL/$1" ;;
        python3) python3 -c "import urllib.request,sys;sys.stdout.buffer.write(urllib.request.urlopen('$URL/$1').read())" ;;
    esac
}

# fetch_to PATH FILE
fetch_to() {
    case $FETCH in
        curl) curl -fsSL -o "$2" "$URL/$1" ;;
        wget) wget -q -O "$2" "$URL/$1" ;;
        python3) python3 -c "import urllib.request;urllib.request.urlretrieve('$URL/$1','$2')" ;;
    esac
}

# put FILE: stdin becomes the file.
put() {
    case $PUT in
        sh) cat > "$1" ;;
        tee) tee "$1" > /dev/null ;;
        cp) cat > /run/put.$$ && cp /run/put.$$ "$1" ;;
        install) cat > /run/put.$$ && install -m 644 /run/put.$$ "$1" ;;
        python3) python3 -c "import sys;open('$1','w').write(sys.stdin.read())" ;;
    esac
}

# add FILE: stdin is put at the file's end.
add() {
    case $PUT in
        tee) tee -a "$1" > /dev/null ;;
        python3) python3 -c "import sys;open('$1','a').write(sys.stdin.read())" ;;
        *) cat >> "$1" ;;
    esac
}

# package NAME VERSION: what lies in /opt/package becomes /opt/NAME_VERSION.deb, with the scripts in its folder DEBIAN.
package() {
    mkdir -p /opt/package/DEBIAN
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: x\n' "$1" "$2" \
        > /opt/package/DEBIAN/control
    for script in preinst postinst prerm postrm; do
        [ ! -f "/opt/package/DEBIAN/$script" ] || chmod 755 "/opt/package/DEBIAN/$script"
    done
    dpkg-deb -b /opt/package "/opt/$1_$2.deb"
}

# part PATH: stdin becomes a file of the package.
part() {
    mkdir -p "/opt/package/$(dirname "$1")"
    cat > "/opt/package/$1"
}

# service NAME: a program of that name that does what it is told, as a server with a hole would: `NAME -c CODE`.
service() {
    mkdir -p /opt/service
    cp "$(python3 -c 'import os,sys;print(os.path.realpath(sys.executable))')" "/opt/service/$1"
    export PYTHONHOME="$(python3 -c 'import sys;print(sys.base_prefix)')" PATH="/opt/service:$PATH"
}
