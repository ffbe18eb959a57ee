/* The interface between Polymeter and a vendor's native library: docs/native-libraries.md.
 *
 * A library exports one function, named by the vendor's abbreviation, e.g. RDKIcard:
 *
 *     long RDKIcard(int icdev, char *sendstr, char *recvstr, char *password);
 *
 * icdev     a handle to read and write, for poll and select: the line to the meter, or the card
 * sendstr   the request, a frame: 68 C L L DATA CS 16
 * recvstr   room for ICARD_FRAME_BYTES_MOST bytes: the answer, a frame; beyond it the process ends
 * password  the secret of this device and this call, ended by a zero; empty where there is none
 *
 * It returns 0 when a frame is in recvstr. Any other number is its own error, and recvstr is not read;
 * -1 to -9 mean the contract's errors 1 to 9 (1 no reply, 2 garbled, 3 another device, 4 no such data,
 * 5 the device says no, 6 bad address or parameter, 8 the line failed, 9 cannot be done).
 */
#ifndef ICARD_H
#define ICARD_H

#define ICARD_FRAME_BYTES_MOST 4096
#define ICARD_START 0x68
#define ICARD_END 0x16
/* Set in C of an answer. */
#define ICARD_ANSWER 0x80

/* C: what is asked. */
#define ICARD_C_DESCRIBE 0x00
#define ICARD_C_PROBE 0x01
#define ICARD_C_READ 0x02
#define ICARD_C_OPEN 0x03
#define ICARD_C_SELL 0x04
#define ICARD_C_CLEAR 0x05
#define ICARD_C_CHECK 0x06
#define ICARD_C_CONTROL 0x07
#define ICARD_C_SET 0x08
#define ICARD_C_CARD_IDENTIFY 0x10
#define ICARD_C_CARD_OPEN 0x11
#define ICARD_C_CARD_SELL 0x12
#define ICARD_C_CARD_CLEAR 0x13
#define ICARD_C_CARD_SET 0x14
#define ICARD_C_CARD_CHECK 0x15
#define ICARD_C_CARD_REPLACE 0x16

/* DATA is items: identifier (2 bytes), length (2 bytes), value. All numbers high byte first. */
#define ICARD_D_RESULT 0x0001
#define ICARD_D_CODE 0x0002
#define ICARD_D_DETAIL 0x0003
#define ICARD_D_DEVICE_CODE 0x0004
#define ICARD_D_ADDRESS 0x0101
#define ICARD_D_NOW 0x0102
#define ICARD_D_NONCE 0x0103
#define ICARD_D_PARAMETER 0x0104
#define ICARD_D_REGION 0x0105
#define ICARD_D_CUSTOMER 0x0201
#define ICARD_D_COUNT 0x0202
#define ICARD_D_CREDIT 0x0203
#define ICARD_D_COMMAND 0x0204
#define ICARD_D_VALID_UNTIL 0x0205
#define ICARD_D_MEASUREMENT 0x0301
#define ICARD_D_SUPPLY 0x0302
#define ICARD_D_BALANCE 0x0303
#define ICARD_D_PURCHASE 0x0304
#define ICARD_D_MODEL 0x0305
#define ICARD_D_EXTRA 0x0306
#define ICARD_D_VENDOR 0x0401
#define ICARD_D_NAME 0x0402
#define ICARD_D_VERSION 0x0403
#define ICARD_D_PROOF 0x0404
#define ICARD_D_PURSE 0x0405
#define ICARD_D_ABILITIES 0x0406
#define ICARD_D_DECLARED 0x0407
#define ICARD_D_CARD_KIND 0x0501
#define ICARD_D_CARD_NUMBER 0x0502

/* CARD_KIND, one byte. */
#define ICARD_K_BLANK 0
#define ICARD_K_OPENS 1
#define ICARD_K_SELLS 2
#define ICARD_K_CLEARED 3
#define ICARD_K_SETS 4

/* RESULT, one byte. */
#define ICARD_R_DONE 0
#define ICARD_R_REFUSED 1
#define ICARD_R_UNKNOWN 2
#define ICARD_R_FAILED 3

/* The first byte of a value. */
#define ICARD_V_NUMBER 1
#define ICARD_V_TEXT 2
#define ICARD_V_FLAG 3
#define ICARD_V_BYTES 4
#define ICARD_V_TIME 5

/* Bits of ABILITIES. */
#define ICARD_A_HAS_PURSE 1
#define ICARD_A_HAS_SUPPLY 2
#define ICARD_A_HAS_SETTINGS 4
#define ICARD_A_HAS_CARDS 8

#endif
