/* A server that answers GET /mean?of=3,4,8 with the mean of the numbers. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mean.h"

enum { PORT = 8000, MOST = 1000 };

static void stop(int number) {
    (void)number;
    _exit(0);
}

static size_t read_numbers(const char *text, double *numbers) {
    size_t count = 0;
    while (text && count < MOST) {
        char *end;
        double number = strtod(text, &end);
        if (end == text)
            break;
        numbers[count++] = number;
        text = *end == ',' ? end + 1 : NULL;
    }
    return count;
}

static void answer(int client) {
    char request[8192], body[64];
    double numbers[MOST];
    ssize_t got = read(client, request, sizeof request - 1);
    request[got > 0 ? got : 0] = '\0';

    const char *asked = strstr(request, "/mean?of=");
    size_t count = read_numbers(asked ? strchr(asked, '=') + 1 : NULL, numbers);
    snprintf(body, sizeof body, "%g\n", mean(numbers, count));
    dprintf(client, "HTTP/1.0 %s\r\nContent-Length: %zu\r\n\r\n%s",
            count ? "200 OK" : "404 Not Found", strlen(body), body);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        fprintf(stderr, "%s takes no arguments\n", argv[0]);
        return 2;
    }
    signal(SIGTERM, stop);
    signal(SIGPIPE, SIG_IGN);

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int server = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 64)) {
        perror("the server cannot listen");
        return 1;
    }
    printf("listening on port %d\n", PORT);
    fflush(stdout);

    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client >= 0) {
            answer(client);
            close(client);
        }
    }
}
