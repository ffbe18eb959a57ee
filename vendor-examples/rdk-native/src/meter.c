/* The meter RDK-1, as README.md describes its protocol. */
#include "rdk.h"

#include <string.h>

enum { IDENTIFY = 0x01, VALUES = 0x02, PURSE = 0x03, OPEN = 0x04, SELL = 0x05, CLEAR = 0x06,
       RELAY = 0x07, SET = 0x08 };
enum { PASSWORD_BYTES = 16, ALARM = 1 };

static uint16_t meaning_of(uint8_t refused)
{
    switch (refused) {
    case 1: return REFUSED_PASSWORD;
    case 2: return REFUSED_CUSTOMER;
    case 3: return REFUSED_COUNT;
    case 4: return REFUSED_LIMIT;
    case 7: return REFUSED_VALUE;
    case 8: return REFUSED_FUNCTION;
    default: return REFUSED_OTHER;
    }
}

/* A question that changes nothing. That the device says no to it is an error of the call. */
static int look(int icdev, struct exchange *with)
{
    int error = exchange(icdev, with);
    return error ? error : with->refused ? CANNOT : 0;
}

static int values(int icdev, struct exchange *with, struct answer *answer)
{
    with->command = VALUES;
    int error = look(icdev, with);
    if (error) return error;
    if (with->length != 9) return GARBLED;
    put_number(answer, ICARD_D_RESULT, ICARD_R_DONE, 1);
    /* 1-0:1.8.0 in Wh: the meter counts hundredths of a kWh. */
    uint8_t energy[19] = {1, 0, 1, 8, 0, 255, 0, 30, 0, ICARD_V_NUMBER};
    big_endian_out(energy + 10, big_endian(with->data, 4) * 10, 8);
    put(answer, ICARD_D_MEASUREMENT, energy, sizeof energy);
    put_number(answer, ICARD_D_SUPPLY, with->data[8] ? 2 : 1, 2);
    return 0;
}

static int probe(int icdev, struct exchange *with, struct answer *answer)
{
    with->command = IDENTIFY;
    int error = look(icdev, with);
    if (error) return error;
    char address[9] = {0};
    for (int i = 0; i < 8; i++)
        address[i] = (char)('0' + (i % 2 ? with->address[i / 2] & 15 : with->address[i / 2] >> 4));
    put_number(answer, ICARD_D_RESULT, ICARD_R_DONE, 1);
    put_text(answer, ICARD_D_ADDRESS, address);
    put(answer, ICARD_D_MODEL, with->data, with->length);
    return 0;
}

static int check(int icdev, struct exchange *with, struct answer *answer)
{
    with->command = PURSE;
    int error = look(icdev, with);
    if (error) return error;
    if (with->length != 11) return GARBLED;
    uint64_t count = big_endian(with->data, 2);
    put_number(answer, ICARD_D_RESULT, ICARD_R_DONE, 1);
    put_number(answer, ICARD_D_COUNT, count, 4);
    put_money(answer, ICARD_D_BALANCE, big_endian(with->data + 6, 4));
    if (count > 0) {
        uint8_t purchase[14];
        big_endian_out(purchase, count, 4);
        big_endian_out(purchase + 4, 1, 2);
        big_endian_out(purchase + 6, big_endian(with->data + 2, 4), 8);
        put(answer, ICARD_D_PURCHASE, purchase, sizeof purchase);
    }
    return 0;
}

/* What opening and selling have in common: customer, count, amount. */
static int credit(const struct request *request, struct exchange *with)
{
    struct item asked = find(request, ICARD_D_CREDIT);
    uint64_t count = number(find(request, ICARD_D_COUNT), 4);
    if (asked.length != 10 || big_endian(asked.value, 2) != 1) return BAD_ARGUMENT;
    uint64_t fen = big_endian(asked.value + 2, 8);
    if (count > 0xFFFF || fen > 0xFFFFFFFF) return BAD_ARGUMENT;
    uint8_t *data = with->data + PASSWORD_BYTES;
    if (!digits(find(request, ICARD_D_CUSTOMER), data, 12)) return BAD_ARGUMENT;
    big_endian_out(data + 6, count, 2);
    big_endian_out(data + 8, fen, 4);
    with->length = PASSWORD_BYTES + 12;
    return 0;
}

static int act(int icdev, struct exchange *with, struct answer *answer)
{
    uint8_t command = with->command;
    int error = exchange(icdev, with);
    /* The frame has left: that no answer came does not say that nothing happened. */
    if (error) {
        put_unknown(answer, "the meter gave no clear answer");
        return 0;
    }
    if (with->refused) {
        put_refusal(answer, meaning_of(with->refused), with->refused);
        return 0;
    }
    put_number(answer, ICARD_D_RESULT, ICARD_R_DONE, 1);
    if (command == RELAY) {
        put_number(answer, ICARD_D_SUPPLY, with->length && with->data[0] ? 2 : 1, 2);
    } else if (command != SET) {
        if (with->length != 6) return GARBLED;
        put_number(answer, ICARD_D_COUNT, big_endian(with->data, 2), 4);
        put_money(answer, ICARD_D_BALANCE, big_endian(with->data + 2, 4));
    }
    return 0;
}

/* Only `alarm` can be set: its name, then a whole number. */
static int setting(const struct request *request, struct exchange *with)
{
    struct item extra = find(request, ICARD_D_EXTRA);
    static const uint8_t name[] = {5, 'a', 'l', 'a', 'r', 'm', ICARD_V_NUMBER};
    if (extra.length != sizeof name + 9 || memcmp(extra.value, name, sizeof name) != 0
        || extra.value[sizeof name + 8] != 0)
        return BAD_ARGUMENT;
    uint64_t fen = big_endian(extra.value + sizeof name, 8);
    if (fen > 99999999) return BAD_ARGUMENT;
    with->data[PASSWORD_BYTES] = ALARM;
    big_endian_out(with->data + PASSWORD_BYTES + 1, fen, 4);
    with->length = PASSWORD_BYTES + 5;
    return 0;
}

int meter(const struct request *request, struct answer *answer)
{
    struct exchange with = {0};
    uint64_t command = number(find(request, ICARD_D_COMMAND), 2);
    int error = 0;
    if (!digits(find(request, ICARD_D_ADDRESS), with.address, 8)) {
        if (request->command != ICARD_C_PROBE) return BAD_ARGUMENT;
        memset(with.address, 0xFF, 4);
    }
    if (request->command == ICARD_C_PROBE) return probe(request->icdev, &with, answer);
    if (request->command == ICARD_C_READ) return values(request->icdev, &with, answer);
    if (request->command == ICARD_C_CHECK) return check(request->icdev, &with, answer);

    strncpy((char *)with.data, request->password, PASSWORD_BYTES);
    with.length = PASSWORD_BYTES;
    switch (request->command) {
    case ICARD_C_OPEN:
        with.command = OPEN;
        error = credit(request, &with);
        break;
    case ICARD_C_SELL:
        with.command = SELL;
        error = credit(request, &with);
        break;
    case ICARD_C_CLEAR:
        with.command = CLEAR;
        break;
    case ICARD_C_CONTROL:
        if (command != 1 && command != 2) return CANNOT;
        with.command = RELAY;
        with.data[PASSWORD_BYTES] = command == 2;
        with.length = PASSWORD_BYTES + 1;
        break;
    case ICARD_C_SET:
        with.command = SET;
        error = setting(request, &with);
        break;
    default:
        return CANNOT;
    }
    return error ? error : act(request->icdev, &with, answer);
}
