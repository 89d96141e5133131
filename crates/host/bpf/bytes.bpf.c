/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* First bytes of each TCP flow and direction, and packets of UDP port 53. Copies, does not judge: the only choice is
 * the ring. Lines that may be a pool's or open a tunnel go to `verdicts`, the rest to `records`. Each packet passes.
 * Part of sensor.bpf.c. */

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define DNS 53
#define EXTENSIONS 3  /* IPv6 extension headers that are walked */
#define CHUNKS 4      /* records for one packet */
#define SHORT_BYTES 64
#define SHORT_WITHIN 4096
#define PEEK_BYTES 12
#define HELD_FILES 64 /* open files of a task that are searched for a socket */
#define S_IFSOCK 0140000

struct packet {
	struct ends ends;
	__u32 payload_at;
	__u32 sequence;
};

static __always_inline bool_t read_v4(struct __sk_buff *skb, struct packet *packet, int inbound)
{
	__u32 ip[5];

	if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	__u8 *bytes = (__u8 *)ip;

	if ((bytes[6] & 0x1f) || bytes[7]) /* not the first fragment: no ports */
		return 0;
	packet->ends.family = 4;
	packet->ends.protocol = bytes[9];
	packet->payload_at = (bytes[0] & 15) * 4;
	packet->ends.local[0] = inbound ? ip[4] : ip[3];
	packet->ends.remote[0] = inbound ? ip[3] : ip[4];
	return 1;
}

static __always_inline bool_t read_v6(struct __sk_buff *skb, struct packet *packet, int inbound)
{
	__u32 ip[10];
	__u8 next;

	if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	next = ((__u8 *)ip)[6];
	packet->ends.family = 6;
	packet->payload_at = sizeof(ip);
	for (int i = 0; i < EXTENSIONS; i++) {
		__u8 extension[2];

		if (next != 0 && next != 43 && next != 60)
			break;
		if (bpf_skb_load_bytes(skb, packet->payload_at, extension, sizeof(extension)))
			return 0;
		next = extension[0];
		packet->payload_at += (extension[1] + 1) * 8;
	}
	packet->ends.protocol = next;
	__builtin_memcpy(packet->ends.local, inbound ? ip + 6 : ip + 2, 16);
	__builtin_memcpy(packet->ends.remote, inbound ? ip + 2 : ip + 6, 16);
	return 1;
}

/* Ports and, for TCP, sequence; moves payload_at behind the header. */
static __always_inline bool_t read_transport(struct __sk_buff *skb, struct packet *packet, int inbound)
{
	__u32 tcp[4] = {};
	__u16 *ports = (__u16 *)tcp;
	__u32 bytes = packet->ends.protocol == IPPROTO_TCP ? 16 : 8;

	if (packet->ends.protocol != IPPROTO_TCP && packet->ends.protocol != IPPROTO_UDP)
		return 0;
	if (bytes == 16 ? bpf_skb_load_bytes(skb, packet->payload_at, tcp, 16) :
			  bpf_skb_load_bytes(skb, packet->payload_at, tcp, 8))
		return 0;
	packet->ends.local_port = bpf_ntohs(inbound ? ports[1] : ports[0]);
	packet->ends.remote_port = bpf_ntohs(inbound ? ports[0] : ports[1]);
	if (bytes == 8) {
		packet->payload_at += 8;
		return packet->ends.local_port == DNS || packet->ends.remote_port == DNS;
	}
	/* SYN takes a number of its own; bytes that come with it (fast open) follow. */
	packet->sequence = bpf_ntohl(tcp[1]) + ((((__u8 *)tcp)[13] >> 1) & 1);
	packet->payload_at += (((__u8 *)tcp)[12] >> 4) * 4;
	return 1;
}

static __always_inline bool_t is_http(__u32 word)
{
	switch (bpf_ntohl(word)) {
	case 0x47455420: /* "GET " */
	case 0x504f5354: /* POST */
	case 0x434f4e4e: /* CONN(ECT) */
	case 0x48545450: /* HTTP */
	case 0x50555420: /* "PUT " */
	case 0x48454144: /* HEAD */
	case 0x4f505449: /* OPTI(ONS) */
		return 1;
	}
	return 0;
}

static __always_inline bool_t opens_json(const __u8 *peek)
{
	for (int i = 0; i < PEEK_BYTES; i++) {
		if (peek[i] == '{' || peek[i] == '[')
			return 1;
		if (peek[i] != ' ' && peek[i] != '\t' && peek[i] != '\r' && peek[i] != '\n')
			return 0;
	}
	return 1; /* white space only, so far */
}

/* SOCKS4 (version 4, command 1 or 2) and SOCKS5 (version 5, up to 15 methods); short ones are urgent anyway. */
static __always_inline bool_t is_socks(const __u8 *peek)
{
	return (peek[0] == 4 || peek[0] == 5) && peek[1] > 0 && peek[1] < 16;
}

static __always_inline bool_t is_urgent(struct __sk_buff *skb, const struct packet *packet, struct flow *flow,
					__u32 payload, int direction)
{
	__u32 words[PEEK_BYTES / 4] = {};
	__u8 *peek = (__u8 *)words;

	if (flow->flags & FLOW_TALKS_JSON)
		return 1;
	/* Fails on less than PEEK_BYTES; those are short. */
	if (!bpf_skb_load_bytes(skb, packet->payload_at, words, sizeof(words))) {
		if (opens_json(peek)) {
			flow->flags |= FLOW_TALKS_JSON;
			return 1;
		}
		if (is_http(words[0]) || is_socks(peek))
			return 1;
	} else if (!bpf_skb_load_bytes(skb, packet->payload_at, peek, 1) && (peek[0] == '{' || peek[0] == '[')) {
		flow->flags |= FLOW_TALKS_JSON;
	}
	return payload < SHORT_BYTES && flow->used[direction & 1] < SHORT_WITHIN;
}

/* Copies `length` bytes into one record of at most `room` bytes of payload. A macro, since the verifier wants each size
 * as a constant. */
#define COPY(room)                                                                                                    \
	do {                                                                                                          \
		struct {                                                                                              \
			struct bytes_record record;                                                                   \
			__u8 bytes[room];                                                                             \
		} *out = urgent ? bpf_ringbuf_reserve(&verdicts, sizeof(*out), 0) :                                   \
				  bpf_ringbuf_reserve(&records, sizeof(*out), 0);                                     \
		count(KIND_BYTES, out);                                                                               \
		if (!out)                                                                                             \
			return;                                                                                       \
		out->record.head.kind = KIND_BYTES;                                                                   \
		out->record.head.pad = 0;                                                                             \
		out->record.head.at_ns = bpf_ktime_get_ns();                                                          \
		out->record.who = flow->who;                                                                          \
		out->record.cookie = cookie;                                                                          \
		out->record.ends = packet->ends;                                                                      \
		out->record.sequence = packet->sequence + done;                                                       \
		out->record.bytes = length;                                                                           \
		out->record.cut = cut;                                                                                \
		out->record.direction = direction;                                                                    \
		if (bpf_skb_load_bytes(skb, packet->payload_at + done, out->bytes, length))                           \
			out->record.bytes = 0;                                                                        \
		bpf_ringbuf_submit(out, urgent ? verdict_flags(out->record.head.at_ns) : wake_flags());                             \
	} while (0)

static __always_inline void copy(struct __sk_buff *skb, const struct packet *packet, struct flow *flow, __u64 cookie,
				 int direction, bool_t urgent, __u32 done, __u32 length, __u32 cut)
{
	barrier_var(length);
	if (length == 0 || length > CHUNK_LARGE)
		return;
	if (length <= CHUNK_SMALL)
		COPY(CHUNK_SMALL);
	else if (length <= CHUNK_MIDDLE)
		COPY(CHUNK_MIDDLE);
	else
		COPY(CHUNK_LARGE);
}

/* Bytes that come with the end of the handshake are still the listener's: its cookie would join all its clients. */
static __always_inline bool_t is_listener(struct __sk_buff *skb)
{
	struct bpf_sock *sock = skb->sk;

	return sock && sock->state == TCP_LISTEN;
}

static __always_inline void take(struct __sk_buff *skb, int direction)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct flow *flow = bpf_map_lookup_elem(&flows, &cookie);
	struct packet packet = {};
	__u32 payload, left, done = 0;
	bool_t urgent;

	if (!cookie || (flow && flow->used[direction] >= settings.budget))
		return;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!read_v4(skb, &packet, direction == IN))
			return;
	} else if (skb->protocol != bpf_htons(ETH_P_IPV6) || !read_v6(skb, &packet, direction == IN)) {
		return;
	}
	if (!read_transport(skb, &packet, direction == IN) || skb->len <= packet.payload_at)
		return;
	payload = skb->len - packet.payload_at;
	if (!flow) {
		struct flow fresh = {};

		if (is_listener(skb))
			return;
		bpf_map_update_elem(&flows, &cookie, &fresh, BPF_NOEXIST);
		flow = bpf_map_lookup_elem(&flows, &cookie);
		if (!flow)
			return;
	}
	flow->flags |= FLOW_REPORTED;
	urgent = packet.ends.protocol == IPPROTO_UDP || is_urgent(skb, &packet, flow, payload, direction);
	left = settings.budget - flow->used[direction];
	if (left > settings.budget)
		return;
	if (left > payload)
		left = payload;
	if (packet.ends.protocol == IPPROTO_TCP)
		flow->used[direction] += left;
	for (int i = 0; i < CHUNKS && done < left; i++) {
		__u32 length = left - done;

		if (length > CHUNK_LARGE)
			length = CHUNK_LARGE;
		copy(skb, &packet, flow, cookie, direction, urgent, done, length,
		     i == CHUNKS - 1 || done + length == left ? payload - done - length : 0);
		done += length;
	}
}

/* The current task has the socket open. Descriptors are given lowest first, so few are looked at. */
static __always_inline bool_t holds(struct task_struct *task, __u64 cookie)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	__u32 max_fds = BPF_CORE_READ(table, max_fds);
	struct file **files = BPF_CORE_READ(table, fd);

	for (__u32 fd = 0; fd < HELD_FILES && fd < max_fds; fd++) {
		struct file *file = NULL;
		struct socket *socket;

		bpf_probe_read_kernel(&file, sizeof(file), files + fd);
		if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
			continue;
		socket = BPF_CORE_READ(file, private_data);
		if (BPF_CORE_READ(socket, sk, __sk_common.skc_cookie.counter) == cookie)
			return 1;
	}
	return 0;
}

/* A socket may be opened by one process and used by another: a child inherits it, SCM_RIGHTS passes it on. Who speaks is
 * who is meant. A packet may leave while any task runs, so the current one counts only when it has the socket open.
 * Attached before on_bytes_out; past the budget it ends with the look at the map. */
SEC("cgroup_skb/egress")
int on_sender(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct flow *flow = bpf_map_lookup_elem(&flows, &cookie);
	struct packet packet = {};
	struct task_struct *task;
	__u32 pid;

	if (!flow || flow->used[OUT] >= settings.budget)
		return 1;
	task = (void *)bpf_get_current_task();
	pid = BPF_CORE_READ(task, tgid);
	if (pid == flow->who.pid || pid == 0 || BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 1;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!read_v4(skb, &packet, 0))
			return 1;
	} else if (skb->protocol != bpf_htons(ETH_P_IPV6) || !read_v6(skb, &packet, 0)) {
		return 1;
	}
	if (!read_transport(skb, &packet, 0) || skb->len <= packet.payload_at || !holds(task, cookie))
		return 1;
	flow->who.pid = pid;
	flow->who.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	return 1;
}

SEC("cgroup_skb/egress")
int on_bytes_out(struct __sk_buff *skb)
{
	take(skb, OUT);
	return 1;
}

SEC("cgroup_skb/ingress")
int on_bytes_in(struct __sk_buff *skb)
{
	take(skb, IN);
	return 1;
}
