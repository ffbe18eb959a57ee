/* RDKIcard: takes a request apart, has it done, puts the answer together. */
#include "rdk.h"

#include <string.h>

struct item find(const struct request *request, uint16_t identifier)
{
    size_t at = 0;
    while (at + 4 <= request->length) {
        uint16_t found = (uint16_t)big_endian(request->data + at, 2);
        size_t length = big_endian(request->data + at + 2, 2);
        if (length > request->length - at - 4) break;
        if (found == identifier) return (struct item){request->data + at + 4, length};
        at += 4 + length;
    }
    return (struct item){NULL, 0};
}

uint64_t number(struct item item, size_t length)
{
    return item.value && item.length == length ? big_endian(item.value, length) : 0;
}

int digits(struct item text, uint8_t *bytes, size_t count)
{
    memset(bytes, 0, count / 2);
    if (!text.value || text.length == 0 || text.length > count) return 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t digit = (uint8_t)(text.value[i] - '0');
        size_t place = count - text.length + i;
        if (digit > 9) return 0;
        bytes[place / 2] |= (uint8_t)(place % 2 ? digit : digit << 4);
    }
    return 1;
}

uint64_t big_endian(const uint8_t *bytes, size_t length)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) value = value << 8 | bytes[i];
    return value;
}

void big_endian_out(uint8_t *bytes, uint64_t value, size_t length)
{
    for (size_t i = length; i-- > 0; value >>= 8) bytes[i] = (uint8_t)value;
}

void put(struct answer *answer, uint16_t identifier, const void *value, size_t length)
{
    /* 4 before the item's value, 2 after the last item. */
    if (answer->length + 4 + length + 2 > ICARD_FRAME_BYTES_MOST) {
        answer->full = 1;
        return;
    }
    uint8_t *at = answer->frame + answer->length;
    big_endian_out(at, identifier, 2);
    big_endian_out(at + 2, length, 2);
    memcpy(at + 4, value, length);
    answer->length += 4 + length;
}

void put_text(struct answer *answer, uint16_t identifier, const char *text)
{
    put(answer, identifier, text, strlen(text));
}

void put_number(struct answer *answer, uint16_t identifier, uint64_t value, size_t length)
{
    uint8_t bytes[8];
    big_endian_out(bytes, value, length);
    put(answer, identifier, bytes, length);
}

void put_money(struct answer *answer, uint16_t identifier, uint64_t fen)
{
    uint8_t bytes[10] = {0, 1}; /* quantity 1: money in minor units */
    big_endian_out(bytes + 2, fen, 8);
    put(answer, identifier, bytes, sizeof bytes);
}

void put_refusal(struct answer *answer, uint16_t code, uint8_t device_code)
{
    char text[3] = {"0123456789ABCDEF"[device_code >> 4], "0123456789ABCDEF"[device_code & 15], 0};
    put_number(answer, ICARD_D_RESULT, ICARD_R_REFUSED, 1);
    put_number(answer, ICARD_D_CODE, code, 2);
    put_text(answer, ICARD_D_DETAIL, "the device says no");
    put_text(answer, ICARD_D_DEVICE_CODE, text);
}

void put_unknown(struct answer *answer, const char *why)
{
    put_number(answer, ICARD_D_RESULT, ICARD_R_UNKNOWN, 1);
    put_text(answer, ICARD_D_DETAIL, why);
}

/* Name, titles, unit, whether it can be written, least, most, default. */
static void declare_alarm(struct answer *answer)
{
    static const char name[] = "alarm", english[] = "Alarm at", chinese[] = "报警金额";
    uint8_t bytes[96];
    size_t length = 0;
    const char *texts[] = {name, english, chinese};
    for (int i = 0; i < 3; i++) {
        bytes[length++] = (uint8_t)strlen(texts[i]);
        memcpy(bytes + length, texts[i], strlen(texts[i]));
        length += strlen(texts[i]);
    }
    big_endian_out(bytes + length, 10, 2); /* currency */
    bytes[length + 2] = 1;
    bytes[length + 3] = 1;
    big_endian_out(bytes + length + 4, 0, 8);
    bytes[length + 12] = 1;
    big_endian_out(bytes + length + 13, 99999999, 8);
    put(answer, ICARD_D_DECLARED, bytes, length + 21);
}

static int describe(struct answer *answer)
{
    put_number(answer, ICARD_D_RESULT, ICARD_R_DONE, 1);
    put_text(answer, ICARD_D_VENDOR, "RDK");
    put_text(answer, ICARD_D_NAME, "RDK prepayment meters and cards");
    put_text(answer, ICARD_D_VERSION, "1.0.0");
    put_text(answer, ICARD_D_MODEL, "RDK-1");
    put_number(answer, ICARD_D_PROOF, 1, 2); /* purchase count and last purchase */
    put_number(answer, ICARD_D_PURSE, 1, 2); /* money */
    put_number(answer, ICARD_D_ABILITIES,
               ICARD_A_HAS_PURSE | ICARD_A_HAS_SUPPLY | ICARD_A_HAS_SETTINGS | ICARD_A_HAS_CARDS, 2);
    declare_alarm(answer);
    return 0;
}

static uint8_t sum(const uint8_t *bytes, size_t length)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++) sum = (uint8_t)(sum + bytes[i]);
    return sum;
}

long RDKIcard(int icdev, char *sendstr, char *recvstr, char *password)
{
    const uint8_t *frame = (const uint8_t *)sendstr;
    size_t length = big_endian(frame + 2, 2);
    if (frame[0] != ICARD_START || length > ICARD_FRAME_BYTES_MOST - 6
        || frame[4 + length] != sum(frame + 1, 3 + length) || frame[5 + length] != ICARD_END)
        return -GARBLED;
    struct request request = {icdev, frame[1], frame + 4, length, password};
    struct answer answer = {(uint8_t *)recvstr, 4, 0};
    int error;
    if (request.command == ICARD_C_DESCRIBE)
        error = describe(&answer);
    else if (request.command >= ICARD_C_CARD_IDENTIFY)
        error = card(&request, &answer);
    else
        error = meter(&request, &answer);
    if (error) return -error;
    if (answer.full) return -GARBLED;
    answer.frame[0] = ICARD_START;
    answer.frame[1] = request.command | ICARD_ANSWER;
    big_endian_out(answer.frame + 2, answer.length - 4, 2);
    answer.frame[answer.length] = sum(answer.frame + 1, answer.length - 1);
    answer.frame[answer.length + 1] = ICARD_END;
    return 0;
}
