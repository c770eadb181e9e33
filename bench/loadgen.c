/*
 * The benchmark's load generator: one thread, one epoll, many streaming GETs to 127.0.0.1.
 *
 *   loadgen                 holds connections, counts and times the events that arrive
 *   loadgen --serve send    a server that sends each event with one send() a connection
 *   loadgen --serve joined  a server that sends 64 events with one send() a connection
 *
 * The two servers show the generator's own ceiling: whatever they reach, it can count.
 *
 * Both speak JSON lines: one flat object a line on stdin, one reply a line on stdout. The other side sends
 * its next command after the reply to the last. The servers know two: one with `ms` publishes, any other asks for
 * the CPU time used so far.
 *
 * An event is counted by its marker, a '~' that its data holds exactly once and nothing else on the wire
 * holds at all. One byte can't be split, so the count is exact at any split of the stream and whatever
 * chunked framing stands between. Right after the marker stand 19 digits: the publisher's CLOCK_MONOTONIC
 * in nanoseconds, which is also what Node's process.hrtime reads. One event in `every` has them read.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARKER '~'
#define DIGITS 19
#define READ_SIZE (256 * 1024)
#define MAX_GROUPS 16
#define MAX_SPREADS 1024
#define FRAMES_JOINED 64
#define STDIN_SLOT UINT32_MAX

/* ---- time, failure, JSON ------------------------------------------------------------------------------ */

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_us(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
         (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void fail(const char *what) {
  fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void *grow(void *old, size_t bytes) {
  void *made = realloc(old, bytes);
  if (!made) fail("out of memory");
  return made;
}

/*
 * Points behind `"key":`, or NULL. A plain search is safe: JSON.stringify puts a backslash before every
 * quote inside a string, so the pattern's closing quote can't be met inside a value.
 */
static const char *json_value(const char *line, const char *key) {
  char pattern[64];
  snprintf(pattern, sizeof pattern, "\"%s\":", key);
  const char *at = strstr(line, pattern);
  return at ? at + strlen(pattern) : NULL;
}

static double json_number(const char *line, const char *key, double otherwise) {
  const char *at = json_value(line, key);
  return at ? strtod(at, NULL) : otherwise;
}

/* The caller frees it. Knows the escapes that JSON.stringify makes of CR, LF, quotes and backslashes. */
static char *json_string(const char *line, const char *key, const char *otherwise) {
  const char *at = json_value(line, key);
  if (!at || *at != '"') return strdup(otherwise);
  char *text = grow(NULL, strlen(at)), *out = text;
  for (at++; *at && *at != '"'; at++) {
    if (*at != '\\') *out++ = *at;
    else if (*++at == 'n') *out++ = '\n';
    else if (*at == 'r') *out++ = '\r';
    else *out++ = *at;
  }
  *out = 0;
  return text;
}

/* ---- latency ------------------------------------------------------------------------------------------ */

/* Log-linear: 64 steps for each doubling, so a quantile is right within 1.6 %. The maximum is exact. */
#define STEPS 64
struct histogram {
  uint64_t counts[60 * STEPS];
  uint64_t total, max;
};

static unsigned slot_of(uint64_t ns) {
  if (ns < STEPS) return (unsigned)ns;
  unsigned doublings = 63 - (unsigned)__builtin_clzll(ns) - 6;
  return (doublings + 1) * STEPS + (unsigned)((ns >> doublings) - STEPS);
}

static uint64_t slot_start(unsigned slot) {
  if (slot < STEPS) return slot;
  return (uint64_t)(STEPS + slot % STEPS) << (slot / STEPS - 1);
}

static void record(struct histogram *h, uint64_t ns) {
  h->counts[slot_of(ns)]++;
  h->total++;
  if (ns > h->max) h->max = ns;
}

static double quantile_us(const struct histogram *h, double q) {
  uint64_t wanted = (uint64_t)(q * (double)h->total), seen = 0;
  for (unsigned i = 0; i < 60 * STEPS; i++) {
    seen += h->counts[i];
    if (seen > wanted) return (double)slot_start(i) / 1000.0;
  }
  return (double)h->max / 1000.0;
}

/* ---- connections -------------------------------------------------------------------------------------- */

enum state { CONNECTING, AWAITING_HEAD, OPEN, DEAD };

struct connection {
  int fd;
  enum state state;
  unsigned group;
  /* Its place in the group, which chooses its path. */
  unsigned number;
};

/* When one event reached its first and its last connection, known by its timestamp. */
struct spread {
  uint64_t sent, first, last, count;
};

struct group {
  char name[32];
  unsigned port, wanted, started, parallel, opened, failed, ended;
  int reading, tracks_spread;
  char **paths;
  unsigned path_count;
  char *headers;
  uint64_t delivered, bytes, unread_times, marked_ns, marked_cpu, first_ns, last_ns, every, until_sample;
  struct histogram latency;
  struct spread spreads[MAX_SPREADS];
  unsigned spread_count;
};

static struct connection *connections;
static unsigned connection_count;
static struct group *groups[MAX_GROUPS];
static int epoll_fd;
static char read_buffer[READ_SIZE];

/* The command that is waiting for its condition. */
static struct {
  enum { NOTHING, OPENING, DRAINING } kind;
  struct group *group;
  uint64_t events, deadline, began;
} waiting;

static void watch(unsigned index, uint32_t events, int operation) {
  struct epoll_event e = {.events = events, .data.u32 = index};
  if (epoll_ctl(epoll_fd, operation, connections[index].fd, &e) < 0) fail("epoll_ctl");
}

static void connect_one(struct group *g, unsigned group_index) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) fail("socket");
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)g->port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) fail("connect");
  if (connection_count % 1024 == 0)
    connections = grow(connections, (connection_count + 1024) * sizeof *connections);
  connections[connection_count] = (struct connection){fd, CONNECTING, group_index, g->started};
  watch(connection_count++, EPOLLOUT, EPOLL_CTL_ADD);
  g->started++;
}

/* Keeps `parallel` openings under way, so that a server's backlog never overflows. */
static void connect_more(struct group *g) {
  unsigned index = 0;
  while (groups[index] != g) index++;
  while (g->started < g->wanted && g->started - g->opened - g->failed < g->parallel) connect_one(g, index);
}

static void bury(struct connection *c) {
  struct group *g = groups[c->group];
  if (c->state == OPEN) g->ended++;
  else g->failed++;
  c->state = DEAD;
  close(c->fd);
  connect_more(g);
}

static void send_request(unsigned index) {
  struct connection *c = &connections[index];
  struct group *g = groups[c->group];
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) return bury(c);
  char request[8192];
  const char *path = g->paths[c->number % g->path_count];
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: text/event-stream\r\n%s\r\n", path, g->port,
                        g->headers);
  if (length >= (int)sizeof request || send(c->fd, request, (size_t)length, MSG_NOSIGNAL) != length) return bury(c);
  c->state = AWAITING_HEAD;
  watch(index, EPOLLIN, EPOLL_CTL_MOD);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* Plain enough for the compiler to make vector code of it: 255 rounds fit a byte counter's lane. */
__attribute__((optimize("O3"))) static uint64_t count_markers(const char *bytes, size_t length) {
  uint64_t total = 0;
  size_t at = 0;
  while (at < length) {
    uint8_t lanes[64] = {0};
    size_t rounds = (length - at) / 64;
    if (rounds > 255) rounds = 255;
    for (size_t r = 0; r < rounds; r++, at += 64)
      for (int i = 0; i < 64; i++) lanes[i] = (uint8_t)(lanes[i] + (bytes[at + (size_t)i] == MARKER));
    for (int i = 0; i < 64; i++) total += lanes[i];
    if (rounds == 0)
      for (; at < length; at++) total += bytes[at] == MARKER;
  }
  return total;
}

/* 0 when the digits aren't all in sight: the sample is given up and counted in `unread_times`. */
static uint64_t sent_at(const char *digits, const char *end) {
  if (end - digits < DIGITS) return 0;
  uint64_t value = 0;
  for (int i = 0; i < DIGITS; i++) {
    if (digits[i] < '0' || digits[i] > '9') return 0;
    value = value * 10 + (uint64_t)(digits[i] - '0');
  }
  return value;
}

static void track_spread(struct group *g, uint64_t sent, uint64_t now) {
  unsigned i = g->spread_count;
  while (i > 0 && g->spreads[i - 1].sent != sent) i--;
  if (i > 0) {
    g->spreads[i - 1].last = now;
    g->spreads[i - 1].count++;
  } else if (g->spread_count < MAX_SPREADS) {
    g->spreads[g->spread_count++] = (struct spread){sent, now, now, 1};
  }
}

static void take(struct group *g, const char *bytes, size_t length, uint64_t now) {
  const char *at = bytes, *end = bytes + length;
  uint64_t found = count_markers(bytes, length);
  g->bytes += length;
  if (found == 0) return;
  g->delivered += found;
  if (!g->first_ns) g->first_ns = now;
  g->last_ns = now;
  while (found >= g->until_sample) {
    for (uint64_t i = 0; i < g->until_sample; i++) at = (const char *)memchr(at, MARKER, (size_t)(end - at)) + 1;
    uint64_t sent = sent_at(at, end);
    if (!sent) g->unread_times++;
    else {
      record(&g->latency, now > sent ? now - sent : 0);
      if (g->tracks_spread) track_spread(g, sent, now);
    }
    found -= g->until_sample;
    g->until_sample = g->every;
  }
  g->until_sample -= found;
}

static void read_some(unsigned index) {
  struct connection *c = &connections[index];
  struct group *g = groups[c->group];
  ssize_t n = recv(c->fd, read_buffer, sizeof read_buffer, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return bury(c);
  if (c->state == AWAITING_HEAD) {
    /* A status line of twelve bytes never arrives in pieces over loopback. */
    if (n < 12 || memcmp(read_buffer, "HTTP/1.1 200", 12) != 0) return bury(c);
    c->state = OPEN;
    g->opened++;
    if (!g->reading) watch(index, 0, EPOLL_CTL_MOD);
    connect_more(g);
  }
  take(g, read_buffer, (size_t)n, now_ns());
}

/* ---- commands ----------------------------------------------------------------------------------------- */

static void reply_report(struct group *g) {
  uint64_t now = now_ns(), whole = 0;
  struct histogram between = {0}, until_last = {0};
  for (unsigned i = 0; i < g->spread_count; i++) {
    if (g->spreads[i].count < g->opened) continue;
    whole++;
    record(&between, g->spreads[i].last - g->spreads[i].first);
    record(&until_last, g->spreads[i].last - g->spreads[i].sent);
  }
  printf("{\"delivered\":%llu,\"bytes\":%llu,\"open\":%u,\"ended\":%u,\"failed\":%u,\"ms\":%.3f,\"firstMs\":%.3f,"
         "\"lastMs\":%.3f,\"samples\":%llu,\"unreadTimes\":%llu,\"p50Us\":%.1f,\"p99Us\":%.1f,\"p999Us\":%.1f,"
         "\"maxUs\":%.1f,\"spreads\":%llu,\"spreadP50Us\":%.1f,\"spreadMaxUs\":%.1f,\"untilLastP50Us\":%.1f,"
         "\"cpuUs\":%llu}\n",
         (unsigned long long)g->delivered, (unsigned long long)g->bytes, g->opened - g->ended, g->ended, g->failed,
         (double)(now - g->marked_ns) / 1e6, g->first_ns ? (double)(g->first_ns - g->marked_ns) / 1e6 : 0,
         g->last_ns ? (double)(g->last_ns - g->marked_ns) / 1e6 : 0, (unsigned long long)g->latency.total,
         (unsigned long long)g->unread_times, quantile_us(&g->latency, 0.5), quantile_us(&g->latency, 0.99),
         quantile_us(&g->latency, 0.999), (double)g->latency.max / 1000.0, (unsigned long long)whole,
         quantile_us(&between, 0.5), (double)between.max / 1000.0, quantile_us(&until_last, 0.5),
         (unsigned long long)(cpu_us() - g->marked_cpu));
}

static void mark(struct group *g) {
  g->delivered = g->bytes = g->unread_times = g->first_ns = g->last_ns = 0;
  g->spread_count = 0;
  g->until_sample = g->every;
  memset(&g->latency, 0, sizeof g->latency);
  g->marked_ns = now_ns();
  g->marked_cpu = cpu_us();
}

/* NULL where there is none of that name; `slot` then names a free place. */
static struct group *find_group(const char *line, unsigned *slot) {
  char *name = json_string(line, "group", "all");
  struct group *found = NULL;
  *slot = MAX_GROUPS;
  for (unsigned i = 0; i < MAX_GROUPS && !found; i++) {
    if (!groups[i]) {
      if (*slot == MAX_GROUPS) *slot = i;
    } else if (strcmp(groups[i]->name, name) == 0) {
      found = groups[i];
      *slot = i;
    }
  }
  free(name);
  return found;
}

static void open_group(const char *line, unsigned slot) {
  struct group *g = grow(NULL, sizeof *g);
  memset(g, 0, sizeof *g);
  char *name = json_string(line, "group", "all"), *paths = json_string(line, "paths", "/");
  snprintf(g->name, sizeof g->name, "%s", name);
  free(name);
  for (char *path = strtok(paths, "\n"); path; path = strtok(NULL, "\n")) {
    g->paths = grow(g->paths, (g->path_count + 1) * sizeof *g->paths);
    g->paths[g->path_count++] = path;
  }
  g->headers = json_string(line, "headers", "");
  g->port = (unsigned)json_number(line, "port", 0);
  g->wanted = (unsigned)json_number(line, "count", 1);
  g->parallel = (unsigned)json_number(line, "parallel", 128);
  g->reading = (int)json_number(line, "reading", 1);
  g->every = (uint64_t)json_number(line, "every", 61);
  g->tracks_spread = (int)json_number(line, "spread", 0);
  groups[slot] = g;
  mark(g);
  waiting.kind = OPENING;
  waiting.group = g;
  waiting.began = now_ns();
  waiting.deadline = waiting.began + (uint64_t)json_number(line, "withinMs", 60000) * 1000000u;
  connect_more(g);
}

static void close_group(unsigned slot) {
  struct group *g = groups[slot];
  for (unsigned i = 0; i < connection_count; i++) {
    if (connections[i].group != slot || connections[i].state == DEAD) continue;
    connections[i].state = DEAD;
    close(connections[i].fd);
  }
  free(g->paths[0]);
  free(g->paths);
  free(g->headers);
  free(g);
  groups[slot] = NULL;
  while (connection_count > 0 && connections[connection_count - 1].state == DEAD) connection_count--;
  printf("{\"closed\":1}\n");
}

static void set_reading(unsigned slot, int reading) {
  groups[slot]->reading = reading;
  for (unsigned i = 0; i < connection_count; i++)
    if (connections[i].group == slot && connections[i].state == OPEN) watch(i, reading ? EPOLLIN : 0, EPOLL_CTL_MOD);
  printf("{\"reading\":%d}\n", reading);
}

static void command(const char *line) {
  unsigned slot;
  struct group *g = find_group(line, &slot);
  char *name = json_string(line, "cmd", "");
  if (strcmp(name, "quit") == 0) exit(0);
  if (strcmp(name, "open") == 0 && !g && slot < MAX_GROUPS) open_group(line, slot);
  else if (!g) printf("{\"error\":\"no such group, or one too many\"}\n");
  else if (strcmp(name, "close") == 0) close_group(slot);
  else if (strcmp(name, "reading") == 0) set_reading(slot, (int)json_number(line, "reading", 1));
  else if (strcmp(name, "mark") == 0) {
    mark(g);
    printf("{\"marked\":1}\n");
  } else if (strcmp(name, "drain") == 0) {
    waiting.kind = DRAINING;
    waiting.group = g;
    waiting.events = (uint64_t)json_number(line, "events", 0);
    waiting.deadline = now_ns() + (uint64_t)json_number(line, "withinMs", 0) * 1000000u;
  } else printf("{\"error\":\"unknown command\"}\n");
  free(name);
}

static void answer_waiting(void) {
  if (waiting.kind == NOTHING) return;
  struct group *g = waiting.group;
  uint64_t now = now_ns();
  if (waiting.kind == OPENING) {
    if (g->opened + g->failed < g->wanted && now < waiting.deadline) return;
    printf("{\"open\":%u,\"failed\":%u,\"ms\":%.3f}\n", g->opened - g->ended, g->failed,
           (double)(now - waiting.began) / 1e6);
  } else {
    if (g->delivered < waiting.events && now < waiting.deadline) return;
    reply_report(g);
  }
  waiting.kind = NOTHING;
}

/* Whole lines only; what is left over waits for more. Ends the process when the parent is gone. */
static char *next_line(int may_read) {
  static char *text;
  static size_t length, size, taken;
  if (taken) {
    memmove(text, text + taken, length - taken);
    length -= taken;
    taken = 0;
  }
  if (may_read) {
    if (size - length < 65536) text = grow(text, size = length + 131072);
    ssize_t n = read(0, text + length, size - length - 1);
    if (n <= 0) exit(0);
    length += (size_t)n;
  }
  char *end = length ? memchr(text, '\n', length) : NULL;
  if (!end) return NULL;
  *end = 0;
  taken = (size_t)(end - text) + 1;
  return text;
}

static void generate(void) {
  struct epoll_event events[512], on_stdin = {.events = EPOLLIN, .data.u32 = STDIN_SLOT};
  epoll_fd = epoll_create1(0);
  if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &on_stdin) < 0) fail("epoll");
  printf("{\"ready\":1}\n");
  for (;;) {
    fflush(stdout);
    int n = epoll_wait(epoll_fd, events, 512, waiting.kind == NOTHING ? -1 : 5), input = 0;
    for (int i = 0; i < n; i++) {
      unsigned index = events[i].data.u32;
      if (index == STDIN_SLOT) input = 1;
      else if (connections[index].state == CONNECTING) send_request(index);
      else if (connections[index].state != DEAD) read_some(index);
    }
    if (input)
      for (char *line = next_line(1); line; line = next_line(0)) command(line);
    answer_waiting();
  }
}

/* ---- the ceiling's servers ---------------------------------------------------------------------------- */

static int clients[65536];
static unsigned client_count;

static void greet(int listener) {
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
  char request[8192];
  int on = 1, fd = accept(listener, NULL, NULL);
  if (fd < 0) fail("accept");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (recv(fd, request, sizeof request, 0) <= 0 || send(fd, head, sizeof head - 1, MSG_NOSIGNAL) < 0) fail("greeting");
  clients[client_count++] = fd;
}

/* Blocking sockets: a generator that were too slow would hold this loop up, and show in its figures. */
static void publish(unsigned frames, size_t data_bytes, double ms) {
  char pad[4096], frame[8192];
  size_t fixed = strlen("{\"t\":\"~\",\"pad\":\"\"}") + DIGITS, padding = data_bytes > fixed ? data_bytes - fixed : 0;
  memset(pad, 'x', sizeof pad);
  char *joined = grow(NULL, sizeof frame * frames);
  uint64_t began = now_ns(), cpu = cpu_us(), published = 0;
  while ((double)(now_ns() - began) < ms * 1e6) {
    size_t length = 0;
    for (unsigned f = 0; f < frames; f++) {
      int n = snprintf(frame, sizeof frame, "event: tick\ndata: {\"t\":\"~%019llu\",\"pad\":\"%.*s\"}\n\n",
                       (unsigned long long)now_ns(), (int)(padding < 4000 ? padding : 4000), pad);
      memcpy(joined + length, frame, (size_t)n);
      length += (size_t)n;
    }
    for (unsigned i = 0; i < client_count; i++)
      if (send(clients[i], joined, length, MSG_NOSIGNAL) != (ssize_t)length) fail("send");
    published += frames;
  }
  free(joined);
  printf("{\"published\":%llu,\"ms\":%.3f,\"cpuUs\":%llu}\n", (unsigned long long)published,
         (double)(now_ns() - began) / 1e6, (unsigned long long)(cpu_us() - cpu));
}

static void serve(unsigned frames) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t size = sizeof at;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 4096) < 0 ||
      getsockname(listener, (struct sockaddr *)&at, &size) < 0)
    fail("listen");
  printf("{\"port\":%u}\n", ntohs(at.sin_port));
  struct pollfd fds[2] = {{.fd = 0, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
  for (;;) {
    fflush(stdout);
    if (poll(fds, 2, -1) < 0) fail("poll");
    if (fds[1].revents) greet(listener);
    if (!fds[0].revents) continue;
    for (char *line = next_line(1); line; line = next_line(0)) {
      if (json_value(line, "ms")) publish(frames, (size_t)json_number(line, "bytes", 150), json_number(line, "ms", 1000));
      else printf("{\"cpuUs\":%llu}\n", (unsigned long long)cpu_us());
    }
  }
}

int main(int argc, char **argv) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (argc == 3 && strcmp(argv[1], "--serve") == 0) serve(strcmp(argv[2], "joined") == 0 ? FRAMES_JOINED : 1);
  generate();
}
