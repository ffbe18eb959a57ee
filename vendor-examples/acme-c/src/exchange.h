/* exchange.h: one question to one meter, and its answer. Not here: what is asked. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "halo.h"
#include "polymeter.h"

/* What a meter says to a question: the data after the letter, or the digits of its error. */
struct answer {
    bool yes;
    char data[HALO_DATA + 1];
};

/* The address that a call is about. False: it is none. */
bool address_of(const pm_call *call, char out[HALO_ADDRESS + 1], pm_error *error);

/* Sends once and waits for the line that answers. An answer is that of the meter asked, to the
 * question asked; anything else is an error. */
bool ask(const char *address, char letter, const char *data, struct answer *out, pm_error *error);

/* A meter's no to a call that asks for nothing but data. Returns false, for the caller to return. */
bool no_data(const struct answer *no, pm_error *error);

/* A meter's no to an act. */
void refused(const struct answer *no, pm_refusal *out);

#endif
