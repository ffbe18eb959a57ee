/* no_wasi.c: the empty WASI that a driver in C is linked with.
 *
 * wasi-libc's stdio is pulled in by snprintf and would import these functions from the host; a
 * driver imports nothing but the contract. Here every one answers "bad descriptor", so that nothing
 * is opened, written or read, and printf says -1. Only what stdio needs stands here: a driver that
 * wants a clock, randomness or a file does not build, and polymeter-sdk says which function asked.
 */
#include <stdint.h>

enum { BADF = 8 }; /* errno of wasi_snapshot_preview1 */

int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t fd) {
    (void)fd;
    return BADF;
}

int32_t __imported_wasi_snapshot_preview1_fd_fdstat_get(int32_t fd, int32_t out) {
    (void)fd, (void)out;
    return BADF;
}

int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t fd, int64_t offset, int32_t whence,
                                                  int32_t out) {
    (void)fd, (void)offset, (void)whence, (void)out;
    return BADF;
}

int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t fd, int32_t from, int32_t count,
                                                   int32_t out) {
    (void)fd, (void)from, (void)count, (void)out;
    return BADF;
}
