/* Syncs fail while one file is there, and wait while another is: the disk that a test wishes for, put before the C library with
   LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int is_there(const char *variable) {
    const char *path = getenv(variable);
    return path && access(path, F_OK) == 0;
}

static int fails(void) {
    while (is_there("MILLPOND_TEST_SYNCS_WAIT")) usleep(1000);
    if (!is_there("MILLPOND_TEST_SYNCS_FAIL")) return 0;
    errno = EIO;
    return 1;
}

int fdatasync(int fd) {
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return fails() ? -1 : next(fd);
}

int fsync(int fd) {
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return fails() ? -1 : next(fd);
}
