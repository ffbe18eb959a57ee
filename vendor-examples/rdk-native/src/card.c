/* The card of RDK: 256 bytes of plain memory (AT24C02), read and written on icdev. README.md has
 * the map. */
#include "rdk.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Instructions of PC/SC, part 3, for cards of memory. */
enum { READ = 0xB0, WRITE = 0xD6 };
enum { BLANK = 0, OPENS = 1, SELLS = 2, CLEARS = 3, SETS = 4 };
enum { KIND = 3, REGION = 4, REGION_BYTES = 8, CUSTOMER = 12, COUNT = 18, AMOUNT = 20, ALARM = 24,
       METER_ENERGY = 28, METER_BALANCE = 32, METER_COUNT = 36, NUMBER = 38, CHECK = 42,
       MAP_BYTES = 43 };

static uint8_t check_of(const uint8_t *map)
{
    uint8_t check = 0;
    for (int i = 0; i < CHECK; i++) check ^= map[i];
    return check;
}

/* One command: FF, the instruction, where (2 bytes), how much; to be written, the bytes. The answer
 * is the bytes that were read, and 90 00. The map is read or written whole, from 0. */
static int ask(int icdev, uint8_t instruction, uint8_t *map)
{
    uint8_t command[5 + MAP_BYTES] = {0xFF, instruction, 0, 0, MAP_BYTES}, answer[MAP_BYTES + 2];
    size_t length = 5, wanted = 2;
    if (instruction == WRITE) {
        memcpy(command + 5, map, MAP_BYTES);
        length += MAP_BYTES;
    } else {
        wanted += MAP_BYTES;
    }
    /* In one write, so that it is one command for the host. */
    if (write(icdev, command, length) != (ssize_t)length) return LINE_FAILED;
    size_t have = hear(icdev, answer, wanted);
    if (have < 2) return NO_REPLY;
    if (answer[have - 2] != 0x90 || answer[have - 1] != 0) return CANNOT;
    if (have != wanted) return GARBLED;
    if (instruction == READ) memcpy(map, answer, MAP_BYTES);
    return 0;
}

static int read_map(int icdev, uint8_t *map)
{
    return ask(icdev, READ, map);
}

/* As it comes from its maker, all zero or all one; or cleared. */
static int is_blank(const uint8_t *map, int ours)
{
    return map[0] == 0 || map[0] == 0xFF || (ours && map[KIND] == CLEARS);
}

static int is_ours(const uint8_t *map)
{
    return memcmp(map, "RDK", KIND) == 0 && map[CHECK] == check_of(map);
}

static void put_map(struct answer *answer, const uint8_t *map)
{
    static const uint8_t none[4];
    char customer[13] = {0}, shown[9];
    for (int i = 0; i < 12; i++) {
        uint8_t pair = map[CUSTOMER + i / 2];
        customer[i] = (char)('0' + (i % 2 ? pair & 15 : pair >> 4));
    }
    put_number(answer, ICARD_D_RESULT, ICARD_R_DONE, 1);
    put_text(answer, ICARD_D_VENDOR, "RDK");
    put_number(answer, ICARD_D_CARD_KIND, map[KIND], 1);
    put(answer, ICARD_D_REGION, map + REGION, strnlen((const char *)map + REGION, REGION_BYTES));
    put_text(answer, ICARD_D_CUSTOMER, customer);
    put_number(answer, ICARD_D_COUNT, big_endian(map + COUNT, 2), 4);
    if (memcmp(map + NUMBER, none, 4) == 0) return;
    snprintf(shown, sizeof shown, "%08lX", (unsigned long)big_endian(map + NUMBER, 4));
    put_text(answer, ICARD_D_CARD_NUMBER, shown);
}

/* A card with nothing on it is anybody's who wants it. */
static void put_blank(struct answer *answer)
{
    put_number(answer, ICARD_D_RESULT, ICARD_R_DONE, 1);
    put_text(answer, ICARD_D_VENDOR, "RDK");
    put_number(answer, ICARD_D_CARD_KIND, BLANK, 1);
    put_number(answer, ICARD_D_COUNT, 0, 4);
}

/* Written, then read back: a card that was pulled out too early is no success. */
static int write_map(int icdev, uint8_t *map, struct answer *answer)
{
    uint8_t back[MAP_BYTES];
    memcpy(map, "RDK", KIND);
    map[CHECK] = check_of(map);
    if (ask(icdev, WRITE, map) || read_map(icdev, back) || memcmp(map, back, MAP_BYTES) != 0) {
        put_unknown(answer, "the card does not hold what was written");
        return 0;
    }
    put_map(answer, map);
    return 0;
}

static int fill(const struct request *request, uint8_t *map)
{
    struct item credit = find(request, ICARD_D_CREDIT);
    uint64_t count = number(find(request, ICARD_D_COUNT), 4);
    if (credit.length != 10 || big_endian(credit.value, 2) != 1) return BAD_ARGUMENT;
    uint64_t fen = big_endian(credit.value + 2, 8);
    if (count > 0xFFFF || fen > 0xFFFFFFFF) return BAD_ARGUMENT;
    if (!digits(find(request, ICARD_D_CUSTOMER), map + CUSTOMER, 12)) return BAD_ARGUMENT;
    big_endian_out(map + COUNT, count, 2);
    big_endian_out(map + AMOUNT, fen, 4);
    return 0;
}

/* With its first purchase a card opens the meter still: nobody has been there with it before. */
static uint8_t kind_of(const struct request *request)
{
    return number(find(request, ICARD_D_COUNT), 4) <= 1 ? OPENS : SELLS;
}

/* The card is this customer's with this purchase already: the same was asked before. */
static int holds(const struct request *request, const uint8_t *map)
{
    uint8_t wanted[MAP_BYTES] = {0};
    return fill(request, wanted) == 0
           && memcmp(wanted + CUSTOMER, map + CUSTOMER, ALARM - CUSTOMER) == 0;
}

/* What the meter wrote back, once the card has been in it. */
static int card_check(const uint8_t *map, struct answer *answer)
{
    put_map(answer, map);
    put_money(answer, ICARD_D_BALANCE, big_endian(map + METER_BALANCE, 4));
    uint8_t purchase[14];
    big_endian_out(purchase, big_endian(map + METER_COUNT, 2), 4);
    big_endian_out(purchase + 4, 1, 2);
    big_endian_out(purchase + 6, big_endian(map + AMOUNT, 4), 8);
    put(answer, ICARD_D_PURCHASE, purchase, sizeof purchase);
    return 0;
}

int card(const struct request *request, struct answer *answer)
{
    uint8_t map[MAP_BYTES], customer[6];
    int error = read_map(request->icdev, map);
    /* A card that is not read so is another vendor's. */
    if (error == CANNOT) return OTHER_DEVICE;
    if (error) return error;
    int ours = is_ours(map), blank = is_blank(map, ours);
    if (!ours && !blank) return OTHER_DEVICE;
    if (request->command == ICARD_C_CARD_IDENTIFY || request->command == ICARD_C_CARD_CHECK) {
        if (!ours) {
            if (request->command == ICARD_C_CARD_CHECK) return OTHER_DEVICE;
            put_blank(answer);
            return 0;
        }
        if (request->command == ICARD_C_CARD_CHECK) return card_check(map, answer);
        put_map(answer, map);
        return 0;
    }
    struct item region = find(request, ICARD_D_REGION), nonce;
    if (region.length > REGION_BYTES) return BAD_ARGUMENT;
    /* Cards of different regions never mix. Who names none has them all. */
    uint8_t wanted[REGION_BYTES] = {0};
    if (region.value) memcpy(wanted, region.value, region.length);
    else if (ours) memcpy(wanted, map + REGION, REGION_BYTES);
    if (ours && memcmp(map + REGION, wanted, REGION_BYTES) != 0) {
        put_refusal(answer, REFUSED_OTHER, 0x21);
        return 0;
    }
    if (!ours || blank) memset(map, 0, sizeof map);
    memcpy(map + REGION, wanted, REGION_BYTES);
    switch (request->command) {
    case ICARD_C_CARD_OPEN:
    case ICARD_C_CARD_REPLACE:
        if (!blank && holds(request, map)) {
            put_map(answer, map);
            return 0;
        }
        if (!blank) {
            put_refusal(answer, REFUSED_OTHER, 0x22);
            return 0;
        }
        map[KIND] = kind_of(request);
        /* A number that no other card has: the call's nonce is no other call's. */
        nonce = find(request, ICARD_D_NONCE);
        if (nonce.length < 4) return BAD_ARGUMENT;
        memcpy(map + NUMBER, nonce.value, 4);
        map[NUMBER] |= 1;
        error = fill(request, map);
        break;
    case ICARD_C_CARD_SELL:
        if (!ours || !digits(find(request, ICARD_D_CUSTOMER), customer, 12)
            || memcmp(customer, map + CUSTOMER, 6) != 0) {
            put_refusal(answer, REFUSED_CUSTOMER, 0x23);
            return 0;
        }
        if (number(find(request, ICARD_D_COUNT), 4) != big_endian(map + COUNT, 2) + 1) {
            put_refusal(answer, REFUSED_COUNT, 0x24);
            return 0;
        }
        map[KIND] = kind_of(request);
        error = fill(request, map);
        break;
    case ICARD_C_CARD_CLEAR:
        if (!ours) return OTHER_DEVICE;
        memset(map + CUSTOMER, 0, CHECK - CUSTOMER);
        map[KIND] = CLEARS;
        break;
    case ICARD_C_CARD_SET: {
        struct item alarm = find(request, ICARD_D_CREDIT);
        if (alarm.length != 10) return BAD_ARGUMENT;
        if (!blank && map[KIND] != SETS) {
            put_refusal(answer, REFUSED_OTHER, 0x22);
            return 0;
        }
        map[KIND] = SETS;
        memcpy(map + ALARM, alarm.value + 6, 4);
        break;
    }
    default:
        return CANNOT;
    }
    return error ? error : write_map(request->icdev, map, answer);
}
