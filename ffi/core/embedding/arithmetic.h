// Part of body.h and of cuda/embedding.cuh: what becomes of components, written once for CPUs and
// GPUs, where Lanes is one of them (core/lanes/single.h).
//
// The arithmetic, which the tests' NumPy reference repeats bit for bit:
//   sum     of a row's gradients: g1 + g2, + g3, ... in the batch's order
//   w'      fma(-rate, sum, w), then the store's rounding
//   levels  clip(whole(w / scale), -levels - 1, levels) * scale; w itself where scale is 0

MASCOT_INLINE Lanes stepped(const Lanes& w, const Lanes& sum, const Lanes& minus_rate) {
  return fma(minus_rate, sum, w);
}

// The bounds come first: what is no number stays so.
MASCOT_INLINE Lanes at_levels(const Lanes& w, float scale, float levels) {
  const Lanes step = broadcast(scale), whole = to_whole(divide(w, step));
  const Lanes above = broadcast(levels), below = broadcast(-levels - 1);
  return multiply(minimum(above, maximum(below, whole)), step);
}

// Of Int4's half bytes, as numbers.
MASCOT_INLINE Lanes of_halves(const Lanes& halves, const Lanes& scale) {
  return multiply(subtract(halves, broadcast(Int4::kZero)), scale);
}
