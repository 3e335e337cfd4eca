// links_test.cc: what a document points to is there: files, headings, sources that it names.
#include <gmock/gmock.h>

#include <set>

#include "tests/documents/markdown.h"
#include "tests/engine/temporary_folder.h"

namespace lockstep::documents {
namespace {

using testing::Contains;

class EveryDocument : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Documents, EveryDocument, testing::ValuesIn(all_documents()),
                         [](const auto& info) { return test_name_of(info.param); });

/// The path from the root of what a link in `document` names; empty for the document itself.
std::string path_of(const std::string& document, const std::string& target) {
  const std::string file = target.substr(0, target.find('#'));
  if (file.empty()) return document;
  return (fs::path(document).parent_path() / file).lexically_normal().generic_string();
}

bool is_elsewhere(const std::string& target) { return target.find("://") != std::string::npos; }

TEST_P(EveryDocument, LinksToFilesAndHeadingsThatExist) {
  for (const Piece& link : taken_apart(GetParam()).links) {
    if (is_elsewhere(link.text)) continue;
    SCOPED_TRACE(GetParam() + ":" + std::to_string(link.line) + ": " + link.text);
    const std::string path = path_of(GetParam(), link.text);
    ASSERT_TRUE(fs::exists(root() / path));
    if (const auto hash = link.text.find('#'); hash != std::string::npos) {
      EXPECT_THAT(taken_apart(path).anchors, Contains(link.text.substr(hash + 1)));
    }
  }
}

TEST_P(EveryDocument, NamesSourcesThatExist) {
  const std::regex& source =
      compiled(R"((cli|cmake|docs|engine|kv|reports|scenarios|tests)/[a-z0-9_/.-]+\.(cc|h|md|py|sh|txt))");
  for (const Piece& code : taken_apart(GetParam()).code) {
    if (code.in_block || !std::regex_match(code.text, source) || code.text.ends_with("/some_name.cc")) continue;
    EXPECT_TRUE(fs::exists(root() / code.text)) << GetParam() << ":" << code.line << ": " << code.text;
  }
}

TEST(Documents, CanBeReachedFromTheReadme) {
  std::set<std::string> reached;
  std::vector<std::string> waiting{"README.md"};
  while (!waiting.empty()) {
    const std::string document = waiting.back();
    waiting.pop_back();
    if (!reached.insert(document).second) continue;
    for (const Piece& link : taken_apart(document).links) {
      const std::string path = is_elsewhere(link.text) ? std::string() : path_of(document, link.text);
      if (path.ends_with(".md") && fs::exists(root() / path)) waiting.push_back(path);
    }
  }
  for (const std::string& document : all_documents()) EXPECT_TRUE(reached.contains(document)) << document;
}

TEST(Documents, TheReadmeStaysShort) { EXPECT_LE(lines_of("README.md").size(), 150U); }

TEST(Markdown, FindsCodeLinksAndHeadings) {
  const TemporaryFolder folder;
  const std::string file = folder.in("markdown_test.md");
  std::ofstream(file) << "# A `title`, here\n\n"
                         "see [x](a/b.md#c) and `lockstep run\n  x` and `[no](link)`\n\n"
                         "| `a \\| b` |\n\n"
                         "```sh\n  lockstep list \\\n    threads\n```\n";
  const Markdown& parts = taken_apart(file);
  std::vector<std::string> code, links;
  for (const Piece& piece : parts.code) code.push_back(std::to_string(piece.line) + " " + piece.text);
  for (const Piece& piece : parts.links) links.push_back(std::to_string(piece.line) + " " + piece.text);
  EXPECT_THAT(
      code, testing::ElementsAre("1 title", "3 lockstep run x", "4 [no](link)", "6 a | b", "10 lockstep list threads"));
  EXPECT_THAT(links, testing::ElementsAre("3 a/b.md#c"));
  EXPECT_THAT(parts.anchors, testing::ElementsAre("a-title-here"));
}

}  // namespace
}  // namespace lockstep::documents
