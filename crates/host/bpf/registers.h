/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a system call's number and arguments stand on x86-64: all that depends on the processor (with
 * src/bpf/calls.rs). Read at its return, when they are still there and the kernel has just read what they point to. */
#pragma once

#include "kernel.h"

#define TS_COMPAT 2 /* thread_info.status: the call came in by a 32-bit door */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long bp;
	unsigned long bx;
	unsigned long r10;
	unsigned long r9;
	unsigned long r8;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
};

#pragma clang attribute pop

static __always_inline __u64 call_number(struct pt_regs *regs)
{
	return regs->orig_ax;
}

static __always_inline bool_t is_compat(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return !!(BPF_CORE_READ(task, thread_info.status) & TS_COMPAT);
}

static __always_inline void read_arguments(__u64 *to, struct pt_regs *regs, bool_t compat)
{
	if (compat) {
		to[0] = (__u32)regs->bx;
		to[1] = (__u32)regs->cx;
		to[2] = (__u32)regs->dx;
		to[3] = (__u32)regs->si;
		to[4] = (__u32)regs->di;
		to[5] = (__u32)regs->bp;
		return;
	}
	to[0] = regs->di;
	to[1] = regs->si;
	to[2] = regs->dx;
	to[3] = regs->r10;
	to[4] = regs->r8;
	to[5] = regs->r9;
}
