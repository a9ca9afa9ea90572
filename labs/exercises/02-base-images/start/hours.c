#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words)
{
    long seconds = count > 1 ? strtol(words[1], NULL, 10) : 0;
    printf("%ld h %02ld min\n", seconds / 3600, seconds / 60 % 60);
    return 0;
}
