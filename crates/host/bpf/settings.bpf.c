/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a miner asks of the kernel: memory maps of its sizes, model-specific registers, huge pages. Part of
 * sensor.bpf.c.
 *
 * Tracepoints of system calls have a price beside the hook: while one is attached, each call of each process takes the
 * kernel's slower way in and out, some 45 ns. Nothing else tells a write to a register.
 * A setting is reported when its file is opened for writing: a look at each write of each process would cost more
 * than it tells. files.bpf.c sees the opening. */

#define MAP_ANONYMOUS 0x20
#define MAP_HUGETLB 0x40000
#define MIB (1ULL << 20)
#define DATASET_BYTES (2080 * MIB) /* RandomX's dataset */
#define CACHE_BYTES (256 * MIB)    /* RandomX's cache */
#define SLACK_BYTES (2 * MIB)
#define MSR_MAJOR 202

static __always_inline bool_t is_near(__u64 length, __u64 size)
{
	return length >= size - SLACK_BYTES && length <= size + SLACK_BYTES;
}

SEC("tracepoint")
int on_mmap(struct sys_enter *ctx)
{
	__u64 length = ctx->args[1];
	__u64 flags = ctx->args[3];
	struct map_record *record;

	if (!(flags & MAP_ANONYMOUS))
		return 0;
	if (!(flags & MAP_HUGETLB) && !is_near(length, DATASET_BYTES) && !is_near(length, CACHE_BYTES))
		return 0;
	record = reserve(KIND_MAP, sizeof(*record));
	if (!record)
		return 0;
	who_is_current(&record->who);
	record->length = length;
	record->flags = flags;
	record->fd = (__s32)ctx->args[4];
	submit(record);
	return 0;
}

struct msr_write {
	__u64 reg;
	__u64 value;
	__u32 has_value;
	__u32 pad;
};

/* Writes under way, by thread. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct msr_write);
} msr_writes SEC(".maps");

__u32 msr_seen;

SEC("tracepoint")
int on_pwrite(struct sys_enter *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct msr_write write = { .reg = ctx->args[3] };
	struct inode *inode;
	struct file *file;

	file = ctx->args[2] == 8 ? file_of(ctx->args[0]) : NULL;
	if (!file)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	if (BPF_CORE_READ(inode, i_rdev) >> 20 != MSR_MAJOR)
		return 0;
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFCHR)
		return 0;
	write.has_value = !bpf_probe_read_user(&write.value, sizeof(write.value), (void *)ctx->args[1]);
	msr_seen = 1;
	bpf_map_update_elem(&msr_writes, &thread, &write, BPF_ANY);
	return 0;
}

SEC("tracepoint")
int on_pwrite_done(struct sys_exit *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct msr_record *record;
	struct msr_write *write;

	if (!msr_seen)
		return 0;
	write = bpf_map_lookup_elem(&msr_writes, &thread);
	if (!write)
		return 0;
	record = reserve(KIND_MSR, sizeof(*record));
	if (record) {
		who_is_current(&record->who);
		record->reg = write->reg;
		record->value = write->value;
		record->has_value = write->has_value;
		record->is_done = ctx->ret == 8;
		submit(record);
	}
	bpf_map_delete_elem(&msr_writes, &thread);
	return 0;
}

static __always_inline bool_t is_setting(const char *name)
{
	return is_same(name, "nr_hugepages", 12) || is_same(name, "allow_writes", 12) || is_same(name, "nr_overcommi", 12);
}

/* A file is open for writing: is it such a setting? */
static __always_inline void tell_setting(struct file *file, struct dentry *dentry, const char *name)
{
	struct setting_record *record;
	__s32 path_bytes;

	if (!is_setting(name))
		return;
	record = reserve(KIND_SETTING, sizeof(*record));
	if (!record)
		return;
	who_is_current(&record->who);
	record->pad = 0;
	path_bytes = add_names(record->path, 0, BPF_CORE_READ(file, f_path.mnt), dentry);
	record->path_bytes = path_bytes < 0 ? 0 : path_bytes;
	submit(record);
}
