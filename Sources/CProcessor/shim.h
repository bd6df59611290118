#pragma once
#include <stdbool.h>

/// Whether this CPU has what the other modules are compiled for (x86-64-v3: AVX2, FMA, BMI2).
static inline bool processor_is_supported(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#else
  return true;
#endif
}
