/* Stands between a process and the system (LD_PRELOAD), and lets one call that writes under a folder fail, or the
 * process die or stop before it. All that goes through libc is seen: Python's calls, SQLite's, pyarrow's.
 *
 *     fault_arm(folder, how, n)   the n-th call from now on, counted from 1; 0 counts alone, an empty folder ends it
 *     fault_calls()               calls so far, also of a child that is dead: the count lies in shared memory
 *     fault_call(n)               what the n-th of them was, e.g. "rename /out/o.jsonl"
 *     fault_clock(on)             the wall clock jumps back and forth by years with each look at it
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { COUNT, EIO_, ENOSPC_, KILL, TORN, STOP };

enum { KEPT = 8192, SHOWN = 256 };
static struct { atomic_int calls; char what[KEPT][SHOWN]; } *shared;
static char folder[4096];
static size_t folder_length;
static int how, fire_at, armed, clock_jumps;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void set_up(void) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void fault_arm(const char *where, int what, int n) {
    snprintf(folder, sizeof folder, "%s", where);
    folder_length = strlen(folder);
    how = what, fire_at = n, armed = folder_length > 0;
    if (armed) atomic_store(&shared->calls, 0);
}

int fault_calls(void) { return atomic_load(&shared->calls); }

const char *fault_call(int n) { return n > 0 && n <= KEPT ? shared->what[n - 1] : ""; }

void fault_clock(int on) { clock_jumps = on; }

static int concerns_path(const char *path) {
    return armed && path && (path[0] != '/' || !strncmp(path, folder, folder_length));
}

/* Say where a file lies, or return NULL. */
static const char *path_of(int fd) {
    static __thread char target[4096];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    return length > 0 ? target : NULL;
}

static int concerns_file(int fd) {
    const char *path = armed ? path_of(fd) : NULL;
    return path && !strncmp(path, folder, folder_length);
}

/* Count a call; return how it is to go wrong, COUNT where it is not. */
static int strike(const char *name, const char *path) {
    int call = atomic_fetch_add(&shared->calls, 1) + 1;
    if (!fire_at && call <= KEPT) snprintf(shared->what[call - 1], SHOWN, "%s %s", name, path ? path : "");
    if (!fire_at || (how == ENOSPC_ ? call < fire_at : call != fire_at)) return COUNT; /* a full disk stays full */
    if (how != ENOSPC_) fire_at = 0; /* once: another child may count in the same place meanwhile */
    if (how == KILL) kill(getpid(), SIGKILL), pause();
    if (how == STOP) kill(getpid(), SIGSTOP);
    return how == STOP ? COUNT : how;
}

static int fail(int kind) {
    errno = kind == ENOSPC_ ? ENOSPC : EIO;
    return -1;
}

/* A call that is whole or not there. */
#define WHOLE(concerned, path, call)                            \
    int kind = (concerned) ? strike(__func__, path) : COUNT;    \
    if (kind == TORN) kill(getpid(), SIGKILL), pause();         \
    return kind == COUNT ? (call) : fail(kind)

/* A write: half of it may get through before the process dies, or the disk is full. */
#define PARTLY(fd, length, half, call)                                                    \
    int kind = (length) && concerns_file(fd) ? strike(__func__, path_of(fd)) : COUNT;     \
    if (kind == TORN || kind == ENOSPC_) {                                                \
        int done = (int)(half);                                                           \
        if (kind == TORN) kill(getpid(), SIGKILL), pause();                               \
        (void)done;                                                                       \
    }                                                                                     \
    return kind == COUNT ? (call) : fail(kind)

ssize_t write(int fd, const void *data, size_t length) {
    PARTLY(fd, length, NEXT(write)(fd, data, length / 2), NEXT(write)(fd, data, length));
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    PARTLY(fd, length, NEXT(pwrite)(fd, data, length / 2, at), NEXT(pwrite)(fd, data, length, at));
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    PARTLY(fd, length, NEXT(pwrite64)(fd, data, length / 2, at), NEXT(pwrite64)(fd, data, length, at));
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    PARTLY(fd, count, NEXT(writev)(fd, parts, count / 2), NEXT(writev)(fd, parts, count));
}
ssize_t sendfile(int out, int in, off_t *at, size_t length) {
    extern ssize_t sendfile(int, int, off_t *, size_t);
    WHOLE(concerns_file(out), path_of(out), NEXT(sendfile)(out, in, at, length));
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    WHOLE(concerns_file(out), path_of(out), NEXT(copy_file_range)(in, from, out, to, length, flags));
}
int fsync(int fd) { WHOLE(concerns_file(fd), path_of(fd), NEXT(fsync)(fd)); }
int fdatasync(int fd) { WHOLE(concerns_file(fd), path_of(fd), NEXT(fdatasync)(fd)); }
int ftruncate(int fd, off_t length) { WHOLE(concerns_file(fd), path_of(fd), NEXT(ftruncate)(fd, length)); }
int ftruncate64(int fd, off64_t length) { WHOLE(concerns_file(fd), path_of(fd), NEXT(ftruncate64)(fd, length)); }
int rename(const char *from, const char *to) { WHOLE(concerns_path(to), to, NEXT(rename)(from, to)); }
int renameat(int a, const char *from, int b, const char *to) { WHOLE(concerns_path(to), to, NEXT(renameat)(a, from, b, to)); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    WHOLE(concerns_path(to), to, NEXT(renameat2)(a, from, b, to, flags));
}
int link(const char *from, const char *to) { WHOLE(concerns_path(to), to, NEXT(link)(from, to)); }
int mkdir(const char *path, mode_t mode) { WHOLE(concerns_path(path), path, NEXT(mkdir)(path, mode)); }
int mkdirat(int at, const char *path, mode_t mode) { WHOLE(concerns_path(path), path, NEXT(mkdirat)(at, path, mode)); }

#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND))
#define MODE(flags)                           \
    mode_t mode = 0;                          \
    if ((flags) & (O_CREAT | O_TMPFILE)) {    \
        va_list rest;                         \
        va_start(rest, flags);                \
        mode = va_arg(rest, mode_t);          \
        va_end(rest);                         \
    }

int open(const char *path, int flags, ...) {
    MODE(flags);
    WHOLE(WRITES(flags) && concerns_path(path), path, NEXT(open)(path, flags, mode));
}
int open64(const char *path, int flags, ...) {
    MODE(flags);
    WHOLE(WRITES(flags) && concerns_path(path), path, NEXT(open64)(path, flags, mode));
}
int openat(int at, const char *path, int flags, ...) {
    MODE(flags);
    WHOLE(WRITES(flags) && concerns_path(path), path, NEXT(openat)(at, path, flags, mode));
}
int openat64(int at, const char *path, int flags, ...) {
    MODE(flags);
    WHOLE(WRITES(flags) && concerns_path(path), path, NEXT(openat64)(at, path, flags, mode));
}

/* Years back and forth: a prime number of looks, so that what is asked in pairs does not always see the same. */
static long jump(void) {
    static const long years[] = {0, -40, 3, -1, 12, 0, -7};
    static atomic_int looks;
    return clock_jumps ? years[atomic_fetch_add(&looks, 1) % 7] * 31557600L : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = NEXT(clock_gettime)(clock, now);
    if (!done && clock == CLOCK_REALTIME) now->tv_sec += jump();
    return done;
}
int gettimeofday(struct timeval *now, void *zone) {
    int done = NEXT(gettimeofday)(now, zone);
    if (!done) now->tv_sec += jump();
    return done;
}
time_t time(time_t *out) {
    time_t now = NEXT(time)(NULL) + jump();
    if (out) *out = now;
    return now;
}
