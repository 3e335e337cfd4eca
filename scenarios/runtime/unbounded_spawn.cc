// A coroutine costs a few hundred bytes, so a server begins one for each of a thousand requests at once. What each of
// them then uses does cost something: connections, memory, files. A semaphore bounds what is in use, and the rest waits
// cheaply.
#include "engine/runtime/runtime.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using runtime::AsyncSemaphore;
using runtime::Group;

constexpr int kRequests = 1000;
constexpr int kConnections = 8;

struct Server {
  AsyncSemaphore permits{kConnections};
  int open = 0;
  int most_open = 0;
  int served = 0;
};

Task<> use_a_connection(Server* server) {
  server->most_open = std::max(server->most_open, ++server->open);
  co_await runtime::yield();  // the server's reply
  --server->open;
  ++server->served;
}

Task<> request(Server* server, bool bounded) {
  if (bounded) co_await server->permits.acquire();
  co_await use_a_connection(server);
  if (bounded) server->permits.release();
}

Task<> all_requests(Group& group, Server* server, bool bounded) {
  for (std::uint32_t i = 1; i <= kRequests; ++i) group.spawn(request(server, bounded), {"request", i});
  co_return;
}

Task<> serve(Context& c, bool bounded) {
  auto& server = c.world<Server>();
  const Result<void> ended = runtime::run(runtime::with_group(all_requests, &server, bounded));
  if (!ended.ok()) co_await fail(ended.error());
  c.note("1000 requests: " + std::to_string(server.most_open) + " connections open at once");
}

}  // namespace

Scenario runtime_unbounded_spawn() {
  return scenario("A thousand requests open a thousand connections")
      .story("A thousand requests come at once. Each needs a connection to a database that allows eight.")
      .with<Server>()

      .pattern("unbounded", "begin every request at once")
      .actor("server", serve, false)
      .expect("none", "*: anomaly")
      .why("Nothing between the requests and the connections says no.")
      .fix("a semaphore: each waits for a permit before it opens anything, first come, first served", "semaphore")

      .pattern("semaphore", "begin every request at once, let eight of them use a connection")
      .actor("server", serve, true)
      .expect("none", "*: clean")
      .why("The thousand coroutines wait in a queue, which costs a few hundred bytes each, and eight are at work.")

      .holds("never more than eight connections",
             [](const Final& end) { return end.world<Server>().most_open <= kConnections; })
      .holds("everybody is served", [](const Final& end) { return end.world<Server>().served == kRequests; });
}

}  // namespace lockstep::scenarios
