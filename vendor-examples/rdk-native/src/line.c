/* Frames on icdev: 7E, length, four bytes of address, command, data, XOR. */
#include "rdk.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Longer than any line here waits for its meter. */
enum { PATIENCE_MS = 4000, TOGETHER_MS = 100, HEAD = 7 };

static uint8_t check(const uint8_t *bytes, size_t length)
{
    uint8_t check = 0;
    for (size_t i = 0; i < length; i++) check ^= bytes[i];
    return check;
}

/* So many bytes, or less at the line's end and in silence. */
static size_t take(int icdev, uint8_t *bytes, size_t length)
{
    size_t have = 0;
    while (have < length) {
        struct pollfd wait = {icdev, POLLIN, 0};
        if (poll(&wait, 1, PATIENCE_MS) <= 0) break;
        ssize_t more = read(icdev, bytes + have, length - have);
        if (more <= 0) break;
        have += (size_t)more;
    }
    return have;
}

size_t hear(int icdev, uint8_t *bytes, size_t most)
{
    size_t have = 0;
    while (have < most) {
        struct pollfd wait = {icdev, POLLIN, 0};
        /* What belongs together comes together. */
        if (poll(&wait, 1, have ? TOGETHER_MS : PATIENCE_MS) <= 0) break;
        ssize_t more = read(icdev, bytes + have, most - have);
        if (more <= 0) break;
        have += (size_t)more;
    }
    return have;
}

int exchange(int icdev, struct exchange *with)
{
    uint8_t frame[HEAD + 255 + 1];
    frame[0] = 0x7E;
    frame[1] = with->length;
    memcpy(frame + 2, with->address, 4);
    frame[6] = with->command;
    memcpy(frame + HEAD, with->data, with->length);
    size_t length = HEAD + (size_t)with->length;
    frame[length] = check(frame + 1, length - 1);
    /* In one write, so that it is one frame for the host. */
    if (write(icdev, frame, length + 1) != (ssize_t)(length + 1)) return LINE_FAILED;

    if (take(icdev, frame, HEAD) != HEAD) return NO_REPLY;
    if (frame[0] != 0x7E) return GARBLED;
    length = HEAD + (size_t)frame[1];
    if (take(icdev, frame + HEAD, (size_t)frame[1] + 1) != (size_t)frame[1] + 1) return GARBLED;
    if (frame[length] != check(frame + 1, length - 1)) return GARBLED;
    static const uint8_t any[4] = {0xFF, 0xFF, 0xFF, 0xFF};
    int asked_any = memcmp(with->address, any, 4) == 0;
    if (!asked_any && memcmp(frame + 2, with->address, 4) != 0) return OTHER_DEVICE;
    with->refused = 0;
    if (frame[6] == (with->command | 0xC0)) {
        if (frame[1] != 1 || frame[HEAD] == 0) return GARBLED;
        with->refused = frame[HEAD];
        return 0;
    }
    if (frame[6] != (with->command | 0x80)) return OTHER_DEVICE;
    memcpy(with->address, frame + 2, 4);
    with->length = frame[1];
    memcpy(with->data, frame + HEAD, frame[1]);
    return 0;
}
