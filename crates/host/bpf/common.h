/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps and small steps that all hooks share: the two rings, the counters, who a task is, the path of a file. */
#pragma once

#include "kernel.h"
#include "record.h"

const volatile struct settings settings = { .budget = 16384 };

/* The rings must hold what comes while user space works on a batch. Each byte counts twice in the agent's memory, since a
 * ring is mapped twice in a row and whole: 4 MiB for the three (smaps). This one holds 630 starts of programs with short
 * command lines; 5,000 in a row beside 20,000 connections lose none (docs/spec/limits.md). The other two
 * have half: only the first bytes of connections come by `verdicts`, and a flood of 20,000 files loses what does not fit,
 * counted (tests/bpf_loss.rs). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} records SEC(".maps");

/* For what must be judged at once. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 19);
} verdicts SEC(".maps");

/* What is done to files: in a ring of its own, so that a flood of files hides no process. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 19);
} files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KIND_COUNT);
	__type(key, __u32);
	__type(value, struct count);
} counts SEC(".maps");

/* Socket cookie -> process and budget. Least recently used goes first: a flood may cost an old flow its owner. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct flow);
} flows SEC(".maps");

/* A wake-up costs ten times the hook. So telemetry wakes the reader only when it says that it sleeps, and then once;
 * awake it looks by itself every 2 ms (src/bpf/rings.rs). In a map of its own: user space sets it. */
__u32 is_reader_asleep SEC(".data.asleep");

static __always_inline __u64 wake_flags(void)
{
	if (!is_reader_asleep)
		return BPF_RB_NO_WAKEUP;
	is_reader_asleep = 0;
	return BPF_RB_FORCE_WAKEUP;
}

/* A verdict wakes the reader, but after a wake it looks by itself for some milliseconds: a server of many short
 * messages pays for at most 2000 wakes a second, 13 us each. */
#define VERDICT_WAKE_EVERY_NS 500000ULL

__u64 last_verdict_wake_ns;

static __always_inline __u64 verdict_flags(__u64 now_ns)
{
	if (now_ns - last_verdict_wake_ns < VERDICT_WAKE_EVERY_NS)
		return BPF_RB_NO_WAKEUP;
	last_verdict_wake_ns = now_ns;
	return BPF_RB_FORCE_WAKEUP;
}

static __always_inline void count(__u32 kind, const void *record)
{
	struct count *at = bpf_map_lookup_elem(&counts, &kind);

	if (!at)
		return;
	at->made++;
	if (!record)
		at->lost++;
}

/* Room for a record of `kind` in the telemetry ring; NULL is counted as a loss. */
static __always_inline void *reserve(__u32 kind, __u64 bytes)
{
	struct head *head = bpf_ringbuf_reserve(&records, bytes, 0);

	count(kind, head);
	if (!head)
		return NULL;
	head->kind = kind;
	head->pad = 0;
	head->at_ns = bpf_ktime_get_ns();
	return head;
}

static __always_inline void submit(void *record)
{
	bpf_ringbuf_submit(record, wake_flags());
}

/* For task pointers that the verifier trusts: plain loads. */
static __always_inline void who_is(struct who *who, struct task_struct *task)
{
	who->pid = task->tgid;
	who->pad = 0;
	who->start_ns = task->group_leader->start_boottime;
}

/* For programs in which the current task is only a number. */
static __always_inline void who_is_current(struct who *who)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	who->pid = bpf_get_current_pid_tgid() >> 32;
	who->pad = 0;
	who->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
}

/* memcmp, which no kernel lends. */
static __always_inline bool_t is_same(const char *left, const char *right, int bytes)
{
	for (int at = 0; at < bytes; at++)
		if (left[at] != right[at])
			return 0;
	return 1;
}

/* The file behind a descriptor of the current process; for tracing programs. */
static __always_inline struct file *file_of(int fd)
{
	struct file *file = NULL;
	struct fdtable *table;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) { /* 5.11: plain loads do */
		table = bpf_get_current_task_btf()->files->fdt;
		if (fd < 0 || (__u32)fd >= table->max_fds)
			return NULL;
		bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
		return file;
	}
	table = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), files, fdt);
	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	return file;
}

/* Appends a name and its NUL. Gives the bytes used then, or -1 without room. */
static __always_inline __s32 add_name(char *to, __u32 used, const unsigned char *name)
{
	long length;

	if (used >= PATH_BYTES - NAME_BYTES)
		return -1;
	length = bpf_probe_read_kernel_str(to + used, NAME_BYTES, name);
	if (length <= 0 || length > NAME_BYTES)
		return -1;
	used += length;
	/* Changes nothing, but the verifier forgets how small it may be. Else each level is a state of its own: 412,000
	 * instructions verified instead of some thousands. */
	asm volatile("%0 &= %1" : "+r"(used) : "i"(PATH_BYTES - 1));
	return used;
}

/* Appends the names from `dentry` to the root of the mount namespace, as /proc/PID/exe shows them, leaf first. Gives
 * the bytes used then, or -1 when it is too deep or too long. */
static __always_inline __s32 add_names(char *to, __s32 used, struct vfsmount *vfsmount, struct dentry *dentry)
{
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	struct dentry *root = BPF_CORE_READ(vfsmount, mnt_root);

	for (int level = 0; level < PATH_LEVELS && used >= 0; level++) {
		struct dentry *parent;

		if (dentry == root) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount)
				return used;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			root = BPF_CORE_READ(mount, mnt.mnt_root);
			continue;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		used = add_name(to, used, BPF_CORE_READ(dentry, d_name.name));
		if (parent == dentry) /* memfd, pipe: its own root */
			return used;
		dentry = parent;
	}
	return -1;
}

/* The same where the verifier trusts the pointers: within the first mount, as a rule the only one, plain loads do. */
static __always_inline __s32 names_of(char *to, struct vfsmount *vfsmount, struct dentry *dentry)
{
	struct dentry *root = vfsmount->mnt_root;
	__s32 used = 0;

	for (int level = 0; level < PATH_LEVELS && used >= 0; level++) {
		struct dentry *parent = dentry->d_parent;

		if (dentry == root)
			return add_names(to, used, vfsmount, dentry);
		used = add_name(to, used, dentry->d_name.name);
		if (parent == dentry)
			return used;
		dentry = parent;
	}
	return -1;
}

/* Both ends of a socket. */
static __always_inline void ends_of(struct ends *ends, struct sock *sock)
{
	__builtin_memset(ends, 0, sizeof(*ends));
	ends->local_port = BPF_CORE_READ(sock, __sk_common.skc_num);
	ends->remote_port = bpf_ntohs(BPF_CORE_READ(sock, __sk_common.skc_dport));
	ends->protocol = BPF_CORE_READ(sock, sk_protocol);
	if (BPF_CORE_READ(sock, __sk_common.skc_family) == AF_INET) {
		ends->family = 4;
		BPF_CORE_READ_INTO(&ends->local[0], sock, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO(&ends->remote[0], sock, __sk_common.skc_daddr);
		return;
	}
	ends->family = 6;
	BPF_CORE_READ_INTO((struct in6_addr *)ends->local, sock, __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO((struct in6_addr *)ends->remote, sock, __sk_common.skc_v6_daddr);
}
