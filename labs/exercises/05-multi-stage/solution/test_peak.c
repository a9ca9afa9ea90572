#include <stdio.h>

double peak(const double *values, int count);

int main(void) {
    const double values[] = {12.5, -3, 28.5, 19};
    double found = peak(values, 4);
    printf("peak of four values: %g\n", found);
    return found != 28.5;
}
