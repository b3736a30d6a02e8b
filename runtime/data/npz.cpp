#include "runtime/data/npz.h"

#include <cstring>
#include <memory>

#include <zip.h>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/data/npy.h"

namespace hebb {

namespace {

constexpr std::string_view kProvenance = "provenance.json";
constexpr std::string_view kSuffix = ".npy";

struct Error {
  zip_error_t value;
  Error() { zip_error_init(&value); }
  ~Error() { zip_error_fini(&value); }
  std::string text() { return zip_error_strerror(&value); }
};
struct FreeSource { void operator()(zip_source_t* source) const { zip_source_free(source); } };
struct Discard { void operator()(zip_t* archive) const { zip_discard(archive); } };
struct CloseMember { void operator()(zip_file_t* file) const { zip_fclose(file); } };
using Source = std::unique_ptr<zip_source_t, FreeSource>;
using Archive = std::unique_ptr<zip_t, Discard>;
using Member = std::unique_ptr<zip_file_t, CloseMember>;

/// Opens; the archive takes over one reference of the source.
Archive open(zip_source_t* source, int flags, Error& error) {
  zip_source_keep(source);
  Archive archive(zip_open_from_source(source, flags, &error.value));
  if (!archive) zip_source_free(source);
  return archive;
}

/// The unpacked bytes of a member. Grows with what is really there, whatever the directory claims.
Result<std::string> unpack(zip_t* archive, zip_uint64_t index, const zip_stat_t& about) {
  constexpr double kMostExpansion = 1032;  // deflate cannot do better
  if (static_cast<double>(about.size) > kMostExpansion * static_cast<double>(about.comp_size) + 1024)
    return Failure{"its size cannot be true"};
  if (about.size > available_memory() / 2)
    return Failure{cat("it unpacks to ", bytes_text(static_cast<double>(about.size)), ", ",
                       bytes_text(static_cast<double>(available_memory())), " of memory available")};
  const Member member(zip_fopen_index(archive, index, 0));
  if (!member) return Failure{zip_strerror(archive)};
  std::string bytes;
  constexpr size_t kChunk = 1 << 20;
  for (;;) {
    const size_t used = bytes.size();
    const size_t left = about.size - used;
    bytes.resize(used + std::min(kChunk, left + 1));
    const zip_int64_t got = zip_fread(member.get(), bytes.data() + used, bytes.size() - used);
    if (got < 0) return Failure{zip_file_strerror(member.get())};  // a wrong checksum too
    bytes.resize(used + static_cast<size_t>(got));
    if (got == 0) break;
    if (bytes.size() > about.size) return Failure{"it is longer than its size says"};
  }
  if (bytes.size() != about.size) return Failure{"it is cut short"};
  return bytes;
}

bool add(zip_t* archive, const std::string& name, std::string_view bytes, bool compress) {
  // libzip reads the bytes when the archive is closed: the caller keeps them until then.
  zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
  if (source == nullptr) return false;
  const zip_int64_t index = zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    return false;
  }
  const auto at = static_cast<zip_uint64_t>(index);
  constexpr zip_uint16_t kMidnight = 0, kFirstOf1980 = 0x21;  // the earliest a ZIP can say
  // libzip's own choice, 9, takes thirty times as long or more for trajectories in float and makes them a twentieth smaller.
  constexpr zip_uint32_t kFastest = 1;
  return zip_set_file_compression(archive, at, compress ? ZIP_CM_DEFLATE : ZIP_CM_STORE, kFastest) == 0 &&
         zip_file_set_dostime(archive, at, kMidnight, kFirstOf1980, 0) == 0;
}

Result<std::string> source_bytes(zip_source_t* source) {
  zip_stat_t about;
  zip_stat_init(&about);
  const auto bad = [&] { return Failure{zip_error_strerror(zip_source_error(source))}; };
  if (zip_source_stat(source, &about) != 0 || zip_source_open(source) != 0) return bad();
  std::string bytes(about.size, '\0');
  size_t used = 0;
  while (used < bytes.size()) {
    const zip_int64_t got = zip_source_read(source, bytes.data() + used, bytes.size() - used);
    if (got <= 0) break;
    used += static_cast<size_t>(got);
  }
  zip_source_close(source);
  if (used != bytes.size()) return bad();
  return bytes;
}

}  // namespace

Result<Dataset> parse_npz(std::string_view bytes, const std::string& path) {
  const auto bad = [&](std::string_view why) { return Failure{cat("cannot read ", quoted(path), ": ", why)}; };
  if (bytes.empty()) return bad("it is empty");  // libzip takes that for an archive of nothing
  Error error;
  const Source source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error.value));
  if (!source) return bad(error.text());
  const Archive archive = open(source.get(), ZIP_RDONLY | ZIP_CHECKCONS, error);
  if (!archive) return bad(cat("it is no sound NPZ archive (", error.text(), ")"));

  Dataset data;
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t k = 0; k < count; ++k) {
    const auto index = static_cast<zip_uint64_t>(k);
    zip_stat_t about;
    zip_stat_init(&about);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if (zip_stat_index(archive.get(), index, 0, &about) != 0 || (about.valid & kNeeded) != kNeeded)
      return bad(zip_strerror(archive.get()));
    const std::string file = about.name;
    if (file.ends_with('/')) continue;
    const std::string name = file.ends_with(kSuffix) ? file.substr(0, file.size() - kSuffix.size()) : file;
    if (name == file && file != kProvenance) {
      data.unread.push_back({name, "it is no NPY member", {}});
      continue;
    }
    if (data.find(name) != nullptr) return bad(cat("two members are named ", quoted(file)));
    Result<std::string> content = unpack(archive.get(), index, about);
    if (!content) return bad(cat(quoted(file), ": ", content.error()));
    if (file == kProvenance) {
      data.provenance = *std::move(content);
      continue;
    }
    const std::string place = cat(path, ":", file);
    Result<Array> array = parse_npy(*content, place);
    if (!array && !is_npy_of_other_type(*content)) return array.failure();
    if (array) data.arrays.push_back({name, *std::move(array)});
    else data.unread.push_back({name, array.error().substr(cat("cannot read ", quoted(place), ": ").size()), npy_text(*content)});
  }
  return data;
}

Result<std::string> npz_bytes(const Dataset& data, NumberType type, bool compress) {
  const auto bad = [](std::string_view why) { return Failure{cat("cannot make an NPZ archive: ", why)}; };
  if (data.arrays.empty()) return bad("there are no arrays to write");
  Error error;
  const Source source(zip_source_buffer_create(nullptr, 0, 0, &error.value));
  if (!source) return bad(error.text());
  Archive archive = open(source.get(), ZIP_CREATE | ZIP_TRUNCATE, error);
  if (!archive) return bad(error.text());
  std::vector<std::string> members;
  members.reserve(data.arrays.size());
  for (const auto& [name, array] : data.arrays) {
    members.push_back(npy_bytes(array, type));
    if (!add(archive.get(), cat(name, kSuffix), members.back(), compress)) return bad(zip_strerror(archive.get()));
  }
  if (!data.provenance.empty() && !add(archive.get(), std::string(kProvenance), data.provenance, compress))
    return bad(zip_strerror(archive.get()));
  if (zip_close(archive.get()) != 0) return bad(zip_strerror(archive.get()));
  (void)archive.release();  // closing freed it
  return source_bytes(source.get());
}

}  // namespace hebb
