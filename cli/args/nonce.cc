// nonce.cc: from the system's own chance.
#include "cli/args/nonce.h"

#include <fmt/format.h>

#include <random>

namespace lockstep::cli {

std::string chance_letters() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

}  // namespace lockstep::cli
