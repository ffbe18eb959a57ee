/* A library that misbehaves on request: RDK's own, with this function in the place of RDKIcard.
 *
 * The address of the meter says how, after its eight digits: "00000001/sell-crash" crashes when it is
 * asked to sell, and is RDK's library in everything else. Its vendor code is RDX.
 */
#define _GNU_SOURCE
#include "rdk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#undef RDKIcard
long honest(int icdev, char *sendstr, char *recvstr, char *password);

static void seal(uint8_t *frame)
{
    size_t end = 4 + big_endian(frame + 2, 2);
    uint8_t sum = 0;
    for (size_t i = 1; i < end; i++) sum = (uint8_t)(sum + frame[i]);
    frame[end] = sum;
    frame[end + 1] = ICARD_END;
}

static void answer_with(char *recvstr, uint8_t command, const char *detail)
{
    struct answer answer = {(uint8_t *)recvstr, 4, 0};
    put_number(&answer, ICARD_D_RESULT, ICARD_R_FAILED, 1);
    put_number(&answer, ICARD_D_CODE, CANNOT, 2);
    put_text(&answer, ICARD_D_DETAIL, detail);
    answer.frame[0] = ICARD_START;
    answer.frame[1] = command | ICARD_ANSWER;
    big_endian_out(answer.frame + 2, answer.length - 4, 2);
    seal(answer.frame);
}

/* Sold, whatever it was; nothing was asked. */
static void claim(char *recvstr, const struct request *request)
{
    struct answer answer = {(uint8_t *)recvstr, 4, 0};
    put_number(&answer, ICARD_D_RESULT, ICARD_R_DONE, 1);
    put_number(&answer, ICARD_D_COUNT, number(find(request, ICARD_D_COUNT), 4), 4);
    answer.frame[0] = ICARD_START;
    answer.frame[1] = request->command | ICARD_ANSWER;
    big_endian_out(answer.frame + 2, answer.length - 4, 2);
    seal(answer.frame);
}

static const char *tried(int result)
{
    static char text[64];
    snprintf(text, sizeof text, "tried: %s", result < 0 ? strerror(errno) : "it worked");
    return text;
}

static long act(const char *how, int icdev, char *sendstr, char *recvstr, char *password,
                const struct request *request)
{
    static volatile int never;
    static volatile int *volatile nowhere;
    uint8_t command = request->command;
    if (strcmp(how, "crash") == 0) {
        *nowhere = 1;
    } else if (strcmp(how, "crash-after") == 0) {
        honest(icdev, sendstr, recvstr, password);
        abort();
    } else if (strcmp(how, "exit") == 0) {
        exit(0);
    } else if (strcmp(how, "hang") == 0) {
        for (;;) pause();
    } else if (strcmp(how, "spin") == 0) {
        while (!never) {
        }
    } else if (strcmp(how, "checksum") == 0) {
        honest(icdev, sendstr, recvstr, password);
        recvstr[4 + big_endian((uint8_t *)recvstr + 2, 2)] ^= 0x55;
    } else if (strcmp(how, "rubbish") == 0) {
        memset(recvstr, 0xA5, ICARD_FRAME_BYTES_MOST);
    } else if (strcmp(how, "escapes") == 0) {
        answer_with(recvstr, command, "\033[2J\nfake line");
    } else if (strcmp(how, "long") == 0) {
        memset(recvstr, 'x', 1 << 20);
    } else if (strcmp(how, "just-too-long") == 0) {
        ((volatile char *)recvstr)[ICARD_FRAME_BYTES_MOST] = 'x';
    } else if (strcmp(how, "to-the-end") == 0) {
        ((volatile char *)recvstr)[ICARD_FRAME_BYTES_MOST - 1] = 'x';
        answer_with(recvstr, command, "it fits");
    } else if (strcmp(how, "lie") == 0) {
        claim(recvstr, request);
    } else if (strcmp(how, "deaf-lie") == 0) {
        if (write(icdev, "hello", 5) != 5) return -LINE_FAILED;
        claim(recvstr, request);
    } else if (strcmp(how, "memory") == 0) {
        size_t had = 0;
        for (char *more; had < 1u << 30 && (more = malloc(1 << 20)); had += 1 << 20)
            memset(more, 1, 1 << 20);
        answer_with(recvstr, command, had < 1u << 30 ? "memory ended" : "it worked");
    } else if (strcmp(how, "fork") == 0) {
        int worked = -1;
        for (int i = 0; i < 50; i++) {
            int child = fork();
            if (child == 0) for (;;) pause();
            if (child > 0) worked = 0;
        }
        answer_with(recvstr, command, tried(worked));
    } else if (strcmp(how, "file") == 0) {
        answer_with(recvstr, command, tried(open("/etc/passwd", O_RDONLY)));
    } else if (strcmp(how, "socket") == 0) {
        answer_with(recvstr, command, tried(socket(AF_INET, SOCK_STREAM, 0)));
    } else if (strcmp(how, "exec") == 0) {
        answer_with(recvstr, command, tried(execl("/bin/true", "true", (char *)NULL)));
    } else if (strcmp(how, "kill-host") == 0) {
        answer_with(recvstr, command, tried(kill(getppid(), SIGKILL)));
    } else if (strcmp(how, "environment") == 0) {
        extern char **environ;
        answer_with(recvstr, command, environ && *environ ? *environ : "none");
    } else if (strcmp(how, "flood") == 0) {
        static char much[65536];
        for (;;)
            if (write(icdev, much, sizeof much) < 0) pause();
    } else if (strcmp(how, "flood-log") == 0) {
        for (;;) fprintf(stderr, "flood-of-lines\n");
    } else if (strcmp(how, "log") == 0) {
        fprintf(stderr, "written to the log \033[2J\n");
        return -CANNOT;
    } else if (strcmp(how, "out-of-turn") == 0) {
        for (int file = 3; file < 32; file++)
            if (write(file, "\xFF\xFF\xFF\xFF\xFF", 5) == 5) never = 0;
        for (;;) pause();
    } else if (strcmp(how, "wrong-answer") == 0) {
        answer_with(recvstr, command ^ 1, "to another question");
    } else if (strcmp(how, "own-error") == 0) {
        return 4711;
    } else {
        return honest(icdev, sendstr, recvstr, password);
    }
    return 0;
}

static const char *name_of(uint8_t command)
{
    static const char *const names[] = {"describe", "probe", "read", "open", "sell", "clear", "check",
                                        "control", "set"};
    return command < sizeof names / sizeof *names ? names[command] : "card";
}

/* The request with the meter's eight digits alone as its address. */
static void plain(const char *sendstr, char *copy)
{
    const uint8_t *from = (const uint8_t *)sendstr;
    size_t length = big_endian(from + 2, 2);
    struct answer answer = {(uint8_t *)copy, 4, 0};
    for (size_t at = 4; at < 4 + length;) {
        uint16_t identifier = (uint16_t)big_endian(from + at, 2);
        size_t bytes = big_endian(from + at + 2, 2);
        size_t kept = identifier == ICARD_D_ADDRESS && bytes > 8 ? 8 : bytes;
        put(&answer, identifier, from + at + 4, kept);
        at += 4 + bytes;
    }
    memcpy(copy, sendstr, 2);
    big_endian_out((uint8_t *)copy + 2, answer.length - 4, 2);
    seal((uint8_t *)copy);
}

long RDKIcard(int icdev, char *sendstr, char *recvstr, char *password)
{
    static char copy[ICARD_FRAME_BYTES_MOST];
    const uint8_t *frame = (const uint8_t *)sendstr;
    struct request request = {icdev, frame[1], frame + 4, big_endian(frame + 2, 2), password};
    struct item address = find(&request, ICARD_D_ADDRESS);
    char how[64] = "", wanted[64];
    if (address.value && address.length > 9 && address.length < sizeof how)
        memcpy(how, address.value + 9, address.length - 9);
    plain(sendstr, copy);
    snprintf(wanted, sizeof wanted, "%s-", name_of(request.command));
    if (strncmp(how, wanted, strlen(wanted)) == 0)
        return act(how + strlen(wanted), icdev, copy, recvstr, password, &request);
    long returned = honest(icdev, copy, recvstr, password);
    if (returned == 0 && request.command == ICARD_C_DESCRIBE) {
        char *code = memmem(recvstr, 256, "RDK", 3);
        if (code) code[2] = 'X';
        seal((uint8_t *)recvstr);
    }
    return returned;
}
