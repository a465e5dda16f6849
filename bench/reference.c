/* The same work in C, as the practical limit. Compiled by bench/in_c.py with the tail's coefficients TAIL_P, TAIL_Q
   put before, -O3 and the machine's own instruction set; -ffp-contract=fast, which ours does without. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define HALF(name, table, degree)                                                                                  \
    static inline double name(double a) {                                                                         \
        double a2 = a * a, even = 0.0, odd = 0.0;                                                                   \
        for (int k = (degree) & ~1; k >= 0; k -= 2) even = even * a2 + table[k];                                    \
        for (int k = ((degree) - 1) | 1; k >= 1; k -= 2) odd = odd * a2 + table[k];                                 \
        return a * odd + even;                                                                                     \
    }

HALF(upper, TAIL_P, 9)
HALF(lower, TAIL_Q, 10)

static const double E[10] = {0.5000000000000001,     0.16666666666666669,    0.04166666666662399,
                             0.008333333333330051,   0.0013888888917281794,  0.00019841269863105968,
                             2.480152119021773e-05,  2.7557268378684192e-06, 2.7620138719733994e-07,
                             2.5100424157005067e-08};

static inline double exponential(double x) {
    double shifted = x * 1.4426950408889634 + 6755399441055744.0, k = shifted - 6755399441055744.0;
    double r = (x - k * 0.6931471805598903) - k * 5.497923018708371e-14, r2 = r * r, r4 = r2 * r2;
    double low = r2 * (r * E[3] + E[2]) + (r * E[1] + E[0]), high = r2 * (r * E[7] + E[6]) + (r * E[5] + E[4]);
    double y = 1.0 + (r2 * (r4 * (r4 * (r * E[9] + E[8]) + high) + low) + r);
    int64_t bits, shift;
    memcpy(&bits, &y, 8);
    memcpy(&shift, &shifted, 8);
    bits += shift << 52;
    memcpy(&y, &bits, 8);
    return x > -708.0 ? y : 0.0;
}

/* Scenario grid of coin premiums, cell by cell: premium[c][i]. room holds (3 + 2 levels) rows of count. */
void grid(int64_t count, int64_t cells, int64_t levels, const double *restrict forward, const double *restrict strike,
          const double *restrict years, const uint8_t *restrict is_call, const double *restrict vol,
          const double *restrict factor, const int64_t *restrict level, double *restrict room, double *restrict premium) {
    double *restrict moneyness = room, *restrict ratio = room + count, *restrict sign = room + 2 * count;
    double *restrict halves = room + 3 * count, *restrict inverses = halves + levels * count;
    for (int64_t i = 0; i < count; i++) {
        ratio[i] = strike[i] / forward[i];
        moneyness[i] = log(ratio[i]);
        sign[i] = is_call[i] ? 1.0 : -1.0;
    }
    for (int64_t l = 0; l < levels; l++)
        for (int64_t i = 0; i < count; i++) {
            double deviation = vol[l * count + i] * sqrt(years[i]);
            halves[l * count + i] = 0.5 * deviation;
            inverses[l * count + i] = 1.0 / deviation;
        }
    for (int64_t c = 0; c < cells; c++) {
        double move = log(factor[c]), back = 1.0 / factor[c];
        const double *half = halves + level[c] * count, *inverse = inverses + level[c] * count;
        double *out = premium + c * count;
        for (int64_t i = 0; i < count; i++) {
            double h = fabs(moneyness[i] - move) * inverse[i], u = half[i] - h, a = fabs(u), b = half[i] + h;
            double qa = lower(a), qb = lower(b), pa = upper(a), tail = exponential(-0.5 * a * a);
            double apart = ((u > 0.0 ? -pa : pa) * qb - upper(b) * qa) / (qa * qb);
            double otm = tail * apart + (u > 0.0 ? 1.0 : 0.0), k = ratio[i] * back, intrinsic = sign[i] * (1.0 - k);
            out[i] = (k > 1.0 ? 1.0 : k) * otm + (intrinsic > 0.0 ? intrinsic : 0.0);
        }
    }
}

/* Price and four Greeks with the mathematics library, as one writes them. out (5, count). */
void options(int64_t count, const double *restrict forward, const double *restrict strike, const double *restrict vol,
             const double *restrict years, const uint8_t *restrict is_call, double *restrict out) {
    for (int64_t i = 0; i < count; i++) {
        double f = forward[i], k = strike[i], root = sqrt(years[i]), s = vol[i] * root, w = is_call[i] ? 1.0 : -1.0;
        double d1 = log(f / k) / s + 0.5 * s, d2 = d1 - s;
        double n1 = 0.5 * erfc(-w * d1 * M_SQRT1_2), n2 = 0.5 * erfc(-w * d2 * M_SQRT1_2);
        double density = exp(-0.5 * d1 * d1) * 0.3989422804014327;
        out[i] = w * (f * n1 - k * n2);
        out[count + i] = w * n1;
        out[2 * count + i] = density / (f * s);
        out[3 * count + i] = f * density * root;
        out[4 * count + i] = -0.5 * f * density * vol[i] / root;
    }
}

/* Worst of 40 lanes an account: five vectors in registers. */
#ifdef __AVX512F__
#include <immintrin.h>

void worst(int64_t accounts, const int64_t *restrict start, const int32_t *restrict row, const double *restrict quantity,
           const double *restrict table, double *restrict least, int64_t *restrict cell) {
    for (int64_t a = 0; a < accounts; a++) {
        __m512d s[5] = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(),
                        _mm512_setzero_pd()};
        for (int64_t p = start[a]; p < start[a + 1]; p++) {
            const double *values = table + 40 * (int64_t)row[p];
            __m512d q = _mm512_set1_pd(quantity[p]);
            for (int k = 0; k < 5; k++) s[k] = _mm512_fmadd_pd(q, _mm512_load_pd(values + 8 * k), s[k]);
        }
        __m512d low = s[0];
        for (int k = 1; k < 5; k++) low = _mm512_min_pd(low, s[k]);
        double found = _mm512_reduce_min_pd(low);
        uint64_t equal = 0;
        for (int k = 0; k < 5; k++)
            equal |= (uint64_t)_mm512_cmpeq_pd_mask(s[k], _mm512_set1_pd(found)) << (8 * k);
        least[a] = found;
        cell[a] = __builtin_ctzll(equal);
    }
}
#else
void worst(int64_t accounts, const int64_t *restrict start, const int32_t *restrict row, const double *restrict quantity,
           const double *restrict table, double *restrict least, int64_t *restrict cell) {
    for (int64_t a = 0; a < accounts; a++) {
        double s[40] = {0.0};
        for (int64_t p = start[a]; p < start[a + 1]; p++)
            for (int k = 0; k < 40; k++) s[k] += quantity[p] * table[40 * (int64_t)row[p] + k];
        least[a] = s[0];
        cell[a] = 0;
        for (int k = 1; k < 40; k++)
            if (s[k] < least[a]) least[a] = s[k], cell[a] = k;
    }
}
#endif
