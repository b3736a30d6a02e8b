#pragma once
// A computation that stops where it needs an answer: an update of a fit asks what the loss says, and whoever runs it may
// gather the questions of several fits before answering them. Awaited, one runs on to its end before its owner does.

#include <coroutine>
#include <optional>
#include <utility>

namespace hebb {

template <class T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> owner = std::noop_coroutine();

    struct Return {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept { return self.promise().owner; }
      void await_resume() noexcept {}
    };
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    Return final_suspend() noexcept { return {}; }
    void return_value(T result) { value = std::move(result); }
    void unhandled_exception() { throw; }   // a broken promise: to whoever runs it
  };

  Task(Task&& other) noexcept : self_(std::exchange(other.self_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(self_, other.self_);
    return *this;
  }
  ~Task() {
    if (self_) self_.destroy();
  }

  void start() { self_.resume(); }
  bool done() const { return self_.done(); }
  T& result() { return *self_.promise().value; }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> owner) noexcept {
    self_.promise().owner = owner;
    return self_;
  }
  T await_resume() { return std::move(*self_.promise().value); }

 private:
  explicit Task(std::coroutine_handle<promise_type> self) : self_(self) {}
  std::coroutine_handle<promise_type> self_;
};

}  // namespace hebb
