// SPDX-License-Identifier: Apache-2.0
/*
 * Drops what a cut connection sends and receives, on every interface and in every network namespace.
 *
 * It must hold within microseconds and before the process is stopped: a share can follow a login at once. A reset
 * passes, so that the other end learns of the cut when the socket is destroyed right after. The program ends with the
 * process that loaded it. It decides nothing: the map is filled by the responder.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define PASS 1
#define DROP 0
#define IPPROTO_TCP 6
#define TCP_RST 0x04
#define TCP_FLAGS_AT 13

/* Mirrored by `verdict()` in cut.rs. */
struct verdict {
	__u64 until_ns; /* on the monotonic clock */
	__u64 dropped;  /* packets */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192); /* 4096 that are cut, and as many held for a moment */
	__type(key, __u64); /* socket cookie */
	__type(value, struct verdict);
} cut SEC(".maps");

/* Offset of the TCP header, or -1 when there is none right behind the IP header. */
static __always_inline int tcp_at(struct __sk_buff *skb)
{
	__u8 first, protocol;

	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return -1;
	if (first >> 4 == 4) {
		if (bpf_skb_load_bytes(skb, 9, &protocol, 1) || protocol != IPPROTO_TCP)
			return -1;
		return (first & 15) * 4;
	}
	if (bpf_skb_load_bytes(skb, 6, &protocol, 1) || protocol != IPPROTO_TCP)
		return -1;
	return 40;
}

static __always_inline int judge(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct verdict *verdict = bpf_map_lookup_elem(&cut, &cookie);
	__u8 flags;
	int at;

	if (!verdict || bpf_ktime_get_ns() >= verdict->until_ns)
		return PASS;
	at = tcp_at(skb);
	if (at >= 0 && !bpf_skb_load_bytes(skb, at + TCP_FLAGS_AT, &flags, 1) && flags & TCP_RST)
		return PASS;
	__sync_fetch_and_add(&verdict->dropped, 1);
	return DROP;
}

SEC("cgroup_skb/egress")
int cut_egress(struct __sk_buff *skb)
{
	return judge(skb);
}

SEC("cgroup_skb/ingress")
int cut_ingress(struct __sk_buff *skb)
{
	return judge(skb);
}

char _license[] SEC("license") = "Apache-2.0";
