#include "runtime/data/hdf5.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "runtime/data/hdf5_library.h"

namespace hebb {

namespace {

constexpr std::string_view kProvenance = "provenance";
constexpr int64_t kPiece = 1 << 17;   // numbers at a time

std::mutex& library() {   // as Debian builds it, it serves one thread at a time
  static std::mutex mutex;
  return mutex;
}

/// An identifier with what closes it.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { if (id_ >= 0) close_(id_); }
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }
  bool close_now() { return close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

Failure cannot(std::string_view verb, const std::string& path) {
  const int error = errno;
  return {cat("cannot ", verb, ' ', quoted(path), ": ", error != 0 ? std::strerror(error) : "the HDF5 library refuses")};
}

bool put_text(hid_t at, const char* name, const std::string& text) {
  const Handle type(h5().H5Tcopy(*h5().H5T_C_S1_g), h5().H5Tclose);
  if (!type.ok() || h5().H5Tset_size(type, std::max<size_t>(text.size(), 1)) < 0 || h5().H5Tset_cset(type, H5T_CSET_UTF8) < 0) return false;
  const Handle space(h5().H5Screate(H5S_SCALAR), h5().H5Sclose);
  const Handle attribute(h5().H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT), h5().H5Aclose);
  std::string padded = text;
  if (padded.empty()) padded.push_back('\0');
  return attribute.ok() && h5().H5Awrite(attribute, type, padded.data()) >= 0;
}

/// What marks a SONATA file.
bool put_magic(hid_t file) {
  const Handle scalar(h5().H5Screate(H5S_SCALAR), h5().H5Sclose);
  const uint32_t magic = 0x0A7A;
  const Handle first(h5().H5Acreate2(file, "magic", *h5().H5T_STD_U32LE_g, scalar, H5P_DEFAULT, H5P_DEFAULT), h5().H5Aclose);
  const hsize_t two = 2;
  const Handle pair(h5().H5Screate_simple(1, &two, nullptr), h5().H5Sclose);
  const uint32_t version[2] = {0, 1};
  const Handle second(h5().H5Acreate2(file, "version", *h5().H5T_STD_U32LE_g, pair, H5P_DEFAULT, H5P_DEFAULT), h5().H5Aclose);
  return first.ok() && h5().H5Awrite(first, *h5().H5T_NATIVE_UINT32_g, &magic) >= 0 && second.ok() &&
         h5().H5Awrite(second, *h5().H5T_NATIVE_UINT32_g, version) >= 0;
}

/// /spikes/E with the order of its entries.
bool put_population(hid_t file, const std::string& population) {
  const Handle links(h5().H5Pcreate(*h5().H5P_CLS_LINK_CREATE_ID_g), h5().H5Pclose);
  h5().H5Pset_create_intermediate_group(links, 1);
  const Handle group(h5().H5Gcreate2(file, cat("/spikes/", population).c_str(), links, H5P_DEFAULT, H5P_DEFAULT), h5().H5Gclose);
  if (!group.ok()) return false;
  const Handle order(h5().H5Tenum_create(*h5().H5T_STD_U8LE_g), h5().H5Tclose);
  constexpr const char* kNames[] = {"none", "by_id", "by_time"};
  for (uint8_t k = 0; k < 3; ++k) h5().H5Tenum_insert(order, kNames[k], &k);
  const uint8_t by_time = 2;
  const Handle scalar(h5().H5Screate(H5S_SCALAR), h5().H5Sclose);
  const Handle attribute(h5().H5Acreate2(group, "sorting", order, scalar, H5P_DEFAULT, H5P_DEFAULT), h5().H5Aclose);
  return attribute.ok() && h5().H5Awrite(attribute, order, &by_time) >= 0;
}

/// "E.spike.times" → "/spikes/E/timestamps"; other names as they are.
struct Place {
  std::string path;
  std::string population;   // of spikes
  bool ids = false;
};
Place place_of(const std::string& name) {
  for (const auto& [ending, dataset] : {std::pair<std::string_view, std::string_view>(".times", "timestamps"), {".neurons", "node_ids"}}) {
    if (!name.ends_with(ending)) continue;
    std::string stem = name.substr(0, name.size() - ending.size());
    if (stem.ends_with(".spike")) stem.resize(stem.size() - 6);
    const size_t dot = stem.rfind('.');
    if (dot != std::string::npos) stem = stem.substr(0, dot) + "_" + stem.substr(dot + 1);  // events of other names
    return {cat("/spikes/", stem, "/", dataset), stem, ending == ".neurons"};
  }
  std::string path = name;
  std::replace(path.begin(), path.end(), '/', '_');
  return {path, "", false};
}

bool put_array(hid_t file, const Hdf5Array& array, const Place& place, Status& status) {
  std::vector<hsize_t> extents(array.shape.begin(), array.shape.end());
  int64_t count = 1;
  for (const int64_t extent : array.shape) count *= extent;
  const auto rank = static_cast<int>(extents.size());
  const Handle space(rank == 0 ? h5().H5Screate(H5S_SCALAR) : h5().H5Screate_simple(rank, extents.data(), nullptr), h5().H5Sclose);
  const hid_t type = place.ids ? *h5().H5T_STD_U64LE_g : *h5().H5T_IEEE_F64LE_g;
  Handle set(h5().H5Dcreate2(file, place.path.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), h5().H5Dclose);
  if (!set.ok()) return false;
  const std::string unit = place.population.empty() || place.ids ? array.unit : "ms";
  if (!unit.empty() && !put_text(set, place.population.empty() ? "unit" : "units", unit)) return false;
  // Rows of the first axis, as many at a time as make a piece.
  const int64_t rows = rank == 0 ? 1 : array.shape[0];
  const int64_t row = rows == 0 ? 0 : count / rows;
  if (count == 0) return set.close_now();
  const int64_t at_once = std::max<int64_t>(1, kPiece / std::max<int64_t>(row, 1));
  std::vector<double> buffer;
  for (int64_t begin = 0; begin < rows; begin += at_once) {
    const int64_t here = std::min(at_once, rows - begin);
    buffer.resize(static_cast<size_t>(here * row));
    status = array.read(begin * row, buffer);
    if (!status) return false;
    if (rank == 0) {
      if (h5().H5Dwrite(set, *h5().H5T_NATIVE_DOUBLE_g, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer.data()) < 0) return false;
      continue;
    }
    std::vector<hsize_t> start(extents.size(), 0), size = extents;
    start[0] = static_cast<hsize_t>(begin), size[0] = static_cast<hsize_t>(here);
    const Handle memory(h5().H5Screate_simple(rank, size.data(), nullptr), h5().H5Sclose);
    const Handle target(h5().H5Dget_space(set), h5().H5Sclose);
    if (h5().H5Sselect_hyperslab(target, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
        h5().H5Dwrite(set, *h5().H5T_NATIVE_DOUBLE_g, memory, target, H5P_DEFAULT, buffer.data()) < 0)
      return false;
  }
  return set.close_now();
}

/// Reads one dataset into `data`.
Status take_array(hid_t file, const std::string& path, const std::string& where, Dataset& data) {
  const Handle set(h5().H5Dopen2(file, path.c_str(), H5P_DEFAULT), h5().H5Dclose);
  const Handle type(set.ok() ? h5().H5Dget_type(set) : -1, h5().H5Tclose);
  const Handle space(set.ok() ? h5().H5Dget_space(set) : -1, h5().H5Sclose);
  std::string name = path;
  std::replace(name.begin(), name.end(), '/', '.');
  if (!type.ok() || !space.ok()) return Failure{cat("cannot read ", quoted(where), ": ", quoted(path), " is damaged")};
  const H5T_class_t kind = h5().H5Tget_class(type);
  if ((kind != H5T_FLOAT && kind != H5T_INTEGER && kind != H5T_ENUM) || h5().H5Sis_simple(space) <= 0) {
    data.unread.push_back({name, "it is no array of numbers", {}});
    return Done{};
  }
  std::vector<hsize_t> extents(static_cast<size_t>(h5().H5Sget_simple_extent_ndims(space)));
  h5().H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  double count = 1;
  for (const hsize_t extent : extents) count *= static_cast<double>(extent);
  if (count * sizeof(double) > static_cast<double>(available_memory()) / 2)
    return Failure{cat("cannot read ", quoted(where), ": ", quoted(name), " takes ", bytes_text(count * sizeof(double)), ", ",
                       bytes_text(static_cast<double>(available_memory())), " of memory available")};
  Array array{.shape = {extents.begin(), extents.end()}, .values = std::vector<double>(static_cast<size_t>(count))};
  if (count > 0 && h5().H5Dread(set, *h5().H5T_NATIVE_DOUBLE_g, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.values.data()) < 0)
    return Failure{cat("cannot read ", quoted(where), ": ", quoted(name), " is damaged")};
  data.arrays.push_back({name, std::move(array)});
  return Done{};
}

}  // namespace

Status write_hdf5(const std::string& path, std::span<const Hdf5Array> arrays, const std::string& provenance) {
  const std::lock_guard lock(library());
  if (const Status there = load_hdf5(); !there) return Failure{cat("cannot write ", quoted(path), ": ", there.error())};
  h5().H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  errno = 0;
  Handle file(h5().H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), h5().H5Fclose);
  if (!file.ok()) return cannot("write", path);
  if (!put_magic(file) || !put_text(file, std::string(kProvenance).c_str(), provenance)) return cannot("write", path);
  std::vector<std::string> populations;
  for (const Hdf5Array& array : arrays) {
    const Place place = place_of(array.name);
    if (!place.population.empty() && std::find(populations.begin(), populations.end(), place.population) == populations.end()) {
      populations.push_back(place.population);
      if (!put_population(file, place.population)) return cannot("write", path);
    }
    Status status = Done{};
    if (!put_array(file, array, place, status)) return status ? Status(cannot("write", path)) : status;
  }
  if (h5().H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 || !file.close_now()) return cannot("write", path);
  return Done{};
}

Status write_hdf5(const std::string& path, const Dataset& data) {
  std::vector<Hdf5Array> arrays;
  for (const NamedArray& named : data.arrays)
    arrays.push_back({named.name, named.array.shape, "", [&named](int64_t begin, std::span<double> into) -> Status {
                        std::copy_n(named.array.values.begin() + begin, into.size(), into.begin());
                        return Done{};
                      }});
  return write_hdf5(path, arrays, data.provenance);
}

Result<Dataset> read_hdf5(const std::string& path) {
  const std::lock_guard lock(library());
  if (const Status there = load_hdf5(); !there) return Failure{cat("cannot read ", quoted(path), ": ", there.error())};
  h5().H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  errno = 0;
  const Handle file(h5().H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), h5().H5Fclose);
  if (!file.ok()) return errno == 0 ? Failure{cat("cannot read ", quoted(path), ": it is no sound HDF5 file")} : cannot("read", path);
  std::vector<std::string> names;
  const auto visit = [](hid_t, const char* name, const H5O_info_t* about, void* into) -> herr_t {
    if (about->type == H5O_TYPE_DATASET) static_cast<std::vector<std::string>*>(into)->emplace_back(name);
    return 0;
  };
  if (h5().H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, visit, &names) < 0)
    return Failure{cat("cannot read ", quoted(path), ": it is damaged")};
  Dataset data;
  for (const std::string& name : names)
    if (const Status taken = take_array(file, name, path, data); !taken) return Failure{taken.error()};
  if (h5().H5Aexists(file, std::string(kProvenance).c_str()) > 0) {
    const Handle attribute(h5().H5Aopen(file, std::string(kProvenance).c_str(), H5P_DEFAULT), h5().H5Aclose);
    const Handle type(h5().H5Aget_type(attribute), h5().H5Tclose);
    if (h5().H5Tget_class(type) == H5T_STRING && h5().H5Tis_variable_str(type) == 0) {
      data.provenance.resize(h5().H5Tget_size(type));
      h5().H5Aread(attribute, type, data.provenance.data());
    }
  }
  return data;
}

}  // namespace hebb
