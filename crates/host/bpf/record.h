/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel side hands to user space: one header, one struct a kind. Mirrored in src/bpf/record.rs; both
 * sides assert the sizes. Whole words only, so that no compiler adds padding and no stack byte leaks. */
#pragma once

enum kind {
	KIND_FORK,
	KIND_EXEC,
	KIND_EXIT,
	KIND_CONNECT,
	KIND_ACCEPT,
	KIND_CLOSED,
	KIND_BYTES,
	KIND_MAP,
	KIND_MSR,
	KIND_SETTING,
	KIND_COUNT,
};

enum direction { OUT, IN };

/* Bounds. Names: 24 levels and 512 bytes a path, else the name given to execve and a readlink by user space. */
#define PATH_BYTES 512
#define PATH_LEVELS 24
#define NAME_BYTES 256
#define ARGV_SMALL 512
#define ARGV_LARGE 4096
#define CHUNK_SMALL 192
#define CHUNK_MIDDLE 1472
#define CHUNK_LARGE 4096

struct head {
	__u32 kind;
	__u32 pad;
	__u64 at_ns; /* CLOCK_MONOTONIC */
};

/* A process. start_ns: CLOCK_BOOTTIME; pid 0: not known. */
struct who {
	__u32 pid;
	__u32 pad;
	__u64 start_ns;
};

struct fork_record {
	struct head head;
	struct who parent;
	struct who child;
};

struct exit_record {
	struct head head;
	struct who who;
};

enum exec_flag {
	EXEC_OVERLAY_UPPER = 1,
	EXEC_MEMFD = 2,
	EXEC_UNLINKED = 4,
	EXEC_PATH_AS_GIVEN = 8, /* exe is the argument of execve, not the path of the file */
	EXEC_CWD_CUT = 16,
};

struct exec_record {
	struct head head;
	struct who who;
	__u64 cgroup;    /* inode in cgroup2 */
	__u64 cgroup_v1; /* inode in the hierarchy of `pids`, 0 without */
	__u64 inode;
	__u32 device; /* kernel form: major << 20 | minor */
	__u32 parent_pid;
	__u32 inner_pid; /* 0: the same */
	__u32 uid;
	__u32 flags;
	__u32 exe_bytes; /* names, leaf first, each ended by NUL; or one string */
	__u32 cwd_bytes; /* names, leaf first */
	__u32 argv_bytes;
	char comm[16];
	char exe[PATH_BYTES];
	char cwd[PATH_BYTES];
	/* argv follows */
};

struct ends {
	__u32 local[4]; /* as on the wire; IPv4 in the first word */
	__u32 remote[4];
	__u16 local_port;
	__u16 remote_port;
	__u8 family; /* 4 or 6 */
	__u8 protocol;
	__u16 pad;
};

/* KIND_CONNECT, KIND_ACCEPT and KIND_CLOSED. */
struct flow_record {
	struct head head;
	struct who who;
	__u64 cookie;
	struct ends ends;
};

struct bytes_record {
	struct head head;
	struct who who;
	__u64 cookie;
	struct ends ends;
	__u32 sequence;
	__u32 bytes;
	__u32 cut;
	__u32 direction;
	/* bytes follow */
};

struct map_record {
	struct head head;
	struct who who;
	__u64 length;
	__u32 flags;
	__s32 fd;
};

struct msr_record {
	struct head head;
	struct who who;
	__u64 reg;
	__u64 value;
	__u32 has_value;
	__u32 is_done;
};

struct setting_record {
	struct head head;
	struct who who;
	__u32 path_bytes; /* names, leaf first */
	__u32 pad;
	char path[PATH_BYTES];
};

/* Value of the flow map: who, and how much of each direction was copied. */
struct flow {
	struct who who;
	__u32 used[2];
	__u32 flags;
	__u32 pad;
};

enum flow_flag {
	FLOW_TALKS_JSON = 1,
	FLOW_REPORTED = 2, /* something was said of it, so its end is news too */
};

/* Value of the rounding map: samples by MXCSR.RC. */
struct modes {
	__u64 count[4];
};

struct count {
	__u64 made;
	__u64 lost;
};

/* One entry of the task iterator. */
struct task_entry {
	struct who who;
	__u32 parent_pid;
	__u32 is_kernel;
	char comm[16];
};

/* One entry of the socket iterator: an established or listening TCP socket. */
struct socket_entry {
	struct who who;
	__u64 cookie;
	struct ends ends;
	__u32 namespace;
	__u32 is_listening;
};

/* Set before loading. */
struct settings {
	__u32 budget; /* bytes of each flow and direction */
	__u32 pad;
};

#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
SIZE(head, 16);
SIZE(who, 16);
SIZE(fork_record, 48);
SIZE(exit_record, 32);
SIZE(exec_record, 104 + 2 * PATH_BYTES);
SIZE(ends, 40);
SIZE(flow_record, 80);
SIZE(bytes_record, 96);
SIZE(map_record, 48);
SIZE(msr_record, 56);
SIZE(setting_record, 40 + PATH_BYTES);
SIZE(flow, 32);
SIZE(modes, 32);
SIZE(count, 16);
SIZE(task_entry, 40);
SIZE(socket_entry, 72);
SIZE(settings, 8);
#undef SIZE
