/* The largest of some values; all cores share the work. */
double peak(const double *values, int count) {
    double found = values[0];
#pragma omp parallel for reduction(max : found)
    for (int i = 1; i < count; i++)
        if (values[i] > found)
            found = values[i];
    return found;
}
