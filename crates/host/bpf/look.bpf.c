/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walks the kernel's own lists of tasks and sockets: what is there, whatever /proc shows. */

#include "common.h"

SEC("iter/task")
int each_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct task_entry entry = {};

	if (!task || task->pid != task->tgid)
		return 0;
	entry.who.pid = task->tgid;
	entry.who.start_ns = task->start_boottime;
	entry.parent_pid = task->real_parent->tgid;
	entry.is_kernel = !!(task->flags & PF_KTHREAD);
	bpf_probe_read_kernel(entry.comm, sizeof(entry.comm), task->comm);
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

SEC("iter/task_file")
int each_socket(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket_entry entry = {};
	struct socket *socket;
	struct sock *sock;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sock = socket->sk;
	if (!sock || sock->sk_protocol != IPPROTO_TCP)
		return 0;
	entry.is_listening = sock->__sk_common.skc_state == TCP_LISTEN;
	if (!entry.is_listening && sock->__sk_common.skc_state != TCP_ESTABLISHED)
		return 0;
	if (sock->__sk_common.skc_family != AF_INET && sock->__sk_common.skc_family != AF_INET6)
		return 0;
	entry.cookie = bpf_get_socket_cookie(sock);
	entry.who.pid = task->tgid;
	entry.who.start_ns = task->group_leader->start_boottime;
	entry.namespace = sock->__sk_common.skc_net.net->ns.inum;
	ends_of(&entry.ends, sock);
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
