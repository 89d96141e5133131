/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The return of every system call. Part of sensor.bpf.c.
 *
 * At the return, since the kernel has then read what the arguments point to, and nothing has to be kept between entry
 * and return. One hook for all calls: it sees those of 32-bit programs too, which have no tracepoints of their own,
 * and it is let go at once, where fifty tracepoints took three seconds. What it costs the calls that say nothing is in
 * docs/spec/files.md. Which calls say something stands in a table that user space fills (src/bpf/calls.rs). */

#include "registers.h"

SEC("tp_btf/sys_exit")
int BPF_PROG(on_call, struct pt_regs *regs, long result)
{
	__u64 number = call_number(regs);
	struct scratch *scratch;
	bool_t compat;
	__u32 row, flags;

	if (number >= CALL_NUMBERS || !(settings.told[number >> 6] >> (number & 63) & 1))
		return 0;
	scratch = scratch_of_cpu();
	if (!scratch)
		return 0;
	compat = is_compat();
	row = compat ? CALL_NUMBERS + number : number;
	flags = call_of(row)->flags;
	read_arguments(scratch->args, regs, compat);
	if (flags & CALL_MAPS)
		mapped(scratch->args);
	else if (flags & CALL_WRITES_AT)
		wrote_at(scratch->args, result);
	else if (flags & CALL_ACCEPTS)
		accepted(result);
	else if (is_news(call_of(row), result))
		tell(scratch, row, result);
	return 0;
}
