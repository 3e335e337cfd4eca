// A lazy sequence: prime numbers, of which the reader wants three. A generator makes as many as are asked for; a
// function that fills a list makes all of them first.
#include "engine/task/generator.h"

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Primes {
  int made = 0;
  int read = 0;
};

bool is_prime(int n) {
  for (int d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return n >= 2;
}

Generator<int> primes(Primes* count, int below) {
  for (int n = 2; n < below; ++n) {
    if (!is_prime(n)) continue;
    ++count->made;
    co_yield n;
  }
}

Task<> read_lazily(Context& c) {
  auto& count = c.world<Primes>();
  for (const int prime : primes(&count, 1'000)) {
    c.note("asks for one, gets " + std::to_string(prime));
    if (++count.read == 3) break;
  }
  co_return;
}

Task<> read_a_list(Context& c) {
  auto& count = c.world<Primes>();
  std::vector<int> all;
  for (const int prime : primes(&count, 1'000)) all.push_back(prime);
  c.note("has " + std::to_string(all.size()) + " made, and reads three");
  count.read = 3;
  co_return;
}

}  // namespace

Scenario runtime_generator() {
  return scenario("Three of the prime numbers are wanted, and all of them are computed")
      .story("A reader wants the first three prime numbers. Their source does not know how many it will be asked for.")
      .with<Primes>()

      .pattern("list", "compute them all, then read")
      .actor("reader", read_a_list)
      .expect("none", "*: anomaly")
      .why("A function returns once, so it has to do everything before anybody sees anything.")
      .fix("a coroutine that yields stops after each value until the next one is asked for", "generator")

      .pattern("generator", "a coroutine yields one after the other")
      .actor("reader", read_lazily)
      .expect("none", "*: clean")
      .why("The generator stands still between two values, with its loop and its variables in its frame.")

      .holds("no more is made than is read",
             [](const Final& end) { return end.world<Primes>().made == end.world<Primes>().read; });
}

}  // namespace lockstep::scenarios
