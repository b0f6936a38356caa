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

/* e^x for -87 < x < 88: x = n log 2 + r, a polynomial of r, and n added to the exponent. */
static inline float exponential(float x) {
    float n = rintf(x * 1.44269504088896341f);
    float r = fmaf(n, -0.693145751953125f, x);
    r = fmaf(n, -1.428606765330187045e-06f, r);
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    p = fmaf(p, r * r, r) + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* tanh: an odd polynomial below 0.625, 1 - 2 / (e^2x + 1) above. */
static inline float hyperbolic_tangent(float x) {
    float size = fabsf(x);
    float capped = size > 10.0f ? 10.0f : size;
    float far = 1.0f - 2.0f / (exponential(2.0f * capped) + 1.0f);
    float z = size * size;
    float p = -5.70498872745e-3f;
    p = fmaf(p, z, 2.06390887954e-2f);
    p = fmaf(p, z, -5.37397155531e-2f);
    p = fmaf(p, z, 1.33314422036e-1f);
    p = fmaf(p, z, -3.33332819422e-1f);
    float near = fmaf(p * z, size, size);
    return copysignf(size < 0.625f ? near : far, x);
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
