#include "runtime/data/load.h"

#include <algorithm>
#include <unordered_set>

#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "runtime/data/csv.h"
#include "runtime/data/hdf5.h"
#include "runtime/data/mat.h"
#include "runtime/data/npy.h"
#include "runtime/data/npz.h"

namespace hebb {

namespace {

enum class Format { Csv, Npy, Npz, Mat, Hdf5, Unknown };

Format format_of(const std::string& path) {
  const size_t dot = path.find_last_of("./");
  std::string ending = dot == std::string::npos || path[dot] == '/' ? "" : path.substr(dot + 1);
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (ending == "csv") return Format::Csv;
  if (ending == "npy") return Format::Npy;
  if (ending == "npz") return Format::Npz;
  if (ending == "mat") return Format::Mat;
  if (ending == "h5" || ending == "hdf5") return Format::Hdf5;
  return Format::Unknown;
}

Failure unsupported(std::string_view verb, const std::string& path, Format format) {
  const std::string_view why = format == Format::Mat ? "MATLAB's files are read only, expected .csv, .npy, .npz or .h5"
                               : verb == "read"      ? "the ending of its name is unknown, expected .csv, .npy, .npz, .h5 or .mat"
                                                     : "the ending of its name is unknown, expected .csv, .npy, .npz or .h5";
  return {cat("cannot ", verb, ' ', quoted(path), ": ", why)};
}

std::string stem(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return name.substr(0, name.rfind('.'));
}

Status names_differ(const std::string& path, const Dataset& data) {
  std::unordered_set<std::string_view> names;
  for (const NamedArray& named : data.arrays) {
    if (!names.insert(named.name).second)
      return Failure{cat("cannot write ", quoted(path), ": two of the arrays are named ", quoted(named.name))};
  }
  return Done{};
}

Result<std::string> encoded(const std::string& path, const Dataset& data, NumberType type) {
  switch (format_of(path)) {
    case Format::Csv: return csv_text(data);
    case Format::Npz: return npz_bytes(data, type);
    case Format::Npy:
      if (data.arrays.size() == 1) return npy_bytes(data.arrays[0].array, type);
      return Failure{cat("cannot write ", quoted(path), ": an .npy file holds one array, got ",
                         data.arrays.size(), ", expected .npz")};
    case Format::Mat:
    case Format::Hdf5:
    case Format::Unknown: break;
  }
  return unsupported("write", path, format_of(path));
}

}  // namespace

Result<Dataset> load_data(const std::string& path) {
  const Format format = format_of(path);
  if (format == Format::Hdf5) return read_hdf5(path);
  if (format == Format::Unknown) return unsupported("read", path, format);
  const Result<std::string> bytes = read_file(path);
  if (!bytes) return bytes.failure();
  if (format == Format::Csv) return parse_csv(*bytes, path);
  if (format == Format::Npz) return parse_npz(*bytes, path);
  if (format == Format::Mat) return parse_mat(*bytes, path);
  Result<Array> array = parse_npy(*bytes, path);
  if (!array) return array.failure();
  Dataset data;
  data.arrays.push_back({stem(path), *std::move(array)});
  return data;
}

Status save_data(const std::string& path, const Dataset& data, NumberType type) {
  if (const Status fine = names_differ(path, data); !fine) return fine;
  if (format_of(path) == Format::Hdf5)
    return replace_file(path, [&](const std::string& temporary) { return write_hdf5(temporary, data); });
  const Result<std::string> bytes = encoded(path, data, type);
  if (!bytes) return bytes.failure();
  return write_file(path, *bytes);
}

}  // namespace hebb
