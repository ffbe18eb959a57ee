/* halo.h: HALO frames as text: ':' address (6 digits), a letter, data, '*', the XOR of all between
 * ':' and '*' in two capital hex digits, CR LF. Pure: no line, no vault, no heap. Not here: what the
 * letters mean.
 */
#ifndef HALO_H
#define HALO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HALO_ADDRESS = 6,
    HALO_DATA = 64,              /* longer than the data of any frame */
    HALO_FRAME = HALO_DATA + 13, /* with ':', address, letter, '*', checksum, CR LF */
};

/* One frame that is whole and whose checksum is right. */
struct halo_frame {
    char address[HALO_ADDRESS + 1];
    char letter;
    char data[HALO_DATA + 1];
};

/* Writes a frame into `out`, which has room for HALO_FRAME bytes. Returns its length; 0 where the
 * data is too long. */
size_t halo_write(uint8_t *out, const char *address, char letter, const char *data);

/* The frame that a line ends with; what stands before its last ':' is noise. False: there is none,
 * or it was spoiled on the way. */
bool halo_parse(const uint8_t *line, size_t length, struct halo_frame *out);

/* The numbers of a reply's data, commas between them, each of the digits that the protocol says. */
bool halo_numbers(const char *data, size_t count, const size_t *digits, uint64_t *out);

bool halo_is_digits(const char *text, size_t length);

#endif
