/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is done to files. Part of sensor.bpf.c; calls.bpf.c says when.
 *
 * A file that was opened is told by the path that the kernel knows. Of a call that names files we copy the words, and
 * the names of the folder below which they stand; another thread may have changed the words meanwhile. */

#define AT_FDCWD -100
#define FILE_LEVELS 40
#define FILE_PATH_BYTES 4096
#define WORD_BYTES 4096
#define TEXT_BYTES 16384 /* two words, two bases */
#define EPERM 1
#define EACCES 13
#define EROFS 30
#define FS_IOC_SETFLAGS 0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_FSSETXATTR 0x401c5820
#define AGAIN_NS 1000000000ULL

/* Room to put a record together; too large for the stack. The hook cannot be preempted. */
struct scratch {
	__u64 args[8];
	struct file_record record;
	char text[TEXT_BYTES + WORD_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct watched_name {
	char name[WATCHED_NAME];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct watched_name);
	__type(value, struct watched);
} watched_names SEC(".maps");

struct opened {
	__u64 inode;
	__u32 device;
	__u32 pid;
};

/* When a process last opened a file for writing. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct opened);
	__type(value, __u64);
} written SEC(".maps");

static __always_inline struct scratch *scratch_of_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

/* As add_names, behind what the text holds. A function of its own, which the verifier goes through once and not for
 * each caller. */
__noinline int walk(__u32 at, __u64 vfsmount, __u64 dentry_at)
{
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	struct dentry *root = BPF_CORE_READ((struct vfsmount *)vfsmount, mnt_root);
	struct dentry *dentry = (void *)dentry_at;
	struct scratch *scratch = scratch_of_cpu();
	__u32 used = 0;
	char *to;

	if (!scratch)
		return -1;
	to = scratch->text + (at & (TEXT_BYTES - 1));
	for (int level = 0; level < FILE_LEVELS; level++) {
		struct dentry *parent;
		long length;

		asm volatile("%0 &= %1" : "+r"(used) : "i"(FILE_PATH_BYTES - 1)); /* as in add_name */
		if (dentry == root) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount)
				return used;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			root = BPF_CORE_READ(mount, mnt.mnt_root);
			continue;
		}
		if (used >= FILE_PATH_BYTES - NAME_BYTES)
			return -1;
		length = bpf_probe_read_kernel_str(to + used, NAME_BYTES, BPF_CORE_READ(dentry, d_name.name));
		if (length <= 0 || length > NAME_BYTES)
			return -1;
		used += length;
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			return used;
		dentry = parent;
	}
	return -1;
}

/* Appends the names of a path; gives the bytes, or 0 and `flag`. */
static __always_inline __u32 add_base(struct scratch *scratch, __u32 at, struct path *path, __u32 flag)
{
	int bytes = walk(at, (__u64)BPF_CORE_READ(path, mnt), (__u64)BPF_CORE_READ(path, dentry));

	if (bytes >= 0 && bytes <= FILE_PATH_BYTES)
		return bytes;
	scratch->record.flags |= flag;
	return 0;
}

/* Appends a string of the caller's; gives its bytes without the NUL. */
static __always_inline __u32 add_word(struct scratch *scratch, __u32 at, __u64 from)
{
	long length;

	at &= TEXT_BYTES - 1;
	length = bpf_probe_read_user_str(scratch->text + at, WORD_BYTES, (void *)from);
	if (length > 0 && length <= WORD_BYTES)
		return length - 1;
	if (from) /* utimensat and the like take none */
		scratch->record.flags |= FILE_UNREAD;
	return 0;
}

/* Where a word begins to be looked up. */
static __always_inline struct path *base_of(struct scratch *scratch, __u32 at, __s32 dir)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct file *file;

	if (scratch->text[at & (TEXT_BYTES - 1)] == '/')
		return &fs->root;
	if (dir == AT_FDCWD)
		return &fs->pwd;
	file = file_of(dir);
	return file ? &file->f_path : NULL;
}

static __always_inline void fill_inode(struct file_record *record, struct inode *inode)
{
	record->inode = BPF_CORE_READ(inode, i_ino);
	record->device = BPF_CORE_READ(inode, i_sb, s_dev);
}

static __always_inline void begin(struct scratch *scratch, const volatile struct call *call, long result)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file_record *record = &scratch->record;

	__builtin_memset(record, 0, sizeof(*record));
	record->head.kind = KIND_FILE;
	record->head.at_ns = bpf_ktime_get_ns();
	who_is_current(&record->who);
	record->namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	record->act = call->act;
	record->call = call->flags;
	record->result = result;
}

static __always_inline void end(struct scratch *scratch, __u32 bytes)
{
	long failed;

	bytes &= TEXT_BYTES - 1;
	failed = bpf_ringbuf_output(&files, &scratch->record, sizeof(scratch->record) + bytes, wake_flags());
	count(KIND_FILE, failed ? NULL : scratch);
}

static __always_inline __u64 argument(struct scratch *scratch, __u8 place)
{
	return scratch->args[(place - 1) & 7];
}

static __always_inline void fill_value(struct scratch *scratch, const volatile struct call *call)
{
	struct file_record *record = &scratch->record;
	__u32 flags = call->flags;
	__u32 small = 0;

	if (call->at)
		record->at = argument(scratch, call->at);
	if (!call->value)
		return;
	record->value = argument(scratch, call->value);
	if (flags & CALL_OWNER)
		record->value = (__u32)record->value | argument(scratch, call->value + 1) << 32;
	if (flags & CALL_VALUE_AT) {
		bpf_probe_read_user(&small, sizeof(small), (void *)record->value);
		record->value = small;
	}
	if (flags & CALL_VALUE_AT_64)
		bpf_probe_read_user(&record->value, sizeof(record->value), (void *)record->value);
}

/* The words of a call and their folders. */
static __always_inline __u32 add_words(struct scratch *scratch, const volatile struct call *call)
{
	struct file_record *record = &scratch->record;
	__u32 at = 0, word_at = 0;
	struct path *path;

	record->dir = call->dir ? (__s32)argument(scratch, call->dir) : AT_FDCWD;
	if (call->word)
		at = record->word_bytes = add_word(scratch, 0, argument(scratch, call->word));
	else
		scratch->text[0] = 0;
	if (!(call->flags & CALL_MAKES_FILE)) {
		path = base_of(scratch, 0, record->dir);
		record->base_bytes = path ? add_base(scratch, at, path, FILE_BASE_CUT) : 0;
		at += record->base_bytes;
	}
	if (!call->other_word)
		return at;
	word_at = at;
	record->other_word_bytes = add_word(scratch, at, argument(scratch, call->other_word));
	at += record->other_word_bytes;
	if (call->flags & CALL_OTHER_TEXT)
		return at;
	path = base_of(scratch, word_at, call->other_dir ? (__s32)argument(scratch, call->other_dir) : AT_FDCWD);
	record->other_base_bytes = path ? add_base(scratch, at, path, FILE_OTHER_BASE_CUT) : 0;
	return at + record->other_base_bytes;
}

/* Functions of their own below, not inlined: the verifier goes through each once, not through all ways of one times all
 * ways of the next. `row`: 512 for calls of 32-bit programs, and the number. */
static __always_inline const volatile struct call *call_of(__u32 row)
{
	return &settings.calls[row / CALL_NUMBERS & 1][row & (CALL_NUMBERS - 1)];
}

/* A call that names files, or works on an open one. */
__noinline int tell_call(__u32 row, __s32 result)
{
	const volatile struct call *call = call_of(row);
	struct scratch *scratch = scratch_of_cpu();
	struct file *file = NULL;

	if (!scratch)
		return 0;
	begin(scratch, call, result);
	fill_value(scratch, call);
	if (call->flags & CALL_ON_FILE)
		file = file_of(argument(scratch, call->dir));
	else if (call->flags & CALL_MAKES_FILE)
		file = file_of(result);
	if (file)
		fill_inode(&scratch->record, BPF_CORE_READ(file, f_inode));
	end(scratch, add_words(scratch, call));
	return 0;
}

static __always_inline bool_t is_excluded(__u32 magic)
{
	for (int at = 0; at < EXCLUDED; at++)
		if (settings.excluded[at] == magic)
			return 1;
	return 0;
}

static __always_inline bool_t is_watched(const struct watched_name *name, struct dentry *parent, __u32 act)
{
	struct watched *watched = bpf_map_lookup_elem(&watched_names, name);
	char folder[WATCHED_FOLDER] = {};

	if (!watched || !(watched->acts & act))
		return 0;
	if (!watched->folder[0])
		return 1;
	bpf_probe_read_kernel_str(folder, sizeof(folder), BPF_CORE_READ(parent, d_name.name));
	return is_same(folder, watched->folder, sizeof(folder));
}

static __always_inline bool_t is_in_watched_folder(struct dentry *parent)
{
	__u64 name = 0;

	bpf_probe_read_kernel_str(&name, sizeof(name), BPF_CORE_READ(parent, d_name.name));
	for (int at = 0; at < FOLDERS; at++)
		if (name && settings.folders[at] == name)
			return 1;
	return 0;
}

/* Has this process opened it for writing within the last second? */
static __always_inline bool_t is_told(struct inode *inode)
{
	struct opened key = { .pid = bpf_get_current_pid_tgid() >> 32 };
	__u64 now = bpf_ktime_get_ns();
	__u64 *last;

	key.inode = BPF_CORE_READ(inode, i_ino);
	key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	last = bpf_map_lookup_elem(&written, &key);
	if (last && now - *last < AGAIN_NS)
		return 1;
	bpf_map_update_elem(&written, &key, &now, BPF_ANY);
	return 0;
}

/* What an opened file is told as; 0: not at all. */
__noinline int act_of(__u64 file_at, __u32 is_own)
{
	struct file *file = (void *)file_at;
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	__u32 mode = BPF_CORE_READ(file, f_mode);
	__u32 kind = BPF_CORE_READ(inode, i_mode) & S_IFMT;
	struct watched_name name = {};

	bpf_probe_read_kernel_str(&name, sizeof(name), BPF_CORE_READ(dentry, d_name.name));
	if (mode & FMODE_WRITE)
		tell_setting(file, dentry, name.name);
	if (is_own)
		return 0;
	if (!(mode & FMODE_WRITE)) {
		if (kind != S_IFREG)
			return 0;
		return is_in_watched_folder(parent) || is_watched(&name, parent, WATCHED_READ) ? FILE_READ : 0;
	}
	if ((kind != S_IFREG && kind != S_IFBLK) || is_excluded(BPF_CORE_READ(inode, i_sb, s_magic)))
		return is_watched(&name, parent, WATCHED_WRITE) && !is_told(inode) ? FILE_WRITE : 0;
	if (mode & FMODE_CREATED)
		return FILE_CREATE;
	return is_told(inode) ? 0 : FILE_WRITE;
}

__noinline int tell_opened(__u32 row, __s32 result, __u32 is_own)
{
	struct scratch *scratch = scratch_of_cpu();
	struct file *file = file_of(result);
	__u32 act;

	if (!scratch || !file)
		return 0;
	act = act_of((__u64)file, is_own);
	if (!act)
		return 0;
	begin(scratch, call_of(row), result);
	scratch->record.act = act;
	scratch->record.dir = result;
	fill_inode(&scratch->record, BPF_CORE_READ(file, f_inode));
	scratch->record.base_bytes = add_base(scratch, 0, &file->f_path, FILE_BASE_CUT);
	end(scratch, scratch->record.base_bytes);
	return 0;
}

/* Why the kernel says no: rights, not a file that is not there. */
static __always_inline bool_t is_refusal(long result)
{
	return result == -EPERM || result == -EACCES || result == -EROFS;
}

static __always_inline bool_t sets_flags(__u32 request)
{
	return request == FS_IOC_SETFLAGS || request == FS_IOC32_SETFLAGS || request == FS_IOC_FSSETXATTR;
}

static __always_inline bool_t is_news(const volatile struct call *call, long result)
{
	return call->act && (result >= 0 || (call->flags & CALL_REFUSALS && is_refusal(result)));
}

static __always_inline void tell(struct scratch *scratch, __u32 row, long result)
{
	const volatile struct call *call = call_of(row);
	bool_t is_own = bpf_get_current_pid_tgid() >> 32 == settings.own_pid;

	if (call->flags & CALL_OPENS && result >= 0)
		tell_opened(row, result, is_own);
	else if (!is_own && (!(call->flags & CALL_FLAGS_ONLY) || sets_flags(scratch->args[1])))
		tell_call(row, result);
}
