/* A stand-in for NVIDIA's library: the few functions that minesweep-nvml calls, with values of its own.
 * One card, used by the process NVML_STANDIN_PID at 93 %; NVML_STANDIN_DEAF=1 makes a second that tells no processes. */
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7 };

typedef struct {
	char bus_id_legacy[16];
	unsigned domain, bus, device, pci_device_id, pci_sub_system_id;
	char bus_id[32];
} pci_info;

typedef struct {
	unsigned pid;
	unsigned long long time_us;
	unsigned sm, memory, encoder, decoder;
} sample;

static unsigned long long clock_us = 1000;
static int cards[2];

static int is_deaf(void) { return getenv("NVML_STANDIN_DEAF") != NULL; }

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "stand-in"; }

int nvmlDeviceGetCount_v2(unsigned *count)
{
	*count = is_deaf() ? 2 : 1;
	return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
	*device = &cards[index % 2];
	return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(void *device, pci_info *out)
{
	memset(out, 0, sizeof *out);
	strcpy(out->bus_id, device == &cards[0] ? "00000000:01:00.0" : "00000000:02:00.0");
	return SUCCESS;
}

int nvmlDeviceGetProcessUtilization(void *device, sample *out, unsigned *count, unsigned long long since)
{
	const char *pid = getenv("NVML_STANDIN_PID");

	if (device == &cards[1])
		return NOT_SUPPORTED;
	if (out == NULL) {
		*count = 2;
		return INSUFFICIENT_SIZE;
	}
	clock_us += 1000;
	if (since >= clock_us || *count < 2)
		return INSUFFICIENT_SIZE;
	*count = 2;
	out[0] = (sample){ .pid = pid ? (unsigned)atoi(pid) : 1, .time_us = clock_us, .sm = 93 };
	out[1] = (sample){ .pid = 2, .time_us = clock_us, .sm = 0 };
	return SUCCESS;
}
