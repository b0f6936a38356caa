/* The limit that compiled elementwise programs are measured against: plain loops, which
   `gcc -O3 -march=native` makes vectors of, and clocks around code that Python cannot time. */

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* 20 additions and multiplications. */
void arithmetic(const float *restrict a, const float *restrict b, float *restrict out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float y = a[i];
        for (int k = 0; k < 10; k++) y = y * b[i] + (0.1f * k + 0.05f);
        out[i] = y;
    }
}

/* The engine's maths, form by form: see pullback/engines/native/maths/exponential.py. */

/* c0 + c1 x + ... + c4 x^4, by pairs. */
static inline float polynomial(float x, float c0, float c1, float c2, float c3, float c4) {
    float square = x * x;
    float low = fmaf(c1, x, c0), high = fmaf(c3, x, c2);
    return fmaf(c4, square * square, fmaf(high, square, low));
}

/* tanh: x + x^3 P(x^2) below 0.625, 1 - 2 / (e^2x + 1) above; e^y = 2^n (1 + p). */
static inline float hyperbolic_tangent(float x) {
    float size = fabsf(x);
    float bounded = size > 10.0f ? 10.0f : size;
    float y = bounded + bounded;
    const float rounder = 12582912.0f; /* 1.5 2^23: what is added to it is rounded */
    float shifted = fmaf(y, 1.4426950408889634f, rounder);
    float whole = shifted - rounder;
    float r = fmaf(whole, -0.693147182464599609375f, y);
    r = fmaf(whole, 1.904654299957767e-09f, r);
    float p = fmaf(
        r * r,
        polynomial(r, 0.49999994f, 0.16666509f, 0.04166853f, 0.008370136f, 0.0013811629f), r);
    int32_t bits, unit;
    float scale;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&unit, &rounder, sizeof unit);
    bits = ((bits - unit) << 23) + 0x3f800000;
    memcpy(&scale, &bits, sizeof scale);
    float large = 1.0f - 2.0f / fmaf(scale, p, scale + 1.0f);
    float z = x * x;
    float tail = z * polynomial(
        z, -0.33333284f, 0.13331491f, -0.05374348f, 0.02065054f, -0.0057169977f);
    float small = fmaf(tail, size, size);
    return copysignf(size < 0.625f ? small : large, x);
}

/* 0.5 (tanh((a b + c) / 2) + 1) */
void sigmoid(
    const float *restrict a, const float *restrict b, const float *restrict c, float *restrict out,
    int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] = 0.5f * (hyperbolic_tangent((a[i] * b[i] + c[i]) * 0.5f) + 1.0f);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* Seconds of one call, of `calls` in a row. */

double time_arithmetic(const float **in, float **out, int64_t n, int64_t calls) {
    double start = now();
    for (int64_t i = 0; i < calls; i++) {
        arithmetic(in[0], in[1], out[0], n);
        __asm__ volatile("" ::: "memory");
    }
    return (now() - start) / calls;
}

double time_sigmoid(const float **in, float **out, int64_t n, int64_t calls) {
    double start = now();
    for (int64_t i = 0; i < calls; i++) {
        sigmoid(in[0], in[1], in[2], out[0], n);
        __asm__ volatile("" ::: "memory");
    }
    return (now() - start) / calls;
}

typedef int (*kernel)(const void **, void **, void *);

double time_kernel(kernel f, const void **in, void **out, void *arena, int64_t calls) {
    double start = now();
    for (int64_t i = 0; i < calls; i++) f(in, out, arena);
    return (now() - start) / calls;
}

typedef void (*sgemm)(
    char *, char *, int *, int *, int *, float *, float *, int *, float *, int *, float *, float *,
    int *);

/* Row-major a b: for Fortran these are the transposes, so b comes first. */
double time_sgemm(sgemm f, float **in, float **out, int64_t n, int64_t calls) {
    int m = (int)n;
    float one = 1.0f, zero = 0.0f;
    double start = now();
    for (int64_t i = 0; i < calls; i++)
        f("N", "N", &m, &m, &m, &one, in[1], &m, in[0], &m, &zero, out[0], &m);
    return (now() - start) / calls;
}
