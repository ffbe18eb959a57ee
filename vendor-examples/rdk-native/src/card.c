/* The card of RDK: 256 bytes of memory in a reader that is spoken to on icdev. README.md has the map. */
#include "rdk.h"

#include <string.h>

enum { PRESENT = 0x20, READ = 0x21, WRITE = 0x22 };
enum { BLANK = 0, OPENS = 1, SELLS = 2, CLEARS = 3, SETS = 4 };
enum { KIND = 3, REGION = 4, REGION_BYTES = 8, CUSTOMER = 12, COUNT = 18, AMOUNT = 20, ALARM = 24,
       METER_ENERGY = 28, METER_BALANCE = 32, METER_COUNT = 36, CHECK = 38, MAP_BYTES = 39 };

static const uint8_t reader[4] = {0xEE, 0xEE, 0xEE, 0xEE};

static uint8_t check_of(const uint8_t *map)
{
    uint8_t check = 0;
    for (int i = 0; i < CHECK; i++) check ^= map[i];
    return check;
}

static int ask(int icdev, struct exchange *with, uint8_t command)
{
    memcpy(with->address, reader, 4);
    with->command = command;
    int error = exchange(icdev, with);
    return error ? error : with->refused ? CANNOT : 0;
}

/* The map of the card in the reader; a card with nothing on it is all zero. */
static int read_map(int icdev, uint8_t *map)
{
    struct exchange with = {0};
    int error = ask(icdev, &with, PRESENT);
    if (error) return error;
    with = (struct exchange){.data = {0, MAP_BYTES}, .length = 2};
    error = ask(icdev, &with, READ);
    if (error) return error;
    if (with.length != MAP_BYTES) return GARBLED;
    memcpy(map, with.data, MAP_BYTES);
    return 0;
}

static int is_ours(const uint8_t *map)
{
    return memcmp(map, "RDK", KIND) == 0 && map[CHECK] == check_of(map);
}

static void put_map(struct answer *answer, const uint8_t *map)
{
    char customer[13] = {0};
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
}

/* Written, then read back: a card that was pulled out too early is no success. */
static int write_map(int icdev, uint8_t *map, struct answer *answer)
{
    struct exchange with = {0};
    uint8_t back[MAP_BYTES];
    memcpy(map, "RDK", KIND);
    map[CHECK] = check_of(map);
    with.data[0] = 0;
    memcpy(with.data + 1, map, MAP_BYTES);
    with.length = MAP_BYTES + 1;
    if (ask(icdev, &with, WRITE) || read_map(icdev, back) || memcmp(map, back, MAP_BYTES) != 0) {
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
    if (error) return error;
    int ours = is_ours(map), blank = map[0] == 0;
    if (!ours && !blank) return OTHER_DEVICE;
    if (request->command == ICARD_C_CARD_IDENTIFY || request->command == ICARD_C_CARD_CHECK) {
        if (!ours) return OTHER_DEVICE;
        if (request->command == ICARD_C_CARD_CHECK) return card_check(map, answer);
        put_map(answer, map);
        return 0;
    }
    struct item region = find(request, ICARD_D_REGION);
    if (region.length > REGION_BYTES) return BAD_ARGUMENT;
    /* Cards of different regions never mix. */
    uint8_t wanted[REGION_BYTES] = {0};
    if (region.value) memcpy(wanted, region.value, region.length);
    if (ours && memcmp(map + REGION, wanted, REGION_BYTES) != 0) {
        put_refusal(answer, REFUSED_OTHER, 0x21);
        return 0;
    }
    if (!ours) memset(map, 0, sizeof map);
    memcpy(map + REGION, wanted, REGION_BYTES);
    switch (request->command) {
    case ICARD_C_CARD_OPEN:
    case ICARD_C_CARD_REPLACE:
        if (!blank) {
            put_refusal(answer, REFUSED_OTHER, 0x22);
            return 0;
        }
        map[KIND] = request->command == ICARD_C_CARD_OPEN ? OPENS : SELLS;
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
        map[KIND] = SELLS;
        error = fill(request, map);
        break;
    case ICARD_C_CARD_CLEAR:
        memset(map + CUSTOMER, 0, CHECK - CUSTOMER);
        map[KIND] = CLEARS;
        break;
    case ICARD_C_CARD_SET: {
        struct item alarm = find(request, ICARD_D_CREDIT);
        if (alarm.length != 10) return BAD_ARGUMENT;
        map[KIND] = SETS;
        memcpy(map + ALARM, alarm.value + 6, 4);
        break;
    }
    default:
        return CANNOT;
    }
    return error ? error : write_map(request->icdev, map, answer);
}
