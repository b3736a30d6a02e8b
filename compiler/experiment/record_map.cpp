#include "compiler/experiment/record_map.h"

namespace hebb {

namespace {

size_t chosen(const RecordMap& map) { return map.part.whole ? map.whole : map.part.places.size(); }
size_t place(const RecordMap& map, size_t k) { return map.part.whole ? k : static_cast<size_t>(map.part.places[k]); }

/// d(what is recorded)/d(each chosen number) of one sample.
std::vector<double> shares(const RecordMap& map, const double* sample) {
  const size_t count = chosen(map);
  if (map.reduce == RecordReduce::Sum) return std::vector<double>(count, 1);
  if (map.reduce == RecordReduce::Mean) return std::vector<double>(count, 1 / static_cast<double>(count));
  std::vector<double> values, out(count);
  for (size_t k = 0; k < count; ++k) values.push_back(sample[place(map, k)]);
  const double extreme = reduced(map.reduce, values);
  double ties = 0;
  for (const double value : values) ties += value == extreme;
  for (size_t k = 0; k < count; ++k) out[k] = values[k] == extreme ? 1 / ties : 0;
  return out;
}

}  // namespace

std::vector<double> taken(const RecordMap& map, std::vector<double> whole) {
  if (map.is_identity()) return whole;
  std::vector<double> out, part;
  for (size_t sample = 0; sample < whole.size(); sample += map.whole) {
    part.clear();
    for (size_t k = 0; k < chosen(map); ++k) part.push_back(whole[sample + place(map, k)]);
    if (map.reduce == RecordReduce::None) out.insert(out.end(), part.begin(), part.end());
    else out.push_back(reduced(map.reduce, part));
  }
  return out;
}

std::vector<double> slopes_taken(const RecordMap& map, std::span<const double> whole, std::vector<double> slopes, size_t directions) {
  if (map.is_identity() || slopes.empty()) return slopes;
  std::vector<double> out;
  for (size_t sample = 0; sample < whole.size(); sample += map.whole) {
    const auto slope = [&](size_t k, size_t along) { return slopes[(sample + place(map, k)) * directions + along]; };
    if (map.reduce == RecordReduce::None) {
      for (size_t k = 0; k < chosen(map); ++k)
        for (size_t along = 0; along < directions; ++along) out.push_back(slope(k, along));
      continue;
    }
    const std::vector<double> share = shares(map, whole.data() + sample);
    for (size_t along = 0; along < directions; ++along) {
      double sum = 0;
      for (size_t k = 0; k < share.size(); ++k)
        if (share[k] != 0) sum += share[k] * slope(k, along);
      out.push_back(sum);
    }
  }
  return out;
}

std::vector<double> given_back(const RecordMap& map, std::span<const double> whole, std::vector<double> owed) {
  if (map.is_identity()) return owed;
  std::vector<double> out(whole.size());
  size_t next = 0;
  for (size_t sample = 0; sample < whole.size(); sample += map.whole) {
    if (map.reduce == RecordReduce::None) {
      for (size_t k = 0; k < chosen(map); ++k) out[sample + place(map, k)] += owed[next++];
      continue;
    }
    const double one = owed[next++];
    if (one == 0) continue;   // nobody asks who has an extreme of what is not a number
    const std::vector<double> share = shares(map, whole.data() + sample);
    for (size_t k = 0; k < share.size(); ++k) out[sample + place(map, k)] += one * share[k];
  }
  return out;
}

}  // namespace hebb
