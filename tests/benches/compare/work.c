/* The commands of the measured jobs.
 *
 *     work stamp FILE          writes the time to FILE, as its first act
 *     work hold FIFO FILE      waits until FIFO is opened, writes the time to FILE and ends
 *     work blocks COUNT        writes 64 KiB of text COUNT times
 *     work solid COUNT         the same without any line end
 *     work lines COUNT         writes COUNT short lines, one per write, a hundred to each stream in turn
 *     work tree COUNT FILE     becomes COUNT processes that ignore SIGTERM, half of them in sessions of their own whose
 *                              parent is gone; makes FILE once all of them run
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(125);
}

static void stamp(const char *path) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (file < 0 || dprintf(file, "%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec) < 0) fail(path);
}

static void put(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written <= 0) fail("write");
        bytes += written;
        length -= written;
    }
}

static void blocks(long count, int has_lines) {
    static char block[1 << 16];
    memset(block, 'x', sizeof block);
    /* 64 bytes per line; a search finds the first line of each block. */
    for (size_t at = 0; has_lines && at < sizeof block; at += 64) {
        memcpy(block + at, "compiling one more file of many, without a warning", 50);
        block[at + 63] = '\n';
    }
    for (long block_number = 0; block_number < count; block_number++) {
        if (has_lines) {
            char number[64];
            memcpy(block, number, snprintf(number, sizeof number, "needle %020ld", block_number));
        }
        put(1, block, sizeof block);
    }
}

static void lines(long count) {
    char line[32];
    for (long number = 0; number < count; number++) {
        put(1 + number / 100 % 2, line, snprintf(line, sizeof line, "line %08ld\n", number));
    }
}

static void tree(long count, const char *path) {
    int all[2];
    if (pipe(all)) fail("pipe");
    signal(SIGTERM, SIG_IGN);
    for (long number = 1; number < count; number++) {
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child > 0) {
            if (number % 2) waitpid(child, NULL, 0);
            continue;
        }
        if (number % 2) {
            setsid();
            if (fork() != 0) _exit(0);
        }
        put(all[1], "x", 1);
        for (;;) pause();
    }
    for (long number = 1; number < count; number++) {
        char byte;
        if (read(all[0], &byte, 1) != 1) fail("read");
    }
    stamp(path);
    for (;;) pause();
}

int main(int count, char **words) {
    const char *what = count > 2 ? words[1] : "";
    if (!strcmp(what, "stamp")) stamp(words[2]);
    else if (!strcmp(what, "hold") && count > 3) {
        if (open(words[2], O_RDONLY) < 0) fail(words[2]);
        stamp(words[3]);
    }
    else if (!strcmp(what, "blocks")) blocks(atol(words[2]), 1);
    else if (!strcmp(what, "solid")) blocks(atol(words[2]), 0);
    else if (!strcmp(what, "lines")) lines(atol(words[2]));
    else if (!strcmp(what, "tree") && count > 3) tree(atol(words[2]), words[3]);
    else {
        fprintf(stderr, "usage: work stamp|hold|blocks|solid|lines|tree ARGUMENTS\n");
        return 2;
    }
    return 0;
}
