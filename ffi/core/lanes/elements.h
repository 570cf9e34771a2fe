// Part of each instruction set's lanes: what is done one number after the other where there is no
// better way. Vector instructions should have one: this is slower, and much code.

// Writes the numbers, from first on, of those of sixteen bytes whose bits of a mask are a value;
// returns how many they are. It may write beyond them, sixteen in all.
template <class Byte>
inline int64_t select(uint32_t* to, uint32_t first, const Byte* bytes, Byte mask, Byte value) {
  int64_t next = 0;
  for (uint32_t i = 0; i < 16; ++i) {
    to[next] = first + i;
    next += (bytes[i] & mask) == value;
  }
  return next;
}

template <class S>
inline Lanes load(S, const typename S::Element* p) {
  float floats[16];
  for (int i = 0; i < 16; ++i) floats[i] = S::decode(p[i]);
  return load_floats(floats);
}
template <Rounding R, class S>
inline void store(S, typename S::Element* p, const Lanes& a, const Words& draws) {
  float floats[16];
  uint32_t words[16];
  store_floats(floats, a);
  store_words(words, draws);
  for (int i = 0; i < 16; ++i) p[i] = S::template encode<R>(floats[i], words[i]);
}

inline Lanes load(Float32, const float* p) { return load_floats(p); }
template <Rounding>
inline void store(Float32, float* p, const Lanes& a, const Words&) {
  store_floats(p, a);
}
