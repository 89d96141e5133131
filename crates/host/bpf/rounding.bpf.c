/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Floating point rounding mode of each process as it is switched in. RandomX turns it at random, hardly any other
 * program turns it at all. Part of sensor.bpf.c.
 *
 * Reads the saved registers of the task that comes: what it had when it was switched out. If its registers never left
 * this processor the saved ones may be older; a sample that is late is still a sample.
 * A process gets an entry with its first mode other than "nearest"; from then on each switch counts, so the four
 * counts compare. While nobody has an entry a switch costs no map access. */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct who);
	__type(value, struct modes);
} rounding SEC(".maps");

/* 1 while somebody has an entry. In a map of its own: user space sets it back. */
__u32 rounding_seen SEC(".data.rounding");

/* From 6.2: makes an address one that the verifier loads from without a helper. */
extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;

static __always_inline void *fpu_of(struct task_struct *task)
{
	if (bpf_core_field_exists(struct task_struct___inside, thread.fpu))
		return (void *)task + bpf_core_field_offset(struct task_struct___inside, thread.fpu);
	return (void *)task + bpf_core_type_size(struct task_struct);
}

static __always_inline __u32 saved_mxcsr(struct task_struct *task)
{
	void *address = fpu_of(task);
	struct fpstate *state = NULL;
	__u32 mxcsr = 0;

	if (!bpf_core_field_exists(struct fpu, fpstate)) {
		bpf_probe_read_kernel(&mxcsr, sizeof(mxcsr),
				      address + bpf_core_field_offset(struct fpu___old, state.fxsave.mxcsr));
		return mxcsr;
	}
	if (bpf_rdonly_cast) {
		struct fpu *fpu = bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct fpu));

		return fpu->fpstate->regs.fxsave.mxcsr;
	}
	bpf_probe_read_kernel(&state, sizeof(state), address + bpf_core_field_offset(struct fpu, fpstate));
	bpf_probe_read_kernel(&mxcsr, sizeof(mxcsr), (void *)state + bpf_core_field_offset(struct fpstate, regs.fxsave.mxcsr));
	return mxcsr;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool_t preempt, struct task_struct *prev, struct task_struct *next)
{
	struct modes *modes;
	struct who who;
	__u32 mode;

	if (next->flags & PF_KTHREAD || next->pid == 0)
		return 0;
	mode = (saved_mxcsr(next) >> 13) & 3;
	if (mode != 0)
		rounding_seen = 1;
	else if (!rounding_seen)
		return 0;
	who_is(&who, next);
	modes = bpf_map_lookup_elem(&rounding, &who);
	if (!modes) {
		struct modes none = {};

		if (mode == 0)
			return 0;
		bpf_map_update_elem(&rounding, &who, &none, BPF_NOEXIST);
		modes = bpf_map_lookup_elem(&rounding, &who);
		if (!modes)
			return 0;
	}
	__sync_fetch_and_add(&modes->count[mode], 1);
	return 0;
}
