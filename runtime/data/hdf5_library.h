#pragma once
// The functions of the HDF5 library that we call. It is loaded when the first file is opened: it needs some forty libraries
// itself, which would take as long to find as all else of a start. Without HEBB_HDF5_LIBRARY it is linked as others are.

#include <hdf5.h>

#include "compiler/support/result.h"

// These would open the library by calls of their own, in the middle of a constant.
#undef H5OPEN
#define H5OPEN
#undef H5CHECK
#define H5CHECK

#define HEBB_HDF5_FUNCTIONS(X)                                                                                               \
  X(H5dont_atexit) X(H5open)                                                                                                 \
  X(H5Aclose) X(H5Acreate2) X(H5Aexists) X(H5Aget_type) X(H5Aopen) X(H5Aread) X(H5Awrite)                                    \
  X(H5Dclose) X(H5Dcreate2) X(H5Dget_space) X(H5Dget_type) X(H5Dopen2) X(H5Dread) X(H5Dwrite)                                \
  X(H5Eset_auto2) X(H5Fclose) X(H5Fcreate) X(H5Fflush) X(H5Fopen) X(H5Gclose) X(H5Gcreate2) X(H5Ovisit)                      \
  X(H5Pclose) X(H5Pcreate) X(H5Pset_create_intermediate_group)                                                               \
  X(H5Sclose) X(H5Screate) X(H5Screate_simple) X(H5Sget_simple_extent_dims) X(H5Sget_simple_extent_ndims) X(H5Sis_simple)    \
  X(H5Sselect_hyperslab)                                                                                                     \
  X(H5Tclose) X(H5Tcopy) X(H5Tenum_create) X(H5Tenum_insert) X(H5Tget_class) X(H5Tget_size) X(H5Tis_variable_str)            \
  X(H5Tset_cset) X(H5Tset_size)
/// Identifiers that the library makes when it is opened.
#define HEBB_HDF5_IDENTIFIERS(X)                                                                                             \
  X(H5P_CLS_LINK_CREATE_ID_g) X(H5T_C_S1_g) X(H5T_IEEE_F64LE_g) X(H5T_NATIVE_DOUBLE_g) X(H5T_NATIVE_UINT32_g)                \
  X(H5T_STD_U32LE_g) X(H5T_STD_U64LE_g) X(H5T_STD_U8LE_g)

namespace hebb {

struct Hdf5Library {
#define HEBB_MEMBER(name) decltype(&::name) name = nullptr;
  HEBB_HDF5_FUNCTIONS(HEBB_MEMBER)
  HEBB_HDF5_IDENTIFIERS(HEBB_MEMBER)
#undef HEBB_MEMBER
};

/// Once it is there; call it again where it was not. One thread at a time.
Status load_hdf5();

/// After load_hdf5 has succeeded.
const Hdf5Library& h5();

}  // namespace hebb
