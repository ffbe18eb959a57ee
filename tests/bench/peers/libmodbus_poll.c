/* Polls with libmodbus: ip port links reads-per-link start quantity; prints the seconds of the
 * reads. One thread a link, because its calls block. It speaks Modbus TCP: over a socket it knows
 * no other framing. */
#include <errno.h>
#include <modbus.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int reads, start, quantity, failed;
static pthread_barrier_t ready;

static void *poll_link(void *link) {
    uint16_t words[125];
    pthread_barrier_wait(&ready);
    for (int i = 0; i < reads; i++)
        if (modbus_read_registers(link, start, quantity, words) != quantity) failed = 1;
    return NULL;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    if (count != 7) return 2;
    int links = atoi(arguments[3]);
    reads = atoi(arguments[4]), start = atoi(arguments[5]), quantity = atoi(arguments[6]);
    if (links < 1 || quantity < 1 || quantity > 125) return 2;
    pthread_t *threads = calloc(links, sizeof *threads);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    pthread_barrier_init(&ready, NULL, links + 1);
    for (int i = 0; i < links; i++) {
        modbus_t *link = modbus_new_tcp(arguments[1], atoi(arguments[2]));
        /* A thousand connections at once are not all taken within its half second. */
        if (!link || modbus_set_response_timeout(link, 10, 0) || modbus_connect(link) || modbus_set_slave(link, 1)) {
            fprintf(stderr, "link %d: %s\n", i, modbus_strerror(errno));
            return 1;
        }
        if (pthread_create(&threads[i], &small, poll_link, link)) return 1;
    }
    pthread_barrier_wait(&ready);
    double begun = now();
    for (int i = 0; i < links; i++) pthread_join(threads[i], NULL);
    printf("%.9f\n", now() - begun);
    return failed;
}
