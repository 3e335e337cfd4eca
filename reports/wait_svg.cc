// wait_svg.cc: places the nodes, bends the edges.
#include "reports/wait_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "reports/escape.h"
#include "reports/text.h"

namespace lockstep::reports {
namespace {

constexpr double kNodeHeight = 32, kNodeLetter = 8.2;
constexpr std::size_t kNameMost = 12, kLabelMost = 22;

struct Node {
  double x = 0, y = 0, half = 0;  ///< centre, half of the width
};

struct Frame {
  double width = 460, height = 180;
};

Frame frame_for(std::size_t count) {
  if (count <= 2) return {460, 170};
  return {520, count <= 4 ? 300.0 : count <= 8 ? 360.0 : 430.0};
}

std::vector<Node> placed(const std::vector<GraphNode>& nodes, const Frame& frame) {
  std::vector<Node> all;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    Node node;
    node.half = std::max(
        24.0, 12 + kNodeLetter * static_cast<double>(std::min(columns(neutral(nodes[i].name)), kNameMost)) / 2);
    if (nodes.size() <= 2) {
      node.x = i == 0 ? 90 : frame.width - 90;
      node.y = frame.height / 2;
    } else {
      // The first on top, then clockwise.
      const double angle = 2 * M_PI * static_cast<double>(i) / static_cast<double>(nodes.size()) - M_PI / 2;
      node.x = frame.width / 2 + (frame.width / 2 - 105) * std::cos(angle);
      node.y = frame.height / 2 + (frame.height / 2 - 40) * std::sin(angle);
    }
    all.push_back(node);
  }
  return all;
}

/// The point on the rim of `node` that looks towards (x, y).
std::pair<double, double> rim(const Node& node, double x, double y) {
  const double dx = x - node.x, dy = y - node.y;
  const double rx = node.half + 5, ry = kNodeHeight / 2 + 5;
  const double length = std::sqrt(dx * dx / (rx * rx) + dy * dy / (ry * ry));
  if (length == 0) return {node.x, node.y};
  return {node.x + dx / length, node.y + dy / length};
}

/// An arrow that bends to the left of its direction, so that arrows there and back do not cover each other. Its label
/// is at the bend.
void add_edge(std::string& text, const Node& from, const Node& to, const GraphEdge& edge, bool labelled) {
  const double dx = to.x - from.x, dy = to.y - from.y;
  const double length = std::max(1.0, std::hypot(dx, dy));
  const double bend = std::min(46.0, length * 0.22);
  const double cx = (from.x + to.x) / 2 + dy / length * bend, cy = (from.y + to.y) / 2 - dx / length * bend;
  const auto [x1, y1] = rim(from, cx, cy);
  const auto [x2, y2] = rim(to, cx, cy);
  const double lx = (x1 + 2 * cx + x2) / 4, ly = (y1 + 2 * cy + y2) / 4;
  const std::string label = shortened(neutral(edge.label), kLabelMost);
  fmt::format_to(std::back_inserter(text),
                 "<g class=\"edge{}\"><title>{}</title><path d=\"M{:.1f} {:.1f}Q{:.1f} {:.1f} {:.1f} {:.1f}\" "
                 "marker-end=\"url(#arrow)\"/>",
                 edge.on_cycle ? " cyc" : "", html(edge.label), x1, y1, cx, cy, x2, y2);
  if (labelled) {
    const double wide = 7.2 * static_cast<double>(columns(label)) + 8;
    fmt::format_to(std::back_inserter(text),
                   "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"18\"/><text x=\"{:.1f}\" "
                   "y=\"{:.1f}\">{}</text>",
                   lx - wide / 2, ly - 9, wide, lx, ly + 4, html(label));
  }
  text += "</g>";
}

}  // namespace

std::string wait_svg(const std::vector<GraphNode>& nodes, const std::vector<GraphEdge>& edges, const std::string& title,
                     const std::string& description, const std::string& id) {
  if (nodes.empty() || nodes.size() > kNodesMost) return {};
  const Frame frame = frame_for(nodes.size());
  const std::vector<Node> at = placed(nodes, frame);
  std::string text = fmt::format(
      "<svg class=\"waits\" role=\"img\" aria-labelledby=\"{0}-t {0}-d\" viewBox=\"0 0 {1:g} {2:g}\" width=\"{1:g}\" "
      "height=\"{2:g}\"><title id=\"{0}-t\">{3}</title><desc id=\"{0}-d\">{4}</desc><g class=\"edges\">",
      id, frame.width, frame.height, html(title), html(description));
  const bool labelled = edges.size() <= nodes.size() + kLabelledMore;
  for (const GraphEdge& edge : edges) add_edge(text, at[edge.from], at[edge.to], edge, labelled);
  text += "</g>";
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = at[i];
    const char* const look = nodes[i].gone ? " gone" : nodes[i].waits ? " waits" : nodes[i].holds ? " holds" : "";
    fmt::format_to(std::back_inserter(text),
                   "<g class=\"node{}\" data-a=\"{}\" data-x=\"{:.1f}\" data-y=\"{:.1f}\" data-h=\"{:.1f}\"><rect "
                   "x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:g}\" rx=\"16\"/><text x=\"{:.1f}\" "
                   "y=\"{:.1f}\">{}</text></g>",
                   look, i, node.x, node.y, node.half, node.x - node.half, node.y - kNodeHeight / 2, 2 * node.half,
                   kNodeHeight, node.x, node.y + 5, html(shortened(neutral(nodes[i].name), kNameMost)));
  }
  return text + "</svg>";
}

}  // namespace lockstep::reports
