/* What the parts of this library share: a request read, an answer written, a frame exchanged. */
#ifndef RDK_H
#define RDK_H

#include "icard.h"

#include <stddef.h>
#include <stdint.h>

/* The contract's errors, and the numbers of refusals that this meter has. */
enum { NO_REPLY = 1, GARBLED = 2, OTHER_DEVICE = 3, BAD_ARGUMENT = 6, LINE_FAILED = 8, CANNOT = 9 };
enum { REFUSED_OTHER = 1, REFUSED_CUSTOMER = 5, REFUSED_COUNT = 6, REFUSED_LIMIT = 7,
       REFUSED_PASSWORD = 10, REFUSED_FUNCTION = 13, REFUSED_VALUE = 14 };

/* One item of a request; `value` is NULL where there is none. */
struct item {
    const uint8_t *value;
    size_t length;
};

struct request {
    int icdev;
    uint8_t command;
    const uint8_t *data;
    size_t length;
    const char *password;
};

/* The answer, written from the front; `full` once it had no more room. */
struct answer {
    uint8_t *frame;
    size_t length;
    int full;
};

struct item find(const struct request *request, uint16_t identifier);
/* 0 where the item is missing or is not that long. */
uint64_t number(struct item item, size_t length);
/* So many digits of a decimal text, padded with zeros, two in a byte. */
int digits(struct item text, uint8_t *bytes, size_t count);

void put(struct answer *answer, uint16_t identifier, const void *value, size_t length);
void put_text(struct answer *answer, uint16_t identifier, const char *text);
void put_number(struct answer *answer, uint16_t identifier, uint64_t value, size_t length);
void put_money(struct answer *answer, uint16_t identifier, uint64_t fen);
void put_refusal(struct answer *answer, uint16_t code, uint8_t device_code);
void put_unknown(struct answer *answer, const char *why);
uint64_t big_endian(const uint8_t *bytes, size_t length);
void big_endian_out(uint8_t *bytes, uint64_t value, size_t length);

/* One question on icdev and its answer. What comes back is the answer's data, at most 255 bytes. */
struct exchange {
    uint8_t address[4];
    uint8_t command;
    uint8_t data[255];
    uint8_t length;
    /* The error byte where the device said no, else 0. */
    uint8_t refused;
};

/* 0, or one of the contract's errors. */
int exchange(int icdev, struct exchange *with);
/* An answer of at most so many bytes; how many came. */
size_t hear(int icdev, uint8_t *bytes, size_t most);

/* 0, or one of the contract's errors. */
int meter(const struct request *request, struct answer *answer);
int card(const struct request *request, struct answer *answer);

#endif
