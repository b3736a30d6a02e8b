"""Writes what scipy.sparse.save_npz writes of the matrix [[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 4, 0]]: the arrays, and the format as text."""
import struct
import sys
import zipfile

folder = sys.argv[1]


def npy(kind, shape, data):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def save(name, form, **arrays):
    with zipfile.ZipFile(f"{folder}/{name}.npz", "w") as archive:
        for key, values in arrays.items():
            archive.writestr(key + ".npy", npy("<i4", f"({len(values)},)", struct.pack(f"<{len(values)}i", *values)))
        archive.writestr("format.npy", npy(f"|S{len(form)}", "()", form.encode()))


save("csr", "csr", indices=[1, 3, 0, 2], indptr=[0, 2, 2, 4], data=[1, 2, 3, 4], shape=[3, 4])
save("csc", "csc", indices=[2, 0, 2, 0], indptr=[0, 1, 2, 3, 4], data=[3, 1, 4, 2], shape=[3, 4])
save("bsr", "bsr", indices=[1, 3, 0, 2], indptr=[0, 2, 2, 4], data=[1, 2, 3, 4], shape=[3, 4])
with zipfile.ZipFile(f"{folder}/texts.npz", "w") as archive:
    archive.writestr("pre.npy", npy("|S1", "(2,)", b"ab"))
    archive.writestr("post.npy", npy("<i4", "(2,)", struct.pack("<2i", 0, 1)))
