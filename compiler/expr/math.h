#pragma once
// The transcendental functions of the operator table, for double and float. Ours (exp, expm1, log, log1p,
// exprel, sigmoid, tanh, powf: codegen/math/inline.cpp) and libclc's, compiled for the host from the same bitcode that the
// code generator inlines: an interpreted and a compiled program get the same bits. Within 2.5 ulp (tanf: 3);
// defined for every argument (inf, nan, -0, subnormals; sin and erf of -0 are 0).

extern "C" {
double hebb_exp(double), hebb_expm1(double), hebb_exprel(double), hebb_log(double), hebb_log1p(double);
double hebb_pow(double, double), hebb_sin(double), hebb_cos(double), hebb_tan(double);
double hebb_sigmoid(double), hebb_tanh(double), hebb_sinh(double), hebb_cosh(double), hebb_asin(double);
double hebb_acos(double), hebb_atan(double), hebb_atan2(double, double), hebb_erf(double);
float hebb_expf(float), hebb_expm1f(float), hebb_exprelf(float), hebb_logf(float), hebb_log1pf(float);
float hebb_powf(float, float), hebb_sinf(float), hebb_cosf(float), hebb_tanf(float);
float hebb_sigmoidf(float), hebb_tanhf(float), hebb_sinhf(float), hebb_coshf(float), hebb_asinf(float);
float hebb_acosf(float), hebb_atanf(float), hebb_atan2f(float, float), hebb_erff(float);
}
