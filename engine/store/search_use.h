// search_use.h: a backend that serves the runs of a search in another way than others.
#pragma once

namespace lockstep {

/// Implemented by such a backend beside Backend.
class SearchUse {
 public:
  /// From now on one session works at a time and nobody reads what is said of its waits beside whom they are for. What
  /// is only for people is not asked for any more, and on a private server the calling thread and the processes of the
  /// server share one processor, until the backend ends: whoever hands over to the other then does so without waking an
  /// idle processor. Called before the first session is opened.
  virtual void serve_search() = 0;

 protected:
  SearchUse() = default;
  virtual ~SearchUse() = default;
};

}  // namespace lockstep
