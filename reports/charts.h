// charts.h: small charts as SVG. Each has a title and a description; the table beside it is the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::reports {

struct Bar {
  std::string label;
  double value = 0;
  std::string text;          ///< the value as people read it
  std::string look = {};     ///< class beside "bar": f (fault), g (good), wt (wait), bad
  double low = 0, high = 0;  ///< an interval; none when high is 0
};

/// Horizontal bars from one line, the longest as wide as there is room.
std::string bars_svg(const std::vector<Bar>& bars, const std::string& title, const std::string& description,
                     const std::string& id);

/// Columns that stand on top of each other, over time: `looks` and `names` of the layers, from the bottom.
struct Columns {
  std::vector<std::vector<double>> layers;  ///< [layer][column]
  std::vector<std::string> looks;
  double end_ms = 0;
};
std::string columns_svg(const Columns& columns, const std::string& title, const std::string& description,
                        const std::string& id);

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
  int look = -1;  ///< number of its colour and dash, so that a name looks the same on every picture; -1: its place
};

/// What an axis says at a place: "p99" at 2 …
struct Tick {
  double at = 0;
  std::string text;
};

struct Axes {
  std::string x_title, y_title;
  std::vector<Tick> x_ticks;  ///< in the units of the points
  bool log_y = false;
};

/// Curves with their names at their ends, set apart so that they do not collide. Every curve has its own dash.
std::string curves_svg(const std::vector<Curve>& curves, const Axes& axes, const std::string& title,
                       const std::string& description, const std::string& id);

}  // namespace lockstep::reports
