#!/usr/bin/env python3
"""Prints what files are, to be compared: one line each, of a folder also of all that lies in it.

    state.py content FILE...     kind, mode, owner, extended attributes, digest
    state.py whole FILE...       these, the flags of chattr, and the times of all but folders: what lies in a folder goes
                                 and comes back, and `undo` does not give a folder its own times back

Files in the variable READS are read whenever a program starts, this one too: of them the time of access says nothing.
"""
import array, fcntl, hashlib, os, stat, sys

FLAGS = 0x80086601  # FS_IOC_GETFLAGS
READS = os.environ.get("READS", "").split()
# Flags of the file system's own (extents, index, inline data) may differ between copies.
OWN = 0x00080000 | 0x00001000 | 0x10000000


def below(path):
    yield path
    if os.path.isdir(path) and not os.path.islink(path):
        for name in sorted(os.listdir(path)):
            yield from below(os.path.join(path, name))


def line(path, whole):
    try:
        is_ = os.lstat(path)
    except FileNotFoundError:
        return f"{path!r} is not there"
    attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(os.listxattr(path, follow_symlinks=False))}
    words = [repr(path), stat.filemode(is_.st_mode), oct(is_.st_mode), f"{is_.st_uid}:{is_.st_gid}", repr(attributes)]
    if stat.S_ISLNK(is_.st_mode):
        words.append(repr(os.readlink(path)))
    if whole and not stat.S_ISDIR(is_.st_mode):
        words.append(str(is_.st_mtime_ns))
        if path not in READS:
            words.append(str(is_.st_atime_ns))
    if stat.S_ISREG(is_.st_mode):
        with open(path, "rb") as file:
            if whole:
                flags = array.array("l", [0])
                try:
                    fcntl.ioctl(file, FLAGS, flags)
                    words.append(hex(flags[0] & ~OWN))
                except OSError:
                    words.append("no flags")
            words.append(hashlib.sha256(file.read()).hexdigest())
    return " ".join(words)


for path in sys.argv[2:]:
    for each in below(path):
        print(line(each, sys.argv[1] == "whole"))
