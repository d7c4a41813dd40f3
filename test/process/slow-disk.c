/* Loaded before the C library (LD_PRELOAD): makes every fsync of a process as slow, or as unsuccessful, as a file says.
   The file named by SLOW_DISK holds a number of milliseconds, or "eio". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int trouble(void) {
  char text[16] = {0};
  const char *path = getenv("SLOW_DISK");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  if (strncmp(text, "eio", 3) == 0) {
    errno = EIO;
    return -1;
  }
  long ms = atol(text);
  struct timespec wait = {ms / 1000, (ms % 1000) * 1000000};
  nanosleep(&wait, NULL);
  return 0;
}

int fdatasync(int file) {
  static int (*real)(int);
  if (real == NULL) real = dlsym(RTLD_NEXT, "fdatasync");
  return trouble() < 0 ? -1 : real(file);
}

int fsync(int file) {
  static int (*real)(int);
  if (real == NULL) real = dlsym(RTLD_NEXT, "fsync");
  return trouble() < 0 ? -1 : real(file);
}
