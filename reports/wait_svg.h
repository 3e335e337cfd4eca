// wait_svg.h: the waits between actors as a graph: actors on an ellipse, an arrow for each wait.
#pragma once

#include <string>
#include <vector>

namespace lockstep::reports {

struct GraphNode {
  std::string name;
  bool holds = false, waits = false, gone = false;
};

struct GraphEdge {
  std::size_t from = 0, to = 0;  ///< indices of nodes
  std::string label;             ///< "wants B"
  bool on_cycle = false;
};

/// More actors than this make no picture: the table says it.
inline constexpr std::size_t kNodesMost = 12;

/// A graph with more edges than nodes plus this has no room for their labels: they show when an edge is pointed at.
inline constexpr std::size_t kLabelledMore = 1;

/// The whole <svg>, with `title` and `description` as its title and desc. `id` is the prefix of the ids in it. Empty
/// for no nodes or more than kNodesMost. The page's script draws the edges of other moments between the same nodes by
/// the same rule (page.js: edge()).
std::string wait_svg(const std::vector<GraphNode>& nodes, const std::vector<GraphEdge>& edges, const std::string& title,
                     const std::string& description, const std::string& id);

}  // namespace lockstep::reports
