/* purse.c: opening, selling and clearing, and what the meter remembers of it.
 *
 * One frame that adds credit in a call. It is never sent again: after silence the meter's own record
 * is asked, and where that proves nothing the answer is `unknown`.
 */
#include "exchange.h"

#include <stdio.h>
#include <string.h>

static const char KEY_LABEL[] = "sale";
enum { MAC_BYTES = 4, CUSTOMER = 12, COUNT_MOST = 99999, FEN_MOST = 99999999 };
enum { LOOKS = 2 }; /* how often a question that changes nothing is asked */

/* What the meter answers to `C`. */
struct record {
    uint64_t count, last, balance;
};

/* Asks for the record, once more if the answer did not come or was spoiled. */
static bool look(const char *address, struct record *out, pm_error *error) {
    static const size_t DIGITS[] = {5, 8, 8};
    for (int asked = 0; asked < LOOKS; asked++) {
        struct answer answer;
        uint64_t numbers[3];
        if (asked > 0) polymeter_driver_types_driver_error_free(error);
        if (!ask(address, 'C', "", &answer, error)) continue;
        if (!answer.yes) return no_data(&answer, error);
        if (halo_numbers(answer.data, 3, DIGITS, numbers)) {
            *out = (struct record){numbers[0], numbers[1], numbers[2]};
            return true;
        }
        pm_fail(error, PM_GARBLED, "a record of a wrong shape");
    }
    return false;
}

static pm_credit money(uint64_t fen) { return (pm_credit){PM_MONEY, fen}; }

static void confirm(pm_sell_outcome *out, const struct record *proof) {
    out->tag = POLYMETER_DRIVER_TYPES_SELL_OUTCOME_CONFIRMED;
    out->val.confirmed.count = (uint32_t)proof->count;
    out->val.confirmed.balance.is_some = true;
    out->val.confirmed.balance.val = money(proof->balance);
}

static void refuse(pm_sell_outcome *out, const struct answer *no) {
    out->tag = POLYMETER_DRIVER_TYPES_SELL_OUTCOME_REFUSED;
    refused(no, &out->val.refused);
}

/* Takes the error's text. */
static void doubt(pm_sell_outcome *out, const char *what, pm_error *error) {
    out->tag = POLYMETER_DRIVER_TYPES_SELL_OUTCOME_UNKNOWN;
    pm_setf(&out->val.unknown, "%s: %.*s", what, (int)error->detail.len,
            (const char *)error->detail.ptr);
    polymeter_driver_types_driver_error_free(error);
}

/* The first four bytes of the HMAC over address, letter and data, in hex. */
static bool sign(const char *address, char letter, const char *data, char out[2 * MAC_BYTES + 1],
                 pm_error *error) {
    char message[HALO_ADDRESS + 1 + HALO_DATA + 1];
    int length = snprintf(message, sizeof message, "%s%c%s", address, letter, data);
    polymeter_driver_vault_key_t key = {{(uint8_t *)KEY_LABEL, sizeof KEY_LABEL - 1}, {NULL, 0}};
    pm_bytes iv = {NULL, 0}, text = {(uint8_t *)message, (size_t)length}, mac;
    polymeter_driver_vault_vault_error_t said;
    if (!polymeter_driver_vault_mac(&key, PM_MAC_HMAC_SHA_256, &iv, &text, &mac, &said)) {
        memset(error, 0, sizeof *error);
        error->code = PM_VAULT;
        error->detail = said.detail;
        return false;
    }
    bool enough = mac.len >= MAC_BYTES;
    for (size_t at = 0; enough && at < MAC_BYTES; at++)
        snprintf(out + 2 * at, 3, "%02x", mac.ptr[at]);
    meter_driver_list_u8_free(&mac);
    return enough || pm_fail(error, PM_VAULT, "a MAC of less than four bytes");
}

/* Customer (12), count (5), fen (8). */
static bool fields(const pm_string *customer, uint32_t count, const pm_credit *credit,
                   char out[HALO_DATA + 1], pm_error *error) {
    static const char NOUGHTS[CUSTOMER + 1] = "000000000000";
    if (credit->quantity != PM_MONEY)
        return pm_fail(error, PM_BAD_PARAMETER, "this meter's purse holds money");
    if (customer->len > CUSTOMER || !halo_is_digits((const char *)customer->ptr, customer->len))
        return pm_fail(error, PM_BAD_PARAMETER, "a customer number is 12 digits at most");
    if (count > COUNT_MOST || credit->amount > FEN_MOST)
        return pm_fail(error, PM_BAD_PARAMETER, "a count has 5 digits and an amount 8");
    snprintf(out, HALO_DATA + 1, "%s%.*s,%05u,%08llu", NOUGHTS + customer->len,
             (int)customer->len, (const char *)customer->ptr, (unsigned)count,
             (unsigned long long)credit->amount);
    return true;
}

/* The one frame that adds credit, then a look at what the meter has recorded. */
static bool add(const pm_call *call, char letter, const pm_string *customer, uint32_t count,
                const pm_credit *credit, pm_sell_outcome *out, pm_error *error) {
    char address[HALO_ADDRESS + 1], data[HALO_DATA + 1], mac[2 * MAC_BYTES + 1];
    char signed_data[HALO_DATA + 1];
    struct answer answer;
    struct record record;
    if (!address_of(call, address, error) || !fields(customer, count, credit, data, error) ||
        !sign(address, letter, data, mac, error))
        return false;
    snprintf(signed_data, sizeof signed_data, "%s,%s", data, mac);
    memset(out, 0, sizeof *out);
    /* From here on credit may be in the meter: no error leaves this function, only an outcome. */
    bool accepted = ask(address, letter, signed_data, &answer, error);
    if (accepted && !answer.yes) {
        refuse(out, &answer);
        return true;
    }
    if (!accepted) polymeter_driver_types_driver_error_free(error);
    const char *said = accepted ? "accepted the purchase" : "did not answer";
    char what[128];
    snprintf(what, sizeof what, "the meter %s, and its record could not be read", said);
    if (!look(address, &record, error)) {
        doubt(out, what, error);
        return true;
    }
    bool there = record.count == count && record.last == credit->amount;
    if (there && (accepted || credit->amount > 0)) {
        confirm(out, &record);
        return true;
    }
    out->tag = POLYMETER_DRIVER_TYPES_SELL_OUTCOME_UNKNOWN;
    pm_setf(&out->val.unknown, "the meter %s, and its count is %u", said, (unsigned)record.count);
    return true;
}

bool exports_polymeter_driver_purse_open(pm_call *call,
                                         exports_polymeter_driver_purse_opening_t *opening,
                                         pm_sell_outcome *out, pm_error *error) {
    bool good = add(call, 'O', &opening->customer_number, opening->count, &opening->credit, out,
                    error);
    pm_call_free(call);
    exports_polymeter_driver_purse_opening_free(opening);
    return good;
}

bool exports_polymeter_driver_purse_sell(pm_call *call,
                                         exports_polymeter_driver_purse_order_t *order,
                                         pm_sell_outcome *out, pm_error *error) {
    bool good = add(call, 'S', &order->customer_number, order->purchase.count,
                    &order->purchase.credit, out, error);
    pm_call_free(call);
    exports_polymeter_driver_purse_order_free(order);
    return good;
}

/* Empties the purse. The meter's yes alone would do, and its record makes sure. */
static bool clear(const pm_call *call, pm_sell_outcome *out, pm_error *error) {
    char address[HALO_ADDRESS + 1], mac[2 * MAC_BYTES + 1];
    struct answer answer;
    struct record record;
    if (!address_of(call, address, error) || !sign(address, 'K', "", mac, error)) return false;
    memset(out, 0, sizeof *out);
    if (!ask(address, 'K', mac, &answer, error)) {
        doubt(out, "no answer", error);
    } else if (!answer.yes) {
        refuse(out, &answer);
    } else if (!look(address, &record, error)) {
        doubt(out, "the meter accepted, but", error);
    } else if (record.count == 0 && record.last == 0 && record.balance == 0) {
        confirm(out, &record);
    } else {
        out->tag = POLYMETER_DRIVER_TYPES_SELL_OUTCOME_UNKNOWN;
        pm_set(&out->val.unknown, "the meter accepted, but is not empty");
    }
    return true;
}

bool exports_polymeter_driver_purse_clear(pm_call *call, pm_sell_outcome *out, pm_error *error) {
    bool good = clear(call, out, error);
    pm_call_free(call);
    return good;
}

/* Evidence about purchase `count`, or about the last one. The meter remembers its last one only. */
bool exports_polymeter_driver_purse_check(pm_call *call, uint32_t *count,
                                          exports_polymeter_driver_purse_evidence_t *out,
                                          pm_error *error) {
    char address[HALO_ADDRESS + 1];
    struct record record;
    bool good = address_of(call, address, error) && look(address, &record, error);
    if (good) {
        memset(out, 0, sizeof *out);
        out->count = (uint32_t)record.count;
        out->balance.is_some = true;
        out->balance.val = money(record.balance);
        out->purchase.is_some = record.count > 0 && (count == NULL || *count == record.count);
        out->purchase.val.count = (uint32_t)record.count;
        out->purchase.val.credit = money(record.last);
    }
    pm_call_free(call);
    return good;
}
