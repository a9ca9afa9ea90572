#include <stddef.h>

double mean(const double *numbers, size_t count);
