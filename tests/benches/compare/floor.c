/* The least that a supervisor can do, and therefore the least that running a job can cost.
 *
 *     floor run DIR COMMAND...   starts a command that outlives the caller, with its output and its end in files in DIR
 *     floor hold COMMAND...      starts a command as its subreaper, and on SIGTERM kills all its descendants until ECHILD
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(125);
}

static int run(const char *dir, char **command) {
    pid_t supervisor = fork();
    if (supervisor < 0) fail("fork");
    if (supervisor > 0) return printf("%d\n", supervisor) < 0;

    setsid();
    char path[4096];
    snprintf(path, sizeof path, "%s/%d.log", dir, getpid());
    int log = open(path, O_CREAT | O_EXCL | O_WRONLY | O_APPEND, 0600);
    int null = open("/dev/null", O_RDWR);
    if (log < 0 || null < 0) fail(path);
    dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    pid_t job = vfork();
    if (job == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    int status;
    if (job < 0 || waitpid(job, &status, 0) != job) fail("wait");
    snprintf(path, sizeof path, "%s/%d.end", dir, getpid());
    int end = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (end < 0 || dprintf(end, "status %d\n", status) < 0) fail(path);
    return 0;
}

static void nothing(int signal) { (void)signal; }

static int hold(char **command) {
    sigset_t wanted, before;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    signal(SIGTERM, nothing);
    sigprocmask(SIG_BLOCK, &wanted, &before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t job = fork();
    if (job == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        execvp(command[0], command);
        _exit(127);
    }
    sigsuspend(&before);

    char path[64], line[1 << 16];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    for (;;) {
        FILE *children = fopen(path, "r");
        if (!children) fail(path);
        size_t length = fread(line, 1, sizeof line - 1, children);
        fclose(children);
        line[length] = 0;
        for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) kill(atoi(word), SIGKILL);
        if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) return 0;
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
    }
}

int main(int count, char **words) {
    if (count > 3 && !strcmp(words[1], "run")) return run(words[2], words + 3);
    if (count > 2 && !strcmp(words[1], "hold")) return hold(words + 2);
    fprintf(stderr, "usage: floor run DIR COMMAND... | floor hold COMMAND...\n");
    return 2;
}
