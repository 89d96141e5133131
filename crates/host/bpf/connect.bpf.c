/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who opened or accepted a flow, and when it ends. Observes only: each verdict is "go on". Part of sensor.bpf.c.
 *
 * The process is taken where the kernel runs in it (connect, sendmsg, return of accept) and kept under the socket's
 * cookie. TCP is reported by the socket operation that follows, since only then the local port is chosen. */

static __always_inline void own(__u64 cookie, const struct who *who, __u32 flags)
{
	struct flow *known = bpf_map_lookup_elem(&flows, &cookie);

	if (known) {
		known->who = *who;
		known->flags |= flags;
		return;
	}
	struct flow flow = { .who = *who, .flags = flags };

	bpf_map_update_elem(&flows, &cookie, &flow, BPF_ANY);
}

static __always_inline struct flow_record *flow_record(__u32 kind, __u64 cookie, const struct who *who)
{
	struct flow_record *record = reserve(kind, sizeof(*record));

	if (!record)
		return NULL;
	record->who = *who;
	record->cookie = cookie;
	return record;
}

static __always_inline void remote_of(struct ends *ends, struct bpf_sock_addr *ctx, int family)
{
	__builtin_memset(ends, 0, sizeof(*ends));
	ends->protocol = ctx->protocol;
	ends->remote_port = bpf_ntohs(ctx->user_port);
	ends->family = family;
	if (family == 4) {
		ends->remote[0] = ctx->user_ip4;
		return;
	}
	ends->remote[0] = ctx->user_ip6[0];
	ends->remote[1] = ctx->user_ip6[1];
	ends->remote[2] = ctx->user_ip6[2];
	ends->remote[3] = ctx->user_ip6[3];
}

static __always_inline int opens(struct bpf_sock_addr *ctx, int family)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct flow_record *record;
	struct who who;

	who_is_current(&who);
	own(cookie, &who, FLOW_REPORTED);
	if (ctx->protocol != IPPROTO_UDP)
		return 1;
	record = flow_record(KIND_CONNECT, cookie, &who);
	if (!record)
		return 1;
	remote_of(&record->ends, ctx, family);
	submit(record);
	return 1;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	return opens(ctx, 4);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	return opens(ctx, 6);
}

/* Questions to a name server sent without connect. */
static __always_inline int asks(struct bpf_sock_addr *ctx)
{
	struct who who;

	if (ctx->user_port != bpf_htons(53))
		return 1;
	who_is_current(&who);
	own(bpf_get_socket_cookie(ctx), &who, 0);
	return 1;
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	return asks(ctx);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	return asks(ctx);
}

static __always_inline void ends_of_ops(struct ends *ends, struct bpf_sock_ops *ops)
{
	__builtin_memset(ends, 0, sizeof(*ends));
	ends->protocol = IPPROTO_TCP;
	ends->local_port = ops->local_port;
	ends->remote_port = bpf_ntohl(ops->remote_port);
	if (ops->family == AF_INET) {
		ends->family = 4;
		__u32 local = ops->local_ip4, remote = ops->remote_ip4;

		/* Else clang joins the loads of both branches through a moved context pointer, which is refused. */
		barrier_var(local);
		barrier_var(remote);
		ends->local[0] = local;
		ends->remote[0] = remote;
		return;
	}
	ends->family = 6;
	ends->local[0] = ops->local_ip6[0];
	ends->local[1] = ops->local_ip6[1];
	ends->local[2] = ops->local_ip6[2];
	ends->local[3] = ops->local_ip6[3];
	ends->remote[0] = ops->remote_ip6[0];
	ends->remote[1] = ops->remote_ip6[1];
	ends->remote[2] = ops->remote_ip6[2];
	ends->remote[3] = ops->remote_ip6[3];
}

/* A connection whose socket never came by connect: the first subflow of MPTCP is opened by the process all the same.
 * One that a kernel thread opens has no process. */
static __always_inline bool_t is_current_user(struct who *who)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	who->pid = BPF_CORE_READ(task, tgid);
	who->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	return 1;
}

SEC("sockops")
int on_tcp(struct bpf_sock_ops *ops)
{
	struct flow_record *record;
	struct who who = {};
	struct flow *flow;
	__u64 cookie;

	/* Asking for the cookie makes it: return of accept reads it. */
	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
		bpf_get_socket_cookie(ops);
		return 1;
	}
	if (ops->op != BPF_SOCK_OPS_TCP_CONNECT_CB)
		return 1;
	cookie = bpf_get_socket_cookie(ops);
	flow = bpf_map_lookup_elem(&flows, &cookie);
	if (flow) {
		who = flow->who;
	} else if (is_current_user(&who)) {
		own(cookie, &who, FLOW_REPORTED);
	}
	record = flow_record(KIND_CONNECT, cookie, &who);
	if (!record)
		return 1;
	ends_of_ops(&record->ends, ops);
	submit(record);
	return 1;
}

/* At the return of accept and accept4. */
static __always_inline void accepted(long result)
{
	struct flow_record *record;
	struct socket *socket;
	struct file *file;
	struct sock *sock;
	struct who who;
	__u64 cookie;
	__u16 family;

	file = result < 0 ? NULL : file_of(result);
	if (!file)
		return;
	socket = BPF_CORE_READ(file, private_data);
	sock = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sock, __sk_common.skc_family);
	cookie = BPF_CORE_READ(sock, __sk_common.skc_cookie.counter);
	if ((family != AF_INET && family != AF_INET6) || !cookie)
		return;
	who_is_current(&who);
	own(cookie, &who, FLOW_REPORTED);
	record = flow_record(KIND_ACCEPT, cookie, &who);
	if (!record)
		return;
	ends_of(&record->ends, sock);
	submit(record);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, const struct sock *sock, int old_state, int new_state)
{
	struct flow_record *record;
	struct flow *flow;
	__u64 cookie;

	if (new_state != TCP_CLOSE)
		return 0;
	cookie = sock->__sk_common.skc_cookie.counter;
	if (!cookie)
		return 0;
	flow = bpf_map_lookup_elem(&flows, &cookie);
	if (!flow || !(flow->flags & FLOW_REPORTED))
		return 0;
	record = flow_record(KIND_CLOSED, cookie, &flow->who);
	bpf_map_delete_elem(&flows, &cookie);
	if (!record)
		return 0;
	__builtin_memset(&record->ends, 0, sizeof(record->ends));
	submit(record);
	return 0;
}
