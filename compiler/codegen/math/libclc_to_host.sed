# libclc's bitcode, as text, is turned from a PTX module into one for the host: x86-64 layout, one
# address space, every fmuladd an fma (one rounding on every engine), no licence to divide inexactly.
s/^target datalayout.*/target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"/
s/^target triple.*/target triple = "x86_64-unknown-linux-gnu"/
s/ addrspace\(4\)//g
s/, !fpmath ![0-9]+//
s/fdiv( arcp| afn)+ /fdiv /
# The reader of the text declares intrinsics by itself.
/^declare .*@llvm\.fma/d
s/@llvm\.fmuladd\./@llvm.fma./
s/"(target-features|frame-pointer|stack-protector-buffer-size)"="[^"]*"//g
# Out of range and nan have a value too: some functions convert before they look, and index tables.
s/= fpto([su])i float (%[0-9]+) to (i32|i64)/= call \3 @llvm.fpto\1i.sat.\3.f32(float \2)/
s/= fpto([su])i double (%[0-9]+) to (i32|i64)/= call \3 @llvm.fpto\1i.sat.\3.f64(double \2)/
