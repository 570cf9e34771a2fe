// Part of core/update/codec.h and of single.h. What is added to x / scale before a whole number is
// cut off: no_draw, a storage's, with a random part of a step in its lowest bits.
MASCOT_INLINE Lanes random_offset(const Words& draw, uint32_t no_draw) {
  const Words part = both(shift_right<Int8::kDrawShift>(draw), all(Int8::kDrawMask));
  return floats_of(either(part, all(no_draw)));
}
