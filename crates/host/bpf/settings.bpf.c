/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a miner asks of the kernel: memory maps of its sizes, model-specific registers, huge pages. Part of
 * sensor.bpf.c.
 *
 * A setting is reported when its file is opened for writing: a look at each write of each process would cost more
 * than it tells. calls.bpf.c calls these. */

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

/* At the return of mmap, also when there was no room. */
static __always_inline void mapped(const __u64 *args)
{
	__u64 length = args[1];
	__u64 flags = args[3];
	struct map_record *record;

	if (!(flags & MAP_ANONYMOUS))
		return;
	if (!(flags & MAP_HUGETLB) && !is_near(length, DATASET_BYTES) && !is_near(length, CACHE_BYTES))
		return;
	record = reserve(KIND_MAP, sizeof(*record));
	if (!record)
		return;
	who_is_current(&record->who);
	record->length = length;
	record->flags = flags;
	record->fd = (__s32)args[4];
	submit(record);
}

/* At the return of pwrite. */
static __always_inline void wrote_at(const __u64 *args, long result)
{
	struct msr_record *record;
	struct inode *inode;
	struct file *file;

	file = args[2] == 8 ? file_of(args[0]) : NULL;
	if (!file)
		return;
	inode = BPF_CORE_READ(file, f_inode);
	if (BPF_CORE_READ(inode, i_rdev) >> 20 != MSR_MAJOR)
		return;
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFCHR)
		return;
	record = reserve(KIND_MSR, sizeof(*record));
	if (!record)
		return;
	who_is_current(&record->who);
	record->reg = args[3];
	record->has_value = !bpf_probe_read_user(&record->value, sizeof(record->value), (void *)args[1]);
	record->is_done = result == 8;
	submit(record);
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
