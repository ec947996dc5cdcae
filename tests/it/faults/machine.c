/*
 * A machine whose power fails and whose clock jumps, for one process (LD_PRELOAD).
 *
 * FAULT_ROOT, FAULT_SHADOW: what is written below the first is copied below the second when it is
 * fsynced, and not before. A new file gets its name there when its folder is fsynced, too; until
 * then its content waits under "#inode". So after a kill the shadow holds what a disk that drops
 * everything unsynced would hold. Removing and renaming take effect at once.
 *
 * FAULT_CLOCK: a file of eight bytes, seconds to add to the time of day; read at each look.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

struct file {
    ino_t inode;
    int is_dir, is_named;
    off_t from, to; /* written and not synced */
    char name[PATH_MAX]; /* below the root, with its slash */
    struct file *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
static struct file *open_files[65536];
static const char *root, *shadow;
static volatile int64_t *clock_offset;

__attribute__((constructor)) static void begin(void) {
    root = getenv("FAULT_ROOT");
    shadow = getenv("FAULT_SHADOW");
    const char *clock_file = getenv("FAULT_CLOCK");
    if (clock_file) {
        int fd = open(clock_file, O_RDONLY);
        void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED) abort();
        clock_offset = page;
    }
}

/* The path below the root; NULL if it is not there. SQLite's shared memory needs no disk. */
static const char *below(const char *path) {
    size_t length = root ? strlen(root) : 0;
    if (!length || strncmp(path, root, length) || (path[length] && path[length] != '/')) return NULL;
    size_t end = strlen(path);
    return end > 4 && !strcmp(path + end - 4, "-shm") ? NULL : path + length;
}

static void in_shadow(char *out, const struct file *file) {
    if (file->is_named) snprintf(out, PATH_MAX, "%s%s", shadow, file->name);
    else snprintf(out, PATH_MAX, "%s/#%llu", shadow, (unsigned long long)file->inode);
}

static void opened(int fd, const char *path) {
    const char *name = below(path);
    struct stat stat;
    if (fd < 0 || fd >= 65536 || !name || fstat(fd, &stat)) return;
    pthread_mutex_lock(&lock);
    struct file *file = files;
    while (file && (file->inode != stat.st_ino || strcmp(file->name, name))) file = file->next;
    if (!file) {
        file = calloc(1, sizeof *file);
        if (!file) abort();
        file->inode = stat.st_ino;
        file->is_dir = S_ISDIR(stat.st_mode);
        snprintf(file->name, sizeof file->name, "%s", name);
        file->is_named = 1;
        char there[PATH_MAX];
        in_shadow(there, file);
        file->is_named = !access(there, F_OK);
        file->from = LONG_MAX;
        file->next = files;
        files = file;
    }
    open_files[fd] = file;
    pthread_mutex_unlock(&lock);
}

static void wrote(int fd, off_t at, ssize_t length) {
    if (fd < 0 || fd >= 65536 || length <= 0 || !open_files[fd]) return;
    pthread_mutex_lock(&lock);
    struct file *file = open_files[fd];
    if (at < 0) at = lseek(fd, 0, SEEK_CUR) - length;
    if (at < file->from) file->from = at;
    if (at + length > file->to) file->to = at + length;
    pthread_mutex_unlock(&lock);
}

/* Copies what was written since the last time, by reading the file itself. */
static void copy(int fd, struct file *file) {
    static char buffer[1 << 16];
    char there[PATH_MAX];
    struct stat stat;
    in_shadow(there, file);
    REAL(int, "open", const char *, int, ...);
    int out = real(there, O_RDWR | O_CREAT, 0600);
    if (out < 0 || fstat(fd, &stat)) abort();
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int in = real(self, O_RDONLY);
    if (in < 0) abort();
    static ssize_t (*put)(int, const void *, size_t, off_t);
    if (!put) put = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    for (off_t at = file->from; at < file->to && at < stat.st_size;) {
        off_t left = (file->to < stat.st_size ? file->to : stat.st_size) - at;
        ssize_t read = pread(in, buffer, left < (off_t)sizeof buffer ? left : (off_t)sizeof buffer, at);
        if (read <= 0 || put(out, buffer, read, at) != read) abort();
        at += read;
    }
    static int (*cut)(int, off_t);
    if (!cut) cut = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate");
    if (cut(out, stat.st_size)) abort();
    close(in);
    close(out);
    file->from = LONG_MAX;
    file->to = 0;
}

/* The names of a folder are on disk from now on. */
static void name_all_in(struct file *folder) {
    size_t length = strlen(folder->name);
    for (struct file *file = files; file; file = file->next) {
        char *slash = strrchr(file->name, '/');
        if (file->is_dir || file->is_named || !slash) continue;
        if ((size_t)(slash - file->name) != length || strncmp(file->name, folder->name, length)) continue;
        char here[PATH_MAX], there[PATH_MAX], real_path[PATH_MAX];
        snprintf(real_path, sizeof real_path, "%s%s", root, file->name);
        if (access(real_path, F_OK)) continue;
        in_shadow(here, file);
        file->is_named = 1;
        in_shadow(there, file);
        if (access(here, F_OK)) {
            FILE *empty = fopen(there, "a");
            if (empty) fclose(empty);
        } else {
            static int (*move)(const char *, const char *);
            if (!move) move = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
            if (move(here, there)) abort();
        }
    }
}

static void synced(int fd) {
    if (fd < 0 || fd >= 65536 || !open_files[fd]) return;
    pthread_mutex_lock(&lock);
    struct file *file = open_files[fd];
    if (file->is_dir) name_all_in(file);
    else copy(fd, file);
    pthread_mutex_unlock(&lock);
}

#define OPEN(function) \
    int function(const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = va_arg(more, mode_t); \
        va_end(more); \
        REAL(int, #function, const char *, int, ...); \
        int fd = real(path, flags, mode); \
        opened(fd, path); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    REAL(int, "close", int);
    if (fd >= 0 && fd < 65536) open_files[fd] = NULL;
    return real(fd);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, "write", int, const void *, size_t);
    ssize_t written = real(fd, bytes, length);
    wrote(fd, -1, written);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    ssize_t written = real(fd, parts, count);
    wrote(fd, -1, written);
    return written;
}

#define PWRITE(function) \
    ssize_t function(int fd, const void *bytes, size_t length, off_t at) { \
        REAL(ssize_t, #function, int, const void *, size_t, off_t); \
        ssize_t written = real(fd, bytes, length, at); \
        wrote(fd, at, written); \
        return written; \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define SYNC(function) \
    int function(int fd) { \
        REAL(int, #function, int); \
        int done = real(fd); \
        if (!done) synced(fd); \
        return done; \
    }
SYNC(fsync)
SYNC(fdatasync)

static void moved(const char *from, const char *to) {
    if (!below(from) || !shadow) return;
    char here[PATH_MAX], there[PATH_MAX];
    REAL(int, "rename", const char *, const char *);
    snprintf(here, sizeof here, "%s%s", shadow, below(from));
    pthread_mutex_lock(&lock);
    for (struct file *file = files; file; file = file->next) {
        if (strcmp(file->name, below(from))) continue;
        if (!file->is_named) in_shadow(here, file);
        if (to && below(to)) {
            snprintf(file->name, sizeof file->name, "%s", below(to));
            file->is_named = 1;
        } else {
            file->name[0] = 0;
        }
    }
    if (to && below(to)) {
        snprintf(there, sizeof there, "%s%s", shadow, below(to));
        real(here, there);
    } else {
        REAL(int, "unlink", const char *);
        real(here);
    }
    pthread_mutex_unlock(&lock);
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    int done = real(from, to);
    if (!done) moved(from, to);
    return done;
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    int done = real(path);
    if (!done) moved(path, NULL);
    return done;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int done = real(clock, time);
    if (!done && clock == CLOCK_REALTIME && clock_offset) time->tv_sec += *clock_offset;
    return done;
}

int gettimeofday(struct timeval *time, void *zone) {
    REAL(int, "gettimeofday", struct timeval *, void *);
    int done = real(time, zone);
    if (!done && clock_offset) time->tv_sec += *clock_offset;
    return done;
}
