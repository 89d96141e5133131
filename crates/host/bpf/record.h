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
	KIND_FILE,
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
	__u32 session;   /* pid of its session's leader */
	__u32 login_uid; /* ~0: without a login */
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

/* As FileAct of the model, from 1 on; 0: none. */
enum file_act {
	FILE_CREATE = 1,
	FILE_WRITE,
	FILE_READ,
};

enum file_flag {
	FILE_BASE_CUT = 1,	 /* too deep: no names of the base */
	FILE_OTHER_BASE_CUT = 2, /* the same of the other */
	FILE_UNREAD = 4,	 /* a string could not be copied */
};

/* A path is the names of a folder (`base`, leaf first, each ended by NUL) and the caller's words below it. Without
 * words the base is the file itself, as the kernel knows it. */
struct file_record {
	struct head head;
	struct who who;
	__u64 inode; /* 0: not known */
	__u64 value;
	__u32 device;
	__u32 namespace; /* of mounts */
	__u32 act;	 /* enum file_act and on */
	__u32 flags;
	__u32 call; /* enum call_flag */
	__u32 at;   /* AT_ flags, or those of the call */
	__s32 result;
	__u32 word_bytes;
	__u32 base_bytes;
	__u32 other_word_bytes;
	__u32 other_base_bytes;
	__s32 dir; /* the base's descriptor, or AT_FDCWD */
	/* word, base, other word and other base follow */
};

enum call_flag {
	CALL_OPENS = 1,	      /* the result is a descriptor; the act depends on it */
	CALL_ON_FILE = 2,     /* `dir` is the file itself */
	CALL_FOLLOWS = 4,     /* a symbolic link stands for its target */
	CALL_REFUSALS = 8,    /* told also when refused */
	CALL_OTHER_TEXT = 16, /* the other word is no path */
	CALL_MAKES_FILE = 32, /* the result is a descriptor of what the word names */
	CALL_FLAGS_ONLY = 64, /* ioctl: only requests that set flags */
	CALL_OWNER = 128,     /* two values: user and group */
	CALL_VALUE_AT = 256,  /* the value is a pointer to 32 bits */
	CALL_VALUE_AT_64 = 512,
	CALL_MOUNTS = 1024,   /* `at` says whether the other word is a path */
	CALL_MAPS = 2048,     /* these are no acts on files */
	CALL_WRITES_AT = 4096,
	CALL_ACCEPTS = 8192,
};

/* How a system call is read. Places of arguments count from 1; 0: it has none. */
struct call {
	__u32 flags;
	__u8 act;
	__u8 dir;
	__u8 word;
	__u8 other_dir;
	__u8 other_word;
	__u8 value;
	__u8 at;
	__u8 pad;
};

#define CALL_NUMBERS 512
#define EXCLUDED 16
#define FOLDERS 8
#define WATCHED_NAME 40
#define WATCHED_FOLDER 24

enum watched_act {
	WATCHED_READ = 1,  /* opening for reading is told */
	WATCHED_WRITE = 2, /* opening for writing is told in excluded file systems too */
};

/* Value of the map of names that are watched. */
struct watched {
	__u32 acts;
	char folder[WATCHED_FOLDER]; /* name of the folder; empty: any */
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
	__u32 budget;	 /* bytes of each flow and direction */
	__u32 own_pid;	 /* not told about */
	__u32 excluded[EXCLUDED]; /* magic numbers of file systems */
	__u64 folders[FOLDERS];	  /* names of folders, NUL included, in which each file is watched for reading */
	__u64 told[CALL_NUMBERS / 64]; /* bits: numbers of calls that are looked at */
	struct call calls[2][CALL_NUMBERS]; /* own calls, calls of 32-bit programs */
};

#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
SIZE(head, 16);
SIZE(who, 16);
SIZE(fork_record, 48);
SIZE(exit_record, 32);
SIZE(exec_record, 112 + 2 * PATH_BYTES);
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
SIZE(file_record, 96);
SIZE(call, 12);
SIZE(watched, 28);
SIZE(settings, 8 + 4 * EXCLUDED + 8 * FOLDERS + CALL_NUMBERS / 8 + 24 * CALL_NUMBERS);
#undef SIZE
