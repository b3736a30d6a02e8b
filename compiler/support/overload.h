#pragma once
// One lambda per alternative for std::visit.

namespace hebb {

template <class... Lambdas>
struct Overload : Lambdas... {
  using Lambdas::operator()...;
};
template <class... Lambdas>
Overload(Lambdas...) -> Overload<Lambdas...>;

}  // namespace hebb
