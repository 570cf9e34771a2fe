// Marks a function that the CUDA kernels call too.
#pragma once

#if defined(__CUDACC__)
#define MASCOT_HD __host__ __device__
#else
#define MASCOT_HD
#endif
