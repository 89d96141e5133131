/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* All hooks in one object, so that they share their maps. Each is loaded and attached on its own. */

#include "common.h"
#include "rounding.bpf.c"
#include "process.bpf.c"
#include "connect.bpf.c"
#include "bytes.bpf.c"
#include "settings.bpf.c"
#include "files.bpf.c"
#include "calls.bpf.c"

/* The kernel lends most helpers to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
