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
