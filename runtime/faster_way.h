#pragma once
// Which of two ways to do a step is the faster one here and now: found by trying. Both must have the same
// results. The second way is the one that can go badly wrong, by waiting for a thread that does not run: it is
// left as soon as it has lost more than it won, and tried again the more seldom the more often it lost.

#include <algorithm>
#include <array>
#include <cstdint>

namespace hebb {

class FasterWay {
 public:
  /// Whether the next step should take the second way.
  bool second() const { return trying_ ? turn_ == 1 : second_; }

  /// What the step took, in any unit.
  void took(double time) {
    if (trying_) try_took(time);
    else rest_took(time);
  }

 private:
  static constexpr int kTurn = 16;               // steps that a way is timed for at a time
  static constexpr int kSettle = 16;             // steps before that: what the other way left has to come to other caches first
  static constexpr int kLead = 3, kRounds = 7;   // of rounds won that decide; of rounds at most
  static constexpr int64_t kFirst = 256, kLeast = 4096, kMost = 1 << 17;  // steps between two trials
  static constexpr int64_t kSlowly = 512;        // steps that a way was taken for until it had lost
  static constexpr double kAtOnce = 16;          // steps of the first way that one step takes which waits for somebody
  static constexpr double kHopeless = 4;         // times as slow as the first way: tried no further
  static constexpr double kBusier = 1.3;         // times as long as in the last trial: a network that has begun to spike is another one
  static constexpr double kLoss = 64, kGain = 1024;  // steps of the first way: may be lost; are remembered as won

  void try_took(double time) {
    spent_ += time;
    if (++count_ > kSettle) sum_[turn_] += time;
    constexpr double kTurns = static_cast<double>(kSettle + kTurn) / kTurn;
    const bool hopeless = turn_ == 1 && spent_ > kHopeless * kTurns * std::min(first_, sum_[0]);
    if (count_ < kSettle + kTurn && !hopeless) return;
    spent_ = 0;
    count_ = 0;
    if (turn_ == 0) {
      turn_ = 1;
      return;
    }
    lead_ += sum_[1] < sum_[0] && !hopeless ? 1 : -1;
    first_ = std::min(first_, sum_[0]);
    all_first_ += sum_[0];
    sum_ = {};
    turn_ = 0;
    ++rounds_;
    if (hopeless) patience_ = std::max(patience_, kLeast), decide(false);
    else if (lead_ >= kLead || -lead_ >= kLead || rounds_ == kRounds) decide(lead_ > 0);
  }

  void decide(bool second) {
    if (!second) patience_ = std::min(2 * patience_, kMost);
    second_ = second;
    trying_ = false;
    rested_ = 0;
    lately_ = 0;
    won_ = worst_ = 0;
  }

  void rest_took(double time) {
    ++rested_;
    if (second_) {
      const double first = all_first_ / (rounds_ * kTurn);  // steps differ much where neurons spike together
      won_ = std::min(won_ + first - time, kGain * first);
      worst_ = std::max(worst_, time);
      if (won_ < -kLoss * first) {
        // Who loses step by step has a network that does more than when it was timed. Who waited has lost at once.
        if (worst_ >= kAtOnce * first) patience_ = std::max(patience_, kLeast);
        else if (rested_ > kSlowly) patience_ = std::max(patience_ / 2, kFirst / 2);
        return decide(false);
      }
      if (rested_ < 4 * kLeast) return;
      patience_ = kFirst;
    } else {
      lately_ += time;
      const bool over = rested_ % kFirst == 0;
      const bool busier = over && lately_ > kBusier * static_cast<double>(kFirst) * all_first_ / (rounds_ * kTurn);
      if (over) lately_ = 0;
      if (busier) patience_ = kFirst;
      else if (rested_ < patience_) return;
    }
    trying_ = true;
    turn_ = lead_ = rounds_ = count_ = 0;
    first_ = 1e300;
    all_first_ = 0;
    sum_ = {};
    spent_ = 0;
  }

  bool trying_ = true, second_ = false;
  int turn_ = 0, count_ = 0, lead_ = 0, rounds_ = 0;
  std::array<double, 2> sum_{};
  double spent_ = 0;               // in this turn
  double first_ = 1e300;           // what kTurn steps of the first way took at least, in the last trial
  double all_first_ = 0;           // in all rounds
  double won_ = 0, worst_ = 0;     // since the last trial; of a step
  double lately_ = 0;              // that the first way took, since the last multiple of kFirst
  int64_t patience_ = kFirst, rested_ = 0;  // a network is silent at first, and what is faster then says little
};

}  // namespace hebb
