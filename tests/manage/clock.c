/* To be preloaded: a clock of the computer that was set, by the seconds in CLOCK_IS_OFF_BY. Only
   the time of day is: what measures how long something takes runs on. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    const char *seconds = clock == CLOCK_REALTIME && !failed ? getenv("CLOCK_IS_OFF_BY") : NULL;
    if (seconds) now->tv_sec += atol(seconds);
    return failed;
}
