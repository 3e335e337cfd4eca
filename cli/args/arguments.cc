// arguments.cc: looks values up.
#include "cli/args/arguments.h"

#include <algorithm>

namespace lockstep::cli {

std::string Arguments::value(const std::string& name, std::string otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() || found->second.empty() ? std::move(otherwise) : found->second.back();
}

std::vector<std::string> Arguments::all(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

std::vector<std::string> Arguments::listed(const std::string& name) const {
  std::vector<std::string> parts;
  for (const std::string& value : all(name)) {
    for (std::size_t begin = 0; begin <= value.size();) {
      const std::size_t end = std::min(value.find(',', begin), value.size());
      if (end > begin) parts.push_back(value.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return parts;
}

}  // namespace lockstep::cli
