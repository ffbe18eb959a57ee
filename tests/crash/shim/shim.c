/* Stands between the program and the C library for tests: a flush that fails once, and a clock that is
 * wrong. Loaded with LD_PRELOAD into the very program that is shipped.
 *
 * SHIM_FLUSH_FAILS names a file; while it is there, the next flush of a write-ahead log removes it and
 * fails with EIO. Flushes of such logs after that are counted in the file beside it, with ".count".
 * SHIM_DIES_AT_WRITE is a number: the process is killed in the midst of the write of this number to a
 * database or its log: half of it is done.
 * SHIM_RECORD names a file to which every write, cut and flush of a database and its log is appended, in the
 * order in which they were done: a letter (w, c, f), the file (0 database, 1 log), place and length as eight
 * bytes each, little-endian, and what was written.
 * SHIM_CLOCK names a file with a number in text: seconds by which the wall clock is wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int ends(int fd, const char *end) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1), of = (ssize_t)strlen(end);
    if (length < of) return 0;
    path[length] = 0;
    return strcmp(path + length - of, end) == 0;
}

static int is_log(int fd) { return ends(fd, "-wal"); }

static pthread_mutex_t recording = PTHREAD_MUTEX_INITIALIZER;

/* The file's number in the record; -1 where nothing is recorded of it. */
static int recorded(int fd) {
    if (getenv("SHIM_RECORD") == NULL) return -1;
    return is_log(fd) ? 1 : ends(fd, ".db") ? 0 : -1;
}

/* While recording is locked. */
static void record(char what, int file, uint64_t at, uint64_t length, const void *bytes) {
    static int out = -1;
    if (out < 0) out = open(getenv("SHIM_RECORD"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    unsigned char head[18] = {(unsigned char)what, (unsigned char)file};
    memcpy(head + 2, &at, 8);
    memcpy(head + 10, &length, 8);
    struct iovec parts[2] = {{head, sizeof head}, {(void *)bytes, bytes == NULL ? 0 : length}};
    ssize_t written = writev(out, parts, 2);
    (void)written;
}

static ssize_t put(int fd, const void *bytes, size_t count, off_t at) {
    static atomic_int done = 0;
    const char *wanted = getenv("SHIM_DIES_AT_WRITE");
    if (wanted != NULL && (is_log(fd) || ends(fd, ".db")) &&
        atomic_fetch_add(&done, 1) + 1 == atoi(wanted)) {
        syscall(SYS_pwrite64, fd, bytes, count / 2, at);
        kill(getpid(), SIGKILL);
    }
    int file = recorded(fd);
    if (file < 0) return syscall(SYS_pwrite64, fd, bytes, count, at);
    pthread_mutex_lock(&recording);
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, count, at);
    if (written > 0) record('w', file, (uint64_t)at, (uint64_t)written, bytes);
    pthread_mutex_unlock(&recording);
    return written;
}

static int cut(int fd, off_t length) {
    int file = recorded(fd);
    if (file < 0) return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&recording);
    int done = (int)syscall(SYS_ftruncate, fd, length);
    if (done == 0) record('c', file, (uint64_t)length, 0, NULL);
    pthread_mutex_unlock(&recording);
    return done;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }

int ftruncate64(int fd, off_t length) { return cut(fd, length); }

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return put(fd, bytes, count, at); }

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) { return put(fd, bytes, count, at); }

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
    int file = recorded(fd);
    if (file < 0) return (int)syscall(number, fd);
    pthread_mutex_lock(&recording);
    int done = (int)syscall(number, fd);
    if (done == 0) record('f', file, 0, 0, NULL);
    pthread_mutex_unlock(&recording);
    return done;
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
