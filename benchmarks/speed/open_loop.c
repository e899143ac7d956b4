/* An open loop: requests arrive at random times, the last one answered or not.
 *
 * As wrk2 does, a latency counts from when the request was due. In C, because a client
 * in Python needs as much of the machine as the server does.
 *
 * open_loop PORT < INPUT
 *
 * INPUT: a line with the number of arrivals, and for each a line with the second when it
 * is due. Then for each connection a line with its number of requests, and for each of
 * these a line with its number of bytes, and the bytes. A connection sends its requests
 * in turn. Prints the median and the slowest hundredth, in seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, MAX_ANSWER = 1 << 16, MAX_BACKLOG = 10000 };

struct request {
    char *bytes;
    size_t length;
};

struct connection {
    struct request *requests;
    size_t num_requests, next;
    char answer[MAX_ANSWER + 1];
    size_t length;
    double due;
};

static struct connection connections[MAX_CONNECTIONS];
static struct pollfd polled[MAX_CONNECTIONS]; /* those that wait have POLLIN */
static int num_connections;

static void fail(const char *reason, const char *detail) {
    fprintf(stderr, "%s: %.200s\n", reason, detail);
    exit(1);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void *allocate(size_t size) {
    void *found = malloc(size);
    if (!found) fail("no memory", "");
    return found;
}

static double *read_arrivals(size_t *number) {
    if (scanf("%zu", number) != 1 || !*number) fail("arrivals", "no number");
    double *due = allocate(*number * sizeof(double));
    for (size_t k = 0; k < *number; k++)
        if (scanf("%lf", &due[k]) != 1) fail("arrivals", "fewer than their number");
    return due;
}

static void read_requests(void) {
    size_t number, length;
    while (scanf("%zu", &number) == 1) {
        if (num_connections == MAX_CONNECTIONS || !number)
            fail("requests", "too many connections, or one without requests");
        struct connection *one = &connections[num_connections++];
        one->num_requests = number;
        one->requests = allocate(number * sizeof(struct request));
        for (size_t k = 0; k < number; k++) {
            if (scanf("%zu", &length) != 1 || getchar() != '\n')
                fail("requests", "no length");
            one->requests[k] = (struct request){allocate(length), length};
            if (fread(one->requests[k].bytes, 1, length, stdin) != length)
                fail("requests", "cut off");
        }
    }
}

static int dial(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1, opened = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(opened, (struct sockaddr *)&address, sizeof address))
        fail("connect", "refused");
    return opened;
}

static void ask(int k, double due) {
    struct connection *one = &connections[k];
    struct request *request = &one->requests[one->next++ % one->num_requests];
    for (size_t sent = 0; sent < request->length;) {
        ssize_t took = write(polled[k].fd, request->bytes + sent, request->length - sent);
        if (took <= 0) fail("a connection was closed", "");
        sent += took;
    }
    one->due = due, one->length = 0;
    polled[k].events = POLLIN;
}

/* Read what has come; return whether the answer is whole. */
static int is_answered(int k) {
    struct connection *one = &connections[k];
    ssize_t came = read(polled[k].fd, one->answer + one->length, MAX_ANSWER - one->length);
    if (came <= 0) fail("a connection was closed, or an answer is too long", "");
    one->length += came;
    one->answer[one->length] = 0;
    char *end = strstr(one->answer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(one->answer, "\r\ncontent-length:");
    if (strncmp(one->answer, "HTTP/1.1 200", 12) || !length || length > end)
        fail("the answer", one->answer);
    size_t head = end + 4 - one->answer;
    return one->length >= head + strtoul(length + 17, NULL, 10);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 2) fail("usage", "open_loop PORT < INPUT");
    size_t number;
    double *due = read_arrivals(&number);
    read_requests();
    for (int k = 0; k < num_connections; k++) polled[k].fd = dial(atoi(argv[1]));
    double *latencies = allocate(number * sizeof(double));
    size_t next = 0, answered = 0;
    int free_list[MAX_CONNECTIONS], num_free = 0;
    for (int k = num_connections; k--;) free_list[num_free++] = k;

    double began = now();
    while (answered < number) {
        double at = now() - began;
        while (next < number && num_free && due[next] <= at)
            ask(free_list[--num_free], due[next++]);
        if (next + MAX_BACKLOG < number && due[next + MAX_BACKLOG] < at)
            fail("the server cannot follow", "ever more requests wait");
        double wait = next < number && num_free ? due[next] - at : 1;
        wait = wait < 0 ? 0 : wait;
        struct timespec limit = {(time_t)wait, (long)((wait - (time_t)wait) * 1e9)};
        if (ppoll(polled, num_connections, &limit, NULL) <= 0) continue;
        for (int k = 0; k < num_connections; k++) {
            if (!polled[k].revents || !is_answered(k)) continue;
            latencies[answered++] = now() - began - connections[k].due;
            polled[k].events = 0;
            free_list[num_free++] = k;
        }
    }
    qsort(latencies, number, sizeof(double), compare);
    printf("%.9f %.9f\n", latencies[number / 2], latencies[(size_t)(0.99 * number)]);
    return 0;
}
