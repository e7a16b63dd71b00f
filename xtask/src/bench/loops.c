/* The loops of examples/ in C, for `cargo xtask bench loops`: reads the name of a kernel from standard input, runs it
   over a set of inputs, and writes nanoseconds per call and the exclusive or of the results' bits. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROWS = 1024 };

static double mandelbrot(double cx, double cy, double unused) {
    double zx = 0, zy = 0;
    int32_t n = 0;
    (void)unused;
    while (zx*zx + zy*zy < 4 && n < 256) {
        double t = zx*zx - zy*zy + cx;
        zy = 2*zx*zy + cy;
        zx = t;
        n = n + 1;
    }
    return n;
}

static double newton(double a, double unused, double unused2) {
    double x = a, step = a;
    int32_t n = 0;
    (void)unused, (void)unused2;
    while (fabs(step) > 1e-15*fabs(x) && n < 100) {
        step = (x*x*x - a) / (3*x*x);
        x = x - step;
        n = n + 1;
    }
    return x;
}

static double series(double x, double unused, double unused2) {
    double term = 1, sum = 1;
    (void)unused, (void)unused2;
    for (int64_t k = 1; k < 64; k++) {
        term = term*x/k;
        sum = sum + term;
    }
    return sum;
}

static double dy(double x, double y, double mu) { return mu*(1 - x*x)*y - x; }

static double runge_kutta(double x, double y, double mu) {
    const double h = 0.01;
    for (int64_t i = 0; i < 200; i++) {
        double k1 = y, l1 = dy(x, y, mu);
        double k2 = y + h/2*l1, l2 = dy(x + h/2*k1, k2, mu);
        double k3 = y + h/2*l2, l3 = dy(x + h/2*k2, k3, mu);
        double k4 = y + h*l3, l4 = dy(x + h*k3, k4, mu);
        x = x + h/6*(k1 + 2*k2 + 2*k3 + k4);
        y = y + h/6*(l1 + 2*l2 + 2*l3 + l4);
    }
    return x;
}

static double collatz(double n, double unused, double unused2) {
    int64_t x = (int64_t)n, steps = 0;
    (void)unused, (void)unused2;
    while (x > 1) {
        x = x % 2 == 0 ? x / 2 : 3*x + 1;
        steps = steps + 1;
    }
    return (double)steps;
}

static const struct { const char *name; double (*function)(double, double, double); } kernels[] = {
    {"mandelbrot", mandelbrot}, {"newton", newton}, {"series", series}, {"runge_kutta", runge_kutta}, {"collatz", collatz},
};

/* The same numbers as `column` in the Rust part. */
static void column(double *to, uint64_t seed, double low, double high) {
    uint64_t state = seed * 0x9e3779b97f4a7c15u;
    for (int row = 0; row < ROWS; row++) {
        state += 0x9e3779b97f4a7c15u;
        uint64_t z = (state ^ state >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        to[row] = low + (high - low) * ((double)((z ^ z >> 31) >> 11) / 9007199254740992.0);
    }
}

int main(void) {
    static double columns[3][ROWS], out[ROWS];
    char name[32];
    double low[3], high[3];
    while (scanf("%31s %lf %lf %lf %lf %lf %lf", name, low, high, low + 1, high + 1, low + 2, high + 2) == 7) {
        for (int i = 0; i < 3; i++) column(columns[i], i + 1, low[i], high[i]);
        for (unsigned k = 0; k < sizeof kernels / sizeof *kernels; k++) {
            if (strcmp(kernels[k].name, name) != 0) continue;
            double (*volatile function)(double, double, double) = kernels[k].function;
            struct timespec start, end;
            clock_gettime(CLOCK_MONOTONIC, &start);
            for (int row = 0; row < ROWS; row++) out[row] = function(columns[0][row], columns[1][row], columns[2][row]);
            clock_gettime(CLOCK_MONOTONIC, &end);
            uint64_t bits = 0, word;
            for (int row = 0; row < ROWS; row++) {
                memcpy(&word, &out[row], sizeof word);
                bits = (bits << 1 | bits >> 63) ^ word;
            }
            double ns = (end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec);
            printf("%.3f %016llx\n", ns / ROWS, (unsigned long long)bits);
            fflush(stdout);
        }
    }
    return 0;
}
