// charts.cc: scales and drawing.
#include "reports/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "reports/append.h"
#include "reports/escape.h"
#include "reports/text.h"

namespace lockstep::reports {
namespace {

constexpr double kChartLetter = 7.2;

std::string opened(const char* look, double width, double height, const std::string& title,
                   const std::string& description, const std::string& id) {
  return fmt::format(
      "<svg class=\"{0}\" role=\"img\" aria-labelledby=\"{1}-t {1}-d\" viewBox=\"0 0 {2:g} {3:g}\" width=\"{2:g}\" "
      "height=\"{3:g}\"><title id=\"{1}-t\">{4}</title><desc id=\"{1}-d\">{5}</desc>",
      look, id, width, height, html(title), html(description));
}

/// Round numbers that divide 0 … `most` into three to six parts.
std::vector<double> round_steps(double most) {
  if (most <= 0) return {0};
  const double rough = most / 5, magnitude = std::pow(10, std::floor(std::log10(rough)));
  const double step = rough / magnitude > 5   ? 10 * magnitude
                      : rough / magnitude > 2 ? 5 * magnitude
                      : rough / magnitude > 1 ? 2 * magnitude
                                              : magnitude;
  std::vector<double> all;
  for (double at = 0; at <= most * 1.0001; at += step) all.push_back(at);
  return all;
}

/// "12,000", "0.25".
std::string short_number(double value) {
  if (value == 0) return "0";
  if (std::abs(value) >= 1000) {
    std::string digits = fmt::format("{:.0f}", value);
    for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
    return digits;
  }
  return fmt::format("{:g}", std::round(value * 1e4) / 1e4);
}

}  // namespace

std::string bars_svg(const std::vector<Bar>& bars, const std::string& title, const std::string& description,
                     const std::string& id) {
  if (bars.empty()) return {};
  std::size_t label = 4, value = 1;
  double most = 0;
  for (const Bar& bar : bars) {
    label = std::max(label, std::min<std::size_t>(columns(neutral(bar.label)), 34));
    value = std::max(value, columns(neutral(bar.text)));
    most = std::max({most, bar.value, bar.high});
  }
  const double left = 14 + kChartLetter * static_cast<double>(label), room = 420;
  const double width = left + room + 24 + kChartLetter * static_cast<double>(value);
  std::string text = opened("chart", width, 26.0 * static_cast<double>(bars.size()) + 8, title, description, id);
  double y = 4;
  for (const Bar& bar : bars) {
    const double wide = most > 0 ? std::max(1.0, bar.value / most * room) : 1;
    append(text, "<text class=\"tick end\" x=\"{:.1f}\" y=\"{:g}\">{}</text>", left - 8, y + 15,
           html(shortened(neutral(bar.label), 34)));
    append(text, "<rect class=\"bar {}\" x=\"{:.1f}\" y=\"{:g}\" width=\"{:.1f}\" height=\"18\"/>", bar.look, left,
           y + 2, wide);
    double end = left + wide;
    if (bar.high > 0 && most > 0) {
      const double low = left + bar.low / most * room, high = left + bar.high / most * room;
      append(text, "<path class=\"whisk\" d=\"M{:.1f} {:g}H{:.1f}M{:.1f} {:g}v8M{:.1f} {:g}v8\"/>", low, y + 11, high,
             low, y + 7, high, y + 7);
      end = std::max(end, high);
    }
    append(text, "<text x=\"{:.1f}\" y=\"{:g}\">{}</text>", end + 8, y + 15, html(bar.text));
    y += 26;
  }
  return text + "</svg>";
}

std::string columns_svg(const Columns& all, const std::string& title, const std::string& description,
                        const std::string& id) {
  if (all.layers.empty() || all.layers.front().empty()) return {};
  const std::size_t count = all.layers.front().size();
  double most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (const auto& layer : all.layers) sum += layer[i];
    most = std::max(most, sum);
  }
  const double left = 74, right = 20, height = 240, bottom = 34, top = 12, width = 1000;
  const double room = height - bottom - top, pitch = (width - left - right) / static_cast<double>(count);
  std::string text = opened("chart", width, height, title, description, id);
  for (const double at : round_steps(most)) {
    const double y = height - bottom - (most > 0 ? at / most * room : 0);
    append(text,
           "<path class=\"grid\" d=\"M{:g} {:.1f}H{:g}\"/><text class=\"tick end\" x=\"{:g}\" y=\"{:.1f}\">{}</text>",
           left, y, width - right, left - 8, y + 4, short_number(at));
  }
  for (std::size_t i = 0; i < count && most > 0; ++i) {
    double y = height - bottom;
    for (std::size_t layer = 0; layer < all.layers.size(); ++layer) {
      const double tall = all.layers[layer][i] / most * room;
      if (tall <= 0) continue;
      y -= tall;
      append(text, "<rect class=\"bar {}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
             all.looks[layer], left + pitch * static_cast<double>(i), y, std::max(0.5, pitch - 1), tall);
    }
  }
  for (const double at : round_steps(all.end_ms)) {
    const double x = left + (all.end_ms > 0 ? at / all.end_ms : 0) * (width - left - right);
    append(text, "<text class=\"tick\" x=\"{:.1f}\" y=\"{:g}\">{}</text>", x, height - 16, short_number(at));
  }
  append(text, "<text class=\"tick end\" x=\"{:g}\" y=\"{:g}\">ms</text>", width - right, height - 3);
  return text + "</svg>";
}

namespace {

/// Where on the picture a value of an axis lies.
struct Scale {
  double from = 0, to = 1, at_from = 0, at_to = 1;
  bool log = false;
  double operator()(double value) const {
    const double low = log ? std::log10(from) : from, high = log ? std::log10(to) : to;
    const double here = log ? std::log10(std::max(value, from)) : value;
    return high == low ? at_from : at_from + (here - low) / (high - low) * (at_to - at_from);
  }
};

std::vector<double> y_ticks(const Scale& y) {
  if (!y.log) return round_steps(y.to);
  std::vector<double> all;
  for (double at = y.from; at <= y.to * 1.001; at *= 10) all.push_back(at);
  return all;
}

/// The heights of the names at the right, at least a line apart and in the order of their curves.
std::vector<double> set_apart(const std::vector<double>& wished, double top, double bottom) {
  std::vector<std::size_t> order(wished.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&wished](std::size_t a, std::size_t b) { return wished[a] < wished[b]; });
  std::vector<double> at(wished.size());
  constexpr double kLine = 16;
  double next = top;
  for (const std::size_t i : order) {
    at[i] = std::max(wished[i], next);
    next = at[i] + kLine;
  }
  // What was pushed out below moves up again.
  double limit = bottom;
  for (std::size_t k = order.size(); k-- > 0;) {
    at[order[k]] = std::min(at[order[k]], limit);
    limit = at[order[k]] - kLine;
  }
  return at;
}

}  // namespace

std::string curves_svg(const std::vector<Curve>& curves, const Axes& axes, const std::string& title,
                       const std::string& description, const std::string& id) {
  double x_least = 1e300, x_most = -1e300, y_least = 1e300, y_most = 0;
  std::size_t name = 4;
  for (const Curve& curve : curves) {
    name = std::max(name, std::min<std::size_t>(columns(neutral(curve.name)), 30));
    for (const auto& [x, y] : curve.points) {
      x_least = std::min(x_least, x);
      x_most = std::max(x_most, x);
      if (y > 0) y_least = std::min(y_least, y);
      y_most = std::max(y_most, y);
    }
  }
  if (curves.empty() || x_most < x_least) return {};
  for (const Tick& tick : axes.x_ticks) {
    x_least = std::min(x_least, tick.at);
    x_most = std::max(x_most, tick.at);
  }
  if (y_most <= 0) y_most = 1;
  const double left = 74, right = 26 + kChartLetter * static_cast<double>(name), top = 26, bottom = 44,
               width = 680 + right, height = 360;
  const Scale x{x_least, x_most, left, width - right};
  Scale y{0, y_most * 1.05, height - bottom, top, axes.log_y};
  if (axes.log_y) {
    y.from = std::pow(10, std::floor(std::log10(std::min(y_least, y_most))));
    y.to = std::pow(10, std::ceil(std::log10(y_most)));
    if (y.to <= y.from) y.to = y.from * 10;
  }
  std::string text = opened("chart", width, height, title, description, id);
  for (const double at : y_ticks(y)) {
    append(text,
           "<path class=\"grid\" d=\"M{:g} {:.1f}H{:g}\"/><text class=\"tick end\" x=\"{:g}\" y=\"{:.1f}\">{}</text>",
           left, y(at), width - right, left - 8, y(at) + 4, short_number(at));
  }
  for (const Tick& tick : axes.x_ticks) {
    append(text,
           "<path class=\"grid\" d=\"M{0:.1f} {1:g}V{2:g}\"/><text class=\"tick\" x=\"{0:.1f}\" y=\"{3:g}\">{4}</text>",
           x(tick.at), top, height - bottom, height - bottom + 16, html(tick.text));
  }
  append(
      text,
      "<text class=\"tick first\" x=\"4\" y=\"12\">{}</text><text class=\"tick end\" x=\"{:g}\" y=\"{:g}\">{}</text>",
      html(axes.y_title), width - right, height - 6, html(axes.x_title));
  std::vector<double> wished;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    std::string path;
    for (const auto& [px, py] : curves[i].points)
      append(path, "{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(px), y(py));
    const std::size_t look = (curves[i].look < 0 ? i : static_cast<std::size_t>(curves[i].look)) % 6;
    append(text, "<path class=\"curve c{}\" d=\"{}\"/>", look, path);
    for (const auto& [px, py] : curves[i].points) {
      if (curves[i].points.size() <= 16)
        append(text, "<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>", look, x(px), y(py));
    }
    wished.push_back(curves[i].points.empty() ? height - bottom : y(curves[i].points.back().second) + 4);
  }
  const std::vector<double> at = set_apart(wished, top + 4, height - bottom);
  for (std::size_t i = 0; i < curves.size(); ++i) {
    if (curves[i].points.empty()) continue;
    const double end = x(curves[i].points.back().first), end_y = y(curves[i].points.back().second);
    append(text, "<path class=\"grid\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/><text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
           end + 4, end_y, width - right + 10, at[i] - 4, width - right + 14, at[i],
           html(shortened(neutral(curves[i].name), 30)));
  }
  return text + "</svg>";
}

}  // namespace lockstep::reports
