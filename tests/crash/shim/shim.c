/* Stands between the program and the C library for tests: a flush that fails once, and a clock that is
 * wrong. Loaded with LD_PRELOAD into the very program that is shipped.
 *
 * SHIM_FLUSH_FAILS names a file; while it is there, the next flush of a write-ahead log removes it and
 * fails with EIO. Flushes of such logs after that are counted in the file beside it, with ".count".
 * SHIM_CLOCK names a file with a number in text: seconds by which the wall clock is wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int is_log(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 4) return 0;
    path[length] = 0;
    return strcmp(path + length - 4, "-wal") == 0;
}

static int flush(int fd, long number) {
    const char *trigger = getenv("SHIM_FLUSH_FAILS");
    static int has_failed = 0;
    if (trigger != NULL && is_log(fd)) {
        if (has_failed) {
            char count[4096];
            snprintf(count, sizeof count, "%s.count", trigger);
            int out = open(count, O_WRONLY | O_CREAT | O_APPEND, 0600);
            if (out >= 0) {
                ssize_t written = write(out, ".", 1);
                (void)written;
                close(out);
            }
        } else if (unlink(trigger) == 0) {
            has_failed = 1;
            errno = EIO;
            return -1;
        }
    }
    return (int)syscall(number, fd);
}

int fsync(int fd) { return flush(fd, SYS_fsync); }

int fdatasync(int fd) { return flush(fd, SYS_fdatasync); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = (int)syscall(SYS_clock_gettime, clock, now);
    const char *file = getenv("SHIM_CLOCK");
    if (done == 0 && clock == CLOCK_REALTIME && file != NULL) {
        char text[32] = {0};
        int in = open(file, O_RDONLY | O_CLOEXEC);
        if (in >= 0) {
            if (read(in, text, sizeof text - 1) > 0) now->tv_sec += strtoll(text, NULL, 10);
            close(in);
        }
    }
    return done;
}
