/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fork, exec and exit of processes; threads are left out. Part of sensor.bpf.c. */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct fork_record *record;

	if (child->pid != child->tgid)
		return 0;
	record = reserve(KIND_FORK, sizeof(*record));
	if (!record)
		return 0;
	who_is(&record->parent, parent);
	who_is(&record->child, child);
	submit(record);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct exit_record *record;
	struct who who;

	/* `live` counts the threads that have not yet come here; the last one brought it to 0. */
	if (task->signal->live.counter != 0)
		return 0;
	who_is(&who, task);
	if (rounding_seen)
		bpf_map_delete_elem(&rounding, &who);
	record = reserve(KIND_EXIT, sizeof(*record));
	if (!record)
		return 0;
	record->who = who;
	submit(record);
	return 0;
}

/* The overlay's own inode ends with `struct inode`; the dentry of the upper layer is the next word (since 4.8). */
static __always_inline bool_t is_upper(struct inode *inode)
{
	void *upper = NULL;

	bpf_probe_read_kernel(&upper, sizeof(upper), (void *)inode + bpf_core_type_size(struct inode));
	return upper != NULL;
}

static __always_inline void fill_file(struct exec_record *record, struct file *file)
{
	struct inode *inode = file->f_inode;
	unsigned long magic = inode->i_sb->s_magic;

	record->inode = inode->i_ino;
	record->device = inode->i_sb->s_dev;
	if (magic == OVERLAYFS_MAGIC && is_upper(inode))
		record->flags |= EXEC_OVERLAY_UPPER;
	if (inode->i_nlink == 0) {
		char name[8] = {};

		bpf_probe_read_kernel(name, 6, file->f_path.dentry->d_name.name);
		if (magic == TMPFS_MAGIC && is_same(name, "memfd:", 6))
			record->flags |= EXEC_MEMFD;
		else
			record->flags |= EXEC_UNLINKED;
	}
}

static __always_inline void fill_paths(struct exec_record *record, struct task_struct *task, struct linux_binprm *bprm)
{
	struct file *file = bprm->file;
	struct fs_struct *fs = task->fs;
	__s32 bytes = names_of(record->exe, file->f_path.mnt, file->f_path.dentry);

	if (bytes < 0) {
		record->flags |= EXEC_PATH_AS_GIVEN;
		bytes = bpf_probe_read_kernel_str(record->exe, PATH_BYTES, bprm->filename);
	}
	record->exe_bytes = bytes < 0 ? 0 : bytes;
	/* The first walk is done with: else the verifier goes through the second for each way that the first may end. */
	barrier();
	bytes = names_of(record->cwd, fs->pwd.mnt, fs->pwd.dentry);
	if (bytes < 0)
		record->flags |= EXEC_CWD_CUT;
	record->cwd_bytes = bytes < 0 ? 0 : bytes;
}

static __always_inline __u32 inner_pid(struct task_struct *task)
{
	struct pid *pid = task->thread_pid;
	__u32 level = pid->level;
	__s32 inner = 0;

	if (level == 0 || level > 32)
		return 0;
	bpf_probe_read_kernel(&inner, sizeof(inner),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      level * bpf_core_type_size(struct upid));
	return inner;
}

/* The number, in the first namespace, of the session's leader. */
static __always_inline __u32 session_of(struct task_struct *task)
{
	int sid = bpf_core_enum_value(enum pid_type, PIDTYPE_SID);
	struct pid *leader = task->signal->pids[sid & 3];

	return leader ? leader->numbers[0].nr : 0;
}

static __always_inline void fill_exec(struct exec_record *record, struct task_struct *task, struct linux_binprm *bprm)
{
	int pids = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	struct cgroup_subsys_state *css;

	who_is(&record->who, task);
	record->flags = 0;
	record->cgroup = bpf_get_current_cgroup_id();
	record->cgroup_v1 = 0;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		css = task->cgroups->subsys[pids & 15];
		record->cgroup_v1 = css->cgroup->kn->id;
	}
	record->parent_pid = task->real_parent->tgid;
	record->inner_pid = inner_pid(task);
	record->uid = task->cred->euid.val;
	record->session = session_of(task);
	record->login_uid = bpf_core_field_exists(task->loginuid) ? task->loginuid.val : ~0u;
	bpf_probe_read_kernel(record->comm, sizeof(record->comm), task->comm);
	fill_file(record, bprm->file);
	fill_paths(record, task, bprm);
}

struct exec_small {
	struct exec_record record;
	char argv[ARGV_SMALL];
};

struct exec_large {
	struct exec_record record;
	char argv[ARGV_LARGE];
};

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	unsigned long from = task->mm->arg_start;
	__u64 length = task->mm->arg_end - from;

	if (length <= ARGV_SMALL) {
		struct exec_small *small = reserve(KIND_EXEC, sizeof(*small));

		if (!small)
			return 0;
		fill_exec(&small->record, task, bprm);
		small->record.argv_bytes = length;
		if (bpf_probe_read_user(small->argv, length, (void *)from))
			small->record.argv_bytes = 0;
		submit(small);
		return 0;
	}
	struct exec_large *large = reserve(KIND_EXEC, sizeof(*large));

	if (!large)
		return 0;
	if (length > ARGV_LARGE)
		length = ARGV_LARGE;
	fill_exec(&large->record, task, bprm);
	large->record.argv_bytes = length;
	if (bpf_probe_read_user(large->argv, length, (void *)from))
		large->record.argv_bytes = 0;
	submit(large);
	return 0;
}
