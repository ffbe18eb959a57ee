/* halo.c: see halo.h. */
#include "halo.h"

#include <string.h>

enum { TAIL = 5 }; /* '*', checksum, CR LF */

static const char HEX[] = "0123456789ABCDEF";

static uint8_t checksum(const uint8_t *bytes, size_t length) {
    uint8_t sum = 0;
    for (size_t at = 0; at < length; at++) sum ^= bytes[at];
    return sum;
}

static void tail(uint8_t *out, uint8_t sum) {
    out[0] = '*';
    out[1] = (uint8_t)HEX[sum >> 4];
    out[2] = (uint8_t)HEX[sum & 15];
    out[3] = '\r';
    out[4] = '\n';
}

size_t halo_write(uint8_t *out, const char *address, char letter, const char *data) {
    size_t length = strlen(data), at = 0;
    if (strlen(address) != HALO_ADDRESS || length > HALO_DATA) return 0;
    out[at++] = ':';
    memcpy(out + at, address, HALO_ADDRESS);
    at += HALO_ADDRESS;
    out[at++] = (uint8_t)letter;
    memcpy(out + at, data, length);
    at += length;
    tail(out + at, checksum(out + 1, at - 1));
    return at + TAIL;
}

bool halo_parse(const uint8_t *line, size_t length, struct halo_frame *out) {
    size_t start = length; /* behind the last ':' */
    while (start > 0 && line[start - 1] != ':') start--;
    if (start == 0 || length - start < HALO_ADDRESS + 1 + TAIL) return false;
    const uint8_t *body = line + start;
    size_t summed = length - start - TAIL, data = summed - HALO_ADDRESS - 1;
    uint8_t expected[TAIL];
    tail(expected, checksum(body, summed));
    if (data > HALO_DATA || memcmp(body + summed, expected, TAIL) != 0) return false;
    for (size_t at = 0; at < summed; at++)
        if (body[at] < ' ' || body[at] > '~') return false;
    char letter = (char)body[HALO_ADDRESS];
    bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
    if (!is_letter || !halo_is_digits((const char *)body, HALO_ADDRESS)) return false;
    memcpy(out->address, body, HALO_ADDRESS);
    out->address[HALO_ADDRESS] = '\0';
    out->letter = letter;
    memcpy(out->data, body + HALO_ADDRESS + 1, data);
    out->data[data] = '\0';
    return true;
}

bool halo_is_digits(const char *text, size_t length) {
    for (size_t at = 0; at < length; at++)
        if (text[at] < '0' || text[at] > '9') return false;
    return true;
}

bool halo_numbers(const char *data, size_t count, const size_t *digits, uint64_t *out) {
    for (size_t index = 0; index < count; index++) {
        out[index] = 0;
        for (size_t at = 0; at < digits[index]; at++, data++) {
            if (*data < '0' || *data > '9') return false;
            out[index] = out[index] * 10 + (uint64_t)(*data - '0');
        }
        if (index + 1 < count && *data++ != ',') return false;
    }
    return *data == '\0';
}
